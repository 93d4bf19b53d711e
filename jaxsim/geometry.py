"""Shapes by their signed distance: negative inside, positive outside, with slope one near the surface.

A shape is a function of coordinates, one array per axis. Those here are equinox modules whose numbers are array leaves,
so that flows can be differentiated with respect to a shape; any callable does as well.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp


def _array(value: Any) -> jax.Array:
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))


class Ball(eqx.Module):
    """A disk or ball (in the plane also the section of a cylinder).

    **Arguments:**

    - `center`: one number per axis.
    - `radius`: a positive number.
    """

    center: jax.Array = eqx.field(converter=_array)
    radius: jax.Array = eqx.field(converter=_array)

    def __call__(self, *x) -> jax.Array:
        return _length(_from(self.center, x)) - self.radius


class Ellipsoid(eqx.Module):
    """An ellipse or ellipsoid with axes along those of the box.

    The distance is exact to first order near the surface: $(s - 1)\\,s / |x / a^2|$ with $s = |x / a|$.

    **Arguments:**

    - `center`, `semi_axes`: one number per axis.
    """

    center: jax.Array = eqx.field(converter=_array)
    semi_axes: jax.Array = eqx.field(converter=_array)

    def __call__(self, *x) -> jax.Array:
        offsets = _from(self.center, x)
        scaled = [d / a.astype(d.dtype) for d, a in zip(offsets, self.semi_axes)]
        steep = [d / a.astype(d.dtype) for d, a in zip(scaled, self.semi_axes)]
        size = _length(scaled)
        return (size - 1) * size / _length(steep)


class Block(eqx.Module):
    """A rectangle or cuboid, its edges rounded.

    **Arguments:**

    - `center`: one number per axis.
    - `size`: full lengths of the sides, one number per axis.
    - `rounding`: radius of the edges, at least 0 and at most half the shortest side.
    """

    center: jax.Array = eqx.field(converter=_array)
    size: jax.Array = eqx.field(converter=_array)
    rounding: jax.Array = eqx.field(converter=_array, default=0.0)

    def __call__(self, *x) -> jax.Array:
        edges = [
            jnp.abs(d) - (0.5 * s - self.rounding).astype(d.dtype) for d, s in zip(_from(self.center, x), self.size)
        ]
        outside = _length([jnp.maximum(e, 0) for e in edges])
        deepest = edges[0]
        for e in edges[1:]:
            deepest = jnp.maximum(deepest, e)
        return outside + jnp.minimum(deepest, 0) - self.rounding


class Union(eqx.Module):
    """All that lies in any of several shapes: `Union(a, b)`."""

    shapes: tuple[Callable, ...]

    def __init__(self, *shapes: Callable):
        self.shapes = shapes

    def __call__(self, *x) -> jax.Array:
        first, *rest = (shape(*x) for shape in self.shapes)
        for distance in rest:
            first = jnp.minimum(first, distance)
        return first


def smooth_fraction(distance: jax.Array, width) -> jax.Array:
    """The part of space near a point that is solid, from 1 inside to 0 outside of a layer around the surface.

    $\\tfrac12 (1 - s - \\sin(\\pi s) / \\pi)$ with $s = d / w$ in $[-1, 1]$: twice differentiable, exactly 0 and 1
    beyond the layer.

    **Arguments:**

    - `distance`: signed distance $d$, negative inside.
    - `width`: half the width $w$ of the layer, a positive length; one or two cells.
    """
    s = jnp.clip(distance / width, -1, 1)
    return jnp.clip(0.5 * (1 - s - jnp.sin(jnp.pi * s) / jnp.pi), 0, 1)  # rounding leaves 1e-17 outside


def _from(center, x):
    if len(x) != len(center):
        raise ValueError(f"a shape with a center of {len(center)} numbers met {len(x)} coordinates.")
    return [jnp.asarray(c) - center[i].astype(jnp.result_type(c)) for i, c in enumerate(x)]


def _length(parts) -> jax.Array:
    square = sum(p * p for p in parts)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)  # no slope at the very center
