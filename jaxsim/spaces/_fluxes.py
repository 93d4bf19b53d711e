"""Convection on a staggered grid: differences of fluxes through the faces of cells.

Harlow and Welch, Phys. Fluids 8, 2182 (1965): every flux is a mean carrying velocity times a mean of what it carries.
Where the carrying velocity is free of divergence the sum over all nodes of $u\\,\\nabla\\cdot(v u)$ vanishes.
"""

from jax import lax

from ..field import Field
from . import _walls
from ._compact import Cells
from .boundary import Dirichlet


def closed(c: Field, axis: int) -> tuple:
    """Values of a velocity component on all faces of its own axis, walls included; and which array axis that is."""
    values, along = _along(c, axis)
    return _walls.with_walls(values, along, _sides(c, axis), 2, c.space.axes[axis]), along


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
        if isinstance(trace, Dirichlet):
            found.append(trace.value)
        else:
            last = lax.slice_in_dim(values, *((0, 1) if end == 0 else (values.shape[along] - 1, None)), axis=along)
            ghost = _walls.ghosts(values, along, 1, trace, 2, c.space.axes[axis], end)
            found.append(0.5 * (last + ghost))
    return tuple(found)


def momentum(space, velocity: Field, u: Field) -> Field:
    """$\\nabla\\cdot(v u)$ of every component of a velocity."""
    carriers, parts, cells = space.split(velocity), space.split(u), space.cells
    faces = [closed(c, i)[0] for i, c in enumerate(carriers)]
    results = []
    for i, c in enumerate(parts):
        total = None
        for j in range(space.dimension):
            flux = _own(cells, faces[i], c, i) if i == j else _across(cells, faces[j], carriers[j], c, i, j)
            total = flux if total is None else total + flux
        results.append(c.space.pointwise(lambda _, total=total: total, c))
    return space.join(results)


def _own(cells, carrier, c: Field, i: int):
    """The difference along a component's own axis: fluxes at centers, and on walls that carry a node."""
    values, along = closed(c, i)
    flux = cells[i].mean_at_centers(carrier, along) * cells[i].mean_at_centers(values, along)
    walls = [None, None]
    for end, (first, stop) in enumerate(((0, 1), (values.shape[along] - 1, values.shape[along]))):
        if c.space.axes[i].gaps[end] == 0 and not c.space.periodic[i]:
            cut = lambda a, first=first, stop=stop: lax.slice_in_dim(a, first, stop, axis=along)
            walls[end] = cut(carrier) * cut(values)
    return cells[i].difference_at_faces(flux, along, tuple(walls))


def _across(cells, carrier, carrying: Field, c: Field, i: int, j: int):
    """The difference along another axis: fluxes at the edges between faces of both axes."""
    values, along = _along(c, j)
    own = values.ndim - c.space.dimension + i
    walls = [None, None]
    if not c.space.periodic[i]:
        walls = [_walls.with_walls(w, along, _corner_sides(carrying, j), 2, carrying.space.axes[j])
                 for w in wall_values(carrying, i)]  # fmt: skip
    mass = to_nodes(cells[i].mean_at_faces(carrier, own, walls, by_width=True), own, c.space.axes[i])
    carried = cells[j].mean_at_faces(values, along, wall_values(c, j))
    return cells[j].difference_at_centers(mass * carried, along)


def transport(space, velocity: Field, u: Field) -> Field:
    """$\\nabla\\cdot(v u)$ of scalars at the centers."""
    total = None
    for j, (cells, carrier) in enumerate(zip(space.cells, space.split(velocity))):
        faces, _ = closed(carrier, j)
        values, along = _along(u, j)
        flux = cells.difference_at_centers(faces * cells.mean_at_faces(values, along, wall_values(u, j)), along)
        total = flux if total is None else total + flux
    return u.space.pointwise(lambda _: total, u)


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
