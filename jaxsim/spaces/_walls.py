"""What is known of a finite-difference field at each wall, and the ghost nodes that follow from it.

A *trace* is a condition from `boundary.py` whose right-hand side is an array of the field's shape with the
wall's axis of size one, or has the value `None` where it is known to be zero; or it is `None` itself where nothing is
known. Linear functions that act on leading axes therefore apply to traces as they do to nodal values.
"""

import dataclasses
import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import _stencils
from ._axis import Axis
from ._base import real_dtype
from .boundary import Boundary, Clamped, Dirichlet, Neumann, Periodic, WallFlux, is_concrete, is_zero, same_kind
from .sharding import error_if

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


def resolve(space, axis: int, end: int, shape: tuple[int, ...], dtype, on_wall: Callable | None = None) -> Boundary:
    """The space's own condition on one side as a trace of a field with values of this shape and type.

    `on_wall` gives the values there, for a `WallFlux`.
    """
    condition, dimension = space.boundary[axis][end], space.dimension
    if isinstance(condition, Periodic):
        return condition
    if is_zero(condition.value):
        side = space.shape[:axis] + space.shape[axis + 1 :]
        return _over_the_side(condition, axis, side).with_value(None)
    components, value = shape[: len(shape) - dimension], condition.value
    if callable(value):
        t = jnp.asarray(0.0 if space.time is None else space.time)
        t = t.reshape(t.shape + (1,) * (len(shape) - 1 - t.ndim)) if t.ndim else t
        points = face_coordinates(space, axis, end)
        state = ()
        if isinstance(condition, WallFlux) and on_wall is not None:
            state = (jnp.squeeze(on_wall(), len(components) + axis),)
        value = jnp.asarray(value(t, *state, *(jnp.squeeze(x, axis) for x in points)))
    if jnp.iscomplexobj(value) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError("FiniteDifference: a complex boundary value on a space of real fields; use real=False.")
    side = space.shape[:axis] + space.shape[axis + 1 :]
    target = (*components, *side)
    try:
        value = jnp.broadcast_to(jnp.asarray(value).astype(dtype), target)
    except ValueError:
        raise ValueError(
            f"{type(condition).__name__}: the boundary value of axis {axis} has shape {value.shape}, which "
            f"does not broadcast against {target}, the components of the field and the nodes of the side."
        ) from None
    return _over_the_side(condition, axis, side).with_value(jnp.expand_dims(value, len(components) + axis))


def _over_the_side(condition: Boundary, axis: int, side: tuple[int, ...]) -> Boundary:
    """The condition, with numbers that vary along the side as arrays of grid axes, that of the wall of size one."""
    if not varies(condition):
        return condition
    try:
        a, b = (jnp.expand_dims(jnp.broadcast_to(jnp.asarray(c), side), axis) for c in condition.coefficients())
    except ValueError:
        shapes = [np.shape(c) for c in condition.coefficients()]
        raise ValueError(f"Robin: `a` and `b` have shapes {shapes}, which do not broadcast against the nodes of the "
                         f"side of axis {axis}, {side}.") from None  # fmt: skip
    return dataclasses.replace(condition, a=a, b=b)


def varies(condition: Trace) -> bool:
    """Whether the numbers of a condition vary along the side."""
    numbers = () if condition is None or isinstance(condition, Periodic) else condition.coefficients()
    return any(np.ndim(c) for c in numbers)


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
        if any(isinstance(c, Clamped) for c in members) and all(isinstance(c, Dirichlet) for c in members):
            members = [c if all(type(m) is Clamped for m in members) else Dirichlet(c.value) for c in members]
        known = same_kind(members)
        if known is False:
            return None
        value = _linear_of(function, [c.value for c in members])
        total = members[0].with_value(value)
        return total if known is True else dataclasses.replace(total, known=known)

    return tuple(tuple(one(*members) for members in zip(*pairs)) for pairs in zip(*traces))


def _linear_of(function: Callable, values: list):
    """A linear function of values, some of which may be known zeros."""
    given = next((v for v in values if v is not None), None)
    if given is None:
        return None
    return function(*(jnp.zeros_like(given) if v is None else v for v in values))


def derived(trace: Trace) -> Trace:
    """What is known of a derivative along a wall, or of an even one across it: a condition with the value zero.

    Along a wall that is exact. Across it, it says that the even (Neumann) or odd (Dirichlet) continuation of the field
    is smooth, as that of a solution of the equations of diffusion is: the domain of the square of an operator.
    """
    if trace is None or isinstance(trace, Periodic) or trace.value is None:
        return trace
    zero = jnp.all(trace.value == 0)  # where it is traced, the program that runs finds out
    if is_concrete(zero, trace.known):
        return trace.with_value(None) if zero and trace.known is None else None
    return flagged(trace.with_value(None), [zero, trace.known])


