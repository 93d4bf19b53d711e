"""What a differentiable solve returns, and what happens where it fails."""

import enum
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .varying import inside_shard_map


class SolveStatus(eqx.Enumeration):
    """How a solve ended, one for each instance of a batch."""

    converged = "converged"
    max_steps = "the steps were used up before the tolerance was met"
    stalled = "no step lowered the residual any more, and the tolerance was not met"
    rank_deficient = "converged, but the unknowns are not determined: some may change without changing the residual"
    nonfinite = "the residual is not finite"
    infeasible = "no value satisfies all that is asked of it"


class OnFailure(enum.Enum):
    """What a solve does with an instance that did not converge."""

    RAISE = "raise"
    """Raise a run-time error; not possible inside `jax.shard_map`."""
    STOP = "stop"
    """Keep the best iterate and let no gradient through it."""
    NAN = "nan"
    """Make its value NaN."""
    KEEP = "keep"
    """Keep the best iterate and the gradient of the implicit rule, which is not that of a solution."""


class Solved(eqx.Module):
    """A solution, and what is known of it.

    - `value`: like the guess.
    - `status`: a `SolveStatus`; failures are all but `converged` and `rank_deficient`.
    - `residual`: $|r|$ at the value; where a residual is a pytree of blocks, one number for each.
    - `steps`: how many were taken.
    - `rank`, `condition`: of the Jacobian there, the number and the ratio of its singular values; `None` where the
        method has none.

    All but `value` are without gradient.
    """

    value: Any
    status: SolveStatus
    residual: Any
    steps: jax.Array
    rank: jax.Array | None = None
    condition: jax.Array | None = None

    @property
    def succeeded(self) -> jax.Array:
        """Whether the value is a solution, a boolean."""
        return (self.status == SolveStatus.converged) | (self.status == SolveStatus.rank_deficient)


def fine(status: SolveStatus, on_failure: OnFailure) -> jax.Array:
    """Whether a solve has a derivative that is wanted, a boolean."""
    if on_failure is OnFailure.KEEP:
        return status != SolveStatus.nonfinite
    return (status == SolveStatus.converged) | (status == SolveStatus.rank_deficient)


def delivered(solved: Solved, on_failure: OnFailure, name: str) -> Solved:
    """What a solve called `name` returns, after what is done where it failed."""
    if on_failure is OnFailure.KEEP:
        return solved
    succeeded = solved.succeeded
    if on_failure is OnFailure.RAISE:
        message = (f"{name} did not converge: give a better guess, more `steps` or a larger `tolerance`, or see "
                   "`on_failure` and `Solved.status`.")  # fmt: skip
        value = jax.tree.map(lambda x: raised_if(x, ~succeeded, message), solved.value)
    elif on_failure is OnFailure.STOP:
        value = jax.tree.map(lambda x: jnp.where(succeeded, x, lax.stop_gradient(x)), solved.value)
    else:
        value = jax.tree.map(lambda x: jnp.where(succeeded, x, jnp.nan), solved.value)
    return eqx.tree_at(lambda s: s.value, solved, value)


def raised_if(value: jax.Array, failed: jax.Array, message: str) -> jax.Array:
    """`eqx.error_if` that tangents and cotangents pass through as well.

    A gradient alone does not need the value, so the compiler removes a check of the value, and with it the error.
    """
    check = lambda _, b: eqx.error_if(b, failed, message)
    return lax.custom_linear_solve(lambda b: b, value, check, check)


def refuse_raise_in_shard_map(on_failure: OnFailure, name: str):
    """Say at trace time what cannot work."""
    if on_failure is OnFailure.RAISE and inside_shard_map():
        raise ValueError(f"{name}: no error can be raised inside jax.shard_map. Give `on_failure=OnFailure.STOP`, NAN "
                         "or KEEP, and look at `Solved.status`.")  # fmt: skip
