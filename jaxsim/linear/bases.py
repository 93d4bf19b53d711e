"""Eigenbases of second-derivative matrices along one axis, for separable solvers between walls.

A discrete second derivative between walls is a small matrix per axis. Its eigenvectors are sines and cosines on a
uniform axis of second order (`TransformBasis`, by FFT), and a dense matrix in every other case: Robin walls, stretched
axes, higher orders (`DenseBasis`, by matrix products). `axis_basis` picks the faster one.

References: G. Strang, "The discrete cosine transform", SIAM Review 41 (1999) 135-147; R. W. Hockney, "A fast direct
solution of Poisson's equation using Fourier analysis", J. ACM 12 (1965) 95-113; R. E. Lynch, J. R. Rice and D. H.
Thomas, "Direct solution of partial difference equations by tensor product methods", Numer. Math. 6 (1964) 185-199.
"""

import abc
import enum
import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..norms import power_of_two
from . import transforms


class Side(enum.Enum):
    """The homogeneous condition at one end of an axis; a periodic axis is periodic at both."""

    PERIODIC = "periodic"
    DIRICHLET = "Dirichlet"
    NEUMANN = "Neumann"


class Nodes(enum.Enum):
    """Where the unknowns of an axis of equal cells sit: at the cells' centers, or on their faces.

    On faces a Dirichlet wall is no unknown, and a Neumann wall is one, whose ghost mirrors the node inside.
    """

    CENTERS = "centers"
    FACES = "faces"


class AxisBasis(eqx.Module):
    """The eigenvectors of a second-derivative matrix $D$ along one axis: $D = B \\Lambda F$ with $F B = 1$.

    `forward` applies $F$ (nodal values to amplitudes), `backward` applies $B$. A basis made of concrete numbers has no
    array leaves: it stays a constant under `jax.jit`, and is hashable.

    - `eigenvalues`: of the second derivative, in 1 / length^2, a NumPy float64 vector unless traced. The eigenvalue
      of a constant between Neumann or periodic ends is exactly 0.0.
    - `size`: number of unknowns along the axis.
    """

    eigenvalues: eqx.AbstractVar[Any]
    size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def forward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        """Nodal values to amplitudes along an axis; same shape and dtype."""

    @abc.abstractmethod
    def backward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        """Amplitudes to nodal values along an axis; same shape and dtype."""


class TransformBasis(AxisBasis):
    """Sines and cosines: the second-order central second derivative on a uniform axis, by fast transforms.

    $(D u)_j = (u_{j+1} - 2 u_j + u_{j-1}) / h^2$, with eigenvalues $-(2 / h)^2 \\sin^2 \\theta_k$:

    | ends (lower, upper) | nodes at cell centers | nodes on faces |
    |---|---|---|
    | Neumann, Neumann | DCT-II, $\\theta = \\pi k / 2n$ | DCT-I, $\\theta = \\pi k / 2(n-1)$ |
    | Dirichlet, Dirichlet | DST-II, $\\theta = \\pi (k+1) / 2n$ | DST-I, $\\theta = \\pi (k+1) / 2(n+1)$ |
    | Neumann, Dirichlet | DCT-IV, $\\theta = \\pi (2k+1) / 4n$ | DCT-III, $\\theta = \\pi (2k+1) / 4n$ |
    | Dirichlet, Neumann | DST-IV, $\\theta = \\pi (2k+1) / 4n$ | DST-III, $\\theta = \\pi (2k+1) / 4n$ |
    | periodic | `real_dft`, $\\theta = \\pi k / n$ | the same |

    At cell centers the ghost beyond a wall is $+u$ of the node inside (Neumann) or $-u$ (Dirichlet). On faces the ghost
    beyond a Neumann wall is the node before it, so that the wall's row has a 2 off the diagonal. $n$ counts unknowns:
    of $N$ cells, $N-1$ faces between Dirichlet walls, $N+1$ between Neumann walls, $N$ with one of each.

    **Arguments:**

    - `size`: the number $n$ of unknowns.
    - `spacing`: the distance $h$ of neighbors.
    - `lower`, `upper`: a `Side` each.
    - `nodes`: `Nodes.CENTERS` or `Nodes.FACES`.

    **Raises:** `ValueError` for one periodic end, a size or spacing that is not positive, or fewer than two nodes
    between Neumann walls on faces.
    """

    size: int = eqx.field(static=True)
    spacing: float = eqx.field(static=True, converter=float)
    lower: Side = eqx.field(static=True)
    upper: Side = eqx.field(static=True, default=Side.NEUMANN)
    nodes: Nodes = eqx.field(static=True, default=Nodes.CENTERS)

    def __check_init__(self):
        _check_axis(self.size, self.spacing, self.lower, self.upper, self.nodes)

    @property
    def eigenvalues(self) -> np.ndarray:
        return self._waves.eigenvalues / self.spacing**2

    def forward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        _check_size(self, array, axis)
        return self._waves.transform(_scaled(array, self._waves.lengths, axis), axis=axis)

    def backward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        _check_size(self, array, axis)
        array, lengths = self._waves.inverse(array, axis=axis), self._waves.lengths
        return array if lengths is None else _scaled(array, 1 / lengths, axis)

    @property
    def _waves(self) -> "_Waves":
        return _waves(self.size, self.lower, self.upper, self.nodes)


