"""The box that a field lives in."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


def _per_axis(value, dimension: int, name: str) -> tuple[float, ...]:
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

    def __init__(self, shape: int | Sequence[int], lower: float | Sequence[float] = 0.0,
                 upper: float | Sequence[float] = 1.0):  # fmt: skip
        counts = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if not 1 <= len(counts) <= 3:
            raise ValueError(f"Grid: `shape` needs 1, 2 or 3 axes, got {counts}.")
        if any(int(n) != n or n < 2 for n in counts):
            raise ValueError(f"Grid: every axis needs at least 2 cells, as whole numbers; got shape {counts}.")
        object.__setattr__(self, "shape", tuple(int(n) for n in counts))
        object.__setattr__(self, "lower", _per_axis(lower, len(counts), "lower"))
        object.__setattr__(self, "upper", _per_axis(upper, len(counts), "upper"))
        if any(length <= 0 for length in self.lengths):
            raise ValueError(f"Grid: `upper` must exceed `lower` on every axis, got {self.lower} and {self.upper}.")

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
        """Cell width along each axis."""
        return tuple(length / n for length, n in zip(self.lengths, self.shape, strict=True))

    @property
    def volume(self) -> float:
        """Length, area or volume of the box."""
        return math.prod(self.lengths)

    def refine(self, factor: int | float | Sequence[int | float]) -> "Grid":
        """The same box with `factor` times as many cells (per axis, rounded)."""
        factors = _per_axis(factor, self.dimension, "factor")
        return Grid(tuple(round(n * f) for n, f in zip(self.shape, factors, strict=True)), self.lower, self.upper)

    def axis(self, index: int) -> int:
        """`index` checked and made non-negative."""
        if not -self.dimension <= index < self.dimension:
            raise ValueError(f"axis {index} does not exist: this grid has {self.dimension} axes, 0 is the first.")
        return index % self.dimension

    def __repr__(self):
        def short(values):
            return ", ".join(f"{v:.6g}" for v in values)

        return f"Grid(shape={self.shape}, lower=({short(self.lower)}), upper=({short(self.upper)}))"
