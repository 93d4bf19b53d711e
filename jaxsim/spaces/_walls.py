"""What is known of a finite-difference field at each wall, and the ghost nodes that follow from it.

A *trace* is a condition from `boundary.py` whose right-hand side is an array of the field's shape with the
wall's axis of size one, or `None` where nothing is known. Linear functions that act on leading axes therefore
apply to traces as they do to nodal values.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax

from . import _stencils
from ._axis import Axis
from ._base import real_dtype
from .boundary import Boundary, Dirichlet, Periodic, is_concrete, same_kind

Trace = Boundary | None
Traces = tuple[tuple[Trace, Trace], ...]


def map_walls(function: Callable[[int, int], Trace], periodic: tuple[bool, ...]) -> Traces:
    """Traces from a function of the axis and the end, 0 the lower."""
    closed = (Periodic(), Periodic())
    return tuple(closed if p else (function(axis, 0), function(axis, 1)) for axis, p in enumerate(periodic))


def unknown(periodic: tuple[bool, ...]) -> Traces | None:
    """Traces of a field of which nothing is known at the walls."""
    return None if all(periodic) else map_walls(lambda axis, end: None, periodic)


def face_shape(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A nodal shape with one axis of size one."""
    return tuple(1 if a == axis else n for a, n in enumerate(shape))


def face_coordinates(space, axis: int, end: int) -> tuple:
    """Coordinates of the points of a side, arrays of the face's shape."""
    wall = np.array([(space.grid.lower, space.grid.upper)[end][axis]])
    axes = [wall if a == axis else space.nodes(a) for a in range(space.dimension)]
    return tuple(jnp.asarray(x) for x in np.meshgrid(*axes, indexing="ij"))


def face_values(function: Callable, coordinates: tuple, components: tuple[int, ...], shape: tuple[int, ...]) -> Trace:
    """The wall value of a sampled function; unknown where it does not follow its arguments' shape."""
    values = function(*coordinates)
    grid_axes = values.shape[max(values.ndim - len(shape), 0) :]
    if any(n not in (1, m) for n, m in zip(grid_axes[::-1], shape[::-1])):
        return None
    return Dirichlet(jnp.broadcast_to(values, (*components, *shape)))


def resolve(space, axis: int, end: int, shape: tuple[int, ...], dtype) -> Boundary:
    """The space's own condition on one side as a trace of a field with values of this shape and type."""
    condition, dimension = space.boundary[axis][end], space.dimension
    if isinstance(condition, Periodic):
        return condition
    components, value = shape[: len(shape) - dimension], condition.value
    if callable(value):
        t = jnp.asarray(0.0 if space.time is None else space.time)
        t = t.reshape(t.shape + (1,) * (len(shape) - 1 - t.ndim)) if t.ndim else t
        points = face_coordinates(space, axis, end)
        value = jnp.asarray(value(t, *(jnp.squeeze(x, axis) for x in points)))
    if jnp.iscomplexobj(value) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError("FiniteDifference: a complex boundary value on a space of real fields; use real=False.")
    side = space.shape[:axis] + space.shape[axis + 1 :]
    target = (*components, *side)
    try:
        value = jnp.broadcast_to(jnp.asarray(0.0 if value is None else value).astype(dtype), target)
    except ValueError:
        raise ValueError(
            f"{type(condition).__name__}: the boundary value of axis {axis} has shape {value.shape}, which "
            f"does not broadcast against {target}, the components of the field and the nodes of the side."
        ) from None
    return condition.with_value(jnp.expand_dims(value, len(components) + axis))


def constant(array, shape: tuple[int, ...], traces: Traces) -> Traces:
    """Traces of something uniform with values of this shape, of the kinds of `traces`."""
    dimension = len(traces)

    def one(trace, axis):
        if trace is None or isinstance(trace, Periodic):
            return trace
        along = len(shape) - dimension + axis
        value = jnp.asarray(trace.coefficients()[0], array.dtype) * array
        return trace.with_value(jnp.broadcast_to(value, (*shape[:along], 1, *shape[along + 1 :])))

    return tuple((one(lower, axis), one(upper, axis)) for axis, (lower, upper) in enumerate(traces))


