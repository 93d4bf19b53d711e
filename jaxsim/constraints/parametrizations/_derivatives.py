"""Forward derivatives of callables at a point."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp


def along(function: Callable, arguments: Sequence, index: int) -> tuple[jax.Array, jax.Array]:
    """The value and the derivative with respect to one argument."""
    moved = lambda value: jnp.asarray(function(*arguments[:index], value, *arguments[index + 1 :]))
    point = as_float(arguments[index])
    return jax.jvp(moved, (point,), (jnp.ones_like(point),))


def derivative(function: Callable, arguments: Sequence, index: int) -> jax.Array:
    """The derivative with respect to one argument."""
    return along(function, arguments, index)[1]


def as_float(value) -> jax.Array:
    """A number as a floating-point array."""
    return jnp.asarray(value, jnp.result_type(float, value))
