"""Trigonometric transforms, the eigenbases made of them, and separable solvers, against SciPy and dense matrices."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
from jax.test_util import check_grads

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
@pytest.mark.parametrize("size", [2, 7, 8])
@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_against_scipy(type, size):
    x = rng().normal(size=(3, size, 2))
    for ours, inverse, theirs in ((dct, idct, scipy.fft.dct), (dst, idst, scipy.fft.dst)):
        expected = theirs(x, type, axis=1, norm="ortho", orthogonalize=True)
        y = ours(x, type, 1)
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-14)
        np.testing.assert_allclose(inverse(y, type, 1), x, rtol=0, atol=2e-14)


def test_long_odd_and_single():
    x = rng().normal(size=(1, 101))
    for type in (1, 2, 3, 4):
        np.testing.assert_allclose(dct(x, type), scipy.fft.dct(x, type, norm="ortho", orthogonalize=True), atol=1e-13)
    for type in (2, 3, 4):
        np.testing.assert_allclose(jnp.abs(dct(x[:, :1], type)), np.abs(x[:, :1]), atol=1e-15)


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_real_fourier(size):
    matrix = np.asarray(real_dft(np.eye(size), 0))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-14)
    np.testing.assert_allclose(inverse_real_dft(matrix, 0), np.eye(size), atol=1e-14)
    spectrum, wave = np.abs(np.fft.fft(matrix, axis=1)), real_dft_wave_numbers(size)
    assert all(set(np.nonzero(row > 1e-10)[0]) <= {k, (size - k) % size} for row, k in zip(spectrum, wave))


@pytest.mark.parametrize("transform", [functools.partial(dct, type=4), functools.partial(dst, type=2), real_dft])
def test_complex_float32_gradient_vmap(transform):
    x = rng().normal(size=(4, 6))
    z = x + 1j * rng(1).normal(size=(4, 6))
    np.testing.assert_allclose(transform(z), transform(z.real) + 1j * transform(z.imag), atol=1e-14)
    single = transform(x.astype(np.float32))
    assert single.dtype == jnp.float32 and transform(z.astype(np.complex64)).dtype == jnp.complex64
    np.testing.assert_allclose(single, transform(x), atol=2e-6)
    np.testing.assert_allclose(jax.jit(jax.vmap(transform))(x), transform(x), atol=1e-14)
    check_grads(jax.jit(transform), (x,), 1, modes=["fwd", "rev"], eps=1e-4)


def test_transform_refuses():
    with pytest.raises(ValueError, match="types 1, 2, 3 and 4"):
        dct(np.ones(4), 5)
    with pytest.raises(ValueError, match="at least two nodes"):
        dct(np.ones(1), 1)
    with pytest.raises(TypeError, match="floating-point"):
        dst(np.ones(4, int))


# -- bases -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [5, 8])
@pytest.mark.parametrize("lower, upper, nodes", AXES)
def test_bases_diagonalize(lower, upper, nodes, size):
    h = 0.3
    matrix, identity = matrix_of(size, h, lower, upper, nodes), np.eye(size)
    fast, dense = TransformBasis(size, h, lower, upper, nodes), axis_basis(size, h, lower, upper, nodes)
    assert isinstance(dense, DenseBasis)
    for basis in (fast, dense):
        scale = np.abs(basis.eigenvalues).max()
        diagonal = np.asarray(basis.forward(matrix @ np.asarray(basis.backward(identity, 0)), 0))
        np.testing.assert_allclose(diagonal / scale, np.diag(basis.eigenvalues) / scale, atol=3e-15 * size)
        np.testing.assert_allclose(basis.backward(basis.forward(identity, 1), 1), identity, atol=2e-15 * size)
    np.testing.assert_allclose(dense.forward(identity, 0), fast.forward(identity, 0), atol=2e-15 * size)
    constants = np.count_nonzero(fast.eigenvalues == 0.0)
    assert constants == (DIRICHLET not in (lower, upper))
    assert np.all(fast.eigenvalues <= 0) and not np.any(np.signbit(fast.eigenvalues) & (fast.eigenvalues == 0))


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

    np.testing.assert_allclose(
        jax.jit(lambda s: first(s, jnp).eigenvalues)(1.3), first(1.3, np).eigenvalues, atol=1e-13
    )
    step = 1e-5
    expected = (energy_of(energy, 1.3 + step) - energy_of(energy, 1.3 - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(energy)(1.3), expected, rtol=1e-7)


def energy_of(function, value):
    return jax.jit(function)(value)


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


@pytest.mark.parametrize("robin", [0.0, 0.7])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_bands_agree_with_bases(robin, axis):
    matrix, width = stretched_matrix(6)
    matrix[0, 0] += (0.7 - robin) / width[0]
    others = [axis_basis(4, 0.3, PERIODIC, PERIODIC), axis_basis(5, 0.2, NEUMANN, NEUMANN, Nodes.FACES)]
    stretched = [*others[:axis], DenseBasis.from_matrix(matrix, width), *others[axis:]]
    banded = [*others[:axis], Bands.from_matrix(matrix), *others[axis:]]
    f = rng(6).normal(size=(2, *(each.size for each in stretched))) + 1j
    for shift in (0.0, 0.3):
        expected = separable_solve(f, stretched, coefficients=(1.0, 0.5, 2.0), shift=shift)
        u = separable_solve(f, banded, coefficients=(1.0, 0.5, 2.0), shift=shift)
        np.testing.assert_allclose(u, expected, atol=2e-12)


def test_solver_gradients_and_float32():
    matrix, width = stretched_matrix(6)
    matrix[0, 0] += 0.7 / width[0]
    for last in (DenseBasis.from_matrix(matrix, width), Bands.from_matrix(matrix)):
        axes = [TransformBasis(5, 0.3, NEUMANN, NEUMANN), last]
        f = rng(7).normal(size=(5, 6))
        solve = jax.jit(lambda f, c, s, axes=axes: separable_solve(f, axes, coefficients=(c, 1.0), shift=s))
        check_grads(solve, (f, 1.5, 0.4), 1, modes=["fwd", "rev"], eps=1e-5)
        check_grads(lambda f, solve=solve: solve(f, 1.5, 0.0), (f,), 1, modes=["fwd", "rev"], eps=1e-5)
        single = solve(f.astype(np.float32), jnp.float32(1.5), jnp.float32(0.0))
        assert single.dtype == jnp.float32
        np.testing.assert_allclose(single, solve(f, 1.5, 0.0), atol=2e-5)


def test_traced_bands():
    matrix, width = stretched_matrix(6)
    f = rng(8).normal(size=(6,))
    for robin in (0.0, 0.7):
        changed = matrix.copy()
        changed[0, 0] += (0.7 - robin) / width[0]
        solve = lambda matrix, f=f: separable_solve(f, [Bands.from_matrix(matrix)])
        expected = separable_solve(f, [DenseBasis.from_matrix(changed, width)])
        np.testing.assert_allclose(jax.jit(solve)(changed), expected, atol=1e-12)
    check_grads(jax.jit(lambda b: solve(changed - jnp.diag(b * jnp.ones(6)))), (0.3,), 1, modes=["rev"], eps=1e-5)


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
