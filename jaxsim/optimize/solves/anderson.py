"""Anderson's acceleration of a fixed-point iteration."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import lengths, norm
from .implicit_root import Square
from .picard import first_size, fixed_met, fixed_status
from .solved import SolveStatus
from .thin_qr import product


class AndersonState(NamedTuple):
    """An iterate `(n,)` and the map there, the best ones so far, the last differences of iterates and of maps
    `(n, memory)`, how many of them there are, the number of steps, and the size that `Picard` has."""

    unknowns: jax.Array
    value: jax.Array
    best: jax.Array
    best_value: jax.Array
    moves: jax.Array
    changes: jax.Array
    filled: jax.Array
    steps: jax.Array
    size: jax.Array


class Anderson(eqx.Module):
    """Anderson's acceleration: the next iterate combines the last ones so that their $f(y) - y$ is least.

    With the residual $F = f(y) - y$ and differences of the last iterates, $\\gamma$ of the least
    $|F - \\Delta F \\gamma|^2 + \\mu |\\gamma|^2$ for columns of length one, and

    $$y \\leftarrow y + \\beta F - (\\Delta y + \\beta \\Delta F) \\gamma.$$

    For an affine map this is GMRES in disguise, and it converges for many maps that do not contract. Where $|F|$ grows
    to ten times the least so far, the memory is emptied and the best iterate is taken up again.

    **Arguments:**

    - `memory`: how many differences.
    - `tolerance`, `steps`: as in `Picard`.
    - `relaxation`: $\\beta$.
    - `regularization`: $\\mu$; by default 100 times the precision.

    Reference: Walker and Ni, SIAM J. Numer. Anal. 49, 1715 (2011).
    """

    memory: int = eqx.field(static=True, default=5)
    tolerance: float | jax.Array | None = None
    steps: int | jax.Array = 200
    relaxation: float | jax.Array = 1.0
    regularization: float | jax.Array | None = None

    def __check_init__(self):
        if self.memory < 1:
            raise ValueError(f"Anderson: `memory` is at least 1, got {self.memory}. `Picard()` has none.")

    def start(self, square: Square, guess: jax.Array) -> AndersonState:
        """The state at a guess."""
        value, zero = square.function(guess), jnp.asarray(0)
        none = jnp.zeros((guess.size, self.memory), guess.dtype)
        return AndersonState(guess, value, guess, value, none, none, zero, zero,
                             first_size(guess, value))  # fmt: skip

    def going(self, state: AndersonState) -> jax.Array:
        """Whether another step is due."""
        finite = jnp.isfinite(norm(state.best_value))
        return ~fixed_met(self, *self.end(state), state.size) & (state.steps < self.steps) & finite

    def step(self, square: Square, state: AndersonState, differentiable: bool = False) -> AndersonState:
        """One step."""
        y, value = state.unknowns, state.value
        left, changes = value - y, state.changes - state.moves
        norms = lax.stop_gradient(lengths(changes, 0))
        norms = jnp.where(norms > 0, norms, 1)
        weights = _shortest(changes / norms, left, self._weight(y)) / norms
        ahead = y + self.relaxation * left - product(state.moves + self.relaxation * changes, weights)
        ahead = ahead.astype(y.dtype)
        image = square.function(ahead)
        size, least = norm(image - ahead), norm(state.best_value - state.best)
        better, lost = size < least, ~(size <= 10 * least)
        best = jnp.where(better, ahead, state.best)
        best_value = jnp.where(better, image, state.best_value)
        slot = state.filled % self.memory
        moves = jnp.where(lost, 0, state.moves.at[:, slot].set(ahead - y))
        changes = jnp.where(lost, 0, state.changes.at[:, slot].set(image - value))
        filled = jnp.where(lost, 0, state.filled + 1)
        unknowns, value = jnp.where(lost, best, ahead), jnp.where(lost, best_value, image)
        return AndersonState(unknowns, value, best, best_value, moves, changes, filled, state.steps + 1,
                             state.size)  # fmt: skip

    def end(self, state: AndersonState) -> tuple[jax.Array, jax.Array]:
        """The best iterate, and the map there."""
        return state.best, state.best_value

    def undamped(self, square: Square, unknowns: jax.Array, raising: bool) -> jax.Array:
        """The map itself."""
        return square.function(unknowns)

    def status(self, state: AndersonState) -> SolveStatus:
        """How it ended."""
        return fixed_status(self, *self.end(state), state.size, jnp.isfinite(norm(state.best_value)))

    def _weight(self, y):
        return 100 * jnp.finfo(y.dtype).eps if self.regularization is None else self.regularization


def _shortest(matrix, right, weight) -> jax.Array:
    """The `x` of the least $|b - A x|^2 + \\mu |x|^2$."""
    size = matrix.shape[1]
    below = jnp.sqrt(jnp.asarray(weight, matrix.dtype)) * jnp.eye(size, dtype=matrix.dtype)
    orthogonal, triangle = jnp.linalg.qr(jnp.concatenate([matrix, below]))
    return jax.scipy.linalg.solve_triangular(triangle, product(orthogonal[: len(matrix)].T, right))
