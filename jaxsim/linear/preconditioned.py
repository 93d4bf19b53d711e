"""A Krylov method that makes its preconditioner from the operator it is given."""

from collections.abc import Callable
from typing import Any

import lineax as lx


class Preconditioned(lx.AbstractLinearSolver[Any]):
    """A linear solver with a preconditioner of its own, for those who call solvers without options.

    Such as `optimistix.Newton`, with which it makes Newton-Krylov steps in diffrax's implicit solvers. The chord
    methods (`diffrax.VeryChord`, `optimistix.Chord`) keep a solver's state between steps, as arrays alone, which no
    solver without a matrix allows.

    **Arguments:**

    - `solver`: any solver that takes `options={"preconditioner": ...}`, such as `FGMRES`.
    - `build`: makes the preconditioner, an operator or a callable, from the operator; for instance
        [`modal_preconditioner`][jaxsim.integrate.modal_preconditioner].

    **Returns:** from `lineax.linear_solve`, what `solver` returns.
    """

    solver: lx.AbstractLinearSolver
    build: Callable[[lx.AbstractLinearOperator], Any]

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> Any:
        operator = lx.linearise(operator)
        return self.solver.init(operator, {**options, "preconditioner": self.build(operator)})

    def compute(self, state: Any, vector: Any, options: dict[str, Any]):
        return self.solver.compute(state, vector, options)

    def transpose(self, state: Any, options: dict[str, Any]):
        return self.solver.transpose(state, options)

    def conj(self, state: Any, options: dict[str, Any]):
        return self.solver.conj(state, options)

    def assume_full_rank(self) -> bool:
        return self.solver.assume_full_rank()
