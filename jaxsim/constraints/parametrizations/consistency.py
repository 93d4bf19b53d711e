"""Whether initial values and conditions at the boundary can hold at once."""

import itertools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ...norms import norm
from ...optimize import number
from ._derivatives import as_float
from ._sides import Condition, operator
from .boundary import OnBoundary
from .box import OnBox, VanishingOnBox
from .distances import gradient
from .initial import FromInitial, Lift


def check_consistent(field: OnBox | VanishingOnBox | OnBoundary, initial: Callable | None = None, t0: float = 0.0,
                     rate: Callable | None = None, times: Sequence[float] = (), points: jax.Array | None = None,
                     count: int = 5, tolerance: float = 1e-6) -> None:  # fmt: skip
    """Raise where initial values do not meet the conditions of a field, or conditions disagree where sides meet.

    Checked at a few points of each side: the conditions on $u_0$ at $t_0$; their rates of change on $v_0$; and along
    every edge of a box, that the condition of one side on the values of the other is the same either way. Fields that
    hold what cannot hold at once would be wrong on one side or initially, whatever is trained.

    **Arguments:**

    - `field`: with the conditions, `OnBox` or `OnBoundary`.
    - `initial`: $u_0$, a function of `(x, ...)`; with `t0` and `rate` that of a `FromInitial` in an `OnBox` by default.
    - `t0`: $t_0$.
    - `rate`: $v_0$, for equations of second order in time.
    - `times`: others at which sides are compared where they meet.
    - `points`: on the boundary, shape `(n, dimensions)`, for `OnBoundary`; see `to_boundary`. Each is held to the
        pieces whose distance is zero there, and those distances to a slope of one.
    - `count`: points along each axis of a side.
    - `tolerance`: of differences, relative to one plus the size of what is compared.

    **Raises:** `ValueError` that names the side, the point and both values.
    """
    if isinstance(field, OnBoundary):
        return _check_pieces(field, initial, t0, rate, points, tolerance)
    if not isinstance(field, OnBox | VanishingOnBox):
        raise TypeError(f"check_consistent: needs an OnBox or OnBoundary, got {type(field).__name__}.")
    inner = field.network
    if initial is None and rate is None and isinstance(inner, FromInitial):
        t0, rate = number(inner.t0, jnp.zeros(())), inner.rate
        initial = (lambda *x: inner.initial(t0, *x)) if isinstance(inner.initial, Lift) else inner.initial
    walls = [_Wall(field, axis, end) for axis in range(len(field.sides)) for end in (0, 1)]
    walls = [wall for wall in walls if wall.condition is not None]
    for wall in walls:
        samples = _samples(field, {wall.axis: wall.position}, count)
        if initial is not None:
            wall.compare("the initial values", lambda t, *x: initial(*x), wall.value, t0, samples, tolerance)
        if rate is not None:
            wall.compare("the initial rates", lambda t, *x: rate(*x), _rate(wall.value), t0, samples, tolerance)
    for first, second in itertools.combinations(walls, 2):
        if first.axis == second.axis:
            continue
        samples = _samples(field, {first.axis: first.position, second.axis: second.position}, count)
        for t in (t0, *times):
            crossed = lambda t, *x, a=first, b=second: b.apply(a.on_wall, t, *x)
            first.compare(f"the values on {second.name}", second.on_wall, crossed, t, samples, tolerance)


