"""Steps of nearly one size that end at given times."""

import diffrax as dfx
import jax
import jax.numpy as jnp


class EqualSteps(dfx.AbstractStepSizeController):
    """Steps of `dt`, or of what divides the time from one mark to the next equally where `dt` does not.

    What is saved at the marks is a state of the solver, and nothing is interpolated. Everything may be traced; marks
    that are traced give the steps that known ones give.

    **Arguments:**

    - `marks`: ascending times, among them those of the beginning and of the end, shape `(n,)`; equal ones count once.
    - `dt`: the largest step.
    """

    marks: jax.Array
    dt: jax.Array

    def after(self, count) -> jax.Array:
        """The time after so many steps."""
        widths = jnp.diff(self.marks)
        counts = jnp.where(widths > 0, step_count(widths, self.dt), 0)  # marks that are equal have none between them
        done = jnp.cumsum(counts)
        index = jnp.minimum(jnp.searchsorted(done, count), len(counts) - 1)
        part = (count - done[index] + counts[index]) / jnp.maximum(counts[index], 1)
        return self.marks[index] + part.astype(widths.dtype) * widths[index]

    def wrap(self, direction):
        return EqualSteps(self.marks * direction, self.dt)

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        begin, end, count = self._interval(t0)
        done = jnp.ones_like(count)
        return _end(begin, end, done, count), (begin, end, done, count)

    def adapt_step_size(self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state):
        begin, end, done, count = controller_state
        arrived = done == count
        following = self._interval(t1)
        begin, end, count = (jnp.where(arrived, a, b) for a, b in zip(following, (begin, end, count), strict=True))
        done = jnp.where(arrived, 1, done + 1)
        state = (begin, end, done, count)
        return True, t1, _end(begin, end, done, count), False, state, dfx.RESULTS.successful

    def _interval(self, begin):
        """The interval between marks that begins here, and its number of steps."""
        index = jnp.searchsorted(self.marks, begin, side="right")
        end = jnp.where(index < len(self.marks), self.marks[jnp.minimum(index, len(self.marks) - 1)], begin + self.dt)
        return begin, end, step_count(end - begin, self.dt)


def step_count(length, dt, xp=jnp):
    """How many equal steps of at most `dt`, up to rounding, fill an interval; very many where `dt` is not positive.

    `xp` is NumPy for numbers that are known.
    """
    ratio = xp.where(dt > 0, length / xp.where(dt > 0, dt, 1), xp.inf) * (1 - 1e-6)
    return xp.clip(xp.ceil(ratio), 1, 1e9).astype(xp.int32)


def _end(begin, end, done, count):
    part = done.astype(end.dtype) / count.astype(end.dtype)
    return jnp.where(done == count, end, begin + part * (end - begin))
