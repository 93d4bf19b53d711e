"""How far to go along a direction."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax


class Point(eqx.Module):
    """A point of a line.

    - `length`: its distance from the start, in units of the direction.
    - `loss`: there.
    - `slope`: of the loss along the direction.
    - `gradient`: of the loss.
    """

    length: jax.Array
    loss: jax.Array
    slope: jax.Array
    gradient: jax.Array


class WolfeSearch(eqx.Module):
    """A length that satisfies the strong conditions of Wolfe.

    $L(\\alpha) \\le L(0) + c_1 \\alpha L'(0)$ and $|L'(\\alpha)| \\le c_2 |L'(0)|$. The interval grows until it holds
    such a length, then shrinks about minima of cubic polynomials. Where rounding hides a decrease of the loss, the
    first condition is that of Hager and Zhang, which compares slopes.

    **Arguments:**

    - `decrease`: $c_1$.
    - `curvature`: $c_2$; small values search almost exactly.
    - `evaluations`: the largest number of evaluations of loss and gradient.

    References: Nocedal and Wright, Numerical Optimization, 2nd edition (2006), algorithms 3.5 and 3.6; Hager and Zhang,
    SIAM J. Optim. 16, 170 (2005), eq. 4.1.
    """

    decrease: float = eqx.field(static=True, default=1e-4)
    curvature: float = eqx.field(static=True, default=0.9)
    evaluations: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        if not 0 < self.decrease < 0.5 or not self.decrease < self.curvature < 1 or self.evaluations < 1:
            raise ValueError("WolfeSearch: 0 < `decrease` < 1/2, `decrease` < `curvature` < 1, and `evaluations` > 0.")

    def __call__(self, evaluate: Callable, start: jax.Array, direction: jax.Array, loss: jax.Array, gradient: jax.Array,
                 first: jax.Array) -> Point:  # fmt: skip
        """The point to go to, with length 0 where no lower loss is found.

        **Arguments:**

        - `evaluate`: loss and gradient of a vector.
        - `start`: a vector, with its `loss` and `gradient`.
        - `direction`: in which the loss falls.
        - `first`: the length to try first.
        """
        zero = Point(jnp.zeros_like(loss), loss, gradient @ direction, gradient)
        # Rounding of a loss that is a sum of many terms.
        noise = 10 * jnp.finfo(loss.dtype).eps * jnp.abs(loss)

        def body(carry):
            count, _, length, low, high = carry
            value, slopes = evaluate(start + length * direction)
            trial = Point(length, jnp.where(jnp.isfinite(value), value, jnp.inf), slopes @ direction, slopes)
            enough = trial.loss <= loss + self.decrease * length * zero.slope
            level = (trial.loss <= loss + noise) & (trial.slope <= (2 * self.decrease - 1) * zero.slope)
            flat = jnp.abs(trial.slope) <= -self.curvature * zero.slope
            done = (enough | level) & flat
            worse = ~done & (~enough | (trial.loss >= low.loss))
            # The minimum lies between the lowest point so far and one that is higher or rises toward it.
            passed = ~worse & (trial.slope * (high.length - low.length) >= 0)
            high = _where(worse, trial, _where(passed, low, high))
            low = _where(worse, low, trial)
            return count + 1, done, _next(low, high), low, high

        far = Point(jnp.full_like(loss, jnp.inf), loss, zero.slope, gradient)
        carry = (jnp.zeros((), jnp.int32), jnp.zeros((), bool), jnp.asarray(first, loss.dtype), zero, far)
        going = lambda carry: ~carry[1] & (carry[0] < self.evaluations) & (carry[2] != carry[3].length)
        _, _, _, low, _ = lax.while_loop(going, body, carry)
        return low


def _where(condition, one, other):
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)


def _next(low: Point, high: Point) -> jax.Array:
    """The length to try: the minimum of the cubic through both ends, kept off them, or further out without an end."""
    width = high.length - low.length
    mean = low.slope + high.slope - 3 * (high.loss - low.loss) / width
    root = jnp.copysign(jnp.sqrt(jnp.maximum(mean**2 - low.slope * high.slope, 0)), width)
    inner = 1 - (high.slope + root - mean) / (high.slope - low.slope + 2 * root)
    inner = jnp.where(jnp.isfinite(inner), jnp.clip(inner, 0.05, 0.95), 0.25)
    return jnp.where(jnp.isinf(high.length), 3 * low.length, low.length + inner * width)
