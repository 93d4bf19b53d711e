"""Scans whose reverse-mode memory grows with the square root of their length."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def checkpointed_scan(body: Callable, carry: Any, length: int, block: int | None = None) -> tuple[Any, Any]:
    """`lax.scan(body, carry, None, length)` that stores only every `block`-th state for its reverse pass.

    The steps inside a block are recomputed once when gradients pass through it (Griewank and Walther 2000,
    ACM Trans. Math. Softw. 26, 19-45, with one level), so memory is `length / block` states plus the residuals of
    `block` steps, at the price of one more forward pass.

    **Arguments:**

    - `body`: as in `jax.lax.scan`, called with `None` for its second argument.
    - `carry`: initial state, a pytree.
    - `length`: number of steps.
    - `block`: steps per block; `None` balances the two costs for steps whose residuals are some sixteen states.

    **Returns:** the final carry and the stacked outputs, as `jax.lax.scan`.
    """
    if block is None:
        block = balanced_block(length)
    if block < 1:
        raise ValueError(f"checkpointed_scan: `block` must be at least 1, got {block}.")
    outer, rest = divmod(length, min(block, max(length, 1)))

    @jax.checkpoint
    def run(carry, _):
        return jax.lax.scan(body, carry, None, min(block, length))

    carry, blocks = jax.lax.scan(run, carry, None, outer)
    outputs = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), blocks)
    if rest:
        carry, tail = jax.lax.scan(body, carry, None, rest)
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, tail)
    return carry, outputs


def balanced_block(length: int, residuals: float = 16.0) -> int:
    """The block that makes `length / block` states and `block` residuals of that many states weigh the same."""
    return max(1, math.ceil(math.sqrt(length / residuals)))
