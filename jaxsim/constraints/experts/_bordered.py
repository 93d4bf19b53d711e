"""Least squares whose Jacobian has a block for each expert, and few rows for all."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import Direct, GaussNewton, SolveStatus
from ...optimize.solves.gauss_newton import Rows, TallState
from ...optimize.solves.thin_qr import ThinQR


class BorderedQR(eqx.Module):
    """The factorization $J = Q R$ of a matrix whose first rows are blocks on a diagonal,

    $$J = \\begin{pmatrix} A_1 & & \\\\ & \\ddots & \\\\ & & A_K \\\\ B_1 & \\cdots & B_K \\end{pmatrix}, \\qquad
    A_k = Q_k R_k,$$

    from those of the blocks and one of $R_1, \\dots, R_K$ above $B$: with $m$ rows and $N$ columns in each block
    $2 K m N^2 + 2 (K N)^3$ operations in place of $2 K m (K N)^2$. It does what a `ThinQR` does.

    - `blocks`: of $A_k$, with a leading axis.
    - `border`: of the rest.
    """

    blocks: ThinQR
    border: ThinQR
    count: int = eqx.field(static=True)
    rows: int = eqx.field(static=True)

    @classmethod
    def of(cls, matrix: jax.Array, count: int, height: int) -> "BorderedQR":
        """Of a matrix `(count * height + q, count * N)`."""
        matrix = jax.lax.stop_gradient(matrix)
        own = matrix[: count * height].reshape(count, height, count, -1)
        blocks = jax.vmap(ThinQR.of)(jnp.moveaxis(jnp.diagonal(own, axis1=0, axis2=2), -1, 0))
        triangles = jax.vmap(lambda block: block.triangle)(blocks)
        above = jax.scipy.linalg.block_diag(*triangles)
        border = ThinQR.of(jnp.concatenate([above, matrix[count * height :]]))
        return cls(blocks, border, count, len(matrix))

    @property
    def triangle(self) -> jax.Array:
        """$R$, `(n, n)`."""
        return self.border.triangle

    def down(self, vector: jax.Array) -> jax.Array:
        """$Q^T v$, from `(m,)` to `(n,)`."""
        split = self.count * self.blocks.rows
        own = jax.vmap(lambda block, part: block.down(part))(self.blocks, vector[:split].reshape(self.count, -1))
        return self.border.down(jnp.concatenate([own.reshape(-1), vector[split:]]))

    def up(self, vector: jax.Array) -> jax.Array:
        """$Q v$, from `(n,)` to `(m,)`."""
        whole, size = self.border.up(vector), len(vector)
        own = jax.vmap(lambda block, part: block.up(part))(self.blocks, whole[:size].reshape(self.count, -1))
        return jnp.concatenate([own.reshape(-1), whole[size:]])


class Bordered(eqx.Module):
    """A method of `least_squares` with factors of this kind.

    - `method`: what its steps are.
    - `count`, `height`: of the blocks.
    """

    method: GaussNewton | Direct
    count: int = eqx.field(static=True)
    height: int = eqx.field(static=True)

    def start(self, rows: Rows, jacobian: Rows, guess: jax.Array) -> TallState:
        """The state at a guess."""
        return self._factored(jacobian, self.method.start(rows, _without_factors(rows), guess))

    def going(self, state: TallState) -> jax.Array:
        """Whether another step is due."""
        return self.method.going(state)

    def step(self, rows: Rows, jacobian: Rows, state: TallState, differentiable: bool = False) -> TallState:
        """One step."""
        ahead = self.method.step(rows, _without_factors(rows), state, differentiable)
        return ahead if isinstance(self.method, Direct) else self._factored(jacobian, ahead)

    def status(self, state: TallState) -> SolveStatus:
        """How it ended."""
        return self.method.status(state)

    def _factored(self, jacobian, state):
        factors = BorderedQR.of(jacobian(state.unknowns), self.count, self.height)
        return state._replace(factors=factors, part=factors.down(jax.lax.stop_gradient(state.right)))


def _without_factors(rows: Rows) -> Rows:
    """In place of a Jacobian whose factors are replaced, so that nothing is computed for it."""
    return lambda unknowns: rows(unknowns)[:, None]