def flagged(trace: Trace, flags: list) -> Trace:
    """A condition that holds where all flags do; `None` among them is certain."""
    flags = [f for f in flags if f is not None]
    if trace is None or not flags:
        return trace
    return dataclasses.replace(trace, known=functools.reduce(jnp.logical_and, flags))


def certain(trace: Trace) -> Trace:
    """The condition, without the flag that says whether it holds."""
    return trace if trace is None or trace.known is None else dataclasses.replace(trace, known=None)


def two_conditions(values, axis: int, sides: tuple[Trace, Trace]):
    """`values` for a fourth derivative across walls, if something is known there of the second.

    **Raises:** `ValueError` if not, and a run-time error where conditions are traced.
    """
    message = (
        f"nothing is known at the walls of axis {axis} of a field that is made with derivatives across them, so that a "
        "fourth derivative has only one of the two conditions that it needs, and what it drives is ill-posed. "
        "Conditions with the value zero, such as js.Dirichlet() and js.Neumann(), hold for even derivatives as well (a "
        "plate that is simply supported; no flux of u and of its potential); js.Clamped() is value and slope zero. "
        "Subtract a field that has the values of the walls, or write the equation as two of second order."
    )
    for side in sides:
        if side is None:
            raise ValueError(message)
        if side.known is not None:
            values = error_if(values, jnp.any(~side.known), message)
    return values


def across(sides: tuple[Trace, Trace], values, along: int, derivative: int, order: int, axis: Axis):
    """What is known of a derivative at the walls that it crosses."""

    def one(end):
        trace = sides[end]
        if isinstance(trace, Clamped) and derivative <= 2:
            return Dirichlet(None if derivative == 1 else _bend(values, along, order, axis, end))
        if derivative % 2 == 0:
            return derived(trace)
        trace = trace if derivative == 1 else derived(trace)
        if isinstance(trace, Neumann):
            value = None if trace.value is None else (2 * end - 1) * trace.value
            return Dirichlet(value, known=trace.known)
        return None

    return one(0), one(1)


class Wall(NamedTuple):
    """A field at one wall: what is known there, and how to find its values and outward slopes.

    `taken` counts the derivatives across the wall that it was made with.
    """

    trace: Trace
    value: Callable[[], Any]
    slope: Callable[[], Any]
    taken: int


def next_to(values, along: int, end: int) -> Callable[[int], Any]:
    """A function that gives so many of the nodes next to a wall, ascending along the axis."""
    count = values.shape[along]
    return lambda kept: lax.slice_in_dim(values, *((0, kept) if end == 0 else (count - kept, count)), axis=along)


def at_wall(trace: Trace, near: Callable[[int], Any], along: int, order: int, axis: Axis, end: int,
            taken: int = 0) -> Wall:  # fmt: skip
    """Values and outward slopes on a wall: known ones, otherwise those of the polynomial that ghosts lie on."""
    if trace is not None and trace.known is not None:
        true, false = (at_wall(t, near, along, order, axis, end) for t in (certain(trace), None))
        choose = lambda a, b: jnp.where(trace.known, a(), b())
        return Wall(trace, lambda: choose(true.value, false.value), lambda: choose(true.slope, false.slope), taken)
    on_wall = axis.gaps[end] == 0
    kept = closing_nodes(trace, order, on_wall)
    closure = _stencils.closure(axis.inside(end, kept), ())

    of_nodes = _rows(near, kept, along, end)

    def given():
        return jnp.zeros_like(near(1)) if trace.value is None else trace.value

    def value():
        if isinstance(trace, Dirichlet):
            return given()
        if on_wall:
            return near(1)
        return of_nodes(closure.face) + _share(trace, closure, of_nodes, axis) * closure.bubble_face

    def slope():
        if isinstance(trace, Neumann):
            return given()
        return (of_nodes(closure.slope) + _share(trace, closure, of_nodes, axis) * closure.bubble_slope) / axis.spacing

    return Wall(trace, value, slope, taken)


def _rows(near: Callable[[int], Any], kept: int, along: int, end: int) -> Callable:
    """A function of a row of weights: the sum over the nodes next to a wall, counted from it."""

    def of_nodes(row):
        inside = jnp.flip(near(kept), along) if end == 1 else near(kept)
        row = jnp.asarray(row, real_dtype(inside.dtype))
        return jnp.expand_dims(jnp.tensordot(row, inside, ((0,), (along,)), precision=lax.Precision.HIGHEST), along)

    return of_nodes


