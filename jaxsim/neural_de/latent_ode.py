"""Latent neural differential equations for series with irregular times and missing values."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ._times import check_positive, check_slope, check_times, floating, in_order, listed
from .effort import Effort
from .integrator import Integrator


class GRUEncoder(eqx.Module):
    """A gated recurrent unit that reads a series backward in time.

    At each time with a value it sees the values (zero where missing), the mask, and the gap to the next time that had
    one. Times without any value change nothing, so that series of different lengths can be padded to one.

    **Arguments:**

    - `observed`, `hidden`, `latent`: numbers of components of an observation, the unit's state and the latent state.
    - `dtype`: of the weights; `key` draws them.

    `encoder(ts, values, mask, t0)` takes shapes `(times,)`, `(times, observed)`, the same, and a scalar, and returns
    the mean and the logarithm of the standard deviation of the latent state at `t0`, each of shape `(latent,)`.

    Reference: Rubanova, Chen and Duvenaud, NeurIPS 2019 (arXiv 1907.03907), section 3.2; Chen et al., NeurIPS 2018
    (arXiv 1806.07366), section 5.
    """

    cell: eqx.nn.GRUCell
    head: eqx.nn.MLP

    def __init__(self, observed: int, hidden: int, latent: int, *, dtype=None, key: jax.Array):
        unit, head = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(2 * observed + 1, hidden, dtype=dtype, key=unit)
        self.head = eqx.nn.MLP(hidden + 1, 2 * latent, hidden, 1, jax.nn.tanh, dtype=dtype, key=head)

    def __call__(self, ts: jax.Array, values: jax.Array, mask: jax.Array, t0: jax.Array) -> tuple[jax.Array, jax.Array]:
        seen = jnp.any(mask, 1)
        last = jnp.max(jnp.where(seen, ts, t0))

        def read(carry, entry):
            state, later = carry
            t, value, present, some = entry
            gap = jnp.where(some, later - t, 0)
            new = self.cell(jnp.concatenate([value, present.astype(value.dtype), gap[None]]), state)
            return (jnp.where(some, new, state), jnp.where(some, t, later)), None

        empty = jnp.zeros(self.cell.hidden_size, values.dtype)
        (state, first), _ = jax.lax.scan(read, (empty, last), (ts, values, mask, seen), reverse=True)
        mean, log_scale = jnp.split(self.head(jnp.append(state, first - t0)), 2)
        return mean, log_scale


class LatentODE(eqx.Module):
    """A series as noisy observations of a latent differential equation.

    $$z(t_0) \\sim N(m, s^2) \\text{ with } (m, s) = \\mathrm{encoder}(t, x), \\quad \\dot z = f(t, z), \\quad
    x_i \\sim N(\\mathrm{decoder}(z(t_i)), \\sigma^2).$$

    One series at a time; `jax.vmap` takes batches in which each series has its own times. Pad shorter ones by their
    last time, masked.

    **Arguments:**

    - `encoder`: `encoder(ts, values, mask, t0)` as a `GRUEncoder`.
    - `vector_field`: `f(t, z, args)`, such as a `TimeMLP`.
    - `decoder`: from a latent state of shape `(latent,)` to an observation of shape `(observed,)`, such as an
        `equinox.nn.MLP`.
    - `integrator`: an `Integrator`.

    Reference: Rubanova, Chen and Duvenaud, NeurIPS 2019 (arXiv 1907.03907), equations 6 to 11.
    """

    encoder: Callable
    vector_field: Callable
    decoder: Callable
    integrator: Integrator = eqx.field(default_factory=Integrator)

    def __call__(self, ts: jax.Array, values: jax.Array, times: jax.Array | None = None, *,
                 mask: jax.Array | None = None, t0=None, args: Any = None,
                 key: jax.Array | None = None) -> tuple[jax.Array, Effort]:  # fmt: skip
        """What the model expects at any times, given a series.

        **Arguments:**

        - `ts`: times of the observations, ascending (a time may repeat), of shape `(n,)`.
        - `values`: of shape `(n, observed)`; what stands at missing entries does not matter.
        - `times`: ascending times to predict at, none before `t0`; `None` takes `ts`.
        - `mask`: true where a value is there, of the shape of `values`; `None` takes those that are not NaN.
        - `t0`: time of the latent initial state; `None` takes `ts[0]`.
        - `args`: passed to the vector field.
        - `key`: draws the latent initial state; without it, it is the posterior's mean.

        **Returns:** values of shape `(times, observed)`, and the `Effort`.

        **Raises:** `ValueError` for shapes that do not fit and times out of order.
        """
        ts, values, mask, t0 = self._series(ts, values, mask, t0)
        mean, log_scale = self._posterior(ts, values, mask, t0)
        draw, regularize = (None, None) if key is None else jax.random.split(key)
        start = mean if draw is None else mean + jnp.exp(log_scale) * jax.random.normal(draw, mean.shape, mean.dtype)
        return self._decoded(start, t0, ts if times is None else times, args, regularize)

    def encode(self, ts: jax.Array, values: jax.Array, *, mask: jax.Array | None = None,
               t0=None) -> tuple[jax.Array, jax.Array]:  # fmt: skip
        """Mean and logarithm of the standard deviation of the latent initial state, each of shape `(latent,)`."""
        return self._posterior(*self._series(ts, values, mask, t0))

    def elbo(self, ts: jax.Array, values: jax.Array, *, noise, key: jax.Array, mask: jax.Array | None = None,
             seen: jax.Array | None = None, kl_weight=1.0, t0=None,
             args: Any = None) -> tuple[jax.Array, Effort]:  # fmt: skip
        """A lower bound of the log-likelihood of a series, estimated from one draw of the latent initial state.

        $$\\sum_{\\text{observed } i} \\log N(x_i; \\mathrm{decoder}(z(t_i)), \\sigma^2) -
        w\\, \\mathrm{KL}(N(m, s^2) \\| N(0, I)).$$

        **Arguments:** those of a call, and

        - `noise`: $\\sigma$, in units of the values; a scalar or one number per component.
        - `key`: draws the latent initial state.
        - `seen`: a part of `mask` that the encoder sees, to train for interpolation or forecasting; all by default.
        - `kl_weight`: $w$.

        **Returns:** a scalar, summed over observed values; and the `Effort`.
        """
        ts, values, mask, t0 = self._series(ts, values, mask, t0)
        visible = mask if seen is None else mask & _like(seen, values, "seen").astype(bool)
        mean, log_scale = self._posterior(ts, jnp.where(visible, values, 0), visible, t0)
        draw, regularize = jax.random.split(key)
        start = mean + jnp.exp(log_scale) * jax.random.normal(draw, mean.shape, mean.dtype)
        expected, effort = self._decoded(start, t0, ts, args, regularize)
        noise = check_positive(jnp.asarray(noise, values.dtype), "LatentODE: `noise`")
        each = -0.5 * (((values - expected) / noise) ** 2 + jnp.log(2 * jnp.pi)) - jnp.log(noise)
        divergence = 0.5 * jnp.sum(jnp.exp(2 * log_scale) + mean**2 - 1) - jnp.sum(log_scale)
        return jnp.sum(jnp.where(mask, each, 0)) - kl_weight * divergence, effort

    def loss(self, ts: jax.Array, values: jax.Array, *, noise, key: jax.Array, mask: jax.Array | None = None,
             **options: Any) -> tuple[jax.Array, Effort]:  # fmt: skip
        """Minus `elbo` per observed value, so that long and short series weigh alike."""
        bound, effort = self.elbo(ts, values, noise=noise, key=key, mask=mask, **options)
        count = jnp.sum(~jnp.isnan(values) if mask is None else mask)
        return -bound / jnp.maximum(count, 1).astype(bound.dtype), effort

    def _series(self, ts, values, mask, t0):
        """A series with zeros where nothing was observed."""
        values, ts = floating(values), listed(ts)
        if values.ndim != 2 or jnp.ndim(ts) != 1 or len(ts) != len(values):
            raise ValueError(
                f"LatentODE: needs times of shape (n,) and values of shape (n, observed), got {jnp.shape(ts)} and "
                f"{values.shape}; jax.vmap takes batches."
            )
        mask = ~jnp.isnan(values) if mask is None else _like(mask, values, "mask").astype(bool)
        ts = check_times(ts, values.dtype, "LatentODE", least=1, repeated=True)
        t0 = ts[0] if t0 is None else jnp.asarray(t0, values.dtype)
        return ts, jnp.where(mask, values, 0), mask, t0

    def _posterior(self, ts, values, mask, t0):
        return self.encoder(ts, values, mask, t0)

    def _decoded(self, start, t0, times, args, key):
        times = check_times(times, start.dtype, "LatentODE", least=1, repeated=True)
        times = in_order(times, t0, times[0], "LatentODE: `times` must not be before the time of the initial state.")
        check_slope(self.vector_field, t0, start, args, "LatentODE")
        solution, effort = self.integrator(dfx.ODETerm(self.vector_field), t0, times[-1], start, args=args,
                                           saveat=dfx.SaveAt(ts=times), key=key)  # fmt: skip
        return jax.vmap(self.decoder)(solution.ys), effort


def _like(mask, values, name):
    mask = jnp.asarray(mask)
    if mask.shape != values.shape:
        raise ValueError(f"LatentODE: `{name}` has shape {mask.shape}, the values {values.shape}.")
    return mask
