"""Trigonometric transforms, the eigenbases made of them, and separable solvers, against SciPy and dense matrices."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

from jaxsim.linear import (
    Bands,
    DenseBasis,
    Nodes,
    Side,
    TracedBasis,
    TransformBasis,
    axis_basis,
    dct,
    dst,
    idct,
    idst,
    inverse_real_dft,
    real_dft,
    real_dft_wave_numbers,
    separable_solve,
)

PERIODIC, DIRICHLET, NEUMANN = Side
WALLS = list(itertools.product([DIRICHLET, NEUMANN], repeat=2))
AXES = [(PERIODIC, PERIODIC, Nodes.CENTERS)] + [(*walls, nodes) for walls in WALLS for nodes in Nodes]


def rng(seed=0):
    return np.random.default_rng(seed)


def matrix_of(size, spacing, lower, upper, nodes):
    """The second-order second derivative, row by row from its ghosts."""
    d = -2 * np.eye(size) + np.eye(size, k=1) + np.eye(size, k=-1)
    if lower is PERIODIC:
        d[0, -1] += 1
        d[-1, 0] += 1
    for side, wall, inside in ((lower, 0, 1), (upper, -1, -2)):
        if side is NEUMANN:
            d[wall, wall if nodes is Nodes.CENTERS else inside] += 1
        elif side is DIRICHLET and nodes is Nodes.CENTERS:
            d[wall, wall] -= 1
    return d / spacing**2


# -- transforms --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_against_scipy(type):
    @jax.jit
    def transformed(arrays):
        cosine, sine = [dct(x, type, 1) for x in arrays], [dst(x, type, 1) for x in arrays]
        return cosine, sine, idct(cosine[1], type, 1), idst(sine[1], type, 1)

    arrays = [rng().normal(size=(3, size, 2)) for size in (2, 7, 8)]
    *found, cosine, sine = transformed(arrays)
    for ours, theirs in zip(found, (scipy.fft.dct, scipy.fft.dst)):
        for x, y in zip(arrays, ours):
            np.testing.assert_allclose(y, theirs(x, type, axis=1, norm="ortho", orthogonalize=True), rtol=0, atol=2e-14)
    np.testing.assert_allclose(cosine, arrays[1], rtol=0, atol=2e-14)
    np.testing.assert_allclose(sine, arrays[1], rtol=0, atol=2e-14)
    if type > 1:
        np.testing.assert_allclose(jnp.abs(dct(arrays[0][:, :1], type, 1)), np.abs(arrays[0][:, :1]), atol=1e-15)


@pytest.mark.parametrize("size", [1, 5, 6])
def test_real_fourier(size):
    matrix = np.asarray(real_dft(np.eye(size), 0))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-14)
    np.testing.assert_allclose(inverse_real_dft(matrix, 0), np.eye(size), atol=1e-14)
    spectrum, wave = np.abs(np.fft.fft(matrix, axis=1)), real_dft_wave_numbers(size)
    assert all(set(np.nonzero(row > 1e-10)[0]) <= {k, (size - k) % size} for row, k in zip(spectrum, wave))


@pytest.mark.parametrize("transform", [functools.partial(dct, type=4), functools.partial(dst, type=1), real_dft])
def test_complex_float32_gradient_vmap(transform):
    x = rng().normal(size=(4, 6))
    z = x + 1j * rng(1).normal(size=(4, 6))

    @jax.jit
    def everything(x, y, z):
        parts = transform(x) + 1j * transform(y)
        single = transform(x.astype(np.float32)), transform(z.astype(np.complex64))
        matrix = transform(jnp.eye(6)).T
        return parts, transform(z), single, jax.vmap(transform)(x), jax.jacrev(transform)(x[0]), matrix

    parts, whole, (single, single_complex), mapped, jacobian, matrix = everything(x, z.imag, z)
    np.testing.assert_allclose(whole, parts, atol=1e-14)
    assert single.dtype == jnp.float32 and single_complex.dtype == jnp.complex64
    np.testing.assert_allclose(single_complex, whole, atol=2e-6)
    np.testing.assert_allclose(single, whole.real, atol=2e-6)
    np.testing.assert_allclose(mapped, whole.real, atol=1e-14)
    np.testing.assert_allclose(jacobian, matrix, atol=1e-14)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(6), atol=1e-14)


def test_single_precision_stays_single():
    x = jax.ShapeDtypeStruct((5,), jnp.float32)
    for transform in (dct, dst):
        for type in (1, 2, 3, 4):
            assert jax.eval_shape(functools.partial(transform, type=type), x).dtype == jnp.float32


def test_transform_refuses():
    with pytest.raises(ValueError, match="types 1, 2, 3 and 4"):
        dct(np.ones(4), 5)
    with pytest.raises(ValueError, match="at least two nodes"):
        dct(np.ones(1), 1)
    with pytest.raises(TypeError, match="floating-point"):
        dst(np.ones(4, int))


# -- bases -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lower, upper, nodes", AXES)
def test_bases_diagonalize(lower, upper, nodes):
    h = 0.3
    sizes = (5, 8)
    fast = [TransformBasis(n, h, lower, upper, nodes) for n in sizes]
    dense = [axis_basis(n, h, lower, upper, nodes) for n in sizes]
    assert all(isinstance(basis, DenseBasis) for basis in dense)
    eyes = [np.eye(basis.size) for basis in fast + dense]
    forward = jax.jit(lambda: [basis.forward(eye, 0) for basis, eye in zip(fast + dense, eyes)])()
    backward = jax.jit(lambda: [basis.backward(eye, 0) for basis, eye in zip(fast + dense, eyes)])()
    for basis, analysis, synthesis in zip(fast + dense, forward, backward):
        matrix, scale = matrix_of(basis.size, h, lower, upper, nodes), np.abs(basis.eigenvalues).max()
        diagonal = np.asarray(analysis) @ matrix @ synthesis
        np.testing.assert_allclose(diagonal / scale, np.diag(basis.eigenvalues) / scale, atol=1e-14)
        np.testing.assert_allclose(np.asarray(synthesis) @ analysis, np.eye(basis.size), atol=1e-14)
        assert np.count_nonzero(basis.eigenvalues == 0.0) == (DIRICHLET not in (lower, upper))
        assert np.all(basis.eigenvalues <= 0) and not np.any(np.signbit(basis.eigenvalues) & (basis.eigenvalues == 0))
    for one, other in zip(forward[:2], forward[2:]):
        np.testing.assert_allclose(one, other, atol=1e-14)


def stretched_matrix(size, seed=3):
    """Finite volumes of random widths between a Robin and a Neumann wall, and the widths."""
    width = 0.5 + rng(seed).random(size)
    flux = 2 / (width[1:] + width[:-1])
    d = np.diag(flux, 1) + np.diag(flux, -1)
    d -= np.diag(d.sum(axis=1))
    d[0, 0] -= 0.7
    return d / width[:, None], width


@pytest.mark.parametrize("given", [True, False])
def test_dense_basis_of_a_stretched_axis(given):
    matrix, width = stretched_matrix(12)
    basis = DenseBasis.from_matrix(matrix, width if given else None)
    restored = np.asarray(basis.backward(basis.eigenvalues[:, None] * basis.forward(np.eye(12), 0), 0))
    np.testing.assert_allclose(restored, matrix, atol=1e-13)
    neumann = matrix.copy()
    neumann[0, 0] += 0.7 / width[0]
    assert np.count_nonzero(DenseBasis.from_matrix(neumann, width).eigenvalues == 0.0) == 1


def test_dense_basis_without_weights():
    matrix = matrix_of(8, 1.0, DIRICHLET, DIRICHLET, Nodes.CENTERS)
    matrix[0, :3] = [-3.6, 1.4, -0.04]  # one-sided of higher order at a wall: no weights, real eigenvalues
    basis = DenseBasis.from_matrix(matrix)
    restored = np.asarray(basis.backward(basis.eigenvalues[:, None] * basis.forward(np.eye(8), 0), 0))
    np.testing.assert_allclose(restored, matrix, atol=1e-12)
    with pytest.raises(ValueError, match="complex eigenvalues"):
        DenseBasis.from_matrix(np.eye(4, k=1) - np.eye(4, k=-1))
    with pytest.raises(ValueError, match="condition"):
        DenseBasis.from_matrix(np.diag(np.linspace(-1, -1.001, 8)) + np.eye(8, k=1))
    with pytest.raises(ValueError, match="square"):
        DenseBasis.from_matrix(np.ones((3, 4)))


def test_traced_matrix_is_differentiable():
    matrix, width = stretched_matrix(5)

    def first(scale, solver):
        changed = matrix * scale + solver.diag(-scale * solver.arange(5.0))
        return DenseBasis.from_matrix(changed, width)

    def energy(scale):
        basis = first(scale, jnp)
        assert isinstance(basis, TracedBasis)
        return basis.eigenvalues[0] + basis.backward(jnp.tanh(basis.forward(jnp.arange(5.0))))[1]

    traced = jax.jit(lambda scale: (energy(scale), first(scale, jnp).eigenvalues))
    np.testing.assert_allclose(traced(1.3)[1], first(1.3, np).eigenvalues, atol=1e-13)
    difference = (traced(1.3 + 1e-5)[0] - traced(1.3 - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(jax.jit(jax.grad(energy))(1.3), difference, rtol=1e-7)


def test_bases_are_static():
    matrix, width = stretched_matrix(5)
    bases = [DenseBasis.from_matrix(matrix, width), TransformBasis(5, 0.1, NEUMANN, DIRICHLET)]
    traces = []

    @jax.jit
    def solve(basis, x):
        traces.append(isinstance(basis.eigenvalues, np.ndarray))
        return separable_solve(x, [basis], shift=1.0)

    for _ in range(2):
        for basis in bases:
            assert not jax.tree.leaves(basis)
            solve(basis, jnp.ones(5))
        bases[0] = DenseBasis.from_matrix(matrix.copy(), width)
    assert traces == [True, True]


def test_basis_refuses():
    with pytest.raises(ValueError, match="periodic at both"):
        TransformBasis(4, 0.1, PERIODIC, NEUMANN)
    with pytest.raises(ValueError, match="positive"):
        TransformBasis(4, -0.1, NEUMANN, NEUMANN)
    with pytest.raises(ValueError, match="does not fit"):
        axis_basis(4, 0.1, NEUMANN, NEUMANN).forward(np.ones(5))


# -- separable solvers -------------------------------------------------------------------------------------------------
def dense_operator(matrices, coefficients, shift):
    size = int(np.prod([len(m) for m in matrices]))
    total = shift * np.eye(size)
    for axis, (matrix, c) in enumerate(zip(matrices, coefficients)):
        factors = [matrix if a == axis else np.eye(len(m)) for a, m in enumerate(matrices)]
        total -= c * functools.reduce(np.kron, factors)
    return total


@pytest.mark.parametrize("first", AXES)
def test_poisson_and_helmholtz(first):
    x = rng(5).normal(size=(5, 4))
    coefficients = (1.0, 0.5)
    sides = (first, (NEUMANN, NEUMANN, Nodes.FACES))
    matrices = [matrix_of(n, h, *side) for n, h, side in zip(x.shape, (0.3, 0.4), sides)]
    bases = [TransformBasis(n, h, *side) for n, h, side in zip(x.shape, (0.3, 0.4), sides)]
    solve = jax.jit(lambda f, shift: separable_solve(f, bases, coefficients=coefficients, shift=shift))
    for shift in (0.0, 2.0, -0.7):
        operator = dense_operator(matrices, coefficients, shift)
        u = np.asarray(solve((operator @ x.ravel()).reshape(x.shape), shift))
        expected = x
        if shift == 0 and DIRICHLET not in first:  # the weights of the mean are halved at walls that are nodes
            halves = [
                np.where((np.arange(n) % (n - 1) == 0) & (side == sides[1]), 0.5, 1) for n, side in zip(x.shape, sides)
            ]
            expected = x - np.average(x, weights=np.multiply.outer(*halves))
        np.testing.assert_allclose(u, expected, atol=1e-13)


@pytest.mark.parametrize("axis, robin", [(0, 0.0), (1, 0.7), (2, 0.0)])
def test_bands_agree_with_bases(robin, axis):
    matrix, width = stretched_matrix(6)
    matrix[0, 0] += (0.7 - robin) / width[0]
    others = [axis_basis(4, 0.3, PERIODIC, PERIODIC), axis_basis(5, 0.2, NEUMANN, NEUMANN, Nodes.FACES)]
    stretched = [*others[:axis], DenseBasis.from_matrix(matrix, width), *others[axis:]]
    banded = [*others[:axis], Bands.from_matrix(matrix), *others[axis:]]
    f = rng(6).normal(size=(2, *(each.size for each in stretched))) + 1j
    solve = functools.partial(separable_solve, coefficients=(1.0, 0.5, 2.0))
    both = jax.jit(lambda f, s: [solve(f, axes, shift=s) for axes in (stretched, banded)])
    for shift in (0.0, 0.3):
        expected, u = both(f, shift)
        np.testing.assert_allclose(u, expected, atol=2e-12)


def test_solver_gradients_and_float32():
    matrix, width = stretched_matrix(6)
    matrix[0, 0] += 0.7 / width[0]
    f, g, direction = rng(7).normal(size=(3, 5, 6))
    for last in (DenseBasis.from_matrix(matrix, width), Bands.from_matrix(matrix)):
        axes = [TransformBasis(5, 0.3, NEUMANN, NEUMANN), last]
        solve = jax.jit(lambda f, c, s, axes=axes: separable_solve(f, axes, coefficients=(c, 1.0), shift=s))
        gradient = jax.jit(jax.grad(lambda f, c, s, solve=solve: jnp.sum(g * solve(f, c, s)), (0, 1, 2)))
        for shift in (0.4, 0.0):  # linear in f, also where a mode is pinned
            change = jnp.sum(gradient(f, 1.5, shift)[0] * direction)
            np.testing.assert_allclose(change, jnp.sum(g * solve(direction, 1.5, shift)), rtol=1e-10)
        _, by_coefficient, by_shift = gradient(f, 1.5, 0.4)
        step = 1e-5
        difference = (solve(f, 1.5 + step, 0.4) - solve(f, 1.5 - step, 0.4)) / (2 * step)
        np.testing.assert_allclose(by_coefficient, jnp.sum(g * difference), rtol=1e-7)
        difference = (solve(f, 1.5, 0.4 + step) - solve(f, 1.5, 0.4 - step)) / (2 * step)
        np.testing.assert_allclose(by_shift, jnp.sum(g * difference), rtol=1e-7)
        single = solve(f.astype(np.float32), jnp.float32(1.5), jnp.float32(0.0))
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, solve(f, 1.5, 0.0), atol=2e-5)


def test_traced_bands():
    matrix, width = stretched_matrix(6)
    f, g = rng(8).normal(size=(2, 6))
    matrix[0, 0] += 0.7 / width[0]

    def functional(robin):
        changed = matrix - jnp.diag(jnp.eye(6)[0] * robin / width[0])
        u = separable_solve(f, [Bands.from_matrix(changed)])
        return jnp.sum(g * u), u

    solve, gradient = jax.jit(functional), jax.jit(jax.grad(functional, has_aux=True))
    for robin in (0.0, 0.7):
        changed = matrix - np.diag(np.eye(6)[0] * robin / width[0])
        expected = separable_solve(f, [DenseBasis.from_matrix(changed, width)])
        np.testing.assert_allclose(solve(robin)[1], expected, atol=1e-12)
    difference = (solve(0.7 + 1e-5)[0] - solve(0.7 - 1e-5)[0]) / 2e-5
    np.testing.assert_allclose(gradient(0.7)[0], difference, rtol=1e-7)


def test_complex_shift():
    basis = axis_basis(6, 0.3, DIRICHLET, NEUMANN)
    f = rng(9).normal(size=6)
    operator = dense_operator([matrix_of(6, 0.3, DIRICHLET, NEUMANN, Nodes.CENTERS)], [1.0], 0.5 + 2j)
    np.testing.assert_allclose(separable_solve(f, [basis], shift=0.5 + 2j), np.linalg.solve(operator, f), atol=1e-13)


def test_solver_refuses():
    basis, bands = TransformBasis(4, 0.1, NEUMANN, NEUMANN), Bands(np.ones(4), -2 * np.ones(4), np.ones(4))
    with pytest.raises(ValueError, match="right-hand side of shape"):
        separable_solve(np.ones((4, 5)), [basis, basis])
    with pytest.raises(ValueError, match="one axis may"):
        separable_solve(np.ones((4, 4)), [bands, bands])
    with pytest.raises(ValueError, match="complex shift"):
        separable_solve(np.ones((4, 4)), [basis, bands], shift=1j)
    with pytest.raises(ValueError, match="not tridiagonal"):
        Bands.from_matrix(np.ones((4, 4)))
    with pytest.raises(TypeError, match="AxisBasis"):
        separable_solve(np.ones(4), [np.eye(4)])
