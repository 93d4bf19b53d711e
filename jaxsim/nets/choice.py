"""Random choices without repetition, by weight, inside compiled programs."""

import jax
import jax.numpy as jnp
import numpy as np


def weighted_choice(key: jax.Array, weights: jax.Array, count: int) -> jax.Array:
    """Indices of different items, drawn one after the other with probabilities proportional to their weights.

    By the largest of $\\log w_i + G_i$ with independent Gumbel variables $G_i$, which is the same law in one pass.
    Items of weight zero are taken last, and those of infinite or undefined weight first, so that they are seen.

    **Arguments:**

    - `key`: for the draw.
    - `weights`: shape `(n,)`, not negative, of any scale.
    - `count`: how many, at most `n`.

    **Returns:** shape `(count,)`.

    Reference: Efraimidis and Spirakis, Inf. Process. Lett. 97, 181 (2006), for the equivalence, by exponential clocks.
    """
    weights = jnp.asarray(weights)
    if weights.ndim != 1 or not 1 <= count <= weights.shape[0]:
        raise ValueError(
            f"weighted_choice: {count} different items of weights with shape {weights.shape}; weights are one number "
            "per item, and `count` is between 1 and the number of items."
        )
    if not isinstance(weights, jax.core.Tracer) and np.any(np.asarray(weights) < 0):
        raise ValueError("weighted_choice: weights must not be negative.")
    logits = jnp.where(jnp.isfinite(weights), jnp.log(weights), jnp.inf)
    return jax.lax.top_k(logits + jax.random.gumbel(key, logits.shape, logits.dtype), count)[1]
