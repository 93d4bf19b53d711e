"""Local polynomial interpolation on equidistant nodes."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from ._base import real_dtype


def windows(points, nodes: np.ndarray, spacing: float | None, width: int, periodic: bool):
    """The `width` nodes nearest to each point and their Lagrange weights.

    **Arguments:**

    - `points`: array of shape `(points,)`, NumPy or JAX; the results are of the same kind.
    - `nodes`: coordinates of the nodes of the axis.
    - `spacing`: their distance, or `None` where it varies.
    - `width`: nodes per window, an even number; next to a wall windows are one-sided.

    **Returns:** node numbers and weights, both `(points, width)`.
    """
    xp, count = np if isinstance(points, np.ndarray) else jnp, len(nodes)
    if spacing is None:
        before = xp.searchsorted(xp.asarray(nodes, points.dtype), points, side="right") - 1
    else:
        position = (points - nodes[0]) / spacing
        before = xp.floor(position)
    start = before - (width // 2 - 1)
    start = start if periodic else xp.clip(start, 0, count - width)
    whole = start.astype(int) if xp is np else start.astype(jnp.int32)
    numbers = whole[:, None] + xp.arange(width, dtype=whole.dtype)
    if spacing is None:
        abscissas = [xp.asarray(nodes, points.dtype)[numbers[:, j]] for j in range(width)]
        return numbers, _lagrange(points, abscissas, xp)
    return numbers % count, _lagrange(position - start, list(range(width)), xp)


def _lagrange(points, nodes: list, xp):
    """Weights at the points of the polynomials through nodes, `(points, width)`."""
    rows = []
    for j, own in enumerate(nodes):
        others = [x for i, x in enumerate(nodes) if i != j]
        rows.append(_product([(points - x) / (own - x) for x in others]))
    return xp.stack(rows, -1)


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
