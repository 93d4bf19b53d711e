"""Neural controlled differential equations: exact solutions, reparametrization, missing data, and a task."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from neural_models import check_model

from jaxsim.neural_de import Integrator, MatrixMLP, NeuralCDE, hermite_path, linear_path, rectilinear_path

KEY = jax.random.key(0)
PRECISE = Integrator(stepsize_controller=dfx.PIDController(rtol=1e-9, atol=1e-9))
MATRIX = jnp.array([[0.3, -0.8], [0.5, -0.4]])
TIMES = jnp.array([0.0, 0.3, 0.5, 0.9, 1.4])


class Wave(dfx.AbstractPath):
    """The control $X(t) = (s, \\sin 3 s)$ with $s = t$, or $s = t^2$."""

    quick: bool = False
    t0 = 0.0
    t1 = 1.0

    def evaluate(self, t0, t1=None, left=True):
        s = t0**2 if self.quick else t0
        return jnp.stack([s, jnp.sin(3 * s)])

    def derivative(self, t, left=True):
        return jax.jacfwd(self.evaluate)(t)


def model(dtype=None, integrator=PRECISE, path=linear_path):
    keys = jax.random.split(KEY, 3)
    return NeuralCDE(
        eqx.nn.Linear(3, 4, dtype=dtype, key=keys[0]),
        MatrixMLP(4, 3, 6, 1, dtype=dtype, key=keys[1]),
        eqx.nn.Linear(4, 1, dtype=dtype, key=keys[2]),
        integrator,
        path,
    )


def observations():
    values = jnp.stack([jnp.sin(TIMES), jnp.cos(TIMES)], 1)
    return values.at[2, 0].set(jnp.nan).at[0, 1].set(jnp.nan).at[4].set(jnp.nan)


def test_a_linear_field_has_the_matrix_exponential():
    field = lambda t, z, args: jnp.stack([jnp.zeros(2), MATRIX @ z], 1)  # driven by the second channel alone
    start = jnp.array([1.0, -2.0])
    linear = NeuralCDE(lambda x: start, field, lambda z: z, PRECISE)
    times = jnp.array([0.25, 1.0])
    found, effort = linear.along(Wave(), times)
    exact = jnp.stack([jax.scipy.linalg.expm(MATRIX * jnp.sin(3 * t)) @ start for t in times])
    np.testing.assert_allclose(found, exact, atol=1e-7)
    assert effort.accepted > 0


@pytest.mark.slow
@pytest.mark.parametrize("path", [hermite_path, rectilinear_path])
def test_only_the_ends_of_a_scalar_control_matter(path):
    field = lambda t, z, args: jnp.stack([jnp.zeros(2), MATRIX @ z], 1)
    start, series = jnp.array([1.0, -2.0]), jnp.array([[0.0], [1.0], [0.4], [1.5], [0.2]])
    end, _ = NeuralCDE(lambda x: start, field, lambda z: z, PRECISE, path)(TIMES, series)
    np.testing.assert_allclose(end, jax.scipy.linalg.expm(0.2 * MATRIX) @ start, atol=1e-7)


@pytest.mark.slow
def test_the_speed_of_the_control_does_not_matter():
    keys = jax.random.split(KEY, 2)
    cde = NeuralCDE(eqx.nn.Linear(2, 4, key=keys[0]), MatrixMLP(4, 2, 6, 1, key=keys[1]), lambda z: z, PRECISE)
    slow, quick = (cde.along(Wave(quick))[0] for quick in (False, True))
    np.testing.assert_allclose(quick, slow, atol=1e-7)
    values = jax.random.normal(KEY, (5, 2))
    one, other = (cde.along(dfx.LinearInterpolation(ts, values))[0] for ts in (TIMES, jnp.exp(TIMES)))
    np.testing.assert_allclose(other, one, atol=1e-7)


@pytest.mark.parametrize("path", [hermite_path, linear_path, rectilinear_path])
def test_paths_pass_through_what_was_observed(path):
    values = observations()
    control = path(TIMES, values)
    found = jax.vmap(control.evaluate)(TIMES)
    np.testing.assert_allclose(found[:, 0], TIMES, atol=1e-12)
    np.testing.assert_allclose(found[:, 1:][~jnp.isnan(values)], values[~jnp.isnan(values)], atol=1e-12)
    np.testing.assert_allclose(found[0, 2], values[1, 1])  # before the first value of a channel
    np.testing.assert_allclose(found[4, 1:], values[3])  # after the last one
    empty = path(TIMES, values.at[:, 0].set(jnp.nan))
    assert jnp.all(jax.vmap(empty.evaluate)(TIMES)[:, 1] == 0)


@pytest.mark.slow
def test_rectilinear_paths_do_not_look_ahead():
    values, times = observations(), TIMES[:3]
    changed = values.at[3, 0].set(9.0)
    read = eqx.filter_jit(lambda model, values: model(TIMES, values, times)[0])
    causal = model(path=rectilinear_path)
    np.testing.assert_allclose(read(causal, changed), read(causal, values), atol=1e-12)
    ahead = model(path=linear_path)  # bridges the gap at the third time
    assert jnp.abs(read(ahead, changed)[2] - read(ahead, values)[2]).max() > 1e-3


@pytest.mark.slow
def test_kinks_are_ends_of_steps():
    values = jnp.array([[0.0, 0], [3, -1], [-2, 4], [2, 2], [0, -3]])
    cde = model()
    end, effort = cde(TIMES, values)
    inside, _ = cde(TIMES, values, jnp.array([0.7, 1.4]))
    np.testing.assert_allclose(inside[1], end, atol=1e-8)
    np.testing.assert_allclose(cde(TIMES, values, 0.7)[0], inside[0], atol=1e-6)
    term = dfx.ControlTerm(cde.vector_field, linear_path(TIMES, values)).to_ode()
    start = cde.initial(jnp.array([0.0, 0.0, 0.0]))
    plain = dfx.diffeqsolve(term, dfx.Tsit5(), 0.0, 1.4, None, start,
                            stepsize_controller=PRECISE.stepsize_controller)  # fmt: skip
    np.testing.assert_allclose(end, cde.readout(plain.ys[0]), atol=1e-6)
    assert effort.accepted + effort.rejected < 0.8 * plain.stats["num_steps"]


@pytest.mark.slow
@pytest.mark.parametrize("path, rtol, step", [(rectilinear_path, 1e-5, 1e-5), (hermite_path, 1e-3, 1e-3)])
def test_gradients_batches_and_precisions(path, rtol, step):
    points = jnp.stack([TIMES, 1.3 * TIMES + 0.1])  # each series has its own times
    evaluate = lambda model, ts: jnp.sum(model(ts, observations().astype(ts.dtype))[0])
    check_model(lambda dtype=None, integrator=PRECISE: model(dtype, integrator, path), evaluate, points, rtol, step)


def test_bad_input_is_refused():
    cde, values = model(), observations()
    with pytest.raises(ValueError, match="order"):
        cde(TIMES[::-1], values)
    with pytest.raises(ValueError, match="order"):
        cde(TIMES.at[1].set(0.0), values)
    with pytest.raises(ValueError, match="needs times of shape"):
        cde(TIMES, values[:3])
    with pytest.raises(ValueError, match="not be before"):
        cde(TIMES, values, -1.0)
    with pytest.raises(ValueError, match="ends too early"):
        cde(TIMES, values, 2.0)
    wrong = eqx.tree_at(lambda m: m.vector_field, cde, MatrixMLP(4, 2, 6, 1, key=KEY))
    with pytest.raises(ValueError, match="time as the first channel"):
        wrong(TIMES, values)


@pytest.mark.slow
def test_it_learns_the_direction_of_spirals():
    """Points of noisy spirals at times of their own, a quarter missing; does it turn clockwise?"""
    keys = jax.random.split(KEY, 8)

    def batch(key, count=128, length=40):
        a, b, c, d, e = jax.random.split(key, 5)
        label = jax.random.bernoulli(a, 0.5, (count,))
        ts = jnp.sort(jax.random.uniform(b, (count, length), maxval=6.0), 1)
        phase = jax.random.uniform(c, (count, 1), maxval=2 * jnp.pi)
        angle, radius = phase + jnp.where(label, 1.0, -1.0)[:, None] * ts, jnp.exp(-0.2 * ts)
        points = radius[..., None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1)
        points = points + 0.02 * jax.random.normal(d, points.shape)
        return ts, jnp.where(jax.random.bernoulli(e, 0.25, points.shape), jnp.nan, points), label

    integrator = Integrator(stepsize_controller=dfx.PIDController(rtol=1e-3, atol=1e-4))
    cde = NeuralCDE(
        eqx.nn.MLP(3, 8, 32, 1, key=keys[0]), MatrixMLP(8, 3, 32, 1, key=keys[1]),
        eqx.nn.Linear(8, "scalar", key=keys[2]), integrator, linear_path,
    )  # fmt: skip
    optimizer = optax.adam(1e-2)

    def logits(cde, ts, values):
        return jax.vmap(lambda t, x: cde(t, x)[0])(ts, values)

    @eqx.filter_jit
    def improve(cde, state, ts, values, label):
        loss = lambda cde: optax.sigmoid_binary_cross_entropy(logits(cde, ts, values), label.astype(float)).mean()
        updates, state = optimizer.update(eqx.filter_grad(loss)(cde), state)
        return eqx.apply_updates(cde, updates), state

    state = optimizer.init(eqx.filter(cde, eqx.is_inexact_array))
    for key in jax.random.split(keys[3], 40):
        cde, state = improve(cde, state, *batch(key, 32))
    ts, values, label = batch(keys[4], 256)
    assert jnp.mean((eqx.filter_jit(logits)(cde, ts, values) > 0) == label) > 0.9


def test_times_beyond_the_series_raise_under_jit():
    ts, values = jnp.linspace(0.0, 1.0, 4), jnp.ones((4, 1))
    model = NeuralCDE(lambda x: x, lambda t, z, args: jnp.eye(2), lambda z: z, path=linear_path)
    read = eqx.filter_jit(lambda time: model(ts, values, time)[0])
    assert jnp.all(jnp.isfinite(read(jnp.asarray(0.5))))
    for time, message in ((1.5, "ends too early"), (-0.5, "before the series begins")):
        with pytest.raises(Exception, match=message):
            jax.block_until_ready(read(jnp.asarray(time)))
