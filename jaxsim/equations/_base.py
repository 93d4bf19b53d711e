"""What an equation is, and its residual on any field."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calculus import stack
from ..field import Field
from ..spaces import Callables

State = Any  # a Field, or a pytree of Fields


class _Absent:
    """What the methods of `Equation` itself return: the equation has no such part."""

    def __repr__(self):
        return "<no such part>"


ABSENT = _Absent()


class Equation(eqx.Module):
    """A partial differential equation $u_t = L u + N(t, u)$, written once for every space.

    Subclass it, name the parameters, and write `linear`, `nonlinear` or both with the functions of `jaxsim`
    (`js.laplacian`, `js.partial`, ...). Parameters given as Python numbers become array leaves, so that they can be
    differentiated and swept without compiling again. A system is a field with one leading axis: unpack it with
    `u, v = state` and return one field per component.

    A part that an equation does not have is a method that it does not write. Where that depends on a parameter, return
    what the method of the base class returns: `return super().nonlinear(t, u)`. `None` is an error, because it is what
    Python returns for a forgotten `return`.

    !!! example

        ```python
        class Burgers(js.Equation):
            viscosity: float | jax.Array

            def linear(self, u):
                return self.viscosity * js.laplacian(u)

            def nonlinear(self, t, u):
                return -0.5 * js.partial(u * u, 0)
        ```
    """

    def __check_init__(self):
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.bool_):  # a flag, as that of Python is
                object.__setattr__(self, item.name, bool(value))
            elif not item.metadata.get("static") and _is_number(value):
                object.__setattr__(self, item.name, jnp.asarray(value if isinstance(value, complex) else float(value)))

    def linear(self, u: State) -> State:
        """The stiff part: linear in `u`, with coefficients constant in space and time."""
        return ABSENT

    def nonlinear(self, t, u: State) -> State:
        """The rest of the right-hand side."""
        return ABSENT

    def residual(self, t, u: State) -> State:
        """For stationary or constrained problems: what must vanish."""
        return ABSENT

    def constrain(self, u: State) -> State:
        """The admissible state next to `u`, at which a run begins and steps end."""
        return ABSENT

    def drifts(self, u: State) -> bool:
        """Whether steps that start on the constraint leave it, so that each must end with `constrain`."""
        return True

    def tangent(self, rate: State) -> State:
        """The part of a rate of change that keeps the constraint, which noise is projected on."""
        return ABSENT

    def signal_speeds(self, t, u: State) -> Any:
        """How fast signals travel along each axis, for steps that a Courant number bounds.

        A field with one component per axis, such as a velocity (in one dimension a scalar one will do); or a list with
        a field, nodal values or a number for each axis. Signs do not matter. Where several signals travel, the fastest:
        $|u_i| + c$ for waves of speed $c$ in a flow $u$.
        """
        return ABSENT

    def check(self, u: State) -> None:
        """Raise where parameters do not fit a state; called before a run, and passing what is traced."""

    def right_hand_side(self, t, u: State) -> State:
        """The sum of both parts, with the structure of `u`."""
        parts = [part for part in (linear_part(self, u), nonlinear_part(self, t, u)) if part is not None]
        if not parts:
            raise TypeError(f"{type(self).__name__} has neither `linear` nor `nonlinear`: write at least one of them.")
        return jax.tree.map(lambda *fields: _total(fields), *parts, is_leaf=is_field)


def _is_number(value) -> bool:
    return isinstance(value, int | float | complex) and not isinstance(value, bool)


def is_field(node) -> bool:
    """Whether a pytree node is a Field."""
    return isinstance(node, Field)


def linear_part(equation: Equation, u: State) -> State | None:
    """What `equation.linear(u)` gives, structured like `u`; `None` for an equation that has no such part.

    This and the functions below are how solvers read an equation: they refuse what is no field.
    """
    return _checked(equation, "linear", equation.linear(u), u)


def nonlinear_part(equation: Equation, t, u: State) -> State | None:
    """What `equation.nonlinear(t, u)` gives; otherwise as `linear_part`."""
    return _checked(equation, "nonlinear", equation.nonlinear(t, u), u)


def constrained_state(equation: Equation, u: State) -> State | None:
    """What `equation.constrain(u)` gives; otherwise as `linear_part`."""
    return _checked(equation, "constrain", equation.constrain(u), u)


def tangent_part(equation: Equation, rate: State) -> State | None:
    """What `equation.tangent(rate)` gives; otherwise as `linear_part`."""
    return _checked(equation, "tangent", equation.tangent(rate), rate)


def speeds_of_signals(equation: Equation, t, u: State) -> list[Any]:
    """What `equation.signal_speeds(t, u)` gives: a list of one field, or of one entry per axis.

    **Raises:** `TypeError` for an equation that does not say, or says something else.
    """
    name, speeds = type(equation).__name__, equation.signal_speeds(t, u)
    if speeds is ABSENT:
        raise TypeError(
            f"{name} does not say how fast its signals travel, which a Courant number needs: write its method "
            "`signal_speeds(self, t, u)`, which returns one speed per axis (a velocity field will do)."
        )
    if speeds is None:
        raise TypeError(f"{name}.signal_speeds returned None: is a `return` missing?")
    dimension = jax.tree.leaves(u, is_leaf=is_field)[0].space.dimension
    if is_field(speeds):
        if speeds.shape != (dimension,) and (speeds.shape, dimension) != ((), 1):
            raise TypeError(f"{name}.signal_speeds needs one component per axis ({dimension}), got {speeds.shape}.")
        return [speeds]
    speeds = list(speeds)
    if len(speeds) != dimension or any(is_field(c) and c.shape != () for c in speeds):
        raise TypeError(f"{name}.signal_speeds needs one scalar per axis ({dimension}), got {len(speeds)} entries.")
    return speeds


def own_residual(equation: Equation, t, u: State) -> Any | None:
    """What `equation.residual(t, u)` gives, which need not be structured like `u`; otherwise as `linear_part`."""
    result = equation.residual(t, u)
    if result is ABSENT:
        return None
    _require_fields(equation, "residual", result)
    return like_state(result, u) if isinstance(result, (tuple, list)) and isinstance(u, Field) else result


def _checked(equation: Equation, method: str, result: Any, u: State) -> State | None:
    if result is ABSENT:
        return None
    _require_fields(equation, method, result)
    return like_state(result, u, f"{type(equation).__name__}.{method}")


def _require_fields(equation: Equation, method: str, result: Any) -> None:
    name = f"{type(equation).__name__}.{method}"
    if result is None:
        raise TypeError(
            f"{name} returned None: is a `return` missing? Leave out a method that an equation does not need, or "
            f"return what the base class returns, super().{method}(...)."
        )
    parts = jax.tree.leaves(result, is_leaf=lambda node: is_field(node) or node is None)
    wrong = next((part for part in parts if not is_field(part)), None if parts else result)
    if not parts or wrong is not None or any(part is None for part in parts):
        raise TypeError(
            f"{name} must return fields, and gave {type(wrong).__name__}: return a Field, e.g. js.sample(f, t, u) for "
            "a function f(t, x, ...), or 0 * u."
        )


def like_state(result: State, u: State, name: str = "the equation") -> State:
    """The result of an equation with the structure of its state: tuples of components are stacked.

    **Raises:** `TypeError` that begins with `name` for anything else.
    """
    if isinstance(u, Field) and isinstance(result, (tuple, list)):
        if u.space.dimension is not None and len(result) != (u.shape or (0,))[0]:
            raise TypeError(f"{name} returned {len(result)} fields for a state with components {u.shape}.")
        result = stack(*result)
    wanted = jax.tree.structure(jax.tree.map(lambda _: 0, u, is_leaf=is_field))
    given = jax.tree.structure(jax.tree.map(lambda _: 0, result, is_leaf=is_field))
    if wanted != given:
        raise TypeError(f"{name} must return fields structured like the state, {wanted}; got {given}.")
    return jax.tree.map(lambda part, field: _like_field(part, field, name), result, u, is_leaf=is_field)


def _like_field(part: Field, field: Field, name: str) -> Field:
    """One field of a result, on the space of that of the state."""
    if isinstance(field.space, Callables):
        return part
    if part.shape != field.shape:
        raise TypeError(f"{name} returned components {part.shape} for a state with {field.shape}.")
    try:
        space = field.space.meet(part.space)
    except ValueError as error:
        raise TypeError(f"{name} returned a field on another space than that of the state: {error}") from None
    if getattr(space, "real", None) != getattr(field.space, "real", None):
        raise TypeError(
            f"{name} returned complex values for a real state: put the state on a space of complex values, such as "
            "js.Fourier(grid, real=False), or return the `real` part of the field."
        )
    return space.adopt(part)


def residual(equation: Equation, u: State) -> Callable[..., Any]:
    """What is left of an equation when a field is put into it.

    **Arguments:**

    - `equation`: any `js.Equation`.
    - `u`: a `js.Function` (or a pytree of them).

    **Returns:** `r(t, x, ...)`, the residual $u_t - L u - N(t, u)$ at a point (`r(t)` for functions of time alone), or
    the equation's own `residual` where it has one; shape of the components. It vanishes for a solution. For a field on
    a grid, `r(t)` is the field $-L u - N(t, u)$ (or the own residual), zero at steady states.
    """
    fields = jax.tree.leaves(u, is_leaf=is_field)
    if not all(is_field(f) for f in fields):
        raise TypeError("residual: wrap callables as js.Function(callable), and put fields in.")
    if not all(isinstance(f.space, Callables) for f in fields):
        return lambda t=0.0: _left_over(equation, t, u, rate=None)

    def at_point(t, *x):
        for f in fields:
            if f.space.dimension not in (None, len(x)):
                axes = f.space.dimension
                raise TypeError(f"residual: give the time and a number for each of {axes} axes, r(t, x, ...).")
        bound = jax.tree.map(lambda f: _meet(f, t, *x), u, is_leaf=is_field)
        rate = jax.tree.map(lambda f: f.space.rate(f), bound, is_leaf=is_field)
        left = _left_over(equation, jnp.asarray(t, jnp.result_type(float, t, *x)), bound, rate)
        return jax.tree.map(lambda f: f(t, *x), left, is_leaf=is_field)

    return at_point


def _left_over(equation, t, u, rate):
    own = own_residual(equation, t, u)
    if own is not None:
        return own
    right = equation.right_hand_side(t, u)
    if rate is None:
        return jax.tree.map(lambda r: -r, right, is_leaf=is_field)
    return jax.tree.map(lambda a, b: a - b, rate, right, is_leaf=is_field)


def _meet(u: Field, *coordinates) -> Field:
    """The field, knowing its dimension and components."""
    return Field(Callables(len(coordinates) - 1, u.space.output(u, *coordinates).shape), u.data)


def _total(fields):
    first, *rest = fields
    return sum(rest, first)