class _Wall:
    """A side of a box with its condition."""

    def __init__(self, field, axis: int, end: int):
        self.axis = axis
        self.condition: Condition = field.sides[axis][end]
        self.vanishing = isinstance(field, VanishingOnBox)
        self.position = (field.lower, field.upper)[end][axis]
        self.outward = (-1.0, 1.0)[end]
        self.name = f"the {('lower', 'upper')[end]} side of axis {axis}"

    def value(self, t, *x, like=None):
        """The right-hand side of the condition."""
        if self.vanishing or self.condition.value is None:
            return jnp.zeros_like(x[0])
        value = self.condition.value
        return jnp.asarray(value(t, *x) if not _is_number(value) else value.thawed())

    def on_wall(self, t, *x):
        """The same, extended from the side along its normal."""
        return self.value(t, *x[: self.axis], jnp.full_like(x[self.axis], self.position), *x[self.axis + 1 :])

    def apply(self, function, t, *x):
        """The left-hand side of the condition for a field."""
        across = lambda value: function(t, *x[: self.axis], value, *x[self.axis + 1 :])
        return operator(self.condition, across, x[self.axis], self.outward)

    def compare(self, what, function, wanted, t, samples, tolerance):
        t = as_float(t)
        at = jax.vmap(lambda x: (self.apply(function, t, *x), jnp.asarray(wanted(t, *x))))
        _compare(what, self.name, *jax.jit(at)(samples), t, samples, tolerance)


def _rate(function):
    def moving(t, *x):
        return jax.jvp(lambda time: jnp.asarray(function(time, *x)), (t,), (jnp.ones_like(t),))[1]

    return moving


def _is_number(value):
    return hasattr(value, "thawed") and not callable(value.value)


def _samples(field, fixed, count):
    axes = [
        np.array([fixed[axis]]) if axis in fixed else np.linspace(low, high, count)
        for axis, (low, high) in enumerate(zip(field.lower, field.upper))
    ]
    return as_float(np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], 1))


def _compare(what, where, found, said, t, samples, tolerance):
    found, said = np.broadcast_arrays(found, said)
    wrong = np.abs(found - said) > tolerance * (1 + np.abs(said))
    if not np.all(~wrong & np.isfinite(found)):
        i = np.argmax((wrong | ~np.isfinite(found)).reshape(len(found), -1).any(1))
        place = ", ".join(f"{x:.4g}" for x in np.asarray(samples[i]))
        raise ValueError(f"{what} do not meet the condition on {where}: at t = {float(t):.4g}, x = ({place}) "
                         f"a u + b du/dn is {found[i]}, and the condition says {said[i]}.")  # fmt: skip


def _check_pieces(field, initial, t0, rate, points, tolerance):
    if points is None:
        raise ValueError("check_consistent: OnBoundary needs `points` on its boundary; see to_boundary.")
    points, t = as_float(points), as_float(t0)
    for index, piece in enumerate(field.pieces):
        distance = jax.vmap(lambda x, d=piece.distance: d(*x))(points)
        here = points[np.asarray(jnp.abs(distance)) < tolerance]
        if len(here):
            given = [("initial values", initial, _same), ("initial rates", rate, _rate)]
            for what, function, of in [entry for entry in given if entry[1] is not None] or given[:1]:
                _check_piece(piece, index, what, function, of, t, here, tolerance)


def _check_piece(piece, index, what, function, of, t, here, tolerance):
    condition = piece.condition

    @jax.jit
    @jax.vmap
    def at(x):
        normal = jnp.stack(gradient(piece.distance, tuple(x)))
        if function is None:
            return norm(normal), 0.0, 0.0
        found = _on_piece(condition, function, tuple(x), tuple(-normal))
        return norm(normal), found, of(lambda t, *x: condition.wanted(found, t, *x))(t, *x)

    slopes, found, said = at(here)
    if np.any(np.abs(slopes - 1) > tolerance):
        raise ValueError(f"check_consistent: the distance of piece {index} has slopes of {slopes.min():.4g} to "
                         f"{slopes.max():.4g} on it instead of 1; wrap it as Smooth(...).")  # fmt: skip
    _compare(f"the {what}", f"piece {index}", found, said, t, here, tolerance)


def _same(function):
    return function


def _on_piece(condition, function, x, outward):
    value, slope = jax.jvp(lambda *x: jnp.asarray(function(*x)), x, outward)
    a, b = condition.numbers(value)
    return a * value + b * slope