def combine(function: Callable, traces: list[Traces]) -> Traces:
    """Traces of a linear function of fields: known where all fields have the same kind of condition."""

    def one(*members):
        if isinstance(members[0], Periodic):
            return members[0]
        known = same_kind(members)
        if known is False:
            return None
        total = members[0].with_value(function(*(c.value for c in members)))
        return total if known is True else dataclasses.replace(total, known=known)

    return tuple(tuple(one(*members) for members in zip(*pairs)) for pairs in zip(*traces))


def product(u: Traces, v: Traces) -> Traces:
    """Traces of a product: known where both factors have known values."""

    def one(a, b):
        if isinstance(a, Periodic):
            return a
        return Dirichlet(a.value * b.value) if isinstance(a, Dirichlet) and isinstance(b, Dirichlet) else None

    return tuple(tuple(one(a, b) for a, b in zip(p, q)) for p, q in zip(u, v))


def ends(values, along: int, depth: int, sides: tuple[Trace, Trace], order: int, axis: Axis):
    """`depth` more values for either end of one axis: those around the period, or ghosts."""
    if not axis.periodic:
        return tuple(ghosts(values, along, depth, sides[end], order, axis, end) for end in (0, 1))
    count = values.shape[along]
    lower = lax.slice_in_dim(values, count - depth, count, axis=along)
    return lower, lax.slice_in_dim(values, 0, depth, axis=along)


def with_walls(values, along: int, sides: tuple[Trace, Trace], order: int, axis: Axis):
    """Nodal values with those on the walls of an axis whose nodes lie on faces and leave the walls out."""
    parts = [values]
    if axis.gaps[0] == 1 and not axis.periodic:
        parts.insert(0, ghosts(values, along, 1, sides[0], order, axis, 0))
    if axis.gaps[1] == 1 and not axis.periodic:
        parts.append(ghosts(values, along, 1, sides[1], order, axis, 1))
    return jnp.concatenate(parts, along) if len(parts) > 1 else values


def ghosts(values, along: int, depth: int, trace: Trace, order: int, axis: Axis, end: int):
    """`depth` ghost values beyond one end of an axis, in ascending order."""
    if trace is not None and trace.known is not None:
        certain = dataclasses.replace(trace, known=None)
        either = (ghosts(values, along, depth, condition, order, axis, end) for condition in (certain, None))
        return jnp.where(trace.known, *either)
    trace = None if isinstance(trace, Dirichlet) and axis.gaps[end] == 0 else trace  # the node on the wall knows
    count, kept = values.shape[along], closing_nodes(trace, order, axis.gaps[end] == 0)
    inside = (
        lax.slice_in_dim(values, 0, kept, axis=along)
        if end == 0
        else (lax.slice_in_dim(values, count - kept, count, axis=along))
    )
    closure, vector = _stencils.closure(axis.inside(end, kept), axis.outside(end, depth)), None
    matrix = closure.nodes
    if trace is not None:
        a, b = trace.coefficients()
        if is_concrete(a, b):
            a, b = np.asarray(a, float), np.asarray(b, float)
        else:
            cast = lambda x: jnp.asarray(x, real_dtype(values.dtype))
            a, b, closure = cast(a), cast(b), _stencils.Closure(*map(cast, closure))
        matrix, vector = closure.matrices(a, b / axis.spacing)
    # Closures count from the wall inward and outward; arrays ascend along the axis.
    flip = slice(None, None, -1)
    matrix = matrix[flip] if end == 0 else matrix[:, flip]
    matrix = jnp.asarray(matrix, values.dtype)
    outside = jnp.moveaxis(jnp.tensordot(matrix, inside, ((1,), (along,)), precision=lax.Precision.HIGHEST), 0, along)
    if vector is None:
        return outside
    vector = jnp.asarray(vector[flip] if end == 0 else vector, values.dtype)
    return outside + vector.reshape((-1,) + (1,) * (values.ndim - 1 - along)) * trace.value


def closing_nodes(trace: Trace, order: int, on_wall: bool = False) -> int:
    """How many nodes the polynomial at a wall goes through.

    A derivative at the wall is one order less accurate than a value, which one more node makes up for; at
    second order the mirror image has that accuracy by symmetry, and takes the node on the wall beside it. With
    these numbers the spectrum of the second derivative lies in the closed left half plane for every mixture of
    conditions (measured).
    """
    if trace is None:
        return order + 1
    if isinstance(trace, Dirichlet) or order == 2:
        return order - 1 + on_wall
    return order
