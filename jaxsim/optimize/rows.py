"""Residuals of many samples, as the rows of a least-squares problem."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax


class Rows(eqx.Module):
    """A block of a least-squares loss, $L = \\frac{c}{n} \\sum_i w_i |r(\\theta, s_i)|^2$.

    **Arguments:**

    - `function`: $r(\\theta, s)$, a function of the model and of one sample that returns an array of any shape.
    - `samples`: a pytree of arrays with a leading axis of $n$ samples.
    - `weight`: $w$, a number or one for each sample: what causality or importance make of the samples.
    - `factor`: $c$, a number: what balances this block against others.

    No gradient passes through either.
    """

    function: Callable[..., jax.Array]
    samples: Any
    weight: Any = 1.0
    factor: Any = 1.0

    @property
    def count(self) -> int:
        """Number of samples."""
        return jax.tree.leaves(self.samples)[0].shape[0]

    def scales(self, dtype) -> jax.Array:
        """$\\sqrt{c w_i / n}$, shape `(n,)`."""
        weight = lax.stop_gradient(jnp.asarray(self.weight, dtype) * jnp.asarray(self.factor, dtype))
        return jnp.sqrt(jnp.broadcast_to(weight, (self.count,)) / self.count)

    def values(self, model: Any) -> jax.Array:
        """Residuals without weights, shape `(n, *shape of one)`."""
        return jax.vmap(lambda sample: self.function(model, sample))(self.samples)

    def loss(self, model: Any) -> jax.Array:
        """The block's loss, a scalar."""
        rows = self.values(model)
        squares = jnp.sum(jnp.abs(rows.reshape(len(rows), -1)) ** 2, 1)
        return jnp.sum(self.scales(squares.dtype) ** 2 * squares)


def total_loss(blocks: Sequence[Rows], model: Any) -> jax.Array:
    """The sum of the blocks' losses."""
    return sum((block.loss(model) for block in blocks[1:]), blocks[0].loss(model))
