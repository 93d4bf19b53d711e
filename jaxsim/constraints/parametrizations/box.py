"""Fields that satisfy conditions on the sides of a box by construction."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...spaces.boundary import Boundary, Periodic
from ._derivatives import as_float
from ._sides import HINT, Condition, operator
from .initial import FromInitial

Sides = tuple[Condition | None, Condition | None]


class OnBox(eqx.Module):
    """A field held to conditions on the sides of a box.

    Axis by axis, $u = v + \\sum_k \\varphi_k(x)\\,(g_k - C_k v)$, where $C_k v = a v + b\\,\\partial v / \\partial n$
    is taken at side $k$ and $\\varphi_k$ is the polynomial of least degree with $C_j \\varphi_k = \\delta_{jk}$.
    Corners are ordinary points of it: nothing is singular there. The field that is held may be any; one that meets the
    conditions already is left as it is. So what else is known of it stays: periods along other axes, and the initial
    values of `OnBox(FromInitial(network, u0), ...)`, if these meet the conditions.

    **Arguments:**

    - `network`: $v$, a callable of `(t, x, ...)`.
    - `lower`, `upper`: ends of the box, one number per axis.
    - `boundary`: as for `js.FiniteDifference`: one condition for all sides, or a tuple with one entry per axis, each a
        condition for both sides or a pair `(lower, upper)`: `js.Dirichlet(value)`, `js.Neumann(value)`,
        `js.Robin(a, b, value)`. `None` or `js.Periodic()` stand for no condition. Values may be callables `(t, x, ...)`
        of time and all coordinates. Numbers and arrays in conditions are not trained; callables with arrays are.

    With conditions on both ends of each of $n$ axes the field that is held is evaluated at $3^n$ points; see
    `VanishingOnBox` for a cheaper form. Where sides meet, their values must agree (`check_consistent`); otherwise the
    last axes' conditions fail next to the edges.

    **Raises:** `ValueError` for a boundary of the wrong structure.

    References: Mortari, The theory of connections, Mathematics 5, 57 (2017); Leake, Johnston and Mortari, The
    multivariate theory of functional connections, Mathematics 8, 1303 (2020).
    """

    network: Callable
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    sides: tuple[Sides, ...]

    def __init__(self, network: Callable, lower: Sequence[float], upper: Sequence[float], boundary: Any):
        self.network = network
        self.lower, self.upper, self.sides = _parse(lower, upper, boundary, "OnBox")

    def __call__(self, t, *x) -> jax.Array:
        return _held(self, self._correct, t, x)

    @property
    def has_values(self) -> bool:
        """Whether a right-hand side is not known to be zero."""
        return any(side is not None and side.value is not None for pair in self.sides for side in pair)

    @staticmethod
    def _correct(function, sides, ends, wanted, x):
        total = jnp.asarray(function(x))
        for side, end, outward, shape in zip(sides, ends, (-1.0, 1.0), switches(sides, *ends, x)):
            if side is not None:
                wall = jnp.full_like(x, end)
                found = operator(side, function, wall, outward)
                total = total + shape * (wanted(side, wall, total) - found)
        return total


class VanishingOnBox(eqx.Module):
    """A field that satisfies the conditions of a box with zero on their right-hand sides.

    Along axes whose conditions are all on values it is a product with distances, $(x - a)(b - x) / (b - a)$, which
    takes one evaluation of the network; along others it is what `OnBox` is. Sums and multiples of such fields are
    such fields, so that it serves as the free part of others: with a wall's values $g$ and initial values $u_0$,

    ```python
    walls = (lower, upper, boundary)
    lift = OnBox(lambda t, x: u0(x), *walls)    # has the right values at the walls, and u0 at t0 if this meets them
    field = FromInitial(VanishingOnBox(network, *walls), Lift(lift))
    ```

    **Arguments:** as for `OnBox`; the values of the conditions do not matter.

    Reference: Lagaris, Likas and Fotiadis, IEEE Trans. Neural Netw. 9, 987 (1998), section II.
    """

    network: Callable
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)
    sides: tuple[Sides, ...]

    def __init__(self, network: Callable, lower: Sequence[float], upper: Sequence[float], boundary: Any):
        if isinstance(network, FromInitial):
            raise ValueError(
                "VanishingOnBox: it would change initial values. Write FromInitial(VanishingOnBox(...), ...)."
            )
        self.network = network
        self.lower, self.upper, self.sides = _parse(lower, upper, boundary, "VanishingOnBox")

    def __call__(self, t, *x) -> jax.Array:
        return _held(self, self._correct, t, x)

    @staticmethod
    def _correct(function, sides, ends, wanted, x):
        if all(side is None or side.on_value for side in sides):
            return bubble(sides, *ends, x) * jnp.asarray(function(x))
        zero = lambda side, wall, like: jnp.zeros_like(like)
        return OnBox._correct(function, sides, ends, zero, x)


def bubble(sides: Sides, lower: float, upper: float, x: jax.Array) -> jax.Array:
    """A polynomial that is the distance from each side with a condition, to first order."""
    low, high = sides
    if low is None and high is None:
        return jnp.ones_like(x)
    if low is None or high is None:
        return upper - x if low is None else x - lower
    return (x - lower) * (upper - x) / (upper - lower)


def switches(sides: Sides, lower: float, upper: float, x: jax.Array) -> tuple:
    """Polynomials for which one condition of an axis is 1 and the other 0; `None` where there is no condition."""
    present = [side for side in sides if side is not None]
    if not present:
        return None, None
    length = upper - lower
    if all(side.known for side in present):
        coefficients = _known_switches(sides, length)
    else:
        matrix = jnp.stack([_row(side, k, 4, length, x) for k, side in enumerate(sides) if side is not None])
        coefficients = jnp.linalg.solve(matrix @ matrix.T, matrix)  # full row rank for a cubic, whatever a and b
    s = (x - lower) / length
    values = []
    for row in coefficients:
        total = jnp.zeros_like(x)
        for coefficient in row[::-1]:
            total = total * s + coefficient
        values.append(total)
    found = iter(values)
    low, high = (None if side is None else next(found) for side in sides)
    return low, high


def _known_switches(sides, length):
    """Coefficients in powers of the relative position, of the least degree that works."""
    size = sum(side is not None for side in sides)
    while True:  # a cubic always does
        matrix = np.array([_row(side, k, size, length) for k, side in enumerate(sides) if side is not None])
        scale = np.linalg.norm(matrix, axis=1, keepdims=True)
        if np.all(scale > 0) and np.linalg.svd(matrix / scale, compute_uv=False)[-1] > 1e-2:
            return (np.linalg.pinv(matrix / scale).T / scale).tolist()
        size += 1


def _row(side, end, size, length, like=None):
    """A condition, applied to powers of the relative position at its end."""
    values, slopes = np.ones(size), np.arange(size) / length
    if end == 0:
        values, slopes = np.eye(size)[0], -(np.eye(size)[1] if size > 1 else np.zeros(size)) / length
    if like is None:
        return side.a * values + side.b * slopes
    a, b = side.numbers(like)
    return a * jnp.asarray(values, like.dtype) + b * jnp.asarray(slopes, like.dtype)


def _held(field, correct, t, x):
    """The field with every axis corrected in turn, the first axis last."""
    if len(x) != len(field.sides):
        raise ValueError(
            f"{type(field).__name__}: needs (t, x, ...) with {len(field.sides)} coordinates, got {len(x)}."
        )
    x = tuple(as_float(value) for value in x)

    def from_axis(axis, x):
        if axis == len(x):
            return field.network(t, *x)
        if field.sides[axis] == (None, None):
            return from_axis(axis + 1, x)
        at = lambda value: (*x[:axis], value, *x[axis + 1 :])
        ends = field.lower[axis], field.upper[axis]
        wanted = lambda side, wall, like: side.wanted(like, t, *at(wall))
        return correct(lambda value: from_axis(axis + 1, at(value)), field.sides[axis], ends, wanted, x[axis])

    return from_axis(0, x)


def _parse(lower, upper, boundary, name):
    lower, upper = (tuple(float(end) for end in np.atleast_1d(np.asarray(ends))) for ends in (lower, upper))
    if len(lower) != len(upper) or any(high <= low for low, high in zip(lower, upper)):
        raise ValueError(f"{name}: `lower` and `upper` have one number per axis, the upper one larger.")
    dimension = len(lower)
    entries = (boundary,) * dimension if isinstance(boundary, Boundary) else boundary
    if not isinstance(entries, (tuple, list)) or len(entries) != dimension:
        hint = " For one axis with two different sides write ((lower, upper),)." if dimension == 1 else ""
        raise ValueError(f"{name}: `boundary` is one condition for all sides, or a tuple with one entry per axis "
                         f"({dimension}); got {boundary!r}.{hint}")  # fmt: skip
    sides = []
    for entry in entries:
        pair = (entry, entry) if entry is None or isinstance(entry, Boundary) else entry
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(f"{name}: an axis has one condition or a pair (lower, upper), each {HINT}; got {entry!r}.")
        if isinstance(pair[0], Periodic) != isinstance(pair[1], Periodic):
            raise ValueError(f"{name}: an axis is periodic on both sides or on none; got {entry!r}.")
        free = lambda side: side is None or isinstance(side, Periodic)
        sides.append(tuple(None if free(side) else Condition.of(side, name) for side in pair))
    return lower, upper, tuple(sides)
