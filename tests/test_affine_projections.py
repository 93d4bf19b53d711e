"""States held to linear equations, Gaussians conditioned on them, and velocities without divergence."""

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from projections import check_batch, check_derivatives, traces

import jaxsim as js
from jaxsim.constraints import AffineProjection, GaussianConditioning, LerayProjection, Projected, Quadrature
from jaxsim.linear import CG
from jaxsim.optimize import Frozen, OnFailure, SolveStatus

RNG = np.random.default_rng(0)
A = jnp.asarray(RNG.standard_normal((3, 7)))
B = jnp.asarray(RNG.standard_normal(3))
Y = jnp.asarray(RNG.standard_normal(7))
W = jnp.asarray(RNG.uniform(0.5, 2.0, 7))


def project(a, y, b, w, **how):
    return AffineProjection(a, b, w, on_failure=OnFailure.KEEP, **how)(y)


def reference(a, y, b, w):
    return y - a.T @ np.linalg.solve(a / w @ a.T, a @ y - b) / w


# -- linear equations --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("wrap", [
    pytest.param(lambda a: a, id="matrix"),
    pytest.param(lx.MatrixLinearOperator, id="operator", marks=pytest.mark.slow),
])  # fmt: skip
def test_the_nearest_solution_and_its_derivatives(wrap):
    nearest = jax.jit(lambda a, y, b, w: project(wrap(a), y, b, w))
    result = nearest(A, Y, B, W)
    np.testing.assert_allclose(result, reference(A, Y, B, W), rtol=1e-12)
    np.testing.assert_allclose(A @ result, B, atol=2e-15)
    np.testing.assert_allclose(nearest(A, result, B, W), result, atol=1e-14)
    other = nearest(A, 2 * Y + 1, B, W)
    assert W @ (other - result) ** 2 <= W @ (Y + 1) ** 2
    check_derivatives(nearest, A, Y, B, W)


@pytest.mark.slow
def test_second_derivatives_of_the_nearest_solution():
    slope = lambda a, b: jax.grad(lambda a: jnp.sum(project(a, Y, b, W) ** 3))(a)
    check_derivatives(slope, A, B)


@pytest.mark.slow
def test_a_batch_shares_one_factorization_and_a_prepared_projection_has_it():
    projection = AffineProjection(A, B)
    batch = jnp.stack([Y, 2 * Y, Y**2])
    check_batch(jax.jit(lambda y: projection(y)), batch)
    text = str(jax.make_jaxpr(jax.vmap(lambda y: projection(y)))(batch))
    assert "f64[7,3] = " in text and "f64[3,7,3]" not in text
    ready = projection.prepared(Y)
    assert "svd" not in str(jax.make_jaxpr(lambda y: ready(y))(Y))
    np.testing.assert_allclose(ready(Y), projection(Y), atol=1e-15)
    assert isinstance(ready.matrix, Frozen)


@pytest.mark.slow
@pytest.mark.parametrize("condition, bound", [(1e2, 1e-15), (1e8, 1e-15)])
def test_equations_are_met_to_rounding_whatever_the_condition(condition, bound):
    left, _ = np.linalg.qr(RNG.standard_normal((12, 12)))
    right, _ = np.linalg.qr(RNG.standard_normal((30, 12)))
    matrix = jnp.asarray((left * np.logspace(0, -np.log10(condition), 12)) @ right.T)
    target, start = RNG.standard_normal((2, 30))
    solved = jax.jit(lambda m, y: AffineProjection(m, m @ target).solve(y))(matrix, jnp.asarray(start))
    assert np.max(np.abs(matrix @ solved.value - matrix @ target)) < bound * np.linalg.norm(solved.value)
    assert solved.rank == 12 and 0.1 < solved.condition / condition < 10


@pytest.mark.slow
def test_rows_that_depend_on_others_pass_and_those_that_contradict_are_flagged():
    both = lambda a: jnp.concatenate([a, 3 * a[:2]])
    more = jnp.concatenate([B, 3 * B[:2]])
    solve = jax.jit(lambda a, b: AffineProjection(both(a), b, on_failure=OnFailure.STOP).solve(Y))
    solved = solve(A, more)
    np.testing.assert_allclose(solved.value, reference(A, Y, B, np.ones(7)), rtol=1e-12)
    assert solved.rank == 3 and solved.succeeded
    solved = solve(A, more + jnp.arange(5.0))
    assert solved.status == SolveStatus.infeasible
    gradient = jax.jit(jax.grad(lambda b: jnp.sum(AffineProjection(both(A), b, on_failure=OnFailure.STOP)(Y) ** 2)))
    assert np.all(gradient(more + jnp.arange(5.0)) == 0) and np.all(gradient(more)[:2] != 0)
    with pytest.raises(eqx.EquinoxRuntimeError, match="no state satisfies"):
        eqx.filter_jit(lambda b: AffineProjection(both(A), b)(Y))(more + 1)
    check_derivatives(lambda a, y: project(both(a), y, more, W), A, Y)


