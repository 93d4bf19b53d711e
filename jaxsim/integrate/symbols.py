"""The symbol of a linear part: its eigenvalue, or small matrix, for every mode.

`linear` is applied to fields whose modes are all one, on the host in double precision; what comes back is the symbol.
Where parameters are traced, stand-in numbers show its structure on the host, and the values are traced.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import Equation, is_field, linear_part
from ..field import Field
from ..linear import Blocks, Diagonal
from ..spaces import Space

# What stands in for parameters that are traced, beside numbers near one: signs and sizes of further draws.
SIGNS, SIZES = ((-1,), (1,), (-1, 1)), (1.0, 1e3, 1e-3)
DRAWS = 1 + len(SIZES)


class Structure(NamedTuple):
    """Whether components are coupled, whether every entry is real, and the entries themselves where all is known."""

    coupled: bool
    real: bool
    matrix: list | None


def find_structure(equation: Equation, spaces: Any, y: Any, known: bool) -> Structure:
    """What the linear part looks like, found outside of any trace."""
    with jax.ensure_compile_time_eval():
        first = _known_matrix(equation, spaces, y, draw=0)
        coupled, real = _pattern(first)
        for draw in () if known else range(1, DRAWS):
            try:
                also_coupled, also_real = _pattern(_known_matrix(equation, spaces, y, draw))
            except Exception:  # an equation may refuse numbers that its parameters never take
                continue
            coupled, real = coupled or also_coupled, real and also_real
    return Structure(coupled, real, first if known else None)


def _known_matrix(equation, spaces, y, draw: int):
    matrix = symbol_matrix(*_stand_ins((equation, spaces), draw), y)
    return [[None if e is None else np.asarray(e) for e in row] for row in matrix]


def _stand_ins(tree, draw: int):
    """The equation and its spaces with known parameters in double precision, and generic numbers for unknown ones.

    No two numbers are alike, or one would hide that another is not cancelled by it. Draws differ in sign and size: a
    coupling that is there for some numbers only, as `jnp.maximum(c - 2, 0)`, is seen by one of them.
    """
    random = np.random.default_rng(draw)

    def generic(shape):
        size = random.uniform(0.5, 1.5, shape)
        return size if draw == 0 else size * random.choice(SIGNS[draw - 1], shape) * SIZES[draw - 1]

    def stand_in(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        double = complex if jnp.iscomplexobj(leaf) else float
        if not isinstance(leaf, jax.core.Tracer):
            return np.asarray(leaf).astype(double)
        return np.asarray(generic(leaf.shape) + 1j * generic(leaf.shape) if double is complex else generic(leaf.shape))

    return jax.tree.map(stand_in, tree)


def promoted(equation):
    """The equation with its parameters in the widest precision that JAX is set to."""

    def widest(leaf):
        return leaf.astype(jnp.result_type(leaf.dtype, float)) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(widest, equation)


def _components(parts, y):
    """The flattened list of (leaf number, component index, component shape)."""
    listing = []
    for number, (space, leaf) in enumerate(zip(jax.tree.leaves(parts, is_leaf=_is_space), jax.tree.leaves(y))):
        shape = leaf.shape[: leaf.ndim - space.dimension]
        listing += [(number, index, shape) for index in np.ndindex(*shape)]
    return listing


def symbol_matrix(equation, spaces, y):
    """Entry (i, j) is the symbol from component j to component i, `None` where it is zero."""
    parts = jax.tree.map(lambda s: s.parts(), spaces, is_leaf=_is_space)
    listing, structure = _components(parts, y), jax.tree.structure(y)
    leaves = jax.tree.leaves(parts, is_leaf=_is_space)
    shapes = {number: shape for number, _, shape in listing}
    columns = []
    for number, index, _ in listing:
        probes = [
            leaves[leaf].modes().probe(shape, index) if leaf == number
            else _silent(leaves[leaf].modes().probe(shape, _no_component(shape)))
            for leaf, shape in shapes.items()
        ]  # fmt: skip
        probes = jax.tree.unflatten(structure, probes)
        state = jax.tree.map(lambda s, fields: s.join(fields), spaces, probes, is_leaf=_is_space)
        result = linear_part(equation, state)
        if result is None:
            columns.append([None] * len(listing))
            continue
        images = jax.tree.map(lambda u: u.space.split(u), result, is_leaf=is_field)
        symbols = [image.space.modes().symbol(image) for image in jax.tree.leaves(images, is_leaf=is_field)]
        columns.append([symbols[leaf][component] for leaf, component, _ in listing])
    return [[columns[j][i] for j in range(len(listing))] for i in range(len(listing))]


def _no_component(shape):
    return tuple(0 for _ in shape)


def _silent(field: Field) -> Field:
    return field.space.linear(lambda a: a * 0, field)


def _pattern(matrix) -> tuple[bool, bool]:
    """Whether components are coupled, and whether every entry is real."""
    entries = [(i, j, np.nan_to_num(e)) for i, row in enumerate(matrix) for j, e in enumerate(row) if e is not None]
    coupled = any(i != j and np.any(e != 0) for i, j, e in entries)
    return coupled, all(np.all(np.imag(e) == 0) for _, _, e in entries)


def blocks(matrix) -> Blocks:
    """A small matrix per mode, for components that are coupled."""
    entry = next(e for row in matrix for e in row if e is not None)
    filled = [[entry * 0 if e is None else e for e in row] for row in matrix]
    xp = _namespace(e for row in filled for e in row)
    return Blocks(xp.stack([xp.stack(row, -1) for row in filled], -2))


def diagonal(matrix, parts, y) -> Diagonal:
    """A number per mode, for components that are not; one for all of a leaf where they are known to agree."""
    listing = _components(parts, y)
    entries = []
    for number, leaf in enumerate(jax.tree.leaves(y)):
        own = [matrix[i][i] for i, (n, *_) in enumerate(listing) if n == number]
        rows = [np.zeros(()) if entry is None else entry for entry in own]
        modes = np.broadcast_shapes(*(r.shape for r in rows))
        xp = _namespace(rows)
        if len(rows) == 1 or (xp is np and all(np.array_equal(r, rows[0]) for r in rows)):
            entries.append(rows[0])  # one symbol serves all components
        else:
            components = leaf.shape[: leaf.ndim - len(modes)]
            entries.append(xp.stack([xp.broadcast_to(r, modes) for r in rows]).reshape(*components, *modes))
    return Diagonal(jax.tree.unflatten(jax.tree.structure(y), entries))


def _namespace(arrays):
    return np if all(isinstance(a, np.ndarray) for a in arrays) else jnp


def _is_space(node) -> bool:
    return isinstance(node, Space)
