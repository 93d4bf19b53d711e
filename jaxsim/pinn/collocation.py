"""The residual of an equation at points, as rows of a least-squares problem."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..equations import Equation, residual
from ..optimize import Rows
from ..spaces import Function


class Residual(eqx.Module):
    """What is left of an equation at a point `(t, x, ...)` when a model is put into it: a row for each component.

    **Arguments:**

    - `equation`: a `js.Equation`, or a function of the model that returns one, for unknown parameters that the model
        holds.
    - `field`: the callable `(t, x, ...)` in a model; the model itself by default.
    """

    equation: Equation | Callable[[Any], Equation]
    field: Callable[[Any], Callable] | None = None

    def __call__(self, model: Any, point: jax.Array) -> jax.Array:
        equation = self.equation if isinstance(self.equation, Equation) else self.equation(model)
        function = model if self.field is None else self.field(model)
        return residual(equation, Function(function))(*point)


def collocation(equation: Equation | Callable[[Any], Equation], points: jax.Array, weight: Any = 1.0,
                field: Callable[[Any], Callable] | None = None) -> Rows:  # fmt: skip
    """The residual of an equation at points, as a block of rows.

    **Arguments:**

    - `equation`, `field`: as those of `Residual`.
    - `points`: shape `(n, 1 + dimensions)`, time first.
    - `weight`: of the squares, a number or one for each point.

    !!! example

        ```python
        block = collocation(js.equations.Burgers(0.01), points)
        found = collocation(lambda m: js.equations.Burgers(jnp.exp(m.log_viscosity)), points, field=lambda m: m.network)
        ```
    """
    points = jnp.asarray(points)
    if points.ndim != 2 or points.shape[1] < 1:
        raise ValueError(f"collocation: points have shape (n, 1 + dimensions), time first; got {points.shape}.")
    return Rows(Residual(equation, field), points, weight)
