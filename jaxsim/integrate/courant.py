"""Steps bounded by how far signals travel in them, beside the cells of the grid.

The Courant number of a step of size $h$ is

$$C = h \\max_x \\sum_i \\frac{|c_i(x)|}{\\Delta x_i(x)}$$

with $c_i$ the speed of the fastest signal along axis $i$. Explicit schemes are unstable above a bound of their own
(Courant, Friedrichs and Lewy, Math. Ann. 100 (1928) 32), and any scheme loses what travels several cells in one step.
"""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..equations import is_field, speeds_of_signals
from ..norms import root_mean_square
from .term import SemilinearTerm


class TransportRate(eqx.Module):
    """How many cells signals cross per time, $\\max_x \\sum_i |c_i| / \\Delta x_i$: a function `(t, y)` of bare states.

    **Arguments:**

    - `term`: a `js.SemilinearTerm`, whose equation says how fast its signals travel (`Equation.signal_speeds`).

    Speeds are taken on the nodes where products are, as the right-hand side does, so that inside one program both share
    their transforms. $\\Delta x_i$ is the width of the cell, or the distance of the nearer neighbor. No derivatives.
    """

    term: SemilinearTerm

    def __call__(self, t, y) -> jax.Array:
        precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(y))).dtype
        term = jax.tree.map(lambda a: lax.stop_gradient(a) if eqx.is_inexact_array(a) else a, self.term)
        time, equation, u = term.fields(t, lax.stop_gradient(y))
        speeds = speeds_of_signals(equation, time, u)
        space = next((c.space for c in speeds if is_field(c)), jax.tree.leaves(u, is_leaf=is_field)[0].space)
        widths = space.widths()
        nodal = [c.space.factors(c) if is_field(c) else jnp.asarray(c) for c in speeds]
        if len(nodal) < len(widths):  # one field with a component per axis
            nodal = [nodal[0][i] for i in range(len(widths))]
        crossed = (jnp.abs(c).astype(precision) / jnp.asarray(w, precision) for c, w in zip(nodal, widths, strict=True))
        return lax.stop_gradient(jnp.max(sum(crossed)))


class Courant(dfx.AbstractAdaptiveStepSizeController):
    """Steps whose Courant number is at most a bound, with any solver; alone, or on top of another controller.

    **Arguments:**

    - `bound`: the largest Courant number of a step, by the speeds at its beginning.
    - `rate`: a function `(t, y)` of bare states, how many cells signals cross per time: `TransportRate(term)`.
    - `controller`: an adaptive diffrax controller, whose steps are shortened where they are too long; without one no
        step is rejected, and no error estimate is needed.
    - `longest`: steps are at most this long; those of a flow at rest, which nothing else bounds.
    - `rtol`, `atol`: for Newton's method in implicit solvers; those of the controller where there is one.

    `js.solve(..., courant=0.5)` makes one. Steps have no derivative.
    """

    bound: Any
    rate: Callable
    controller: dfx.AbstractAdaptiveStepSizeController | None
    longest: Any
    rtol: Any
    atol: Any
    direction: Any = 1

    def __init__(self, bound, rate: Callable, controller: dfx.AbstractAdaptiveStepSizeController | None = None,
                 longest=None, rtol=1e-6, atol=1e-9, direction=1):  # fmt: skip
        if controller is not None and not isinstance(controller, dfx.AbstractAdaptiveStepSizeController):
            raise ValueError(f"Courant: wraps adaptive controllers, and {type(controller).__name__} is none.")
        for name, value in (("bound", bound), ("longest", longest)):
            if value is not None and not isinstance(value, jax.core.Tracer) and not value > 0:
                raise ValueError(f"Courant: `{name}` must be positive, got {value}.")
        self.bound, self.rate, self.controller, self.longest = bound, rate, controller, longest
        self.rtol = rtol if controller is None else controller.rtol
        self.atol = atol if controller is None else controller.atol
        self.direction = direction

    @property
    def norm(self):
        return root_mean_square if self.controller is None else self.controller.norm

    def wrap(self, direction):
        inner = None if self.controller is None else self.controller.wrap(direction)
        return Courant(self.bound, self.rate, inner, self.longest, self.rtol, self.atol, direction)

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        limit, inner, end = self._limit(t0, y0), None, t1
        if self.controller is not None:
            end, inner = self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)
        elif dt0 is not None:
            end = t0 + dt0
        return self._end(t0, end, limit), (limit, t1 - t0, inner)

    def adapt_step_size(self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state):
        limit, length, inner = controller_state
        keep, start, jump, result, end = True, t1, False, dfx.RESULTS.successful, t1 + length
        if self.controller is not None:
            keep, start, end, jump, inner, result = self.controller.adapt_step_size(
                t0, t1, y0, y1_candidate, args, y_error, error_order, inner
            )
        limit = jnp.where(keep, self._limit(t1, y1_candidate), limit)
        end = self._end(start, end, limit)
        result = dfx.RESULTS.where(end > start, result, dfx.RESULTS.dt_min_reached)
        return keep, start, end, jump, (limit, length, inner), result

    def _limit(self, t, y):
        """The longest step from a state."""
        rate = lax.stop_gradient(self.rate(t * self.direction, y))
        moving = (rate > 0) & jnp.isfinite(rate)
        bound = lax.stop_gradient(jnp.asarray(self.bound, rate.dtype))
        limit = jnp.where(moving, bound / jnp.where(moving, rate, 1), jnp.inf)
        return limit if self.longest is None else jnp.minimum(limit, jnp.asarray(self.longest, limit.dtype))

    def _end(self, start, end, limit):
        # Where nothing limits it the step is the controller's own, to the last bit.
        limited = start + limit.astype(jnp.result_type(start))
        return jnp.where(limited < end, limited, end)
