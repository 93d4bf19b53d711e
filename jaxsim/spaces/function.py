"""Fields made of a callable: networks, exact solutions, manufactured solutions."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..field import Field
from ._base import Space, multiply
from ._expressions import Apply, Derivative, check_axis, shape_of


def Function(function: Callable, dimension: int | None = None, components: tuple[int, ...] | None = None) -> Field:
    """A callable of time and position as a field; derivatives are those of automatic differentiation.

    **Arguments:**

    - `function`: maps scalars `(t, x)`, `(t, x, y)` or `(t, x, y, z)` to an array of the components' shape: `()` for a
        scalar field, `(2,)` for two components. An equinox module keeps its parameters as leaves of the field.
    - `dimension`: number of spatial axes. `js.residual` finds it from the coordinates it is given.
    - `components`: shape of the components, found likewise.

    **Returns:** a field; calling it, `u(t, x, ...)`, evaluates at a point (use `jax.vmap` for many). Sums, products
    and derivatives of such fields are exact compositions: nothing is sampled.

    !!! example

        ```python
        u = js.Function(lambda t, x: jnp.exp(-t) * jnp.sin(x), dimension=1, components=())
        js.laplacian(u)(0.0, 1.0)    # -sin(1)
        ```
    """
    if not callable(function):
        raise TypeError(f"js.Function needs a callable of (t, x, ...), got {type(function).__name__}.")
    return Field(Callables(dimension, components), function)


class Callables(Space):
    """The space of callables of time and position. Made by `js.Function`."""

    dimension: int | None = eqx.field(static=True, default=None)
    shape: tuple[int, ...] | None = eqx.field(static=True, default=None)

    def field(self, source) -> Field:
        if callable(source):
            return Field(self, _Steady(source))
        return Field(self, _Constant(jnp.asarray(source)))

    def sample(self, function: Callable, t) -> Field:
        return Field(self, _Sample(function))

    def in_precision(self, u: Field, like: Field) -> Field:
        return u  # decided by the coordinates that it is called with

    def lift(self, u: Field, other) -> Field:
        return self.field(other)

    def lacks(self, operator: str, advice: str) -> TypeError:
        if operator in ("inverse_laplacian", "inverse_helmholtz", "project"):
            advice += ". What is not local needs an equation for one more unknown, such as NavierStokesPressure's"
        return TypeError(f"js.Function fields have no `{operator}`: {advice}.")

    def values(self, u: Field) -> jax.Array:
        raise self.lacks("values", "call it at a point, or move it to a grid with `js.interpolate(u, space, t)`")

    def components(self, u: Field) -> tuple[int, ...]:
        if self.dimension is None:
            raise ValueError("this field has not met its coordinates: pass `dimension=`, or use js.residual.")
        return self.output(u, *([0.0] * (self.dimension + 1))).shape

    def dtype(self, u: Field) -> np.dtype:
        return self.output(u, *([0.0] * ((self.dimension or 0) + 1))).dtype

    @staticmethod
    def output(u: Field, *coordinates) -> jax.ShapeDtypeStruct:
        """Shape and type of the value at a point, without evaluating it."""
        return shape_of(u.data, [jnp.asarray(x, jnp.result_type(float, x)) for x in coordinates])

    def evaluate(self, u: Field, *coordinates) -> jax.Array:
        """Value at the time and place `(t, x, ...)`."""
        if self.dimension is not None and len(coordinates) != self.dimension + 1:
            raise ValueError(f"a function in {self.dimension} dimensions is evaluated at (t, x, ...).")
        dtype = jnp.result_type(float, *coordinates)
        return u.data(*(jnp.asarray(x, dtype) for x in coordinates))

    def linear(self, function: Callable, *fields: Field) -> Field:
        return Field(self, Apply(function, tuple(u.data for u in fields), linear=True))

    def scale(self, u: Field, factor) -> Field:
        if jnp.ndim(factor) > 0 and self.dimension is not None:  # grid axes of size one vanish at a point
            factor = jnp.reshape(factor, jnp.shape(factor)[: max(jnp.ndim(factor) - self.dimension, 0)])
        return self.linear(lambda a: multiply(factor, a), u)

    def multiply(self, u: Field, v: Field) -> Field:
        return self.pointwise(lambda a, b: a * b, u, v)

    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        return Field(self, Apply(function, tuple(u.data for u in fields)))

    def partial(self, u: Field, axis: int, order: int) -> Field:
        if self.dimension is not None:
            check_axis(axis, self.dimension)
        argument = axis + 1 if axis >= 0 else axis
        return Field(self, Derivative(u.data, argument, order))

    def rate(self, u: Field) -> Field:
        """Time derivative."""
        return Field(self, Derivative(u.data, 0, 1))

    def laplacian(self, u: Field) -> Field:
        if self.dimension is None:
            raise ValueError("laplacian: pass `dimension=` to js.Function, or use js.residual, which finds it.")
        return super().laplacian(u)


class _Constant(eqx.Module):
    value: jax.Array

    def __call__(self, t, *x):
        return self.value


class _Steady(eqx.Module):
    function: Callable

    def __call__(self, t, *x):
        return _array(self.function(*x))


class _Sample(eqx.Module):
    function: Callable

    def __call__(self, t, *x):
        return _array(self.function(t, *x))


def _array(value):
    return jnp.stack(jnp.broadcast_arrays(*value)) if isinstance(value, (list, tuple)) else jnp.asarray(value)
