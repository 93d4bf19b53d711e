"""Numbers of a condition that training leaves alone."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..optimize import Frozen


def frozen(value: Any) -> Any:
    """Arrays inside `Frozen`; Python numbers, callables and `Frozen` as they are."""
    return Frozen(value) if eqx.is_array_like(value) and not isinstance(value, (bool, int, float)) else value


def number(value: Any, like: jax.Array) -> jax.Array:
    """A number that may be frozen, in the precision of another."""
    return jnp.asarray(value.thawed() if isinstance(value, Frozen) else value, jnp.result_type(float, like))
