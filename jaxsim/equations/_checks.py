"""Checks that the catalog shares: parameters at construction, fields when an equation meets them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..field import Field


def as_array(value: Any) -> jax.Array | None:
    """A number or a sequence of numbers as an inexact array; arrays, tracers and `None` pass."""
    if value is None or eqx.is_inexact_array(value):
        return value
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(jnp.result_type(float))


def like(value: Any, array: jax.Array) -> jax.Array:
    """A parameter in the precision of nodal values, with its own axes in front of theirs."""
    value = jnp.asarray(value)
    return value.reshape(value.shape + (1,) * (array.ndim - value.ndim) if value.ndim else ()).astype(array.dtype)


def require_nonnegative(equation: Any, *names: str) -> None:
    """`ValueError` for a negative, or NaN, parameter; traced values pass."""
    _require(equation, names, lambda value: value >= 0, "must not be negative")


def require_positive(equation: Any, *names: str) -> None:
    """`ValueError` for a parameter that is not positive; traced values pass."""
    _require(equation, names, lambda value: value > 0, "must be positive")


def require_share(equation: Any, *names: str) -> None:
    """`ValueError` for a parameter that is not between 0 and 1; traced values pass."""
    _require(equation, names, lambda value: (value > 0) & (value < 1), "must be between 0 and 1")


def _require(equation, names, holds, demand):
    for name in names:
        value = getattr(equation, name)
        if value is None or isinstance(value, jax.core.Tracer):
            continue
        if not isinstance(value, (int, float, complex, list, tuple, np.ndarray, np.generic, jax.Array)):
            continue  # a placeholder put there by a tree transformation
        if np.iscomplexobj(value) or not np.all(holds(np.asarray(value))):
            raise ValueError(f"{type(equation).__name__}: `{name}` {demand}, got {value}.")


def require_dimension(equation: Any, u: Field, *dimensions: int) -> int:
    """`ValueError` for a field in a dimension that the equation is not written for."""
    if u.space.dimension not in dimensions:
        wanted = " or ".join(map(str, dimensions))
        raise ValueError(
            f"{type(equation).__name__} is written in {wanted} dimensions; this field has {u.space.dimension} axes."
        )
    return u.space.dimension


def require_components(equation: Any, u: Field, components: tuple[int, ...], meaning: str) -> None:
    """`ValueError` for a field whose components are not those of the equation."""
    if u.shape != components:
        wanted = f"components of shape {components}" if components else "a scalar field"
        raise ValueError(f"{type(equation).__name__} needs {wanted}, {meaning}; got components {u.shape}.")


def is_periodic(u: Field) -> bool:
    """Whether a field is known to be periodic along every axis."""
    return all(getattr(u.space, "periodic", (False,)))


def require_complex(equation: Any, u: Field) -> None:
    """`ValueError` for a real field where the unknown is complex."""
    if not jnp.issubdtype(u.dtype, jnp.complexfloating):
        raise ValueError(
            f"{type(equation).__name__} needs complex values: use js.Fourier(grid, real=False), or a "
            f"js.Function that returns them; this field is {u.dtype}."
        )


def require_per_axis(equation: Any, name: str, u: Field) -> None:
    """`ValueError` for a vector parameter without one entry per axis."""
    shape = jnp.shape(getattr(equation, name))
    if shape not in ((), (u.space.dimension,)):
        raise ValueError(
            f"{type(equation).__name__}: `{name}` needs one number, or one per axis ({u.space.dimension}); "
            f"got shape {shape}."
        )
