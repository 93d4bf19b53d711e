"""Which nodes a stencil couples, and colors of the columns of its matrix that no row has two of."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

Offset = tuple[int, ...]
MOST_LATTICES = 50_000  # of one modulus that are tried


class StencilPattern(eqx.Module):
    """Where a Jacobian on a grid may have entries: which component couples to which, over which offsets of nodes.

    Entry `couplings[i][j]` holds the offsets $o$ for which row $i$ at node $x$ may depend on component $j$ at node
    $x + o$; on periodic axes nodes are counted around. Found for an equation by
    [`stencil_pattern`][jaxsim.integrate.stencil_pattern], or written by hand. `a | b` has the entries of both.

    **Arguments:**

    - `shape`: number of nodes along each axis.
    - `couplings`: for every pair of components a collection of offsets, each with one whole number per axis.
    - `periodic`: whether each axis is periodic; none when left out.

    **Raises:** `ValueError` for couplings that are not square, and offsets without one entry per axis.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    couplings: tuple[tuple[tuple[Offset, ...], ...], ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    def __init__(
        self, shape: Sequence[int], couplings: Sequence[Sequence[Any]], periodic: Sequence[bool] | None = None
    ):
        self.shape = tuple(int(n) for n in shape)
        self.periodic = (False,) * len(self.shape) if periodic is None else tuple(bool(p) for p in periodic)
        if len(self.periodic) != len(self.shape):
            raise ValueError(f"StencilPattern: `periodic` needs one entry per axis ({len(self.shape)}).")
        if any(len(row) != len(couplings) for row in couplings):
            raise ValueError("StencilPattern: `couplings` needs one entry for every pair of components.")
        self.couplings = tuple(tuple(self._normal(offsets) for offsets in row) for row in couplings)

    def _normal(self, offsets) -> tuple[Offset, ...]:
        found = set()
        for offset in offsets:
            offset = tuple(int(o) for o in offset)
            if len(offset) != len(self.shape):
                raise ValueError(f"StencilPattern: the offset {offset} needs one entry per axis ({len(self.shape)}).")
            if all(p or abs(o) < n for o, n, p in zip(offset, self.shape, self.periodic)):  # others leave the box
                found.add(self.wrapped(offset))
        return tuple(sorted(found))

    def wrapped(self, offset: Offset) -> Offset:
        """The least offset between the same nodes."""
        return tuple(
            (o + (n - 1) // 2) % n - (n - 1) // 2 if p else o for o, n, p in zip(offset, self.shape, self.periodic)
        )

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.couplings)

    @property
    def terms(self) -> tuple[tuple[int, int, Offset], ...]:
        """All `(row, column, offset)`, in the order of a `StencilOperator`'s entries."""
        return tuple(
            (i, j, offset)
            for i, row in enumerate(self.couplings)
            for j, offsets in enumerate(row)
            for offset in offsets
        )

    def transpose(self) -> "StencilPattern":
        """The pattern of the transposed matrix."""
        flipped = [
            [[tuple(-o for o in offset) for offset in self.couplings[j][i]] for j in range(self.components)]
            for i in range(self.components)
        ]
        return StencilPattern(self.shape, flipped, self.periodic)

    def __or__(self, other: "StencilPattern") -> "StencilPattern":
        if (self.shape, self.periodic, self.components) != (other.shape, other.periodic, other.components):
            raise ValueError("StencilPattern: only patterns on the same nodes and components have a union.")
        couplings = [[a + b for a, b in zip(p, q)] for p, q in zip(self.couplings, other.couplings)]
        return StencilPattern(self.shape, couplings, self.periodic)

    @property
    def colors(self) -> int:
        """Number of Jacobian-vector products that give all entries."""
        return _coloring(self)[1]

    def coloring(self) -> np.ndarray:
        """A color for every column, shape `(components, *shape)`; no row has entries in two columns of one color."""
        return _coloring(self)[0]

    def seeds(self) -> np.ndarray:
        """The columns of each color as a vector of zeros and ones, shape `(colors, components, *shape)`."""
        colors = np.arange(self.colors).reshape(-1, *[1] * (1 + len(self.shape)))
        return self.coloring() == colors


def grid_coloring(offsets: Sequence[Offset], shape: Sequence[int], periodic: Sequence[bool]) -> np.ndarray:
    """Colors of nodes such that no two of a color differ by one of the offsets.

    A lattice, $(w \\cdot x) \\bmod m$ with the least $m$, or blocks along each axis where no smaller lattice is found.
    """
    differences = np.array([d for d in offsets if any(d)], int).reshape(-1, len(shape))
    blocks = block_coloring(np.abs(differences).max(axis=0, initial=0) + 1, shape, periodic)
    for modulus in range(1, int(blocks.max()) + 1):
        if modulus ** len(shape) > MOST_LATTICES:
            break
        weights = np.array(list(itertools.product(range(modulus), repeat=len(shape))))
        closed = [(weights[:, a] * n) % modulus == 0 for a, (n, p) in enumerate(zip(shape, periodic)) if p]
        apart = ((weights @ differences.T) % modulus != 0).all(axis=1)
        good = weights[np.logical_and.reduce([apart, *closed])]
        if len(good):
            return np.tensordot(good[0], np.indices(shape), 1) % modulus
    return blocks


def block_coloring(widths: Sequence[int], shape: Sequence[int], periodic: Sequence[bool]) -> np.ndarray:
    """Colors of nodes, the same only for nodes at least a width apart along some axis."""
    colors = np.zeros(shape, int)
    for nodes, count, width, closed in zip(np.indices(shape), shape, widths, periodic):
        along = _axis_colors(count, int(width), closed)
        colors = colors * (along.max() + 1) + along[nodes]
    return colors


def _axis_colors(nodes: int, width: int, periodic: bool) -> np.ndarray:
    """Colors along one axis, the same only for nodes at least `width` apart."""
    index = np.arange(nodes)
    if not periodic:
        return index % width
    starts = np.linspace(0, nodes, max(1, nodes // width) + 1).astype(int)
    return index - starts[np.searchsorted(starts, index, side="right") - 1]


@functools.lru_cache(maxsize=64)
def _coloring(pattern: StencilPattern) -> tuple[np.ndarray, int]:
    colors, used = [], 0
    for j in range(pattern.components):
        rows = [pattern.couplings[i][j] for i in range(pattern.components)]
        conflicts = {
            pattern.wrapped(tuple(a - b for a, b in zip(p, q))) for offsets in rows for p in offsets for q in offsets
        }
        if not any(rows):  # nothing depends on this component
            colors.append(np.full(pattern.shape, -1))
            continue
        own = grid_coloring(sorted(conflicts), pattern.shape, pattern.periodic)
        own = np.unique(own, return_inverse=True)[1].reshape(pattern.shape)
        colors.append(own + used)
        used += int(own.max()) + 1
    return np.stack(colors), used
