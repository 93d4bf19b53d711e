"""The box that a field lives in."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import numpy as np

from .sizes import whole
from .stretching import Stretching


def _per_axis(value, dimension: int, name: str) -> tuple[float, ...]:
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        raise TypeError(
            f"Grid: `{name}` is traced, and grids hold numbers that are known when the program is traced. To vary or "
            "differentiate a length, keep the box and scale the equation: on a box of length 1, derivatives are those "
            "of the box of length L times L per order."
        )
    values = np.asarray(value, dtype=float)
    if values.ndim == 0:
        values = np.full(dimension, values)
    if values.shape != (dimension,):
        raise ValueError(f"Grid: `{name}` needs one number, or one per axis ({dimension}); got shape {values.shape}.")
    if not np.all(np.isfinite(values)):
        raise ValueError(f"Grid: `{name}` must be finite, got {value}.")
    return tuple(float(v) for v in values)


@dataclasses.dataclass(frozen=True, init=False)
class Grid:
    """A box cut into cells: frozen, hashable, with no arrays in it.

    **Arguments:**

    - `shape`: number of cells along each axis; an integer means one axis.
    - `lower`: lower corner, one number for all axes or one per axis.
    - `upper`: upper corner, likewise; every axis must have positive length.
    - `stretching`: how the cells of each axis are spread, one `js.TanhStretching`, `js.SinhStretching` or `None`
        per axis; equal cells when left out. Only `FiniteDifference` and `Staggered` take other cells than equal ones.

    **Raises:** `ValueError` for an empty or inverted box, more than three axes or fewer than 2 cells on an axis.

    !!! example

        ```python
        js.Grid(64, 0.0, 1.0)                                # 64 cells on [0, 1]
        js.Grid((128, 64), lower=0.0, upper=(2.0, 1.0))      # axes may differ in length and count
        ```
    """

    shape: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    stretching: tuple[Stretching | None, ...] = ()

    def __init__(self, shape: int | Sequence[int], lower: float | Sequence[float] = 0.0,
                 upper: float | Sequence[float] = 1.0,
                 stretching: Sequence[Stretching | None] | Stretching | None = None):  # fmt: skip
        counts = (shape,) if np.ndim(shape) == 0 else tuple(shape)
        if not 1 <= len(counts) <= 3:
            raise ValueError(f"Grid: `shape` needs 1, 2 or 3 axes, got {counts}.")
        cells = "Grid: the number of cells of every axis"
        object.__setattr__(self, "shape", tuple(whole(n, cells, least=2) for n in counts))
        object.__setattr__(self, "lower", _per_axis(lower, len(counts), "lower"))
        object.__setattr__(self, "upper", _per_axis(upper, len(counts), "upper"))
        if any(length <= 0 for length in self.lengths):
            raise ValueError(f"Grid: `upper` must exceed `lower` on every axis, got {self.lower} and {self.upper}.")
        spread = (None,) * len(counts) if stretching is None else stretching
        spread = (spread,) if isinstance(spread, Stretching) else tuple(spread)
        if len(spread) != len(counts) or not all(s is None or isinstance(s, Stretching) for s in spread):
            raise ValueError(f"Grid: `stretching` needs one js.Stretching or None per axis ({len(counts)}).")
        object.__setattr__(self, "stretching", spread)

    @property
    def dimension(self) -> int:
        """Number of axes: 1, 2 or 3."""
        return len(self.shape)

    @property
    def lengths(self) -> tuple[float, ...]:
        """Length of the box along each axis."""
        return tuple(b - a for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Cell width along each axis, the mean one where cells are stretched."""
        return tuple(length / n for length, n in zip(self.lengths, self.shape, strict=True))

    @property
    def volume(self) -> float:
        """Length, area or volume of the box."""
        return math.prod(self.lengths)

    def refine(self, factor: int | float | Sequence[int | float]) -> "Grid":
        """The same box with `factor` times as many cells (per axis, rounded)."""
        factors = _per_axis(factor, self.dimension, "factor")
        shape = tuple(round(n * f) for n, f in zip(self.shape, factors, strict=True))
        return Grid(shape, self.lower, self.upper, self.stretching)

    @property
    def uniform(self) -> bool:
        """Whether all cells are equal."""
        return not any(self.stretching)

    def faces(self, axis: int) -> np.ndarray:
        """Coordinates of the faces between the cells of an axis, both ends included, in float64 on the host."""
        stretching, lower, upper = self.stretching[axis], self.lower[axis], self.upper[axis]
        if stretching is None:
            return lower + np.arange(self.shape[axis] + 1) * self.spacing[axis]
        faces = lower + (upper - lower) * stretching(np.linspace(0.0, 1.0, self.shape[axis] + 1))
        if not np.all(np.diff(faces) > 0):
            raise ValueError(f"Grid: {stretching} folds axis {axis}; it must increase from 0 to 1.")
        faces[0], faces[-1] = lower, upper
        return faces

    def centers(self, axis: int) -> np.ndarray:
        """Coordinates of the cell centers of an axis, in float64 on the host."""
        faces = self.faces(axis)
        return 0.5 * (faces[1:] + faces[:-1])

    def widths(self, axis: int) -> np.ndarray:
        """Widths of the cells of an axis, in float64 on the host."""
        if self.stretching[axis] is None:
            return np.full(self.shape[axis], self.spacing[axis])
        return np.diff(self.faces(axis))

    def axis(self, index: int) -> int:
        """`index` checked and made non-negative."""
        if not -self.dimension <= index < self.dimension:
            raise ValueError(f"axis {index} does not exist: this grid has {self.dimension} axes, 0 is the first.")
        return index % self.dimension

    def __repr__(self):
        def short(values):
            return ", ".join(f"{v:.6g}" for v in values)

        spread = "" if self.uniform else f", stretching={self.stretching}"
        return f"Grid(shape={self.shape}, lower=({short(self.lower)}), upper=({short(self.upper)}){spread})"
