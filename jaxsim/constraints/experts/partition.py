"""A box of space and time cut into equal boxes, one for each expert."""

import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class Region(eqx.Module):
    """The box of one expert; with a leading axis $K$ on its arrays, those of all.

    - `lower`, `upper`: its ends, time first, overlap included, shape `(d,)`.
    - `first`, `last`: whether they are ends of the whole box, shape `(d,)`: a block of initial values has
        `weight=400.0 * box.first[0]`, so that it is there for all experts, and counts where time begins.
    - `index`: which expert it is.
    """

    lower: jax.Array
    upper: jax.Array
    first: jax.Array
    last: jax.Array
    index: jax.Array

    def at(self, unit: jax.Array) -> jax.Array:
        """Points of the unit box `(n, d)` moved into this one, $a + s (b - a)$: points for rows, for example.

        **Raises:** `ValueError` for another number of coordinates.
        """
        unit = jnp.asarray(unit)
        if unit.shape[-1:] != self.lower.shape:
            raise ValueError(f"Region.at: a point has {self.lower.shape[0]} coordinates, time first, shape (n, "
                             f"{self.lower.shape[0]}); got {unit.shape}.")  # fmt: skip
        lower, upper = self.lower.astype(unit.dtype), self.upper.astype(unit.dtype)
        return lower + unit * (upper - lower)

    def within(self, axis: int, unit: jax.Array) -> jax.Array:
        """Numbers of the unit interval moved into this box's interval along one axis, any shape."""
        unit = jnp.asarray(unit)
        lower, upper = self.lower[axis].astype(unit.dtype), self.upper[axis].astype(unit.dtype)
        return lower + unit * (upper - lower)


class Faces(eqx.Module):
    """Ends of boxes across one axis.

    - `axis`: that is constant on them.
    - `owner`, `other`: the experts of the boxes, and their neighbors there or themselves where there is none; integers
        of shape `(F,)`.
    - `inside`: whether there is a neighbor, `(F,)`.
    - `points`: of each face, shape `(F, P, d)`.
    - `beyond`: the same points for the neighbor, on the other side of a period where there is one.
    """

    axis: int = eqx.field(static=True)
    owner: np.ndarray
    other: np.ndarray
    inside: np.ndarray
    points: np.ndarray
    beyond: np.ndarray

    def shared(self) -> "Faces":
        """Those with a neighbor."""
        arrays = (self.owner, self.other, self.inside, self.points, self.beyond)
        return Faces(self.axis, *(array[self.inside] for array in arrays))


