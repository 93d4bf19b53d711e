"""Nearest states on linear equations between bounds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from projections import check_batch, check_derivatives, check_sharded, traces

import jaxsim as js
from jaxsim.constraints import BoxAffineProjection, Projected
from jaxsim.constraints.projections._douglas_rachford import Splitting
from jaxsim.optimize import OnFailure, SolveStatus


def problem(size, rows, scale=0.0, seed=0):
    """Equations with solutions in the unit box, whose rows and columns differ by powers of ten, and a point outside."""
    rng = np.random.default_rng(seed)
    spread = lambda n: 10 ** (scale * rng.uniform(-1, 1, n))
    matrix = rng.standard_normal((rows, size)) * spread((rows, 1)) * spread((1, size))
    inside = rng.uniform(-1, 1, size)
    return jnp.asarray(matrix), jnp.asarray(matrix @ inside), jnp.asarray(inside + rng.standard_normal(size))


@eqx.filter_jit
def solve(matrix, values, point, guess=None, low=-1.0, high=1.0, tolerance=1e-6, steps=2000, between=None):
    projection = BoxAffineProjection(matrix, values, low, high, between, None, tolerance, steps, 1.7, OnFailure.STOP)
    return projection.solve(point, guess)


def violation_of_optimality(matrix, point, value, low=-1.0, high=1.0):
    """How far the slope of the distance is from the cone of the equations and active bounds."""
    at_low, at_high = value <= low + 1e-12, value >= high - 1e-12
    free = ~at_low & ~at_high
    slope = np.asarray(point - value)
    own = slope - matrix.T @ np.linalg.lstsq(np.asarray(matrix.T)[free], slope[free])[0]
    return max(np.max(np.abs(own[free])), np.max(-own[at_high], initial=0), np.max(own[at_low], initial=0))


@pytest.mark.parametrize("scale", [0.0, 1.0])
@pytest.mark.parametrize("size, rows", [(30, 10), pytest.param(100, 50, marks=pytest.mark.slow)])
def test_the_nearest_point_is_found_to_rounding_in_a_hundred_steps(size, rows, scale):
    matrix, values, point = problem(size, rows, scale)
    solved = solve(matrix, values, point)
    assert solved.succeeded and solved.steps <= 100 and solved.residual < 1e-14
    assert np.all(solved.value >= -1) and np.all(solved.value <= 1) and np.sum(np.abs(solved.value) == 1) > 2
    assert violation_of_optimality(matrix, point, solved.value) < 1e-10
    again = solve(matrix, values, solved.value)
    np.testing.assert_allclose(again.value, solved.value, atol=1e-13)


@pytest.mark.slow
def test_a_solution_nearby_saves_the_steps():
    matrix, values, point = problem(30, 10)
    solved = solve(matrix, values, point)
    close = solve(matrix, values, point + 1e-4, solved.value)
    assert close.steps == 0 and close.succeeded
    assert jnp.linalg.norm(close.value - solved.value) <= 1e-4 * np.sqrt(30)
    far = solve(matrix, values, -point, solved.value)
    assert far.steps <= 100 and violation_of_optimality(matrix, -point, far.value) < 1e-10


@pytest.mark.slow
def test_the_steps_alone_converge_in_a_hundred_after_equilibration():
    matrix, values, point = problem(30, 10)
    ones = jnp.ones(30)

    @jax.jit
    def residual(matrix, values):
        splitting = Splitting.of(matrix, values, -ones, ones, point, ones)
        s, _ = jax.lax.scan(lambda s, _: (s + 1.7 * splitting.change(s), None), splitting.point, None, 100)
        return splitting.residual(s, splitting.change(s)), splitting.clipped(s) * splitting.scales

    left, value = residual(matrix, values)
    assert left < 1e-9
    np.testing.assert_allclose(value, solve(matrix, values, point).value, atol=1e-8)
    worse = 10 ** jnp.linspace(-4, 4, 10)
    np.testing.assert_allclose(residual(worse[:, None] * matrix, worse * values)[1], value, atol=1e-9)


def test_a_solver_of_quadratic_programs_agrees():
    matrix, values, point = problem(30, 10)
    equations = {"type": "eq", "fun": lambda x: matrix @ x - values, "jac": lambda x: matrix}
    found = scipy.optimize.minimize(lambda x: 0.5 * np.sum((x - point) ** 2), np.zeros(30), jac=lambda x: x - point,
                                    bounds=[(-1, 1)] * 30, constraints=equations, options={"ftol": 1e-15})  # fmt: skip
    np.testing.assert_allclose(solve(matrix, values, point).value, found.x, atol=1e-7)


@pytest.mark.slow
def test_equations_and_inequalities_of_the_published_size():
    rng = np.random.default_rng(1)
    matrix, rows = rng.standard_normal((2, 50, 100))
    bound = np.sum(np.abs(rows @ np.linalg.pinv(matrix)), 1)  # so that there is a solution for values up to 1
    project = jax.jit(jax.vmap(lambda b, y: BoxAffineProjection(
        matrix, b, between=(rows, -jnp.inf, bound), on_failure=OnFailure.STOP).solve(y)))  # fmt: skip
    values, points = rng.uniform(-1, 1, (8, 50)), 3 * rng.standard_normal((8, 100))
    solved = project(values, points)
    assert np.all(solved.succeeded) and np.max(solved.steps) <= 100 and np.max(solved.residual) < 1e-13
    active = np.isclose(solved.value @ rows.T, bound, rtol=1e-12)
    assert np.all(np.sum(active, 1) > 3)
    for value, on, point in zip(solved.value, active, points):
        normals = np.concatenate([matrix, rows[on]]).T
        share, left, *_ = np.linalg.lstsq(normals, point - value)
        assert left < 1e-20 and np.all(share[50:] > 0)


@pytest.mark.slow
def test_the_gradient_is_that_of_the_active_bounds():
    matrix, values, point = problem(12, 4)
    more = jnp.asarray(np.random.default_rng(5).standard_normal((2, 12)))

    def project(matrix, values, point, low, more):
        between = (more, -0.1, jnp.array([0.1, jnp.inf]))
        return BoxAffineProjection(matrix, values, low, 1.0, between, on_failure=OnFailure.KEEP)(point)

    low = -0.9 * jnp.ones(12)
    result = jax.jit(project)(matrix, values, point, low, more)
    assert np.any(result == low) and np.any(result == 1) and np.any(np.isclose(np.abs(more @ result), 0.1))
    check_derivatives(project, matrix, values, point, low, more)


def test_what_cannot_be_is_proved():
    matrix, values, point = problem(30, 10)
    far = solve(matrix, values + 100, point)
    assert far.status == SolveStatus.infeasible and np.all(np.isfinite(far.value))
    ones = jnp.ones((10, 30)) * jnp.arange(1.0, 11.0)[:, None]
    assert solve(ones, 30.0 * ones[:, 0], point).succeeded  # the corner alone
    assert solve(ones, 30.1 * ones[:, 0], point).status == SolveStatus.infeasible
    assert solve(matrix, values, point * jnp.nan).status == SolveStatus.nonfinite


@pytest.mark.slow
def test_failures_have_no_gradient_or_raise():
    matrix, values, point = problem(30, 10)
    slope = jax.jit(jax.grad(lambda y, b: jnp.sum(solve(matrix, b, y).value ** 2)))
    assert np.all(slope(point, values + 100) == 0) and np.all(np.isfinite(slope(point, values)))
    assert np.any(slope(point, values) != 0)
    with pytest.raises(eqx.EquinoxRuntimeError, match="no state between the bounds"):
        eqx.filter_jit(BoxAffineProjection(matrix, values + 100, -1.0, 1.0))(point)


@pytest.mark.slow
def test_a_batch_with_and_without_devices():
    matrix, values, point = problem(12, 4)
    project = lambda y: BoxAffineProjection(matrix, values, -1.0, 1.0, on_failure=OnFailure.STOP)(y)
    batch = point + jnp.linspace(0, 2, 4)[:, None]
    check_batch(jax.jit(project), batch)
    check_sharded(project, batch)


@pytest.mark.slow
def test_single_precision_and_one_compilation_between_bounds():
    run, seen = traces(lambda projection, y: projection.solve(y))
    matrix, values, point = problem(12, 4)
    for tolerance, bound in ((1e-4, 1.0), (1e-5, 1.1)):
        projection = BoxAffineProjection(matrix, values, -1.0, jnp.array(bound), tolerance=jnp.array(tolerance))
        solved = run(projection, jnp.float32(point))
        assert solved.value.dtype == jnp.float32 and solved.succeeded and solved.residual < 1e-6
    assert len(seen) == 1


@pytest.mark.slow
def test_a_network_whose_field_is_positive_and_has_a_mass():
    space = js.FiniteDifference(js.Grid(8, 0.0, 1.0), js.Neumann(0.0), faces=(True,))
    mass = jnp.array([0.5, 1, 1, 1, 1, 1, 1, 1, 0.5])[None] / 8
    positive = BoxAffineProjection(mass, jnp.array([0.3]), low=0.0)
    field = Projected(lambda s: space.field(lambda x: s * jnp.cos(3 * x)), positive)(1.0)
    assert np.min(field.values) == 0
    np.testing.assert_allclose(js.integral(field), 0.3, rtol=1e-14)
    shifted = field.values - jnp.cos(3 * space.coordinates()[0])
    np.testing.assert_allclose(shifted[field.values > 0], shifted[0], rtol=1e-12)  # a constant, but for the bound


def test_bad_bounds():
    matrix, values, point = problem(12, 4)
    with pytest.raises(ValueError, match="matrices need shape"):
        jax.eval_shape(BoxAffineProjection(matrix[:, :3], values), point)
    with pytest.raises(ValueError, match="`values` need 4"):
        jax.eval_shape(BoxAffineProjection(matrix, values[:2]), point)
    with pytest.raises(ValueError, match="bounds broadcast"):
        jax.eval_shape(BoxAffineProjection(matrix, values, low=jnp.zeros(3)), point)
    with pytest.raises(ValueError, match="no values"):
        jax.eval_shape(BoxAffineProjection(matrix, None), point)
