"""Brownian paths and step sizes that make a stochastic solve converge to its own solution."""

import dataclasses
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np

from .clock import shifted
from .stochastic import SDE
from .wrapped import innermost

SAFE_FRACTION = 0.25  # of the shortest step, to which a Brownian tree is resolved


def stochastic_steps(rtol=1e-2, atol=1e-3, dtmin=None, dtmax=None, revisited: int = 128) -> dfx.ClipStepSizeController:
    """Adaptive steps for a stochastic equation.

    A step is rejected because of the noise in it, so what is known about that noise afterwards is no longer drawn from
    the law of Brownian motion, unless a later step ends where the rejected one did. Without that, solutions with
    non-commutative noise converge to a wrong limit.

    **Arguments:**

    - `rtol`, `atol`: tolerances of one step, for the error in the path, not in its moments.
    - `dtmin`, `dtmax`: bounds of the step; a step of `dtmin` is accepted whatever its error. Without a `dtmin`, `drive`
        takes a small one from the length of the solve.
    - `revisited`: how many rejected times in a row are kept to be stepped to.

    **Returns:** a `diffrax.PIDController` with the gains that suit noise (0.1 proportional, 0.3 integral), inside a
    `diffrax.ClipStepSizeController` that keeps rejected times.

    Reference: Foster and Jelinčič, On the convergence of adaptive approximations for stochastic differential equations
    (arXiv 2311.14201); Ilie, Jackson and Enright, Numer. Algorithms 68, 791 (2015), for the gains.
    """
    pid = dfx.PIDController(rtol=rtol, atol=atol, pcoeff=0.1, icoeff=0.3, dtmin=dtmin, dtmax=dtmax)
    return dfx.ClipStepSizeController(pid, store_rejected_steps=revisited)


def equal_steps(times: jax.Array, count: int) -> dfx.StepTo:
    """The same number of equal steps from each time to the next."""
    if count < 1:
        raise ValueError(f"a number of steps is at least 1, got {count}.")
    times = jnp.asarray(times)
    inner = times[:-1, None] + jnp.diff(times)[:, None] * jnp.arange(count) / count
    return dfx.StepTo(jnp.concatenate([inner.ravel(), times[-1:]]).astype(times.dtype))


def brownian_path(t0, t1, noise: Any, key: jax.Array, solver: dfx.AbstractSolver, shortest, *,
                  unsafe: bool = False) -> dfx.AbstractBrownianPath:  # fmt: skip
    """Brownian motion with the Lévy areas that a solver asks for.

    **Arguments:**

    - `t0`, `t1`: ends of the solve.
    - `noise`: a pytree of `jax.ShapeDtypeStruct`, as `SDE.noise` gives it.
    - `key`: one path.
    - `solver`: any diffrax solver for stochastic equations, wrapped or not.
    - `shortest`: the shortest step; the tree is resolved to a quarter of it.
    - `unsafe`: draw every increment on its own. Quicker, but only for steps that are never asked for again: fixed ones,
        without reverse-mode derivatives.

    **Returns:** a `diffrax.VirtualBrownianTree`, or where `unsafe` a `diffrax.UnsafeBrownianPath`.
    """
    if not all(jnp.issubdtype(s.dtype, jnp.floating) for s in jax.tree.leaves(noise)):
        raise TypeError(
            "a Brownian path is real: the diffusion's columns must belong to real noise, as on nodal values."
        )
    area = levy_area(solver)
    if unsafe:
        return dfx.UnsafeBrownianPath(noise, key, area)
    return dfx.VirtualBrownianTree(t0, t1, SAFE_FRACTION * shortest, noise, key, area)


def levy_area(solver: dfx.AbstractSolver) -> type:
    """What a solver asks of a Brownian path besides increments."""
    minimal = getattr(innermost(solver), "minimal_levy_area", dfx.AbstractBrownianIncrement)
    return next(a for a in (dfx.BrownianIncrement, dfx.SpaceTimeLevyArea, dfx.SpaceTimeTimeLevyArea)
                if issubclass(a, minimal))  # fmt: skip


