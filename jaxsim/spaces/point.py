"""The space of ordinary differential equations."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..field import Field
from ._base import Modes, NoDiagonalForm, Space, check_precision


class Point(Space):
    """A box without axes: its fields are numbers, and equations on it are ordinary differential equations.

    A field holds the components alone, in an array of any shape, so that a system of three unknowns is a field with
    values of shape `(3,)`. It has no derivatives in space; its integral is its value.

    !!! example

        ```python
        class Pendulum(js.Equation):
            damping: float | jax.Array = 0.1

            def nonlinear(self, t, u):
                angle, rate = u
                return rate, -self.damping * rate - js.pointwise(jnp.sin, angle)

        sol = js.solve(Pendulum(), js.Point().field([1.0, 0.0]), t1=10.0, rtol=1e-6)
        ```
    """

    @property
    def dimension(self) -> int:
        return 0

    @property
    def volume(self) -> float:
        """One, so that a mean is the value."""
        return 1.0

    def coordinates(self) -> tuple[jax.Array, ...]:
        """None."""
        return ()

    def field(self, source) -> Field:
        """A field from its values, or from a callable without arguments that gives them."""
        values = jnp.asarray(source() if callable(source) else source)
        check_precision(values.dtype)
        return Field(self, values if jnp.issubdtype(values.dtype, jnp.inexact) else values.astype(float))

    def values(self, u: Field) -> jax.Array:
        return jnp.asarray(u.data)

    def components(self, u: Field) -> tuple[int, ...]:
        return jnp.shape(u.data)

    def dtype(self, u: Field) -> np.dtype:
        return u.data.dtype

    def is_vector(self, u: Field) -> bool:
        return False

    def evaluate(self, u: Field, *coordinates) -> jax.Array:
        if coordinates:
            raise TypeError("a field on js.Point() has no coordinates: call it without any, or read its `values`.")
        return self.values(u)

    def linear(self, function: Callable, *fields: Field) -> Field:
        return Field(self, function(*(u.data for u in fields)))

    def multiply(self, u: Field, v: Field) -> Field:
        return self.pointwise(lambda a, b: a * b, u, v)

    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        if any(isinstance(u.data, np.ndarray) for u in fields):
            raise NoDiagonalForm(
                "`linear` must be linear in the state with constant coefficients: move products and functions of the "
                "state to `nonlinear`."
            )
        return self.linear(function, *fields)

    def partial(self, u: Field, axis: int, order: int) -> Field:
        raise self.lacks("derivatives in space", "a point has no axes")

    def laplacian(self, u: Field) -> Field:
        return self.partial(u, 0, 2)

    def integral(self, u: Field) -> jax.Array:
        return self.values(u)

    def state(self, u: Field) -> jax.Array:
        return self.values(u)

    def bind(self, state: jax.Array, t=None) -> Field:
        return Field(self, state)

    def modes(self) -> "PointModes":
        return PointModes()

    def _lifted_shape(self, shape) -> Any:
        return shape


class PointModes(Modes):
    """One mode, the value. A probe holds a NumPy array, by which products of it are told."""

    def probe(self, components: tuple[int, ...], component: tuple[int, ...]) -> Field:
        unit = np.zeros(components, complex)
        unit[component] = 1.0
        return Field(Point(), unit)

    def symbol(self, u: Field):
        return u.data

    def to_modes(self, state: jax.Array) -> jax.Array:
        return state

    def from_modes(self, amplitudes: jax.Array) -> jax.Array:
        return amplitudes
