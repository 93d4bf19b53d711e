"""The residual of an equation at points, as rows of a least-squares problem."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..equations import Equation, residual
from ..field import Field
from ..optimize import Rows
from ..spaces import Callables, Function


class Residual(eqx.Module):
    """What is left of an equation at a point `(t, x, ...)` when a model is put into it: a row for each component.

    **Arguments:**

    - `equation`: a `js.Equation`, or a function of the model that returns one, for unknown parameters that the model
        holds.
    - `field`: the callable `(t, x, ...)` in a model; the model itself by default.
    - `stationary`: whether there is no time: points are `(x, ...)`, and so are the arguments of the callable.
    """

    equation: Equation | Callable[[Any], Equation]
    field: Callable[[Any], Callable] | None = None
    stationary: bool = eqx.field(static=True, default=False)

    def __call__(self, model: Any, point: jax.Array | tuple) -> jax.Array:
        """The residual at a point, an array or a tuple of numbers; of the shape of the components."""
        equation = equation_of(self.equation, model)
        u, coordinates = field_at(model, self.field, point, self.stationary)
        return residual(equation, u)(*coordinates)


def collocation(equation: Equation | Callable[[Any], Equation], points: jax.Array, weight: Any = 1.0,
                field: Callable[[Any], Callable] | None = None, stationary: bool = False) -> Rows:  # fmt: skip
    """The residual of an equation at points, as a block of rows.

    **Arguments:**

    - `equation`, `field`, `stationary`: as those of `Residual`.
    - `points`: shape `(n, 1 + dimensions)`, time first; `(n, dimensions)` for stationary problems. See `Box` for ways
        to take them, and `Box.check` for a look at points from elsewhere.
    - `weight`: of the squares, a number or one for each point.

    Any evolution equation may be `stationary`: then its rows are those of a steady state.

    !!! example

        ```python
        block = collocation(js.equations.Burgers(0.01), points)
        found = collocation(lambda m: js.equations.Burgers(jnp.exp(m.log_viscosity)), points, field=lambda m: m.network)
        steady = collocation(js.equations.Poisson(1.0), box.sobol(256), stationary=True)
        ```
    """
    points = jnp.asarray(points)
    if points.ndim != 2 or points.shape[1] < 1:
        expected = "(n, dimensions)" if stationary else "(n, 1 + dimensions), time first"
        raise ValueError(f"collocation: points have shape {expected}; got {points.shape}.")
    return Rows(Residual(equation, field, stationary), points, weight)


def equation_of(equation: Equation | Callable[[Any], Equation], model: Any) -> Equation:
    """The equation, or that of the model's parameters."""
    found = equation if isinstance(equation, Equation) else equation(model)
    if not isinstance(found, Equation):
        raise TypeError(f"an equation is a js.Equation or a function of the model that returns one, got {found!r}.")
    return found


def field_at(model: Any, field: Callable[[Any], Callable] | None, point: jax.Array | tuple,
             stationary: bool) -> tuple[Field, tuple]:  # fmt: skip
    """The field of a model, which knows its dimension and components, and the time and place of a point."""
    function = model if field is None else field(model)
    if not callable(function):
        raise TypeError(
            f"the field is a callable of the coordinates, but the model is {type(function).__name__}; say which part "
            "of the model it is, `field=lambda model: model.network`."
        )
    coordinates = tuple(point)
    if stationary:
        function, coordinates = Steady(function), (jnp.zeros_like(coordinates[0]), *coordinates)
    shape = Callables.output(Function(function), *coordinates).shape
    return Function(function, len(coordinates) - 1, shape), coordinates


class Steady(eqx.Module):
    """A callable of the place `(x, ...)` as one of time and place."""

    function: Callable

    def __call__(self, t, *x):
        """The value at the place."""
        return self.function(*x)
