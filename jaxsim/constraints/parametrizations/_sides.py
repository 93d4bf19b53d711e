"""Conditions as numbers and values that a callable of time and position can be held to."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import Frozen, frozen, number
from ...spaces.boundary import Boundary, Periodic

HINT = "js.Dirichlet(value), js.Neumann(value) or js.Robin(a, b, value)"


class Condition(eqx.Module):
    """$a u + b\\,\\partial u / \\partial n = g$; numbers and arrays in it are not trained, callables may be."""

    a: Any
    b: Any
    value: Any

    @staticmethod
    def of(boundary: Any, name: str) -> "Condition":
        """The numbers of a `js.Dirichlet`, `Neumann` or `Robin`, and the value, `None` where it is known as zero."""
        if not isinstance(boundary, Boundary) or isinstance(boundary, Periodic):
            raise ValueError(f"{name}: a condition is {HINT}; got {boundary!r}.")
        a, b = boundary.coefficients()
        return Condition(frozen(a), frozen(b), frozen(boundary.simplified().value))

    @property
    def on_value(self) -> bool:
        """Whether it is known to hold the value alone."""
        return isinstance(self.b, float) and self.b == 0

    @property
    def known(self) -> bool:
        """Whether both numbers are the same in every trace."""
        return isinstance(self.a, float) and isinstance(self.b, float)

    def numbers(self, like: jax.Array) -> tuple[jax.Array, jax.Array]:
        """$a$ and $b$."""
        return number(self.a, like), number(self.b, like)

    def wanted(self, like: jax.Array, t, *x) -> jax.Array:
        """$g$ at a point, with the shape of a field's value there."""
        if self.value is None:
            return jnp.zeros_like(like)
        plain = isinstance(self.value, Frozen) and not callable(self.value.value)
        value = number(self.value, like) if plain else jnp.asarray(self.value(t, *x))
        try:
            return jnp.broadcast_to(value, like.shape)
        except ValueError as error:
            raise ValueError(
                f"a condition's value has shape {value.shape} at a point, where the field has {like.shape}."
            ) from error


def operator(condition: Condition, function: Callable, argument: jax.Array, outward: float) -> jax.Array:
    """$a u + b\\,\\partial u / \\partial n$ of a function of the coordinate across a side."""
    if condition.on_value:
        value = jnp.asarray(function(argument))
        return number(condition.a, value) * value
    value, slope = jax.jvp(lambda x: jnp.asarray(function(x)), (argument,), (jnp.ones_like(argument),))
    a, b = condition.numbers(value)
    return a * value + outward * b * slope
