"""Solving an equation through `diffrax.diffeqsolve`: adaptive or fixed steps, any saving, any adjoint."""

import math
import warnings
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import Equation
from ..spaces import Fourier, Space, error_if
from .constrained import constrained
from .preparation import (
    ADVICE,
    Diverged,
    all_finite,
    bare,
    check_solver,
    check_state,
    default_solver,
    progress_meter,
    spaces_of,
)
from .semilinear import AbstractSemilinearSolver


def solve(equation: Equation, u0: Any, t1, dt=None, *, t0=0.0, saveat=None, rtol=None, atol=None,
          solver: dfx.AbstractSolver | None = None,
          stepsize_controller: dfx.AbstractStepSizeController | None = None,
          adjoint: dfx.AbstractAdjoint | None = None, max_steps: int | None = None,
          progress: bool = False, throw: bool = True) -> dfx.Solution:  # fmt: skip
    """Solve an equation from `t0` to `t1`.

    With `dt` and no tolerance the steps are fixed: `dt`, or less where an interval between saved times is no multiple
    of it. Otherwise they adapt, to `rtol` and `atol` or as a `stepsize_controller` says. In both cases steps end
    exactly at the saved times, so nothing is interpolated.

    **Arguments:**

    - `equation`: a `js.Equation`.
    - `u0`: initial field, or a pytree of fields.
    - `t1`: final time, after `t0`.
    - `dt`: step size, or the first one of adaptive steps (`None` lets diffrax choose that).
    - `t0`: initial time.
    - `saveat`: times to save at, ascending, within `[t0, t1]`; or a `diffrax.SaveAt`; `None` saves the end.
    - `rtol`, `atol`: tolerances of adaptive steps. For Fourier fields they hold for the root mean square over the box
        of the error of a step; `atol` is `rtol` times the size of the initial field where it is not given.
    - `solver`: any jaxsim or diffrax solver; `None` takes `Krogstad4` or, without a diagonal form, `diffrax.Tsit5`.
    - `stepsize_controller`: a diffrax controller instead of tolerances.
    - `adjoint`: a diffrax adjoint; jaxsim's solvers take all but `BacksolveAdjoint`.
    - `max_steps`: bound on the number of adaptive steps, 16384 by default.
    - `progress`: show a progress bar.
    - `throw`: raise when the solve fails. Without it, look at `result`; times that were not reached hold `inf`.

    **Returns:** a `diffrax.Solution` whose `ys` is a field (or a pytree of them) with a leading time axis. With
    `SaveAt(dense=True)` its `evaluate` gives bare states, for `space.bind`.

    **Raises:** `Diverged` at the first state that is not finite, and diffrax's own errors.
    """
    check_state(equation, u0)
    spaces = spaces_of(u0)
    term, y0 = bare(equation, u0)
    solver = default_solver(term, y0) if solver is None else solver
    check_solver(solver, equation, y0)
    if isinstance(adjoint, dfx.BacksolveAdjoint) and isinstance(solver, AbstractSemilinearSolver):
        raise ValueError("solve: BacksolveAdjoint hides the equation's split; use RecursiveCheckpointAdjoint.")
    adjoint = dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    save, times = _save(saveat, t0, t1)
    if stepsize_controller is None and rtol is None and atol is None:
        controller, solver, max_steps = _fixed(term, solver, y0, t0, t1, dt, times)
        first = None
    else:
        controller = _adaptive(stepsize_controller, spaces, y0, rtol, atol, times)
        first, max_steps = dt, 16384 if max_steps is None else max_steps
    solver, y0 = constrained(solver, term, t0, y0)
    meter = progress_meter(progress)
    t0, t1, first, save, controller = _in_precision(y0, (t0, t1, first, save, controller))
    solution = _diffeqsolve(term, solver, t0, t1, first, y0, save, controller, adjoint, max_steps, meter, throw)
    if throw:
        solution = _checked(solution, controller)
    if solution.ys is None or jax.tree.structure(solution.ys) != jax.tree.structure(y0):
        return solution  # a SaveAt of several parts, or with a function of its own
    fields = jax.tree.map(lambda s, y: s.bind(y, solution.ts), spaces, solution.ys, is_leaf=_is_space)
    return eqx.tree_at(lambda s: s.ys, solution, fields)


@eqx.filter_jit
def _diffeqsolve(term, solver, t0, t1, dt0, y0, saveat, controller, adjoint, max_steps, meter, throw):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Complex dtype support")
        return dfx.diffeqsolve(term, solver, t0, t1, dt0, y0, saveat=saveat, stepsize_controller=controller,
                               adjoint=adjoint, event=dfx.Event(_not_finite), max_steps=max_steps,
                               progress_meter=meter, throw=throw)  # fmt: skip


def _in_precision(y0, tree):
    """Times in the precision of the state, which stronger types would promote."""
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype

    def cast(leaf):
        return jnp.asarray(leaf, precision) if isinstance(leaf, float) or eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(cast, tree)


