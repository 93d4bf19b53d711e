"""Sums over many samples, a few of them at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def sum_over_chunks(function: Callable[..., Any], samples: tuple, chunk: int) -> Any:
    """The sum of what a function of several samples returns, over chunks of them.

    **Arguments:**

    - `function`: of the arrays of one chunk, each with a leading axis of samples; it returns a pytree of arrays.
    - `samples`: pytrees of arrays with a leading axis of all samples, one for each argument of `function`.
    - `chunk`: how many samples are held at a time; the last chunk is what is left.
    """
    count = jax.tree.leaves(samples)[0].shape[0]
    if count <= chunk:
        return function(*samples)
    whole = count // chunk * chunk
    chunks = jax.tree.map(lambda a: a[:whole].reshape(-1, chunk, *a.shape[1:]), samples)
    shapes = jax.eval_shape(function, *jax.tree.map(lambda a: a[0], chunks))
    zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    total, _ = lax.scan(lambda total, part: (jax.tree.map(jnp.add, total, function(*part)), None), zero, chunks)
    if whole == count:
        return total
    return jax.tree.map(jnp.add, total, function(*jax.tree.map(lambda a: a[whole:], samples)))