def drive(sde: SDE, solver: dfx.AbstractSolver, times: jax.Array, y0: Any, key: jax.Array, *, args: Any = None,
          stepsize_controller: dfx.AbstractStepSizeController | None = None, steps: int | None = None,
          adjoint: dfx.AbstractAdjoint | None = None, max_steps: int = 4096, revisit: bool = True,
          interpolate: bool = False) -> tuple[dfx.MultiTerm, dfx.AbstractStepSizeController]:  # fmt: skip
    """Terms and step sizes with which `diffrax.diffeqsolve` solves a stochastic equation rightly.

    Terms are in the interpretation of the solver, and driven by a Brownian path with the Lévy areas that it wants.
    Adaptive steps revisit rejected times, end at the saved `times` (between steps a path is not a straight line), and
    are no shorter than the path is resolved.

    **Arguments:**

    - `sde`: the equation.
    - `solver`: any diffrax solver that converges to Itô's or Stratonovich's solution.
    - `times`: of the solve, ascending; from the first to the last, and to be saved.
    - `y0`: a pytree of real arrays.
    - `key`: one path of the noise.
    - `args`: for drift and diffusion.
    - `stepsize_controller`: adaptive (`stochastic_steps()` by default) or a `diffrax.StepTo`.
    - `steps`: instead, so many equal steps from each time to the next.
    - `adjoint`: with fixed steps under `diffrax.ForwardMode` increments are drawn one by one.
    - `max_steps`: of the solve. The shortest adaptive step, where the controller has no `dtmin`, is a quarter of the
        mean step that this number allows, so that a solve with too tight a tolerance fails rather than losing accuracy.
    - `revisit`: whether rejected times are kept. Without it, only for commutative noise.
    - `interpolate`: let adaptive steps run past saved times, and take the solver's interpolation there. Cheaper for
        many times, but paths between the ends of steps are then too smooth: their variance is too small.

    **Returns:** the terms and the controller.

    **Raises:** `ValueError` for adaptive steps without an error estimate or with Euler's method, for a controller of
    constant steps, which would not end at the saved times, and for `diffrax.ItoMilstein` in a precision that it breaks.
    """
    first, last = times[0], times[-1]
    if steps is not None and stepsize_controller is not None:
        raise ValueError("drive: give `steps` or a `stepsize_controller`, not both.")
    if steps is not None:
        controller = equal_steps(times, steps)
    else:
        controller = stochastic_steps() if stepsize_controller is None else stepsize_controller
    if isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
        check_adaptive(solver)
        stops = [] if interpolate else [times]
        controller, shortest = _revisiting(controller, stops, (last - first) / (4 * max_steps), revisit)
    elif isinstance(controller, dfx.StepTo):
        if isinstance(adjoint, dfx.BacksolveAdjoint):
            raise ValueError("drive: BacksolveAdjoint steps back between saved times on its own: take adaptive steps.")
        shortest = jnp.min(jnp.abs(jnp.diff(controller.ts)))
    else:
        raise ValueError(
            f"drive: steps of {type(controller).__name__} need not end at the saved times; give `steps`, the number of "
            "equal steps from each to the next, or a diffrax.StepTo."
        )
    _check_precision(solver, y0)
    fixed = isinstance(controller, dfx.StepTo)
    unsafe = fixed and isinstance(adjoint, dfx.ForwardMode) and not isinstance(solver, dfx.AbstractWrappedSolver)
    path = brownian_path(first, last, sde.noise(first, y0, args), key, solver, shortest, unsafe=unsafe)
    return sde.terms(solver, path), controller


def check_adaptive(solver: dfx.AbstractSolver) -> None:
    """Raise where adaptive steps cannot be right.

    **Raises:** `ValueError`.
    """
    inner = innermost(solver)
    if isinstance(inner, dfx.Euler):
        raise ValueError(
            "adaptive steps with Euler's method may converge to a wrong solution: use diffrax.SPaRK(), to which an Itô "
            "equation is converted, diffrax.HalfSolver(diffrax.ItoMilstein()) for commutative noise, or fixed `steps`."
        )
    if not estimates_error(solver):
        raise ValueError(
            f"{type(inner).__name__} has no error estimate to adapt steps by: wrap it in diffrax.HalfSolver, use "
            "diffrax.SPaRK(), or take fixed `steps`."
        )


def estimates_error(solver: dfx.AbstractSolver) -> bool:
    """Whether a solver for stochastic equations estimates the error of its steps."""
    if isinstance(solver, dfx.AbstractAdaptiveSolver):
        return True
    inner = innermost(solver)  # stochastic Runge-Kutta schemes carry no mark
    wrapped = solver
    while isinstance(wrapped, dfx.AbstractWrappedSolver):
        if isinstance(wrapped, dfx.HalfSolver):
            return True
        wrapped = wrapped.solver
    return isinstance(inner, dfx.AbstractSRK) and inner.tableau.b_error is not None


