"""What a solve has cost."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp


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


def effort(solver: dfx.AbstractSolver, solution: dfx.Solution, penalty=0.0) -> Effort:
    """The effort of a solution that `solver` made.

    Evaluations are those of the steps, accepted or not, of an explicit Runge-Kutta solver.
    """
    stats = solution.stats
    accepted, rejected = stats["num_accepted_steps"], stats["num_rejected_steps"]
    tableau = getattr(solver, "tableau", None)
    known = isinstance(tableau, dfx.ButcherTableau) and not isinstance(solver, dfx.HalfSolver)
    evaluations = None
    if known:
        first_same_as_last = bool(tableau.fsal)
        stages = len(tableau.c) + 1
        evaluations = (stages - first_same_as_last) * (accepted + rejected) + first_same_as_last
    return Effort(jnp.asarray(penalty), evaluations, accepted, rejected)