class Partition(eqx.Module):
    """A box of time and space cut into equal boxes.

    **Arguments:**

    - `lower`, `upper`: ends of the whole box, time first, $d$ numbers each.
    - `counts`: how many boxes there are along each axis, $K$ in all, the last axis fastest.
    - `overlap`: by how much of a box's length its inner ends move outwards, a number below 1/2, or one for each axis.
    - `periodic`: whether space is periodic, or whether each of its axes is: then the last box along an axis has the
        first one as a neighbor, and none has an end of the whole.

    **Raises:** `ValueError` for ends, counts or overlaps that do not fit.

    !!! example

        ```python
        partition = Partition((0.0, 0.0), (1.0, 1.0), (1, 4))    # four boxes in x, each for all times
        ```
    """

    lower: tuple[float, ...] = eqx.field(static=True, converter=lambda v: tuple(map(float, v)))
    upper: tuple[float, ...] = eqx.field(static=True, converter=lambda v: tuple(map(float, v)))
    counts: tuple[int, ...] = eqx.field(static=True, converter=tuple)
    overlap: float | Sequence[float] = eqx.field(static=True, default=0.0)
    periodic: bool | Sequence[bool] = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not len(self.lower) == len(self.upper) == len(self.counts) > 0:
            raise ValueError("Partition: `lower`, `upper` and `counts` have an entry for each axis, time first; got "
                             f"{self.lower}, {self.upper} and {self.counts}.")  # fmt: skip
        if not all(math.isfinite(b - a) and a < b for a, b in zip(self.lower, self.upper)):
            raise ValueError(f"Partition: every axis needs a length, got {self.lower} to {self.upper}.")
        if not all(isinstance(n, (int, np.integer)) and n >= 1 for n in self.counts):
            raise ValueError(f"Partition: `counts` are integers, 1 or more; got {self.counts}.")
        if len(self.overlaps) != len(self.counts) or not all(0 <= o < 0.5 for o in self.overlaps):
            raise ValueError("Partition: `overlap` is part of a box's length, from 0 to less than 1/2, a number or one "
                             f"for each axis; got {self.overlap}.")  # fmt: skip
        if len(self.wraps) != len(self.counts):
            raise ValueError("Partition: `periodic` is one truth value, or one for each axis of space; got "
                             f"{self.periodic}.")  # fmt: skip

    @property
    def dimension(self) -> int:
        """$d$, time included."""
        return len(self.counts)

    @property
    def count(self) -> int:
        """$K$."""
        return math.prod(self.counts)

    @property
    def overlaps(self) -> tuple[float, ...]:
        """Of each axis."""
        whole = isinstance(self.overlap, (int, float))
        return (float(self.overlap),) * len(self.counts) if whole else tuple(map(float, self.overlap))

    @property
    def wraps(self) -> tuple[bool, ...]:
        """Whether each axis is periodic; time is not."""
        space = (self.periodic,) * (len(self.counts) - 1) if isinstance(self.periodic, bool) else tuple(self.periodic)
        return (False, *space)

    def regions(self) -> Region:
        """The boxes of all experts, overlap included, with a leading axis $K$."""
        lower, upper = self._ends(self.overlaps)
        places = self._places()
        first, last = self._outer(places)
        arrays = (jnp.asarray(lower), jnp.asarray(upper), jnp.asarray(first), jnp.asarray(last))
        return Region(*arrays, jnp.arange(self.count))

    def locate(self, point: Sequence[jax.Array]) -> jax.Array:
        """The expert whose box, without overlap, has a point `(t, x, ...)`; for points outside, the nearest.

        Where space is periodic, points are in its first period.
        """
        if len(point) != self.dimension:
            raise ValueError(f"a point of this partition has {self.dimension} coordinates; got {len(point)}.")
        index = jnp.zeros((), int)
        for x, a, b, n in zip(point, self.lower, self.upper, self.counts):
            place = jnp.floor((jnp.asarray(x) - a) * (n / (b - a)))
            index = index * n + jnp.clip(place, 0, n - 1).astype(int)
        return index

    def faces(self, axis: int, upper: bool, points: int, overlap: bool = True) -> Faces:
        """The lower or upper ends of all boxes along an axis, and the neighbors there.

        **Arguments:**

        - `points`: along each of the other axes, with equal distances, ends included.
        - `overlap`: whether ends are those with overlap, inside of neighbors.
        """
        if points < 1:
            raise ValueError(f"a face needs one point or more along each axis, got {points}.")
        places, count = self._places(), self.counts[axis]
        ahead = places[:, axis] + (1 if upper else -1)
        within = (ahead >= 0) & (ahead < count)
        beside = places.copy()
        beside[:, axis] = ahead % count if self.wraps[axis] else np.clip(ahead, 0, count - 1)
        other = np.ravel_multi_index(tuple(beside.T), self.counts)
        line = np.linspace(0, 1, points) if points > 1 else np.array([0.5])
        unit = [np.array([float(upper)]) if a == axis else line for a in range(self.dimension)]
        low, high = (end[:, None] for end in self._ends(self.overlaps if overlap else (0.0,) * self.dimension))
        where = low + np.array(list(itertools.product(*unit))) * (high - low)
        beyond = where.copy()
        period = self.upper[axis] - self.lower[axis]
        beyond[..., axis] += np.where(within | (not self.wraps[axis]), 0, -period if upper else period)[:, None]
        return Faces(axis, np.arange(self.count), other, within | self.wraps[axis], where, beyond)

    def interfaces(self, points: int) -> list[Faces]:
        """Where neighbors meet, without overlap, for each axis that is cut; the owner is the lower of both."""
        return [self.faces(axis, True, points, overlap=False).shared() for axis in self.cuts]

    @property
    def cuts(self) -> list[int]:
        """The axes along which boxes have neighbors."""
        return [axis for axis, n in enumerate(self.counts) if n > 1 or self.wraps[axis]]

    def _places(self) -> np.ndarray:
        return np.array(list(itertools.product(*(range(n) for n in self.counts))))

    def _ends(self, overlaps) -> tuple[np.ndarray, np.ndarray]:
        places, counts = self._places(), np.asarray(self.counts)
        lower, length = np.asarray(self.lower), (np.asarray(self.upper) - np.asarray(self.lower)) / counts
        first, last = self._outer(places)
        more = np.asarray(overlaps) * length
        low = lower + places * length - np.where(first, 0, more)
        return low, lower + (places + 1) * length + np.where(last, 0, more)

    def _outer(self, places) -> tuple[np.ndarray, np.ndarray]:
        """Whether boxes have the lower and the upper end of the whole."""
        walls = ~np.asarray(self.wraps)
        return (places == 0) & walls, (places == np.asarray(self.counts) - 1) & walls
