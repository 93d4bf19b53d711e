"""Step sizes that keep the error of a step below a tolerance, in the unit of whatever is solved for."""

from typing import Any, ClassVar

import diffrax as dfx
import jax
import jax.numpy as jnp
from jax import lax

from ..norms import root_mean_square
from ..spaces import Space


class Tolerance(dfx.AbstractAdaptiveStepSizeController):
    """Adaptive steps by the error of each component of each field, beside its size.

    With $\\|\\cdot\\|$ the root mean square over the box, a step is accepted where for every component $c$

    $$\\|e_c\\| \\le \\mathrm{atol} + \\mathrm{rtol} \\cdot s_c.$$

    Here $s_c$ is the size of the component: the larger one of those at both ends of the step or, where no `atol` is
    given, the largest so far in the run. Components may therefore have different units, nothing depends on the unit of
    the whole, and a wave that passes through zero does not stop the clock. A component so small beside the others of
    its state that it could be their rounding is measured by them.

    **Arguments:**

    - `rtol`: relative tolerance.
    - `atol`: absolute tolerance, one number for all components; `None` for none.
    - `spaces`: the space of the state, or a pytree of spaces.
    - `y0`: the initial state, whose size tells Newton's method in implicit solvers what is small.
    - `caution`: how many times an error estimate counts.

    No number in here has a derivative.
    """

    rtol: Any
    given: Any
    caution: float
    spaces: Any
    atol: Any
    pid: dfx.PIDController
    without_times: ClassVar[bool] = True

    def __init__(self, rtol, atol, spaces, y0, caution=1.0):
        self.rtol = rtol
        self.given = atol
        self.caution = caution
        self.spaces = jax.tree.map(lambda s: s.homogeneous(), spaces, is_leaf=_is_space)
        sizes = jnp.stack([jnp.max(s, initial=0) for s in self._sizes(y0)])
        largest = jnp.max(sizes)
        self.atol = lax.stop_gradient(rtol * jnp.where(largest > 0, largest, 1)) if atol is None else atol
        self.pid = dfx.PIDController(rtol=0.0, atol=1.0, norm=_itself)

    @property
    def norm(self):
        """For Newton's method: the root mean square over the state."""
        return root_mean_square

    def wrap(self, direction):
        return self

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        sizes = self._sizes(y0)
        if dt0 is None:
            dt0 = 0.01 * self._time_scale(sizes, self._sizes(func(terms, t0, y0, args)), t1 - t0)
        end, state = self.pid.init(terms, t0, t1, y0, lax.stop_gradient(dt0), args, func, error_order)
        return end, (state, sizes)

    def adapt_step_size(self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state):
        if y_error is None:
            raise ValueError(
                "this solver estimates no error, so it cannot adapt its steps: give `dt` without a tolerance, or "
                "take a solver with an error estimate, such as js.integrate.Krogstad4()."
            )
        state, largest = controller_state
        before, after, errors = (self._sizes(y) for y in (y0, y1_candidate, y_error))
        if self.given is None:
            scales = [jnp.maximum(a, b) for a, b in zip(largest, after, strict=True)]
        else:
            scales = [jnp.maximum(a, b) for a, b in zip(before, after, strict=True)]
        ratio = self.caution * self._ratio(errors, scales)
        keep, start, end, jumped, state, result = self.pid.adapt_step_size(
            t0, t1, jnp.zeros_like(ratio), jnp.zeros_like(ratio), args, ratio, error_order, state
        )
        result = dfx.RESULTS.where(end > start, result, dfx.RESULTS.dt_min_reached)
        largest = [jnp.where(keep, jnp.maximum(a, b), a) for a, b in zip(largest, after, strict=True)]
        return keep, start, end, jumped, (state, largest), result

    def _ratio(self, errors, scales):
        """The largest error beside its tolerance; infinite where something is not finite."""
        rtol = lax.stop_gradient(jnp.asarray(self.rtol, errors[0].dtype))
        given = 0.0 if self.given is None else lax.stop_gradient(self.given)
        largest = jnp.max(jnp.stack([jnp.max(s, initial=0) for s in scales]))
        eps = jnp.finfo(largest.dtype).eps
        rounding = jnp.minimum(1, jnp.maximum(jnp.sqrt(eps), 100 * eps / rtol))

        def one(error, scale):
            bound = jnp.asarray(given, error.dtype) + rtol * jnp.maximum(scale, rounding * largest)
            found = jnp.where(error > 0, error / jnp.where(bound > 0, bound, jnp.finfo(error.dtype).tiny), 0)
            return jnp.max(jnp.where(jnp.isfinite(error) & jnp.isfinite(scale), found, jnp.inf), initial=0)

        return jnp.max(jnp.stack([one(e, s) for e, s in zip(errors, scales, strict=True)]))

    def _time_scale(self, sizes, rates, length):
        """The shortest time in which a component changes by its size, at most that of the run."""
        tiny = jnp.finfo(sizes[0].dtype).tiny
        times = [jnp.where((s > 0) & (r > 0), s / jnp.maximum(r, tiny), jnp.inf) for s, r in zip(sizes, rates)]
        return jnp.minimum(jnp.min(jnp.stack([jnp.min(t, initial=jnp.inf) for t in times])), length)

    def _sizes(self, y) -> list[jax.Array]:
        """The root mean square over the box of every component of every leaf."""
        parts = jax.tree.map(lambda s: s.parts(), self.spaces, is_leaf=_is_space)
        spaces = jax.tree.leaves(parts, is_leaf=_is_space)
        return [lax.stop_gradient(s.size(a)) for s, a in zip(spaces, jax.tree.leaves(y), strict=True)]


def _itself(error):
    return error


def _is_space(node) -> bool:
    return isinstance(node, Space)
