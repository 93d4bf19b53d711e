"""Models made of differential equations: neural ODEs, augmented states, latent ODEs."""

import dataclasses

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from neural_models import check_model

from jaxsim.neural_de import (
    Augmented,
    GlobalError,
    GRUEncoder,
    Integrator,
    LatentODE,
    LocalError,
    NeuralODE,
    TimeMLP,
)
from jaxsim.neural_de._times import check_times

KEY = jax.random.key(0)
PRECISE = Integrator(stepsize_controller=dfx.PIDController(rtol=1e-9, atol=1e-9))
ROTATION = jnp.array([[-0.1, 2.0], [-2.0, -0.1]])


def rotate(t, y, args):
    return ROTATION.astype(y.dtype) @ y


def rotated(y0, t):
    turn = jnp.array([[jnp.cos(2 * t), jnp.sin(2 * t)], [-jnp.sin(2 * t), jnp.cos(2 * t)]])
    return jnp.exp(-0.1 * t) * turn @ y0


def neural_ode(dtype=None, integrator=PRECISE):
    return NeuralODE(TimeMLP(2, 6, 1, dtype=dtype, key=KEY), integrator)


def latent_ode(dtype=None, integrator=PRECISE):
    keys = jax.random.split(KEY, 3)
    return LatentODE(
        GRUEncoder(2, 5, 3, dtype=dtype, key=keys[0]),
        TimeMLP(3, 6, 1, time=False, dtype=dtype, key=keys[1]),
        eqx.nn.Linear(3, 2, dtype=dtype, key=keys[2]),
        integrator,
    )


def series(dtype=float):
    ts = jnp.array([0.0, 0.2, 0.7, 0.8, 1.5], dtype)
    values = jnp.stack([jnp.sin(ts), jnp.cos(2 * ts)], 1)
    mask = jnp.array([[1, 1], [1, 0], [0, 0], [0, 1], [1, 1]], bool)
    return ts, jnp.where(mask, values, jnp.nan), mask


def test_neural_ode_follows_its_field():
    model, y0 = NeuralODE(rotate, PRECISE), jnp.array([1.0, 0.5])
    end, effort = model(y0, 1.5)
    np.testing.assert_allclose(end, rotated(y0, 1.5), atol=1e-7)
    assert effort.penalty == 0 and effort.evaluations == 6 * (effort.accepted + effort.rejected) + 1
    ts = jnp.array([1.0, 1.3, 2.5])
    states, _ = model(y0, ts)
    np.testing.assert_allclose(states, jax.vmap(lambda t: rotated(y0, t - 1.0))(ts), atol=1e-6)


@pytest.mark.slow
def test_neural_ode_runs_backward_and_on_pytrees():
    y0, ts = jnp.array([1.0, 0.5]), jnp.array([2.5, 1.3, 1.0])
    states, _ = NeuralODE(rotate, PRECISE)(y0, ts)
    np.testing.assert_allclose(states, jax.vmap(lambda t: rotated(y0, t - 2.5))(ts), atol=1e-6)
    parts, _ = NeuralODE(lambda t, y, a: {"x": a * y["x"], "n": t}, PRECISE)({"x": y0, "n": 0}, 2.0, args=-1.0)
    np.testing.assert_allclose(parts["x"], y0 * jnp.exp(-2.0), rtol=1e-7)
    np.testing.assert_allclose(parts["n"], 2.0, rtol=1e-7)


def test_time_is_a_component_of_the_networks_input():
    field, blind = (TimeMLP(2, 6, 1, time=time, key=KEY) for time in (True, False))
    y = jnp.array([0.3, -1.0])
    np.testing.assert_allclose(field(0.7, y), field.network(jnp.array([0.3, -1.0, 0.7])))
    assert jnp.any(field(0.1, y) != field(0.2, y)) and jnp.all(blind(0.1, y) == blind(0.2, y))


@pytest.mark.slow
def test_a_penalty_is_one_argument():
    model, y0 = neural_ode(), jnp.array([1.0, 0.5])
    plain, effort = model(y0, 1.0)
    trained = eqx.tree_at(lambda m: m.integrator.regularizer, model, GlobalError(), is_leaf=lambda x: x is None)
    value, effort = trained(y0, 1.0)
    assert effort.penalty > 0
    np.testing.assert_array_equal(value, plain)
    free = dataclasses.replace(trained.integrator, regularizer=None)
    assert dataclasses.replace(trained, integrator=free)(y0, 1.0)[1].penalty == 0


