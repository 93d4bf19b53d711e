"""Newton's method with backtracking."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...norms import norm, quotient, sizes_of_rows, units_of
from .implicit_root import Square, square_solve
from .linear_choice import LU, AbstractLinearChoice
from .solved import SolveStatus
from .varying import alike


class NewtonState(NamedTuple):
    """An iterate: unknowns `(n,)`, the function there, whether a step was no longer than rounding or did not go down,
    the number of steps, the largest size that each unknown had, and what that makes of each equation, $|J_i w|$."""

    unknowns: jax.Array
    value: jax.Array
    settled: jax.Array
    stuck: jax.Array
    steps: jax.Array
    reach: jax.Array
    sizes: jax.Array


class Newton(eqx.Module):
    """Newton's method, $J d = -F$, with steps that are halved until $|F|$ falls.

    It ends where $|F|$ is at most `tolerance`, or where rounding is reached: a whole step is no longer than that of the
    unknowns, or $|F|$ does not halve any more and is what rounding of the unknowns alone makes of it, or does not fall
    any more along a step that is shorter than half of the digits.

    **Arguments:**

    - `tolerance`: a number or a traced array, in units of the function; by default the precision to the power of 3/4,
        1.8e-12 in float64, times the size of each equation's terms $J y$ where these are less than 1. Derivatives are
        as wrong as the root.
    - `steps`: at most so many, a number or a traced array.
    - `linear`: `LU()` by default, or `Krylov(...)`.

    Reference: Dennis and Schnabel, Numerical Methods for Unconstrained Optimization and Nonlinear Equations (1983),
    algorithm A6.3.1 for the condition that a step has to meet.
    """

    tolerance: float | jax.Array | None = None
    steps: int | jax.Array = 50
    linear: AbstractLinearChoice = LU()

    def start(self, square: Square, guess: jax.Array) -> NewtonState:
        """The state at a guess."""
        no = jnp.asarray(False)
        reach = jnp.abs(guess)
        return NewtonState(guess, square.function(guess), no, no, jnp.asarray(0), reach, _sizes(square, guess, reach))

    def going(self, state: NewtonState) -> jax.Array:
        """Whether another step is due."""
        end = self._met(state) | state.stuck | (state.steps >= self.steps)
        return ~end & jnp.all(jnp.isfinite(state.value))

    def step(self, square: Square, state: NewtonState, differentiable: bool = False) -> NewtonState:
        """One step, halved where needed; `differentiable` in the unknowns and in all that the function closes over."""
        unknowns, value = state.unknowns, state.value
        prepared = square.prepared(self.linear, unknowns)
        change, solved = prepared.solve(lax.stop_gradient(-value))
        units = units_of(state.sizes)
        length = _length(square.frozen, *lax.stop_gradient((unknowns, value)), change, units)
        if differentiable:
            change = square_solve(square.function, unknowns, -value, prepared, fine=length > 0)
        taken = length > 0
        ahead = unknowns + length * change
        unknowns, value = jnp.where(taken, ahead, unknowns), jnp.where(taken, square.function(ahead), value)
        found, eps = lax.stop_gradient(unknowns), jnp.finfo(value.dtype).eps
        reach = jnp.maximum(state.reach, jnp.abs(found))
        scales = units_of(reach)
        step, size = norm(lax.stop_gradient(change) / scales), norm(value / units)
        settled = step <= 4 * eps * norm(found / scales)
        settled |= (size > norm(state.value / units) / 2) & (size <= 8 * _noise(square.frozen, unknowns, units))
        settled |= ~taken & (step <= eps**0.5 * norm(reach / scales))
        settled &= solved
        return NewtonState(unknowns, value, lax.stop_gradient(settled), ~taken, state.steps + 1, reach,
                           _sizes(square, found, reach))  # fmt: skip

    def end(self, state: NewtonState) -> tuple[jax.Array, jax.Array]:
        """The unknowns, and the function there."""
        return state.unknowns, state.value

    def undamped(self, square: Square, unknowns: jax.Array, raising: bool) -> jax.Array:
        """A whole step, differentiable."""
        prepared = square.prepared(self.linear, unknowns)
        return unknowns - square_solve(square.function, unknowns, square.function(unknowns), prepared, raising=raising)

    def status(self, state: NewtonState) -> SolveStatus:
        """How it ended."""
        status = SolveStatus.where(state.stuck, SolveStatus.stalled, SolveStatus.max_steps)
        status = SolveStatus.where(self._met(state), SolveStatus.converged, status)
        return SolveStatus.where(jnp.all(jnp.isfinite(state.value)), status, SolveStatus.nonfinite)

    def _met(self, state):
        if self.tolerance is not None:
            return (norm(state.value) <= self.tolerance) | state.settled
        least = jnp.minimum(1, jnp.where(state.value == 0, 1, state.sizes))
        left = norm(jnp.where(least > 0, quotient(state.value, jnp.where(least > 0, least, 1)), jnp.inf))
        return (left <= jnp.finfo(state.value.dtype).eps ** 0.75) | state.settled


def _sizes(square, unknowns, reach):
    """How large the terms of each equation are for unknowns that are as large as they were."""
    _, matvec = jax.linearize(square.frozen, lax.stop_gradient(unknowns))
    return sizes_of_rows(lambda draw: matvec(reach * draw), lax.stop_gradient(unknowns))


def _noise(function, unknowns, units):
    """How large a function is for the rounding of its unknowns, with random signs."""
    unknowns = lax.stop_gradient(unknowns)
    signs = np.where(np.random.default_rng(0).random(unknowns.size) < 0.5, -1, 1)
    moved = jax.jvp(function, (unknowns,), (unknowns * jnp.asarray(signs, unknowns.dtype),))[1]
    return jnp.finfo(moved.dtype).eps * norm(moved / units)


def _length(function, unknowns, value, change, units):
    """The largest of 1, 1/2, 1/4, ... that lowers $|F|$ enough, or zero."""
    size = norm(value / units)
    enough = lambda length: norm(function(unknowns + length * change) / units) <= (1 - 1e-4 * length) * size
    bad = lambda carry: ~carry[1] & (carry[0] > 1e-9)
    one = jnp.ones((), value.dtype)
    halve = lambda carry: (carry[0] / 2, enough(carry[0] / 2))
    length, found = lax.while_loop(bad, halve, alike((one, enough(one)), value, change))
    return jnp.where(found, length, 0)
