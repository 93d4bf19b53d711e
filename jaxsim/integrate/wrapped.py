"""Solvers that add something to the steps of another one."""

import diffrax as dfx
import equinox as eqx


class AbstractTransparentSolver(dfx.AbstractWrappedSolver):
    """A wrapper that passes on all that diffrax asks a solver; a subclass writes `step`.

    diffrax sees the wrapped solver's classes through any wrapper, and then asks for the attributes of Runge-Kutta and
    of implicit solvers.
    """

    solver: eqx.AbstractVar[dfx.AbstractSolver]

    @property
    def term_structure(self):
        return self.solver.term_structure

    @property
    def interpolation_cls(self):
        return self.solver.interpolation_cls

    @property
    def term_compatible_contr_kwargs(self):
        return self.solver.term_compatible_contr_kwargs

    @property
    def scan_kind(self):  # set by diffrax's adjoints; its own HalfSolver does not pass it on
        solver = self.solver
        while isinstance(solver, dfx.HalfSolver):
            solver = solver.solver
        return solver.scan_kind

    @property
    def root_finder(self):
        return self.solver.root_finder

    @property
    def tableau(self):
        return self.solver.tableau

    def order(self, terms):
        return self.solver.order(terms)

    def strong_order(self, terms):
        return self.solver.strong_order(terms)

    def error_order(self, terms):
        return self.solver.error_order(terms)

    def func(self, terms, t0, y0, args):
        return self.solver.func(terms, t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        return self.solver.init(terms, t0, t1, y0, args)


def innermost(solver: dfx.AbstractSolver) -> dfx.AbstractSolver:
    """The solver inside all wrappers."""
    while isinstance(solver, dfx.AbstractWrappedSolver):
        solver = solver.solver
    return solver
