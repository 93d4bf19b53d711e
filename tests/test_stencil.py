"""Sparse Jacobians by coloring, their direct solution, and a reaction whose sums are known exactly."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest

import jaxsim as js
from jaxsim.linear import StencilLU, StencilOperator, StencilPattern, coloring, compress

STAR = {(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)}
HERE = {(0, 0)}


def reaction(nodes):
    """The reaction on a square with nodes on its walls, a fifth of which is a source; the state at rest."""
    space = js.FiniteDifference(js.Grid((nodes - 1,) * 2, 0.0, nodes - 1.0), js.Neumann(), faces=(True, True))
    last = 4 * nodes / 5 - 1
    equation = js.equations.ReversibleReaction(lambda t, x, y: jnp.where(x >= last, 1.0, 0.0))
    return equation, space.field(jnp.zeros((3, nodes, nodes)))


def jacobians(equation, u, pattern):
    """The colored Jacobian and the dense one."""
    term = js.SemilinearTerm(equation, u.space)

    @jax.jit
    def both(y):
        found = js.integrate.colored_jacobian(equation, u.space.field(y), pattern=pattern).as_matrix()
        return found, jax.jacfwd(lambda v: term.vf(0.0, v))(y).reshape(found.shape)

    return both(u.values)


# -- coloring ----------------------------------------------------------------------------------------------------------
def test_reaction_takes_seven_products_and_has_the_dense_jacobian():
    equation, u = reaction(9)
    u = u.space.field(jax.random.uniform(jax.random.key(0), u.values.shape))
    pattern = js.integrate.stencil_pattern(equation, u)
    assert [[set(o) for o in row] for row in pattern.couplings] == [[STAR, HERE, HERE], [HERE] * 3, [HERE] * 3]
    products = []

    @jax.custom_batching.custom_vmap
    def counted(v):
        return v

    @counted.def_vmap
    def _(count, batched, v):
        products.append(count)
        return v, True

    jax.eval_shape(lambda v: compress(counted, v, pattern).entries, u.values)
    assert products == [7] and pattern.colors == 7
    found, wanted = jacobians(equation, u, pattern)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * float(jnp.abs(wanted).max()))


CASES = {
    "order 4 between unlike walls": (
        js.equations.FisherKPP(0.3),
        js.FiniteDifference(js.Grid((7, 8), 0.0, 1.0), ((js.Dirichlet(1.0), js.Robin(1.0, 0.5)), js.Periodic()), 4),
        (),
    ),
    "third derivative, prime period": (js.equations.KortewegDeVries(), js.FiniteDifference(js.Grid(13, 0.0, 1.0)), ()),
    "coupled, three axes": (
        js.equations.GrayScott(),
        js.FiniteDifference(js.Grid((5, 4, 3), 0.0, 1.0), js.Neumann()),
        (2,),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_colored_jacobian_is_the_dense_one(name):
    equation, space, components = CASES[name]
    u = space.field(jax.random.uniform(jax.random.key(1), (*components, *space.shape)))
    pattern = js.integrate.stencil_pattern(equation, u)
    found, wanted = jacobians(equation, u, pattern)
    assert pattern.colors < len(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * float(jnp.abs(wanted).max()))


@pytest.mark.parametrize("shape, periodic", [((11,), (True,)), ((6, 7), (False, True)), ((4, 5, 3), (False,) * 3)])
def test_no_row_has_two_columns_of_one_color(shape, periodic):
    rng = np.random.default_rng(0)
    couplings = [[rng.integers(-2, 3, (4, len(shape))) for _ in range(2)] for _ in range(2)]
    pattern = StencilPattern(shape, couplings, periodic)
    rows, columns, valid = js.linear.stencil.positions(pattern)
    pairs = np.unique(np.stack([rows[valid], pattern.coloring().reshape(-1)[columns[valid]]]), axis=1)
    assert pairs.shape[1] == len(np.unique(np.stack([rows[valid], columns[valid]]), axis=1).T)


def test_stars_take_as_few_colors_as_they_have_points():
    for dimension in (1, 2, 3):
        star = [tuple(s * int(a == axis) for a in range(dimension)) for axis in range(dimension) for s in (-1, 0, 1)]
        assert StencilPattern((9,) * dimension, [[star]]).colors == 2 * dimension + 1
    closed = StencilPattern((10, 15), [[list(STAR)]], (True, True))
    assert closed.colors == 5
    assert np.all(coloring.block_coloring((3, 3), (7, 8), (True, True))[[0, 6]] != 9)


# -- operators and their direct solution -------------------------------------------------------------------------------
def random_operator(shape, couplings, periodic, seed=0):
    """Entries of a diagonally dominant matrix, in arrays of different component shapes."""
    pattern = StencilPattern(shape, couplings, periodic)
    _, _, valid = js.linear.stencil.positions(pattern)
    entries = np.random.default_rng(seed).uniform(-1, 1, valid.shape) * valid
    diagonal = [k for k, (i, j, o) in enumerate(pattern.terms) if i == j and not any(o)]
    entries[diagonal] += 1.2 * len(pattern.terms) / pattern.components
    structure = {"scalar": jax.ShapeDtypeStruct(shape, float)}
    if pattern.components > 1:
        structure["vector"] = jax.ShapeDtypeStruct((pattern.components - 1, *shape), float)
    return StencilOperator(pattern, jnp.asarray(entries), structure)


WIDE = {(0, 0), (2, 0), (-1, 1), (0, -1)}
SYSTEMS = {
    "two pointwise species": ((5, 6), [[STAR, HERE, HERE], [HERE] * 3, [HERE] * 3], (False, False)),
    "a ring": ((4, 4), [[STAR, HERE], [STAR, HERE]], (True, True)),
    "wide blocks and a remainder": ((7, 4), [[WIDE, STAR], [HERE, WIDE]], (False, True)),
    "pointwise alone": ((3, 4), [[HERE] * 3] * 3, (False, False)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n == "two pointwise species" else []) for n in SYSTEMS]
)
def test_direct_solution(name):
    operator = random_operator(*SYSTEMS[name])
    numbers = np.random.default_rng(2).normal(size=operator.in_size())
    flatten = lambda tree: jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(tree)])

    def unflatten(flat):
        count = int(np.prod(operator.pattern.shape))
        parts = {"scalar": flat[:count], "vector": flat[count:]}
        return {k: parts[k].reshape(s.shape) for k, s in operator.in_structure().items()}

    @jax.jit
    def everything(entries, flat):
        a = StencilOperator(operator.pattern, entries, operator.in_structure())
        solve = lambda b: flatten(lx.linear_solve(a, unflatten(b), StencilLU(a.pattern)).value)
        solution, pullback = jax.vjp(solve, flat)
        return a.as_matrix(), a.transpose().as_matrix(), flatten(a.mv(unflatten(flat))), solution, pullback(flat)[0]

    matrix, transposed, product, solution, cotangent = (np.asarray(x) for x in everything(operator.entries, numbers))
    np.testing.assert_array_equal(transposed, matrix.T)
    np.testing.assert_allclose(product, matrix @ numbers, atol=1e-12)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, numbers), atol=1e-12)
    np.testing.assert_allclose(cotangent, np.linalg.solve(matrix.T, numbers), atol=1e-12)


def test_what_the_pattern_misses_and_singular_matrices_are_reported():
    operator = random_operator((4, 5), [[STAR]], (False, False))
    right = {"scalar": jnp.ones((4, 5))}
    missing = StencilPattern((4, 5), [[STAR - {(1, 0)}]])

    @jax.jit
    def results(entries):
        a = StencilOperator(operator.pattern, entries, operator.in_structure())
        given = lx.FunctionLinearOperator(a.mv, operator.in_structure())
        solve = lambda a, pattern: lx.linear_solve(a, right, StencilLU(pattern), throw=False).result
        return solve(given, missing), solve(given, operator.pattern), solve(0 * a, operator.pattern)

    found = results(operator.entries)
    assert found[0] == lx.RESULTS.breakdown and found[1] == lx.RESULTS.successful and found[2] == lx.RESULTS.singular


def test_bad_input_is_refused():
    equation, u = reaction(7)
    with pytest.raises(ValueError, match="couplings"):
        StencilPattern((3,), [[HERE], []])
    with pytest.raises(ValueError, match="one entry per axis"):
        StencilPattern((3, 3), [[{(0,)}]])
    with pytest.raises(ValueError, match="does not fit"):
        compress(lambda v: v, jnp.zeros((2, 4)), StencilPattern((3,), [[{(0,)}]]))
    with pytest.raises(ValueError, match="FiniteDifference"):
        js.integrate.stencil_pattern(js.equations.Diffusion(1.0), js.Fourier(js.Grid(8)).field(jnp.zeros(8)))
    with pytest.raises(TypeError, match="outside of jax.jit"):
        jax.jit(lambda v: js.integrate.stencil_pattern(equation, u.space.field(v)).colors)(u.values)
    with pytest.raises(ValueError, match="end to end"):
        js.linear.find_stencil(lambda v: v - v.mean(), jnp.ones(20), (20,), (False,))
    with pytest.raises(ValueError, match="not finite"):
        js.linear.find_stencil(jnp.sqrt, jnp.zeros(20), (20,), (False,))


# -- four ways through one equation ------------------------------------------------------------------------------------
def source_mean(u):
    (x, _) = u.space.coordinates()
    return float(js.mean(u.space.field(jnp.where(x >= 4 * x.shape[0] / 5 - 1, 1.0, 0.0))))


def check_sums(u, t, mean, tolerance):
    a, b, c = u.values
    decayed = 1 - np.exp(-t)
    assert jnp.abs(b + c - 2 * decayed).max() < tolerance
    assert abs(float(js.mean(u[0] + u[2])) - (1 + mean) * decayed) < tolerance


def test_transforms_keep_the_sums_and_find_the_published_ranges():
    equation, u = reaction(32)
    assert source_mean(u) == pytest.approx(6.5 / 31, abs=1e-14)
    end = js.rollout(equation, u, dt=0.1, steps=100)
    check_sums(end, 10.0, 6.5 / 31, 1e-12)
    low, high = jnp.min(end.values, (1, 2)), jnp.max(end.values, (1, 2))
    np.testing.assert_allclose(low, [0.3278, 1.1237, 0.7112], atol=6e-5)
    np.testing.assert_allclose(high, [0.6696, 1.2887, 0.8762], atol=6e-5)


@pytest.mark.slow
def test_implicit_steps_with_the_colored_jacobian_keep_the_sums():
    equation, u = reaction(7)
    direct = StencilLU(js.integrate.stencil_pattern(equation, u))
    solver = dfx.Kvaerno5(root_finder=optx.Chord(rtol=1e-9, atol=1e-9, linear_solver=direct))
    end = js.rollout(equation, u, dt=0.025, steps=40, solver=solver)
    check_sums(end, 1.0, source_mean(u), 1e-10)
    exact = js.rollout(equation, u, dt=0.005, steps=200)
    assert jnp.abs(end.values - exact.values).max() < 1e-8


def test_modal_preconditioner_leaves_few_iterations():
    equation, u = reaction(7)
    modal = js.integrate.modal_preconditioner(equation, u)
    term = js.SemilinearTerm(equation, u.space)

    @jax.jit
    def iterations(y):
        _, tangent = jax.linearize(lambda y: term.vf(0.0, y), y + 0.5)
        operator = lx.FunctionLinearOperator(lambda v: v - 0.1 * tangent(v), y)
        solvers = js.linear.FGMRES(), js.linear.Preconditioned(js.linear.FGMRES(), modal)
        return [lx.linear_solve(operator, y, solver).stats["num_steps"] for solver in solvers]

    plain, helped = iterations(jax.random.normal(jax.random.key(0), u.values.shape))
    assert helped <= 8 < 16 < plain


@pytest.mark.slow
def test_newton_krylov_steps():
    equation, u = reaction(7)
    krylov = js.linear.Preconditioned(js.linear.FGMRES(rtol=1e-3), js.integrate.modal_preconditioner(equation, u))
    finder = dfx.with_stepsize_controller_tols(optx.Newton)(linear_solver=krylov)
    end = js.solve(equation, u, t1=1.0, rtol=1e-7, atol=1e-7, solver=dfx.Kvaerno3(root_finder=finder)).ys[-1]
    check_sums(end, 1.0, source_mean(u), 1e-6)


@pytest.mark.slow
def test_gradient_through_implicit_steps():
    equation, u = reaction(7)
    finder = dfx.with_stepsize_controller_tols(dfx.VeryChord)(
        linear_solver=StencilLU(js.integrate.stencil_pattern(equation, u))
    )
    solver = dfx.Kvaerno3(root_finder=finder)
    changed = lambda rate: js.equations.ReversibleReaction(equation.source_a, association=rate)
    weight = jax.random.normal(jax.random.key(4), u.values.shape)

    def implicit(rate):
        end = js.solve(changed(rate), u, t1=0.5, rtol=1e-6, atol=1e-6, solver=solver)
        return jnp.sum(weight * end.ys[-1].values)

    def exponential(rate):
        return jnp.sum(weight * js.rollout(changed(rate), u, dt=0.005, steps=100).values)

    wanted = (exponential(1.001) - exponential(0.999)) / 0.002
    assert float(jax.grad(implicit)(1.0)) == pytest.approx(float(wanted), rel=1e-4)
