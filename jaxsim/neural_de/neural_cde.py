"""Neural controlled differential equations."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ._times import check_times, floating, in_order, listed
from .effort import Effort
from .integrator import Integrator


def hermite_path(ts: jax.Array, values: jax.Array) -> dfx.CubicInterpolation:
    """A series as a smooth path $X(t) = (t, x(t))$: cubic pieces whose slopes look backward.

    **Arguments:**

    - `ts`: ascending times, of shape `(n,)`.
    - `values`: of shape `(n, observed)`; NaN marks what is missing. Gaps are bridged between the values around them,
        the first value holds before it, the last one after it, and a channel without any value is zero.

    **Returns:** a `diffrax.CubicInterpolation` of `1 + observed` channels.

    Reference: Morrill, Kidger, Yang and Lyons, arXiv 2106.11028, section 3.
    """
    series = _with_time(ts, _closed(values))
    coefficients = dfx.backward_hermite_coefficients(ts, series)
    return dfx.CubicInterpolation(ts, coefficients)


def linear_path(ts: jax.Array, values: jax.Array) -> dfx.LinearInterpolation:
    """A series as a path $X(t) = (t, x(t))$ of straight pieces; arguments as for `hermite_path`."""
    series = _with_time(ts, _closed(values))
    return dfx.LinearInterpolation(ts, dfx.linear_interpolation(ts, series))


def rectilinear_path(ts: jax.Array, values: jax.Array) -> dfx.LinearInterpolation:
    """A series as a path on which either time passes or values change; arguments as for `hermite_path`.

    In the first half of the interval between two observations time runs up to the later one and values stay, in the
    second half they change. At the time of an observation a model has therefore seen nothing that is later, gaps or
    not, which predictions while a series comes in need. (Before a channel's first value stands that value.)

    Reference: Morrill, Kidger, Yang and Lyons, arXiv 2106.11028, section 3.
    """
    clock, held = dfx.rectilinear_interpolation(ts, _closed(values))
    ends = jnp.repeat(ts, 2)
    parameter = 0.5 * (ends[1:] + ends[:-1])
    return dfx.LinearInterpolation(parameter, _with_time(clock, held))


class MatrixMLP(eqx.Module):
    """A multilayer perceptron whose value is a matrix with entries in (-1, 1), the vector field of a `NeuralCDE`.

    **Arguments:**

    - `hidden`: number of components of the state, the rows.
    - `channels`: of the control, the columns: time, and the observed ones.
    - `width`, `depth`: of the hidden layers.
    - `activation`: between layers.
    - `dtype`: of the weights; `key` draws them.

    `f(t, z, args)` takes shape `(hidden,)` and ignores `t`, which is a channel of the control. The final tanh keeps
    hidden states from blowing up along long series.

    Reference: Kidger, Morrill, Foster and Lyons, NeurIPS 2020 (arXiv 2005.08926), appendix.
    """

    network: eqx.nn.MLP
    hidden: int = eqx.field(static=True)
    channels: int = eqx.field(static=True)

    def __init__(self, hidden: int, channels: int, width: int, depth: int, *, activation: Callable = jax.nn.softplus,
                 dtype=None, key: jax.Array):  # fmt: skip
        self.network = eqx.nn.MLP(hidden, hidden * channels, width, depth, activation, jnp.tanh, dtype=dtype, key=key)
        self.hidden, self.channels = hidden, channels

    def __call__(self, t, z: jax.Array, args: Any = None) -> jax.Array:
        return self.network(z).reshape(self.hidden, self.channels)


class NeuralCDE(eqx.Module):
    """A state driven by a series, $z(t) = z(t_0) + \\int_{t_0}^t f(z(s))\\, dX(s)$ with $z(t_0) = g(X(t_0))$.

    The series may have irregular times and missing values; `path` makes the control $X(t) = (t, x(t))$ of it, whose
    first channel is time. One series at a time; `jax.vmap` takes batches in which each series has its own times. Pad
    shorter ones with NaN at later times, and ask for the value at the last time of each.

    **Arguments:**

    - `initial`: $g$, from `(1 + observed,)` to `(hidden,)`, such as an `equinox.nn.MLP`.
    - `vector_field`: `f(t, z, args)` of shape `(hidden, 1 + observed)`, such as a `MatrixMLP`.
    - `readout`: from `(hidden,)` to the value, such as an `equinox.nn.Linear`.
    - `integrator`: an `Integrator`. Paths with kinks need their knots in its controller, which is done here for a
        `diffrax.PIDController`.
    - `path`: `hermite_path` (smooth, for loose tolerances the cheapest to solve), `linear_path` or `rectilinear_path`.

    Reference: Kidger, Morrill, Foster and Lyons, NeurIPS 2020 (arXiv 2005.08926), definition 3.1 and equation 4.
    """

    initial: Callable
    vector_field: Callable
    readout: Callable
    integrator: Integrator = eqx.field(default_factory=Integrator)
    path: Callable = eqx.field(static=True, default=hermite_path)

    def __call__(self, ts: jax.Array, values: jax.Array, times: Any = None, *, args: Any = None,
                 key: jax.Array | None = None) -> tuple[jax.Array, Effort]:  # fmt: skip
        """The readout of a series.

        **Arguments:**

        - `ts`: ascending times of shape `(n,)`, at least two.
        - `values`: of shape `(n, observed)`; NaN marks what is missing.
        - `times`: one time or a list of ascending ones at which to read out, within `ts`; the end by default.
        - `args`: passed to the vector field.
        - `key`: for regularizers that draw random times.

        **Returns:** the readout at the end, or with a leading axis of `times`; and the `Effort`.

        **Raises:** `ValueError` for shapes that do not fit and times out of order.
        """
        values, ts = floating(values), listed(ts)
        if values.ndim != 2 or jnp.ndim(ts) != 1 or len(ts) != len(values):
            raise ValueError(
                f"NeuralCDE: needs times of shape (n,) and values of shape (n, observed), got {jnp.shape(ts)} and "
                f"{values.shape}; jax.vmap takes batches."
            )
        ts = check_times(ts, values.dtype, "NeuralCDE")
        return self.along(self.path(ts, values), times, args=args, key=key)

    def along(self, control: dfx.AbstractPath, times: Any = None, *, args: Any = None,
              key: jax.Array | None = None) -> tuple[jax.Array, Effort]:  # fmt: skip
        """As a call, with a control of one's own: a differentiable `diffrax.AbstractPath` of shape `(channels,)`.

        Depends on the image of the path and not on its speed, unless time is one of its channels.
        """
        start, times = control.evaluate(control.t0), listed(times)
        dtype = start.dtype
        t0, end = jnp.asarray(control.t0, dtype), jnp.asarray(control.t1, dtype)
        state = self.initial(start)
        self._check(t0, state, start, args)
        single = times is None or jnp.ndim(times) == 0
        if single:
            t1, saveat = (end if times is None else jnp.asarray(times, dtype)), dfx.SaveAt(t1=True)
            begin = t1
        else:
            times = check_times(times, dtype, "NeuralCDE", least=1, repeated=True)
            begin, t1, saveat = times[0], times[-1], dfx.SaveAt(ts=times)
        t1 = in_order(t1, t0, begin, "NeuralCDE: `times` must not be before the series begins.")
        t1 = in_order(t1, t1, end, "NeuralCDE: the series ends too early for `times`, which must lie within it.")
        term = dfx.ControlTerm(self.vector_field, control).to_ode()
        solution, effort = self._integrator(control)(term, t0, t1, state, args=args, saveat=saveat, key=key)
        readouts = jax.vmap(self.readout)(solution.ys)
        return (readouts[0] if single else readouts), effort

    def _check(self, t0, state, start, args):
        found = jax.eval_shape(self.vector_field, t0, state, args).shape
        wanted = (*state.shape, *start.shape)
        if found != wanted:
            raise ValueError(
                f"NeuralCDE: the vector field returns shape {found}, and needs (hidden, channels) = {wanted}, with "
                "time as the first channel."
            )

    def _integrator(self, control):
        """Steps that end at the kinks of a path of straight pieces."""
        controller = self.integrator.stepsize_controller
        if not isinstance(control, dfx.LinearInterpolation) or not isinstance(controller, dfx.PIDController):
            return self.integrator
        clipped = dfx.ClipStepSizeController(controller, jump_ts=control.ts)
        return eqx.tree_at(lambda i: i.stepsize_controller, self.integrator, clipped)


def _with_time(ts, values):
    return jnp.concatenate([jnp.expand_dims(ts, -1).astype(values.dtype), values], -1)


def _closed(values):
    """A series that begins and ends with the first and last value of each channel, zero if it has none."""
    present = ~jnp.isnan(values)
    first, last = jnp.argmax(present, 0), len(values) - 1 - jnp.argmax(present[::-1], 0)
    ends = [jnp.take_along_axis(values, rows[None], 0)[0] for rows in (first, last)]
    ends = [jnp.where(present.any(0), end, 0) for end in ends]
    return values.at[0].set(ends[0]).at[-1].set(ends[1])