def _not_finite(t, y, args, **kwargs):
    return ~all_finite(y)


def _checked(solution: dfx.Solution, controller) -> dfx.Solution:
    diverged = solution.event_mask
    if isinstance(diverged, jax.core.Tracer):
        known = isinstance(controller, dfx.StepTo)
        time = controller.ts[solution.stats["num_accepted_steps"]] if known else None
        return error_if(solution, diverged, f"the run met a value that is not finite. {ADVICE}", time)
    if np.any(diverged):
        count = int(np.min(solution.stats["num_accepted_steps"]))
        when = f"at t = {controller.ts[count]:.6g}, " if isinstance(controller, dfx.StepTo) else ""
        raise Diverged(f"the run met a value that is not finite {when}after {count} steps. {ADVICE}")
    return solution


def _save(saveat, t0, t1) -> tuple[dfx.SaveAt, np.ndarray | None]:
    """What to save, and the times that steps must end at."""
    if saveat is None:
        return dfx.SaveAt(t1=True), None
    if isinstance(saveat, dfx.SaveAt):
        times = saveat.subs.ts if isinstance(saveat.subs, dfx.SubSaveAt) else None
        return saveat, None if times is None or isinstance(times, jax.core.Tracer) else np.asarray(times)
    if isinstance(saveat, jax.core.Tracer):
        return dfx.SaveAt(ts=saveat), None
    times = np.atleast_1d(np.asarray(saveat, float))
    slack = 1e-6 * abs(float(t1) - float(t0)) if _known(t0, t1) else np.inf
    if times.ndim != 1 or np.any(np.diff(times) <= 0):
        raise ValueError("solve: `saveat` must be a list of ascending times.")
    if _known(t0, t1) and (times[0] < float(t0) - slack or times[-1] > float(t1) + slack):
        raise ValueError(f"solve: `saveat` reaches from {times[0]} to {times[-1]}, outside [{t0}, {t1}].")
    if _known(t0, t1):
        times = np.clip(times, float(t0), float(t1))
    return dfx.SaveAt(ts=jnp.asarray(times)), times


def _fixed(term, solver, y0, t0, t1, dt, times):
    if dt is None:
        raise ValueError("solve: give a step size `dt`, or a tolerance `rtol` for adaptive steps.")
    if not _known(t0, t1, dt):
        raise ValueError("solve: fixed steps need known `t0`, `t1` and `dt`; js.rollout takes a traced `dt`.")
    t0, t1, dt = float(t0), float(t1), float(dt)
    if not (dt > 0 and t1 > t0 and math.isfinite(dt)):
        raise ValueError(f"solve: needs `dt` > 0 and `t1` > `t0`, got dt={dt} from {t0} to {t1}.")
    marks = np.unique(np.concatenate([[t0, t1], [] if times is None else times]))
    counts = np.maximum(1, np.ceil(np.diff(marks) / dt * (1 - 1e-6)).astype(int))
    pieces = [np.linspace(a, b, n + 1)[1:] for a, b, n in zip(marks[:-1], marks[1:], counts, strict=True)]
    ends = np.concatenate([[t0], *pieces])
    sizes = np.diff(marks) / counts
    if isinstance(solver, AbstractSemilinearSolver) and np.ptp(sizes) <= 1e-6 * sizes.max():
        solver = solver.prepare(term, float(np.mean(sizes)), y0)
    return dfx.StepTo(jnp.asarray(ends)), solver, len(ends)


def _adaptive(controller, spaces, y0, rtol, atol, times):
    if controller is None:
        modal = all(isinstance(s, Fourier) for s in jax.tree.leaves(spaces, is_leaf=_is_space))
        rtol = 1e-5 if rtol is None else rtol
        norm = _root_sum_of_squares if modal else _root_mean_square
        if atol is None:
            size = norm(y0)
            atol = rtol * jnp.where(size > 0, size, 1.0)
        controller = dfx.PIDController(rtol=rtol, atol=atol, norm=norm)
    if times is None or not isinstance(controller, dfx.PIDController):
        return controller
    return dfx.ClipStepSizeController(controller, step_ts=jnp.asarray(times))


def _root_sum_of_squares(y) -> jax.Array:
    """Of amplitudes: the root mean square over the box, by Parseval's identity (half of a real field's modes)."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(jnp.abs(a))) for a in jax.tree.leaves(y)))


def _root_mean_square(y) -> jax.Array:
    leaves = jax.tree.leaves(y)
    return jnp.sqrt(sum(jnp.sum(jnp.square(jnp.abs(a))) for a in leaves) / sum(a.size for a in leaves))


def _known(*numbers) -> bool:
    return not any(isinstance(number, jax.core.Tracer) for number in numbers)


def _is_space(node) -> bool:
    return isinstance(node, Space)
