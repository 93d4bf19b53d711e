"""Inverses of small dense matrices inside loops.

Triangular solves go to a threaded library that waits for its threads, longer than the solve takes by orders of
magnitude where a machine is busy; products of small matrices stay in the compiled program.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def inverse(matrix: jax.Array) -> jax.Array:
    """The inverse of one square matrix, by elimination with row exchanges."""
    factors, _, order = lax.linalg.lu(matrix)
    identity = jnp.eye(len(matrix), dtype=matrix.dtype)
    lower, upper = _lower_inverses(jnp.stack([jnp.tril(factors, -1) + identity, jnp.triu(factors).T]))
    return jnp.zeros_like(matrix).at[:, order].set(_multiply(upper.T, lower))


def _multiply(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _lower_inverses(matrices: jax.Array) -> jax.Array:
    """Inverses of lower triangular matrices: of small blocks on the diagonal, then of pairs of them, and so on."""
    size, (leaf, count) = matrices.shape[-1], _leaves(matrices.shape[-1])
    extra = leaf * count - size
    if extra:
        rest = jnp.diag(jnp.asarray(np.arange(size + extra) >= size, matrices.dtype))
        matrices = jnp.pad(matrices, ((0, 0), (0, extra), (0, extra))) + rest
    found = _substituted(_blocks(matrices, leaf, count))
    while found.shape[1] > 1:
        block = found.shape[-1]
        beside = _blocks(matrices, 2 * block, found.shape[1] // 2)[..., block:, :block]
        before, after = found[:, 0::2], found[:, 1::2]
        corner = -_multiply(after, _multiply(beside, before))
        found = jnp.block([[before, jnp.zeros_like(before)], [corner, after]])
    return found[:, 0, :size, :size]


def _blocks(matrices: jax.Array, size: int, count: int) -> jax.Array:
    """Blocks on the diagonals, `(matrices, count, size, size)`."""
    every = np.arange(count)
    return jnp.moveaxis(matrices.reshape(-1, count, size, count, size)[:, every, :, every, :], 0, 1)


def _leaves(size: int) -> tuple[int, int]:
    """Size and number of blocks, a power of two, that cover a matrix with little to spare."""
    options = [(leaf, 2 ** max(0, int(np.ceil(np.log2(size / leaf))))) for leaf in range(1, 8)]
    return min(options, key=lambda option: (option[0] * option[1], -option[1]))


def _substituted(blocks: jax.Array) -> jax.Array:
    """Inverses of lower triangular blocks `(..., n, n)` by forward substitution."""
    rows: list[jax.Array] = []
    for i in range(blocks.shape[-1]):
        unit = jnp.asarray(np.arange(blocks.shape[-1]) == i, blocks.dtype)
        known = sum((blocks[..., i, j, None] * row for j, row in enumerate(rows)), jnp.zeros_like(blocks[..., 0]))
        rows.append((unit - known) / blocks[..., i, i, None])
    return jnp.stack(rows, axis=-2)
