"""The projection of a staggered velocity on fields without divergence, by fast diagonalization.

$u - G p$ with $D G p = D u$, where the discrete divergence $D$ and gradient $G$ are compact and what passes the walls
is part of $D u$. $D G$ is a sum of one matrix per axis, so that its eigenvectors give $p$ to rounding; where no side
is open the mean of $p$ is zero.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax

from ..field import Field
from ..linear.bases import DenseBasis
from . import _walls
from ._bases import axis_basis
from ._compact import Cells, column
from ._fluxes import through
from ._modes import FiniteDifferenceModes, inverse_laplacian
from .boundary import Dirichlet, Neumann, Periodic
from .flow_boundary import ConvectiveOutflow


def project(space, u: Field, beside: Field | None = None) -> Field:
    """The part of `u` without divergence; with `beside`, that of the sum without `beside` itself."""
    # with `beside` the sum is projected as a whole: XLA would else compute both parts anew for every neighbor
    whole = u if beside is None else u + beside
    pressure, excess = potential(space, whole)
    results = []
    for i, c in enumerate(space.split(whole)):
        values = c.data.values - gradient(space, pressure, i, c.space.axes[i])
        values = values if excess is None else _shifted(space, values, i, excess)
        if beside is None:
            results.append(Field(c.space, dataclasses.replace(c.data, values=values)))
        else:
            results.append(c.space.derived(values - beside.data[i].values))
    return space.join(results)


def potential(space, u: Field):
    """The pressure whose gradient projection subtracts, at the centers, and the excess of what leaves, or `None`."""
    divergence = _outflow(space, [_crossing(c, i) for i, c in enumerate(space.split(u))])
    excess = _excess(space, divergence)
    if excess is not None:
        divergence = divergence - excess * sum(_beside_wall(space, divergence, *side) for side in _convective(space))
    return (_free if space.body is None else _around_body)(space, divergence), excess


def _outflow(space, faces):
    """The divergence of values on all faces of every axis."""
    dimension = space.dimension
    return sum(
        cells.difference_at_centers(through(space, values, i), values.ndim - dimension + i)
        for i, (values, cells) in enumerate(zip(faces, space.cells))
    )


def _free(space, divergence):
    """The pressure of $D G p$; the transpose of the solve is the same solve, with volumes that make it symmetric."""
    modes, volumes = pressure_modes(space), _volumes(space, divergence)
    solve = lambda _, b: inverse_laplacian(modes, b)
    transposed = lambda _, b: volumes * inverse_laplacian(modes, b / volumes)
    bodiless = dataclasses.replace(space, body=None)
    return lax.custom_linear_solve(lambda p: _outflow(bodiless, _slopes(space, p)), divergence, solve, transposed)


def _volumes(space, like):
    """Volumes of the cells, an array that broadcasts against values at the centers; 1 where all are equal."""
    if space.grid.uniform:
        return 1.0
    first = like.ndim - space.dimension
    return math.prod(column(c.widths or (c.spacing,) * c.count, like, first + a) for a, c in enumerate(space.cells))


def _slopes(space, pressure):
    """The gradient of values at the centers on all faces of every axis."""
    return [gradient(space, pressure, a, space.component(a).axes[a], walls=True) for a in range(space.dimension)]


def _around_body(space, divergence):
    """The pressure of $D \\alpha G p$, by a Krylov method; volumes make the operator symmetric."""
    volumes = _volumes(space, divergence)

    def operator(pressure):
        return -volumes * _outflow(space, _slopes(space, pressure))

    def solve(divergence):
        structure = jax.ShapeDtypeStruct(divergence.shape, divergence.dtype)
        matrix = lx.FunctionLinearOperator(operator, structure, tags=lx.positive_semidefinite_tag)
        precondition = lambda residual: _free(space, -residual / volumes)
        return lx.linear_solve(
            matrix, -volumes * divergence, space.body.solver, options={"preconditioner": precondition}
        ).value

    leading = divergence.shape[: divergence.ndim - space.dimension]
    if not leading:
        return solve(divergence)
    flat = jax.vmap(solve)(divergence.reshape(-1, *divergence.shape[len(leading) :]))
    return flat.reshape(divergence.shape)


def gradient(space, pressure, axis: int, nodes, walls: bool = False):
    """The compact gradient of values at the centers, at the nodes of one velocity component or on all faces."""
    along = pressure.ndim - space.dimension + axis
    beyond = jnp.zeros_like(lax.slice_in_dim(pressure, 0, 1, axis=along))
    slope = space.cells[axis].difference_at_faces(
        pressure, along, tuple(beyond if is_open else None for is_open in _open(space, axis))
    )
    if nodes.periodic:
        return slope
    pads = [(0, 0)] * slope.ndim  # nodes on walls that no pressure moves
    pads[along] = tuple(
        int((walls or gap == 0) and not is_open) for gap, is_open in zip(nodes.gaps, _open(space, axis))
    )
    return jnp.pad(slope, pads)


def pressure_modes(space) -> FiniteDifferenceModes:
    """The eigenvectors of $D G$."""
    sides = tuple(
        (Periodic(), Periodic()) if p else tuple(Dirichlet() if o else Neumann() for o in _open(space, axis))
        for axis, p in enumerate(space.periodic)
    )
    scalar = space.scalar(sides)
    bases = tuple(
        axis_basis(nodes, pair, 2) if cells.widths is None else _stretched_basis(cells, _open(space, axis))
        for axis, (nodes, pair, cells) in enumerate(zip(scalar.axes, sides, space.cells))
    )
    return FiniteDifferenceModes(scalar, bases)


@functools.cache
def _stretched_basis(cells: Cells, is_open: tuple[bool, bool]) -> DenseBasis:
    widths = np.array(cells.widths)
    distances = 0.5 * (widths[1:] + widths[:-1])
    gradient = np.diff(np.eye(cells.count), axis=0) / distances[:, None]
    first, last = np.zeros((1, cells.count)), np.zeros((1, cells.count))
    first[0, 0], last[0, -1] = is_open[0] / (0.5 * widths[0]), -is_open[1] / (0.5 * widths[-1])
    gradient = np.concatenate([first, gradient, last])
    return DenseBasis.from_matrix(np.diff(gradient, axis=0) / widths[:, None], widths)


# -- what passes the walls -------------------------------------------------------------------------------------------
def _crossing(c: Field, axis: int):
    """A component on all faces of its axis; on walls their velocity, or its rate where nothing is known there."""
    values, nodes = c.data.values, c.space.axes[axis]
    sides = [c.space.trace(c, axis, end) for end in (0, 1)]
    sides = [_rate(c, axis, end) if _unsure(t) and nodes.gaps[end] == 1 else t for end, t in enumerate(sides)]
    return _walls.with_walls(values, values.ndim - c.space.dimension + axis, tuple(sides), 2, nodes)


def _unsure(trace: _walls.Trace) -> bool:
    return trace is None or trace.known is not None


def _rate(c: Field, axis: int, end: int) -> Dirichlet | Periodic:
    """The rate of change of the velocity of a wall."""
    space, values = c.space, c.data.values
    if space.periodic[axis]:
        return Periodic()
    condition = space.boundary[axis][end]

    def at(t):
        timed = dataclasses.replace(space, time=t)
        return _walls.resolve(timed, axis, end, values.shape, values.dtype).value

    if not callable(condition.value):
        return Dirichlet(jnp.zeros_like(lax.slice_in_dim(values, 0, 1, axis=values.ndim - space.dimension + axis)))
    t = jnp.asarray(0.0 if space.time is None else space.time)
    return Dirichlet(jax.jvp(at, (t,), (jnp.ones_like(t),))[1])


def _open(space, axis: int) -> tuple[bool, bool]:
    return tuple(getattr(c, "open", False) for c in space.boundary[axis])


def _convective(space) -> list[tuple[int, int]]:
    """The sides with a `ConvectiveOutflow`, as pairs of axis and end."""
    return [
        (axis, end) for axis, pair in enumerate(space.boundary) for end, c in enumerate(pair)
        if isinstance(c, ConvectiveOutflow)
    ]  # fmt: skip


def _excess(space, divergence):
    """Velocity that must be taken from convective outflows for as much to leave as enters, or `None`."""
    sides = _convective(space)
    if not sides or any(any(_open(space, axis)) for axis in range(space.dimension)):
        return None
    area = sum(np.prod([l for a, l in enumerate(space.grid.lengths) if a != axis]) for axis, _ in sides)
    total = space.scalar().integral(space.scalar().field(divergence)) / area
    return total.reshape(total.shape + (1,) * space.dimension)


def _beside_wall(space, like, axis: int, end: int):
    """One over the width of the cells beside a wall, zero in the others."""
    cells = space.cells[axis]
    vector = np.zeros(cells.count)
    vector[-end] = 1 / (cells.spacing if cells.widths is None else cells.widths[-end])
    shape = [1] * space.dimension
    shape[axis] = -1
    return jnp.asarray(vector, like.dtype).reshape(shape)


def _shifted(space, values, component: int, excess):
    """Values of a component with the excess taken from its nodes on convective outflows."""
    for axis, end in _convective(space):
        if axis == component:
            along = values.ndim - space.dimension + axis
            node = np.zeros(values.shape[along])
            node[-end] = 1.0 if end else -1.0
            shape = [1] * space.dimension
            shape[axis] = -1
            values = values - excess * jnp.asarray(node, values.dtype).reshape(shape)
    return values
