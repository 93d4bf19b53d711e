"""What a solver learns about a problem on the way, added up over its accepted steps."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..integrate.wrapped import AbstractTransparentSolver, innermost

Norm = Callable[[Any], jax.Array]


class StepHeuristics(eqx.Module):
    """Sums over accepted steps $j$ of size $h_j$, with the tolerance-scaled error $E_j$ and stiffness $S_j$ of each.

    - `error`: $\\sum_j |h_j| E_j$.
    - `squared_error`: $\\sum_j |h_j| E_j^2$.
    - `rooted_error`: $\\sum_j E_j^{1/q}$ with the order $q$ of the error estimate.
    - `stiffness`: $\\sum_j S_j$, zero where the solver has no estimate.
    - `greatest_stiffness`: $\\max_j S_j$.
    - `accepted`: number of steps.
    """

    error: jax.Array
    squared_error: jax.Array
    rooted_error: jax.Array
    stiffness: jax.Array
    greatest_stiffness: jax.Array
    accepted: jax.Array

    @staticmethod
    def zero(dtype) -> "StepHeuristics":
        """Before the first step."""
        return StepHeuristics(*(jnp.zeros((), dtype) for _ in range(5)), jnp.zeros((), jnp.int32))


class MonitoredSolver(dfx.AbstractAdaptiveSolver, AbstractTransparentSolver):
    """A diffrax solver that adds up `StepHeuristics` in its state, `(inner state, heuristics)`.

    diffrax keeps a solver's state only where the step was accepted, so rejected steps leave no trace: their errors
    may be larger by many orders of magnitude. Read the sums from `SaveAt(solver_state=True)`; `regularized_solve`
    does. Everything else is passed on to the wrapped solver.

    **Arguments:**

    - `wrapped`: any diffrax solver with an error estimate (explicit, implicit, for SDEs, or a `diffrax.HalfSolver`).
    - `rtol`, `atol`: tolerances that scale errors, those of the step size controller.
    - `norm`: of a pytree; that of the controller.

    Reference: Pal, Ma, Shah and Rackauckas, ICML 2021 (arXiv 2105.03918), sections 3.1 and 3.2.
    """

    wrapped: dfx.AbstractSolver
    rtol: Any
    atol: Any
    norm: Norm = eqx.field(static=True)

    @property
    def solver(self) -> dfx.AbstractSolver:
        """The solver at the core, where diffrax looks one wrapper deep for what kind it is (Ito, implicit, ...)."""
        return innermost(self.wrapped)

    def error_order(self, terms):
        return self.wrapped.error_order(terms)

    def init(self, terms, t0, t1, y0, args):
        dtype = jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype
        return self.wrapped.init(terms, t0, t1, y0, args), StepHeuristics.zero(dtype)

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        inner, sums = solver_state
        y1, error, dense, inner, result = self.wrapped.step(terms, t0, t1, y0, args, inner, made_jump)
        if error is None:
            raise ValueError(
                f"{type(self.wrapped).__name__} has no error estimate to regularize by: wrap it in diffrax.HalfSolver."
            )
        h, zero = jnp.abs(t1 - t0), jnp.zeros((), sums.error.dtype)
        scaled = scaled_error(error, y0, y1, self.rtol, self.atol, self.norm)
        order = self.wrapped.error_order(terms)
        known = estimates_stiffness(self.wrapped)
        stiffness = shampine_stiffness(self.wrapped, h, y0, y1, dense, self.norm) if known else zero
        sums = StepHeuristics(
            sums.error + h * scaled,
            sums.squared_error + h * scaled**2,
            sums.rooted_error + (zero if order is None else _root(scaled, order)),
            sums.stiffness + stiffness,
            jnp.maximum(sums.greatest_stiffness, stiffness),
            sums.accepted + 1,
        )
        return y1, error, dense, (inner, sums), result


def scaled_error(error, y0, y1, rtol, atol, norm: Norm) -> jax.Array:
    """A step's error estimate in units of its tolerance, as step size controllers see it; 1 is just accepted."""
    scale = lambda e, a, b: e / (atol + jnp.maximum(jnp.abs(a), jnp.abs(b)) * rtol)
    return norm(jax.tree.map(scale, error, y0, y1))


def estimates_stiffness(solver: dfx.AbstractSolver) -> bool:
    """Whether the last two stages of a solver both lie at the end of the step, as Shampine's estimate needs."""
    tableau = getattr(solver, "tableau", None)
    if not isinstance(tableau, dfx.ButcherTableau) or isinstance(solver, dfx.HalfSolver):
        return False
    return bool(tableau.fsal and tableau.ssal and len(tableau.c) > 1 and np.all(tableau.c[-2:] == 1))


def shampine_stiffness(solver, h, y0, y1, dense, norm: Norm) -> jax.Array:
    """The largest rate that the last two stages see, $\\|k_s - k_{s-1}\\| / \\|g_s - g_{s-1}\\|$, per unit of time.

    $g$ are the arguments and $k$ the slopes of the stages. For $y' = -\\lambda y$ it is $\\lambda$.

    Reference: Shampine, ACM Trans. Math. Softw. 3, 44 (1977).
    """
    row = solver.tableau.a_lower[-2]  # of the stage before the last, whose argument is y1

    def before(y, k):
        weights = jnp.asarray(row, k.dtype)
        return y + jnp.tensordot(weights, k[: len(row)], 1)

    slopes = jax.tree.map(lambda k: k[-1] - k[-2], dense["k"])  # times h
    arguments = jax.tree.map(lambda y, start, k: y - before(start, k), y1, y0, dense["k"])
    distance, change = norm(arguments), norm(slopes)
    known = distance > 0
    return jnp.where(known, change / (h * jnp.where(known, distance, 1)), 0)


def _root(scaled, order):
    positive = scaled > 0
    return jnp.where(positive, jnp.where(positive, scaled, 1) ** (1 / order), 0)