class DenseBasis(AxisBasis):
    """The eigenvectors of any second-derivative matrix, applied as matrix products of full precision.

    Made by `DenseBasis.from_matrix` or `axis_basis`. The matrices are kept in float64 on the host and rounded to the
    precision of the array that they are applied to.
    """

    constants: "_Constants" = eqx.field(static=True)

    @staticmethod
    def from_matrix(matrix, weights=None) -> AxisBasis:
        """The eigenbasis of a second-derivative matrix $A$ whose product $W A$ with positive weights is symmetric.

        With $W = \\mathrm{diag}(w)$ the matrix $W^{1/2} A W^{-1/2} = Q \\Lambda Q^T$ is symmetric, so that
        $F = Q^T W^{1/2}$ and $B = W^{-1/2} Q$. Robin walls, stretched axes (weights: the cells' widths) and compact
        staggered composites have such weights.

        **Arguments:**

        - `matrix`: shape `(n, n)`, of the homogeneous second derivative (no boundary data); concrete or traced.
        - `weights`: shape `(n,)`, positive. Without them they are read off the two diagonals beside the main one,
          $w_{j+1} / w_j = A_{j,j+1} / A_{j+1,j}$.

        **Returns:** a basis. A traced matrix gives a basis whose `eigenvalues` are jax arrays, differentiable as
        `jnp.linalg.eigh` is (eigenvalues that coincide have eigenvectors without a derivative). A concrete matrix
        without symmetrizing weights is diagonalized as it is when its eigenvalues are real and its eigenvectors are
        conditioned below 10^4. An eigenvalue that vanishes to rounding is set to 0.0 exactly.

        **Raises:** `ValueError` for a matrix that is not square, weights that are not positive, or one that is not
        diagonalized well by real eigenvectors.
        """
        if jnp.ndim(matrix) != 2 or jnp.shape(matrix)[0] != jnp.shape(matrix)[1]:
            raise ValueError(f"a second-derivative matrix is square, got shape {jnp.shape(matrix)}.")
        if weights is not None and jnp.shape(weights) != jnp.shape(matrix)[:1]:
            raise ValueError(f"weights need shape {jnp.shape(matrix)[:1]}, got {jnp.shape(weights)}.")
        if isinstance(matrix, jax.core.Tracer) or isinstance(weights, jax.core.Tracer):
            return TracedBasis(*_traced_eigenbasis(jnp.asarray(matrix), weights))
        return DenseBasis(_Constants(*_host_eigenbasis(np.asarray(matrix, np.float64), weights)))

    @property
    def eigenvalues(self) -> np.ndarray:
        return self.constants.eigenvalues

    @property
    def size(self) -> int:
        return len(self.constants.eigenvalues)

    def forward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        _check_size(self, array, axis)
        return apply_matrix(self.constants.forward, array, axis)

    def backward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        _check_size(self, array, axis)
        return apply_matrix(self.constants.backward, array, axis)


