"""Repeated application of a map."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import norm
from .implicit_root import Square
from .solved import SolveStatus


class PicardState(NamedTuple):
    """An iterate `(n,)`, the map there, the number of steps, and the size of the guess and its map, at most one."""

    unknowns: jax.Array
    value: jax.Array
    steps: jax.Array
    size: jax.Array


class Picard(eqx.Module):
    """Applies a map again and again, $y \\leftarrow y + \\beta (f(y) - y)$, until $|f(y) - y|$ is at most `tolerance`
    $(s + |y|)$. Here $s$ is 1, or the size of the guess and the map there where that is less.

    It converges where the map is a contraction, and the error is that difference over one minus its rate.

    **Arguments:**

    - `tolerance`: a number or a traced array; by default the square root of the precision over 100, 1.5e-10 in float64.
    - `steps`: at most so many, a number or a traced array.
    - `relaxation`: $\\beta$.
    """

    tolerance: float | jax.Array | None = None
    steps: int | jax.Array = 1000
    relaxation: float | jax.Array = 1.0

    def start(self, square: Square, guess: jax.Array) -> PicardState:
        """The state at a guess."""
        value = square.function(guess)
        return PicardState(guess, value, jnp.asarray(0), first_size(guess, value))

    def going(self, state: PicardState) -> jax.Array:
        """Whether another step is due."""
        finite = jnp.isfinite(norm(state.value))
        return ~fixed_met(self, *self.end(state), state.size) & (state.steps < self.steps) & finite

    def step(self, square: Square, state: PicardState, differentiable: bool = False) -> PicardState:
        """One step."""
        unknowns = state.unknowns + self.relaxation * (state.value - state.unknowns)
        unknowns = unknowns.astype(state.unknowns.dtype)
        return PicardState(unknowns, square.function(unknowns), state.steps + 1, state.size)

    def end(self, state: PicardState) -> tuple[jax.Array, jax.Array]:
        """The unknowns, and the map there."""
        return state.unknowns, state.value

    def undamped(self, square: Square, unknowns: jax.Array, raising: bool) -> jax.Array:
        """The map itself."""
        return square.function(unknowns)

    def status(self, state: PicardState) -> SolveStatus:
        """How it ended."""
        return fixed_status(self, *self.end(state), state.size, jnp.isfinite(norm(state.value)))


def first_size(guess: jax.Array, value: jax.Array) -> jax.Array:
    """The size of what an iteration begins with, at most one; it stands for the unit of unknowns that may vanish."""
    return jnp.minimum(1, lax.stop_gradient(jnp.maximum(norm(guess), norm(value))))


def fixed_met(method, unknowns, value, first) -> jax.Array:
    """Whether a point is fixed to the tolerance of a method."""
    eps = jnp.finfo(unknowns.dtype).eps
    tolerance = 1e-2 * eps**0.5 if method.tolerance is None else method.tolerance
    size = norm(unknowns)
    return (norm(value - unknowns) <= tolerance * (first + size)) & jnp.isfinite(size)


def fixed_status(method, unknowns: jax.Array, value: jax.Array, first: jax.Array,
                 finite: jax.Array) -> SolveStatus:  # fmt: skip
    """The status of an iteration that ended where its map has a value."""
    status = SolveStatus.where(fixed_met(method, unknowns, value, first), SolveStatus.converged, SolveStatus.max_steps)
    return SolveStatus.where(finite, status, SolveStatus.nonfinite)
