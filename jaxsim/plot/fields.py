"""A field as a line or an image, and the history of a field on a line."""

from typing import Any

import numpy as np

from ..field import Field
from ..grid import Grid
from ._backend import axes, require

_NAMES = ("x", "y", "z")


def field(
    u: Field,
    ax: Any = None,
    *,
    limit: float | tuple[float, float] | None = None,
    cmap: str | None = None,
    colorbar: bool = True,
    title: str | None = None,
    section: tuple[int, float] | None = None,
    **options: Any,
) -> Any:
    """Draw a real scalar field: a line in one dimension, an image in two, a section in three.

    Images have the first axis to the right and the second upwards, in the coordinates of the box, with values where
    their nodes are: on stretched grids too, and on faces or corners of cells. Values of both signs get a diverging
    colormap that is white at zero, and values of one sign a sequential one.

    **Arguments:**

    - `u`: a scalar field on a grid; pick a component with `u[0]`.
    - `ax`: matplotlib axes; a new figure when left out.
    - `limit`: `(lowest, highest)` color or ordinate, or one number for both signs.
    - `cmap`: a matplotlib colormap instead of the choice above.
    - `colorbar`: whether an image gets one.
    - `title`: of the axes.
    - `section`: in three dimensions `(axis, coordinate)` of the plane that is drawn, at the nearest node; the
        middle of the last axis when left out.
    - `options`: passed to `Axes.plot`, `Axes.imshow` or, where nodes are not the centers of equal cells,
        `matplotlib.image.NonUniformImage`.

    **Returns:** the matplotlib line or image.

    **Raises:** `TypeError` without a grid, `ValueError` for components, complex values or values that are not
    finite, `ImportError` without matplotlib.
    """
    values, grid = _nodal(u)
    nodes = [_nodes(u, axis) for axis in range(grid.dimension)]
    if values.shape != tuple(map(len, nodes)):
        raise ValueError(f"plot.field draws one scalar; this field has components {u.shape}. Pick one: `u[0]`.")
    ax = axes(ax)
    if title is not None:
        ax.set_title(title)
    if grid.dimension == 1:
        low, high = _limits(values, limit)
        (line,) = ax.plot(nodes[0], values, **options)
        ax.set(xlim=(grid.lower[0], grid.upper[0]), xlabel="x")
        if limit is not None:
            ax.set_ylim(low, high)
        return line
    if grid.dimension == 3:
        values, kept, place = _cut(values, grid, nodes, section)
        ax.set_title(place if title is None else f"{title}, {place}")
    elif section is None:
        kept = (0, 1)
    else:
        raise ValueError("plot.field: `section` is for fields in three dimensions.")
    extent = tuple(edge for i in kept for edge in (grid.lower[i], grid.upper[i]))
    places = None if all(_even(nodes[i], grid, i) for i in kept) else [nodes[i] for i in kept]
    image = _draw(ax, values, extent, limit, cmap, colorbar, options, places)
    ax.set(xlabel=_NAMES[kept[0]], ylabel=_NAMES[kept[1]])
    return image


def show(u: Field, **options: Any) -> None:
    """Draw a field (see `field`, which takes the same options) and open the window."""
    field(u, **options)
    require("matplotlib.pyplot").show()


def space_time(
    trajectory: Field,
    times: Any,
    ax: Any = None,
    *,
    limit: float | tuple[float, float] | None = None,
    cmap: str | None = None,
    colorbar: bool = True,
    **options: Any,
) -> Any:
    """Draw the history of a scalar field on a line: time to the right, the axis of the box upwards.

    **Arguments:**

    - `trajectory`: a field in one dimension with a leading time axis, as `js.rollout(..., save_every=1)` returns it.
    - `times`: its times, evenly spaced, one per entry of that axis.
    - `ax`, `limit`, `cmap`, `colorbar`, `options`: as for `field`.

    **Returns:** the matplotlib image.
    """
    values, grid = _nodal(trajectory)
    times = np.asarray(times)
    if grid.dimension != 1 or values.ndim != 2:
        raise ValueError(
            "plot.space_time draws a scalar in one dimension with a leading time axis; "
            f"got values of shape {values.shape} on {grid}."
        )
    if times.shape != values.shape[:1] or len(times) < 2:
        raise ValueError(f"plot.space_time: {values.shape[0]} states need as many times, got {times.shape}.")
    ax = axes(ax)
    extent = (times[0], times[-1], grid.lower[0], grid.upper[0])
    image = _draw(ax, values, extent, limit, cmap, colorbar, {"aspect": "auto", **options})
    ax.set(xlabel="t", ylabel="x")
    return image


