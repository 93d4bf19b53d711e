"""Damped Gauss-Newton steps on a small dense problem, by orthogonal transformations."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .solved import SolveStatus


class GaussNewton(eqx.Module):
    """Damped Gauss-Newton steps, $\\min_d |r + J d|^2 + \\lambda |D d|^2$ with the column norms $D$ of $J$.

    For some hundreds of unknowns. Every step is a QR factorization, so the normal equations and the square of the
    condition number never appear. A step is taken if it does not raise $|r|$, and the damping follows the gain, as in
    `LevenbergMarquardt`. It ends where $|Q^T r|$, the part of the residual that a change of the unknowns could remove,
    is at most `tolerance` $(1 + |r|)$.

    **Arguments:**

    - `tolerance`: a number or a traced array, in units of the residual; by default the square root of the precision
        over 100, 1.5e-10 in float64.
    - `steps`: at most so many, a number or a traced array.
    - `damping`: the first $\\lambda$.

    Reference: Moré, The Levenberg-Marquardt algorithm: implementation and theory, in Numerical Analysis, Lecture Notes
    in Mathematics 630, Springer (1978).
    """

    tolerance: float | jax.Array | None = None
    steps: int | jax.Array = 50
    damping: float | jax.Array = 1e-3

    def __call__(self, rows: Callable[[jax.Array], jax.Array], guess: jax.Array
                 ) -> tuple[jax.Array, SolveStatus, jax.Array]:  # fmt: skip
        """Solve from a guess.

        **Returns:** the best unknowns, shape `(n,)`; a `SolveStatus`, which is never `rank_deficient`; and the number
        of steps.
        """
        eps = jnp.finfo(guess.dtype).eps
        tolerance = 1e-2 * eps**0.5 if self.tolerance is None else self.tolerance

        def look(unknowns):
            right = rows(unknowns)
            return right, removable_part(jax.jacfwd(rows)(unknowns), right)

        def going(carry):
            _, right, (_, part), damping, steps = carry
            size = jnp.linalg.norm(right)
            met = jnp.linalg.norm(part) <= tolerance * (1 + size)
            return ~met & (steps < self.steps) & (damping < 1 / eps) & jnp.isfinite(size)

        def step(carry):
            unknowns, right, (triangle, part), damping, steps = carry
            change = -damped(triangle, part, damping)
            trial = unknowns + change
            ahead = rows(trial)
            old, new = right @ right, ahead @ ahead
            taken = new <= old * (1 + 8 * eps)
            predicted = part @ part - jnp.sum((part + triangle @ change) ** 2)
            gain = (old - new) / jnp.where(predicted > 0, predicted, 1)
            shrink = jnp.maximum(0.1, 1 - (2 * jnp.clip(gain, 0, 1) - 1) ** 3)
            damping = jnp.where(taken, damping * shrink, damping * 4)
            unknowns, right = jnp.where(taken, trial, unknowns), jnp.where(taken, ahead, right)
            return unknowns, right, removable_part(jax.jacfwd(rows)(unknowns), right), damping, steps + 1

        right, seen = look(guess)
        carry = guess, right, seen, jnp.asarray(self.damping, guess.dtype), jnp.asarray(0)
        unknowns, right, (_, part), damping, steps = lax.while_loop(going, step, carry)
        size = jnp.linalg.norm(right)
        status = SolveStatus.where(damping < 1 / eps, SolveStatus.max_steps, SolveStatus.stalled)
        status = SolveStatus.where(jnp.linalg.norm(part) <= tolerance * (1 + size), SolveStatus.converged, status)
        return unknowns, SolveStatus.where(jnp.isfinite(size), status, SolveStatus.nonfinite), steps


def removable_part(matrix: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
    """R and $Q^T r$ of a Jacobian `(m, n)` and a residual `(m,)`, shapes `(n, n)` and `(n,)`, without Q."""
    rows, size = matrix.shape
    both = jnp.pad(jnp.column_stack([matrix, right]), ((0, max(size + 1 - rows, 0)), (0, 0)))
    both = jnp.linalg.qr(both, mode="r")
    return both[:size, :size], both[:size, size]


def damped(triangle: jax.Array, part: jax.Array, damping: jax.Array) -> jax.Array:
    """The `d` that minimizes $|R d - c|^2 + \\lambda |D d|^2$ with the column norms of R."""
    norms = jnp.linalg.norm(triangle, axis=0)
    norms = jnp.where(norms > 0, norms, 1)
    reduced, right = removable_part(
        jnp.concatenate([triangle, jnp.sqrt(damping) * jnp.diag(norms)]), jnp.pad(part, (0, len(part)))
    )
    return jax.scipy.linalg.solve_triangular(reduced, right)
