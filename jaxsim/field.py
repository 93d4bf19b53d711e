"""Data on a space, with the arithmetic that equations are written in."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

Operand = Any


class Field(eqx.Module):
    """A scalar, vector or system of scalars on a space.

    Made by `space.field(...)`. What `data` holds is the space's own affair: coefficients, grid values or a callable.
    Leading axes before the grid axes are components, so a velocity in the plane has values of shape `(2, n, m)`,
    and `u[0]` is its first component. Under `jax.vmap` a field behaves as any other pytree of arrays.

    Sums and products with other fields, numbers, and arrays that broadcast against `(..., *grid.shape)` are
    fields; products are dealiased where the space knows how.
    """

    space: Any  # a Space; the rooms below import this one
    data: Any

    # NumPy must leave `array * field` to the field.
    __array_ufunc__ = None

    @property
    def values(self) -> jax.Array:
        """Values at the nodes, shape `(..., *grid.shape)`."""
        return self.space.values(self)

    @property
    def coefficients(self) -> jax.Array:
        """Modal coefficients, in the layout that the space documents."""
        return self.space.coefficients(self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the components: `()` for a scalar, `(2,)` for two components."""
        return self.space.components(self)

    @property
    def dtype(self):
        """Type of the nodal values."""
        return self.space.dtype(self)

    def __add__(self, other: Operand) -> "Field":
        return self.space.add(self, self.space.lift(self, other))

    def __sub__(self, other: Operand) -> "Field":
        return self + (-1) * self.space.lift(self, other)

    def __rsub__(self, other: Operand) -> "Field":
        return (-1) * self + other

    def __neg__(self) -> "Field":
        return self.space.scale(self, -1)

    def __pos__(self) -> "Field":
        return self

    def __mul__(self, other: Operand) -> "Field":
        if not isinstance(other, Field) and is_uniform(other, self.space.dimension):
            return self.space.scale(self, other)
        return self.space.multiply(self, self.space.lift(self, other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> "Field":
        if not isinstance(other, Field) and is_uniform(other, self.space.dimension):
            return self.space.scale(self, 1 / other)
        return self.space.pointwise(lambda a, b: a / b, self, self.space.lift(self, other))

    def __rtruediv__(self, other: Operand) -> "Field":
        return self.space.pointwise(lambda a, b: b / a, self, self.space.lift(self, other))

    def __pow__(self, exponent: int | float | jax.Array) -> "Field":
        """A product for a whole number, whatever its type; for an array, known or not, a function of nodal values."""
        number = isinstance(exponent, int | float | np.number)
        if number and exponent >= 1 and exponent == int(exponent):
            power = self
            for _ in range(int(exponent) - 1):
                power = power * self
            return power
        return self.space.pointwise(lambda a: a**exponent, self)

    def __abs__(self) -> "Field":
        return self.space.pointwise(jnp.abs, self)

    def __getitem__(self, index) -> "Field":
        return self.space.index(self, index)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar field has no components to count or unpack.")
        return self.shape[0]

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def conj(self) -> "Field":
        """Complex conjugate."""
        return self.space.pointwise(jnp.conj, self, degree=1)

    def __call__(self, *coordinates) -> jax.Array:
        """The field at a point: see the space's `evaluate`."""
        return self.space.evaluate(self, *coordinates)


def is_uniform(operand: Operand, dimension: int | None) -> bool:
    """Whether an array or number does not vary over the grid (its grid axes have size one, or are absent)."""
    shape = np.shape(operand)
    return dimension is None or all(n == 1 for n in shape[max(len(shape) - dimension, 0) :])
