"""Conditions on the sides of a box."""

import abc
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class _Law(eqx.Module):
    """A plain function of time and position, kept out of the arrays of a pytree."""

    function: Callable = eqx.field(static=True)

    def __call__(self, *arguments):
        return self.function(*arguments)


def _leaf(value: Any) -> Any:
    """Numbers, zero among them, and arrays as inexact arrays, functions as modules; `None` is zero without a leaf."""
    if value is None:
        return None
    if callable(value):
        return _Law(value) if jax.tree_util.all_leaves([value]) else value
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))


def is_zero(value: Any) -> bool:
    """Whether a right-hand side is known to be zero. A traced one is not known, and may be differentiated."""
    if isinstance(value, tuple):
        return all(map(is_zero, value))
    if value is None or callable(value):
        return value is None
    return is_concrete(value) and not np.any(np.asarray(value))


class _Known(eqx.Module):
    """A number that every trace knows, so that eigenvectors are found once."""

    value: float = eqx.field(static=True)


def _number(value: Any) -> Any:
    if isinstance(value, (int, float, _Known)):
        return value if isinstance(value, _Known) else _Known(float(value))
    if callable(value):
        raise ValueError(f"Robin: `a` and `b` are numbers or arrays over the side; got {value!r}.")
    return jnp.asarray(value, jnp.result_type(float, value))


class Boundary(eqx.Module):
    """A condition on one side of a box.

    `known` is a boolean where the program that runs has to find out whether a field satisfies it, `None` elsewhere.
    """

    known = None

    @abc.abstractmethod
    def coefficients(self) -> tuple[Any, Any]:
        """Numbers $a, b$ of the condition $a u + b\\,\\partial u / \\partial n = g$."""

    @abc.abstractmethod
    def with_value(self, value: Any) -> "Boundary":
        """The same kind of condition with another right-hand side."""

    def simplified(self) -> "Boundary":
        """The same condition, without an array where its right-hand side is known to be zero."""
        return self.with_value(None) if is_zero(getattr(self, "value", None)) else self


class Periodic(Boundary):
    """The axis closes on itself. Both sides of an axis are periodic, or neither."""

    def coefficients(self):
        raise ValueError("a periodic axis has no condition.")

    def with_value(self, value):
        return self


class Dirichlet(Boundary):
    """The value at the wall, $u = g$.

    **Arguments:**

    - `value`: $g$; a number, an array that broadcasts against `(*components, *side)`, where `side` is the
        grid's shape without the side's axis, or a callable `value(t, *x)` of time and of all coordinates of
        the side's points (arrays of shape `side`). Zero, as a leaf that can be differentiated, is `Dirichlet(0.0)`;
        `Dirichlet()` is zero without one.
    """

    value: Any = eqx.field(converter=_leaf, default=None)
    known: Any = eqx.field(default=None, kw_only=True)

    def coefficients(self):
        return 1.0, 0.0

    def with_value(self, value):
        return dataclasses.replace(self, value=value)


class Clamped(Dirichlet):
    """Value and slope at the wall are zero, $u = \\partial u / \\partial n = 0$: the two conditions of fourth order.

    For plates, thin films and stream functions, whose equations have fourth derivatives across the wall. Equations of
    second order have room for one condition alone.
    """

    def __check_init__(self):
        if self.value is not None:
            raise ValueError("js.Clamped() takes no value: subtract a field that has the values of the walls.")

    def with_value(self, value):
        return self if value is None else Dirichlet(value, known=self.known)


class Neumann(Boundary):
    """The outward normal derivative at the wall, $\\partial u / \\partial n = g$.

    Outward: on the lower side of the first axis $g$ is $-\\partial u / \\partial x$, on the upper side
    $+\\partial u / \\partial x$. Positive values mean that $u$ grows towards the wall on either side.

    **Arguments:**

    - `value`: $g$, as for [`Dirichlet`][jaxsim.Dirichlet]; in units of $u$ per length.
    """

    value: Any = eqx.field(converter=_leaf, default=None)
    known: Any = eqx.field(default=None, kw_only=True)

    def coefficients(self):
        return 0.0, 1.0

    def with_value(self, value):
        return dataclasses.replace(self, value=value)


