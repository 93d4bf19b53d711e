"""What a solve has cost."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..integrate.wrapped import AbstractTransparentSolver
from .heuristics import MonitoredSolver
from .solve import AbstractRegularizer

# Drift evaluations of solvers without a tableau.
WITHOUT_TABLEAU = {dfx.Euler: 1, dfx.EulerHeun: 1, dfx.ItoMilstein: 1, dfx.StratonovichMilstein: 1}


class Effort(eqx.Module):
    """What a solve has cost, beside its solution.

    - `penalty`: of the regularizer, a scalar to add to a loss with a weight; zero without one.
    - `evaluations`: of the vector field, or `None` where the solver does not say.
    - `accepted`, `rejected`: numbers of steps.
    """

    penalty: jax.Array
    evaluations: jax.Array | None
    accepted: jax.Array
    rejected: jax.Array


def effort(solver: dfx.AbstractSolver, solution: dfx.Solution, penalty=0.0, *,
           regularizer: AbstractRegularizer | None = None) -> Effort:  # fmt: skip
    """The effort of a solution that `solver` made.

    Evaluations are those of the steps, accepted or not, of the vector field, for SDEs of the drift. They are known of
    explicit Runge-Kutta solvers, also stochastic ones, and of a `diffrax.HalfSolver` of such; an implicit solver does
    not say how often its Newton iterations evaluate, and there `evaluations` is `None`. A solver whose first stage is
    the last one of the step before evaluates it anew after a jump, and when the very first step is rejected; these are
    not counted.

    **Arguments:**

    - `solver`: the one that was asked to solve.
    - `solution`: with its statistics.
    - `penalty`: kept.
    - `regularizer`: whose own evaluations are added.
    """
    accepted, rejected = solution.stats["num_accepted_steps"], solution.stats["num_rejected_steps"]
    each, first = _per_step(solver)
    evaluations = None
    if each is not None:
        evaluations = each * (accepted + rejected) + first
        if regularizer is not None:
            evaluations = regularizer.evaluations(evaluations, each + first)
    return Effort(jnp.asarray(penalty), evaluations, accepted, rejected)


def _per_step(solver) -> tuple[int | None, int]:
    """Evaluations of every step (`None` if unknown), and how many more the first one needs."""
    kind = type(solver)
    if issubclass(kind, dfx.HalfSolver):  # one step, and the same in two halves, of which the second knows its start
        each, first = _per_step(solver.solver)
        return (None if each is None else 3 * each), 2 * first
    if issubclass(kind, AbstractTransparentSolver):
        return _per_step(solver.wrapped if issubclass(kind, MonitoredSolver) else solver.solver)
    tableau = getattr(solver, "tableau", None)
    if issubclass(kind, dfx.AbstractERK) and isinstance(tableau, dfx.ButcherTableau):
        return tableau.num_stages - tableau.fsal, int(tableau.fsal)
    if issubclass(kind, dfx.AbstractSRK):
        ignored = tableau.ignore_stage_f
        return len(tableau.b_sol) - (0 if ignored is None else int(sum(ignored))), 0
    return WITHOUT_TABLEAU.get(kind), 0
