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
from ..spaces import Space, error_if
from .clock import SAVE_STATE, movable, moved, saved_parts, saving_since, shifted, stepping_to
from .constrained import constrained
from .courant import Courant, TransportRate
from .either_mode import either_mode
from .equal_steps import EqualSteps, step_count
from .origin import since
from .preparation import (
    ADVICE,
    Diverged,
    bare,
    bounded,
    check_solver,
    check_state,
    default_solver,
    largest,
    progress_meter,
    real_precision,
    spaces_of,
)
from .semilinear import AbstractSemilinearSolver
from .stability import check_stable
from .term import SemilinearTerm
from .tolerance import Tolerance

# Error estimates of stock solvers count that many times. Those of jaxsim contain such a factor, each its own; with them
# the error of a run, and not only that of a step, is of the size of the tolerance (tests/test_tolerances.py).
STOCK_CAUTION = 4


def solve(equation: Equation, u0: Any, t1, dt=None, *, t0=0.0, saveat=None, rtol=None, atol=None,
          solver: dfx.AbstractSolver | None = None,
          stepsize_controller: dfx.AbstractStepSizeController | None = None,
          adjoint: dfx.AbstractAdjoint | None = None, max_steps: int | None = None,
          progress: bool = False, throw: bool = True, courant=None, noise: Any = None,
          key: jax.Array | None = None) -> dfx.Solution:  # fmt: skip
    """Solve an equation from `t0` to `t1`.

    With `dt` and no tolerance the steps are fixed: `dt`, or less where an interval between saved times is no multiple
    of it. Otherwise they adapt, to `rtol` and `atol`, to a Courant number, or as a `stepsize_controller` says. In all
    cases steps end exactly at the saved times, so nothing is interpolated.

    Inside, time is counted from `t0`: an equation that does not depend on time gives the same for every `t0`, also
    where float32 could not tell one step's end from its beginning.

    **Arguments:**

    - `equation`: a `js.Equation`.
    - `u0`: initial field, or a pytree of fields.
    - `t1`: final time, after `t0`.
    - `dt`: step size, or the first one of adaptive steps (`None` lets diffrax choose that).
    - `t0`: initial time.
    - `saveat`: times to save at, ascending, within `[t0, t1]`; or a `diffrax.SaveAt`; `None` saves the end.
    - `rtol`, `atol`: tolerances of adaptive steps, for the root mean square over the box of the error of a step, in
        each component beside its own size: see `js.integrate.Tolerance`. Without an `atol` that is its largest size so
        far.
    - `solver`: any jaxsim or diffrax solver; `None` takes `Krogstad4`, and `diffrax.Tsit5` without a linear part.
    - `stepsize_controller`: a diffrax controller instead of tolerances.
    - `adjoint`: a diffrax adjoint; jaxsim's solvers take all but `BacksolveAdjoint`. `None` takes
        `diffrax.RecursiveCheckpointAdjoint`, and `diffrax.DirectAdjoint` for the derivatives that the first lacks.
    - `max_steps`: bound on the number of adaptive steps, 16384 by default.
    - `progress`: show a progress bar.
    - `throw`: raise when the solve fails. Without it, look at `result`; times that were not reached hold `inf`.
    - `courant`: bound on the Courant number of every step, by the speeds at its beginning: see `js.integrate.Courant`
        and `Equation.signal_speeds`. Steps are as long as it allows, with any solver; `dt` then bounds them from above,
        and of a tolerance or controller that is given too the shorter step is taken.
    - `noise`, `key`: refused, since white noise needs steps of one size; `js.rollout` takes them.

    **Returns:** a `diffrax.Solution` whose `ys` is a field (or a pytree of them) with a leading time axis. With
    `SaveAt(dense=True)` its `evaluate` gives bare states, for `space.bind`.

    **Raises:** `Diverged` at the first state that is not finite, and diffrax's own errors.
    """
    if noise is not None or key is not None:
        raise ValueError("solve: white noise needs steps of one size: use js.rollout(..., noise=noise, key=key).")
    if courant is not None and isinstance(stepsize_controller, (dfx.ConstantStepSize, dfx.StepTo)):
        raise ValueError("solve: `courant` adapts steps; leave out the controller, whose steps are given.")
    check_state(equation, u0)
    spaces = spaces_of(u0)
    term, y0 = bare(equation, u0)
    solver = default_solver(term, y0) if solver is None else solver
    check_solver(solver, equation, y0)
    if isinstance(adjoint, dfx.BacksolveAdjoint) and isinstance(solver, AbstractSemilinearSolver):
        raise ValueError("solve: BacksolveAdjoint hides the equation's split; use RecursiveCheckpointAdjoint.")
    caution = 1 if isinstance(solver, AbstractSemilinearSolver) else STOCK_CAUTION
    tolerance = Tolerance(1e-5 if rtol is None else rtol, atol, term.space, y0, caution)
    adaptive = tolerance if stepsize_controller is None else stepsize_controller
    constant = isinstance(stepsize_controller, dfx.ConstantStepSize)
    judged = stepsize_controller is not None or rtol is not None or atol is not None
    fixed = constant or not judged and courant is None
    origin = t0 if fixed or movable(adaptive) else 0.0
    duration, save, times = _since(t0, t1, saveat, origin)
    solver, y0 = constrained(solver, term, t0, y0)
    if fixed:
        controller, solver, max_steps = _fixed(term, solver, y0, duration, dt, times, max_steps)
        first = None
    else:
        controller = moved(adaptive, origin)
        if courant is not None:
            rate, inner = TransportRate(since(term, _in_precision(y0, origin))), controller if judged else None
            controller = Courant(courant, rate, inner, dt, tolerance.rtol, tolerance.atol)
        controller = stepping_to(controller, times)
        first, max_steps = dt, 16384 if max_steps is None else max_steps
    clock = (t0 - origin, t0 - origin + duration, first, save, controller, origin)
    begin, end, first, save, controller, origin = _in_precision(y0, clock)
    meter, event = progress_meter(progress), dfx.Event(_BlownUp(largest(y0)))

    def run(inputs, adjoint):
        term, y0, origin = inputs
        return _diffeqsolve(since(term, origin), solver, begin, end, first, y0, save, controller, adjoint, event,
                            max_steps, meter, throw)  # fmt: skip

    inputs = term, y0, origin
    solution = either_mode(run, inputs) if adjoint is None else run(inputs, adjoint)
    solution = shifted(solution, origin)
    if throw:
        solution = _checked(solution, controller, origin)
    if not _saves_states(save):
        return solution
    fields = jax.tree.map(lambda s, y: s.bind(y, solution.ts), spaces, solution.ys, is_leaf=_is_space)
    return eqx.tree_at(lambda s: s.ys, solution, fields)


