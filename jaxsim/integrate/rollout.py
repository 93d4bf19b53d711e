"""Fixed steps, the fast path: a checkpointed scan over `solver.step`."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import Equation
from ..sizes import whole
from ..spaces import Space, error_if
from .checkpoint import checkpointed_scan
from .courant import TransportRate
from .kicks import noisy
from .origin import since
from .preparation import ADVICE, Diverged, bounded, fixed_steps, largest, progress_meter, spaces_of
from .stability import check_stable


class March(eqx.Module):
    """What a fixed-step run gives: `value`, and how it ended.

    - `value`: the final field, or the trajectory with a leading time axis; from the first non-finite state on, the
        last finite one is held.
    - `succeeded`: whether every state was finite and none 30 orders of magnitude larger than the first, and every step
        within its Courant number; a boolean.
    - `steps`: number of steps until the end, the first non-finite state or the first step that would be too long.
    - `time`: the time reached.
    - `courant`: the largest Courant number of a step, among them the one that was too long; `None` without a bound.
    """

    value: Any
    succeeded: jax.Array
    steps: jax.Array
    time: jax.Array
    courant: jax.Array | None = None


def rollout(equation: Equation, u0: Any, *, dt, steps: int, t0=0.0, solver: dfx.AbstractSolver | None = None,
            save_every: int | None = None, block: int | None = None, progress: bool = False,
            throw: bool = True, noise: Any = None, key: jax.Array | None = None, first_step=0,
            courant=None) -> Any:  # fmt: skip
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
    - `noise`: forcing that is white in time, `js.integrate.WhiteNoise` or `BandNoise`: one for a state of one field,
        else a pytree like the state with `None` for fields without. Every step ends with an increment.
    - `key`: a `jax.random` key for the noise. Step `n` draws from `jax.random.fold_in(key, n)`.
    - `first_step`: the number of the first step, where a run goes on with the noise of an earlier one.
    - `courant`: bound on the Courant number of every step; see `Equation.signal_speeds`. Steps stay as they are, and
        the run ends as failed before the first one that exceeds it.

    **Returns:** the final field, or with `save_every` a field whose values have a leading time axis of
    `steps // save_every` (the initial state is not among them).

    **Raises:** `Diverged` at the first state that is not finite or step that is too long (an equinox run-time error
    inside `jax.jit`); `ValueError` for explicit steps that a linear part makes unstable, and for one without a diagonal
    form and `solver`.
    """
    result = march(equation, u0, dt=dt, steps=steps, t0=t0, solver=solver, save_every=save_every, block=block,
                   progress=progress, noise=noise, key=key, first_step=first_step, courant=courant)  # fmt: skip
    return _checked(result, dt, courant) if throw else result.value


