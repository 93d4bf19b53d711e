"""What something is measured in changes no answer: sizes from 1e-25 to 1e+25 in single precision."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

import jaxsim as js
from jaxsim import constraints, linear, norms, optimize
from jaxsim.equations import initial
from jaxsim.integrate import normalized_error

SIZES = np.array([1e-25, 1e-20, 1e-10, 1.0, 1e10, 1e20, 1e25], np.float32)
KEEP = optimize.OnFailure.KEEP
M = jnp.array([[3.0, 0.4, 0.2, 0.1], [0.4, 2.0, 0.3, 0.5], [0.2, 0.3, 4.0, 0.6], [0.1, 0.5, 0.6, 5.0]], jnp.float32)
B = jnp.array([1.0, -2.0, 0.5, 3.0], jnp.float32)
A = jnp.array([[1.0, 2.0, 0.5, 0.3], [0.0, 1.0, 1.0, -0.4]], jnp.float32)
V = jnp.array([0.5, 0.2], jnp.float32)
ONE = np.ones_like(SIZES)
EACH = np.concatenate([np.stack([SIZES, ONE], 1), np.stack([ONE, SIZES], 1), np.stack([SIZES, SIZES], 1)])


def slow(case):
    return pytest.param(case, marks=pytest.mark.slow)


def same(function, sizes=SIZES, rtol=1e-4):
    """Answers, and statuses of them, that are those of size one; all in one compilation."""
    values, statuses = jax.jit(lambda sizes: jax.lax.map(function, sizes))(jnp.asarray(sizes))
    one = np.argmax(np.all(np.reshape(sizes, (len(sizes), -1)) == 1, -1))
    expected = jax.tree.map(lambda leaf: leaf[one], values)
    for found, one in zip(jax.tree.leaves(values), jax.tree.leaves(expected)):
        assert np.all(np.isfinite(one)) and np.abs(one).max() > 1e-2
        scale = np.abs(one).max()
        for size, each in zip(sizes, found):
            np.testing.assert_allclose(each, one, rtol=0, atol=rtol * scale, err_msg=f"at {size}")
    assert np.all(np.asarray(statuses)), f"not converged at {sizes[~np.asarray(statuses)]}"


def solved(operator, b, solver, **options):
    found = lx.linear_solve(operator, b, solver, options=options, throw=False)
    return found.value, found.result == lx.RESULTS.successful


POSITIVE = lx.positive_semidefinite_tag
SOLVERS = {
    "CG": (linear.CG(), POSITIVE),
    "MINRES": (linear.MINRES(), lx.symmetric_tag),
    "FGMRES": (linear.FGMRES(), ()),
}


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("preconditioned", [False, slow(True)])
def test_krylov_solvers(name, preconditioned):
    solver, tag = SOLVERS[name]

    def at(sizes):
        operator = lx.MatrixLinearOperator(sizes[1] * M, tag)
        inverse = lx.DiagonalLinearOperator(1 / (sizes[1] * jnp.diagonal(M)))
        options = {"preconditioner": lx.TaggedLinearOperator(inverse, POSITIVE)} if preconditioned else {}
        value, fine = solved(operator, sizes[0] * B, solver, **options)
        return value * sizes[1] / sizes[0], fine

    same(at, EACH)


def test_fixed_steps_of_conjugate_gradients_and_their_derivatives():
    def at(sizes):
        of = lambda scale: linear.fixed_steps_cg(lambda v: scale * sizes[1] * (M @ v), sizes[0] * B, steps=3)
        value, change = jax.jvp(of, (jnp.ones((), jnp.float32),), (jnp.ones((), jnp.float32),))
        return (value * sizes[1] / sizes[0], change * sizes[1] / sizes[0]), True

    same(at, EACH)


@pytest.mark.slow
def test_preconditioners_of_any_size():
    def at(size):
        of = lambda v: v * size / jnp.diagonal(M)
        operator = lx.MatrixLinearOperator(M, POSITIVE)
        value, fine = solved(operator, B, linear.CG(), preconditioner=of)
        other, good = solved(operator, B, linear.MINRES(), preconditioner=of)
        return (value, other, linear.fixed_steps_cg(lambda v: M @ v, B, steps=4, preconditioner=of)), fine & good

    same(at)


@pytest.mark.parametrize("make", [slow(linear.Multigrid), linear.fast_poisson])
def test_diffusion(make):
    coefficient = jnp.linspace(1, 3, 64).reshape(8, 8).astype(jnp.float32)
    right = jnp.cos(jnp.arange(64.0)).reshape(8, 8).astype(jnp.float32)

    def at(sizes):
        operator = linear.VariableDiffusion(sizes[1] * coefficient, 0.5)
        value, fine = solved(operator, sizes[0] * right, linear.CG(), preconditioner=make(operator))
        return value * sizes[1] / sizes[0], fine

    same(at, EACH)


def test_means_of_coefficients_and_their_slopes():
    a, b = jnp.array([1.0, 3.0], jnp.float32), jnp.array([2.0, 0.1], jnp.float32)
    exact = 2 * a * b / (a + b)

    def at(size):
        value, slope = jax.jvp(lambda a: linear.harmonic_mean(a, size * b), (size * a,), (a,))
        return (value / size, slope), True

    same(at)
    assert linear.harmonic_mean(a, b).tolist() == exact.tolist()  # to the last bit
    np.testing.assert_allclose(linear.harmonic_mean(jnp.float32(1e-25), jnp.float32(1e25)), 2e-25, rtol=1e-6)


def test_helmholtz():
    axes = [linear.axis_basis(6, 0.5, linear.Side.DIRICHLET, linear.Side.NEUMANN)]

    def at(sizes):
        value = linear.separable_solve(sizes[0] * jnp.arange(1.0, 7, dtype=jnp.float32), axes,
                                       coefficients=[sizes[1]], shift=0.3 * sizes[1])  # fmt: skip
        return value * sizes[1] / sizes[0], True

    same(at, EACH)


def test_stencil_factors_with_two_equations_of_other_units():
    pattern = linear.StencilPattern((5,), [[[(0,)], [(0,)]], [[(0,)], [(0,)]]], (False,))
    blocks = jnp.array([[3.0, 1.0], [1.0, 2.0]], jnp.float32)

    def at(sizes):
        units = jnp.stack([sizes[0], sizes[1]])

        def product(v):
            return units[:, None] * (blocks @ v)

        operator = lx.FunctionLinearOperator(product, jax.ShapeDtypeStruct((2, 5), jnp.float32))
        right = units[:, None] * jnp.arange(1.0, 11, dtype=jnp.float32).reshape(2, 5)
        return solved(operator, right, linear.StencilLU(pattern))

    same(at, EACH)


# -- projections -------------------------------------------------------------------------------------------------------
def told(found):
    return found.status == optimize.SolveStatus.converged


POINT = jnp.array([1.0, 5.0, -4.0, 2.0], jnp.float32)
ROWS = {  # scaled by the size of the state and that of the first row
    "affine": lambda A, b, y: constraints.AffineProjection(A, b, on_failure=KEEP).solve(y),
    "prepared": lambda A, b, y: constraints.AffineProjection(A, b, on_failure=KEEP).prepared(y).solve(y),
    "operator": lambda A, b, y: constraints.AffineProjection(
        lx.MatrixLinearOperator(A), b, on_failure=KEEP).solve(y),  # fmt: skip
    "box": lambda A, b, y: constraints.BoxAffineProjection(A, b, on_failure=KEEP).solve(y),
    "nonlinear": lambda A, b, y: constraints.NonlinearProjection(lambda x: A @ x, b, on_failure=KEEP).solve(y),
    "integral": lambda A, b, y: constraints.IntegralProjection(
        lambda x: A @ x, b, quadrature=constraints.Quadrature(jnp.ones(4)), on_failure=KEEP).solve(y),  # fmt: skip
}


@pytest.mark.parametrize("name", [slow(name) if name in ("box", "nonlinear", "prepared") else name for name in ROWS])
def test_projections_on_rows_of_any_size(name):
    def at(sizes):
        units = jnp.stack([sizes[1], jnp.ones_like(sizes[1])])
        found = ROWS[name](units[:, None] * A, sizes[0] * units * V, sizes[0] * POINT)
        return found.value / sizes[0], told(found)

    sizes = EACH if name != "nonlinear" else EACH[:14]
    same(at, sizes[(np.abs(np.log10(sizes)).sum(1) < 38)])


@pytest.mark.slow
def test_tiny_rows_that_contradict_are_not_converged():
    rows = jnp.concatenate([A, A[:1]])

    def at(size):
        units = jnp.array([1.0, 1.0, 0.0], jnp.float32) + jnp.array([0.0, 0.0, 1.0], jnp.float32) * size
        values = units * jnp.append(V, V[0] + 1)
        solve = lambda kind: kind(units[:, None] * rows, values, on_failure=KEEP).solve(POINT).status
        statuses = [solve(kind) for kind in (constraints.AffineProjection, constraints.BoxAffineProjection)]
        return [status != optimize.SolveStatus.converged for status in statuses]

    for found in jax.jit(lambda sizes: jax.lax.map(at, sizes))(SIZES):
        assert np.all(found)


@pytest.mark.slow
def test_boxes():
    def at(size):
        high = size * jnp.array([0.4, 9.0, 9.0, 1.0], jnp.float32)
        more = jnp.array([[1.0, -1.0, 0.3, 0.0]], jnp.float32)
        projection = constraints.BoxAffineProjection(A, size * V, high=high, between=(more, -size, size),
                                                     on_failure=KEEP)  # fmt: skip
        found = projection.solve(size * POINT)
        return found.value / size, told(found)

    same(at)


@pytest.mark.slow
def test_metrics():
    def at(size):
        metric = size * jnp.array([1.0, 2.0, 3.0, 4.0], jnp.float32)
        first = constraints.AffineProjection(A, V, metric=metric, on_failure=KEEP).solve(POINT)
        second = constraints.NonlinearProjection(lambda x: jnp.sum(x**2), 3.0, metric, on_failure=KEEP).solve(POINT)
        return (first.value, second.value), told(first) & told(second)

    same(at)


@pytest.mark.slow
def test_quadratic_integrals():
    def at(size):
        keep = constraints.IntegralProjection(quadratic=lambda u: u @ u, quadrature=constraints.Quadrature(jnp.ones(4)),
                                              on_failure=KEEP)  # fmt: skip
        found = keep.of(size * POINT).solve(size * B)
        return found.value / size, told(found)

    same(at, SIZES[2:5])  # the square itself must be a number


def test_marginals():
    def at(size):
        rows = size * jnp.array([1.0, 2.0], jnp.float32)
        found = constraints.DoublyStochastic(rows, on_failure=KEEP).solve(M[:2])
        return found.value / size, told(found)

    same(at)


def test_gaussians():
    def at(sizes):
        units = jnp.stack([sizes[1], jnp.ones_like(sizes[1])])
        found = constraints.GaussianConditioning(units[:, None] * A, units * V, 0.1 * units, KEEP)(POINT, M)
        return (found.mean, found.covariance), found.succeeded

    same(at, EACH[7:14])


# -- solves ------------------------------------------------------------------------------------------------------------
def fine(found):
    return found.succeeded & (found.status != optimize.SolveStatus.rank_deficient)


@pytest.mark.parametrize("power", [1, slow(2)])
def test_least_squares(power):
    """Sizes of the data and of one unknown."""
    nodes = jnp.arange(5, dtype=jnp.float32) / 4

    def at(sizes):
        data = sizes[0] * jnp.array([1.0, 0.8, 0.5, 0.35, 0.2], jnp.float32)

        def residual(w, given):
            shape = 1 + 0.1 * (w[0] / sizes[0]) ** 2 if power == 2 else 1.0
            return w[0] * shape * jnp.cos(nodes) + sizes[1] * w[1] * nodes - given

        found = optimize.least_squares(residual, jnp.zeros(2, jnp.float32), data, on_failure=KEEP)
        return found.value * jnp.stack([1 / sizes[0], sizes[1] / sizes[0]]), fine(found)

    same(at, EACH[np.abs(np.log10(EACH[:, 0]) - np.log10(EACH[:, 1])) < 30], 1e-3)


@pytest.mark.slow
def test_roots():
    """Sizes of the unknowns and of one equation."""

    def at(sizes):
        units = jnp.stack([sizes[1], jnp.ones_like(sizes[1])])

        def function(y, b):
            y = y / sizes[0]
            return units * (M[:2, :2] @ y + 0.1 * y**3 - b)

        found = optimize.root(function, jnp.zeros(2, jnp.float32), B[:2], on_failure=KEEP)
        slope = jax.jvp(lambda b: optimize.root(function, jnp.zeros(2, jnp.float32), b, on_failure=KEEP).value,
                        (B[:2],), (B[:2],))[1]  # fmt: skip
        return (found.value / sizes[0], slope / sizes[0]), fine(found)

    same(at, EACH)


@pytest.mark.parametrize("method", [slow(optimize.Anderson()), optimize.Picard()])
def test_fixed_points(method):
    def at(size):
        found = optimize.fixed_point(lambda y, b: M @ y / 8 + b, jnp.zeros(4, jnp.float32), size * B, method=method,
                                     on_failure=KEEP)  # fmt: skip
        return found.value / size, fine(found)

    same(at, rtol=2e-3)


@pytest.mark.slow
def test_nearest_points():
    """Sizes of the point and of a curved constraint."""

    def at(sizes):
        constraint = lambda y, _: sizes[1] * (jnp.sum((y / sizes[0]) ** 2) - 1)
        found = optimize.nearest(sizes[0] * POINT[:2], constraint, on_failure=KEEP)
        return found.value / sizes[0], fine(found)

    same(at, EACH[np.abs(np.log10(EACH[:, 0]) - np.log10(EACH[:, 1])) < 30], 1e-3)


@pytest.mark.slow
def test_layers():
    functions = lambda x: jnp.stack([jnp.ones_like(x), x, x**2])

    def at(size):
        rows = optimize.Rows(lambda u, s: u(s) - size * jnp.sin(s), jnp.linspace(0, 1, 6, dtype=jnp.float32))
        found = constraints.satisfy(functions, {"data": rows}, on_failure=KEEP)
        return found.value(0.3) / size, fine(found)

    same(at)


# -- fields ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("space", [js.Fourier(js.Grid(8, 0.0, 1.0)),
                                   slow(js.FiniteDifference(js.Grid(8, 0.0, 1.0), js.Dirichlet()))])  # fmt: skip
def test_norms_of_fields(space):
    values = jnp.cos(jnp.arange(8.0)).astype(jnp.float32)

    def at(size):
        of = lambda scale: js.norm(space.field(scale * values))
        value, slope = jax.value_and_grad(of)(size)
        return (value / size, slope), True

    same(at)
    assert js.norm(space.field(0 * values)) == 0
    assert np.all(jax.grad(lambda v: js.norm(space.field(v)))(0 * values) == 0)


def test_random_fields_and_errors_of_predictions():
    def at(size):
        field = initial.gaussian_random_field(jax.random.key(0), length=1.0, cutoff=4, inverse_length=1.0)
        truth = size * jnp.cos(jnp.arange(12.0, dtype=jnp.float32)).reshape(4, 3)
        return (normalized_error(truth + 0.1 * size, truth), norms.lengths(truth) / size, field(jnp.float32(0.2))), True

    same(at)