def test_augmented_appends_zeros_and_drops_them():
    def field(t, y, args):
        return jnp.stack([y[2], -y[1], -y[0]])  # the third component drives the first

    y0 = jnp.array([1.0, 2.0])
    inner = NeuralODE(field, PRECISE)
    kept, _ = Augmented(inner, 1, keep=True)(y0, jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(kept[1], [jnp.cos(1.0), 2 * jnp.exp(-1.0), -jnp.sin(1.0)], atol=1e-8)
    echo = lambda y, shift: (y + shift, None)
    np.testing.assert_array_equal(Augmented(echo, 1, keep=True)(y0, 1.0)[0], [2.0, 3.0, 1.0])
    np.testing.assert_array_equal(Augmented(echo, 2)(jnp.ones((4, 2)), 1.0)[0], jnp.full((4, 2), 2.0))
    with pytest.raises(ValueError, match="at least 1"):
        Augmented(inner, 0)
    with pytest.raises(ValueError, match="not 3 components"):
        Augmented(lambda y: (jnp.sum(y), None), 1)(y0)
    with pytest.raises(ValueError, match="state has shape"):
        Augmented(inner, 2)(y0, 1.0)


def test_the_encoder_reads_backward_and_skips_what_is_missing():
    model, (ts, values, mask) = latent_ode(), series()
    mean, log_scale = model.encode(ts, values)
    for other in (jnp.where(mask, values, 7.0), jnp.where(mask, values, -1e9)):
        np.testing.assert_array_equal(model.encode(ts, other, mask=mask)[0], mean)
    rows = jnp.array([0, 1, 3, 4])  # the third time has no value at all
    np.testing.assert_allclose(model.encode(ts[rows], values[rows])[0], mean, rtol=1e-12)
    padded = jnp.append(ts, 1.5), jnp.concatenate([values, jnp.full((1, 2), jnp.nan)])
    np.testing.assert_allclose(model.encode(*padded)[1], log_scale, rtol=1e-12)
    encoder, state = model.encoder, jnp.zeros(5)
    gaps = {4: 0.0, 3: 0.7, 1: 0.6, 0: 0.2}  # to the next time that has a value
    for i, gap in gaps.items():
        value = jnp.where(mask[i], values[i], 0.0)
        state = encoder.cell(jnp.concatenate([value, mask[i].astype(float), jnp.array([gap])]), state)
    head = encoder.head(jnp.append(state, 0.0))
    np.testing.assert_allclose(jnp.concatenate([mean, log_scale]), head, rtol=1e-12)
    assert jnp.any(model.encode(ts, values, t0=-1.0)[0] != mean)


@pytest.mark.slow
def test_latent_predictions_are_at_any_times():
    model, (ts, values, _) = latent_ode(), series()
    fitted, effort = model(ts, values)
    times = jnp.array([0.1, 0.7, 2.0])
    expected, _ = model(ts, values, times)
    assert fitted.shape == (5, 2) and expected.shape == (3, 2) and effort.accepted > 0
    np.testing.assert_allclose(expected[1], fitted[2], atol=1e-6)
    start, _ = model.encode(ts, values)
    later, _ = NeuralODE(model.vector_field, PRECISE)(start, 2.0)
    np.testing.assert_allclose(expected[2], model.decoder(later), atol=1e-7)
    drawn, _ = model(ts, values, times, key=KEY)
    assert jnp.all(drawn != expected)


@pytest.mark.slow
def test_the_elbo_is_likelihood_minus_divergence():
    model, (ts, values, mask) = latent_ode(), series()
    noise, weight = jnp.array([0.3, 0.5]), 0.7
    bound, _ = model.elbo(ts, values, noise=noise, key=KEY, kl_weight=weight)
    mean, log_scale = model.encode(ts, values)
    draw = jax.random.split(KEY)[0]
    start = mean + jnp.exp(log_scale) * jax.random.normal(draw, (3,))
    path, _ = NeuralODE(model.vector_field, PRECISE)(start, ts)
    normal = jax.scipy.stats.norm.logpdf(values, jax.vmap(model.decoder)(path), noise)
    grid = jnp.linspace(-12.0, 12.0, 4001)  # the divergence by quadrature

    def divergence(m, s):
        posterior = jax.scipy.stats.norm.logpdf(grid, m, s)
        gap = posterior - jax.scipy.stats.norm.logpdf(grid)
        return jnp.trapezoid(jnp.exp(posterior) * gap, grid)

    penalty = jnp.sum(jax.vmap(divergence)(mean, jnp.exp(log_scale)))
    np.testing.assert_allclose(bound, jnp.sum(normal[mask]) - weight * penalty, rtol=1e-6)
    loss, _ = model.loss(ts, values, noise=noise, key=KEY, kl_weight=weight)
    np.testing.assert_allclose(loss, -bound / 6)
    blind = model.elbo(ts, values, noise=noise, key=KEY, seen=mask.at[0].set(False))[0]
    assert jnp.abs(blind - model.elbo(ts, values, noise=noise, key=KEY)[0]) > 1e-3


def evaluate_ode(model, point):
    return jnp.sum(model(point, 1.0)[0])


def evaluate_latent(model, ts):
    return jnp.sum(model(ts, series()[1].astype(ts.dtype))[0] ** 2)


CASES = {
    "ode": (neural_ode, evaluate_ode, jnp.array([[1.0, 0.5], [0.2, -0.4]])),
    "latent": (latent_ode, evaluate_latent, jnp.stack([series()[0], 1.3 * series()[0] + 0.1])),
}


@pytest.mark.parametrize("case", ["ode", pytest.param("latent", marks=pytest.mark.slow)])
def test_gradients_batches_and_precisions(case):
    make, evaluate, points = CASES[case]
    check_model(make, evaluate, points)


def test_bad_input_is_refused():
    model, y0 = neural_ode(), jnp.array([1.0, 0.5])
    for times in ([0.0, 2.0, 1.0], jnp.array([0.0, 0.0, 1.0])):
        with pytest.raises(ValueError, match="order"):
            model(y0, times)
    with pytest.raises(eqx.EquinoxRuntimeError, match="order"):  # times that are known inside jit alone
        eqx.filter_jit(lambda ts: check_times(ts, float, "A model"))(jnp.array([0.0, 2.0, 1.0])).block_until_ready()
    with pytest.raises(ValueError, match="at least 2"):
        model(y0, jnp.array([1.0]))
    with pytest.raises(ValueError, match="state has shape"):
        NeuralODE(lambda t, y, a: y[:1], PRECISE)(y0, 1.0)
    latent, (ts, values, mask) = latent_ode(), series()
    with pytest.raises(ValueError, match="ascending"):
        latent(ts[::-1], values)
    with pytest.raises(ValueError, match="shape"):
        latent(ts[:-1], values)
    with pytest.raises(ValueError, match="`mask` has shape"):
        latent(ts, values, mask=mask[0])
    with pytest.raises(ValueError, match="not be before"):
        latent(ts, values, ts - 1)
    with pytest.raises(ValueError, match="positive"):
        latent.elbo(ts, values, noise=0.0, key=KEY)


@pytest.mark.slow
def test_first_steps_in_either_direction_and_the_evaluations_of_a_penalty():
    model = NeuralODE(lambda t, y, args: -y)
    y0 = jnp.ones(2, jnp.float32)
    for ts in (jnp.array([0.0, 0.5]), jnp.array([0.5, 0.0])):
        bold = dataclasses.replace(model, integrator=Integrator(dt0=0.25))
        states, effort = bold(y0, ts)
        assert effort.accepted < model(y0, ts)[1].accepted and states.dtype == jnp.float32
        np.testing.assert_allclose(states[-1], jnp.exp(ts[0] - ts[-1]), rtol=1e-4)
    local = dataclasses.replace(model, integrator=Integrator(regularizer=LocalError()))
    more = local(y0, 0.5, key=jax.random.key(0))[1].evaluations - model(y0, 0.5)[1].evaluations
    assert more == 7  # one step of Tsit5 by itself
