"""What the models ask of times and of vector fields, before diffrax sees them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def floating(tree: Any) -> Any:
    """A state as arrays of floating-point numbers."""

    def convert(leaf):
        leaf = jnp.asarray(leaf)
        return leaf if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf.astype(jnp.result_type(float))

    return jax.tree.map(convert, tree)


def precision(tree: Any):
    """The type of times that go with a state, which stronger types would promote."""
    return jnp.finfo(jnp.result_type(*jax.tree.leaves(tree))).dtype


def listed(ts: Any) -> Any:
    """Times as an array, if they are a list of numbers."""
    if not isinstance(ts, (list, tuple)):
        return ts
    return (jnp if any(isinstance(t, jax.core.Tracer) for t in ts) else np).asarray(ts)


def check_times(ts: Any, dtype, who: str, *, least: int = 2, repeated: bool = False,
                descending: bool = False) -> jax.Array:  # fmt: skip
    """A list of times as an array, known to be in order.

    **Arguments:**

    - `ts`: the times, of shape `(times,)`.
    - `dtype`: to convert to.
    - `who`: begins the message of an error.
    - `least`: number of times that are needed.
    - `repeated`: whether a time may occur again.
    - `descending`: whether they may also descend.

    **Raises:** `ValueError` for known times that are out of order; times that are traced raise when the program runs.
    """
    ts = listed(ts)
    known = not isinstance(ts, jax.core.Tracer)
    ts = np.asarray(ts) if known else ts
    if ts.ndim != 1 or len(ts) < least:
        raise ValueError(f"{who}: times must be a list of at least {least}, got shape {ts.shape}.")
    words = ("in ascending order" if not descending else "in ascending or descending order") + (
        "" if repeated else ", each once"
    )
    message = f"{who}: times must be {words}; sort them first (jnp.argsort)."
    change = (np if known else jnp).diff(ts)
    rises = (change >= 0 if repeated else change > 0).all()
    falls = (change <= 0 if repeated else change < 0).all()
    wrong = ~(rises | falls) if descending else ~rises
    if known:
        if wrong:
            raise ValueError(message)
        return jnp.asarray(ts, dtype)
    return eqx.error_if(ts.astype(dtype), wrong, message)


def in_order(value: jax.Array, first: jax.Array, second: jax.Array, message: str) -> jax.Array:
    """The `value`, given that `second` is not before `first`; use what is returned, or the check is lost under jit."""
    wrong = second < first
    if isinstance(wrong, jax.core.Tracer):
        return eqx.error_if(value, wrong, message)
    if wrong:
        raise ValueError(message)
    return value


def check_positive(value: jax.Array, name: str) -> jax.Array:
    """A number, or several, above zero; traced ones are taken on trust."""
    if not isinstance(value, jax.core.Tracer) and not jnp.all(value > 0):
        raise ValueError(f"{name} must be positive, got {value}.")
    return value


def check_slope(vector_field, t, y: Any, args: Any, who: str):
    """That a vector field maps a state to a slope of the same shape.

    **Raises:** `ValueError` that names both shapes.
    """
    slope = jax.eval_shape(vector_field, t, y, args)
    wanted, found = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (y, slope))
    if wanted != found:
        raise ValueError(f"{who}: the state has shape {wanted}, but the vector field returns {found}.")