def _check_precision(solver, y0):
    if isinstance(innermost(solver), dfx.ItoMilstein) and any(
        jnp.result_type(a) != jnp.result_type(float) for a in jax.tree.leaves(y0)
    ):
        raise ValueError(
            f"diffrax.ItoMilstein works in {jnp.result_type(float)} alone; diffrax.StratonovichMilstein() takes any "
            "precision, and the equation is converted for it."
        )


def _revisiting(controller, stops, shortest, revisit):
    """The controller with rejected times kept, saved times stepped to, and a least step; and that step."""
    inner, jumps, kept = controller, None, None
    if isinstance(controller, dfx.ClipStepSizeController):
        inner, jumps, kept = controller.controller, controller.jump_ts, controller.store_rejected_steps
        stops = stops if controller.step_ts is None else [controller.step_ts.astype(shortest.dtype), *stops]
    if isinstance(inner, dfx.PIDController):
        shortest = shortest if inner.dtmin is None else inner.dtmin
        inner = dataclasses.replace(inner, dtmin=shortest)
    kept = (128 if kept is None else kept) if revisit else None
    stops = jnp.concatenate(stops) if stops else None
    return dfx.ClipStepSizeController(inner, stops, jumps, kept), shortest


def solve_sde(sde: SDE, y0: Any, times: Any, *, key: jax.Array, solver: dfx.AbstractSolver | None = None,
              args: Any = None, stepsize_controller: dfx.AbstractStepSizeController | None = None,
              steps: int | None = None, adjoint: dfx.AbstractAdjoint | None = None, max_steps: int = 4096,
              revisit: bool = True, interpolate: bool = False, throw: bool = True) -> dfx.Solution:  # fmt: skip
    """One path of a stochastic differential equation.

    Write `jax.vmap` over keys for an ensemble.

    **Arguments:** those of `drive`, and

    - `times`: when to save, ascending, shape `(times,)`; the first is that of `y0`.
    - `solver`: `diffrax.SPaRK()` by default, which has strong order 1/2 for any noise (1 for commutative noise, 3/2 for
        additive noise) and an error estimate.
    - `throw`: raise when the solve fails. Without it, look at `result`.

    **Returns:** a `diffrax.Solution` whose `ys` has a leading axis of `times`.

    **Raises:** `ValueError` as `drive`, and for times that do not ascend.
    """
    solver = dfx.SPaRK() if solver is None else solver
    adjoint = dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    start = times[0]
    y0, times = in_precision(y0, since_first(times))
    sde = sde.since(jnp.asarray(start, times.dtype))
    max_steps = max_steps if steps is None else steps * (len(times) - 1)
    terms, controller = drive(sde, solver, times, y0, key, args=args, stepsize_controller=stepsize_controller,
                              steps=steps, adjoint=adjoint, max_steps=max_steps, revisit=revisit,
                              interpolate=interpolate)  # fmt: skip
    solution = dfx.diffeqsolve(terms, solver, times[0], times[-1], first_step(controller, times), y0, args=args,
                               saveat=dfx.SaveAt(ts=times), stepsize_controller=controller, adjoint=adjoint,
                               max_steps=max_steps, throw=throw)  # fmt: skip
    return shifted(solution, start)


def since_first(times: Any) -> Any:
    """Times counted from the first, in double precision where they are known."""
    if isinstance(times, jax.core.Tracer):
        return times - times[0]
    times = np.asarray(times, float)
    return times - times[0]


def first_step(controller, times: jax.Array, wanted=None):
    """The first step to try, `None` for given steps: the `wanted` one, or a hundredth of the solve."""
    if isinstance(controller, dfx.StepTo):
        return None
    return 0.01 * (times[-1] - times[0]) if wanted is None else jnp.asarray(wanted, times.dtype)


def in_precision(y0: Any, times: Any) -> tuple[Any, jax.Array]:
    """The state as floating-point arrays, and times in its precision.

    **Raises:** `ValueError` for times that are known not to ascend.
    """
    y0 = jax.tree.map(jnp.asarray, y0)
    y0 = jax.tree.map(lambda a: a if jnp.issubdtype(a.dtype, jnp.inexact) else a.astype(jnp.result_type(float)), y0)
    times = jnp.asarray(times)
    if times.ndim != 1 or times.shape[0] < 2:
        raise ValueError(f"times: give at least two, in one array, got shape {times.shape}.")
    times = times.astype(jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype)
    if not isinstance(times, jax.core.Tracer) and not (np.asarray(times)[1:] > np.asarray(times)[:-1]).all():
        raise ValueError(f"times must ascend, got {times}.")
    return y0, times
