"""Means and differences between the centers of cells and the faces between them, along one axis of an array.

The faces of an axis between walls are those between the cells and the two walls, one more than cells; those of a
periodic axis are the lower faces of its cells. All of second order.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..grid import Grid
from ._base import real_dtype


@dataclasses.dataclass(frozen=True)
class Cells:
    """The cells of one axis: frozen, hashable. `widths` is `None` where all are equal."""

    count: int
    spacing: float
    periodic: bool
    widths: tuple[float, ...] | None

    def center_widths(self, like, along: int):
        """Widths of the cells, a number or an array that broadcasts against `like`."""
        return self.spacing if self.widths is None else column(self.widths, like, along)

    def face_widths(self, like, along: int):
        """Distances of the centers on either side of the faces between cells."""
        if self.widths is None:
            return self.spacing
        widths = np.array(self.widths)
        return column(0.5 * (widths[1:] + widths[:-1]), like, along)

    # -- faces to centers --------------------------------------------------------------------------------------------
    def mean_at_centers(self, faces, along: int):
        """Mean of the two faces of every cell."""
        lower, upper = self._around_cells(faces, along)
        return 0.5 * (lower + upper)

    def difference_at_centers(self, faces, along: int):
        """Difference of the two faces of every cell over its width."""
        lower, upper = self._around_cells(faces, along)
        return (upper - lower) / self.center_widths(faces, along)

    def _around_cells(self, faces, along: int):
        if self.periodic:
            return _neighbors(jnp.concatenate([faces, lax.slice_in_dim(faces, 0, 1, axis=along)], along), along)
        return _neighbors(faces, along)

    # -- centers to faces --------------------------------------------------------------------------------------------
    def mean_at_faces(self, centers, along: int, walls, by_width: bool = False):
        """Mean of the two cells of every face; `walls` are the values on the two walls, shape 1 along the axis.

        With `by_width` cells count by their widths: the flux through a face that reaches from center to center.
        """
        if self.periodic:
            lower, upper = _neighbors(_after_last(centers, along), along)
            return 0.5 * (lower + upper)
        lower, upper = _neighbors(centers, along)
        if by_width and self.widths is not None:
            widths = np.array(self.widths)
            share = column(widths[:-1] / (widths[1:] + widths[:-1]), centers, along)
            inner = share * lower + (1 - share) * upper
        else:
            inner = 0.5 * (lower + upper)
        return jnp.concatenate([walls[0], inner, walls[1]], along)

    def difference_at_faces(self, centers, along: int, walls=(None, None)):
        """Difference of the two cells of every face over their distance, at faces between cells only.

        Where `walls` gives a value on a wall, the difference over the half cell next to it is there too.
        """
        if self.periodic:
            lower, upper = _neighbors(_after_last(centers, along), along)
            return (upper - lower) / self.spacing
        lower, upper = _neighbors(centers, along)
        parts = [(upper - lower) / self.face_widths(centers, along)]
        first, last = (self.spacing,) * 2 if self.widths is None else (self.widths[0], self.widths[-1])
        if walls[0] is not None:
            parts.insert(0, (lax.slice_in_dim(centers, 0, 1, axis=along) - walls[0]) / (0.5 * first))
        if walls[1] is not None:
            count = centers.shape[along]
            parts.append((walls[1] - lax.slice_in_dim(centers, count - 1, count, axis=along)) / (0.5 * last))
        return jnp.concatenate(parts, along) if len(parts) > 1 else parts[0]


def cells_of(grid: Grid, axis: int, periodic: bool) -> Cells:
    """The cells of one axis of a grid."""
    widths = None if grid.stretching[axis] is None else tuple(grid.widths(axis))
    return Cells(grid.shape[axis], grid.spacing[axis], periodic, widths)


def column(vector, like, along: int):
    """A vector along one axis of an array, in its precision."""
    return jnp.asarray(vector, real_dtype(like.dtype)).reshape((-1,) + (1,) * (like.ndim - 1 - along))


def _after_last(values, along: int):
    """Values of a periodic axis with the last one in front; XLA fuses the transpose of `jnp.roll` badly on CPUs."""
    count = values.shape[along]
    return jnp.concatenate([lax.slice_in_dim(values, count - 1, count, axis=along), values], along)


def _neighbors(values, along: int):
    count = values.shape[along]
    return lax.slice_in_dim(values, 0, count - 1, axis=along), lax.slice_in_dim(values, 1, count, axis=along)
