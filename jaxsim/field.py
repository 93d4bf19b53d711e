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

    def __array__(self, *args, **kwargs):
        raise TypeError("a Field is no array: functions of its values are js.pointwise(jnp.sin, u), and the numbers "
                        "themselves `u.values`.")  # fmt: skip

    def __bool__(self):
        raise TypeError("a Field is neither true nor false: compare its numbers, as in jnp.all(u.values > 0).")

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
        u, v = _operands(self, other)
        return u.space.add(u, v)

    def __sub__(self, other: Operand) -> "Field":
        u, v = _operands(self, other)
        return u.space.add(u, -v)

    def __rsub__(self, other: Operand) -> "Field":
        return (-1) * self + other

    def __neg__(self) -> "Field":
        return self.space.scale(self, -1)

    def __pos__(self) -> "Field":
        return self

    def __mul__(self, other: Operand) -> "Field":
        if not isinstance(other, Field) and is_uniform(other, self.space.dimension):
            u = _promoted(self, other)
            return u.space.scale(u, other)
        u, v = _operands(self, other)
        return u.space.multiply(u, v)

    __radd__ = __add__
    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> "Field":
        if not isinstance(other, Field) and is_uniform(other, self.space.dimension):
            return self * (1 / other)
        u, v = _operands(self, other)
        return u.space.pointwise(lambda a, b: a / b, u, v)

    def __rtruediv__(self, other: Operand) -> "Field":
        u, v = _operands(self, other)
        return u.space.pointwise(lambda a, b: b / a, u, v)

    def __pow__(self, exponent: int | float) -> "Field":
        """A product for a whole number of any type of Python or NumPy, else a function of nodal values.

        **Raises:** `TypeError` for a JAX array, such as a parameter of an equation: it cannot say of which degree the
        power is. Write `js.pointwise(lambda a: a**exponent, u, degree=...)`.
        """
        if isinstance(exponent, jax.Array) or np.ndim(exponent):
            raise TypeError(
                "u ** p takes a number that is known when the program is traced, because p says how finely products "
                "are sampled. For an array, such as a parameter of an equation, write js.pointwise(lambda a: a**p, u, "
                "degree=...), or make the parameter static: p: int = eqx.field(static=True)."
            )
        if exponent >= 1 and exponent == int(exponent):
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

    @property
    def real(self) -> "Field":
        """Real part, a field of real values."""
        return self.space.pointwise(jnp.real, self, degree=1)

    @property
    def imag(self) -> "Field":
        """Imaginary part, a field of real values."""
        return self.space.pointwise(jnp.imag, self, degree=1)

    def __call__(self, *coordinates) -> jax.Array:
        """The field at a point: see the space's `evaluate`."""
        return self.space.evaluate(self, *coordinates)


def matched(*fields: Field) -> tuple[Field, ...]:
    """The same fields on one space that has them all: of complex values where one of them has these.

    Whatever takes several fields takes them from here.

    **Raises:** `ValueError` where they live on different spaces.
    """
    space = fields[0].space
    for u in fields[1:]:
        space = space.meet(u.space)
    return tuple(space.adopt(u) for u in fields)


def _operands(u: Field, other: Operand) -> tuple[Field, Field]:
    """Both sides of a sum or product as fields on one space."""
    if isinstance(other, Field):
        u, v = matched(u, other)
        return u, v
    u = _promoted(u, other)
    try:
        return u, u.space.lift(u, other)
    except ValueError:
        if np.ndim(other) == 0 or np.shape(other)[-1:] != u.shape[-1:] or not u.space.dimension:
            raise
        axes = ", ".join(["...", *["None"] * u.space.dimension])
        raise ValueError(
            f"an array beside a field has nodal values, (..., *grid), or a number per component before axes of size "
            f"one; got shape {np.shape(other)}. For one number per component write array[{axes}]."
        ) from None


def _promoted(u: Field, number: Operand) -> Field:
    """The field, of complex values beside a complex number."""
    return u.space.of_complex().adopt(u) if jnp.iscomplexobj(number) else u


def is_uniform(operand: Operand, dimension: int | None) -> bool:
    """Whether an array or number does not vary over the grid (its grid axes have size one, or are absent)."""
    shape = np.shape(operand)
    return dimension is None or all(n == 1 for n in shape[max(len(shape) - dimension, 0) :])
