"""Solutions of least squares, and their derivatives."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import optimistix
import pytest

from jaxsim.optimize import (
    Direct,
    GaussNewton,
    Implicit,
    OneStep,
    OnFailure,
    SolveStatus,
    Truncated,
    Unrolled,
    least_squares,
)
from jaxsim.optimize.solves.affine import is_affine


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


# By one direct solve, and by steps.
@pytest.mark.parametrize("method", [None, pytest.param(GaussNewton(), marks=pytest.mark.slow)])
@pytest.mark.parametrize("condition, dtype, bound", [
    pytest.param(1e2, float, 1e-13, marks=pytest.mark.slow), (1e6, float, 1e-9),
    pytest.param(1e4, np.float32, 1e-4, marks=pytest.mark.slow),
])  # fmt: skip
def test_the_gradient_loses_the_condition_number_once(condition, dtype, bound, method):
    matrix, rng = conditioned(200, 16, condition, dtype)
    code, toward = rng.standard_normal(16), rng.standard_normal(16)
    right = matrix @ jnp.asarray(code, dtype)

    def value(theta):
        solved = least_squares(lambda w, t: matrix @ w - t * right, jnp.zeros(16, dtype), theta, method=method)
        return solved.value @ jnp.asarray(toward, dtype), solved

    found, solved = jax.jit(jax.grad(value, has_aux=True))(jnp.asarray(1.0, dtype))
    expected = np.asarray(toward, dtype) @ np.linalg.lstsq(np.asarray(matrix, float), np.asarray(right, float))[0]
    assert abs(found - expected) < bound * np.linalg.norm(toward) * np.linalg.norm(code)
    np.testing.assert_allclose(solved.condition, condition, rtol=1e-2)
    assert solved.rank == 16 and (method is not None or solved.steps == 1)


def quadratic(w, theta, matrix, data, curvature):
    z = matrix @ w
    return z + curvature * z**2 / 2 - theta * data


def reference(matrix, data, code, toward, curvature):
    """d(toward . w)/d theta at one, from the augmented system in 50 digits."""
    with mpmath.workdps(50):
        m, n = matrix.shape
        rows, w = mpmath.matrix(matrix.tolist()), mpmath.matrix(code.tolist())
        b, c = mpmath.matrix(data.tolist()), mpmath.mpf(curvature)
        for _ in range(60):
            z = rows * w
            left = [z[i] + c * z[i] ** 2 / 2 - b[i] for i in range(m)]
            tall = mpmath.matrix(m, n)
            for i in range(m):
                for j in range(n):
                    tall[i, j] = (1 + c * z[i]) * rows[i, j]
            bend = rows.T * mpmath.diag([c * value for value in left]) * rows
            system = mpmath.matrix(m + n, m + n)
            system[:m, :m], system[:m, m:] = mpmath.eye(m), -tall
            system[m:, :m], system[m:, m:] = -tall.T, -bend
            step = mpmath.lu_solve(system, mpmath.matrix([*left, *[0] * n]))[m:, 0]
            w += step
            if mpmath.norm(step) < mpmath.mpf(10) ** -40:
                break
        moved = mpmath.lu_solve(system, mpmath.matrix([*(-b), *[0] * n]))[m:, 0]
        return float(mpmath.fdot(mpmath.matrix(toward.tolist()), moved)), float(mpmath.norm(moved))


@pytest.mark.slow
@pytest.mark.parametrize("condition, bound", [(1e2, 1e-12), (1e4, 1e-10)])
def test_a_residual_that_does_not_vanish_bends_the_derivative(condition, bound):
    matrix, rng = conditioned(24, 5, condition, float)
    matrix, code, toward = np.asarray(matrix), rng.standard_normal(5), rng.standard_normal(5)
    z = matrix @ code
    across = rng.standard_normal(24)
    across -= matrix @ np.linalg.lstsq(matrix, across)[0]
    data = z + z**2 / 2 + 0.6 * across / np.linalg.norm(across)
    expected, scale = reference(matrix, data, code, toward, 1.0)
    scale *= np.linalg.norm(toward)

    @eqx.filter_jit
    def both(adjoint):
        def value(theta):
            residual = lambda w, t: quadratic(w, t, jnp.asarray(matrix), jnp.asarray(data), 1.0)
            method = GaussNewton(1e-14, 200)
            return toward @ least_squares(residual, jnp.asarray(code), theta, method=method, adjoint=adjoint).value

        return jax.grad(value)(jnp.array(1.0)), jax.jacfwd(value)(jnp.array(1.0))

    np.testing.assert_allclose(both(Implicit()), expected, atol=bound * scale)
    bent = max(abs(both(Implicit(curvature=False))[0] - expected), abs(both(OneStep())[0] - expected))
    assert condition < 1e3 or bent > 0.1 * abs(expected)


@pytest.mark.slow
def test_gradients_against_optimistix_and_products():
    matrix, rng = conditioned(60, 6, 1e3, float)
    code, toward = jnp.asarray(rng.standard_normal(6)), jnp.asarray(rng.standard_normal(6))
    data = matrix @ code + jnp.asarray(1e-3 * rng.standard_normal(60))
    residual = lambda w, p: quadratic(w, 1.0, p[0], p[1], 0.3)
    p = matrix, data
    ours = lambda p: toward @ least_squares(residual, code, p, method=GaussNewton(1e-13)).value
    solver = optimistix.LevenbergMarquardt(1e-13, 1e-13)
    theirs = lambda p: toward @ optimistix.least_squares(residual, solver, code, p, max_steps=1000).value
    found, oracle = jax.jit(jax.grad(ours))(p), jax.jit(jax.grad(theirs))(p)
    for ours_leaf, oracle_leaf in zip(found, oracle, strict=True):
        np.testing.assert_allclose(ours_leaf, oracle_leaf, atol=1e-9 * np.linalg.norm(oracle_leaf))
    along = jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape)) / 10, p)
    forward = jax.jit(lambda p, d: jax.jvp(ours, (p,), (d,))[1])(p, along)
    dot = sum(jnp.vdot(a, b) for a, b in zip(found, along, strict=True))
    np.testing.assert_allclose(forward, dot, rtol=1e-10)
    bent = jax.jit(lambda p, d: jax.jvp(jax.grad(ours), (p,), (d,))[1])(p, along)
    moved = lambda sign: jax.jit(jax.grad(ours))(jax.tree.map(lambda a, d: a + sign * 1e-6 * d, p, along))
    for second, up, down in zip(bent, moved(1), moved(-1), strict=True):
        np.testing.assert_allclose(second, (up - down) / 2e-6, atol=1e-6 * np.linalg.norm(second))


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, GaussNewton()])
def test_unknowns_that_are_not_determined(method):
    matrix, right = jnp.array([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]), jnp.array([1.0, 2.0, 0.0])

    def total(theta):
        solved = least_squares(lambda w, t: matrix @ w - t * right, jnp.zeros(2), theta, method=method)
        return jnp.sum(solved.value), solved

    gradient, solved = jax.jit(jax.grad(total, has_aux=True))(jnp.array(1.0))
    assert solved.status == SolveStatus.rank_deficient and solved.rank == 1
    np.testing.assert_allclose(gradient, 1.0, rtol=1e-9)
    np.testing.assert_allclose(solved.value, [0.5, 0.5], rtol=1e-9)


def test_one_failure_in_a_batch_is_flagged_and_stays_alone():
    @eqx.filter_jit
    def gradient(a, shared, on_failure):
        def loss(a, shared):
            residual = lambda y, a: y**2 - a * shared
            solve = lambda a: least_squares(residual, jnp.array(1.0), a, on_failure=on_failure)
            solved = jax.vmap(solve)(a)
            return jnp.sum(solved.value), solved

        return jax.grad(loss, (0, 1), has_aux=True)(a, shared)

    a = jnp.array([1.0, 2.0, 4.0, -1.0, jnp.nan])
    (each, shared), solved = gradient(a, jnp.array(1.0), OnFailure.STOP)
    np.testing.assert_allclose(each, [0.5, 0.5 / np.sqrt(2), 0.25, 0.0, 0.0], rtol=1e-8)
    np.testing.assert_allclose(shared, 0.5 * (1 + np.sqrt(2) + 2), rtol=1e-8)
    np.testing.assert_array_equal(solved.succeeded, [True, True, True, False, False])
    np.testing.assert_array_equal(solved.status == SolveStatus.nonfinite, [False] * 4 + [True])


@pytest.mark.slow
def test_what_becomes_of_a_failure():
    @eqx.filter_jit
    def gradient(a, on_failure):
        solve = lambda a: least_squares(lambda y, a: y**2 - a, jnp.array(3.0), a, method=GaussNewton(steps=1),
                                        on_failure=on_failure).value  # fmt: skip
        return solve(a), jax.grad(solve)(a)

    @jax.jit
    def gradient_alone(a):
        return jax.grad(lambda a: least_squares(lambda y, a: y**2 - a, jnp.array(3.0), a).value)(a)

    best, blocked = gradient(jnp.array(4.0), OnFailure.STOP)
    assert 2 < best < 3 and blocked == 0
    kept, slope = gradient(jnp.array(4.0), OnFailure.KEEP)
    assert kept == best and 0.1 < slope < 0.5
    assert np.isnan(gradient(jnp.array(4.0), OnFailure.NAN)[0])
    with pytest.raises(eqx.EquinoxRuntimeError, match="did not converge"):
        gradient(jnp.array(4.0), OnFailure.RAISE)
    # The compiler drops a value that only its gradient asks for; the error must stay.
    with pytest.raises(Exception, match="did not converge"):
        jax.block_until_ready(gradient_alone(jnp.array(-4.0)))


@pytest.mark.slow
def test_arrays_that_are_closed_over_have_gradients_and_limits_are_traced():
    def value(scale):
        return least_squares(lambda y, _: y**3 + y - scale, jnp.array(1.5)).value

    np.testing.assert_allclose(jax.grad(value)(2.0), 0.25, rtol=1e-9)

    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def steps(tolerance, most, a):
        method = GaussNewton(tolerance, most)
        solve = lambda a: least_squares(lambda y, a: y**3 + y - a, jnp.array(1.5), a, method=method,
                                        on_failure=OnFailure.STOP)  # fmt: skip
        return solve(a).steps, jax.grad(lambda a: solve(a).value)(a)

    loose, _ = steps(jnp.array(1e-2), jnp.array(50), jnp.array(2.0))
    tight, slope = steps(jnp.array(1e-12), jnp.array(50), jnp.array(2.0))
    assert loose < tight and abs(slope - 0.25) < 1e-9
    assert steps(jnp.array(1e-12), jnp.array(2), jnp.array(2.0)) == (2, 0)


def test_what_counts_as_affine():
    matrix = jnp.arange(6.0).reshape(3, 2)
    at = jnp.zeros(2)
    for affine in (lambda w: matrix @ w + 1, lambda w: jax.jit(jnp.cumsum)(w) * 2, lambda w: jnp.where(at > 0, w, -w)):
        assert is_affine(affine, at)
    for curved in (lambda w: w**2, jnp.abs, jax.jit(jnp.sin), lambda w: jnp.where(w > 0, w, 0), lambda w: w * w[0]):
        assert not is_affine(curved, at)


def burgers(w, p):
    u, ux = p["u"] @ w, p["ux"] @ w
    return {"inside": u + u * ux - p["data"], "ridge": {"all": 1e-3 * w}}


def burgers_matrix(w, p):
    u, ux = p["u"] @ w, p["ux"] @ w
    inside = (1 + ux)[:, None] * p["u"] + u[:, None] * p["ux"]
    return {"inside": inside, "ridge": {"all": 1e-3 * jnp.eye(len(w))}}


def tall(rows=40, size=3, vanishing=False):
    rng = np.random.default_rng(1)
    p = {"u": jnp.asarray(rng.standard_normal((rows, size))), "ux": jnp.asarray(rng.standard_normal((rows, size)))}
    w = jnp.asarray(rng.standard_normal(size)) / 4
    p["data"] = burgers(w, p | {"data": 0.0})["inside"] + (0 if vanishing else 0.1 * jnp.sin(jnp.arange(rows)))
    return p


def test_blocks_have_norms_and_each_matrix_is_factorized_once():
    p = tall()

    def loss(p):
        solved = least_squares(burgers, jnp.zeros(3), p)
        return jnp.sum(jnp.sin(solved.value)), solved

    program = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(p).compile()
    (_, solved), _ = program(p)
    rows = burgers(solved.value, p)
    np.testing.assert_allclose(solved.residual["inside"], jnp.linalg.norm(rows["inside"]), rtol=1e-9)
    np.testing.assert_allclose(solved.residual["ridge"]["all"], 1e-3 * jnp.linalg.norm(solved.value), rtol=1e-9)
    # One at the guess and one in the loop, with the small one of the damping there; the gradient has none of its own.
    text = program.as_text()
    assert len(re.findall(r"custom_call_target=\"\w*geqrf", text)) == 3
    assert not re.findall(r"custom_call_target=\"\w*orgqr", text)
    assert len(re.findall(r"custom_call_target=\"\w*gesdd", text)) == 1


@pytest.mark.slow
def test_a_jacobian_that_is_known():
    p = tall()
    solve = lambda p, jacobian: least_squares(burgers, jnp.zeros(3), p, jacobian=jacobian).value
    gradient = lambda jacobian: jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(solve(p, jacobian)))))(p)
    found, expected = gradient(burgers_matrix), gradient(None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), found, expected)
    with pytest.raises(ValueError, match="jax.jacfwd"):
        solve(p, burgers)


@pytest.mark.slow
def test_every_adjoint_agrees_where_the_residual_vanishes():
    p = tall(vanishing=True)

    @eqx.filter_jit
    def gradient(p, adjoint, method):
        residual = lambda w, p: {k: v for k, v in burgers(w, p).items() if k == "inside"}
        if isinstance(method, Direct):
            residual = lambda w, p: p["u"] @ w - p["data"]
        solve = lambda p: least_squares(residual, jnp.zeros(3), p, adjoint=adjoint, method=method)
        return jax.grad(lambda p: jnp.sum(jnp.sin(solve(p).value)))(p)

    adjoints = [Implicit(curvature=False), OneStep(), Truncated(3), Unrolled(25), Unrolled(25, checkpoint=False)]
    for method, others in ((GaussNewton(1e-13), adjoints), (Direct(), [OneStep(), Unrolled(2)])):
        exact = gradient(p, Implicit(), method)
        for adjoint in others:
            found = gradient(p, adjoint, method)
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), found, exact)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_steps():
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((2000, 16)) / np.sqrt(2000))
    data = matrix @ jnp.linspace(-1, 1, 16)
    rows = lambda w, m: (z := m @ w) + 0.1 * z**2 - data

    def plain(m):
        def step(w, _):
            orthogonal, triangle = jnp.linalg.qr(jax.jacfwd(rows)(w, m))
            return w - jax.scipy.linalg.solve_triangular(triangle, orthogonal.T @ rows(w, m)), None

        return jax.lax.scan(step, jnp.zeros(16), None, 50)[0]

    def size(solve):
        program = jax.jit(jax.grad(lambda m: jnp.sum(jnp.sin(solve(m))))).lower(matrix).compile()
        return program.memory_analysis().temp_size_in_bytes

    by = lambda adjoint: lambda m: least_squares(rows, jnp.zeros(16), m, adjoint=adjoint).value
    implicit = size(by(Implicit()))
    assert implicit < 2**20 and implicit < size(plain) / 40
    assert size(by(Unrolled(50))) < size(by(Unrolled(50, checkpoint=False))) / 10


@pytest.mark.slow
@pytest.mark.parametrize("wide", [True, False])
def test_single_precision_with_and_without_the_other(wide):
    with jax.enable_x64(wide):
        p = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tall())
        solve = lambda p: least_squares(burgers, jnp.zeros(3, jnp.float32), p)
        solved, gradient = jax.jit(solve)(p), jax.jit(jax.grad(lambda p: jnp.sum(solve(p).value)))(p)
        assert solved.value.dtype == solved.condition.dtype == gradient["u"].dtype == jnp.float32
    double = jax.jit(jax.grad(lambda p: jnp.sum(least_squares(burgers, jnp.zeros(3), p).value)))(tall())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), gradient, double)


@pytest.mark.slow
def test_direct_tells_of_a_residual_that_is_not_affine():
    solve = lambda a: least_squares(lambda w, a: w**3 + w - a, jnp.zeros(1), a, method=Direct(),
                                    on_failure=OnFailure.STOP)  # fmt: skip
    assert solve(jnp.array([2.0])).status == SolveStatus.stalled


def test_bad_input():
    with pytest.raises(TypeError, match="pytree of real arrays"):
        least_squares(lambda w, _: w, jnp.array([1]))
    with pytest.raises(TypeError, match="real and imaginary parts"):
        least_squares(lambda w, _: w, jnp.array([1j]))
    with pytest.raises(TypeError, match="must be real"):
        least_squares(lambda w, _: w + 1j, jnp.array([1.0]))
    with pytest.raises(ValueError, match="without `linear`"):
        least_squares(lambda w, _: w, jnp.array([1.0]), adjoint=Implicit(guess=jnp.array([1.0])))
    with pytest.raises(ValueError, match="at least 1"):
        Truncated(0)
