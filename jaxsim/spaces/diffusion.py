"""Diffusion with a coefficient that varies, in conservative form."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..calculus import laplacian, partial, pointwise
from ..field import Field, matched
from ..linear.diffusion import arithmetic_mean
from . import _differences, _walls
from ._compact import column
from .finite_difference import FiniteDifference

Entry = Any  # a scalar field, nodal values or a number


def diffuse(diffusivity: Any, u: Field, mean: Callable = arithmetic_mean) -> Field:
    """Divergence of a diffusive flux, $\\nabla\\cdot(D\\,\\nabla u)$.

    On a `FiniteDifference` space it is made of differences of fluxes through the faces between nodes, of second order
    whatever the order of the space, with equal cells or not: what leaves one cell enters the next, and sums over the
    nodes, weighted by their cells, change through walls only. The flux through a wall is $D$ there times the normal
    derivative that the condition gives: with `js.Neumann()` it is zero, whatever $D$ is. On other spaces it is the sum
    of `js.partial(D * js.partial(u, b), a)`.

    **Arguments:**

    - `diffusivity`: $D$, in length²/time; a number, a scalar field, nodal values,
        a function of the values of `u` such as `lambda u: u**2`, or a tensor of `(d, d)` numbers or a field with these
        components, whose flux is $\\sum_b D_{ab} \\partial_b u$. At walls of a tensor the condition is on
        $\\partial u/\\partial n$ all the same.
    - `u`: a field with any components.
    - `mean`: $D$ on a face from its two neighbors: `js.linear.harmonic_mean` where $D$ jumps. At a wall, values that
        `js.sample` or a function of `u` gives are known; of nodal values, and of fields made by `space.field`, the
        nearest one counts.

    **Returns:** a field with the components of `u`.

    **Raises:** `ValueError` for a tensor of another shape, and on a space with a device mesh.

    **Reference:** LeVeque, Finite Difference Methods for Ordinary and Partial Differential Equations (2007), section
    2.15; Patankar, Numerical Heat Transfer and Fluid Flow (1980), section 4.2-3 (harmonic means).
    """
    if callable(diffusivity) and not isinstance(diffusivity, Field):
        diffusivity = pointwise(diffusivity, u)
    on_grid = isinstance(u.space, FiniteDifference)
    same = not on_grid or (u.space.order == 2 and u.space.grid.uniform)
    if not isinstance(diffusivity, Field) and jnp.ndim(diffusivity) == 0 and same:
        return diffusivity * laplacian(u)
    tensor = _tensor(diffusivity, u)
    if not on_grid:
        fluxes = [sum(entry * partial(u, b) for b, entry in row.items()) for row in tensor]
        parts = [partial(flux, axis) for axis, flux in enumerate(fluxes)]
        return sum(parts[1:], parts[0])
    if u.space.mesh is not None:
        raise ValueError("diffuse: a space with a device mesh has `js.partial(D * js.partial(u, axis), axis)` only.")
    u.space.values(u)  # refuses the modes that integrators probe an equation with
    total = sum(_divergence(u, axis, tensor[axis], mean) for axis in range(u.space.dimension))
    return u.space.derived(total, taken=_taken(u))


def _tensor(diffusivity: Any, u: Field) -> list[dict[int, Entry]]:
    """The entries of each row that are not absent, by column."""
    dimension, space = u.space.dimension, u.space
    if dimension is None:
        raise ValueError("diffuse: pass `dimension=` to js.Function, or use js.residual, which finds it.")
    square = (dimension, dimension)
    if not isinstance(diffusivity, Field):
        values = jnp.asarray(diffusivity)
        if values.shape == square != getattr(space, "shape", None):
            return [{b: values[a, b] for b in range(dimension)} for a in range(dimension)]
        diffusivity = space.lift(u, values)
    diffusivity, _ = matched(diffusivity, u)
    if diffusivity.shape == square:
        return [{b: diffusivity[a, b] for b in range(dimension)} for a in range(dimension)]
    if diffusivity.shape not in ((), u.shape):
        raise ValueError(
            f"diffuse: `diffusivity` is a scalar, has the components of the field, {u.shape}, or is a tensor, "
            f"{square}; got {diffusivity.shape}."
        )
    return [{a: diffusivity} for a in range(dimension)]


def _divergence(u: Field, axis: int, row: dict[int, Entry], mean: Callable) -> jax.Array:
    """What the fluxes along one axis leave in the cells around the nodes, over their volumes."""
    space = u.space
    values, nodes = u.data.values, space.axes[axis]
    along, width = values.ndim - space.dimension + axis, space.grid.spacing[axis]
    coefficient = row.get(axis)
    flux = 0.0 if coefficient is None else _normal_flux(u, axis, coefficient, mean)
    for b, entry in row.items():
        if b != axis:
            flux = flux + _tangential_flux(u, axis, b, entry)
    count = flux.shape[along]
    net = lax.slice_in_dim(flux, 1, count, axis=along) - lax.slice_in_dim(flux, 0, count - 1, axis=along)
    volumes = nodes.volumes()
    if not nodes.periodic:
        volumes = volumes[int(nodes.gaps[0]) : len(volumes) - int(nodes.gaps[1])]
    return net / column(width * volumes, values, along)


def _normal_flux(u: Field, axis: int, entry: Entry, mean: Callable) -> jax.Array:
    """$D\\,\\partial_a u$ on the faces along axis $a$, one more than nodes."""
    space, values, nodes = u.space, u.data.values, u.space.axes[axis]
    back, width = axis - space.dimension, space.grid.spacing[axis]
    along, coefficient, x = values.ndim + back, _nodal(entry, u), nodes.nodes()
    inner = _on_faces(coefficient, back, mean) * _pairs(values, back, lambda a, b: b - a)
    if nodes.periodic:
        around = mean(_edge(coefficient, back, 1), _edge(coefficient, back, 0))
        seam = around * (_edge(values, back, 0) - _edge(values, back, 1)) / width
        return jnp.concatenate([seam, inner / width, seam], along)
    inner = inner / column(width * np.diff(x), values, along)
    ends = []
    for end, sign in ((0, -1), (1, 1)):
        wall = _walls.at_wall(space.trace(u, axis, end), _walls.next_to(values, along, end), along, 2, nodes, end)
        if u.data.taken and u.data.taken[axis] > 1:
            values = _walls.two_conditions(values, axis, (wall.trace, wall.trace))
        at = _at_wall(entry, u, axis, end)
        if nodes.gaps[end] == 1:  # the wall is a neighbor of the last node
            distance = width * (x[0] if end == 0 else nodes.extent - x[-1])
            beside = mean(at, _edge(coefficient, back, end))
            ends.append(beside * sign * (wall.value() - _edge(values, back, end)) / distance)
        else:
            ends.append(at * sign * wall.slope())
    return jnp.concatenate([ends[0], inner, ends[1]], along)


def _tangential_flux(u: Field, axis: int, other: int, entry: Entry) -> jax.Array:
    """$D\\,\\partial_b u$ on the faces along another axis: means of central differences at the nodes, and at walls."""
    space, values, nodes = u.space, u.data.values, u.space.axes[axis]
    back = axis - space.dimension
    along, beside = values.ndim + back, values.ndim - space.dimension + other
    closed = space.periodic[other]

    def slope(array, sides) -> Any:
        return _differences.difference(array, beside, 1, 2, space.axes[other], sides)

    sides = space.trace(u, other, 0), space.trace(u, other, 1)
    flux = _nodal(entry, u) * slope(values, sides)
    inner = _pairs(flux, back, lambda a, b: 0.5 * (a + b))
    if nodes.periodic:
        seam = 0.5 * (_edge(flux, back, 0) + _edge(flux, back, 1))
        return jnp.concatenate([seam, inner, seam], along)
    ends = []
    for end in (0, 1):
        wall = _walls.at_wall(space.trace(u, axis, end), _walls.next_to(values, along, end), along, 2, nodes, end)
        on_wall = _at_wall(entry, u, axis, end) * slope(wall.value(), sides if closed else (None, None))
        if nodes.gaps[end] == 1:
            on_wall = 0.5 * (on_wall + _edge(flux, back, end))
        ends.append(on_wall)
    return jnp.concatenate([ends[0], inner, ends[1]], along)


def _nodal(entry: Entry, u: Field) -> jax.Array:
    """Nodal values of a coefficient, or a number, that broadcast against those of `u`."""
    if not isinstance(entry, Field):
        return jnp.asarray(entry, u.dtype).reshape((1,) * u.space.dimension)
    return entry.space.values(entry)


def _at_wall(entry: Entry, u: Field, axis: int, end: int) -> jax.Array:
    """A coefficient on a wall: what is known of it there, else the nearest value."""
    values = _nodal(entry, u)
    back = axis - u.space.dimension
    if values.shape[back] == 1:
        return values
    trace = entry.data.traces[axis][end] if entry.data.traces is not None else None
    if trace is None:
        return _edge(values, back, end)
    return _walls.at_wall(trace, _walls.next_to(values, values.ndim + back, end), values.ndim + back, 2,
                          u.space.axes[axis], end).value()  # fmt: skip


def _on_faces(values, back: int, mean: Callable) -> jax.Array:
    return values if values.shape[back] == 1 else _pairs(values, back, mean)


def _pairs(values, back: int, function: Callable) -> jax.Array:
    """A function of neighbors along an axis."""
    along = values.ndim + back
    count = values.shape[along]
    return function(lax.slice_in_dim(values, 0, count - 1, axis=along), lax.slice_in_dim(values, 1, count, axis=along))


def _edge(values, back: int, end: int) -> jax.Array:
    """The first or the last values along an axis, which is counted from the back."""
    along = values.ndim + back
    count = values.shape[along]
    return lax.slice_in_dim(values, *((0, 1) if end == 0 else (count - 1, count)), axis=along)


def _taken(u: Field) -> tuple[int, ...]:
    return tuple(2 + n for n in (u.data.taken or (0,) * u.space.dimension))
