"""Weights of an integral over the nodes of a plain array."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...optimize import frozen, number


class Quadrature(eqx.Module):
    """The integral $\\int y \\approx \\sum_i w_i y_i$ over the last axes of an array; axes before them are components.

    **Arguments:**

    - `weights`: $w > 0$, shape of the grid. They are not trained.

    Fields of a `js.Space` have integrals of their own and need none.
    """

    weights: Any = eqx.field(converter=frozen)

    def __check_init__(self):
        weights = number(self.weights, jnp.zeros(()))
        if not isinstance(weights, jax.core.Tracer) and not np.all(np.asarray(weights) > 0):
            raise ValueError("Quadrature: weights must be positive.")

    @classmethod
    def trapezoid(cls, *axes: Sequence[float] | np.ndarray | jax.Array) -> "Quadrature":
        """The trapezoidal rule on a product of axes between walls.

        **Arguments:**

        - `axes`: for each axis the ascending coordinates of its nodes, ends included.
        """
        return cls(_product([_trapezoid(np.asarray(axis, float)) for axis in axes]))

    @classmethod
    def periodic(cls, shape: Sequence[int], lengths: Sequence[float]) -> "Quadrature":
        """Equal weights, on a periodic box or at the centers of equal cells.

        **Arguments:**

        - `shape`: number of nodes along each axis.
        - `lengths`: of the axes.
        """
        if len(shape) != len(lengths):
            raise ValueError(f"Quadrature.periodic: {len(shape)} axes and {len(lengths)} lengths.")
        return cls(_product([np.full(n, length / n) for n, length in zip(shape, lengths)]))

    def fitting(self, array: jax.Array, name: str) -> jax.Array:
        """The weights in the precision of an array.

        **Raises:** `ValueError` where its last axes do not have their shape.
        """
        weights = number(self.weights, jnp.zeros(()))
        if array.shape[max(array.ndim - weights.ndim, 0) :] != weights.shape:
            raise ValueError(f"{name}: the quadrature is for arrays of shape (..., {', '.join(map(str, weights.shape))}"
                             f"), got {array.shape}.")  # fmt: skip
        precision = array.dtype if jnp.issubdtype(array.dtype, jnp.inexact) else weights.dtype
        return weights.astype(jnp.finfo(precision).dtype)

    def __call__(self, array: jax.Array) -> jax.Array:
        """The integral of every component."""
        weights = self.fitting(array, "Quadrature")
        return jnp.sum(weights * array, tuple(range(-weights.ndim, 0)))


def _trapezoid(nodes: np.ndarray) -> np.ndarray:
    gaps = np.diff(nodes)
    if nodes.ndim != 1 or len(nodes) < 2 or not np.all(gaps > 0):
        raise ValueError("Quadrature.trapezoid: every axis needs ascending coordinates of at least two nodes.")
    return (np.append(gaps, 0) + np.append(0, gaps)) / 2


def _product(axes: list[np.ndarray]) -> jax.Array:
    total = np.ones(())
    for axis in axes:
        total = np.multiply.outer(total, axis)
    return jnp.asarray(total)
