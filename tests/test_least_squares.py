"""Levenberg-Marquardt on rows of many samples."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.optimize import DenseQR, LevenbergMarquardt, NormalEquations, Rows, SampleSpace, total_loss


def wave(model, sample):
    t, value = sample
    return model["amplitude"] * jnp.sin(model["rate"] * t) - value


def problem():
    t = jnp.linspace(0, 2, 23)
    values = 2 * jnp.sin(1.5 * t)
    return [Rows(wave, (t[:15], values[:15]), 3.0), Rows(wave, (t[15:], values[15:]), t[15:])]


def run(method, blocks, model, steps):
    state = method.init(blocks, model)
    step = eqx.filter_jit(method.step)
    losses = [state.loss]
    for _ in range(steps):
        model, state = step(blocks, model, state)
        losses.append(state.loss)
    return model, state, np.asarray(losses)


def of_vector(flat):
    return dict(amplitude=flat[0], rate=flat[1])


@eqx.filter_jit
def linearized(system, blocks, model_of, flat, dampings):
    linear = system.linearize(blocks, model_of, flat)
    changes = jax.vmap(lambda damping: linear.solve(damping)[0])(dampings)
    return linear, linear.diagonal, changes, jax.vmap(linear.predicted)(dampings, changes)


@pytest.mark.parametrize("system", [NormalEquations(4), SampleSpace(), DenseQR()])
def test_every_system_knows_all_rows_and_takes_the_damped_step(system):
    flat, blocks, damping = jnp.array([1.2, 0.7]), problem(), 0.3
    rows = jax.jit(lambda flat: jnp.concatenate([b.scales(flat.dtype) * b.values(of_vector(flat)) for b in blocks]))
    matrix, values = np.asarray(jax.jit(jax.jacfwd(rows))(flat)), np.asarray(rows(flat))
    linear, diagonal, changes, predicted = linearized(system, blocks, of_vector, flat, jnp.array([damping]))
    np.testing.assert_allclose(linear.gradient, matrix.T @ values, rtol=1e-12)
    np.testing.assert_allclose(diagonal, np.sum(matrix**2, 0), rtol=1e-12)
    np.testing.assert_allclose(linear.loss, values @ values, rtol=1e-12)
    change = np.linalg.solve(matrix.T @ matrix + damping * np.eye(2), -matrix.T @ values)
    np.testing.assert_allclose(changes[0], change, rtol=1e-12)
    np.testing.assert_allclose(predicted[0], values @ values - np.sum((values + matrix @ change) ** 2), rtol=1e-12)


def test_parameters_or_samples_or_rotations_are_the_same_steps():
    rng = np.random.default_rng(0)
    matrix, flat = jnp.asarray(rng.standard_normal((20, 130))), jnp.asarray(0.1 * rng.standard_normal(130))
    blocks, dampings = [Rows(lambda w, s: jnp.sin(s @ w) - 0.5, matrix)], jnp.array([1e-4, 1.0])
    systems = (NormalEquations(), SampleSpace(), DenseQR())
    normal, *others = [linearized(system, blocks, lambda f: f, flat, dampings)[2] for system in systems]
    for other in others:
        np.testing.assert_allclose(other, normal, atol=1e-10)


def test_rotations_keep_digits_that_squares_lose():
    wanted = np.cos(np.arange(12.0))
    powers = np.linspace(0, 1, 40)[:, None] ** np.arange(12)
    blocks = [Rows(lambda w, s: s @ w - s @ wanted, jnp.asarray(powers))]
    errors = []
    for system in (NormalEquations(), DenseQR()):
        change = linearized(system, blocks, lambda w: w, jnp.zeros(12), jnp.array([1e-26]))[2][0]
        errors.append(np.max(np.abs(np.nan_to_num(change, nan=1.0) - wanted)))
    assert errors[1] < 1e-7 and errors[0] > 1e3 * errors[1]


def test_complex_rows_count_twice():
    blocks = [Rows(lambda w, s: jnp.exp(1j * s * w) - jnp.exp(0.8j * s), jnp.linspace(0, 1, 7))]
    linear = linearized(NormalEquations(), blocks, lambda w: w[0], jnp.array([0.5]), jnp.ones(1))[0]
    loss, gradient = jax.jit(jax.value_and_grad(lambda w: total_loss(blocks, w)))(0.5)
    np.testing.assert_allclose([linear.loss, 2 * linear.gradient[0]], [loss, gradient], rtol=1e-12)


def test_parameters_are_found_to_rounding():
    model, state, losses = run(LevenbergMarquardt(), problem(), dict(amplitude=jnp.array(1.0), rate=jnp.array(1.0)), 15)
    np.testing.assert_allclose([model["amplitude"], model["rate"]], [2.0, 1.5], rtol=1e-9)
    assert np.all(np.diff(losses) <= 0)


def test_a_linear_problem_takes_one_step_without_damping():
    matrix = jax.random.normal(jax.random.key(0), (30, 5))
    wanted = jnp.arange(5.0)
    blocks = [Rows(lambda w, s: s @ w - s @ wanted, matrix)]
    model, state, losses = run(LevenbergMarquardt(damping=1e-14), blocks, jnp.zeros(5), 1)
    np.testing.assert_allclose(model, wanted, atol=1e-9)
    np.testing.assert_allclose(state.gain, 1.0, rtol=1e-6)


def test_rosenbrock():
    blocks = [Rows(lambda w, s: jnp.stack([10 * (w[1] - w[0] ** 2), 1 - w[0]]), jnp.zeros(1))]
    model, _, losses = run(LevenbergMarquardt(), blocks, jnp.array([-1.2, 1.0]), 40)
    np.testing.assert_allclose(model, 1.0, rtol=1e-8)
    assert losses[-1] < 1e-16


def test_a_step_that_improves_nothing_changes_nothing():
    blocks = [Rows(lambda w, s: jnp.where(jnp.abs(w - 1) < 1e-12, 1.0 + 0 * w, jnp.nan), jnp.zeros(3))]
    method = LevenbergMarquardt()
    model, state, _ = run(method, blocks, jnp.array(1.0), 1)
    assert model == 1.0 and state.loss == 1.0 and state.gain == -1


def test_no_gradient_through_weights_and_no_new_trace():
    blocks = problem()
    model = dict(amplitude=jnp.array(1.0), rate=jnp.array(1.0))
    gradient = jax.grad(lambda w: Rows(wave, blocks[0].samples, w).loss(model))(2.0)
    assert gradient == 0.0
    method = LevenbergMarquardt()
    step = eqx.filter_jit(eqx.debug.assert_max_traces(method.step, max_traces=1))
    state = method.init(blocks, model)
    for weight in (1.0, 2.0):
        step([Rows(wave, blocks[0].samples, jnp.asarray(weight))], model, state)


class Energy:
    """A block with a loss that is no sum of squares."""

    def loss(self, model):
        return model


def test_bad_input():
    with pytest.raises(Exception, match="not finite to begin with"):
        LevenbergMarquardt().init([Rows(lambda w, s: jnp.log(w), jnp.zeros(2))], jnp.array(-1.0))
    with pytest.raises(ValueError, match="at least 1"):
        LevenbergMarquardt(trials=0)
    with pytest.raises(ValueError, match="`chunk` is at least 1"):
        NormalEquations(0)
    with pytest.raises(TypeError, match="Energy has none"):
        LevenbergMarquardt().init([Energy()], jnp.array(1.0))
    with pytest.raises(TypeError, match="must be real"):
        run(LevenbergMarquardt(), [Rows(lambda w, s: jnp.abs(w), jnp.zeros(2))], jnp.array(1.0 + 1j), 1)


@pytest.mark.parametrize("system", [NormalEquations(), SampleSpace(), DenseQR()])
def test_a_step_is_bent_by_the_second_derivative_of_the_rows(system):
    blocks = [Rows(lambda w, s: jnp.stack([jnp.exp(w[0] * s) * w[1] - 1, jnp.sin(w[1] + s)]), jnp.linspace(0, 1, 7))]
    flat = jnp.array([0.1, 0.2])
    rows = lambda flat: (blocks[0].scales(flat.dtype)[:, None] * blocks[0].values(flat)).ravel()
    derivatives = jax.jit(lambda flat: (rows(flat), jax.jacfwd(rows)(flat), jax.jacfwd(jax.jacfwd(rows))(flat)))
    values, matrix, second = map(np.asarray, derivatives(flat))
    damping = 10 * np.mean(np.sum(matrix**2, 0))
    inverse = np.linalg.inv(matrix.T @ matrix + damping * np.eye(2))
    straight = -inverse @ matrix.T @ values
    bend = -inverse @ matrix.T @ (second @ straight @ straight) / 2
    for accelerated, expected in ((True, straight + bend), (False, straight)):
        method = LevenbergMarquardt(system, damping=10.0, trials=1, accelerated=accelerated)
        model, state = eqx.filter_jit(lambda flat, m=method: m.step(blocks, flat, m.init(blocks, flat)))(flat)
        assert state.gain > 0
        np.testing.assert_allclose(model - flat, expected, rtol=1e-10)


@pytest.mark.parametrize(("curvature", "bent"), [(3.8, True), (4.2, False)])
@pytest.mark.parametrize("size", [1.0, 1e6])
def test_a_step_is_bent_by_no_more_than_half_its_length(curvature, bent, size):
    """Row s (-1 + w + c w² / 2) with damping 1 s²: the step is 1/2, and half its acceleration -c / 16."""
    row = Rows(lambda w, s: size * (-1 + w[0] + curvature / 2 * w[0] ** 2 + 0 * s), jnp.zeros(1))
    method, w = LevenbergMarquardt(damping=1.0, trials=1), jnp.zeros(1)
    moved, state = method.step([row], w, method.init([row], w))
    assert state.gain > 0
    np.testing.assert_allclose(moved, 0.5 - bent * curvature / 16, rtol=1e-10)
