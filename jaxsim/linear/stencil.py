"""Matrices on a grid, stored by the offsets of their entries and found from a few products by coloring."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from .coloring import Offset, StencilPattern, block_coloring

LONG = 16  # nodes; a shorter axis may be coupled from end to end by wide stencils


class StencilOperator(lx.AbstractLinearOperator):
    """A matrix on a grid: $(A v)_i(x) = \\sum_{j, o} a_{ijo}(x)\\, v_j(x + o)$.

    A `lineax.AbstractLinearOperator`; made by [`compress`][jaxsim.linear.compress] or
    [`colored_jacobian`][jaxsim.integrate.colored_jacobian], and solved by [`StencilLU`][jaxsim.linear.StencilLU] or
    any solver of lineax.

    **Arguments:**

    - `pattern`: which entries there are.
    - `entries`: an array of shape `(len(pattern.terms), *shape)`; those that point outside of the box are zero.
    - `structure`: the vectors, a pytree of `jax.ShapeDtypeStruct`; components are those of its leaves in order.
    """

    pattern: StencilPattern
    entries: jax.Array
    structure: Any = eqx.field(static=True)

    def __init__(self, pattern: StencilPattern, entries: jax.Array, structure: Any):
        leaves, treedef = jax.tree.flatten(structure)
        self.pattern, self.entries = pattern, entries
        self.structure = treedef, tuple((leaf.shape, np.dtype(leaf.dtype)) for leaf in leaves)
        packed_shape(structure, pattern)

    def mv(self, vector: Any) -> Any:
        return unpacked(apply(self.pattern, self.entries, packed(vector, self.pattern)), self.in_structure())

    def in_structure(self):
        treedef, leaves = self.structure
        return jax.tree.unflatten(treedef, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])

    def out_structure(self):
        return self.in_structure()

    def transpose(self) -> "StencilOperator":
        transposed = self.pattern.transpose()
        where = {term: k for k, term in enumerate(self.pattern.terms)}
        entries = []
        for i, j, offset in transposed.terms:
            back = self.pattern.wrapped(tuple(-o for o in offset))
            entries.append(shifted(self.entries[where[j, i, back]], offset, self.pattern))
        return StencilOperator(transposed, jnp.stack(entries), self.in_structure())

    def as_matrix(self) -> jax.Array:
        rows, columns, valid = positions(self.pattern)
        size = self.pattern.components * int(np.prod(self.pattern.shape))
        values = jnp.where(valid, self.entries, 0)
        return jnp.zeros((size, size), self.entries.dtype).at[rows, columns].add(values)


def compress(
    function: lx.AbstractLinearOperator | Callable, structure: Any, pattern: StencilPattern
) -> StencilOperator:
    """The matrix of a linear map on a grid, from one product per color.

    Curtis, Powell and Reid, IMA J. Appl. Math. 13 (1974) 117-119.

    **Arguments:**

    - `function`: a linear map of vectors, or a lineax operator.
    - `structure`: its vectors, a pytree of arrays or of `jax.ShapeDtypeStruct`, each `(*components, *grid)`.
    - `pattern`: which entries there may be; others would be mistaken for these.

    **Returns:** a [`StencilOperator`][jaxsim.linear.StencilOperator].

    **Raises:** `ValueError` where vectors and pattern do not fit.
    """
    product = lx.linearise(function).mv if isinstance(function, lx.AbstractLinearOperator) else function
    structure = jax.eval_shape(lambda: structure)
    packed_shape(structure, pattern)
    dtype = jnp.result_type(*jax.tree.leaves(structure))

    def column(seed):
        return packed(product(unpacked(seed, structure)), pattern)

    images = jax.vmap(column)(jnp.asarray(pattern.seeds(), dtype))
    index, valid = _sources(pattern)
    entries = jnp.where(valid, jnp.take(images.reshape(-1), index, mode="clip"), 0)
    return StencilOperator(pattern, entries, structure)


def find_stencil(function: Callable, state: Any, shape: tuple[int, ...], periodic: tuple[bool, ...]) -> StencilPattern:
    """Which entries the Jacobian of a function on a grid has, at every node, by following NaNs.

    A tangent that is NaN at one node comes back as NaN wherever that node has an influence, however small, even zero.
    Planes of NaNs first give the reach along each axis; then nodes so far apart that their influences do not meet are
    probed together. The Jacobian need not be stored, and is not.

    **Arguments:**

    - `function`: from a pytree of arrays `(*components, *shape)` to another like it.
    - `state`: where it is probed; branches that it does not take (`jnp.where`, upwinding) are not seen.
    - `shape`, `periodic`: of the grid.

    **Returns:** a [`StencilPattern`][jaxsim.linear.StencilPattern], the union over all nodes.

    **Raises:** `ValueError` where derivatives are not finite, or an axis is coupled from end to end.
    """
    structure = jax.eval_shape(lambda: state)
    free = StencilPattern(shape, [[()]], periodic)
    components, *_ = packed_shape(structure, free)
    dtype = jnp.result_type(*jax.tree.leaves(structure))

    @jax.jit
    def influence(marks):
        tangent = unpacked(jnp.where(marks, jnp.nan, jnp.zeros((), dtype)), structure)
        return jnp.isnan(packed(jax.jvp(function, (state,), (tangent,))[1], free))

    if influence(np.zeros((components, *shape), bool)).any():
        raise ValueError("find_stencil: the derivative at this state is not finite; give another state.")
    reach = [_axis_reach(influence, components, shape, axis, p) for axis, p in enumerate(periodic)]
    colors = block_coloring([2 * r + 1 for r in reach], shape, periodic)
    box = {free.wrapped(tuple(b - r for b, r in zip(o, reach))) for o in np.ndindex(*(2 * r + 1 for r in reach))}
    couplings: list[list[set]] = [[set() for _ in range(components)] for _ in range(components)]
    nodes = np.indices(shape)
    for j in range(components):
        for color in range(colors.max() + 1):
            marks = np.zeros((components, *shape), bool)
            marks[j] = colors == color
            rows = np.asarray(influence(marks))
            for offset in box:
                source, inside = _neighbor(nodes, offset, shape, periodic)
                hit = inside & (colors[tuple(source)] == color)
                for i in range(components):
                    if (rows[i] & hit).any():
                        couplings[i][j].add(offset)
    return StencilPattern(shape, couplings, periodic)


def _axis_reach(influence, components: int, shape, axis: int, periodic: bool) -> int:
    """How many nodes along one axis any influence goes."""
    count, reach = shape[axis], 0
    others = tuple(a for a in range(len(shape)) if a != axis)
    for j in range(components):
        for plane in range(count):
            marks = np.zeros((components, *shape), bool)
            marks[(j, *[slice(None)] * axis, plane)] = True
            rows = np.asarray(influence(marks)).any(axis=(0, *(1 + a for a in others)))
            distance = np.abs(np.flatnonzero(rows) - plane)
            distance = np.minimum(distance, count - distance) if periodic else distance
            reach = max(reach, distance.max(initial=0))
            if count > LONG and reach >= (count // 2 if periodic else count - 1):
                raise ValueError(
                    f"find_stencil: axis {axis} is coupled from end to end, as by a transform or an integral: there is "
                    "no sparse Jacobian. Use a matrix-free solver (jaxsim.linear.FGMRES)."
                )
    return int(reach)


# -- vectors as one array ----------------------------------------------------------------------------------------------
def packed_shape(structure: Any, pattern: StencilPattern) -> tuple[int, ...]:
    """Shape of a vector as one array `(components, *grid)`, after checking that it fits the pattern."""
    dimension, components = len(pattern.shape), 0
    for leaf in jax.tree.leaves(structure):
        if leaf.ndim < dimension or leaf.shape[leaf.ndim - dimension :] != pattern.shape:
            raise ValueError(f"a stencil on {pattern.shape} nodes does not fit an array of shape {leaf.shape}.")
        components += int(np.prod(leaf.shape[: leaf.ndim - dimension]))
    if pattern.terms and components != pattern.components:
        raise ValueError(f"a stencil of {pattern.components} components does not fit a vector of {components}.")
    return (components, *pattern.shape)


def packed(vector: Any, pattern: StencilPattern) -> jax.Array:
    """All components of a pytree of arrays, `(components, *grid)`."""
    return jnp.concatenate([jnp.asarray(leaf).reshape(-1, *pattern.shape) for leaf in jax.tree.leaves(vector)])


def unpacked(array: jax.Array, structure: Any) -> Any:
    """The inverse of `packed`."""
    leaves, treedef = jax.tree.flatten(structure)
    parts, start = [], 0
    for leaf in leaves:
        count = leaf.size // int(np.prod(array.shape[1:]))
        parts.append(array[start : start + count].reshape(leaf.shape).astype(leaf.dtype))
        start += count
    return jax.tree.unflatten(treedef, parts)


# -- stencils ----------------------------------------------------------------------------------------------------------
def shifted(array: jax.Array, offset: Offset, pattern: StencilPattern) -> jax.Array:
    """Values at $x + o$ on the last axes, zero beyond walls."""
    for axis, o in enumerate(offset):
        count, along = pattern.shape[axis], array.ndim - len(offset) + axis
        if o == 0:
            continue
        if pattern.periodic[axis]:
            array = jnp.roll(array, -o, along)
        elif abs(o) >= count:
            return jnp.zeros_like(array)
        else:
            kept = jax.lax.slice_in_dim(array, max(o, 0), count + min(o, 0), axis=along)
            pad = [(0, 0)] * array.ndim
            pad[along] = (max(-o, 0), max(o, 0))
            array = jnp.pad(kept, pad)
    return array


def apply(pattern: StencilPattern, entries: jax.Array, vector: jax.Array) -> jax.Array:
    """The product with a packed vector."""
    rows = [jnp.zeros_like(vector[0]) for _ in range(pattern.components)]
    for k, (i, j, offset) in enumerate(pattern.terms):
        rows[i] = rows[i] + entries[k] * shifted(vector[j], offset, pattern)
    return jnp.stack(rows)


def _neighbor(nodes, offset: Offset, shape, periodic):
    """Indices of the nodes at an offset, clipped into the box, and whether they are inside."""
    target = nodes + np.reshape(offset, (-1, *[1] * len(shape)))
    inside = np.ones(shape, bool)
    for axis, n in enumerate(shape):
        if periodic[axis]:
            target[axis] %= n
        else:
            inside &= (target[axis] >= 0) & (target[axis] < n)
            target[axis] = np.clip(target[axis], 0, n - 1)
    return target, inside


@functools.lru_cache(maxsize=64)
def positions(pattern: StencilPattern) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of every entry in the matrix of packed vectors, and whether it is inside the box."""
    nodes, count = np.indices(pattern.shape), int(np.prod(pattern.shape))
    flat = np.arange(count).reshape(pattern.shape)
    rows, columns, valid = [], [], []
    for i, j, offset in pattern.terms:
        target, inside = _neighbor(nodes, offset, pattern.shape, pattern.periodic)
        rows.append(i * count + flat)
        columns.append(j * count + flat[tuple(target)])
        valid.append(inside)
    return np.stack(rows), np.stack(columns), np.stack(valid)


