"""Least squares in the space of samples: $J J^T$, for fewer rows than parameters."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .linearization import AbstractLinearization, AbstractSystem, Resolve, whole_jacobian
from .product import product
from .rows import Rows


class SampleLinearization(AbstractLinearization):
    """All rows, their Jacobian and $J J^T$.

    - `rows`: shape `(n,)`.
    - `jacobian`: shape `(n, p)`.
    - `matrix`: $J J^T$, shape `(n, n)`.
    """

    rows: jax.Array
    jacobian: jax.Array
    matrix: jax.Array
    gradient: jax.Array
    loss: jax.Array

    @property
    def diagonal(self) -> jax.Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of $J^T J$, shape `(p,)`."""
        return jnp.sum(self.jacobian**2, 0)

    def solve(self, damping: jax.Array) -> tuple[jax.Array, Resolve]:
        """The damped step, by a Cholesky factorization."""
        matrix = self.matrix + damping * jnp.eye(len(self.matrix), dtype=self.matrix.dtype)
        factor = jax.scipy.linalg.cho_factor(matrix)
        of = lambda rows: -self.jacobian.T @ jax.scipy.linalg.cho_solve(factor, rows)
        return of(self.rows), lambda rows, gradient: of(rows)


class SampleSpace(AbstractSystem):
    """The same steps from a matrix as large as the number of rows, $d = -J^T (J J^T + \\lambda I)^{-1} r$.

    The way for fewer rows than parameters: the identity of Woodbury moves the inverse to the side of the rows. The
    Jacobian is held whole.

    Reference: Guzmán-Cordero, Dangel, Goldshlager, Zeinhofer, Improving energy natural gradient descent through
    Woodbury, momentum, and randomization, arXiv 2505.12149 (2025).
    """

    def linearize(self, blocks: Sequence[Rows], model_of: Callable[[jax.Array], Any], flat: jax.Array
                  ) -> SampleLinearization:  # fmt: skip
        """The problem near some parameters, with the Jacobian of all rows."""
        rows, matrix = whole_jacobian(blocks, model_of, flat)
        return SampleLinearization(rows, matrix, product(matrix, matrix.T), product(matrix.T, rows), rows @ rows)