def march(equation: Equation, u0: Any, *, dt, steps: int, t0=0.0, solver: dfx.AbstractSolver | None = None,
          save_every: int | None = None, block: int | None = None, progress: bool = False, noise: Any = None,
          key: jax.Array | None = None, first_step=0, courant=None) -> March:  # fmt: skip
    """As `rollout`, but returns a `March`, which says how the run ended, and never raises for it."""
    steps, save_every = _whole_steps(dt, steps, save_every)
    if courant is not None and not isinstance(courant, jax.core.Tracer) and not courant > 0:
        raise ValueError(f"`courant` must be a positive bound, got {courant}.")
    term, solver, y0 = fixed_steps(equation, u0, dt, t0, solver)
    check_stable(term, solver, dt, steps, y0)
    solver, kicks = noisy(solver, noise, key, term, dt, y0)
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype
    every = steps if save_every is None else save_every
    meter = progress_meter(progress)
    dt, t0 = jnp.asarray(dt, precision), jnp.asarray(t0, precision)
    bound = None if courant is None else jnp.asarray(courant, precision)
    forcing = None if kicks is None else (kicks, key, jnp.asarray(first_step))
    trajectory, succeeded, count, met = _run(solver, term, y0, dt, t0, steps, every, block, meter, forcing, bound)
    values = trajectory if save_every is not None else jax.tree.map(lambda a: a[-1], trajectory)
    time = t0 + count * dt
    saved = time if save_every is None else jnp.minimum(t0 + dt * every * jnp.arange(1, steps // every + 1), time)
    value = jax.tree.map(lambda s, y: s.bind(y, saved), spaces_of(u0), values, is_leaf=_is_space)
    return March(value, succeeded, count, time, met)


@eqx.filter_jit
def _run(solver, term, y0, dt, t0, steps, every, block, meter, forcing, bound):
    def step(carry, _):
        return jax.lax.cond(carry[2], advance, lambda c: c, carry), None

    def advance(carry):
        y, state, alive, count, bar, scale, met = carry
        now = since(term, t0 + count * dt)
        if forcing is not None:
            kicks, key, first = forcing
            now = kicks.on(now, y, jax.random.fold_in(key, first + count))
        y_next, _, _, state_next, result = solver.step(now, zero, dt, y, None, state, made_jump=False)
        alive = bounded(y_next, scale) & (result == dfx.RESULTS.successful)
        scale = jnp.where(scale > 0, scale, largest(y_next))
        y_next, state_next = jax.tree.map(lambda a, b: jnp.where(alive, a, b), (y_next, state_next), (y, state))
        bar = meter.step(bar, ((count + 1) / steps).astype(dt.dtype))
        count = count + alive
        if bound is not None:  # of the step that follows, if one does
            number = dt * TransportRate(now)(dt, y_next)
            met = jnp.where(alive & (count < steps), jnp.maximum(met, number), met)
            alive = alive & (met <= slack)
        return y_next, state_next, alive, count, bar, scale, met

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
    scale = largest(y0)
    alive, met = bounded(y0, scale), None
    slack = jnp.inf if bound is None else bound * (1 + 1e-6)
    if bound is not None:
        met = dt * TransportRate(since(term, t0))(zero, y0)
        alive = alive & (met <= slack)
    carry = (y0, state, alive, jnp.zeros((), jnp.int32), meter.init(), scale, met)
    if every == steps:
        carry, last = unit(carry, None)
        trajectory = jax.tree.map(lambda a: a[None], last)
    else:
        saves = None if block is None else max(1, block // every)
        carry, trajectory = checkpointed_scan(unit, carry, steps // every, saves)
    meter.close(carry[4])
    return trajectory, carry[2], carry[3], carry[6]


def _checked(result: March, dt, bound):
    message = "the run met a value that is not finite, or a step whose solver failed,"
    if isinstance(result.succeeded, jax.core.Tracer):
        advice = f"{message.rstrip(',')}. {ADVICE} js.march tells how far a run came."
        if bound is not None:
            advice = f"a step exceeds the bound on its Courant number, or {advice}"
        return error_if(result.value, ~result.succeeded, advice, result.time)
    too_long = None if bound is None else ~np.asarray(result.succeeded) & (np.asarray(result.courant) > bound)
    if too_long is not None and np.any(too_long):
        number = float(np.max(np.asarray(result.courant)[too_long]))
        limit = "" if isinstance(dt, jax.core.Tracer) else f" <= {0.995 * float(dt) * float(bound) / number:.3g}"
        raise Diverged(
            f"the Courant number {number:.4g} exceeds the bound {float(bound):.4g} at "
            f"t = {np.min(np.asarray(result.time)[too_long]):.6g}; take dt{limit}, or js.solve(..., courant=...), "
            "whose steps adapt."
        )
    if not np.all(result.succeeded):
        when = f"at t = {np.min(result.time):.6g}, after {np.min(result.steps)} steps"
        raise Diverged(f"{message} {when}. {ADVICE}")
    return result.value


def _whole_steps(dt, steps, save_every) -> tuple[int, int | None]:
    steps = whole(steps, "`steps`")
    if not isinstance(dt, jax.core.Tracer) and not (np.ndim(dt) == 0 and np.isfinite(dt) and np.asarray(dt) > 0):
        raise ValueError(f"`dt` must be one positive number, got {dt}.")
    if save_every is None:
        return steps, None
    save_every = whole(save_every, "`save_every`")
    if steps % save_every:
        raise ValueError(f"`save_every` must divide `steps`: {steps} is no multiple of {save_every}.")
    return steps, save_every


def _is_space(node) -> bool:
    return isinstance(node, Space)