@functools.lru_cache(maxsize=64)
def _sources(pattern: StencilPattern) -> tuple[np.ndarray, np.ndarray]:
    """Where in the images of all seeds every entry is found."""
    rows, columns, valid = positions(pattern)
    size = pattern.components * int(np.prod(pattern.shape))
    colors = pattern.coloring().reshape(-1)
    return colors[columns] * size + rows, valid


@lx.linearise.register(StencilOperator)
@lx.materialise.register(StencilOperator)
def _(operator):
    return operator


@lx.conj.register(StencilOperator)
def _(operator):
    return StencilOperator(operator.pattern, operator.entries.conj(), operator.in_structure())


@lx.diagonal.register(StencilOperator)
def _(operator):
    zero, pattern = (0,) * len(operator.pattern.shape), operator.pattern
    where = {term: k for k, term in enumerate(pattern.terms)}
    none = jnp.zeros(pattern.shape, operator.entries.dtype)
    found = [where.get((i, i, zero)) for i in range(pattern.components)]
    return jnp.concatenate([(none if k is None else operator.entries[k]).reshape(-1) for k in found])


@lx.tridiagonal.register(StencilOperator)
def _(operator):
    matrix = operator.as_matrix()
    return jnp.diag(matrix), jnp.diag(matrix, -1), jnp.diag(matrix, 1)


@lx.is_symmetric.register(StencilOperator)
@lx.is_diagonal.register(StencilOperator)
@lx.is_tridiagonal.register(StencilOperator)
@lx.has_unit_diagonal.register(StencilOperator)
@lx.is_lower_triangular.register(StencilOperator)
@lx.is_upper_triangular.register(StencilOperator)
@lx.is_positive_semidefinite.register(StencilOperator)
@lx.is_negative_semidefinite.register(StencilOperator)
def _(operator):
    return False
