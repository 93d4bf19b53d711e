"""Convection on a staggered grid: differences of fluxes through the faces of cells.

Harlow and Welch, Phys. Fluids 8, 2182 (1965): every flux is a mean carrying velocity times a mean of what it carries.
Where the carrying velocity is free of divergence the sum over all nodes of $u\\,\\nabla\\cdot(v u)$ vanishes.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..field import Field
from . import _walls
from ._compact import Cells
from .boundary import Dirichlet
from .flow_boundary import ConvectiveOutflow


def closed(c: Field, axis: int) -> tuple:
    """Values of a velocity component on all faces of its own axis, walls included; and which array axis that is."""
    values, along = _along(c, axis)
    return _walls.with_walls(values, along, _sides(c, axis), 2, c.space.axes[axis]), along


def through(space, faces, axis: int):
    """What crosses the faces of an axis: their velocity times their open part."""
    if space.body is None:
        return faces
    grid, periodic = space.grid, space.periodic
    x = [grid.centers(a) if a != axis else grid.faces(a)[: -1 if periodic[a] else None] for a in range(space.dimension)]
    return faces * space.body.apertures(*(jnp.asarray(c, faces.dtype) for c in np.meshgrid(*x, indexing="ij")))


def difference_across(c: Field, axis: int):
    """Difference of a component at the faces of an axis along which it sits at centers, walls included."""
    values, along = _along(c, axis)
    nodes = c.space.axes[axis]
    cells = Cells(nodes.count, nodes.spacing, nodes.periodic, _widths(c.space, axis))
    return cells.difference_at_faces(values, along, wall_values(c, axis))


def wall_values(c: Field, axis: int) -> tuple:
    """Values on the two walls of an axis along which a field sits at centers; `None` on a periodic axis."""
    if c.space.periodic[axis]:
        return None, None
    values, along = _along(c, axis)
    found = []
    for end, trace in enumerate(_sides(c, axis)):
        last = lax.slice_in_dim(values, *((0, 1) if end == 0 else (values.shape[along] - 1, None)), axis=along)
        if isinstance(trace, Dirichlet) and trace.known is None:
            found.append(jnp.zeros_like(last) if trace.value is None else trace.value)
        else:
            ghost = _walls.ghosts(values, along, 1, trace, 2, c.space.axes[axis], end)
            found.append(0.5 * (last + ghost))
    return tuple(found)


def momentum(space, velocity: Field, u: Field) -> Field:
    """$\\nabla\\cdot(v u)$ of every component of a velocity."""
    carriers, parts = space.split(velocity), space.split(u)
    faces = [through(space, closed(c, i)[0], i) for i, c in enumerate(carriers)]
    results = []
    for i, c in enumerate(parts):
        total = None
        for j in range(space.dimension):
            if i == j:
                flux = _own(space, faces[i], c, i)
            else:
                flux = _across(space, faces[j], carriers[j], c, i, j)
            total = flux if total is None else total + flux
        results.append(c.space.derived(_convective(space, c, i, total)))
    return space.join(results)


def _own(space, carrier, c: Field, i: int):
    """The difference along a component's own axis: fluxes at centers, and on walls that carry a node."""
    cells, (values, along) = space.cells, closed(c, i)
    mass = cells[i].mean_at_centers(carrier, along)
    carried = cells[i].mean_at_centers(values, along) if space.scheme is None else _upstream(space, values, mass, along)
    flux = mass * carried
    walls = [None, None]
    for end, (first, stop) in enumerate(((0, 1), (values.shape[along] - 1, values.shape[along]))):
        if c.space.axes[i].gaps[end] == 0 and not c.space.periodic[i]:
            cut = lambda a, first=first, stop=stop: lax.slice_in_dim(a, first, stop, axis=along)
            walls[end] = cut(carrier) * cut(values)
    return cells[i].difference_at_faces(flux, along, tuple(walls))


def _across(space, carrier, carrying: Field, c: Field, i: int, j: int):
    """The difference along another axis: fluxes at the edges between faces of both axes."""
    cells, (values, along) = space.cells, _along(c, j)
    own = values.ndim - c.space.dimension + i
    walls = [None, None]
    if not c.space.periodic[i]:
        walls = [_walls.with_walls(w, along, _corner_sides(carrying, j), 2, carrying.space.axes[j])
                 for w in wall_values(carrying, i)]  # fmt: skip
    mass = to_nodes(cells[i].mean_at_faces(carrier, own, walls, by_width=True), own, c.space.axes[i])
    return cells[j].difference_at_centers(mass * carried_at_faces(space, c, mass, j), along)


