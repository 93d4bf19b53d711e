"""Fields as labeled arrays, with coordinates where their nodes are."""

from typing import Any

import jax
import numpy as np

from ..extras import require
from ..field import Field
from ..spaces import Space
from .stores import USER

_NAMES = ("x", "y", "z")


def to_xarray(u: Field, times: Any = None, name: str = "u") -> Any:
    """A field as an `xarray.DataArray` of its nodal values.

    **Arguments:**

    - `u`: a field on nodes: of any space but that of `js.Function`. Its first axis is time where `times` is given.
    - `times`: times of a trajectory, one per entry of its leading axis.
    - `name`: of the array.

    **Returns:** an array with the dimensions `t` (with `times`), `component` (or `component_0`, `component_1`, ...
    for several axes of components), and `x`, `y`, `z`, with the coordinates of the nodes. The attributes `lower` and
    `upper` are the corners of the box.

    **Raises:** `TypeError` for a field without nodes, `ValueError` for times that do not fit.
    """
    if not isinstance(u, Field) or not hasattr(u.space, "coordinates"):
        raise TypeError("to_xarray needs a field on a grid: move it to one with `js.interpolate`.")
    values, labels = np.asarray(u.values), Labels()
    times = None if times is None else check_times(times, u)
    dims = labels.dims(u.space, values, times, "")
    return require("xarray", USER).DataArray(values, labels.coordinates, dims, name, corners(u.space))


def check_times(times: Any, u: Field) -> np.ndarray:
    """Times as an array, one for every entry of the leading axis of a field; `ValueError` where they are not."""
    times = np.asarray(times)
    times = times if np.issubdtype(times.dtype, np.floating) else times.astype(float)
    if times.ndim != 1 or u.shape[:1] != times.shape:
        raise ValueError(
            f"`times` of shape {times.shape} for a field with leading axes {u.shape}; a trajectory has one leading "
            "entry per time."
        )
    return times


def corners(space: Space) -> dict[str, list[float]]:
    """The corners of the box as attributes."""
    grid = getattr(space, "grid", None)
    return {} if grid is None else {"lower": list(grid.lower), "upper": list(grid.upper)}


def line_coordinates(space: Space) -> dict[str, np.ndarray]:
    """Coordinates of a space's nodes along each axis, in float64, by the name of the axis; none where it has none."""
    lines = {}
    if not hasattr(space, "coordinates"):
        return lines
    with jax.enable_x64(True):
        for axis, nodes in enumerate(space.coordinates()):
            line = tuple(slice(None) if i == axis else 0 for i in range(space.dimension))
            lines[_NAMES[axis]] = np.asarray(nodes)[line]
    return lines


class Labels:
    """Names of dimensions for arrays in one file, each with one length and one line of coordinates."""

    def __init__(self):
        self.coordinates: dict[str, np.ndarray] = {}
        self._meanings: dict[str, Any] = {}

    def dims(self, space: Space, values: np.ndarray, times: np.ndarray | None, name: str) -> list[str]:
        """Names for the axes of nodal values; those that cannot be shared with others have `name` in them."""
        dims, shape = [], values.shape
        if times is not None:
            dims.append(self._named("t", times, name))
        count = values.ndim - (space.dimension or 0)
        rest = count - len(dims)
        for i, size in enumerate(shape[len(dims) : count]):
            dims.append(self._named("component" if rest == 1 else f"component_{i}", size, name))
        lines = line_coordinates(space)
        for axis, size in zip(_NAMES, shape[count:]):
            dims.append(self._named(axis, lines.get(axis, size), name))
        return dims

    def lengths(self, shape: tuple[int, ...]) -> list[str]:
        """Names for axes that mean nothing but their length; no two of one array are the same."""
        return [self._named(f"size_{size}_{i}", size, "") for i, size in enumerate(shape)]

    def free(self, name: str, taken: Any) -> str:
        """A name for a variable that is neither taken nor that of a dimension."""
        reserved, found, count = {*taken, *self._meanings, "t", "component", *_NAMES}, name, 1
        while found in reserved:
            found, count = f"{name}_{count + 1}", count + 1
        self._meanings[found] = "a variable"
        return found

    def _named(self, name: str, meaning: np.ndarray | int, owner: str) -> str:
        key = meaning if isinstance(meaning, int) else (str(meaning.dtype), meaning.tobytes())
        candidates = [name, f"{name}_{owner}"]
        while self._meanings.get(candidates[0], key) != key:
            candidates = [*candidates[1:], candidates[-1] + "_"]
        found = candidates[0]
        self._meanings[found] = key
        if isinstance(meaning, np.ndarray):
            self.coordinates[found] = meaning
        return found
