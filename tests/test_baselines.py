"""Random end times and kinetic regularization, beside what is known in closed form."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.neural_de import KineticEnergy, RandomEnd, regularized_solve
from jaxsim.neural_de.baselines import total_derivative

PID = dfx.PIDController(rtol=1e-8, atol=1e-8)
RATE = 1.7


def decay(regularizer, y0=None, rate=RATE, **options):
    term = dfx.ODETerm(lambda t, y, rate: jax.tree.map(lambda a: -rate * a, y))
    y0 = {"a": jnp.array([1.0, 2.0])} if y0 is None else y0
    return regularized_solve(term, dfx.Tsit5(), 0.0, 2.0, 0.01, y0, args=rate, stepsize_controller=PID,
                             regularizer=regularizer, **options)  # fmt: skip


@pytest.mark.parametrize("order", [*(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2)), 3])
def test_kinetic_energy_of_decay(order):
    run, energy = decay(KineticEnergy(order))
    plain = dfx.diffeqsolve(dfx.ODETerm(lambda t, y, rate: -rate * y), dfx.Tsit5(), 0.0, 2.0, 0.01,
                            jnp.array([1.0, 2.0]), args=RATE, stepsize_controller=PID)  # fmt: skip
    exact = 2.5 * RATE ** (2 * order) * (1 - np.exp(-4 * RATE)) / (2 * RATE)
    np.testing.assert_allclose(energy, exact, rtol=1e-6)
    np.testing.assert_allclose(run.ys["a"], plain.ys, rtol=1e-14)  # the energy has no say in the steps
    assert run.stats["num_steps"] == plain.stats["num_steps"]


@pytest.mark.slow
@pytest.mark.parametrize("adjoint", [dfx.RecursiveCheckpointAdjoint(), dfx.BacksolveAdjoint()])
def test_gradient_of_the_kinetic_energy(adjoint):
    y0 = jnp.array([1.0, 2.0])
    exact = lambda rate: 2.5 * rate**3 / 2 * (1 - jnp.exp(-4 * rate))
    gradient = jax.grad(lambda rate: decay(KineticEnergy(2), y0, rate, adjoint=adjoint)[1])(RATE)
    np.testing.assert_allclose(gradient, jax.grad(exact)(RATE), rtol=1e-5)


@pytest.mark.slow
def test_what_is_saved_beside_the_kinetic_energy():
    ts = jnp.array([0.5, 1.0])
    run, energy = decay(KineticEnergy(1), saveat=dfx.SaveAt(ts=ts, fn=lambda t, y, args: y["a"][0]))
    np.testing.assert_allclose(run.ys, jnp.exp(-RATE * ts), rtol=1e-5)
    np.testing.assert_allclose(energy, decay(KineticEnergy(1))[1], rtol=1e-6)  # to the end, not to the last saved time
    with pytest.raises(ValueError, match="takes SaveAt"):
        decay(KineticEnergy(1), saveat=dfx.SaveAt(dense=True))


SLOW = [pytest.param(f, marks=pytest.mark.slow) for f in (jnp.tanh, jax.nn.gelu, jax.nn.silu, jnp.sin)]


@pytest.mark.parametrize("activation", [jax.nn.softplus, *SLOW], ids=lambda f: f.__name__)
def test_third_derivative_by_nested_tangents(activation):
    matrix = jax.random.normal(jax.random.key(0), (3, 2))
    field = lambda t, y: activation(jnp.concatenate([y, jnp.sin(t)[None]]) @ matrix)

    def along(function):
        return lambda t, y: jax.jvp(function, (t, y), (jnp.ones_like(t), field(t, y)))[1]

    t, y = jnp.asarray(0.3), jnp.array([0.4, -0.2])
    slope, third = total_derivative(field, t, y, 3)
    np.testing.assert_allclose(third, along(along(field))(t, y), rtol=1e-11)
    np.testing.assert_allclose(slope, field(t, y))


@pytest.mark.slow
def test_random_end_is_uniform_about_the_end():
    keys = jax.random.split(jax.random.key(0), 200)
    times, ends, penalties = jax.vmap(lambda key: stopped(decay(RandomEnd(0.5), key=key)))(keys)
    assert 1.5 <= times.min() < 1.55 and 2.45 < times.max() <= 2.5
    assert abs(times.mean() - 2.0) < 4 * 0.5 / np.sqrt(3 * 200)
    np.testing.assert_allclose(ends, jnp.exp(-RATE * times)[:, None] * jnp.array([1.0, 2.0]), rtol=1e-6)
    assert not penalties.any()


def stopped(solved):
    run, penalty = solved
    return run.ts[0], run.ys["a"][0], penalty


def test_bad_requests():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="takes SaveAt"):
        decay(RandomEnd(), key=key, saveat=dfx.SaveAt(ts=jnp.array([1.0, 2.0])))
    with pytest.raises(ValueError, match="give a `key`"):
        decay(RandomEnd())
    with pytest.raises(RuntimeError, match="less than"):
        decay(RandomEnd(2.0), key=key)
    with pytest.raises(ValueError, match="at least 1"):
        KineticEnergy(0)
    path = dfx.VirtualBrownianTree(0.0, 1.0, 1e-3, (), key)
    with pytest.raises(TypeError, match="ODETerm"):
        regularized_solve(dfx.ControlTerm(lambda t, y, a: y, path), dfx.Heun(), 0.0, 1.0, 0.1, jnp.ones(()),
                          stepsize_controller=PID, regularizer=KineticEnergy())  # fmt: skip
    with pytest.raises(ValueError, match="no working rule for `lgamma`"):
        total_derivative(lambda t, y: jax.scipy.special.gammaln(y), 0.0, jnp.ones(4), 2)
