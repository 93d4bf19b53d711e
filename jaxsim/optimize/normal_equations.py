"""Least squares in the space of parameters: $J^T J$, without ever holding all of $J$."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .chunks import sum_over_chunks
from .linearization import AbstractLinearization, AbstractSystem, Resolve, jacobian
from .product import product
from .rows import Rows


class NormalLinearization(AbstractLinearization):
    """$J^T J$, $J^T r$ and $|r|^2$ of all rows.

    - `matrix`: $J^T J$, shape `(p, p)`.
    """

    matrix: jax.Array
    gradient: jax.Array
    loss: jax.Array

    @property
    def diagonal(self) -> jax.Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of $J^T J$, shape `(p,)`."""
        return jnp.diagonal(self.matrix)

    def solve(self, damping: jax.Array) -> tuple[jax.Array, Resolve]:
        """The damped step, by a Cholesky factorization."""
        matrix = self.matrix + damping * jnp.eye(len(self.matrix), dtype=self.matrix.dtype)
        factor = jax.scipy.linalg.cho_factor(matrix)
        of = lambda gradient: -jax.scipy.linalg.cho_solve(factor, gradient)
        return of(self.gradient), lambda rows, gradient: of(gradient)


class NormalEquations(AbstractSystem):
    """$(J^T J + \\lambda I)\\, d = -J^T r$, accumulated over chunks of samples and solved by Cholesky factorizations.

    The way for more rows than parameters. Its rounding error grows with the square of the condition of $J$.

    **Arguments:**

    - `chunk`: samples whose Jacobian is held at a time.
    """

    chunk: int = eqx.field(static=True, default=1024)

    def __check_init__(self):
        if self.chunk < 1:
            raise ValueError("NormalEquations: `chunk` is at least 1.")

    def linearize(self, blocks: Sequence[Rows], model_of: Callable[[jax.Array], Any], flat: jax.Array
                  ) -> NormalLinearization:  # fmt: skip
        """The normal equations of blocks of rows."""

        def of(block):
            def chunk(samples, scales):
                rows, matrix = jacobian(block, model_of, flat, samples, scales)
                return _upper_products(matrix), product(matrix.T, rows), rows @ rows

            return sum_over_chunks(chunk, (block.samples, block.scales(flat.dtype)), self.chunk)

        products, gradient, loss = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *map(of, blocks))
        return NormalLinearization(_symmetric(products), gradient, loss)


# A symmetric product costs half of a product in exact counting, and XLA has no routine for it: with the columns in
# four groups, ten of the sixteen products are enough.
def _upper_products(matrix) -> list[list[jax.Array]]:
    """Blocks of A^T A on the diagonal and right of it, row by row."""
    groups = jnp.array_split(matrix, min(4, 1 + matrix.shape[1] // 128), axis=1)
    return [[product(group.T, other) for other in groups[i:]] for i, group in enumerate(groups)]


def _symmetric(upper: list[list[jax.Array]]) -> jax.Array:
    """The matrix of which `_upper_products` made the blocks."""
    lower = lambda i: [upper[j][i - j].T for j in range(i)]
    return jnp.block([lower(i) + row for i, row in enumerate(upper)])
