"""The time and space that points are taken from."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..grid import Grid
from .sobol import sobol


class Box(eqx.Module):
    """An interval of time and a box in space, that points `(t, x, ...)` are taken from.

    **Arguments:**

    - `duration`: first and last time; `None` for stationary problems, whose points are `(x, ...)`.
    - `lower`, `upper`: ends of the box, one number per axis; empty for functions of time alone.

    Numbers are fixed, not traced. `Box.of(grid, duration)` takes the box of a `js.Grid`.

    !!! example

        ```python
        box = Box((0.0, 1.0), (-1.0,), (1.0,))
        points = box.sobol(2048, key)                   # (2048, 2), time first
        start, wall = box.initial, box.side(0, 1)       # points at t = 0, and points at x = 1
        ```

    **Raises:** `ValueError` where an interval ends before it begins, or nothing is left to draw.
    """

    duration: tuple[float, float] | None = eqx.field(static=True)
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, duration: Any, lower: Any = (), upper: Any = ()):
        self.duration = None if duration is None else (float(duration[0]), float(duration[1]))
        self.lower, self.upper = (tuple(float(v) for v in np.atleast_1d(ends)) for ends in (lower, upper))
        if len(self.lower) != len(self.upper):
            raise ValueError(f"Box: `lower` and `upper` have one number per axis, got {self.lower} and {self.upper}.")
        low, high = self.corners
        if low.size == 0 or not np.all(np.isfinite([low, high])) or np.any(high < low) or np.all(high == low):
            raise ValueError(
                f"Box: intervals must be finite, not end before they begin, and not all be single points; got "
                f"{self.duration} in time and {self.lower} to {self.upper} in space."
            )

    @classmethod
    def of(cls, grid: Grid, duration: tuple[float, float] | None = None) -> "Box":
        """The box of a grid, with an interval of time."""
        return cls(duration, grid.lower, grid.upper)

    @property
    def size(self) -> int:
        """How many numbers a point has."""
        return len(self.lower) + (self.duration is not None)

    @property
    def corners(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest point, each of shape `(size,)`, in float64 on the host."""
        times = () if self.duration is None else self.duration
        return np.array([*times[:1], *self.lower]), np.array([*times[1:], *self.upper])

    @property
    def volume(self) -> float:
        """Product of the lengths of all intervals, that of time included, but for those of length zero."""
        low, high = self.corners
        return float(np.prod((high - low)[high > low]))

    @property
    def initial(self) -> "Box":
        """The box at its first time."""
        if self.duration is None:
            raise ValueError("Box: a box without time has no first time.")
        return Box((self.duration[0],) * 2, self.lower, self.upper)

    def side(self, axis: int, end: int) -> "Box":
        """One side of the box at all times: an axis of space at its lower (`end=0`) or upper (`end=1`) end."""
        if not 0 <= axis < len(self.lower) or end not in (0, 1):
            raise ValueError(f"Box: a side is an axis below {len(self.lower)} and an end, 0 or 1; got {axis}, {end}.")
        ends = [list(self.lower), list(self.upper)]
        ends[1 - end][axis] = ends[end][axis]
        return Box(self.duration, *ends)

    def place(self, unit: jax.Array) -> jax.Array:
        """Points of the unit cube, shape `(n, size)`, moved into the box."""
        low, high = (jnp.asarray(corner, unit.dtype) for corner in self.corners)
        return jnp.clip(low + (high - low) * unit, low, high)

    def uniform(self, count: int, key: jax.Array, dtype=None) -> jax.Array:
        """Independent points, shape `(count, size)`."""
        dtype = jnp.result_type(float) if dtype is None else dtype
        return self.place(jax.random.uniform(key, (count, self.size), dtype))

    def sobol(self, count: int, key: jax.Array | None = None, dtype=None) -> jax.Array:
        """Evenly spread points, shape `(count, size)`; scrambled by a key, see `jaxsim.pinn.sobol`."""
        return self.place(sobol(count, self.size, key, dtype))

    def latin_hypercube(self, count: int, key: jax.Array, dtype=None) -> jax.Array:
        """Points of which each of `count` equal slices of every interval holds one, shape `(count, size)`."""
        dtype = jnp.result_type(float) if dtype is None else dtype
        orders, within = jax.random.split(key)
        slices = jax.vmap(lambda k: jax.random.permutation(k, count), out_axes=1)(jax.random.split(orders, self.size))
        inside = jax.random.uniform(within, (count, self.size), dtype)
        return self.place(jnp.minimum((slices.astype(dtype) + inside) / count, 1))

    def quadrature(self, nodes: Any) -> tuple[np.ndarray, np.ndarray]:
        """Points and weights of Gauss-Legendre rules along every interval.

        **Arguments:**

        - `nodes`: how many, a number or one per entry of a point. Intervals of no length have one.

        **Returns:** points, shape `(n, size)`, and weights, shape `(n,)`, of sum `volume`; in float64 on the host.
        """
        low, high = self.corners
        counts = np.where(high > low, np.broadcast_to(nodes, low.shape), 1)
        if np.any(counts < 1):
            raise ValueError(f"Box: a quadrature has at least one node per interval, got {nodes}.")
        rules = [np.polynomial.legendre.leggauss(int(n)) for n in counts]
        axes = [(a + b) / 2 + (b - a) / 2 * x for a, b, (x, _) in zip(low, high, rules)]
        widths = [(b - a) / 2 * w if b > a else np.ones(1) for a, b, (_, w) in zip(low, high, rules)]
        grid = lambda tables: np.stack(np.meshgrid(*tables, indexing="ij"), -1).reshape(-1, self.size)
        return grid(axes), np.prod(grid(widths), 1)

    def shrunk(self, margin: Any) -> "Box":
        """The box without a margin at all sides, a number or one per entry of a point."""
        low, high = self.corners
        margin = np.broadcast_to(np.asarray(margin, float), low.shape)
        low, high = low + margin, high - margin
        if np.any(high < low):
            raise ValueError(f"Box: nothing is left within a margin of {margin} of {self}.")
        skip = 0 if self.duration is None else 1
        duration = None if self.duration is None else (low[0], high[0])
        return Box(duration, low[skip:], high[skip:])

    def check(self, points: jax.Array) -> jax.Array:
        """The same points, after a look at whether they are of this box.

        **Arguments:**

        - `points`: shape `(n, size)`.

        **Raises:** `ValueError` for points of another size or outside of the box; an equinox run-time error for those
        outside where they are traced. A rounding error of the type of the points is allowed.
        """
        if jnp.ndim(points) != 2 or jnp.shape(points)[1] != self.size:
            names = "(x, ...)" if self.duration is None else "(t, x, ...)"
            raise ValueError(f"Box: points {names} have shape (n, {self.size}) here, got {jnp.shape(points)}.")
        low, high = self.corners
        points = jnp.asarray(points)
        slack = 4 * jnp.finfo(points.dtype).eps * np.maximum(np.abs(low), np.abs(high)).max()
        if isinstance(points, jax.core.Tracer):
            inside = jnp.all((points >= low - slack) & (points <= high + slack))
            return eqx.error_if(points, ~inside, f"Box: points lie outside of {self}.")
        host = np.asarray(points)
        wrong = np.flatnonzero(~np.all((host >= low - slack) & (host <= high + slack), 1))
        if wrong.size:
            raise ValueError(
                f"Box: {wrong.size} of {len(host)} points lie outside of {self}; the first is "
                f"{host[wrong[0]].tolist()}. Points have time first, where there is time."
            )
        return points
