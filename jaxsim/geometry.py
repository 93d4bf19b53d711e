"""Shapes by their signed distance: negative inside, positive outside, with slope one near the surface.

A shape is a function of coordinates, one array per axis. Those here are equinox modules whose numbers are array leaves,
so that flows can be differentiated with respect to a shape; any callable does as well.

Formulas of distances are 0/0 at places: centers, corners, ends. `length` and `quotient` know what to give there, with
derivatives that are finite; distances are made of them.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def length(*parts: jax.Array) -> jax.Array:
    """The Euclidean length $\\sqrt{\\sum_i p_i^2}$ of a vector by its parts, arrays that broadcast.

    At zero, where it has a kink, all of its derivatives are zero. No size of a box leaves the range of numbers.
    """
    size = jax.lax.stop_gradient(functools.reduce(jnp.maximum, [jnp.abs(p) for p in parts]))
    scale = jnp.where((size > 0) & (size < jnp.inf), size, 1)
    square = sum((p / scale) * (p / scale) for p in parts)
    vanishes = square == 0
    return jnp.where(vanishes, 0, scale * jnp.sqrt(jnp.where(vanishes, 1, square)))


def quotient(a: jax.Array, b: jax.Array, limit: Any = 0.0) -> jax.Array:
    """$a / b$, and a limit of one's choice where the divisor vanishes, which does not depend on `a` and `b`."""
    regular = b != 0
    return jnp.where(regular, a / jnp.where(regular, b, 1), limit)


def _array(value: Any) -> jax.Array:
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))


class Ball(eqx.Module):
    """A disk or ball (in the plane also the section of a cylinder).

    **Arguments:**

    - `center`: one number per axis.
    - `radius`: a positive number.

    **Raises:** `ValueError` for numbers that are not finite, or a radius that is not positive.
    """

    center: jax.Array = eqx.field(converter=_array)
    radius: jax.Array = eqx.field(converter=_array)

    def __check_init__(self):
        _check("Ball", center=self.center)
        _check("Ball", above=0, radius=self.radius)

    def __call__(self, *x) -> jax.Array:
        distance = length(*_from(self.center, x))
        return distance - self.radius.astype(distance.dtype)


class Ellipsoid(eqx.Module):
    """An ellipse or ellipsoid with axes along those of the box.

    The distance is exact to first order near the surface: $(s - 1)\\,s / |x / a^2|$ with $s = |x / a|$. At the center,
    where that has no limit, it is exact too, minus the least semi-axis.

    **Arguments:**

    - `center`, `semi_axes`: one number per axis.

    **Raises:** `ValueError` for numbers that are not finite, and semi-axes that are not positive or not one per axis.
    """

    center: jax.Array = eqx.field(converter=_array)
    semi_axes: jax.Array = eqx.field(converter=_array)

    def __check_init__(self):
        _check("Ellipsoid", center=self.center)
        _check("Ellipsoid", above=0, like=self.center, semi_axes=self.semi_axes)

    def __call__(self, *x) -> jax.Array:
        offsets = _from(self.center, x)
        axes = [self.semi_axes[i].astype(d.dtype) for i, d in enumerate(offsets)]
        scaled = [d / a for d, a in zip(offsets, axes)]
        size = length(*scaled)
        steepness = length(*(d / a for d, a in zip(scaled, axes)))
        return (size - 1) * quotient(size, steepness, functools.reduce(jnp.minimum, axes))


class Block(eqx.Module):
    """A rectangle or cuboid, its edges rounded.

    **Arguments:**

    - `center`: one number per axis.
    - `size`: full lengths of the sides, one number per axis.
    - `rounding`: radius of the edges, at least 0 and at most half the shortest side.

    **Raises:** `ValueError` for numbers that are not finite, sides that are not positive or not one per axis, or a
    rounding out of its range.
    """

    center: jax.Array = eqx.field(converter=_array)
    size: jax.Array = eqx.field(converter=_array)
    rounding: jax.Array = eqx.field(converter=_array, default=0.0)

    def __check_init__(self):
        _check("Block", center=self.center)
        _check("Block", above=0, like=self.center, size=self.size)
        _check("Block", rounding=self.rounding)
        if _known(self.size, self.rounding):
            half = 0.5 * np.min(np.asarray(self.size), -1)
            least, most = np.min(np.asarray(self.rounding)), np.max(np.asarray(self.rounding) - half)
            if least < 0 or most > 4 * np.finfo(half.dtype).eps * np.max(half):
                raise ValueError(
                    "Block: `rounding` lies between 0 and half the shortest side, "
                    f"got {self.rounding} for sides {self.size}."
                )

    def __call__(self, *x) -> jax.Array:
        offsets = _from(self.center, x)
        rounding = self.rounding.astype(offsets[0].dtype)
        edges = [jnp.abs(d) - (0.5 * self.size[i].astype(d.dtype) - rounding) for i, d in enumerate(offsets)]
        deepest = functools.reduce(jnp.maximum, edges)
        # Chosen, not added up: on a face the two have the same slope, and each half of it would be counted.
        outside = length(*(jnp.where(e >= 0, e, 0) for e in edges))
        return jnp.where(deepest > 0, outside, deepest) - rounding


class Union(eqx.Module):
    """All that lies in any of several shapes: `Union(a, b)`."""

    shapes: tuple[Callable, ...]

    def __init__(self, *shapes: Callable):
        if not shapes or not all(callable(shape) for shape in shapes):
            raise TypeError("Union: needs shapes, callables of the coordinates, as in Union(a, b).")
        self.shapes = shapes

    def __call__(self, *x) -> jax.Array:
        return functools.reduce(jnp.minimum, (shape(*x) for shape in self.shapes))


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
    x = [jnp.asarray(c, jnp.result_type(float, c)) for c in x]
    return [c - center[i].astype(c.dtype) for i, c in enumerate(x)]


def _check(name, above=None, like=None, **numbers):
    """Raise where numbers are not finite, not above a bound, or not as many as others; traced values pass."""
    for what, value in numbers.items():
        if like is not None and value.shape[-1:] != like.shape[-1:]:
            raise ValueError(
                f"{name}: `{what}` needs one number per axis, as `center` has, got {value.shape} beside {like.shape}."
            )
        if not _known(value):
            continue
        if not np.all(np.isfinite(np.asarray(value))):
            raise ValueError(f"{name}: `{what}` must be finite, got {value}.")
        if above is not None and not np.all(np.asarray(value) > above):
            raise ValueError(f"{name}: `{what}` must be positive, got {value}.")


def _known(*values) -> bool:
    return not any(isinstance(value, jax.core.Tracer) for value in values)
