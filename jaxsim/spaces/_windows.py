"""Local polynomial interpolation on equidistant nodes."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from ._base import real_dtype


def windows(points, first: float, spacing: float, count: int, width: int, periodic: bool):
    """The `width` nodes nearest to each point and their Lagrange weights.

    **Arguments:**

    - `points`: array of shape `(points,)`, NumPy or JAX; the results are of the same kind.
    - `first`, `spacing`, `count`: the nodes of the axis.
    - `width`: nodes per window, an even number; next to a wall windows are one-sided.

    **Returns:** node numbers and weights, both `(points, width)`.
    """
    xp = np if isinstance(points, np.ndarray) else jnp
    position = (points - first) / spacing
    start = xp.floor(position) - (width // 2 - 1)
    if not periodic:
        start = xp.clip(start, 0, count - width)
    local = (position - start)[:, None]
    start = start.astype(int) if xp is np else start.astype(jnp.int32)
    nodes = start[:, None] + xp.arange(width, dtype=start.dtype)
    weights = []
    for j in range(width):
        others = [i for i in range(width) if i != j]
        factors = [(local[:, 0] - i) / (j - i) for i in others]
        weights.append(_product(factors))
    return nodes % count, xp.stack(weights, -1)


def resample(values, axis: int, nodes: np.ndarray, weights: np.ndarray):
    """Values at new positions along one axis, from `windows` computed on the host."""
    total = None
    for j in range(nodes.shape[1]):
        weight = jnp.asarray(weights[:, j], real_dtype(values.dtype)).reshape((-1,) + (1,) * (values.ndim - 1 - axis))
        term = weight * jnp.take(values, nodes[:, j], axis)
        total = term if total is None else total + term
    return total


def at_points(values, nodes: list, weights: list):
    """Values at scattered points: `(*components, points)` from one pair of window arrays per axis."""
    dimension, (count, width) = len(nodes), nodes[0].shape
    spread = lambda a, axis: a.reshape((count,) + (1,) * axis + (width,) + (1,) * (dimension - 1 - axis))
    gathered = values[(..., *(spread(n, axis) for axis, n in enumerate(nodes)))]
    for axis, w in enumerate(weights):
        gathered = gathered * spread(w, axis).astype(real_dtype(values.dtype))
    return jnp.sum(gathered, tuple(range(-dimension, 0)))


def apply_matrix(matrix: np.ndarray, values, axis: int):
    """A matrix times one axis of an array, at full precision."""
    kind = values.dtype if np.iscomplexobj(matrix) else real_dtype(values.dtype)
    product = jnp.tensordot(jnp.asarray(matrix, kind), values, ((1,), (axis,)), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(product, 0, axis)


def _product(factors):
    total = factors[0]
    for factor in factors[1:]:
        total = total * factor
    return total
