"""Integrals of nodal values over a box."""

import jax.numpy as jnp

from . import _walls
from ._base import real_dtype
from ._walls import Traces
from .boundary import Boundary


def integral(values, traces: Traces | None, axes, spacing: tuple[float, ...], order: int):
    """Sums over the nodes and, where these leave them out, over walls with what is known there: grid axes of size 1."""
    first = values.ndim - len(axes)
    sides = [(None, None)] * len(axes) if traces is None else list(traces)
    for a, (axis, width) in enumerate(zip(axes, spacing)):

        def total(array, known=(None, None), along=first + a, axis=axis, width=width):
            weights = jnp.asarray(axis.volumes() * width, real_dtype(array.dtype))
            weights = weights.reshape((-1,) + (1,) * (array.ndim - 1 - along))
            return jnp.sum(weights * _walls.with_walls(array, along, known, order, axis), along, keepdims=True)

        values = total(values, sides[a])
        for later in range(a + 1, len(axes)):
            sides[later] = tuple(
                trace.with_value(total(trace.value))
                if isinstance(trace, Boundary) and getattr(trace, "value", None) is not None
                else trace
                for trace in sides[later]
            )
    return values
