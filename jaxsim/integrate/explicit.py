"""Explicit Runge-Kutta steps of fixed size, stage by stage."""

from typing import Any, ClassVar

import diffrax as dfx
import jax
import jax.numpy as jnp


class ExplicitSteps(dfx.AbstractSolver):
    """The steps of an explicit diffrax scheme without its error estimate and dense output.

    diffrax loops over stages, so that any scheme compiles fast and any adjoint fits, and keeps all slopes of a step in
    one buffer. Where nothing but the end of a step is wanted, stages written out one after the other are faster, in
    both directions. `js.rollout` does this by itself.

    **Arguments:**

    - `solver`: an explicit Runge-Kutta solver of diffrax, such as `diffrax.Tsit5()`.
    """

    solver: dfx.AbstractERK

    term_structure: ClassVar = dfx.AbstractTerm
    interpolation_cls: ClassVar = dfx.LocalLinearInterpolation

    def order(self, terms):
        return self.solver.order(terms)

    def func(self, terms, t0, y0, args):
        return terms.vf(t0, y0, args)

    def init(self, terms, t0, t1, y0, args):
        return terms.vf(t0, y0, args) if self.solver.tableau.fsal else None

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        tableau, h = self.solver.tableau, t1 - t0
        slopes = [terms.vf(t0, y0, args) if solver_state is None else solver_state]
        stage = y0
        for c, row in zip(tableau.c, tableau.a_lower, strict=True):
            stage = _moved(y0, h, row, slopes)
            slopes.append(terms.vf(t0 + float(c) * h, stage, args))
        y1 = stage if tableau.ssal else _moved(y0, h, tableau.b_sol, slopes)
        state = slopes[-1] if tableau.fsal else None
        return y1, None, dict(y0=y0, y1=y1), state, dfx.RESULTS.successful


def unrolled(solver: dfx.AbstractSolver) -> dfx.AbstractSolver:
    """Explicit schemes stage by stage, other solvers as they are."""
    explicit = isinstance(solver, dfx.AbstractERK) and not isinstance(solver, dfx.AbstractWrappedSolver)
    return ExplicitSteps(solver) if explicit and isinstance(solver.tableau, dfx.ButcherTableau) else solver


def _moved(y0: Any, h, weights, slopes):
    """`y0 + h * sum(weights @ slopes)`."""
    used = [(float(w), k) for w, k in zip(weights, slopes, strict=True) if w != 0]

    def one(y, *ks):
        size = jnp.asarray(h, jnp.finfo(y.dtype).dtype)
        return y + size * sum(w * k for (w, _), k in zip(used, ks))

    return jax.tree.map(one, y0, *(k for _, k in used))
