"""Transport by a flow, in conservative form."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..calculus import partial
from ..field import Field
from . import _walls
from ._reconstruction import Central, Reconstruction, Upwind
from .finite_difference import FiniteDifference

__all__ = ["Central", "Reconstruction", "Upwind", "transport"]

_THIRD_ORDER = Upwind(3)


def transport(velocity: Any, u: Field, scheme: Reconstruction = _THIRD_ORDER) -> Field:
    """Divergence of the flux that a flow carries, $\\nabla\\cdot(v\\,u)$.

    On a `FiniteDifference` space it is made of differences of fluxes on faces, so that sums over the nodes change
    through walls only. The flux $v_a u$ of each axis is reconstructed on the faces by `scheme`, with the sign of $v_a$
    there saying which side is upwind. Where the flow comes in, ghosts follow from what is known of the flux at the
    wall (for uniform velocity the space's condition on `u`); where it goes out, they extrapolate the nodes inside,
    because nothing that is said there acts upstream. On other spaces it is the sum of `js.partial(v[a] * u, a)`.

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
    space, flux = u.space, velocity * u
    values = space.values(flux)
    along = values.ndim - space.dimension + axis
    if isinstance(velocity, Field):
        v = space.values(velocity)
        wind = Central(2)(_padded(velocity, v, axis, 1, None), 0.0, v.ndim - space.dimension + axis)
    else:
        wind = jnp.asarray(velocity).reshape((1,) * space.dimension)
    faces = scheme(_padded(flux, values, axis, scheme.reach, wind), wind, along)
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