class TracedBasis(AxisBasis):
    """The eigenvectors of a traced matrix, as jax arrays; made by `DenseBasis.from_matrix`."""

    eigenvalues: jax.Array
    analysis: jax.Array
    synthesis: jax.Array

    @property
    def size(self) -> int:
        return self.eigenvalues.shape[-1]

    def forward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        _check_size(self, array, axis)
        return apply_matrix(self.analysis, array, axis)

    def backward(self, array: jax.Array, axis: int = -1) -> jax.Array:
        _check_size(self, array, axis)
        return apply_matrix(self.synthesis, array, axis)


def axis_basis(
    size: int, spacing: float, lower: Side, upper: Side, nodes: Nodes = Nodes.CENTERS, *, dense_below: int | None = None
) -> AxisBasis:
    """The faster basis of the second-order second derivative on a uniform axis: dense when short, else by FFT.

    **Arguments:**

    - `size`, `spacing`, `lower`, `upper`, `nodes`: as `TransformBasis`.
    - `dense_below`: sizes below it give the `DenseBasis`; by default the crossover of the machine's kind.

    **Returns:** a `DenseBasis` or a `TransformBasis`; both have the same eigenvectors, in the same order.
    """
    fast = TransformBasis(size, spacing, lower, upper, nodes)
    if size >= (_crossover() if dense_below is None else dense_below):
        return fast
    waves = _waves(size, lower, upper, nodes)
    forward, backward = waves.matrix(), waves.matrix().T.copy()
    if waves.lengths is not None:
        forward, backward = forward * waves.lengths, backward / waves.lengths[:, None]
    return DenseBasis(_Constants(fast.eigenvalues, forward, backward))


def _crossover() -> int:
    # Microseconds, transform / matrix product, of an (n, n) float32 array on two CPU cores, jax 0.10.2, DCT-II along
    # the last axis: n = 32: 8/5, 64: 11/11, 128: 35/60, 256: 147/206, 512: 449/1292, 1024: 1881/10025. A Poisson solve,
    # both axes there and back: 64: 70/30, 128: 150/170. float64 is alike, and so are the other types where their FFT
    # has small factors (DST-I of 127: 45/52); where it has not, products win up to some 300 (DST-I of 128, whose FFT
    # has the length 258: 94/58). On accelerators products are relatively faster; 512 there is not measured, but a
    # guess on the safe side of the 1024 that jax-cfd takes on TPUs.
    return 96 if jax.default_backend() == "cpu" else 512


