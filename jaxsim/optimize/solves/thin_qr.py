"""One orthogonal factorization of a tall Jacobian, which a solve and its derivatives share."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...linear.batches import (
    householder,
    lu_factor,
    lu_solve,
    reflect,
    reflect_back,
    singular_values,
    triangle_of,
)


class ThinQR(eqx.Module):
    """The factorization $J = Q R$ of a matrix `(m, n)`, as Householder reflectors: $Q$ itself is never formed.

    No gradient passes through it; `stationary_change` has the derivatives of what is solved with it.
    """

    reflectors: jax.Array
    scalars: jax.Array
    rows: int = eqx.field(static=True)

    @classmethod
    def of(cls, matrix: jax.Array) -> "ThinQR":
        """Factorize a matrix, wide ones with rows of zeros below."""
        rows, size = matrix.shape
        matrix = jnp.pad(lax.stop_gradient(matrix), ((0, max(size - rows, 0)), (0, 0)))
        return cls(*householder(matrix), rows)

    @property
    def triangle(self) -> jax.Array:
        """$R$, `(n, n)`."""
        return jnp.triu(self.reflectors[: self.reflectors.shape[1]])

    def down(self, vector: jax.Array) -> jax.Array:
        """$Q^T v$, from `(m,)` to `(n,)`."""
        vector = jnp.pad(vector, (0, len(self.reflectors) - self.rows))
        return reflect_back(self.reflectors, self.scalars, vector)[: self.reflectors.shape[1]]

    def up(self, vector: jax.Array) -> jax.Array:
        """$Q v$, from `(n,)` to `(m,)`."""
        vector = jnp.pad(vector, (0, len(self.reflectors) - len(vector)))
        return reflect(self.reflectors, self.scalars, vector)[: self.rows]


class PseudoInverse(eqx.Module):
    """What solves $(J^T J + S) x = b$ and $\\min |J x + p|$ from a thin factorization: the decomposition
    $R = U \\Sigma V^T$ without the singular values that are rounding."""

    factors: ThinQR
    left: jax.Array
    values: jax.Array
    right: jax.Array
    inverse: jax.Array
    rank: jax.Array
    condition: jax.Array

    @classmethod
    def of(cls, factors: ThinQR) -> "PseudoInverse":
        triangle = factors.triangle
        finite = jnp.all(jnp.isfinite(triangle))
        left, values, right = singular_values(jnp.where(finite, triangle, 0))
        least = 10 * len(values) * jnp.finfo(values.dtype).eps * values[0]
        kept = values > least
        inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
        condition = jnp.where(values[-1] > 0, values[0] / jnp.where(values[-1] > 0, values[-1], 1), jnp.inf)
        return cls(factors, left, values, right, inverse, jnp.sum(kept), jnp.where(finite, condition, jnp.nan))

    def bent(self, second: jax.Array) -> tuple[jax.Array, jax.Array]:
        """LU factors of $I + \\Sigma^+ V^T S V \\Sigma^+$."""
        middle = product(product(self.right * self.inverse[:, None], second), (self.right * self.inverse[:, None]).T)
        return lu_factor(jnp.eye(len(middle), dtype=middle.dtype) + middle)

    def solve(self, p: jax.Array, g: jax.Array, bent: tuple[jax.Array, jax.Array] | None = None
              ) -> tuple[jax.Array, jax.Array]:  # fmt: skip
        """The least $x$ with $(J^T J + S) x = -(J^T p + g)$, and $s = p + J x$, as `(s, x)`."""
        change = product(self.left.T, self.factors.down(p)) + self.inverse * product(self.right, g)
        change = change if bent is None else lu_solve(*bent, change)
        change = jnp.where(self.inverse > 0, change, 0)
        return p - self.factors.up(product(self.left, change)), -product(self.right.T, self.inverse * change)

    def least(self, right: jax.Array) -> jax.Array:
        """The shortest $z$ with $J^T z = b$."""
        return self.factors.up(product(self.left, self.inverse * product(self.right, right)))

    def across(self, vector: jax.Array) -> jax.Array:
        """The part of a vector `(m,)` that is orthogonal to the columns of $J$."""
        return self.solve(vector, jnp.zeros_like(self.values))[0]


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a @ b` in full precision, also where a GPU would round the factors."""
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def removable_part(matrix: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
    """R and $Q^T r$ of a matrix `(m, n)` with $m > n$ and a vector `(m,)`, shapes `(n, n)` and `(n,)`."""
    size = matrix.shape[1]
    both = triangle_of(jnp.column_stack([matrix, right]))
    return both[:size, :size], both[:size, size]