def transport(space, velocity: Field, u: Field) -> Field:
    """$\\nabla\\cdot(v u)$ of scalars at the centers."""
    total = None
    for j, (cells, carrier) in enumerate(zip(space.cells, space.split(velocity))):
        faces = through(space, closed(carrier, j)[0], j)
        flux = cells.difference_at_centers(faces * carried_at_faces(space, u, faces, j), _along(u, j)[1])
        total = flux if total is None else total + flux
    return u.space.derived(total)


def directed(space, scalar: Field, direction) -> Field:
    """A scalar at the centers times a constant vector, at the nodes of each component."""
    parts = []
    for i, (part, number) in enumerate(zip(space.parts(), direction)):
        values, along = _along(scalar, i)
        faces = space.cells[i].mean_at_faces(values, along, wall_values(scalar, i))
        parts.append(part.derived(number * to_nodes(faces, along, part.axes[i])))
    return space.join(parts)


def _convective(space, c: Field, i: int, total):
    """Convection with nodes on a `ConvectiveOutflow` carried out of the box by its speed."""
    for end, condition in enumerate(space.boundary[i]):
        if isinstance(condition, ConvectiveOutflow):
            values, along = _along(c, i)
            count = values.shape[along]
            wall, inner = ((0, 1) if end == 0 else (count - 1, count - 2))
            cut = lambda k, values=values, along=along: lax.slice_in_dim(values, k, k + 1, axis=along)
            cells = space.cells[i]
            width = cells.spacing if cells.widths is None else cells.widths[-end]
            rate = condition.speed.astype(values.dtype) * (cut(wall) - cut(inner)) / width
            rest = lax.slice_in_dim(total, *((1, count) if end == 0 else (0, count - 1)), axis=along)
            total = jnp.concatenate([rate, rest] if end == 0 else [rest, rate], along)
    return total


def carried_at_faces(space, c: Field, mass, axis: int):
    """Values at the faces of an axis along which a field sits at centers: means, or those of the space's scheme."""
    cells, (values, along) = space.cells[axis], _along(c, axis)
    walls = wall_values(c, axis)
    if space.scheme is None:
        return cells.mean_at_faces(values, along, walls)
    nodes, count = c.space.axes[axis], values.shape[along]
    lower, upper = _walls.ends(values, along, space.scheme.reach, _sides(c, axis), 2, nodes)
    padded = jnp.concatenate([lower, values, upper], along)
    if nodes.periodic:
        mass = jnp.concatenate([mass, lax.slice_in_dim(mass, 0, 1, axis=along)], along)
        return lax.slice_in_dim(space.scheme(padded, mass, along), 0, count, axis=along)
    inner = lax.slice_in_dim(space.scheme(padded, mass, along), 1, count, axis=along)
    return jnp.concatenate([walls[0], inner, walls[1]], along)


def _upstream(space, faces, mass, along: int):
    """Values at the centers between the faces of a component, by the space's scheme; extrapolated beyond walls."""
    cells, count = mass.shape[along], faces.shape[along]
    periodic, reach = cells == count, space.scheme.reach
    ends = []
    for end in (0, 1):
        if periodic:
            start = count - reach if end == 0 else 0
            ends.append(lax.slice_in_dim(faces, start, start + reach, axis=along))
        else:
            edge = lax.slice_in_dim(faces, *((0, 1) if end == 0 else (count - 1, count)), axis=along)
            ends.append(jnp.concatenate([edge] * reach, along))
    padded = jnp.concatenate([ends[0], faces, ends[1]], along)
    first, last = (lax.slice_in_dim(mass, *cut, axis=along) for cut in ((0, 1), (cells - 1, cells)))
    wind = jnp.concatenate([last, mass] if periodic else [first, mass, last], along)
    return lax.slice_in_dim(space.scheme(padded, wind, along), 1, 1 + cells, axis=along)


def to_nodes(faces, along: int, axis):
    """Values on all faces of an axis without those on walls that are no nodes."""
    if axis.periodic:
        return faces
    return lax.slice_in_dim(faces, int(axis.gaps[0]), faces.shape[along] - int(axis.gaps[1]), axis=along)


def _along(c: Field, axis: int):
    values = c.space.values(c)
    return values, values.ndim - c.space.dimension + axis


def _sides(c: Field, axis: int):
    return c.space.trace(c, axis, 0), c.space.trace(c, axis, 1)


def _corner_sides(c: Field, axis: int):
    """Nothing is known where two walls meet: values there are extrapolated along the wall."""
    return c.space.periodic[axis] and _sides(c, axis) or (None, None)


def _widths(space, axis: int):
    return None if space.grid.stretching[axis] is None else tuple(space.grid.widths(axis))
