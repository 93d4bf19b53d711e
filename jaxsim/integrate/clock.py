"""Saving, step sizes and solutions of diffrax on a clock that begins elsewhere, and steps that end at saved times."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

SAVE_STATE = dfx.SubSaveAt(t1=True).fn  # what diffrax calls where a user gives no function


class _Shown(eqx.Module):
    """A function of a saved state, which is shown the time of the user's clock."""

    function: Any
    origin: Any

    def __call__(self, t, y, args):
        return self.function(self.origin + t, y, args)


def saved_parts(saveat: dfx.SaveAt) -> list[dfx.SubSaveAt]:
    """All that is to be saved, in a list."""
    return jax.tree.leaves(saveat.subs, is_leaf=_is_part)


def saving_since(saveat: dfx.SaveAt, origin) -> dfx.SaveAt:
    """The same saving, with its times counted from `origin`."""

    def one(part: dfx.SubSaveAt):
        ts = None if part.ts is None else _difference(part.ts, origin)
        fn = part.fn if part.fn is SAVE_STATE else _Shown(part.fn, origin)
        return dfx.SubSaveAt(t0=part.t0, t1=part.t1, ts=ts, steps=part.steps, fn=fn)

    subs = jax.tree.map(one, saveat.subs, is_leaf=_is_part)
    return eqx.tree_at(lambda s: s.subs, saveat, subs, is_leaf=lambda node: node is None)


def movable(controller: dfx.AbstractStepSizeController) -> bool:
    """Whether `moved` knows the times that a controller holds."""
    if isinstance(controller, dfx.ClipStepSizeController):
        return movable(controller.controller)
    return isinstance(controller, (dfx.StepTo, dfx.PIDController)) or getattr(controller, "without_times", False)


def moved(controller: dfx.AbstractStepSizeController, origin) -> dfx.AbstractStepSizeController:
    """A controller with its times counted from `origin`."""
    if isinstance(controller, dfx.StepTo):
        return dfx.StepTo(_difference(controller.ts, origin))
    if not isinstance(controller, dfx.ClipStepSizeController) or not movable(controller):
        return controller
    times = [None if ts is None else _difference(ts, origin) for ts in (controller.step_ts, controller.jump_ts)]
    inner = moved(controller.controller, origin)
    return eqx.tree_at(lambda c: (c.controller, c.step_ts, c.jump_ts), controller, (inner, *times),
                       is_leaf=lambda node: node is None)  # fmt: skip


def stepping_to(controller: dfx.AbstractStepSizeController, times) -> dfx.AbstractStepSizeController:
    """A controller whose steps end at these times, among others.

    **Raises:** `ValueError` where a controller cannot be made to.
    """
    if times is None:
        return controller
    if isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
        return dfx.ClipStepSizeController(controller, step_ts=jnp.asarray(times))
    if isinstance(controller, dfx.StepTo):
        ts = jnp.asarray(controller.ts)
        nearest = jnp.min(jnp.abs(jnp.asarray(times)[:, None] - ts), axis=1)
        missed = nearest > 8 * jnp.finfo(ts.dtype).eps * jnp.max(jnp.abs(ts))
        message = "solve: saved times must be among those of diffrax.StepTo, or they would be interpolated."
        if not isinstance(missed, jax.core.Tracer) and np.any(missed):
            raise ValueError(message)
        return dfx.StepTo(eqx.error_if(ts, jnp.any(missed), message))
    raise ValueError(
        f"solve: steps of {type(controller).__name__} need not end at the saved times. Give `dt` or a tolerance "
        "instead, or save with diffrax.SaveAt(steps=True)."
    )


def shifted(solution: dfx.Solution, origin) -> dfx.Solution:
    """A solution on the clock that shows `origin` where its own shows zero."""
    later = lambda t: None if t is None else t + jnp.asarray(origin, jnp.result_type(t))
    times = [solution.t0, solution.t1, jax.tree.map(later, solution.ts)]
    solution = eqx.tree_at(lambda s: (s.t0, s.t1, s.ts), solution, (*map(later, times[:2]), times[2]),
                           is_leaf=lambda node: node is None)  # fmt: skip
    dense = solution.interpolation
    if dense is None:
        return solution
    signed = lambda t: t + jnp.asarray(origin, t.dtype) * dense.direction.astype(t.dtype)
    dense = eqx.tree_at(lambda d: (d.ts, d.t0_if_trivial), dense, (signed(dense.ts), signed(dense.t0_if_trivial)))
    return eqx.tree_at(lambda s: s.interpolation, solution, dense)


def _difference(times, origin):
    """`times - origin`, in double precision where both are known."""
    if isinstance(times, jax.core.Tracer) or isinstance(origin, jax.core.Tracer):
        return times - origin
    return jnp.asarray(np.asarray(times, float) - float(origin))


def _is_part(node) -> bool:
    return isinstance(node, dfx.SubSaveAt)
