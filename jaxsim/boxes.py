"""Functions of position that depend on the box they are put on: initial states, body forces."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .grid import Grid

Sides = float | tuple[float, ...]


class BoxFunction(eqx.Module):
    """A function of position that a space asks for its form on the space's own box.

    `space.field(f)` and `js.sample(f, t, u)` call `f.on(grid, periodic)`, and what that returns with coordinates. A
    function that holds others of the kind need not write `on`: they are placed where they are.
    """

    def on(self, grid: Grid, periodic: Sequence[bool] | None = None) -> Callable:
        """The function on the box of a grid.

        **Arguments:**

        - `grid`: the grid.
        - `periodic`: whether each axis is periodic; all are when left out.
        """
        return _with_members_placed(self, grid, periodic, lambda node: node is not self)


def placed(function: Any, grid: Grid, periodic: Sequence[bool] | None = None) -> Any:
    """A function with each `BoxFunction` in it as on a box: itself, a method of one, or a module that holds some."""
    return _with_members_placed(function, grid, periodic, lambda node: True)


def _with_members_placed(tree, grid, periodic, counts):
    member = lambda node: isinstance(node, BoxFunction) and counts(node)
    return jax.tree.map(lambda node: node.on(grid, periodic) if member(node) else node, tree, is_leaf=member)


def sides(length: Any) -> Sides | None:
    """What was said about a box as numbers that hash: one for all axes, one for each, or `None`.

    **Raises:** `ValueError` for sides that are not positive.
    """
    if length is None:
        return None
    if not np.all(np.asarray(length) > 0):
        raise ValueError(f"`length` must be positive, got {length}.")
    return float(length) if np.ndim(length) == 0 else tuple(float(side) for side in length)


def per_axis(length: Sides, dimension: int) -> tuple[float, ...]:
    """The side along each axis.

    **Raises:** `ValueError` for another number of sides than of axes.
    """
    if np.ndim(length) and len(length) != dimension:
        raise ValueError(f"`length` has {len(length)} sides, but the function was given {dimension} coordinates.")
    return tuple(float(side) for side in np.broadcast_to(length, (dimension,)))


def with_sides_of(function: Any, grid: Grid) -> Any:
    """A module with a field `length` that takes the sides of a grid, and keeps what it was given where that agrees.

    **Raises:** `ValueError` where it was given others.
    """
    given = function.length
    if given is not None and not np.allclose(per_axis(given, grid.dimension), grid.lengths, rtol=1e-6, atol=0.0):
        raise ValueError(
            f"{type(function).__name__} was made for a box with `length` {given} and is put on {grid}, whose sides are "
            f"{grid.lengths}: leave out `length`, which is then that of the box."
        )
    return dataclasses.replace(function, length=grid.lengths)
