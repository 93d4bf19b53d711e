"""Levenberg-Marquardt on rows of many samples."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.optimize import LevenbergMarquardt, Rows, normal_equations, total_loss


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


@pytest.mark.parametrize("chunk", [4, 15, 100])
def test_normal_equations_are_those_of_all_rows(chunk):
    flat, blocks = jnp.array([1.2, 0.7]), problem()

    def rows(flat):
        model = dict(amplitude=flat[0], rate=flat[1])
        return jnp.concatenate([b.scales(flat.dtype) * b.values(model) for b in blocks])

    matrix = jax.jacfwd(rows)(flat)
    normal = normal_equations(blocks, lambda f: dict(amplitude=f[0], rate=f[1]), flat, chunk)
    np.testing.assert_allclose(normal.matrix, matrix.T @ matrix, rtol=1e-12)
    np.testing.assert_allclose(normal.gradient, matrix.T @ rows(flat), rtol=1e-12)
    np.testing.assert_allclose(normal.loss, total_loss(blocks, dict(amplitude=flat[0], rate=flat[1])), rtol=1e-12)


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


def test_bad_input():
    with pytest.raises(Exception, match="not finite to begin with"):
        LevenbergMarquardt().init([Rows(lambda w, s: jnp.log(w), jnp.zeros(2))], jnp.array(-1.0))
    with pytest.raises(ValueError, match="at least 1"):
        LevenbergMarquardt(trials=0)
    with pytest.raises(TypeError, match="must be real"):
        run(LevenbergMarquardt(), [Rows(lambda w, s: jnp.abs(w), jnp.zeros(2))], jnp.array(1.0 + 1j), 1)