def _share(trace: Trace, closure: _stencils.Closure, of_nodes: Callable, axis: Axis):
    """How much of the polynomial that vanishes at the nodes makes the condition hold."""
    if trace is None:
        return 0.0
    face, slope = of_nodes(closure.face), of_nodes(closure.slope)
    a, b = (jnp.asarray(c, real_dtype(face.dtype)) for c in trace.coefficients())
    b = b / axis.spacing
    left = (0 if trace.value is None else trace.value) - a * face - b * slope
    return left / (a * closure.bubble_face + b * closure.bubble_slope)


def function_of(function: Callable, walls: list[Wall], shape: tuple[int, ...]) -> Trace:
    """What is known at a wall of a function of values, given the shape that its values have there.

    Where one of the fields has a known value the function has one, and otherwise a known slope, by the chain rule.
    """
    known = [w.trace for w in walls]
    if any(t is None for t in known):
        return None
    flags = [t.known for t in known]
    if all(isinstance(t, Neumann) and t.value is None for t in known):
        return flagged(Neumann(), flags)
    values = [w.value() for w in walls]
    try:
        found = jax.eval_shape(function, *values)
    except (TypeError, ValueError, IndexError):  # it knows the nodes, as one that multiplies with nodal values does
        return None
    if found.shape != shape:
        return None
    if any(isinstance(t, Dirichlet) for t in known):
        return flagged(Dirichlet(function(*values)), flags)
    slopes = [w.slope().astype(v.dtype) for w, v in zip(walls, values)]
    return flagged(Neumann(jax.jvp(function, values, slopes)[1]), flags)


def product(walls: list[Wall], shape: tuple[int, ...]) -> Trace:
    """What is known at a wall of a product: with one known value there, which may be zero, the value of the product.

    A second derivative of which nothing is known has no value: its extrapolation would drive what it is made of.
    """
    u, v = walls
    zero = next((w.trace for w in (u, v) if isinstance(w.trace, Dirichlet) and w.trace.value is None), None)
    if zero is not None and zero.known is None:
        return Dirichlet()
    for one, other in ((u, v), (v, u)):
        if isinstance(one.trace, Dirichlet):
            if other.trace is None and other.taken > 1:
                return None
            flags = [one.trace.known, other.trace.known if other.trace is not None and other.taken > 1 else None]
            return flagged(Dirichlet(one.value() * other.value()), flags)
    return function_of(lambda a, b: a * b, [u, v], shape)


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
        either = (ghosts(values, along, depth, condition, order, axis, end) for condition in (certain(trace), None))
        return jnp.where(trace.known, *either)
    if isinstance(trace, Clamped):
        return _clamped_ghosts(values, along, depth, order, axis, end)
    trace = None if isinstance(trace, Dirichlet) and axis.gaps[end] == 0 else trace  # the node on the wall knows
    kept = closing_nodes(trace, order, axis.gaps[end] == 0)
    near = next_to(values, along, end)
    inside = near(kept)
    closure, vector = _stencils.closure(axis.inside(end, kept), axis.outside(end, depth)), None
    if varies(trace):
        of_nodes = _rows(near, kept, along, end)
        share = _share(trace, closure, of_nodes, axis)
        outward = [of_nodes(row) + share * size for row, size in zip(closure.nodes, closure.bubble)]
        return jnp.concatenate(outward[::-1] if end == 0 else outward, along)
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
    if vector is None or trace.value is None:
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


def _clamped_ghosts(values, along: int, depth: int, order: int, axis: Axis, end: int):
    """Ghosts on the polynomial that has a double zero at the wall: $x^2 q(x)$, with $q$ through $u_i / x_i^2$."""
    rows = _clamped_rows(axis, order, end, tuple(axis.outside(end, depth)), 0)
    ghosts = _of_nodes(rows, values, along, end)
    return jnp.flip(ghosts, along) if end == 0 else ghosts


def _bend(values, along: int, order: int, axis: Axis, end: int):
    """The second derivative across a wall of a clamped field."""
    return _of_nodes(_clamped_rows(axis, order, end, (0,), 2), values, along, end) / axis.spacing**2


def _of_nodes(rows, values, along: int, end: int):
    """Rows of weights of the nodes next to a wall, counted from it, times their values."""
    inside = next_to(values, along, end)(rows.shape[1])
    rows = jnp.asarray(rows if end == 0 else rows[:, ::-1], real_dtype(values.dtype))
    found = jnp.tensordot(rows, inside, ((1,), (along,)), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(found, 0, along)


@functools.cache
def _clamped_rows(axis: Axis, order: int, end: int, places: tuple, derivative: int) -> np.ndarray:
    inside = axis.inside(end, order - 1)
    scale = [2 if derivative == 2 else Fraction(x) ** 2 for x in places]
    rows = [[s * w / Fraction(y) ** 2 for w, y in zip(_stencils.weights(inside, x, 0), inside)]
            for s, x in zip(scale, places)]  # fmt: skip
    return np.array([[float(w) for w in row] for row in rows])
