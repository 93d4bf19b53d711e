"""Neural stochastic equations: the facts that their stability rests on, and that they can be trained."""

import dataclasses

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.integrate import Diagonal
from jaxsim.neural_de import (
    GeometricSDE,
    GlobalError,
    LangevinSDE,
    LinearNoiseSDE,
    LocalError,
    NeuralSDE,
    TimeMLP,
    hermite_path,
    stochastic_integrator,
)

slow = pytest.mark.slow
TIMES = jnp.array([0.0, 0.5, 1.0])
RATE, NOISE = 1.5, 0.8


@eqx.filter_jit
def ensemble(model, y0, keys, **options):
    return jax.vmap(lambda key: model(y0, TIMES, key=key, **options))(keys)


def keys_of(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)


def ornstein_uhlenbeck(start):
    mean = start * np.exp(-RATE * TIMES)
    return mean, NOISE**2 / (2 * RATE) * -np.expm1(-2 * RATE * TIMES)


@slow
@pytest.mark.parametrize("steps", [8, None])
def test_langevin_has_the_moments_of_ornstein_and_uhlenbeck(steps):
    model = LangevinSDE(lambda z: -RATE * z, lambda t: NOISE)
    states, effort = ensemble(model, jnp.array([2.0]), keys_of(4000), steps=steps)
    mean, variance = ornstein_uhlenbeck(2.0)
    np.testing.assert_allclose(jnp.mean(states, 0)[:, 0], mean, atol=4 * np.sqrt(variance.max() / 4000))
    np.testing.assert_allclose(jnp.var(states, 0)[:, 0], variance, atol=4 * variance.max() * np.sqrt(2 / 4000))
    assert states.shape == (4000, 3, 1) and jnp.all(effort.accepted >= 2)


@slow
@pytest.mark.parametrize("steps", [24, None])
def test_linear_noise_is_stable_in_mean_square_exactly_where_it_should_be(steps):
    for rate in (-0.5, -0.2):  # 2 rate + NOISE**2 is -0.36 and 0.24
        model = LinearNoiseSDE(lambda t, z, rate=rate: rate * z, lambda t: NOISE)
        states, _ = ensemble(model, jnp.array([1.0]), keys_of(20000, 1), steps=steps)
        square = states[:, :, 0] ** 2
        exact = np.exp((2 * rate + NOISE**2) * TIMES)
        np.testing.assert_allclose(jnp.mean(square, 0), exact, rtol=0.12)
        assert (jnp.mean(square[:, 2]) < 0.9) == (2 * rate + NOISE**2 < 0)
        mean = jnp.mean(states[:, 2, 0])  # the linear mean knows nothing of the noise: Itô's sense
        np.testing.assert_allclose(mean, np.exp(rate), rtol=0.03)


def test_geometric_states_are_positive_at_large_steps():
    model = GeometricSDE(lambda t, z: -4.0 * z, lambda t: 2.0)  # two steps of 0.5, where Euler's would change sign
    keys = keys_of(500, 2)
    states, effort = ensemble(model, jnp.array([1.0, 3.0]), keys, steps=1)
    assert jnp.all(states > 0) and jnp.all(effort.accepted == 2) and jnp.all(jnp.isfinite(states))


@slow
def test_geometric_states_are_exact_for_constant_growth():
    growth, noise = 0.4, 0.7
    model = GeometricSDE(lambda t, z: growth, lambda t: noise)
    states, _ = ensemble(model, jnp.array([1.0]), keys_of(20000, 3), steps=1)
    np.testing.assert_allclose(jnp.mean(states, 0)[:, 0], np.exp(growth * TIMES), rtol=0.03)
    logarithm = jnp.log(states[:, 2, 0])
    np.testing.assert_allclose(jnp.mean(logarithm), growth - noise**2 / 2, atol=0.02)
    np.testing.assert_allclose(jnp.var(logarithm), noise**2, rtol=0.04)


@slow
def test_a_shift_of_the_input_is_forgotten():
    """Two paths that differ at first: states on the same noise approach each other at the rate of the drift."""
    ts = jnp.linspace(0.0, 4.0, 9)
    mixing = lambda t, z, x: z - x[1:]
    model = LangevinSDE(lambda z: -RATE * z, lambda t: NOISE, mixing)
    bump = jnp.where(ts < 1.2, 1.0, 0.0)[:, None]
    runs = [
        model(jnp.zeros(1), ts, key=jax.random.key(1), path=hermite_path(ts, shift), steps=16)[0]
        for shift in (bump, jnp.zeros((9, 1)))
    ]
    gap = jnp.abs(runs[0] - runs[1])[:, 0]
    np.testing.assert_allclose(gap[8] / gap[5], np.exp(-RATE * 1.5), rtol=1e-3)


def networks(size, width=8):
    one, two = jax.random.split(jax.random.key(5))
    return TimeMLP(size, width, 1, key=one), eqx.nn.MLP("scalar", size, 4, 1, jax.nn.tanh, jax.nn.softplus, key=two)


