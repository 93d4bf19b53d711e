"""Steps that end on the constraint of their equation."""

from typing import Any

import diffrax as dfx

from .semilinear import AbstractSemilinearSolver
from .term import SemilinearTerm, unwrapped
from .wrapped import AbstractTransparentSolver


class Constrained(AbstractTransparentSolver):
    """A solver whose every step ends with the equation's `constrain`, such as the projection of a velocity.

    The order of the solver stays, as the exact solution satisfies the constraint. `js.rollout` and `js.solve` wrap
    stock solvers by themselves where an equation asks for it; those of jaxsim need no wrapper.

    **Arguments:**

    - `solver`: a jaxsim or diffrax solver for a `js.SemilinearTerm`.

    Reference: Hairer, Lubich and Wanner, Geometric Numerical Integration (2006), section IV.4, algorithm 4.2.
    """

    solver: dfx.AbstractSolver

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        y1, error, dense, state, result = self.solver.step(terms, t0, t1, y0, args, solver_state, made_jump)
        term, _, end = unwrapped(terms, t0, t1)
        y1 = term.kept(end, y1)
        return y1, error, {**dense, "y1": y1} if "y1" in dense else dense, state, result


def constrained(solver: dfx.AbstractSolver, term: SemilinearTerm, t0, y0: Any) -> tuple[dfx.AbstractSolver, Any]:
    """The initial state, made to satisfy the equation's constraint, and a solver that keeps it."""
    admissible = term.constrain(t0, y0)
    if admissible is None:
        return solver, y0
    return solver if isinstance(solver, AbstractSemilinearSolver) else Constrained(solver), admissible