def apply_matrix(matrix: np.ndarray | jax.Array, array: jax.Array, axis: int = -1) -> jax.Array:
    """A real matrix applied along one axis, in the array's dtype and without reduced-precision products.

    **Arguments:**

    - `matrix`: shape `(m, n)`.
    - `array`: real or complex, with `n` entries along `axis`.
    - `axis`: the axis that is multiplied.

    **Returns:** an array with `m` entries along `axis`.
    """
    array = jnp.asarray(array)
    if jnp.iscomplexobj(array):
        return lax.complex(apply_matrix(matrix, array.real, axis), apply_matrix(matrix, array.imag, axis))
    matrix = jnp.asarray(matrix, array.dtype)
    axis = axis % array.ndim
    if axis == array.ndim - 1:
        return jnp.matmul(array, matrix.T, precision=lax.Precision.HIGHEST)
    product = jnp.tensordot(matrix, array, axes=(1, axis), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(product, 0, axis)


# -- uniform axes ------------------------------------------------------------------------------------------------------
class _Waves(NamedTuple):
    """Sines or cosines of an axis of spacing 1: wave k at node j has the phase pi modes[k] places[j] / (4 count)."""

    modes: np.ndarray  # in quarters of pi / count
    places: np.ndarray  # in half cells
    count: int
    shift: np.ndarray  # of each wave's phase
    lengths: np.ndarray | None  # square roots of the symmetrizing weights, or None where these are all 1
    transform: Callable
    inverse: Callable

    @property
    def eigenvalues(self) -> np.ndarray:
        return 0.0 - 4 * np.sin(0.25 * np.pi * self.modes / self.count) ** 2  # not -4 ..., which gives -0.0

    def matrix(self) -> np.ndarray:
        """The transform as an orthogonal matrix."""
        turns = self.modes[:, None] * self.places % (8 * self.count) / (8 * self.count)
        waves = np.cos(2 * np.pi * turns + self.shift[:, None])
        waves = waves if self.lengths is None else waves * self.lengths
        return waves / np.linalg.norm(waves, axis=1, keepdims=True)


@functools.cache
def _waves(n: int, lower: Side, upper: Side, nodes: Nodes) -> _Waves:
    """Which transform, which angles, which weights."""
    k = np.arange(n)
    if lower is Side.PERIODIC:
        wave, shift = transforms.real_dft_wave_numbers(n), np.where(k > n // 2, np.pi / 2, 0.0)
        return _Waves(4 * wave, 2 * k, n, shift, None, transforms.real_dft, transforms.inverse_real_dft)
    same, even, faces = lower is upper, lower is Side.NEUMANN, nodes is Nodes.FACES
    if not same:
        kind, count = 3 if faces else 4, n
    elif faces:
        kind, count = 1, n - 1 if even else n + 1
    else:
        kind, count = 2, n
    # between like walls there are whole waves, else odd quarters; sines have no mode 0 and no node on their wall
    modes = 2 * k + (1 if not same else 0 if even else 2)
    places = 2 * k + (1 if not faces else 0 if even else 2)
    lengths = np.ones(n)
    if faces:
        lengths[[i for i, side in ((0, lower), (-1, upper)) if side is Side.NEUMANN]] = np.sqrt(0.5)
    forward, inverse = (transforms.dct, transforms.idct) if even else (transforms.dst, transforms.idst)
    pair = functools.partial(forward, type=kind), functools.partial(inverse, type=kind)
    shift = np.full(n, 0.0 if even else -np.pi / 2)
    return _Waves(modes, places, count, shift, lengths if np.any(lengths != 1) else None, *pair)


def _scaled(array, factors: np.ndarray | None, axis: int):
    array = jnp.asarray(array)
    if factors is None:
        return array
    shape = [1] * array.ndim
    shape[axis] = len(factors)
    return array * jnp.asarray(factors.reshape(shape), jnp.finfo(array.dtype).dtype)


def _check_axis(size: int, spacing: float, lower: Side, upper: Side, nodes: Nodes):
    if not (isinstance(lower, Side) and isinstance(upper, Side) and isinstance(nodes, Nodes)):
        raise ValueError("the ends of an axis are `Side`s and its nodes `Nodes`, e.g. Side.NEUMANN, Nodes.CENTERS.")
    if (lower is Side.PERIODIC) != (upper is Side.PERIODIC):
        raise ValueError("an axis is periodic at both ends or at none.")
    if not isinstance(size, (int, np.integer)) or size < 1 or not spacing > 0:
        raise ValueError(f"an axis needs a positive whole size and a positive spacing, got {size} and {spacing}.")
    if nodes is Nodes.FACES and lower is upper is Side.NEUMANN and size < 2:
        raise ValueError("faces between two Neumann walls include both walls: at least two nodes.")


def _check_size(basis: AxisBasis, array, axis: int):
    shape = jnp.shape(array)
    if not -len(shape) <= axis < len(shape) or shape[axis] != basis.size:
        raise ValueError(f"this basis has {basis.size} nodes: axis {axis} of an array of shape {shape} does not fit.")


# -- any matrix --------------------------------------------------------------------------------------------------------
class _Constants:
    """NumPy arrays compared by content, so that a module holding them is static under `jax.jit`."""

    def __init__(self, eigenvalues: np.ndarray, forward: np.ndarray, backward: np.ndarray):
        self.eigenvalues, self.forward, self.backward = eigenvalues, forward, backward
        digest = hashlib.sha256()
        for array in (eigenvalues, forward, backward):
            array.flags.writeable = False
            digest.update(np.ascontiguousarray(array))
        self._digest = digest.digest()

    def __eq__(self, other):
        return isinstance(other, _Constants) and self._digest == other._digest

    def __hash__(self):
        return hash(self._digest)

    def __repr__(self):
        return f"<eigenbasis of {len(self.eigenvalues)} nodes>"


_SYMMETRY = 1e-10  # relative asymmetry of W A that is rounding
_CONDITION = 1e4  # of eigenvectors that are not orthogonal, above which amplitudes lose too many digits


def _host_eigenbasis(matrix: np.ndarray, weights) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = len(matrix)
    if weights is None:
        weights = symmetric_weights(np.diagonal(matrix, -1), np.diagonal(matrix, 1))
    weights = np.asarray(weights, np.float64)
    if not np.all(np.isfinite(matrix)):
        raise ValueError("a second-derivative matrix must be finite.")
    positive = np.all(np.isfinite(weights)) and np.all(weights > 0)
    symmetric, root = np.full_like(matrix, np.nan), np.ones(n)
    if positive:
        root = np.sqrt(weights)
        symmetric = root[:, None] * matrix / root
    if positive and np.abs(symmetric - symmetric.T).max() <= _SYMMETRY * max(np.abs(symmetric).max(), 1e-300):
        eigenvalues, vectors = np.linalg.eigh(0.5 * (symmetric + symmetric.T))
        forward, backward = vectors.T * root, vectors / root[:, None]
    else:
        eigenvalues, vectors = np.linalg.eig(matrix)
        if np.abs(eigenvalues.imag).max() > _SYMMETRY * np.abs(eigenvalues).max():
            raise ValueError(
                "this second-derivative matrix has complex eigenvalues and no symmetrizing weights: use a scheme of "
                "second order or a conservative one at the walls, or an iterative solver."
            )
        order = np.argsort(eigenvalues.real)
        eigenvalues, backward = eigenvalues.real[order], vectors.real[:, order]
        condition = np.linalg.cond(backward)
        if not condition < _CONDITION:
            raise ValueError(
                f"this second-derivative matrix has no symmetrizing weights and eigenvectors of condition "
                f"{condition:.1e}, above {_CONDITION:.0e}: use a conservative scheme at the walls, or an iterative "
                "solver."
            )
        forward = np.linalg.inv(backward)
    null = np.abs(eigenvalues) <= 10 * n * np.finfo(np.float64).eps * np.abs(eigenvalues).max()
    order = np.argsort(-eigenvalues, kind="stable")  # smooth ones first, as the transforms have them
    return np.where(null, 0.0, eigenvalues)[order], forward[order], backward[:, order]


def _traced_eigenbasis(matrix: jax.Array, weights) -> tuple[jax.Array, jax.Array, jax.Array]:
    if weights is None:
        weights = symmetric_weights(jnp.diagonal(matrix, -1), jnp.diagonal(matrix, 1))
    weights = jnp.asarray(weights, matrix.dtype)
    root = jnp.sqrt(weights)
    symmetric = root[:, None] * matrix / root
    rounding = 10 * len(matrix) * jnp.finfo(matrix.dtype).eps
    asymmetry = jnp.abs(symmetric - symmetric.T).max() / jnp.abs(symmetric).max()
    symmetric = eqx.error_if(
        symmetric,
        ~(asymmetry <= jnp.maximum(rounding, _SYMMETRY)),
        "a traced second-derivative matrix needs positive weights that make it symmetric: pass `weights`.",
    )
    unit = power_of_two(jnp.abs(symmetric).max())  # eigenvalues are found by squares
    eigenvalues, vectors = jnp.linalg.eigh(symmetric / unit)
    null = jnp.abs(eigenvalues) <= rounding * jnp.abs(eigenvalues).max()
    eigenvalues = unit * jnp.where(null, 0.0, eigenvalues)[::-1]
    return eigenvalues, (vectors.T * root)[::-1], (vectors / root[:, None])[:, ::-1]


def symmetric_weights(below, above):
    """Weights `w` with `w[j] * above[j] == w[j + 1] * below[j]` and `w[0] == 1`; not finite where none exist.

    **Arguments:**

    - `below`, `above`: the `n - 1` entries under and over the diagonal of a matrix; NumPy or jax arrays.

    **Returns:** a vector of `n` entries, NumPy for NumPy arrays.
    """
    numpy = np if isinstance(below, np.ndarray) and isinstance(above, np.ndarray) else jnp
    with np.errstate(divide="ignore", invalid="ignore"):
        return numpy.concatenate([numpy.ones(1, below.dtype), numpy.cumprod(above / below)])
