"""Finite differences of fields that are cut into slabs over a device mesh.

Nodal values are cut along the first spatial axis. A derivative along it needs the nodes next to a slab, which
neighbors send each other; nothing else travels.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from . import _differences, _stencils, _walls
from ._axis import Axis
from ._walls import Trace
from .sharding import map_shards, slab_spec


def check(mesh: Mesh, shape: tuple[int, ...], order: int) -> None:
    """Errors for fields that a mesh cannot cut into equal slabs."""
    if not isinstance(mesh, Mesh):
        raise TypeError(f"FiniteDifference: `mesh` must be a jax.sharding.Mesh, got {type(mesh).__name__}.")
    if len(mesh.axis_names) != 1:
        raise ValueError(
            f"FiniteDifference: `mesh` must have one axis, over which fields are cut into slabs; got axes "
            f"{mesh.axis_names}. Use jax.make_mesh(({mesh.size},), ('slabs',))."
        )
    if shape[0] % mesh.size or shape[0] // mesh.size < order + 1:
        raise ValueError(
            f"FiniteDifference: {mesh.size} devices cannot share the {shape[0]} nodes of the first axis; it needs a "
            f"multiple of {mesh.size}, and at least {order + 1} nodes per device at order {order}."
        )


def difference(mesh: Mesh, values, axis: int, dimension: int, derivative: int, order: int, nodes: Axis,
               sides: tuple[Trace, Trace]):  # fmt: skip
    """As `_differences.difference`, along a spatial axis of values cut along the first one."""
    first = values.ndim - dimension
    along, width = first + axis, _stencils.half_width(derivative, order)
    leaves, structure = jax.tree.flatten(sides)
    slab = slab_spec(mesh, values.ndim, first)
    if axis == 0 and values.shape[first] // mesh.size < width:
        raise ValueError(f"partial: derivative {derivative} needs {width} nodes per device, beyond its neighbor's.")

    def local(block, *leaves):
        known = jax.tree.unflatten(structure, leaves)
        if axis > 0:
            return _differences.difference(block, along, derivative, order, nodes, known)
        lower, upper = _neighbors(mesh, block, along, width)
        if not nodes.periodic:
            ghosts = _walls.ends(block, along, width, known, order, nodes)
            place = lax.axis_index(mesh.axis_names[0])
            lower = jnp.where(place == 0, ghosts[0], lower)
            upper = jnp.where(place == mesh.size - 1, ghosts[1], upper)
        return _differences.central(lower, block, upper, along, derivative, order, nodes.spacing)

    # Wall values of other axes are cut like the nodes beside them, those of the first axis are everywhere.
    cut = [slab if axis > 0 and leaf.ndim == values.ndim else PartitionSpec() for leaf in leaves]
    return map_shards(local, mesh, (slab, *cut), slab)(values, *leaves)


def next_to(mesh: Mesh, values, dimension: int, end: int):
    """As `_walls.next_to`, for the first axis of a box whose values are cut along it: every device gets them."""
    first = values.ndim - dimension
    slab = slab_spec(mesh, values.ndim, first)

    def nodes(kept: int):
        def local(block):
            mine = lax.axis_index(mesh.axis_names[0]) == (0 if end == 0 else mesh.size - 1)
            edge = _walls.next_to(block, first, end)(kept)
            return lax.psum(jnp.where(mine, edge, 0), mesh.axis_names[0])

        return map_shards(local, mesh, (slab,), PartitionSpec())(values)

    return nodes


def _neighbors(mesh: Mesh, block, along: int, width: int):
    """The nodes before and behind every slab, around the ring of devices."""
    name, size, count = mesh.axis_names[0], mesh.size, block.shape[along]
    onward = [(i, (i + 1) % size) for i in range(size)]
    back = [(i, (i - 1) % size) for i in range(size)]
    lower = lax.ppermute(lax.slice_in_dim(block, count - width, count, axis=along), name, onward)
    upper = lax.ppermute(lax.slice_in_dim(block, 0, width, axis=along), name, back)
    return lower, upper
