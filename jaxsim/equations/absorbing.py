"""Layers next to the sides of a box in which waves die, so that a finite box acts like an open one."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..boxes import BoxFunction
from ..grid import Grid
from ._checks import as_array, require_positive


class AbsorbingLayer(BoxFunction):
    """The rate at which a sponge damps: zero inside, rising as a power of the depth in layers next to the sides.

    $$\\sigma(x) = \\sigma_0 \\max_a \\left(1 - \\frac{d_a(x)}{w}\\right)_+^p$$

    with $d_a$ the distance from the nearer side of axis $a$. Add $-\\sigma\\,(u - u_\\infty)$ to the rate of change of
    what should leave the box. A wave of speed $c$ that crosses the layer, and comes back from its end or enters the
    layer on the other side of a periodic box, keeps the share $\\exp(-2 \\sigma_0 w / ((p + 1) c))$ of its amplitude;
    layers that are thin beside the wave length reflect by themselves.

    **Arguments:**

    - `width`: $w > 0$, a length: one to two wave lengths.
    - `rate`: $\\sigma_0 > 0$, 1/time: about $4 (p + 1) c / w$ keeps 3e-4.
    - `power`: $p$, how smoothly the layer begins.
    - `axes`: which axes have layers; all when left out.

    !!! example

        ```python
        sponge = js.equations.AbsorbingLayer(width=0.5, rate=30.0)
        rate = -js.partial(p, 0) - js.sample(sponge, t, u) * u      # in `nonlinear`
        ```

    Reference: Israeli and Orszag, J. Comput. Phys. 41, 115 (1981).
    """

    width: jax.Array
    rate: jax.Array
    power: int = eqx.field(static=True)
    axes: tuple[int, ...] | None = eqx.field(static=True)
    grid: Grid | None = eqx.field(static=True)

    def __init__(self, width: Any, rate: Any, power: int = 3, axes: Sequence[int] | None = None,
                 grid: Grid | None = None):  # fmt: skip
        self.width, self.rate = as_array(width), as_array(rate)
        self.power, self.axes, self.grid = power, None if axes is None else tuple(axes), grid
        require_positive(self, "width", "rate")

    def on(self, grid: Grid, periodic: Sequence[bool] | None = None) -> "AbsorbingLayer":
        return AbsorbingLayer(self.width, self.rate, self.power, self.axes, grid)

    def __call__(self, t, *x) -> jax.Array:
        if self.grid is None:
            raise ValueError("AbsorbingLayer: put it on a box, with js.sample(layer, t, u).")
        depth = jnp.zeros_like(x[0])
        for axis in range(len(x)) if self.axes is None else self.axes:
            axis = self.grid.axis(axis)
            distance = jnp.minimum(x[axis] - self.grid.lower[axis], self.grid.upper[axis] - x[axis])
            depth = jnp.maximum(depth, 1 - distance / self.width.astype(depth.dtype))
        return self.rate.astype(depth.dtype) * depth**self.power
