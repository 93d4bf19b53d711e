"""Central differences along one axis of an array."""

import jax.numpy as jnp
from jax import lax

from . import _stencils, _walls
from ._walls import Trace


def difference(values, along: int, derivative: int, order: int, spacing: float, sides: tuple[Trace, Trace]):
    """Derivative of nodal values along an array axis, closed by what is known at its two ends."""
    lower, upper = _walls.ends(values, along, _stencils.half_width(derivative, order), sides, order, spacing)
    return central(lower, values, upper, along, derivative, order, spacing)


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
