"""Transport by a flow, in conservative form."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..calculus import partial
from ..field import Field
from . import _walls
from ._base import real_dtype
from ._reconstruction import Central, Reconstruction, Upwind
from .finite_difference import FiniteDifference

__all__ = ["Central", "Reconstruction", "Upwind", "transport"]

_THIRD_ORDER = Upwind(3)


def transport(velocity: Any, u: Field, scheme: Reconstruction = _THIRD_ORDER) -> Field:
    """Divergence of the flux that a flow carries, $\\nabla\\cdot(v\\,u)$.

    On a `FiniteDifference` space it is made of differences of fluxes on faces, so that sums over the nodes change
    through walls only. With $v$ the velocity on a face, $\\hat u$ what `scheme` makes of $u$ there from the side that
    $v$ comes from, and $C$ the mean of what it makes from both sides, the flux is $v \\hat u + C(v u) - v\\,C(u)$: the
    last two, which make up for the variation of $v$, have no side, so that the order holds where $v$ changes its sign.
    The first order does without them and keeps positive what is positive. Where the flow comes in, ghosts follow from
    what is known at the wall; where it goes out, they extrapolate the nodes inside, because nothing that is said there
    acts upstream. On other spaces it is the sum of `js.partial(v[a] * u, a)`.

    **Arguments:**

    - `velocity`: $v$; a number in one dimension, one number per axis, or a field with one component per axis on the
        space of `u`. In length/time.
    - `u`: a field with any components.
    - `scheme`: `Central(2 or 4)` or `Upwind(1, 3 or 5)`; third order by default. Between walls the order is no higher
        than that of the space, whose ghosts it takes.

    **Returns:** a field with the components of `u`.

    **Raises:** `ValueError` for a velocity of another shape, on a stretched axis, or on a space with a device mesh.

    **Reference:** C.-W. Shu, Lecture Notes in Mathematics 1697, Springer 1998, section 2.3.1 (conservative finite
    differences).
    """
    space = u.space
    parts = _parts(velocity, u)
    if not isinstance(space, FiniteDifference):
        fluxes = [partial(part * u, axis) for axis, part in enumerate(parts)]
        return sum(fluxes[1:], fluxes[0])
    if space.mesh is not None:
        raise ValueError("transport: a space with a device mesh has `js.partial(velocity * u, axis)` only.")
    if any(axis.positions is not None for axis in space.axes):
        raise ValueError("transport: the schemes are for equal cells; use `js.partial(velocity * u, axis)` here.")
    total = sum(_along(part, u, axis, scheme) for axis, part in enumerate(parts))
    return space.derived(total)


def _parts(velocity, u: Field) -> list:
    """One scalar field or number per axis."""
    dimension = u.space.dimension
    if isinstance(velocity, Field):
        if dimension is not None and velocity.shape != (dimension,):
            raise ValueError(f"transport: the velocity needs {dimension} components; got {velocity.shape}.")
        return [velocity[axis] for axis in range(velocity.shape[0])]
    parts = list(velocity) if isinstance(velocity, (tuple, list)) or jnp.ndim(velocity) == 1 else [velocity]
    if any(jnp.ndim(part) for part in parts) or dimension not in (None, len(parts)):
        raise ValueError(f"transport: the velocity needs one number per axis ({dimension}); got {velocity!r}.")
    return parts


def _along(velocity, u: Field, axis: int, scheme: Reconstruction) -> jax.Array:
    """Differences of the flux of one axis between neighboring faces, over the spacing."""
    space, values = u.space, u.space.values(u)
    along = values.ndim - space.dimension + axis
    if isinstance(velocity, Field):
        v = space.values(velocity)
        wind = Central(2)(_padded(velocity, v, axis, 1, None), 0.0, v.ndim - space.dimension + axis)
    else:
        wind = jnp.asarray(velocity, real_dtype(values.dtype)).reshape((1,) * space.dimension)
    padded = _padded(u, values, axis, scheme.reach, wind)
    faces = wind * scheme(padded, wind, along)
    if isinstance(velocity, Field) and scheme.order > 1:
        flux = velocity * u
        fluxes = _padded(flux, space.values(flux), axis, scheme.reach, wind)
        sides = lambda a: 0.5 * (scheme(a, 1.0, along) + scheme(a, -1.0, along))
        faces = faces + sides(fluxes) - wind * sides(padded)
    count = values.shape[along]
    upper, lower = (lax.slice_in_dim(faces, start, start + count, axis=along) for start in (1, 0))
    return (upper - lower) / space.grid.spacing[axis]


def _padded(u: Field, values, axis: int, depth: int, wind) -> jax.Array:
    """Values between ghosts; where the wind on the outermost face blows outward, between extrapolated ones."""
    space = u.space
    along, nodes = values.ndim - space.dimension + axis, space.axes[axis]
    sides = space.trace(u, axis, 0), space.trace(u, axis, 1)
    ends = list(_walls.ends(values, along, depth, sides, space.order, nodes))
    for end, sign in ((0, -1), (1, 1)):
        if wind is None or nodes.periodic or sides[end] is None:
            continue
        place = wind.ndim - space.dimension + axis
        at_wall = lax.index_in_dim(wind, end * (wind.shape[place] - 1), place)
        extrapolated = _walls.ghosts(values, along, depth, None, space.order, nodes, end)
        ends[end] = jnp.where(sign * at_wall > 0, extrapolated, ends[end])
    return jnp.concatenate([ends[0], values, ends[1]], along)