@pytest.mark.slow
def test_operators_act_on_states_and_say_when_they_did_not_converge():
    state = {"u": Y[:4], "v": Y[4:] + 1j * Y[:3]}
    operator = lx.FunctionLinearOperator(lambda s: jnp.stack([jnp.sum(s["u"]), jnp.sum(s["v"].imag)]), state)
    result = AffineProjection(operator, jnp.array([1.0, 2.0]))(state)
    np.testing.assert_allclose(operator.mv(result), [1.0, 2.0], atol=1e-14)
    np.testing.assert_allclose(result["v"].real, state["v"].real)
    matrix = lx.MatrixLinearOperator(A)
    solved = AffineProjection(matrix, B, solver=CG(1e-10, max_steps=1), on_failure=OnFailure.KEEP).solve(Y)
    assert not solved.succeeded
    with pytest.raises(ValueError, match="the operator is for"):
        AffineProjection(matrix, B)(Y[:3])


@pytest.mark.slow
def test_a_field_is_moved_least_in_the_norm_of_its_integral():
    space = js.FiniteDifference(js.Grid(6, 0.0, 1.0), js.Neumann(0.0), faces=(True,))
    u = space.field(Y)
    mass = jnp.array([0.5, 1, 1, 1, 1, 1, 0.5])[None] / 6
    result = AffineProjection(mass).of(u)(u + 1.0)
    np.testing.assert_allclose(result.values, u.values, atol=1e-14)  # a constant is subtracted


def test_single_precision_and_one_compilation_of_linear_equations():
    run, seen = traces(lambda projection, y: projection.solve(y))
    for factor in (1.0, 2.0):
        solved = run(AffineProjection(A, factor * B), jnp.float32(Y))
        assert solved.value.dtype == jnp.float32 and solved.succeeded
        np.testing.assert_allclose(A @ solved.value, factor * B, atol=2e-6)
    assert len(seen) == 1


def test_bad_linear_equations():
    with pytest.raises(ValueError, match=r"`matrix` needs shape \(m, 7\)"):
        jax.eval_shape(AffineProjection(A[:, :4], B), Y)
    with pytest.raises(ValueError, match="`values` need 3 numbers"):
        jax.eval_shape(AffineProjection(A, B[:2]), Y)
    with pytest.raises(ValueError, match="no values to hold"):
        jax.eval_shape(AffineProjection(A), Y)
    with pytest.raises(ValueError, match="`metric` is"):
        jax.eval_shape(AffineProjection(A, B, jnp.ones(3)), Y)
    with pytest.raises(TypeError, match="give a matrix"):
        AffineProjection(lx.MatrixLinearOperator(A), B).prepared(Y)


# -- Gaussians -------------------------------------------------------------------------------------------------------
def noisy_heat(size=81):
    """A heat profile, noisy, with a covariance that is larger where the noise is; and its mass."""
    x = np.linspace(0, 2 * np.pi, size)
    spread = 0.05 * (1 + np.sin(x) ** 2)
    covariance = spread[:, None] * spread * np.exp(-((x[:, None] - x) ** 2) / 0.5) + 1e-6 * np.eye(size)
    profile = np.exp(-0.3) * np.sin(x) + 0.2
    noise = np.linalg.cholesky(covariance) @ np.random.default_rng(1).standard_normal(size)
    row = Quadrature.trapezoid(x).weights.value[None]
    return jnp.asarray(profile + noise), jnp.asarray(covariance), row, row @ profile


def conditioned(mean, covariance, row, mass, noise, **how):
    return GaussianConditioning(row, mass, noise, **how)(mean, covariance)


