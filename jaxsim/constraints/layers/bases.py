"""Fixed dictionaries: what every learned one is measured against."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp


class FourierSeries(eqx.Module):
    """Functions of one periodic coordinate: $1, \\cos k\\theta, \\sin k\\theta, \\dots$, $\\theta = 2\\pi (x-a)/(b-a)$.

    **Arguments:**

    - `count`: how many, an odd number $2K + 1$.
    - `lower`, `upper`: $a < b$, the ends of a period.
    """

    count: int = eqx.field(static=True)
    lower: float = eqx.field(static=True, default=0.0)
    upper: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        _check(self)
        if self.count % 2 == 0:
            raise ValueError(f"FourierSeries: each cosine has its sine, `count` must be odd; got {self.count}.")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(count,)`, at a number."""
        angle = (2 * math.pi / (self.upper - self.lower)) * (x - self.lower)
        waves = jnp.arange(1, self.count // 2 + 1).astype(angle.dtype) * angle
        return jnp.concatenate([jnp.ones_like(angle)[None], jnp.cos(waves), jnp.sin(waves)])


class Chebyshev(eqx.Module):
    """Polynomials of one coordinate on an interval: $T_0, T_1, \\dots$, $T_{k+1}(s) = 2 s T_k(s) - T_{k-1}(s)$.

    **Arguments:**

    - `count`: how many; the highest degree is one less.
    - `lower`, `upper`: $a < b$, the ends of the interval, which go to $s = \\mp 1$.
    """

    count: int = eqx.field(static=True)
    lower: float = eqx.field(static=True, default=0.0)
    upper: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        _check(self)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(count,)`, at a number."""
        s = (2 / (self.upper - self.lower)) * (x - self.lower) - 1
        values = [jnp.ones_like(s), s]
        for _ in range(self.count - 2):
            values.append(2 * s * values[-1] - values[-2])
        return jnp.stack(values[: self.count])


class TensorProduct(eqx.Module):
    """A dictionary of products of functions of one coordinate each, $b_{ij}(t, x) = p_i(t)\\, q_j(x)$.

    **Arguments:**

    - `axes`: for each coordinate, time first, a callable from a number to an array `(count,)`.

    **Returns:** (when called with the coordinates) all products, shape `(N,)`, the last axis fastest.

    !!! example

        ```python
        functions = TensorProduct([Chebyshev(8, 0.0, 1.0), FourierSeries(15, 0.0, 1.0)])    # 120 functions of (t, x)
        ```
    """

    axes: tuple[Callable, ...] = eqx.field(converter=tuple)

    def __call__(self, *coordinates) -> jax.Array:
        if len(coordinates) != len(self.axes):
            raise ValueError(f"TensorProduct: has {len(self.axes)} coordinates, got {len(coordinates)}.")
        total, *rest = (axis(jnp.asarray(x)) for axis, x in zip(self.axes, coordinates))
        for values in rest:
            total = (total[:, None] * values[None]).reshape(-1)
        return total


def _check(basis) -> None:
    name = type(basis).__name__
    if basis.count < 1:
        raise ValueError(f"{name}: `count` must be at least 1, got {basis.count}.")
    if not basis.lower < basis.upper:
        raise ValueError(f"{name}: the interval must have a length, got {basis.lower} to {basis.upper}.")
