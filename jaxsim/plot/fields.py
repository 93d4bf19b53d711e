"""A field as a line or an image, and the history of a field on a line."""

from typing import Any

import numpy as np

from ..field import Field
from ..grid import Grid
from ._backend import axes, labels, require

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
    their nodes are: on stretched grids too, and on faces or corners of cells. A pixel of an image has its node in the
    middle, so one of nodes at 0, h, 2h begins at -h/2. Values of both signs get a diverging
    colormap that is white at zero, and values of one sign a sequential one.

    **Arguments:**

    - `u`: a scalar field on a grid; pick a component with `u[0]`.
    - `ax`: matplotlib axes; a new figure when left out.
    - `limit`: `(lowest, highest)` color or ordinate, or one number for both signs.
    - `cmap`: a matplotlib colormap instead of the choice above.
    - `colorbar`: whether an image gets one.
    - `title`: of the axes.
    - `section`: in three dimensions `(axis, coordinate)` of the plane that is drawn, at the nearest node, which the
        title tells; the middle of the last axis when left out.
    - `options`: passed to `Axes.plot`, `Axes.imshow` or, where nodes are not evenly spaced,
        `matplotlib.image.NonUniformImage`.

    **Returns:** the matplotlib line or image.

    **Raises:** `TypeError` without a grid, `ValueError` for components, complex values or values that are not
    finite, a section outside of the box, `ImportError` without matplotlib.
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
    image = _draw(ax, values, [nodes[i] for i in kept], [_span(grid, i) for i in kept], limit, cmap, colorbar, options)
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
    - `times`: its times, increasing and evenly spaced, one per entry of that axis. Each state is drawn at its time.
    - `ax`, `limit`, `cmap`, `colorbar`, `options`: as for `field`.

    **Returns:** the matplotlib image.

    **Raises:** `ValueError` for times that are not evenly spaced or not one per state; otherwise as `field`.
    """
    values, grid = _nodal(trajectory)
    times = np.asarray(times, float)
    if grid.dimension != 1 or values.ndim != 2:
        raise ValueError(
            "plot.space_time draws a scalar in one dimension with a leading time axis; "
            f"got values of shape {values.shape} on {grid}."
        )
    if times.shape != values.shape[:1] or len(times) < 2:
        raise ValueError(f"plot.space_time: {values.shape[0]} states need as many times, got {times.shape}.")
    if not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0) or _edges(times, None) is None:
        raise ValueError(
            "plot.space_time: times must increase in equal steps, as those of `save_every` do, or "
            f"`saveat=jnp.linspace(...)`; got steps from {np.diff(times).min():.3g} to {np.diff(times).max():.3g}. "
            "Draw others as lines, `plot.field(u[i])`."
        )
    nodes = _nodes(trajectory, 0)
    if values.shape[1] != len(nodes):
        raise ValueError(f"plot.space_time: {len(nodes)} nodes need as many values, got {values.shape[1]}.")
    ax = axes(ax)
    spans = [(times[0], times[-1]), _span(grid, 0)]
    image = _draw(ax, values, [times, nodes], spans, limit, cmap, colorbar, {"aspect": "auto", **options})
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


def _span(grid: Grid, axis: int) -> tuple[float, float]:
    return grid.lower[axis], grid.upper[axis]


def _edges(nodes: np.ndarray, span) -> tuple[float, float] | None:
    """First and last edge of equal pixels with the nodes at their centers; `None` where nodes are not evenly spaced."""
    if len(nodes) == 1:
        return span
    step = (nodes[-1] - nodes[0]) / (len(nodes) - 1)
    uneven = np.abs(nodes - nodes[0] - step * np.arange(len(nodes)))
    if np.max(uneven) > 1e-2 * step:  # nobody sees that, and single precision far from zero needs it
        return None
    return float(nodes[0] - step / 2), float(nodes[-1] + step / 2)


def _cut(values: np.ndarray, grid: Grid, nodes: list[np.ndarray], section):
    """A plane of a field in space, the axes that are left, and where it is."""
    axis, place = (2, 0.5 * (grid.lower[2] + grid.upper[2])) if section is None else section
    axis = grid.axis(axis)
    low, high = _span(grid, axis)
    rounding = 1e-6 * (high - low)
    if not low - rounding <= place <= high + rounding:
        raise ValueError(
            f"plot.field: the section at {_NAMES[axis]} = {place} lies outside of the box, which reaches from {low} to "
            f"{high} there."
        )
    index = int(np.argmin(np.abs(nodes[axis] - place)))
    kept = tuple(i for i in range(3) if i != axis)
    return np.take(values, index, axis), kept, f"{_NAMES[axis]} = {labels(nodes[axis])[index]}"


def _draw(ax, values, nodes, spans, limit, cmap, colorbar, options):
    """An image with each value at its nodes, and the axes at least as wide as the spans."""
    low, high = _limits(values, limit)
    cmap = cmap or ("RdBu_r" if low < 0 < high else "viridis")
    options = {"interpolation": "bilinear", **options}
    edges = [edge for edge in map(_edges, nodes, spans) if edge is not None]
    if len(edges) == 2:
        extent = edges[0] + edges[1]
        image = ax.imshow(values.T, vmin=low, vmax=high, cmap=cmap, **{"extent": extent, "origin": "lower", **options})
    else:
        image = _uneven_image(ax, values, nodes, spans, cmap, **options)
        image.set_clim(low, high)
    if colorbar:
        ax.figure.colorbar(image, ax=ax, fraction=0.046, pad=0.02)
    return image


def _uneven_image(ax, values, nodes, spans, cmap, *, aspect="equal", **options):
    """An image whose pixels are interpolated from values at the nodes of a tensor grid."""
    extent = tuple(end for span in spans for end in span)
    options = {"extent": extent, **options}
    image = require("matplotlib.image").NonUniformImage(ax, cmap=cmap, **options)
    image.set_data(*nodes, values.T)
    image.set_clip_path(ax.patch)
    ax.add_image(image)
    ax.set(xlim=options["extent"][:2], ylim=options["extent"][2:], aspect=aspect)
    return image


def _limits(values: np.ndarray, limit) -> tuple[float, float]:
    if limit is not None:
        return (-abs(limit), abs(limit)) if np.ndim(limit) == 0 else (float(limit[0]), float(limit[1]))
    low, high = float(values.min()), float(values.max())
    if low < 0 < high:
        return -max(-low, high), max(-low, high)
    return low, high
