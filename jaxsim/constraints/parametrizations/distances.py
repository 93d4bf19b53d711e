"""Distances from pieces of a boundary: zero on a piece, positive in the domain, of slope one where they are zero.

A distance is a callable of coordinates `(x, ...)`, like the shapes of `jaxsim.geometry` but positive where the field
lives. Only its first derivative at the boundary has to be that of the true distance; inside, smooth ones train better.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ...geometry import length, quotient
from ._derivatives import as_float, derivative


class Inside(eqx.Module):
    """Distance from the boundary of a shape, positive in it.

    **Arguments:**

    - `shape`: a shape of `jaxsim.geometry`, or another callable that is negative inside.

    The distance of a `Ball` has a kink at its center; `Smooth` makes one without.
    """

    shape: Callable

    def __call__(self, *x) -> jax.Array:
        return -self.shape(*x)


class Outside(eqx.Module):
    """Distance from the boundary of a shape, positive around it.

    **Arguments:**

    - `shape`: a shape of `jaxsim.geometry`, or another callable that is negative inside.
    """

    shape: Callable

    def __call__(self, *x) -> jax.Array:
        return self.shape(*x)


class Plane(eqx.Module):
    """Distance from the plane where one coordinate has a given value.

    **Arguments:**

    - `axis`: the coordinate's axis.
    - `position`: its value.
    - `inward`: 1 where the domain lies at larger values, -1 where it lies at smaller ones.
    """

    axis: int = eqx.field(static=True)
    position: float = eqx.field(static=True)
    inward: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.inward not in (-1, 1) or self.axis < 0:
            raise ValueError(f"Plane: `inward` is 1 or -1 and `axis` at least 0; got {self.inward} and {self.axis}.")

    def __call__(self, *x) -> jax.Array:
        return self.inward * (as_float(x[self.axis]) - self.position)


class Segment(eqx.Module):
    """Distance from a straight piece of a boundary in the plane, with the domain on the left of the way along it.

    $\\sqrt{f^2 + (\\sqrt{q^2 + f^4} - q)^2 / 4}$ with the distance $f$ from the line and $q$ positive between the
    ends, $(l^2 / 4 - r^2) / l$ for the distance $r$ from the midpoint. Positive on either side; on the segment its
    slope is taken towards the left. Smooth but at the ends.

    **Arguments:**

    - `start`, `end`: two numbers each.

    Reference: Sukumar and Srivastava, Comput. Methods Appl. Mech. Eng. 389, 114333 (2022), section 3.3.
    """

    start: tuple[float, float] = eqx.field(static=True)
    end: tuple[float, float] = eqx.field(static=True)

    def __check_init__(self):
        if len(self.start) != 2 or len(self.end) != 2 or tuple(self.start) == tuple(self.end):
            raise ValueError("Segment: `start` and `end` are two different points of the plane.")

    def __call__(self, x, y) -> jax.Array:
        (ax, ay), (bx, by) = self.start, self.end
        span = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5
        f = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / span
        q = (span**2 / 4 - (x - (ax + bx) / 2) ** 2 - (y - (ay + by) / 2) ** 2) / span
        root = length(q, f * f)
        facing = q > 0  # there the trimming is factored, so that the slope on the segment itself is that of f
        trimmed = f**3 / (2 * jnp.where(facing, root + q, 1))
        beyond = jnp.where(facing, 1, (root - q) / 2)
        return jnp.where(facing, jnp.where(f >= 0, f, -f) * jnp.sqrt(1 + trimmed**2), length(f, beyond))


class Smooth(eqx.Module):
    """Distance from the zeros of a smooth function, $d = f / \\sqrt{f^2 + |\\nabla f|^2}$, to first order.

    **Arguments:**

    - `function`: $f$ of `(x, ...)`, positive in the domain, whose gradient does not vanish on the boundary: for a
        disk `lambda x, y: 1 - x**2 - y**2`. Where both vanish, as in a corner, the distance is zero.

    Reference: Sukumar and Srivastava (2022), section 3.2, after Rvachev.
    """

    function: Callable

    def __call__(self, *x) -> jax.Array:
        f = jnp.asarray(self.function(*x))
        return quotient(f, length(f, *gradient(self.function, x)))


class Both(eqx.Module):
    """Distance from the boundary of what domains have in common, $d_1 + d_2 - \\sqrt{d_1^2 + d_2^2}$.

    **Arguments:** the distances of the domains, `Both(a, b, ...)`, each positive inside and negative outside.

    Smooth but where two boundaries cross (see `OnBoundary`). Reference: Sukumar and Srivastava (2022), section 3.1.
    """

    distances: tuple[Callable, ...]

    def __init__(self, *distances: Callable):
        self.distances = _several(distances, "Both")

    def __call__(self, *x) -> jax.Array:
        first, *rest = (distance(*x) for distance in self.distances)
        for other in rest:
            first = first + other - length(first, other)
        return first


class Either(eqx.Module):
    """Distance from the boundary of domains put together, $d_1 + d_2 + \\sqrt{d_1^2 + d_2^2}$.

    **Arguments:** the distances of the domains, `Either(a, b, ...)`, each positive inside and negative outside.

    Smooth but where two boundaries cross (see `OnBoundary`). Reference: Sukumar and Srivastava (2022), section 3.1.
    """

    distances: tuple[Callable, ...]

    def __init__(self, *distances: Callable):
        self.distances = _several(distances, "Either")

    def __call__(self, *x) -> jax.Array:
        first, *rest = (distance(*x) for distance in self.distances)
        for other in rest:
            first = first + other + length(first, other)
        return first


class Joined(eqx.Module):
    """Distance from several pieces of a boundary taken together, $(\\sum_i d_i^{-m})^{-1/m}$.

    **Arguments:** the distances of the pieces, `Joined(a, b, ...)`, none negative in the domain, and

    - `order`: $m$, at least 1. Near a piece it equals the piece's own distance up to order $m + 1$.

    Zero where pieces meet, with the derivative zero, since there slopes depend on the way to that point.

    Reference: Sukumar and Srivastava (2022), section 3.1.
    """

    distances: tuple[Callable, ...]
    order: int = eqx.field(static=True)

    def __init__(self, *distances: Callable, order: int = 1):
        self.distances = _several(distances, "Joined")
        self.order = order
        if order < 1:
            raise ValueError(f"Joined: `order` is at least 1, got {order}.")

    def __call__(self, *x) -> jax.Array:
        first, *rest = (distance(*x) for distance in self.distances)
        for other in rest:
            first = self._two(first, other)
        return first

    def _two(self, a, b):
        # Zero where both are; in units of the larger one, so that powers stay in the range of numbers.
        m, size = self.order, jax.lax.stop_gradient(jnp.maximum(jnp.abs(a), jnp.abs(b)))
        meeting = size == 0
        unit = jnp.where(meeting, 1, size)
        below = jnp.where(meeting, 1, (a / unit) ** m + (b / unit) ** m)
        return a * (b / unit) / (below if m == 1 else below ** (1 / m))


def gradient(distance: Callable, x) -> list[jax.Array]:
    """The slopes of a distance along each axis: where it is zero, the inward normal."""
    return [derivative(distance, x, axis) for axis in range(len(x))]


def to_boundary(distance: Callable, points: jax.Array, steps: int = 20) -> jax.Array:
    """Points on a boundary next to given ones, by Newton steps along the gradient of its distance.

    **Arguments:**

    - `distance`: of the boundary.
    - `points`: shape `(n, dimensions)`.
    - `steps`: how many; each squares what is left.

    **Returns:** shape `(n, dimensions)`.

    **Raises:** `ValueError` where steps do not end on the boundary, as from points far from it.
    """

    def moved(point, _):
        normal = jnp.stack(gradient(distance, tuple(point)))
        return point - distance(*point) * normal / jnp.sum(normal**2), None

    @jax.jit
    @jax.vmap
    def settled(point):
        end = jax.lax.scan(moved, point, None, length=steps)[0]
        return end, jnp.abs(distance(*end))

    points = as_float(points)
    found, left = settled(points)
    size = jnp.max(jnp.abs(jnp.stack([points, found])))
    if not isinstance(left, jax.core.Tracer) and not jnp.all(left <= 1e3 * jnp.finfo(points.dtype).eps * size):
        raise ValueError(f"to_boundary: {steps} steps end as far as {float(jnp.max(left)):.2g} from the boundary. "
                         "Begin nearer to it.")  # fmt: skip
    return found


def _several(distances, name):
    if not distances or not all(callable(d) for d in distances):
        raise TypeError(f"{name}: needs distances, callables of (x, ...), as in {name}(a, b).")
    return distances

