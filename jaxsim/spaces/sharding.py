"""Fields and arrays on a device mesh: where to put them, how to map over their pieces and how to stop a run.

A `jax.sharding.Mesh` axis is either `Auto` (XLA decides where intermediate arrays live) or `Explicit` (the type of
every array says so; what `jax.make_mesh` gives). Spaces and ensembles take meshes of both kinds. Fields are always
computed with `Auto` axes: modes picked out of a cut axis, or constants next to a cut array, have no `Explicit` type.
"""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from ..field import Field


def slab_spec(mesh: Mesh, ndim: int, axis: int) -> PartitionSpec:
    """The partition of an array of `ndim` axes whose `axis` is cut over the first axis of a mesh."""
    spec: list[str | None] = [None] * ndim
    spec[axis] = mesh.axis_names[0]
    return PartitionSpec(*spec)


def map_shards(function: Callable, mesh: Mesh, in_specs, out_specs, check_vma: bool = True) -> Callable:
    """`jax.shard_map` that takes arrays wherever they are and follows their kind of sharding.

    **Arguments:**

    - `function`: maps local pieces to local pieces.
    - `mesh`: the devices; `Auto` or `Explicit` axes are exchanged for those of the arguments.
    - `in_specs`: a tuple of one `PartitionSpec` per argument.
    - `out_specs`: the `PartitionSpec` of the result, or a pytree of them.
    - `check_vma`: whether JAX tracks which values differ between devices. `False` admits loops that start from
        constants, and `eqx.error_if`.

    **Raises:** `ValueError` inside another `shard_map`, where fields and ensembles cannot be cut again.
    """

    def mapped(*arguments):
        kind = axis_type(arguments)
        typed = Mesh(mesh.devices, mesh.axis_names, axis_types=(kind,) * len(mesh.axis_names))
        if kind is AxisType.Explicit:
            arguments = tuple(
                jax.tree.map(lambda a, spec=spec: jax.reshard(a, NamedSharding(typed, spec)), argument)
                for argument, spec in zip(arguments, in_specs, strict=True)
            )
        pieces = jax.shard_map(function, mesh=typed, in_specs=in_specs, out_specs=out_specs, check_vma=check_vma)
        return pieces(*arguments)

    return mapped


def axis_type(arguments) -> AxisType:
    """The kind of mesh axes that a computation with these arrays needs: `Explicit` if any of them has such axes."""
    meshes = [jax.sharding.get_abstract_mesh()]
    meshes += [jax.typeof(array).sharding.mesh for array in jax.tree.leaves(arguments)]
    types = {kind for mesh in meshes for kind in mesh.axis_types}
    if AxisType.Manual in types:
        raise ValueError(
            "fields and ensembles cannot be cut over a mesh inside `shard_map`: leave out `mesh=` of the space in a "
            "function given to js.ensemble, and do not nest ensembles."
        )
    return AxisType.Explicit if AxisType.Explicit in types else AxisType.Auto


def shard(field: Field) -> Field:
    """The same field with its arrays on the devices of its space's mesh, cut as the space's transforms want them.

    Nodal values are cut along the first spatial axis, spectra along the last; components and batch axes stay whole.
    A field that is not placed is moved at its first transform; placing it once saves that, and the memory of the
    first device. Under `jax.jit` this constrains the sharding. The mesh axes of the arrays become `Auto`.

    **Arguments:**

    - `field`: a field on a space with a `mesh`.

    **Returns:** a field with equal values.

    **Raises:** `TypeError` for anything but a field, `ValueError` for a space without a mesh.
    """
    if not isinstance(field, Field):
        raise TypeError(f"shard needs a Field, as made by `space.field(...)`; got {type(field).__name__}.")
    mesh = getattr(field.space, "mesh", None)
    if mesh is None:
        raise ValueError("shard: this field's space has no mesh; make it with `mesh=`, as js.Fourier(grid, mesh=mesh).")
    cut = field.space.cut_axes()
    parts = {name: getattr(field.data, name) for name in cut}
    placed = {name: _place(mesh, array, cut[name]) for name, array in parts.items() if array is not None}
    return Field(field.space, dataclasses.replace(field.data, **placed))


def _place(mesh: Mesh, array, axis: int) -> jax.Array:
    auto = Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,))
    return jax.device_put(array, NamedSharding(auto, slab_spec(mesh, jnp.ndim(array), axis)))


TIMED = "error_at"  # the name of a check in a trace whose last argument is a time


def error_if(value, failed: jax.Array, message: str, time: jax.Array | None = None):
    """`eqx.error_if` that is safe for fields cut over a mesh.

    Used directly on an array that is cut, `eqx.error_if` gathers it on one device, and raises there only: the others
    wait in their next collective for the one that left, until XLA ends the whole process. Here every device sees the
    same `failed` and raises at the same point, each with its own piece in hand.

    **Arguments:**

    - `value`: a pytree of fields and arrays. Fields of a space with a mesh keep their cut; the rest is copied to
        every device if there are such fields.
    - `failed`: boolean, the same on every device, such as `~jnp.isfinite(state).all()` (one all-reduce of one bit).
    - `message`: text of the error.
    - `time`: when it happened, for the errors of js.ensemble.

    **Returns:** `value`, which must be used: a check whose result nobody needs is removed by the compiler, as happens
    to a check on a scalar that only `jax.grad` asks for.
    """
    nodes = jax.tree.leaves(value, is_leaf=_is_field)
    mesh = next((node.space.mesh for node in nodes if _is_cut(node)), None)
    if mesh is None:
        return eqx.error_if(value, failed, message) if time is None else _error_at(value, failed, message, time)
    specs, arrays = [PartitionSpec()], [jnp.any(failed)]
    for node in nodes:
        specs += _specs(node)
        arrays += jax.tree.leaves(node)

    def check(failed, *pieces):
        return eqx.error_if(list(pieces), failed, message)

    checked = map_shards(check, mesh, tuple(specs), specs[1:], check_vma=False)(*arrays)
    return jax.tree.unflatten(jax.tree.structure(value), checked)


def _error_at(value, failed, message: str, time):
    """A check whose trace tells the time: infinity where it passes."""

    def error_at(leaves, when):
        return eqx.error_if(leaves, when != jnp.inf, message)

    leaves, structure = jax.tree.flatten(value)
    when = jnp.where(failed, jax.lax.stop_gradient(time), jnp.inf)
    return jax.tree.unflatten(structure, jax.jit(error_at)(leaves, when))


def _specs(node) -> list[PartitionSpec]:
    """One partition per leaf of a node, in the order of `jax.tree.leaves`."""
    if not _is_cut(node):
        return [PartitionSpec() for _ in jax.tree.leaves(node)]
    specs, cut = [PartitionSpec() for _ in jax.tree.leaves(node.space)], node.space.cut_axes()
    for item in dataclasses.fields(node.data):
        if item.metadata.get("static"):
            continue
        for array in jax.tree.leaves(getattr(node.data, item.name)):
            whole = item.name not in cut
            specs.append(PartitionSpec() if whole else slab_spec(node.space.mesh, jnp.ndim(array), cut[item.name]))
    return specs


def _is_field(node) -> bool:
    return isinstance(node, Field)


def _is_cut(node) -> bool:
    return _is_field(node) and getattr(node.space, "mesh", None) is not None
