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
    lower = _lower_inverse(jnp.tril(factors, -1) + identity)
    upper = _lower_inverse(jnp.triu(factors).T).T
    product = jnp.matmul(upper, lower, precision=lax.Precision.HIGHEST)
    return jnp.zeros_like(matrix).at[:, order].set(product)


def _lower_inverse(matrix: jax.Array) -> jax.Array:
    """The inverse of a lower triangular matrix: of small blocks on its diagonal, then of pairs of them, and so on."""
    size, (leaf, count) = len(matrix), _leaves(len(matrix))
    extra = leaf * count - size
    matrix = jnp.pad(matrix, (0, extra)) + jnp.diag(jnp.asarray(np.arange(size + extra) >= size, matrix.dtype))
    every = np.arange(count)
    found = _substituted(matrix.reshape(count, leaf, count, leaf)[every, :, every, :])
    multiply = lambda a, b: jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
    while len(found) > 1:
        block = found.shape[-1]
        first, second = np.arange(0, len(found), 2), np.arange(1, len(found), 2)
        beside = matrix.reshape(len(found), block, len(found), block)[second, :, first, :]
        before, after = found[0::2], found[1::2]
        corner = -multiply(after, multiply(beside, before))
        found = jnp.block([[before, jnp.zeros_like(before)], [corner, after]])
    return found[0, :size, :size]


def _leaves(size: int) -> tuple[int, int]:
    """Size and number of blocks, a power of two, that cover a matrix with little to spare."""
    options = [(leaf, 2 ** max(0, int(np.ceil(np.log2(size / leaf))))) for leaf in range(1, 8)]
    return min(options, key=lambda option: (option[0] * option[1], -option[1]))


def _substituted(blocks: jax.Array) -> jax.Array:
    """Inverses of lower triangular blocks `(count, n, n)` by forward substitution."""
    rows: list[jax.Array] = []
    for i in range(blocks.shape[-1]):
        unit = jnp.asarray(np.arange(blocks.shape[-1]) == i, blocks.dtype)
        known = sum((blocks[:, i, j, None] * row for j, row in enumerate(rows)), jnp.zeros_like(blocks[:, 0]))
        rows.append((unit - known) / blocks[:, i, i, None])
    return jnp.stack(rows, axis=1)