def _nodal(u: Field) -> tuple[np.ndarray, Grid]:
    if not isinstance(u, Field):
        raise TypeError(f"expected a Field (made by `space.field(...)`), got {type(u).__name__}.")
    grid = getattr(u.space, "grid", None)
    if not isinstance(grid, Grid):
        raise TypeError("a field without a grid cannot be drawn: move it to one with `js.interpolate`.")
    values = np.asarray(u.values)
    if np.iscomplexobj(values):
        raise ValueError("complex values cannot be drawn: take `abs(u)` or `js.pointwise(jnp.real, u)`.")
    if not np.all(np.isfinite(values)):
        raise ValueError("the field has values that are not finite.")
    return values, grid


def _nodes(u: Field, axis: int) -> np.ndarray:
    """Coordinates of the nodes along one axis."""
    coordinates = np.asarray(u.space.coordinates()[axis])
    return coordinates[tuple(slice(None) if i == axis else 0 for i in range(coordinates.ndim))]


def _even(nodes: np.ndarray, grid: Grid, axis: int) -> bool:
    """Whether the nodes of an axis are those of equal cells, at their centers or lower faces, as pixels are."""
    spacing = grid.spacing[axis]
    first = (nodes[0] - grid.lower[axis]) / spacing
    steps = np.diff(nodes) / spacing
    return len(nodes) == grid.shape[axis] and first < 0.6 and bool(np.allclose(steps, 1, atol=1e-2))


def _cut(values: np.ndarray, grid: Grid, nodes: list[np.ndarray], section):
    """A plane of a field in space, the axes that are left, and where it is."""
    axis, place = (2, 0.5 * (grid.lower[2] + grid.upper[2])) if section is None else section
    axis = grid.axis(axis)
    index = int(np.argmin(np.abs(nodes[axis] - place)))
    kept = tuple(i for i in range(3) if i != axis)
    return np.take(values, index, axis), kept, f"{_NAMES[axis]} = {nodes[axis][index]:.3g}"


def _draw(ax, values, extent, limit, cmap, colorbar, options, nodes=None):
    low, high = _limits(values, limit)
    cmap = cmap or ("RdBu_r" if low < 0 < high else "viridis")
    options = {"extent": extent, "interpolation": "bilinear", **options}
    if nodes is None:
        image = ax.imshow(values.T, vmin=low, vmax=high, cmap=cmap, **{"origin": "lower", **options})
    else:
        image = _uneven_image(ax, values, nodes, cmap, **options)
        image.set_clim(low, high)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.02)
    return image


def _uneven_image(ax, values, nodes, cmap, *, extent, aspect="equal", **options):
    """An image whose pixels are interpolated from values at the nodes of a tensor grid."""
    image = require("matplotlib.image").NonUniformImage(ax, cmap=cmap, extent=extent, **options)
    image.set_data(*nodes, values.T)
    image.set_clip_path(ax.patch)
    ax.add_image(image)
    ax.set(xlim=extent[:2], ylim=extent[2:], aspect=aspect)
    return image


def _limits(values: np.ndarray, limit) -> tuple[float, float]:
    if limit is not None:
        return (-abs(limit), abs(limit)) if np.ndim(limit) == 0 else (float(limit[0]), float(limit[1]))
    low, high = float(values.min()), float(values.max())
    if low < 0 < high:
        return -max(-low, high), max(-low, high)
    return low, high
