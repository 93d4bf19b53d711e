"""Networks of numbers made from time and position, periodic by construction."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp


class Embedded(eqx.Module):
    """A network of numbers made from time and position, exactly periodic along some axes.

    Time is mapped to $[-1, 1]$, a periodic coordinate of length $L$ to $\\cos k\\theta$ and $\\sin k\\theta$ for
    $k = 1 \\dots K$ with $\\theta = 2\\pi (x - a) / L$, and any other to $[-1, 1]$.

    **Arguments:**

    - `network`: maps an array of shape `(size,)`; see `Embedded.size`.
    - `duration`: first and last time.
    - `lower`, `upper`: ends of the box, one number per axis.
    - `periodic`: whether each axis closes on itself.
    - `harmonics`: $K$.

    Reference: Dong and Ni, J. Comput. Phys. 435, 110242 (2021), section 2.2.
    """

    network: Callable
    duration: tuple[float, float] = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)
    harmonics: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not len(self.lower) == len(self.upper) == len(self.periodic):
            raise ValueError("Embedded: `lower`, `upper` and `periodic` have one entry per axis.")
        if self.duration[1] <= self.duration[0] or any(b <= a for a, b in zip(self.lower, self.upper)):
            raise ValueError("Embedded: intervals of time and space must have positive length.")

    @staticmethod
    def size(periodic: Sequence[bool], harmonics: int = 1) -> int:
        """How many numbers the network is given."""
        return 1 + sum(2 * harmonics if closed else 1 for closed in periodic)

    def __call__(self, t, *x) -> jax.Array:
        if len(x) != len(self.periodic):
            raise ValueError(f"Embedded: needs (t, x, ...) with {len(self.periodic)} coordinates, got {len(x)}.")
        numbers = [_to_unit(t, *self.duration)]
        for value, low, high, closed in zip(x, self.lower, self.upper, self.periodic):
            if not closed:
                numbers.append(_to_unit(value, low, high))
                continue
            angle = (2 * math.pi / (high - low)) * (value - low)
            numbers += [f(k * angle) for k in range(1, self.harmonics + 1) for f in (jnp.cos, jnp.sin)]
        return self.network(jnp.stack(numbers))


def _to_unit(value, low, high):
    return (2 / (high - low)) * (value - low) - 1
