"""Solving a differential equation together with a penalty on the cost of solving it."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .heuristics import MonitoredSolver, estimates_stiffness, scaled_error
from .regularizers import AbstractGlobalRegularizer, AbstractRegularizer, GlobalStiffness, LocalError


def regularized_solve(terms: Any, solver: dfx.AbstractSolver, t0, t1, dt0, y0: Any, *, args: Any = None,
                      stepsize_controller: dfx.AbstractStepSizeController, regularizer: AbstractRegularizer,
                      adjoint: dfx.AbstractAdjoint | None = None, saveat: dfx.SaveAt | None = None,
                      key: jax.Array | None = None, max_steps: int | None = 4096,
                      throw: bool = True) -> tuple[dfx.Solution, jax.Array]:  # fmt: skip
    """`diffrax.diffeqsolve`, with a penalty on what the solve costs.

    Add the penalty, times a weight, to a loss, and learned dynamics become cheap to solve. Weights are in units of the
    tolerance for error estimates, so state them together.

    **Arguments:** those of `diffrax.diffeqsolve`, and

    - `stepsize_controller`: a `diffrax.PIDController`, or one inside a `diffrax.ClipStepSizeController`; its tolerances
        scale the errors.
    - `regularizer`: `GlobalError`, `GlobalStiffness`, `StepCount` or `LocalError`.
    - `adjoint`: `LocalError` takes any. The others need one that differentiates the steps themselves:
        `diffrax.RecursiveCheckpointAdjoint` (the default), `DirectAdjoint` or `ForwardMode`.
    - `key`: for `LocalError`, which draws random times.

    **Returns:** the `diffrax.Solution`, and the penalty, a scalar. Step sizes have no derivative in diffrax, so the
    gradient of a global penalty is the one at steps held fixed, which is the useful one: through the controller the
    scaled errors hardly change.

    **Raises:** `ValueError` for a global penalty under an adjoint that would give it a zero gradient without a word
    (`diffrax.BacksolveAdjoint`, `diffrax.ImplicitAdjoint`), a controller without tolerances, a solver without the
    estimate that is asked for, and `LocalError` without a key.

    Reference: Pal, Ma, Shah and Rackauckas, ICML 2021 (arXiv 2105.03918); for the local form arXiv 2303.02262.
    """
    controller = _pid(stepsize_controller)
    adjoint = dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    saveat = dfx.SaveAt(t1=True) if saveat is None else saveat
    options = dict(args=args, stepsize_controller=stepsize_controller, max_steps=max_steps, throw=throw)
    if isinstance(regularizer, AbstractGlobalRegularizer):
        _check_global(regularizer, solver, adjoint)
        return _global(terms, solver, t0, t1, dt0, y0, saveat, adjoint, controller, regularizer, options)
    if isinstance(regularizer, LocalError):
        if key is None:
            raise ValueError("regularized_solve: LocalError draws random times: give a `key`.")
        return _local(terms, solver, t0, t1, dt0, y0, saveat, adjoint, controller, regularizer, key, options)
    raise TypeError(f"regularized_solve: {type(regularizer).__name__} is no regularizer, such as GlobalError().")


def _global(terms, solver, t0, t1, dt0, y0, saveat, adjoint, controller, regularizer, options):
    monitored = MonitoredSolver(solver, controller.rtol, controller.atol, controller.norm)
    watched = dfx.SaveAt(subs=saveat.subs, dense=saveat.dense, solver_state=True,
                         controller_state=saveat.controller_state, made_jump=saveat.made_jump)  # fmt: skip
    solution = dfx.diffeqsolve(terms, monitored, t0, t1, dt0, y0, saveat=watched, adjoint=adjoint, **options)
    inner, sums = solution.solver_state
    inner = inner if saveat.solver_state else None
    solution = eqx.tree_at(lambda s: s.solver_state, solution, inner, is_leaf=lambda node: node is None)
    return solution, regularizer(sums, controller.safety)


def _local(terms, solver, t0, t1, dt0, y0, saveat, adjoint, controller, regularizer, key, options):
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype
    t0, t1 = jnp.asarray(t0, precision), jnp.asarray(t1, precision)
    if regularizer.accepted:
        times, states, sizes = _accepted_steps(terms, solver, t0, t1, dt0, y0, regularizer, key, options)
        solution = dfx.diffeqsolve(terms, solver, t0, t1, dt0, y0, saveat=saveat, adjoint=adjoint, **options)
    else:
        times = t0 + (t1 - t0) * jax.random.uniform(key, (regularizer.samples,), precision)
        merged, own, drawn = _merged(saveat, times, t0, t1)
        solution = dfx.diffeqsolve(terms, solver, t0, t1, dt0, y0, saveat=merged, adjoint=adjoint, **options)
        states = jax.tree.map(lambda a: a[drawn], solution.ys)
        sizes = jnp.full_like(times, (t1 - t0) / jnp.maximum(solution.stats["num_accepted_steps"], 1))
        solution = eqx.tree_at(lambda s: (s.ts, s.ys), solution,
                               (solution.ts[own], jax.tree.map(lambda a: a[own], solution.ys)))  # fmt: skip
    times, states, sizes = lax.stop_gradient((times, states, sizes))

    def once(time, state, size):
        end = time + jnp.where(t1 >= t0, jnp.minimum(size, t1 - time), jnp.maximum(size, t1 - time))
        start = solver.init(terms, time, end, state, options["args"])
        y1, error, *_ = solver.step(terms, time, end, state, options["args"], start, made_jump=False)
        if error is None:
            raise ValueError(f"{type(solver).__name__} has no error estimate: wrap it in diffrax.HalfSolver.")
        scaled = scaled_error(error, state, y1, controller.rtol, controller.atol, controller.norm)
        return jnp.abs(end - time) * scaled

    return solution, jnp.mean(jax.vmap(once)(times, states, sizes))


def _accepted_steps(terms, solver, t0, t1, dt0, y0, regularizer, key, options):
    """Starts, states there and sizes of steps drawn among the accepted ones of a solve without gradient."""
    frozen = eqx.filter((terms, y0, options["args"]), eqx.is_inexact_array)
    rest = eqx.filter((terms, y0, options["args"]), eqx.is_inexact_array, inverse=True)
    terms, y0, arguments = eqx.combine(lax.stop_gradient(frozen), rest)
    run = dfx.diffeqsolve(terms, solver, t0, t1, dt0, y0, saveat=dfx.SaveAt(t0=True, steps=True),
                          **{**options, "args": arguments})  # fmt: skip
    chosen = jax.random.randint(key, (regularizer.samples,), 0, run.stats["num_accepted_steps"])
    states = jax.tree.map(lambda a: a[chosen], run.ys)
    return run.ts[chosen], states, run.ts[chosen + 1] - run.ts[chosen]


def _merged(saveat, times, t0, t1):
    """Saved times with the drawn ones among them, and where both are."""
    sub = saveat.subs
    if not isinstance(sub, dfx.SubSaveAt) or sub.t0 or sub.steps or saveat.dense or (sub.ts is not None and sub.t1):
        raise ValueError("regularized_solve: LocalError() takes SaveAt(t1=True) or SaveAt(ts=...); "
                         "LocalError(accepted=True) takes any.")  # fmt: skip
    own = jnp.asarray([t1]) if sub.ts is None else jnp.asarray(sub.ts, times.dtype)
    every = jnp.concatenate([own.astype(times.dtype), times])
    order = jnp.argsort(every * jnp.where(t1 >= t0, 1, -1))
    place = jnp.argsort(order)
    return dfx.SaveAt(ts=every[order], fn=sub.fn), place[: len(own)], place[len(own) :]


def _pid(controller) -> dfx.PIDController:
    while isinstance(controller, dfx.ClipStepSizeController):
        controller = controller.controller
    if not isinstance(controller, dfx.PIDController):
        raise ValueError(
            f"regularized_solve: {type(controller).__name__} has no tolerances to scale errors by: use a "
            "diffrax.PIDController, or one inside a diffrax.ClipStepSizeController."
        )
    return controller


def _check_global(regularizer, solver, adjoint):
    direct = dfx.RecursiveCheckpointAdjoint, dfx.DirectAdjoint, dfx.ForwardMode
    if not isinstance(adjoint, direct):
        raise ValueError(
            f"regularized_solve: under {type(adjoint).__name__} the gradient of {type(regularizer).__name__} would be "
            "zero without a word; use RecursiveCheckpointAdjoint, DirectAdjoint or ForwardMode, or LocalError()."
        )
    if isinstance(regularizer, GlobalStiffness) and not estimates_stiffness(solver):
        raise ValueError(
            f"regularized_solve: {type(solver).__name__} has no estimate of stiffness; diffrax.Tsit5 and "
            "diffrax.Dopri5 have."
        )
