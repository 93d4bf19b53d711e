"""Damped Gauss-Newton steps on a small dense problem, by orthogonal transformations."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...linear.batches import solve_triangle
from ...norms import norm
from .solved import SolveStatus
from .stationary import column_norms, damped_step
from .thin_qr import ThinQR, removable_part

Rows = Callable[[jax.Array], jax.Array]


class TallState(NamedTuple):
    """An iterate of a least-squares method: unknowns `(n,)`, residual `(m,)`, the factors of the Jacobian there, the
    part $Q^T r$ that is left to remove, the damping, the number of steps, and the size of the residual's terms at the
    guess, at most one."""

    unknowns: jax.Array
    right: jax.Array
    factors: ThinQR
    part: jax.Array
    damping: jax.Array
    steps: jax.Array
    size: jax.Array


class GaussNewton(eqx.Module):
    """Damped Gauss-Newton steps, $\\min_d |r + J d|^2 + \\lambda |D d|^2$ with the column norms $D$ of $J$.

    For some hundreds of unknowns. Every step is a QR factorization, so the normal equations and the square of the
    condition number never appear. A step is taken if it does not raise $|r|$, and the damping follows the gain, as in
    `LevenbergMarquardt`. It ends where $|Q^T r|$, the part of the residual that a change of the unknowns could remove,
    is at most `tolerance` $(s + |r|)$, or no more than rounding of the terms that cancel in it. Here $s$ is 1, or the
    size of the residual and its terms $J w$ at the guess where that is less.

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

    def start(self, rows: Rows, jacobian: Rows, guess: jax.Array) -> TallState:
        """The state at a guess."""
        right, factors = rows(guess), ThinQR.of(jacobian(guess))
        damping = jnp.asarray(self.damping, guess.dtype)
        part = factors.down(lax.stop_gradient(right))
        state = TallState(guess, right, factors, part, damping, jnp.asarray(0), damping)
        return state._replace(size=jnp.minimum(1, jnp.maximum(norm(lax.stop_gradient(right)), _terms(state))))

    def resume(self, rows: Rows, jacobian: Rows, brief: tuple) -> TallState:
        """The state of which `brief(state)` was kept."""
        unknowns, damping, steps, size = brief
        return self.start(rows, jacobian, unknowns)._replace(damping=damping, steps=steps, size=size)

    def brief(self, state: TallState) -> tuple:
        """What must be kept of a state; no array as long as the residual."""
        return state.unknowns, state.damping, state.steps, state.size

    def going(self, state: TallState) -> jax.Array:
        """Whether another step is due."""
        end = self._met(state) | (state.steps >= self.steps) | (state.damping >= self._most(state))
        return ~end & jnp.isfinite(norm(state.right))

    def step(self, rows: Rows, jacobian: Rows, state: TallState, differentiable: bool = False) -> TallState:
        """One step, taken or refused; `differentiable` in the unknowns and in all that `rows` closes over."""
        unknowns, right, factors, part, damping, steps, size = state
        eps, triangle = jnp.finfo(right.dtype).eps, factors.triangle
        if differentiable:
            change = damped_step(rows, unknowns, right, factors, damping)
        else:
            change = -damped(triangle, part, damping)
        trial = unknowns + change
        ahead = rows(trial)
        old, new = right @ right, ahead @ ahead
        noise = 8 * eps * old + 2 * jnp.sqrt(old) * _rounding(state)
        taken = new <= old + noise
        predicted = part @ part - jnp.sum((part + triangle @ change) ** 2)
        # A change of less than rounding says nothing against the model.
        gain = jnp.where(predicted > noise, (old - new) / jnp.where(predicted > 0, predicted, 1), 1)
        gain = lax.stop_gradient(gain)
        shrink = jnp.maximum(0.01, 1 - (2 * jnp.clip(gain, 0, 1) - 1) ** 3)
        damping = jnp.where(taken, damping * shrink, damping * 4)
        unknowns, right = jnp.where(taken, trial, unknowns), jnp.where(taken, ahead, right)
        factors = ThinQR.of(jacobian(unknowns))
        return TallState(unknowns, right, factors, factors.down(lax.stop_gradient(right)), damping, steps + 1, size)

    def status(self, state: TallState) -> SolveStatus:
        """How it ended; never `rank_deficient`, which is found later."""
        status = SolveStatus.where(state.damping < self._most(state), SolveStatus.max_steps, SolveStatus.stalled)
        status = SolveStatus.where(self._met(state), SolveStatus.converged, status)
        return SolveStatus.where(jnp.isfinite(norm(state.right)), status, SolveStatus.nonfinite)

    def _met(self, state):
        eps = jnp.finfo(state.right.dtype).eps
        tolerance = 1e-2 * eps**0.5 if self.tolerance is None else self.tolerance
        size = norm(state.right)
        return norm(state.part) <= jnp.maximum(tolerance * (state.size + size), 8 * _rounding(state))

    def _most(self, state):
        return 1 / jnp.finfo(state.right.dtype).eps


def _rounding(state) -> jax.Array:
    """Rounding errors of the residual and of what is left to remove: of the terms that cancel in them."""
    size = _terms(state)
    return lax.stop_gradient(jnp.finfo(size.dtype).eps * (size + norm(state.right)))


def _terms(state) -> jax.Array:
    """The size of $J w$."""
    return lax.stop_gradient(norm(state.factors.triangle) * norm(state.unknowns))


def damped(triangle: jax.Array, part: jax.Array, damping: jax.Array) -> jax.Array:
    """The `d` that minimizes $|R d - c|^2 + \\lambda |D d|^2$ with the column norms of R."""
    below = jnp.sqrt(damping) * jnp.diag(column_norms(triangle))
    reduced, right = removable_part(jnp.concatenate([triangle, below]), jnp.pad(part, (0, len(part))))
    return solve_triangle(reduced, right)
