"""Krylov solvers: convergence to the true residual, failures that are reported, derivatives."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from jaxsim.linear import CG, FGMRES, MINRES, fixed_steps_cg

N = 24
POSITIVE, SYMMETRIC = lx.positive_semidefinite_tag, lx.symmetric_tag


def make(kind, rtol=1e-10, max_steps=1000):
    """Tolerances as arrays share one compilation."""
    fields = jnp.asarray(rtol), jnp.asarray(0.0), jnp.asarray(max_steps)
    return kind(*fields, restart=N) if kind is FGMRES else kind(*fields)


KINDS = [CG, MINRES, FGMRES]


def matrix(eigenvalues, seed=0):
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((N, N)))
    return (q * eigenvalues) @ q.T


def vector(seed=1):
    return np.random.default_rng(seed).standard_normal(N)


def operator(array, tag=POSITIVE):
    return lx.MatrixLinearOperator(jnp.asarray(array), tag)


DEFINITE = np.linspace(1.0, 60.0, N)
INDEFINITE = np.concatenate([np.linspace(-30.0, -1.0, N // 2), np.linspace(1.0, 60.0, N // 2)])


def run(a, b, solver, tag=POSITIVE, **options):
    solution = lx.linear_solve(operator(a, tag), jnp.asarray(b), solver, options=options, throw=False)
    assert np.all(np.isfinite(solution.value))
    return solution


def relative_residual(a, b, solution):
    return np.linalg.norm(b - a @ np.asarray(solution.value)) / np.linalg.norm(b)


@pytest.mark.parametrize("kind", KINDS)
def test_solution_statistics_and_first_guess(kind):
    a, b, solver = matrix(DEFINITE), vector(), make(kind)
    cold = run(a, b, solver)
    assert cold.result == lx.RESULTS.successful
    assert relative_residual(a, b, cold) < 1e-10
    np.testing.assert_allclose(cold.stats["residual_norm"], np.linalg.norm(b - a @ cold.value), rtol=1e-3)
    np.testing.assert_allclose(cold.stats["initial_residual_norm"], np.linalg.norm(b))
    assert 10 < cold.stats["num_steps"] <= N + 1
    assert cold.stats["num_matvecs"] == cold.stats["num_steps"] + 1
    warm = run(a, b, solver, y0=cold.value)
    assert (warm.stats["num_steps"], warm.stats["num_matvecs"]) == (0, 1)
    zero = run(a, 0 * b, solver, y0=jnp.asarray(b))
    assert zero.result == lx.RESULTS.successful and not np.any(zero.value)


@pytest.mark.parametrize("kind", KINDS)
def test_failures_are_reported(kind):
    a, b, solver = matrix(DEFINITE), vector(), make(kind)
    singular = matrix(np.concatenate([[0.0], DEFINITE[1:]]))
    for x, y in ((a, np.where(b == b[3], np.nan, b)), (np.where(a == a[0, 1], np.nan, a), b)):
        failed = lx.linear_solve(operator(x), jnp.asarray(y), solver, throw=False)
        assert failed.result in (lx.RESULTS.nonfinite_input, lx.RESULTS.singular)
        assert np.all(np.isfinite(failed.value))
    consistent = run(singular, singular @ b, solver)
    assert consistent.result == lx.RESULTS.successful
    np.testing.assert_allclose(consistent.value, np.linalg.pinv(singular) @ singular @ b, atol=1e-8)
    assert run(singular, b, solver).result in (lx.RESULTS.singular, lx.RESULTS.stagnation)
    with pytest.raises(Exception, match="[Ss]ingular|[Ss]tagnation|well-posed"):
        lx.linear_solve(operator(singular), jnp.asarray(b), solver)
    few = run(a, b, make(kind, max_steps=3))
    assert few.result == lx.RESULTS.max_steps_reached and few.stats["num_steps"] == 3
    # Beyond what rounding allows, and yet never a success that is none.
    assert run(a, b, make(kind, 1e-18)).result == lx.RESULTS.stagnation


def test_point_source_needs_more_than_one_step():
    a = 2 * np.eye(N) - np.eye(N, k=1) - np.eye(N, k=-1)
    b = np.zeros(N)
    b[N // 3] = 1.0
    for kind in KINDS:
        solution = run(a, b, make(kind))
        assert solution.result == lx.RESULTS.successful
        np.testing.assert_allclose(solution.value, np.linalg.solve(a, b), rtol=1e-8)
    # This is what the rule avoids: an entry of b that is zero passes an entrywise test.
    stock = lx.linear_solve(operator(a), jnp.asarray(b), lx.CG(1e-10, 0.0), throw=False)
    assert relative_residual(a, b, stock) > 0.1


def test_indefinite_systems():
    a, b = matrix(INDEFINITE), vector()
    close = operator(matrix(1 / (np.abs(INDEFINITE) + 0.3)))
    plain, helped = run(a, b, make(MINRES), SYMMETRIC), run(a, b, make(MINRES), SYMMETRIC, preconditioner=close)
    flexible = run(a, b, make(FGMRES), SYMMETRIC, preconditioner=close)
    for solution in (plain, helped, flexible):
        assert solution.result == lx.RESULTS.successful and relative_residual(a, b, solution) < 1e-10
    assert helped.stats["num_steps"] < plain.stats["num_steps"]
    assert run(a, b, make(CG)).result == lx.RESULTS.breakdown
    for solver in (make(CG), make(MINRES)):
        bad = lx.MatrixLinearOperator(jnp.asarray(-np.eye(N)), POSITIVE)
        assert run(matrix(DEFINITE), b, solver, preconditioner=bad).result == lx.RESULTS.breakdown
    negative = run(-matrix(DEFINITE), b, make(CG), lx.negative_semidefinite_tag)
    assert relative_residual(-matrix(DEFINITE), b, negative) < 1e-10


def test_flexible_preconditioner_and_restart():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((N, N)) + 8 * np.eye(N)
    b = vector()
    inner = FGMRES(0.1, restart=5)
    varying = lambda v: lx.linear_solve(operator(a, ()), v, inner).value / (1 + jnp.vdot(v, v))
    plain, helped = run(a, b, FGMRES(1e-10, restart=8), ()), run(a, b, FGMRES(1e-10), (), preconditioner=varying)
    assert relative_residual(a, b, plain) < 1e-10 and relative_residual(a, b, helped) < 1e-10
    assert helped.stats["num_steps"] < plain.stats["num_steps"] / 2
    c = a + 1j * rng.standard_normal((N, N))
    assert relative_residual(c, b + 1j, run(c, b + 1j, FGMRES(1e-10, restart=8), ())) < 1e-10
    cyclic = np.roll(np.eye(N), 1, axis=0)  # GMRES gains nothing before step N
    point = np.eye(N)[0]
    assert run(cyclic, point, FGMRES(1e-10, restart=4), ()).result == lx.RESULTS.stagnation


def test_pytrees_small_numbers_and_float32():
    a = matrix(DEFINITE)
    tree = lambda v: {"x": v[:5].reshape(5, 1), "y": v[5:]}
    flat = lambda t: jnp.concatenate([t["x"].reshape(-1), t["y"]])
    b = vector()
    cases = ((CG, jnp.float64, 1e-250), (MINRES, jnp.float32, 1e-30), (FGMRES, jnp.float32, 1e30))
    for kind, dtype, size in cases:
        small = tree(jnp.asarray(b * size, dtype))
        matvec = lambda t, dtype=dtype: tree(jnp.asarray(a, dtype) @ flat(t))
        system = lx.FunctionLinearOperator(matvec, jax.eval_shape(lambda s=small: s), POSITIVE)
        solution = lx.linear_solve(system, small, kind(1e-5), options={"preconditioner": lambda t: t})
        value = np.asarray(flat(solution.value), float) / size
        assert flat(solution.value).dtype == dtype
        assert np.linalg.norm(b - a @ value) < 1.1e-5 * np.linalg.norm(b)


def test_batches_and_traced_tolerances():
    a = jnp.stack([matrix(DEFINITE), matrix(1 + 0 * DEFINITE), matrix(DEFINITE**2)])
    b = jnp.stack([vector(i) for i in range(3)])

    def one(a, b, rtol):
        solution = lx.linear_solve(operator(a), b, CG(rtol), throw=False)
        return solution.value, solution.stats["num_steps"]

    value, steps = jax.jit(jax.vmap(one))(a, b, jnp.array([1e-8, 1e-8, 1e-4]))
    residual = jnp.linalg.norm(b - jnp.einsum("nij,nj->ni", a, value), axis=1) / jnp.linalg.norm(b, axis=1)
    assert residual[0] < 1e-8 and residual[1] < 1e-8 and 1e-10 < residual[2] < 1e-4
    assert steps[1] == 1 and steps[0] > 10
    alone = one(a[0], b[0], 1e-8)
    np.testing.assert_allclose(value[0], alone[0], rtol=1e-12)
    assert steps[0] == alone[1]


@pytest.mark.parametrize(
    "solver",
    [CG(1e-13), pytest.param(MINRES(1e-13), marks=pytest.mark.slow), FGMRES(1e-13, restart=N)],
    ids=lambda s: type(s).__name__,
)
def test_derivatives(solver):
    a = matrix(DEFINITE)
    if not isinstance(solver, CG):
        a = matrix(INDEFINITE)
    skew = np.triu(vector(4)[:, None] * vector(5), 1) if isinstance(solver, FGMRES) else 0 * a
    tag = {CG: POSITIVE, MINRES: SYMMETRIC, FGMRES: ()}[type(solver)]
    inverse = np.linalg.inv(a + skew) if isinstance(solver, FGMRES) else matrix(1 / np.abs(DEFINITE + 3))
    rough = operator(inverse + 0.001 * np.eye(N), POSITIVE if tag != () else ())
    a, b, weight = jnp.asarray(a), jnp.asarray(vector()), jnp.asarray(vector(6))

    def loss(p, b):
        array = a + p[0] * jnp.diag(weight**2) + p[1] * skew
        return jnp.vdot(
            weight, lx.linear_solve(operator(array, tag), b, solver, options={"preconditioner": rough}).value
        )

    p = jnp.array([0.7, 0.5 if isinstance(solver, FGMRES) else 0.0])
    exact = lambda p, b: jnp.vdot(weight, jnp.linalg.solve(a + p[0] * jnp.diag(weight**2) + p[1] * skew, b))
    value, gradient = jax.jit(jax.value_and_grad(loss, (0, 1)))(p, b)
    np.testing.assert_allclose(value, exact(p, b), rtol=1e-9)
    direction = (jnp.array([1.0, -0.4]), jnp.asarray(vector(7)))
    move = jax.jit(lambda e: exact(p + e * direction[0], b + e * direction[1]))
    difference = (move(1e-5) - move(-1e-5)) / 2e-5
    slope = sum(jnp.vdot(g, d) for g, d in zip(gradient, direction))
    np.testing.assert_allclose(slope, difference, rtol=1e-6)
    if isinstance(solver, CG):
        np.testing.assert_allclose(jax.jvp(loss, (p, b), direction)[1], difference, rtol=1e-6)


def test_fixed_steps_are_differentiated_as_they_are():
    a, b, y0 = jnp.asarray(matrix(DEFINITE)), jnp.asarray(vector()), jnp.asarray(vector(2))
    weight = jnp.asarray(vector(6))

    def truncated(p, b, y0, steps=4):
        op = operator(a + p * jnp.diag(weight**2))
        return jnp.vdot(weight, fixed_steps_cg(op, b, y0, steps, lambda v: v / (1 + 0.1 * p * weight**2)))

    move = jax.jit(lambda e: truncated(0.7 + e, b + e * weight, y0 - e * b))
    difference = (move(1e-5) - move(-1e-5)) / 2e-5
    parts = jax.jit(jax.grad(truncated, (0, 1, 2)))(0.7, b, y0)
    slope = parts[0] + jnp.vdot(parts[1], weight) - jnp.vdot(parts[2], b)
    np.testing.assert_allclose(slope, difference, rtol=1e-7)
    # A converged solve has another derivative: four steps are not a solution.
    full = lambda p: jnp.vdot(weight, jnp.linalg.solve(a + p * jnp.diag(weight**2), b))
    assert abs(jax.grad(full)(0.7) - parts[0]) > 1e-2 * abs(parts[0])
    # Steps after convergence change nothing, and their derivative is finite.
    value, gradient = jax.value_and_grad(lambda b: jnp.sum(fixed_steps_cg(lambda v: 2 * v, b, None, 5)))(b)
    np.testing.assert_allclose(value, jnp.sum(b) / 2)
    np.testing.assert_allclose(gradient, 0.5)


def test_refusals():
    a, b = operator(matrix(DEFINITE)), jnp.asarray(vector())
    plain = operator(matrix(DEFINITE), ())
    for call, error, match in (
        (lambda: CG(0.0, 0.0), ValueError, "both zero"),
        (lambda: MINRES(-1.0), ValueError, "negative"),
        (lambda: FGMRES(restart=0), ValueError, "restart"),
        (lambda: lx.linear_solve(plain, b, CG()), ValueError, "positive or negative semidefinite"),
        (lambda: lx.linear_solve(plain, b, MINRES()), ValueError, "symmetric"),
        (lambda: lx.linear_solve(operator(np.ones((2, 3)), ()), b[:2], FGMRES()), ValueError, "structure"),
        (lambda: lx.linear_solve(a, b, CG(), options={"preconditioner": plain}), ValueError, "preconditioner"),
        (lambda: lx.linear_solve(a, b, CG(), options={"preconditioner": 3}), TypeError, "callable"),
        (lambda: lx.linear_solve(a, b, CG(), options={"y0": b[:3]}), ValueError, "y0"),
        (lambda: lx.linear_solve(operator(matrix(DEFINITE) + 0j), b + 0j, MINRES()), TypeError, "FGMRES"),
        (lambda: fixed_steps_cg(a, b, b, -1), ValueError, "steps"),
        (lambda: fixed_steps_cg(a, b + 0j, b, 1), TypeError, "real"),
    ):
        with pytest.raises(error, match=match):
            call()
