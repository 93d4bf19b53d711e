"""Neural ordinary differential equations."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ._times import check_slope, check_times, floating, listed, precision
from .effort import Effort
from .integrator import Integrator


class TimeMLP(eqx.Module):
    """A multilayer perceptron as a vector field, $f(t, y) = \\mathrm{MLP}([y, t])$.

    **Arguments:**

    - `size`: number of components of $y$.
    - `width`, `depth`: of the hidden layers.
    - `time`: whether the network sees $t$; without it the dynamics are autonomous.
    - `activation`: between layers; a smooth one keeps high-order solvers at their order.
    - `dtype`: of the weights.
    - `key`: draws them.

    `f(t, y, args)` takes and returns shape `(size,)`, and ignores `args`.
    """

    network: eqx.nn.MLP
    time: bool = eqx.field(static=True)

    def __init__(self, size: int, width: int, depth: int, *, time: bool = True, activation: Callable = jax.nn.tanh,
                 dtype=None, key: jax.Array):  # fmt: skip
        self.network = eqx.nn.MLP(size + time, size, width, depth, activation, dtype=dtype, key=key)
        self.time = time

    def __call__(self, t, y: jax.Array, args: Any = None) -> jax.Array:
        if self.time:
            y = jnp.append(y, jnp.asarray(t, y.dtype))
        return self.network(y)


class NeuralODE(eqx.Module):
    """The flow of a learned vector field, $\\dot y = f_\\theta(t, y)$, $y(t_0) = y_0$.

    **Arguments:**

    - `vector_field`: `f(t, y, args)`, such as a `TimeMLP`; any callable pytree.
    - `integrator`: an `Integrator`.

    Reference: Chen, Rubanova, Bettencourt and Duvenaud, NeurIPS 2018 (arXiv 1806.07366), equation 2.
    """

    vector_field: Callable
    integrator: Integrator = eqx.field(default_factory=Integrator)

    def __call__(self, y0: Any, ts: Any, *, args: Any = None, dt0=None,
                 key: jax.Array | None = None) -> tuple[Any, Effort]:  # fmt: skip
        """The state at a time, or at a list of them.

        **Arguments:**

        - `y0`: initial state, an array or a pytree of arrays.
        - `ts`: the final time $t_1$, with $t_0 = 0$; or times in order (up or down) of shape `(times,)`, the first of
            which is $t_0$.
        - `args`: passed to the vector field.
        - `dt0`: first step; `None` lets diffrax choose it.
        - `key`: for regularizers that draw random times.

        **Returns:** the state at $t_1$, or states with a leading axis of times; and the `Effort`.

        **Raises:** `ValueError` for times out of order, and for a slope of another shape than the state.
        """
        y0 = floating(y0)
        dtype, ts = precision(y0), listed(ts)
        single = jnp.ndim(ts) == 0
        if single:
            t0, t1, saveat = jnp.zeros((), dtype), jnp.asarray(ts, dtype), dfx.SaveAt(t1=True)
        else:
            ts = check_times(ts, dtype, "NeuralODE", descending=True)
            t0, t1, saveat = ts[0], ts[-1], dfx.SaveAt(ts=ts)
        check_slope(self.vector_field, t0, y0, args, "NeuralODE")
        solution, effort = self.integrator(dfx.ODETerm(self.vector_field), t0, t1, y0, args=args, dt0=dt0,
                                           saveat=saveat, key=key)  # fmt: skip
        states = jax.tree.map(lambda a: a[0], solution.ys) if single else solution.ys
        return states, effort
