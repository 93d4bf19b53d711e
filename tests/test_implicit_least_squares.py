"""Solutions of least squares, and their derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.optimize import GaussNewton, Implicit, OnFailure, SolveStatus, least_squares


def cubic(a):
    return least_squares(lambda y, a: y**3 + y - a, jnp.array(1.5), a).value


@pytest.mark.slow
def test_a_scalar_root_in_every_mode():
    @jax.jit
    def every(a):
        first = jax.grad(cubic)
        return cubic(a), first(a), jax.jacfwd(cubic)(a), jax.jacfwd(first)(a), jax.grad(first)(a)

    np.testing.assert_allclose(every(jnp.array(2.0)), [1, 0.25, 0.25, -0.09375, -0.09375], rtol=1e-9)


def conditioned(rows, size, condition, dtype, seed=0):
    rng = np.random.default_rng(seed)
    left, _ = np.linalg.qr(rng.standard_normal((rows, size)))
    right, _ = np.linalg.qr(rng.standard_normal((size, size)))
    return jnp.asarray((left * np.logspace(0, -np.log10(condition), size)) @ right.T, dtype), rng


@pytest.mark.slow
@pytest.mark.parametrize("condition, dtype, bound", [(1e2, float, 1e-12), (1e6, float, 1e-9), (1e4, np.float32, 1e-4)])
def test_the_gradient_loses_the_condition_number_once(condition, dtype, bound):
    matrix, rng = conditioned(200, 16, condition, dtype)
    code, toward = rng.standard_normal(16), rng.standard_normal(16)
    right = matrix @ jnp.asarray(code, dtype)

    @jax.jit
    @jax.grad
    def gradient(theta):
        unknowns = least_squares(lambda w, t: matrix @ w - t * right, jnp.zeros(16, dtype), theta).value
        return unknowns @ jnp.asarray(toward, dtype)

    expected = np.asarray(toward, dtype) @ np.linalg.lstsq(np.asarray(matrix, float), np.asarray(right, float))[0]
    found = gradient(jnp.asarray(1.0, dtype))
    assert abs(found - expected) < bound * np.linalg.norm(toward) * np.linalg.norm(code)


@pytest.mark.slow
def test_a_residual_that_does_not_vanish_bends_the_derivative():
    t = jnp.linspace(0, 1, 12)
    data = jnp.exp(-t) + 0.3 * jnp.cos(9 * t)
    model = lambda w, data: w[0] * jnp.exp(-w[1] * t) - data
    method, guess = GaussNewton(1e-13), jnp.array([1.0, 1.0])
    solve = lambda data, **how: least_squares(model, guess, data, method=method, **how).value
    exact = jax.jacrev(solve)(data)
    step = 1e-5
    direction = jnp.sin(5 * t)
    difference = (solve(data + step * direction) - solve(data - step * direction)) / (2 * step)
    np.testing.assert_allclose(exact @ direction, difference, rtol=1e-6)
    flat = jax.jacrev(lambda data: solve(data, adjoint=Implicit(curvature=False)))(data) @ direction
    assert np.max(np.abs(flat / difference - 1)) > 1e-2
    np.testing.assert_allclose(jax.jvp(solve, (data,), (direction,))[1], exact @ direction, rtol=1e-9)


@pytest.mark.slow
def test_unknowns_that_are_not_determined():
    matrix = jnp.array([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]])
    right = jnp.array([1.0, 2.0, 0.0])
    solve = lambda theta: least_squares(lambda w, t: matrix @ w - t * right, jnp.zeros(2), theta)
    solved = solve(jnp.array(1.0))
    assert solved.status == SolveStatus.rank_deficient and solved.rank == 1
    np.testing.assert_allclose(jax.grad(lambda t: jnp.sum(solve(t).value))(jnp.array(1.0)), 1.0, rtol=1e-7)


def test_one_failure_in_a_batch_is_flagged_and_stays_alone():
    def loss(a, on_failure):
        solve = lambda a: least_squares(lambda y, a: y**2 - a, jnp.array(1.0), a, on_failure=on_failure)
        solved = jax.vmap(solve)(a)
        return jnp.sum(solved.value), solved

    a = jnp.array([1.0, 2.0, 4.0, -1.0])
    gradient, solved = jax.grad(loss, has_aux=True)(a, OnFailure.STOP)
    np.testing.assert_allclose(gradient, [0.5, 0.5 / np.sqrt(2), 0.25, 0.0], rtol=1e-8)
    np.testing.assert_array_equal(solved.succeeded, [True, True, True, False])
    assert np.all(np.isnan(loss(a, OnFailure.NAN)[1].value) == [False, False, False, True])
    with pytest.raises(eqx.EquinoxRuntimeError, match="did not converge"):
        loss(a, OnFailure.RAISE)


@pytest.mark.slow
def test_arrays_that_are_closed_over_have_gradients_and_limits_are_traced():
    def value(scale):
        return least_squares(lambda y, _: y**3 + y - scale, jnp.array(1.5)).value

    np.testing.assert_allclose(jax.grad(value)(jnp.array(2.0)), 0.25, rtol=1e-9)

    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def steps(tolerance):
        method = GaussNewton(tolerance)
        return least_squares(lambda y, a: y**3 + y - a, jnp.array(1.5), jnp.array(2.0), method=method).steps

    assert steps(jnp.array(1e-2)) < steps(jnp.array(1e-12))


def test_bad_input():
    with pytest.raises(TypeError, match="pytree of real arrays"):
        least_squares(lambda w, _: w, jnp.array([1]))
    with pytest.raises(TypeError, match="must be real"):
        least_squares(lambda w, _: w + 1j, jnp.array([1.0]))