class Robin(Boundary):
    """A mixture at the wall, $a u + b\\,\\partial u / \\partial n = g$ with the outward normal derivative.

    **Arguments:**

    - `a`, `b`: numbers, not both zero. With $a b < 0$ the wall feeds the field, and may destabilize it. To
        differentiate them give arrays. Arrays that broadcast against the side let the kind of condition vary along it:
        `Robin(where(x < 1, 1.0, 0.0), where(x < 1, 0.0, 1.0))` prescribes the value on one part and the slope on the
        other. Such a space has no diagonal form.
    - `value`: $g$, as for [`Dirichlet`][jaxsim.Dirichlet].

    **Raises:** `ValueError` where `a` and `b` are both zero.
    """

    a: Any = eqx.field(converter=_number)
    b: Any = eqx.field(converter=_number)
    value: Any = eqx.field(converter=_leaf, default=None)
    known: Any = eqx.field(default=None, kw_only=True)

    def __check_init__(self):
        if is_concrete(*self.coefficients()):
            a, b = map(np.asarray, self.coefficients())
            if not np.all((a != 0) | (b != 0)):
                raise ValueError("Robin: `a` and `b` are both zero, which is no condition at all.")

    def coefficients(self):
        a, b = (number.value if isinstance(number, _Known) else number for number in (self.a, self.b))
        return a, b

    def with_value(self, value):
        return dataclasses.replace(self, value=value)


class WallFlux(Boundary):
    """A flux through the wall that depends on the state there, $\\partial u / \\partial n = q(t, u, x)$, outward.

    Radiation, evaporation, reactions on a surface. It takes the values that the nodes next to the wall give there. The
    Laplacian of such a field is not linear in it: write it in `nonlinear`, and choose a solver of diffrax.

    **Arguments:**

    - `law`: $q$, a function `law(t, u, *x)` of time, of the values on the side, `(*components, *side)`, and of all
        coordinates of its points, arrays of shape `side`; in units of $u$ per length. A module keeps its numbers as
        leaves.
    """

    value: Callable = eqx.field(converter=_leaf)

    def coefficients(self):
        return 0.0, 1.0

    def with_value(self, value):
        return Neumann(value)


Sides = tuple[Boundary, Boundary]


def per_side(boundary: Any, dimension: int) -> tuple[Sides, ...]:
    """A condition on all sides, or one condition or pair per axis, as one pair per axis."""
    entries = (Periodic(),) * dimension if boundary is None else boundary
    if isinstance(entries, Boundary):
        entries = (entries,) * dimension
    if not isinstance(entries, (tuple, list)) or len(entries) != dimension:
        hint = " For one axis with two different sides write ((lower, upper),)." if dimension == 1 else ""
        raise ValueError(
            "FiniteDifference: `boundary` is one condition for all sides, or a tuple with one entry per axis "
            f"({dimension}); got {boundary!r}.{hint}"
        )
    return tuple(_pair(entry, axis) for axis, entry in enumerate(entries))


def _pair(entry: Any, axis: int) -> Sides:
    pair = (entry, entry) if isinstance(entry, Boundary) else entry
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(c, Boundary) for c in pair):
        raise ValueError(
            f"FiniteDifference: the entry of axis {axis} in `boundary` is a condition for both sides or a "
            f"pair (lower, upper) of conditions such as js.Dirichlet(0.0); got {entry!r}."
        )
    if isinstance(pair[0], Periodic) != isinstance(pair[1], Periodic):
        raise ValueError(f"FiniteDifference: axis {axis} is periodic on one side only; make both sides js.Periodic().")
    return pair[0], pair[1]


def is_concrete(*values: Any) -> bool:
    """Whether none of the values is being traced."""
    return not any(isinstance(v, jax.core.Tracer) for v in values)


def same_kind(conditions: list) -> Any:
    """Whether conditions, some possibly unknown (`None`), differ in their right-hand sides only.

    Their classes decide, and then the numbers $a$, $b$: where one is traced the answer is a traced boolean.
    """
    first = conditions[0]
    if any(type(c) is not type(first) or c is None for c in conditions):
        return False
    pairs = [pair for c in conditions[1:] for pair in zip(c.coefficients(), first.coefficients())]
    answers = [_equal(a, b) for a, b in pairs if a is not b] + [c.known for c in conditions if c.known is not None]
    traced = [answer for answer in answers if not is_concrete(answer)]
    if not all(answer for answer in answers if is_concrete(answer)):
        return False
    return functools.reduce(jnp.logical_and, traced) if traced else True


def _equal(a: Any, b: Any) -> Any:
    xp, dtype = np if is_concrete(a, b) else jnp, jnp.result_type(float)
    return xp.all(xp.equal(xp.asarray(a, dtype), xp.asarray(b, dtype)))
