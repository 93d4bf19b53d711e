"""Where the nodes of one axis lie."""

import dataclasses
import functools
from fractions import Fraction

import numpy as np

from ..grid import Grid
from . import _stencils
from .boundary import Dirichlet, Periodic, Sides

HALF = Fraction(1, 2)


@dataclasses.dataclass(frozen=True)
class Axis:
    """The nodes of one axis in units of the (mean) cell width, measured from the walls. Frozen and hashable.

    - `count`: number of nodes.
    - `spacing`: mean cell width.
    - `periodic`: whether the axis closes on itself.
    - `gaps`: distance of the first and of the last node from its wall: 1/2 for cell centers, 0 for nodes on the
        faces that include the wall, 1 for those that leave it out, where a `Dirichlet` condition says what it is.
    - `positions`: distances of all nodes from the lower wall on a stretched axis, `None` on a uniform one.
    - `extent`: length of the axis in cell widths, their number.
    """

    count: int
    spacing: float
    periodic: bool
    gaps: tuple[Fraction, Fraction]
    extent: int
    positions: tuple[float, ...] | None = None

    def _stretched(self) -> tuple[float, ...]:
        assert self.positions is not None
        return self.positions

    def nodes(self) -> np.ndarray:
        """Distances of the nodes from the lower wall."""
        if self.positions is None:
            return float(self.gaps[0]) + np.arange(self.count)
        return np.array(self.positions)

    def volumes(self) -> np.ndarray:
        """Lengths of the cells around the nodes, on axes of faces of all nodes between and on the walls."""
        if self.periodic or self.gaps == (HALF, HALF):
            return self._center_widths() if self.positions is not None else np.ones(self.count)
        x = self.nodes()
        x = np.concatenate([[0.0] * (self.gaps[0] == 1), x, [float(self.extent)] * (self.gaps[1] == 1)])
        middles = np.concatenate([[0.0], 0.5 * (x[1:] + x[:-1]), [float(self.extent)]])
        return np.diff(middles)

    def _center_widths(self) -> np.ndarray:
        widths, edge = [], 0.0
        for center in self._stretched():
            widths.append(2 * (center - edge))
            edge = 2 * center - edge
        return np.array(widths)

    def inside(self, end: int, kept: int) -> tuple:
        """Distances from a wall of the `kept` nodes next to it."""
        if self.positions is None:
            return tuple(self.gaps[end] + i for i in range(kept))
        x = self._stretched()
        ordered = x if end == 0 else [self.extent - y for y in reversed(x)]
        return tuple(Fraction(y) for y in ordered[:kept])

    def outside(self, end: int, depth: int) -> tuple:
        """Where the ghost nodes lie, as negative distances: mirror images, after the wall where no node is on it."""
        if self.positions is None:
            return tuple(self.gaps[end] - 1 - i for i in range(depth))
        images = [-x for x in self.inside(end, depth + 1) if x > 0]
        return tuple(([Fraction(0)] if self.gaps[end] == 1 else []) + images)[:depth]


    def weights(self, derivative: int, order: int) -> np.ndarray:
        """Weights of the nodes around each node of a stretched axis, `(count, 2 * width + 1)`, per cell width."""
        return _weights(self, derivative, order)


@functools.cache
def _weights(axis: Axis, derivative: int, order: int) -> np.ndarray:
    width = _stencils.half_width(derivative, order)
    lower = [float(x) for x in reversed(axis.outside(0, width))]
    upper = [axis.extent - float(x) for x in axis.outside(1, width)]
    x = [*lower, *axis.nodes(), *upper]
    rows = [_stencils.weights(x[i : i + 2 * width + 1], x[i + width], derivative) for i in range(axis.count)]
    return np.array([[float(w) for w in row] for row in rows])


def axis_of(grid: Grid, axis: int, sides: Sides, on_faces: bool) -> Axis:
    """The nodes of one axis of a grid under the conditions at its two ends."""
    cells, spacing = grid.shape[axis], grid.spacing[axis]
    if isinstance(sides[0], Periodic):
        return Axis(cells, spacing, True, (Fraction(0), Fraction(1)) if on_faces else (HALF, HALF), cells)
    if not on_faces:
        gaps = (HALF, HALF)
        nodes = grid.centers(axis)
    else:
        gaps = tuple(Fraction(int(isinstance(c, Dirichlet))) for c in sides)
        nodes = grid.faces(axis)[int(gaps[0]) : cells + 1 - int(gaps[1])]
    if grid.stretching[axis] is None:
        return Axis(len(nodes), spacing, False, gaps, cells)
    positions = (nodes - grid.lower[axis]) / spacing
    # A node is on a wall because it is the last of its axis, wherever rounding puts it.
    ends = [0.0] * (gaps[0] == 0), [float(cells)] * (gaps[1] == 0)
    inner = positions[len(ends[0]) : len(positions) - len(ends[1])]
    return Axis(len(nodes), spacing, False, gaps, cells, (*ends[0], *map(float, inner), *ends[1]))
