"""What a differentiable solve returns, and what happens where it fails."""

import enum
from typing import Any

import equinox as eqx
import jax


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
    - `residual`: $|r|$ at the value.
    - `steps`: how many were taken.
    - `rank`: of the Jacobian there.
    - `condition`: an estimate of its condition number, the largest over the least diagonal entry of R.

    All but `value` are without gradient.
    """

    value: Any
    status: SolveStatus
    residual: jax.Array
    steps: jax.Array
    rank: jax.Array
    condition: jax.Array

    @property
    def succeeded(self) -> jax.Array:
        """Whether the value is a solution, a boolean."""
        return (self.status == SolveStatus.converged) | (self.status == SolveStatus.rank_deficient)
