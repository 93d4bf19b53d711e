"""Central differences along one axis of an array."""

import jax.numpy as jnp
from jax import lax

from . import _stencils, _walls
from ._axis import Axis
from ._base import real_dtype
from ._walls import Trace


def difference(values, along: int, derivative: int, order: int, axis: Axis, sides: tuple[Trace, Trace]):
    """Derivative of nodal values along an array axis, closed by what is known at its two ends."""
    lower, upper = _walls.ends(values, along, _stencils.half_width(derivative, order), sides, order, axis)
    if axis.positions is not None:
        return _stretched(lower, values, upper, along, derivative, order, axis)
    return central(lower, values, upper, along, derivative, order, axis.spacing)


def central(lower, values, upper, along: int, derivative: int, order: int, spacing: float):
    """Central difference of values between as many more of them as the stencil is wide on either side."""
    count, width = values.shape[along], lower.shape[along]
    padded = jnp.concatenate([lower, values, upper], along)
    shifted = lambda j: lax.slice_in_dim(padded, width + j, width + j + count, axis=along)
    total = None
    for j, weight in enumerate(_stencils.central(derivative, order), start=1):
        weight = weight / spacing**derivative
        right, left = shifted(j), shifted(-j)
        if derivative % 2 == 0:  # differences first: constants are annihilated exactly in every precision
            right, left = right - values, values - left
        total = weight * (right - left) if total is None else total + weight * (right - left)
    return total


def _stretched(lower, values, upper, along: int, derivative: int, order: int, axis: Axis):
    """Difference with weights of its own at every node: the polynomial through as many nodes as between equal cells."""
    count, width = values.shape[along], lower.shape[along]
    padded = jnp.concatenate([lower, values, upper], along)
    weights = axis.weights(derivative, order) / axis.spacing**derivative
    total = None
    for j in [*range(width), *range(width + 1, 2 * width + 1)]:
        column = jnp.asarray(weights[:, j], real_dtype(values.dtype))
        column = column.reshape((-1,) + (1,) * (values.ndim - 1 - along))
        term = column * (lax.slice_in_dim(padded, j, j + count, axis=along) - values)
        total = term if total is None else total + term
    return total
