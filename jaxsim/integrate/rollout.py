"""Fixed steps, the fast path: a checkpointed scan over `solver.step`."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import Equation
from ..spaces import Space, error_if
from .checkpoint import checkpointed_scan
from .origin import since
from .preparation import ADVICE, Diverged, bounded, fixed_steps, largest, progress_meter, spaces_of
from .stability import check_stable


class March(eqx.Module):
    """What a fixed-step run gives: `value`, and how it ended.

    - `value`: the final field, or the trajectory with a leading time axis; from the first non-finite state on, the
        last finite one is held.
    - `succeeded`: whether every state was finite and none 30 orders of magnitude larger than the first, a boolean.
    - `steps`: number of steps until the end or the first non-finite state.
    - `time`: the time reached.
    """

    value: Any
    succeeded: jax.Array
    steps: jax.Array
    time: jax.Array


def rollout(equation: Equation, u0: Any, *, dt, steps: int, t0=0.0, solver: dfx.AbstractSolver | None = None,
            save_every: int | None = None, block: int | None = None, progress: bool = False,
            throw: bool = True) -> Any:  # fmt: skip
    """Integrate with a fixed number of fixed steps.

    A step is `dt`, whatever the time is: an equation that does not depend on time gives the same bits for every `t0`.
    Reverse-mode memory grows with the square root of `steps` (see `checkpointed_scan`); the coefficients of exponential
    and IMEX solvers are computed once, in double precision where the parameters are known.

    **Arguments:**

    - `equation`: a `js.Equation`.
    - `u0`: initial field, or a pytree of fields.
    - `dt`: step size, a positive number; may be traced.
    - `steps`: number of steps, a static whole number.
    - `t0`: initial time.
    - `solver`: any jaxsim or diffrax solver with a fixed step; `None` takes `Krogstad4`, and `diffrax.Tsit5`
        without a linear part.
    - `save_every`: keep every so many-th state; must divide `steps`.
    - `block`: steps between stored states of the reverse pass; `None` balances memory.
    - `progress`: show a progress bar.
    - `throw`: raise if a state is not finite. Without it the last finite state is held: look at `js.march` for the
        status.

    **Returns:** the final field, or with `save_every` a field whose values have a leading time axis of
    `steps // save_every` (the initial state is not among them).

    **Raises:** `Diverged` at the first state that is not finite (an equinox run-time error inside `jax.jit`);
    `ValueError` for explicit steps that a linear part makes unstable, and for one without a diagonal form and `solver`.
    """
    result = march(equation, u0, dt=dt, steps=steps, t0=t0, solver=solver, save_every=save_every, block=block,
                   progress=progress)  # fmt: skip
    return _checked(result) if throw else result.value


def march(equation: Equation, u0: Any, *, dt, steps: int, t0=0.0, solver: dfx.AbstractSolver | None = None,
          save_every: int | None = None, block: int | None = None, progress: bool = False) -> March:  # fmt: skip
    """As `rollout`, but returns a `March`, which says how the run ended, and never raises for it."""
    _check_steps(dt, steps, save_every)
    term, solver, y0 = fixed_steps(equation, u0, dt, t0, solver)
    check_stable(term, solver, dt, steps, y0)
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype
    every = steps if save_every is None else save_every
    meter = progress_meter(progress)
    dt, t0 = jnp.asarray(dt, precision), jnp.asarray(t0, precision)
    trajectory, succeeded, count = _run(solver, term, y0, dt, t0, steps, every, block, meter)
    values = trajectory if save_every is not None else jax.tree.map(lambda a: a[-1], trajectory)
    time = t0 + count * dt
    saved = time if save_every is None else jnp.minimum(t0 + dt * every * jnp.arange(1, steps // every + 1), time)
    value = jax.tree.map(lambda s, y: s.bind(y, saved), spaces_of(u0), values, is_leaf=_is_space)
    return March(value, succeeded, count, time)


@eqx.filter_jit
def _run(solver, term, y0, dt, t0, steps, every, block, meter):
    def step(carry, _):
        return jax.lax.cond(carry[2], advance, lambda c: c, carry), None

    def advance(carry):
        y, state, alive, count, bar, scale = carry
        now = since(term, t0 + count * dt)
        y_next, _, _, state_next, result = solver.step(now, zero, dt, y, None, state, made_jump=False)
        alive = bounded(y_next, scale) & (result == dfx.RESULTS.successful)
        scale = jnp.where(scale > 0, scale, jax.lax.stop_gradient(largest(y_next)))
        y_next, state_next = jax.tree.map(lambda a, b: jnp.where(alive, a, b), (y_next, state_next), (y, state))
        bar = meter.step(bar, ((count + 1) / steps).astype(dt.dtype))
        return y_next, state_next, alive, count + alive, bar, scale

    def unit(carry, _):
        if every == 1:
            carry, _ = step(carry, None)
        elif every == steps:
            carry, _ = checkpointed_scan(step, carry, every, block)
        else:
            carry, _ = jax.lax.scan(step, carry, None, every)
        return carry, carry[0]

    zero = jnp.zeros_like(dt)
    state = solver.init(since(term, t0), zero, dt, y0, None)
    scale = jax.lax.stop_gradient(largest(y0))
    carry = (y0, state, bounded(y0, scale), jnp.zeros((), jnp.int32), meter.init(), scale)
    if every == steps:
        carry, last = unit(carry, None)
        trajectory = jax.tree.map(lambda a: a[None], last)
    else:
        saves = None if block is None else max(1, block // every)
        carry, trajectory = checkpointed_scan(unit, carry, steps // every, saves)
    meter.close(carry[4])
    return trajectory, carry[2], carry[3]


def _checked(result: March):
    message = "the run met a value that is not finite, or a step whose solver failed,"
    if isinstance(result.succeeded, jax.core.Tracer):
        advice = f"{message.rstrip(',')}. {ADVICE} js.march tells how far a run came."
        return error_if(result.value, ~result.succeeded, advice, result.time)
    if not np.all(result.succeeded):
        when = f"at t = {np.min(result.time):.6g}, after {np.min(result.steps)} steps"
        raise Diverged(f"{message} {when}. {ADVICE}")
    return result.value


def _check_steps(dt, steps, save_every):
    if isinstance(steps, jax.core.Tracer) or int(steps) != steps or steps < 1:
        raise ValueError(f"`steps` must be a whole number of at least 1 (not traced), got {steps}.")
    if not isinstance(dt, jax.core.Tracer) and not (np.ndim(dt) == 0 and np.isfinite(dt) and np.asarray(dt) > 0):
        raise ValueError(f"`dt` must be one positive number, got {dt}.")
    if save_every is not None and (save_every < 1 or steps % save_every):
        raise ValueError(f"`save_every` must divide `steps`: {steps} is no multiple of {save_every}.")


def _is_space(node) -> bool:
    return isinstance(node, Space)