@pytest.mark.parametrize("diagonal", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_mass_is_met_to_rounding_and_nothing_becomes_less_certain(diagonal):
    mean, covariance, row, mass = noisy_heat()
    given = jnp.diagonal(covariance) if diagonal else covariance
    full = jnp.diag(given) if diagonal else covariance
    run = jax.jit(lambda noise: (lambda c: (c, c.covariance, c.variance))(conditioned(mean, given, row, mass, noise)))
    for noise in (0.0, 0.1):
        result, after, variance = run(noise)
        gain = full @ row.T @ np.linalg.inv(row @ full @ row.T + noise**2 * np.eye(1))
        np.testing.assert_allclose(result.mean, mean + gain @ (mass - row @ mean), atol=1e-13)
        np.testing.assert_allclose(after, full - gain @ row @ full, atol=1e-14)
        np.testing.assert_allclose(variance, np.diagonal(after), atol=1e-16)
        assert np.min(np.linalg.eigvalsh(full - after)) > -1e-14
        assert np.min(np.linalg.eigvalsh(after)) > -1e-14
        if noise == 0:
            assert np.max(np.abs(row @ result.mean - mass)) < 1e-14 and np.max(np.abs(row @ after @ row.T)) < 1e-15


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_derivatives_of_conditioning(noise):
    mean, covariance, row, mass = noisy_heat(21)

    def both(mean, root, row, mass):
        result = conditioned(mean, root @ root.T, row, mass, noise, on_failure=OnFailure.KEEP)
        return jnp.concatenate([result.mean, result.variance])

    check_derivatives(both, mean, jnp.linalg.cholesky(covariance), jnp.asarray(row), jnp.asarray(mass), rtol=1e-5)


@pytest.mark.slow
def test_moments_that_are_nearly_alike_and_equations_that_contradict():
    mean, covariance, row, _ = noisy_heat(41)
    moments = jnp.asarray(np.vander(np.linspace(0, 1, 41), 8, increasing=True).T * row)
    run = jax.jit(lambda g, b: GaussianConditioning(g, b, on_failure=OnFailure.STOP)(mean, jnp.diagonal(covariance)))
    result = run(moments, moments @ jnp.sin(mean))
    assert result.succeeded and np.max(np.abs(moments @ (result.mean - jnp.sin(mean)))) < 1e-13
    twice = moments.at[1].set(2 * moments[0])
    assert run(twice, twice @ jnp.sin(mean)).succeeded
    assert run(twice, jnp.arange(8.0)).status == SolveStatus.infeasible
    with pytest.raises(eqx.EquinoxRuntimeError, match="contradict"):
        GaussianConditioning(row, jnp.ones(1))(mean, -covariance)
    with pytest.raises(ValueError, match="go together"):
        GaussianConditioning(row, jnp.ones(2))(mean, covariance)
    with pytest.raises(ValueError, match="its diagonal"):
        GaussianConditioning(row, jnp.ones(1))(mean, covariance[:3])
    with pytest.raises(ValueError, match="at least 0"):
        GaussianConditioning(row, jnp.ones(1), -1.0)(mean, covariance)
    same = GaussianConditioning(row).of(mean)(mean, jnp.diagonal(covariance))
    np.testing.assert_allclose(same.mean, mean, atol=1e-15)


# -- velocities ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("space", [
    js.Fourier(js.Grid((8, 6), 0.0, (1.0, 2.0))), js.Staggered(js.Grid((8, 6)), js.NoSlip()),
])  # fmt: skip
def test_a_velocity_without_divergence_is_nearest_and_its_projection_self_adjoint(space):
    smooth = lambda seed: space.field(lambda x, y: (jnp.sin(seed + 3 * x) * y, jnp.cos(seed * y) + x * y))
    u, v = smooth(1.0), smooth(2.0)

    @jax.jit
    def looked_at():
        model = Projected(lambda u: 2.0 * u, LerayProjection())
        once, other = model(u), model(v)
        moved = LerayProjection()(once).values - once.values
        apart = js.norm(once - other) / js.norm(2 * (u - v))
        slope = jax.grad(lambda a: js.inner(LerayProjection()(space.field(a)), v))(u.values)
        return js.div(once).values, moved, js.inner(once, v), js.inner(u, other), apart, slope, other.values

    divergence, moved, left, right, apart, slope, other = looked_at()
    assert np.max(np.abs(divergence)) < 1e-11 and np.max(np.abs(moved)) < 1e-12 and apart <= 1
    np.testing.assert_allclose(left, right, rtol=1e-12)
    if isinstance(space, js.Fourier):
        np.testing.assert_allclose(slope * (slope.size / space.volume), other, atol=1e-12)
