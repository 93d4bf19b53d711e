"""Variable diffusion, and the preconditioners made for it: multigrid and the scaled fast inverse."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from jaxsim.linear import (
    CG,
    Multigrid,
    Side,
    VariableDiffusion,
    arithmetic_mean,
    fast_poisson,
    fixed_steps_cg,
    harmonic_mean,
)

D, N, P = Side.DIRICHLET, Side.NEUMANN, Side.PERIODIC
SIDES = [N, P, ((D, N), (D, D))]


def rough(shape, spread=1.0, seed=0):
    return np.exp(spread * np.random.default_rng(seed).standard_normal(shape))


def smooth(n, contrast=1.0):
    x = (np.arange(n) + 0.5) / n
    return np.exp(contrast * np.sin(2 * np.pi * x)[:, None] * np.cos(2 * np.pi * x + 0.3))


@jax.jit
def steps(operator, b, preconditioner):
    solution = lx.linear_solve(operator, b, CG(1e-8), options={"preconditioner": preconditioner}, throw=False)
    return solution.value, solution.stats["num_steps"]


@pytest.mark.parametrize("sides", SIDES)
def test_operators_are_symmetric_and_positive(sides):
    operator = VariableDiffusion(rough((8, 6)), (0.1, 0.12), sides)
    matrix, cycle, fast = jax.jit(lambda *all: [each.as_matrix() for each in all])(
        operator, Multigrid(operator), fast_poisson(operator)
    )
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
    np.testing.assert_allclose(lx.diagonal(operator), np.diag(matrix))
    values = np.linalg.eigvalsh(matrix)
    assert operator.singular == (abs(values[0]) < 1e-9) and values[1] > 1e-3
    if operator.singular:
        np.testing.assert_allclose(matrix @ np.ones(48), 0, atol=1e-10)
    for matrix in (cycle, fast):
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-13)
        assert np.linalg.eigvalsh(matrix)[0] > -1e-15 * np.abs(matrix).max()


@pytest.mark.parametrize("pair, wave", [((D, D), np.sin), ((N, N), np.cos), ((P, P), np.sin)])
def test_second_order(pair, wave):
    errors = []
    for n in (16, 32):
        h, x = 1 / n, (np.arange(n) + 0.5) / n
        u, k = lambda x: wave(2 * np.pi * x), 2 * np.pi
        a, slope = 2 + np.cos(k * x), -k * np.sin(k * x)
        first = k * (np.cos(k * x) if wave is np.sin else -np.sin(k * x))
        f = -(slope * first - a * k**2 * u(x)) + 3 * u(x)
        for mean in (harmonic_mean, arithmetic_mean):
            matrix = jax.jit(lambda o: o.as_matrix())(VariableDiffusion(a, h, (pair,), 3.0, mean))
            errors.append(np.abs(np.linalg.solve(matrix, f) - u(x)).max())
    assert errors[0] / errors[2] > 3.6 and errors[1] / errors[3] > 3.6


def test_one_axis_with_jumps_is_exact():
    # Flux 1 through two materials: u falls by x/a in each, exactly so on cells with harmonic means.
    n, a = 16, np.where(np.arange(16) < 8, 1.0, 1e3)
    operator = VariableDiffusion(a, 1 / n, ((D, N),))
    b = np.zeros(n)
    b[-1] = n  # a source of one in the last cell leaves by the wall
    u = lx.linear_solve(operator, jnp.asarray(b), lx.AutoLinearSolver(well_posed=True)).value
    x = (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(u, np.where(x < 0.5, x, 0.5 + (x - 0.5) / 1e3), rtol=1e-12)


def inclusion(n, jump, dimension=2):
    """A ball that conducts `jump` times as well as what is around it."""
    x = (np.arange(n) + 0.5) / n
    square = sum((c - 0.5) ** 2 for c in np.meshgrid(*[x] * dimension))
    return np.where(square < 0.1, jump, 1.0)


def board(n, jump, side=8):
    """A checkerboard of `side` by `side` squares."""
    index = np.arange(n) * side // n
    return np.where((index[:, None] + index) % 2, jump, 1.0)


def test_iterations_do_not_depend_on_mesh_and_coefficient():
    """On odd meshes too; without interpolation that follows the coefficient these take up to 400."""
    for n in (33, 64):
        cases = [smooth(n), inclusion(n, 1e6), inclusion(n, 1e-6), board(n, 1e6), rough((n, n), 2.5)]
        counts = []
        for a in cases:
            operator, b = VariableDiffusion(a, 1 / n), jnp.ones((n, n))
            value, count = steps(operator, b, Multigrid(operator))
            # What large coefficients let rounding leave of a residual is more than the tolerance.
            rounding = 1e-15 * jnp.linalg.norm(operator.diagonal() * value)
            assert jnp.linalg.norm(b - operator.mv(value)) <= 1e-8 * n + rounding
            counts.append(int(count))
        assert max(counts[:3]) <= 12 and max(counts) <= 18, counts
    assert steps(VariableDiffusion(smooth(n), 1 / n), b, fast_poisson(VariableDiffusion(smooth(n), 1 / n)))[1] <= 12


def test_the_smoother_is_the_chebyshev_polynomial_of_the_fourth_kind():
    """What k steps leave of an error with the eigenvalue sin²(t / 2) is sin((2k + 1) t / 2) / ((2k + 1) sin(t / 2))."""
    operator = VariableDiffusion(np.ones(128), 1.0, ((P, P),))
    level = Multigrid(operator).levels[0]
    for wave in (3, 20, 64):
        u = np.cos(2 * np.pi * wave * np.arange(128) / 128)
        share = np.sin(np.pi * wave / 128) ** 2  # of the bound by row sums
        t = 2 * np.arcsin(np.sqrt(share))
        for degree in (1, 2, 3, 4):
            left = u - level.smooth(None, operator.mv(u), degree)[0]
            expected = np.sin((2 * degree + 1) * t / 2) / ((2 * degree + 1) * np.sin(t / 2))
            np.testing.assert_allclose(left, expected * u, atol=1e-12)


def dense(function, shape):
    units = jnp.eye(int(np.prod(shape))).reshape(-1, *shape)
    return jax.jit(jax.vmap(lambda u: function(u).ravel(), 0, 1))(units)


@pytest.mark.parametrize(
    ("sides", "shape"),
    [
        (P, (25, 18)),
        pytest.param(((D, N), P), (17, 23), marks=pytest.mark.slow),
        pytest.param(N, (10, 7, 12), marks=pytest.mark.slow),
    ],
)
def test_coarse_operators_are_those_of_galerkin_and_keep_constants(sides, shape):
    """On grids that are odd along a ring, where two cells that stay are neighbors."""
    level, *rest = Multigrid(VariableDiffusion(rough(shape, 2.0), 1.0, sides)).levels
    coarse = level.interpolation.coarse_shape
    p = dense(level.interpolation.prolong, coarse)
    fine, found = (dense(m.mv, m.loss.shape) for m in (level.matrix, rest[0].matrix))
    np.testing.assert_allclose(found, p.T @ fine @ p, atol=1e-12 * np.abs(fine).max())
    if sides in (N, P):
        np.testing.assert_allclose(p.sum(1), 1, rtol=1e-14)


def test_cells_that_conduct_nothing():
    """An impermeable block and a cell of its own; the flow around them is that without their equations."""
    a = rough((12, 17))
    a[3:6, 4:9] = 0
    a[9, 9] = 0
    operator = VariableDiffusion(a, 0.1, ((D, N), N))
    b = jnp.where(a > 0, jnp.asarray(rough(a.shape, seed=1)), 0.0)
    value, count = steps(operator, b, Multigrid(operator))
    open = a.ravel() > 0
    matrix = np.asarray(operator.as_matrix())[np.ix_(open, open)]
    np.testing.assert_allclose(value.ravel()[open], np.linalg.solve(matrix, b.ravel()[open]), rtol=1e-6)
    assert count <= 12


@pytest.mark.slow
def test_rough_coefficients_in_three_dimensions():
    # A contrast above 1e4 between neighbors, on cells that are not cubes.
    operator = VariableDiffusion(rough((16, 8, 12), 1.5), (1.0, 2.1, 0.6), ((D, N), P, N), reaction=0.01)
    assert steps(operator, jnp.ones((16, 8, 12)), Multigrid(operator))[1] <= 22


def test_singular_problems():
    n = 8
    operator = VariableDiffusion(smooth(n), 1 / n, ((N, N), P))
    b = jnp.asarray(rough((n, n)))
    solve = jax.jit(lambda b, options: lx.linear_solve(operator, b, CG(1e-10), options=options, throw=False))
    for options in ({}, {"preconditioner": Multigrid(operator)}, {"preconditioner": fast_poisson(operator)}):
        solution = solve(b - b.mean(), options)
        assert solution.result == lx.RESULTS.successful
        assert jnp.linalg.norm(b - b.mean() - operator.mv(solution.value)) <= 1e-10 * jnp.linalg.norm(b)
        if not options:
            assert abs(solution.value.mean()) < 1e-12
        failed = solve(b, options)
        assert failed.result in (lx.RESULTS.singular, lx.RESULTS.stagnation, lx.RESULTS.breakdown)
        assert jnp.all(jnp.isfinite(failed.value))


def test_gradients_of_the_coefficient():
    n = 8
    b, weight, direction = (jnp.asarray(rough((n, n), seed=i)) for i in (1, 2, 3))

    def loss(log_a, c):
        operator = VariableDiffusion(jnp.exp(log_a), 1 / n, ((D, N), P), c)
        solution = lx.linear_solve(operator, b, CG(1e-13), options={"preconditioner": Multigrid(operator)})
        return jnp.vdot(weight, solution.value)

    log_a = jnp.log(smooth(n))

    @jax.jit
    def move(e):
        operator = VariableDiffusion(jnp.exp(log_a + e * direction), 1 / n, ((D, N), P), 0.5 + e)
        return jnp.vdot(weight.ravel(), jnp.linalg.solve(operator.as_matrix(), b.ravel()))

    difference = (move(1e-5) - move(-1e-5)) / 2e-5
    gradient, reaction = jax.jit(jax.grad(loss, (0, 1)))(log_a, 0.5)
    np.testing.assert_allclose(jnp.vdot(gradient, direction) + reaction, difference, rtol=1e-7)

    # The cycle itself can be unrolled and transposed.
    operator = VariableDiffusion(jnp.exp(log_a), 1 / n)
    inverse = Multigrid(operator)
    two = jax.jit(lambda b: jnp.vdot(weight, fixed_steps_cg(operator, b, None, 2, inverse)))
    difference = (two(b + 1e-5 * direction) - two(b - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.vdot(jax.jit(jax.grad(two))(b), direction), difference, rtol=1e-7)


@pytest.mark.slow
def test_float32_and_batches():
    a = jnp.asarray(np.stack([smooth(16), smooth(16, 2.0)]), jnp.float32)

    def one(a):
        operator = VariableDiffusion(a, 1 / 16)
        options = {"preconditioner": fast_poisson(operator)}
        value = lx.linear_solve(operator, jnp.ones_like(a), CG(1e-5), options=options).value
        return value, operator.mv(value) - 1

    value, residual = jax.jit(jax.vmap(one))(a)
    assert value.dtype == jnp.float32 and jnp.all(jnp.linalg.norm(residual, axis=(1, 2)) < 1.2e-5 * 16)
    # Beyond a jump of about 1e5 single precision does not tell a mean in the disk from a null space.
    cycle = jax.jit(lambda a, b: Multigrid(VariableDiffusion(a, 1 / 32)).mv(b))
    single, double = (cycle(jnp.asarray(inclusion(32, 1e3), t), jnp.ones((32, 32), t)) for t in ("float32", "float64"))
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-2 * jnp.max(double))


def test_refusals():
    good = VariableDiffusion(np.ones((4, 4)), 1.0)
    for call, match in (
        (lambda: VariableDiffusion(-np.ones(4), 1.0), "not negative"),
        (lambda: VariableDiffusion(np.full(4, np.nan), 1.0), "not negative"),
        (lambda: VariableDiffusion(np.ones(4), 0.0), "spacing"),
        (lambda: VariableDiffusion(np.ones(1), 1.0), "2 cells"),
        (lambda: VariableDiffusion(np.ones((4, 4)), 1.0, (D,)), "sides"),
        (lambda: VariableDiffusion(np.ones(4), 1.0, ((P, N),)), "periodic on one side"),
        (lambda: VariableDiffusion(np.ones(4), 1.0, D, -1.0), "negative"),
        (lambda: good.mv(jnp.ones(4)), "shape"),
        (lambda: Multigrid(good, degree=0), "degree"),
        (lambda: fast_poisson(VariableDiffusion(np.array([0.0, 1.0, 1.0]), 1.0)), "positive"),
        (lambda: fast_poisson(good, shift=-1.0), "shift"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
