"""Least squares by orthogonal transformations of $J$, for the last digits."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .linearization import AbstractLinearization, AbstractSystem, Resolve, whole_jacobian
from .product import product
from .rows import Rows


class TriangularLinearization(AbstractLinearization):
    """A problem whose rows were turned into a triangle, $|r + J d|^2 = |c + R d|^2 + $ const.

    - `triangle`: $R$, shape `(min(n, p + 1), p)`.
    - `right`: $c$, shape `(min(n, p + 1),)`.
    """

    triangle: jax.Array
    right: jax.Array
    diagonal: jax.Array
    gradient: jax.Array
    loss: jax.Array

    def solve(self, damping: jax.Array) -> tuple[jax.Array, Resolve]:
        """The damped step, from the triangle with $\\sqrt{\\lambda} I$ below it.

        Other rows are known by their gradient, for which the triangle is used twice.
        """
        size = self.triangle.shape[1]
        below = jnp.sqrt(damping) * jnp.eye(size, size + 1, dtype=self.triangle.dtype)
        both = triangular(jnp.concatenate([jnp.column_stack([self.triangle, self.right]), below]))
        triangle = both[:size, :size]
        again = lambda rows, gradient: -jax.scipy.linalg.cho_solve((triangle, False), gradient)
        return -jax.scipy.linalg.solve_triangular(triangle, both[:size, size]), again


class DenseQR(AbstractSystem):
    """The same steps without ever squaring $J$, from $\\min_d |r + J d|^2 + \\lambda |d|^2$ by QR factorizations.

    The rounding error grows with the condition of $J$ instead of its square: the way to the last digits of small
    problems, at several times the cost of the normal equations. The Jacobian is held whole.

    Reference: Moré, The Levenberg-Marquardt algorithm: implementation and theory, in Numerical Analysis, Lecture Notes
    in Mathematics 630, Springer (1978).
    """

    def linearize(self, blocks: Sequence[Rows], model_of: Callable[[jax.Array], Any], flat: jax.Array
                  ) -> TriangularLinearization:  # fmt: skip
        """The problem near some parameters, after one QR factorization of all rows."""
        rows, matrix = whole_jacobian(blocks, model_of, flat)
        both = triangular(jnp.column_stack([matrix, rows]))
        diagonal = jnp.sum(matrix**2, 0)
        return TriangularLinearization(both[:, :-1], both[:, -1], diagonal, product(matrix.T, rows), rows @ rows)


def triangular(matrix: jax.Array) -> jax.Array:
    """R of a QR factorization; Q is never formed, since right-hand sides travel as columns of the matrix."""
    return jnp.linalg.qr(matrix, mode="r")