@eqx.filter_jit
def _diffeqsolve(term, solver, t0, t1, dt0, y0, saveat, controller, adjoint, event, max_steps, meter, throw):
    if isinstance(solver, AbstractSemilinearSolver):
        y0 = solver.checked(term, y0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Complex dtype support")
        return dfx.diffeqsolve(term, solver, t0, t1, dt0, y0, saveat=saveat, stepsize_controller=controller,
                               adjoint=adjoint, event=event, max_steps=max_steps, progress_meter=meter,
                               throw=throw)  # fmt: skip


def _in_precision(y0, tree):
    """Times in the precision of the state, which stronger types would promote."""
    precision = real_precision(y0)

    def cast(leaf):
        return jnp.asarray(leaf, precision) if isinstance(leaf, float) or eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(cast, tree, is_leaf=lambda node: isinstance(node, SemilinearTerm))


class _BlownUp(eqx.Module):
    """The event that ends a run which left all bounds."""

    scale: jax.Array

    def __call__(self, t, y, args, **kwargs):
        return ~bounded(y, self.scale)


def _checked(solution: dfx.Solution, controller, origin) -> dfx.Solution:
    diverged, count = solution.event_mask, solution.stats["num_accepted_steps"]
    time = None
    if isinstance(controller, EqualSteps):
        time = origin + controller.after(count)
    elif isinstance(controller, dfx.StepTo):
        time = origin + controller.ts[count]
    if not _known(diverged, time):
        return error_if(solution, diverged, f"the run met a value that is not finite. {ADVICE}", time)
    if np.any(diverged):
        when = "" if time is None else f"at t = {np.min(time):.6g}, "
        raise Diverged(f"the run met a value that is not finite {when}after {np.min(count)} steps. {ADVICE}")
    return solution


def _saves_states(save: dfx.SaveAt) -> bool:
    """Whether what is saved are states, and not what a function makes of them."""
    part = save.subs
    return isinstance(part, dfx.SubSaveAt) and (part.t0 or part.t1 or part.ts is not None or bool(part.steps)) and (
        part.fn is SAVE_STATE
    )


def _since(t0, t1, saveat, origin) -> tuple[Any, dfx.SaveAt, Any]:
    """The length of the run, what to save, and the times that steps must end at, counted from `origin`."""
    duration = float(t1) - float(t0) if _known(t0, t1) else t1 - t0
    if saveat is None:
        return duration, dfx.SaveAt(t1=True), None
    if isinstance(saveat, dfx.SaveAt):
        save = saving_since(saveat, origin)
        times = [jnp.atleast_1d(part.ts) for part in saved_parts(save) if part.ts is not None]
        return duration, save, jnp.concatenate(times) if times else None
    times = _ascending(saveat, t0, t1)
    times = times - (float(origin) if _known(times, origin) else origin)
    return duration, dfx.SaveAt(ts=times), times


def _ascending(saveat, t0, t1):
    """Saved times, which must ascend within the run; those beyond its ends by rounding are moved there."""
    if not _known(saveat):
        return jnp.atleast_1d(saveat)
    times = np.atleast_1d(np.asarray(saveat, float))
    if times.ndim != 1 or np.any(np.diff(times) <= 0):
        raise ValueError("solve: `saveat` must be a list of ascending times.")
    if not _known(t0, t1):
        return times
    slack = 1e-6 * abs(float(t1) - float(t0))
    if times[0] < float(t0) - slack or times[-1] > float(t1) + slack:
        raise ValueError(f"solve: `saveat` reaches from {times[0]} to {times[-1]}, outside [{t0}, {t1}].")
    return np.clip(times, float(t0), float(t1))


def _fixed(term, solver, y0, duration, dt, times, max_steps):
    """Steps of one size that end at the saved times, and how many; the solver is prepared where all are equal."""
    if dt is None:
        raise ValueError("solve: give a step size `dt`, or a tolerance `rtol` for adaptive steps.")
    known = _known(duration, dt)
    if known and not (dt > 0 and duration > 0 and math.isfinite(dt)):
        raise ValueError(f"solve: needs `dt` > 0 and `t1` > `t0`, got dt={dt} for a run of length {duration}.")
    if not known and max_steps is None:
        raise ValueError("solve: with a traced `t0`, `t1` or `dt` give `max_steps`, a bound on the number of steps.")
    ends = [0.0, duration]
    if not known or not _known(times):
        saved = [] if times is None else [jnp.ravel(times)]
        marks = jnp.sort(jnp.concatenate([jnp.asarray(ends), *saved]))
        if max_steps is None:
            max_steps = math.ceil(float(duration) / float(dt)) + len(marks)
        return EqualSteps(marks, jnp.asarray(dt)), solver, max_steps
    marks = np.unique(np.concatenate([ends, [] if times is None else np.asarray(times, float)]))
    counts = step_count(np.diff(marks), float(dt), np)
    precision = real_precision(y0)
    sizes = np.diff(marks) / counts
    if np.min(sizes) < np.finfo(precision).eps * duration:
        raise ValueError(
            f"solve: {precision} cannot tell apart the ends of steps of {np.min(sizes):.3g} in a run of "
            f"{duration:.6g}. Use float64, or js.rollout, which counts steps."
        )
    if isinstance(solver, AbstractSemilinearSolver) and np.ptp(sizes) <= 1e-6 * sizes.max():
        solver = solver.prepare(term, float(np.mean(sizes)), y0)
    check_stable(term, solver, float(np.max(sizes)), int(np.sum(counts)), y0)
    return EqualSteps(jnp.asarray(marks), jnp.asarray(dt)), solver, int(np.sum(counts))


def _known(*numbers) -> bool:
    return not any(isinstance(number, jax.core.Tracer) for number in jax.tree.leaves(numbers))


def _is_space(node) -> bool:
    return isinstance(node, Space)