class Spiral(eqx.Module):
    network: eqx.nn.MLP

    def __call__(self, t, y, args):
        return self.network(y**3)


class Affine(eqx.Module):
    layer: eqx.nn.Linear

    def __call__(self, t, y, args):
        return self.layer(y)


def spiral(integrator):
    one, two = jax.random.split(jax.random.key(6))
    drift = Spiral(eqx.nn.MLP(2, 2, 6, 1, jnp.tanh, key=one))
    return NeuralSDE(drift, Diagonal(Affine(eqx.nn.Linear(2, 2, key=two))), integrator)


@slow
def test_gradients_are_those_of_finite_differences_on_the_same_noise():
    model = spiral(stochastic_integrator())
    parts, rest = eqx.partition(model, eqx.is_inexact_array)
    flat, unravel = jax.flatten_util.ravel_pytree(parts)
    direction = jax.random.normal(jax.random.key(7), flat.shape)
    y0, key = jnp.array([1.2, 0.3]), jax.random.key(8)

    @jax.jit
    def loss(size):
        states, _ = eqx.combine(unravel(flat + size * direction), rest)(y0, TIMES, key=key, steps=2)
        return jnp.sum(states**2)

    eps = 1e-5
    expected = (loss(eps) - loss(-eps)) / (2 * eps)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(0.0), expected, rtol=1e-6)


@slow
@pytest.mark.parametrize("regularizer", [None, GlobalError(), LocalError()])
def test_training_with_and_without_a_penalty(regularizer):
    model = spiral(stochastic_integrator(dfx.SPaRK(), 0.3, 0.3, regularizer=regularizer))

    @eqx.filter_jit
    @eqx.filter_value_and_grad(has_aux=True)
    def loss(model, keys):
        states, effort = ensemble(model, jnp.array([2.0, 0.0]), keys, interpolate=True)
        return jnp.mean(states**2) + jnp.mean(effort.penalty), effort

    (value, effort), slopes = loss(model, keys_of(20))
    leaves = jax.tree.leaves(eqx.filter(slopes, eqx.is_array))
    assert jnp.isfinite(value) and all(jnp.all(jnp.isfinite(leaf)) for leaf in leaves)
    assert any(jnp.any(leaf != 0) for leaf in leaves)
    assert jnp.all((effort.penalty > 0) == (regularizer is not None))
    silent = dataclasses.replace(model, integrator=dataclasses.replace(model.integrator, regularizer=None))
    states, silent_effort = ensemble(silent, jnp.array([2.0, 0.0]), keys_of(20), interpolate=True)
    assert jnp.all(silent_effort.penalty == 0) and jnp.all(jnp.isfinite(states))
    np.testing.assert_array_equal(silent_effort.accepted, effort.accepted)


@slow
def test_all_models_see_a_control_path():
    ts = jnp.linspace(0.0, 1.0, 5)
    values = jnp.sin(3 * ts)[:, None].at[2].set(jnp.nan)  # a missing value
    drift, diffusion = networks(2)
    mixing = eqx.nn.MLP(4, 2, 8, 1, key=jax.random.key(9))
    mix = lambda t, z, x: mixing(jnp.concatenate([z, x]))
    for model in (LangevinSDE(lambda z: drift(0.0, z), diffusion, mix), LinearNoiseSDE(drift, diffusion, mix),
                  GeometricSDE(drift, diffusion, mix)):  # fmt: skip
        z0 = jnp.array([1.0, 2.0])
        paths = [hermite_path(ts, scale * values) for scale in (1.0, 2.0)]
        runs = [model(z0, TIMES, key=jax.random.key(0), path=path, steps=4)[0] for path in paths]
        assert jnp.all(jnp.isfinite(runs[0])) and jnp.max(jnp.abs(runs[0] - runs[1])) > 1e-3


def test_bad_input_is_refused():
    key, mix = jax.random.key(0), lambda t, z, x: z + x[1:]
    plain = LangevinSDE(lambda z: -z, lambda t: NOISE)
    path = hermite_path(TIMES, TIMES[:, None])
    with pytest.raises(ValueError, match="got a `path` without a `mixing`"):
        plain(jnp.ones(1), TIMES, key=key, path=path)
    with pytest.raises(ValueError, match="got a `mixing` without a `path`"):
        dataclasses.replace(plain, mixing=mix)(jnp.ones(1), TIMES, key=key)
    with pytest.raises(ValueError, match="states are positive"):
        GeometricSDE(lambda t, z: -z, lambda t: NOISE)(jnp.array([1.0, -1.0]), TIMES, key=key)
    with pytest.raises(ValueError, match="needs a `key`"):
        plain(jnp.ones(1), TIMES, key=None)
    with pytest.raises(ValueError, match="may converge to a wrong solution"):
        LinearNoiseSDE(lambda t, z: -z, lambda t: NOISE, integrator=stochastic_integrator(dfx.Euler()))(
            jnp.ones(1), TIMES, key=key
        )
