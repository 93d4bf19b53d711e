"""Residuals at all points of a tensor grid, for fields whose factors need one coordinate each."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..equations import Equation
from .box import Box
from .collocation import Residual
from .sampling import AbstractSampler


class GridRows(eqx.Module):
    """The residual of an equation at all points of a tensor grid: a block of a loss, made by `grid_collocation`.

    $$L = \\frac{c}{N} \\sum_{i, j, \\dots} w_{ij\\dots}\\, |r(t_i, x_j, \\dots)|^2$$

    What depends on one coordinate is evaluated once for each of its points, derivatives included: for a
    `jaxsim.nets.Separable` network that is all of the network, so that $n^d$ residuals cost $nd$ evaluations of factors
    and the sums of their products. For other networks it is the same as `collocation` at the points of the grid.

    Methods that take gradients train it. Those that need single rows (`LevenbergMarquardt`) refuse it, since their
    Jacobian has a row for every point of the grid.
    """

    residual: Residual
    samples: tuple[jax.Array, ...]
    weight: Any = 1.0
    factor: Any = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(len(axis) for axis in self.samples)

    @property
    def count(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    def settled(self) -> "GridRows":
        """The same block with arrays for all weights, as a compiled loop carries them."""
        if jnp.shape(self.weight) not in ((), self.shape) or jnp.shape(self.factor) != ():
            raise ValueError(f"GridRows: `weight` is a number or one for each point of the grid {self.shape}, and "
                             f"`factor` a number; got shapes {jnp.shape(self.weight)} and "
                             f"{jnp.shape(self.factor)}.")  # fmt: skip
        dtype = jnp.result_type(float, *self.samples)
        weight = jnp.broadcast_to(jnp.asarray(self.weight, dtype), self.shape)
        return dataclasses.replace(self, weight=weight, factor=jnp.asarray(self.factor, dtype))

    def values(self, model: Any) -> jax.Array:
        """Residuals without weights, shape `(n_1, ..., n_d, *components)`."""
        function = lambda *point: self.residual(model, point)
        count = len(self.samples)
        for axis in reversed(range(count)):
            function = jax.vmap(function, in_axes=tuple(0 if i == axis else None for i in range(count)))
        return function(*self.samples)

    def loss(self, model: Any) -> jax.Array:
        """The block's loss, a scalar."""
        rows = self.values(model)
        squares = jnp.sum(jnp.abs(rows.reshape(*self.shape, -1)) ** 2, -1)
        weight = lax.stop_gradient(jnp.asarray(self.weight, squares.dtype) * jnp.asarray(self.factor, squares.dtype))
        return jnp.sum(weight * squares) / self.count


def grid_collocation(equation: Equation | Callable[[Any], Equation], axes: Sequence[jax.Array], weight: Any = 1.0,
                     field: Callable[[Any], Callable] | None = None, stationary: bool = False) -> GridRows:  # fmt: skip
    """The residual of an equation at all points of a tensor grid, as a block of a loss.

    **Arguments:**

    - `equation`, `field`, `stationary`: as those of `Residual`.
    - `axes`: points along each coordinate, time first, shape `(n_i,)` each.
    - `weight`: of the squares, a number or one for each point, shape `(n_1, ..., n_d)`.

    !!! example

        ```python
        net = Separable(3, "scalar", rank=16, width=32, depth=3, key=key)
        block = grid_collocation(equation, UniformAxes(box).draw((32, 32, 32), key))
        rules = [Resample(UniformAxes(box), every=100)]
        ```

    Reference: Cho et al., Separable physics-informed neural networks, NeurIPS 2023 (arXiv 2306.15969), section 4.
    """
    axes = tuple(jnp.asarray(axis) for axis in axes)
    if not axes or any(axis.ndim != 1 or axis.size == 0 for axis in axes):
        raise ValueError("grid_collocation: one axis of points per coordinate, each of shape (n,), got shapes "
                         f"{[axis.shape for axis in axes]}.")  # fmt: skip
    return GridRows(Residual(equation, field, stationary), axes, weight)


class UniformAxes(AbstractSampler):
    """Independent points along each axis of a `Box`, for blocks of `grid_collocation`."""

    box: Box

    def draw(self, shape: Sequence[int], key: jax.Array, dtype=None) -> tuple[jax.Array, ...]:
        """Axes with so many points each."""
        low, high = self.box.corners
        if len(shape) != self.box.size:
            raise ValueError(f"UniformAxes: points for each of {self.box.size} axes of the box, got {tuple(shape)}.")
        keys = jax.random.split(key, len(shape))
        dtype = jnp.result_type(float) if dtype is None else dtype
        return tuple(jax.random.uniform(k, (n,), dtype, a, b) for k, n, a, b in zip(keys, shape, low, high))

    def __call__(self, block: GridRows, model: Any, key: jax.Array) -> tuple[jax.Array, ...]:
        """New axes with as many points as before."""
        if not isinstance(block, GridRows):
            raise TypeError(f"UniformAxes takes blocks of grid_collocation, got {type(block).__name__}.")
        return self.draw(block.shape, key, block.samples[0].dtype)
