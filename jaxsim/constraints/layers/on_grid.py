"""Functions known at the nodes of a grid, such as the output of a Fourier neural operator."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...spaces import AbstractLeaf, Coefficients
from ...taylor import Index


class OnGrid(AbstractLeaf):
    """Functions between the nodes of an equidistant grid, by polynomials through the nearest nodes.

    Along each axis the polynomial of degree $p$ through the $p + 1$ nearest nodes is evaluated, and differentiated: an
    error of $O(h^{p+1})$, and of $O(h^{p+1-k})$ for a derivative of order $k$. It is linear in the values.

    **Arguments:**

    - `values`: shape `(..., n_1, ..., n_d)`, time first; the axes in front are those of the result, so that
        `(N, n_t, n_x)` is a dictionary of $N$ functions.
    - `lower`, `upper`: ends of the grid, one number per axis, time first. There are nodes at both, but at the upper end
        of an axis that is periodic.
    - `periodic`: whether each axis closes on itself; none does by default.
    - `degree`: $p$, an even number makes derivatives at nodes central.

    **Raises:** `ValueError` where an axis has fewer than $p + 1$ nodes, or a derivative is asked for whose order is
    higher than $p$.

    Reference: Fornberg, A Practical Guide to Pseudospectral Methods, Cambridge (1996), chapter 3.
    """

    values: jax.Array
    lower: tuple[float, ...] = eqx.field(static=True, converter=lambda ends: tuple(float(v) for v in ends))
    upper: tuple[float, ...] = eqx.field(static=True, converter=lambda ends: tuple(float(v) for v in ends))
    periodic: tuple[bool, ...] = eqx.field(static=True, default=())
    degree: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        axes = len(self.lower)
        if len(self.upper) != axes or len(self.periodic) not in (0, axes) or any(
            not a < b for a, b in zip(self.lower, self.upper)
        ):  # fmt: skip
            raise ValueError("OnGrid: `lower` < `upper` and `periodic` have one entry per axis, time first; got "
                             f"{self.lower}, {self.upper} and {self.periodic}.")  # fmt: skip
        nodes = jnp.shape(self.values)[-axes:]
        if len(nodes) != axes or min(nodes) <= self.degree:
            raise ValueError(f"OnGrid: `values` end in {axes} axes of more than {self.degree} nodes (the degree); got "
                             f"shape {jnp.shape(self.values)}.")  # fmt: skip

    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        axes = len(self.lower)
        if len(point) != axes:
            raise ValueError(f"OnGrid: has {axes} coordinates, got {len(point)}.")
        numbers, weights = [], []
        for axis, x in enumerate(point):
            order = max(index[axis] for index in indices)
            if order > self.degree:
                raise ValueError(f"OnGrid: a derivative of order {order} needs `degree` of at least as much.")
            nodes, found = self._along(axis, jnp.asarray(x), order)
            numbers.append(nodes.reshape(-1, *([1] * (axes - 1 - axis))))
            weights.append(found)
        window = self.values[(..., *numbers)]
        found = {}
        for index in indices:
            part = window
            for axis in reversed(range(axes)):
                part = jnp.tensordot(part, weights[axis][index[axis]], 1, precision=lax.Precision.HIGHEST)
            found[index] = part
        return found

    def _along(self, axis: int, x: jax.Array, order: int) -> tuple[jax.Array, list[jax.Array]]:
        """The numbers of the nearest nodes along one axis, and their weights for Taylor coefficients up to an order."""
        count, closed = self.values.shape[axis - len(self.lower)], bool(self.periodic) and self.periodic[axis]
        spacing = (self.upper[axis] - self.lower[axis]) / (count if closed else count - 1)
        places = (x - self.lower[axis]) / spacing
        first = jnp.round(lax.stop_gradient(places) - self.degree / 2)
        first = first if closed else jnp.clip(first, 0, count - 1 - self.degree)
        numbers = (first.astype(int) + jnp.arange(self.degree + 1)) % count
        offset = places - first - self.degree / 2
        powers = jnp.stack([offset**k for k in range(self.degree + 1)])
        matrix, weights = _lagrange(self.degree), []
        for k in range(order + 1):
            shifts = np.array([math.comb(j, k) for j in range(k, self.degree + 1)])
            taylor = jnp.asarray(shifts[:, None] * matrix[k:] / spacing**k, powers.dtype)
            weights.append((powers[: self.degree + 1 - k] @ taylor).astype(self.values.dtype))
        return numbers, weights

    def like(self, point: Sequence[jax.Array]) -> Any:
        return jax.ShapeDtypeStruct(self.values.shape[: self.values.ndim - len(self.lower)], self.values.dtype)


def _lagrange(degree: int) -> np.ndarray:
    """Coefficients, by power and node, of the polynomials that are one at one of the nodes -p/2, ..., p/2."""
    nodes = np.arange(degree + 1) - degree / 2
    return np.linalg.inv(np.vander(nodes, increasing=True))
