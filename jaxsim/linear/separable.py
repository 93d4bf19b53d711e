"""Fast direct inverses of operators with constant coefficients, axis by axis."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .diffusion import Side


class DenseAxis(eqx.Module):
    """Eigenvectors of minus the second difference on one axis, as a dense orthogonal matrix.

    Computed on the host in float64. A transform costs one product with an `(n, n)` matrix, which for some hundred
    cells is as fast as a fast transform, and knows any pair of sides.

    **Arguments:**

    - `cells`: number of cells.
    - `spacing`: cell width.
    - `sides`: pair of [`Side`][jaxsim.linear.Side].
    - `dtype`: of the matrix.
    """

    eigenvalues: np.ndarray
    vectors: jax.Array

    def __init__(self, cells: int, spacing: float, sides: tuple[Side, Side], dtype: Any = float):
        matrix = 2 * np.eye(cells) - np.eye(cells, k=1) - np.eye(cells, k=-1)
        if sides[0] is Side.PERIODIC:
            matrix[0, -1] -= 1
            matrix[-1, 0] -= 1
        else:
            for corner, side in ((0, sides[0]), (-1, sides[1])):
                matrix[corner, corner] += 1 if side is Side.DIRICHLET else -1
        values, vectors = np.linalg.eigh(matrix)
        self.eigenvalues = np.maximum(values, 0) / spacing**2
        self.vectors = jnp.asarray(vectors, jnp.result_type(dtype))

    def forward(self, array: jax.Array, axis: int) -> jax.Array:
        """Coefficients of the eigenvectors, in place of the values along `axis`."""
        return _along(self.vectors.T, array, axis)

    def backward(self, array: jax.Array, axis: int) -> jax.Array:
        """The inverse of `forward`."""
        return _along(self.vectors, array, axis)


def _along(matrix, array, axis):
    return jnp.moveaxis(jnp.tensordot(matrix, array, axes=(1, axis), precision=lax.Precision.HIGHEST), 0, axis)


class SeparableInverse(eqx.Module):
    """The inverse of a sum of one-dimensional operators and a shift, by their eigenvectors.

    $$ (L_1 \\otimes I + I \\otimes L_2 + \\sigma)^{-1}
       = (Q_1 \\otimes Q_2)\\,(\\lambda_i + \\lambda_j + \\sigma)^{-1}\\,(Q_1 \\otimes Q_2)^T $$

    An eigenvalue that is zero, that of the constants between walls without values, is replaced by the least other
    one, so that the inverse stays positive definite.

    Lynch, Rice and Thomas, Numer. Math. 6 (1964).

    **Arguments:**

    - `axes`: for each axis an object with `eigenvalues`, `forward(array, axis)` and `backward(array, axis)` such as
        [`DenseAxis`][jaxsim.linear.DenseAxis], with orthogonal transforms.
    - `shift`: $\\sigma \\ge 0$, a number or a scalar array.
    - `dtype`: of the eigenvalues, that of the arrays to come.
    """

    axes: tuple[Any, ...]
    denominators: jax.Array

    def __init__(self, axes: tuple[Any, ...], shift: Any = 0.0, dtype: Any = float):
        self.axes = tuple(axes)
        grids = np.meshgrid(*(np.asarray(axis.eigenvalues) for axis in axes), indexing="ij")
        sums = np.sum(grids, axis=0)
        zero = sums <= 1e-10 * np.max(sums)
        least = np.min(np.where(zero, np.inf, sums))
        dtype = jnp.result_type(dtype)
        shifted = jnp.asarray(sums, dtype) + jnp.asarray(shift, dtype)
        self.denominators = jnp.where((shifted > 0) & ~(zero & (shift == 0)), shifted, jnp.asarray(least, dtype))

    def __call__(self, vector: jax.Array) -> jax.Array:
        for axis, basis in enumerate(self.axes):
            vector = basis.forward(vector, axis)
        vector = vector / self.denominators
        for axis, basis in enumerate(self.axes):
            vector = basis.backward(vector, axis)
        return vector
