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

    def settled(self) -> "Rows":
        """The same block with arrays for all weights, as a compiled loop carries them.

        **Raises:** `ValueError` where samples have different leading axes, or weights do not fit.
        """
        arrays = [jnp.asarray(leaf) for leaf in jax.tree.leaves(self.samples)]
        if not arrays or len({a.shape[:1] for a in arrays}) != 1 or arrays[0].ndim == 0:
            raise ValueError("Rows: samples are arrays with one leading axis of the same length; got shapes "
                             f"{[a.shape for a in arrays]}.")  # fmt: skip
        dtype = jnp.result_type(float, *[a for a in arrays if jnp.issubdtype(a.dtype, jnp.inexact)])
        if jnp.shape(self.weight) not in ((), (self.count,)) or jnp.shape(self.factor) != ():
            raise ValueError(f"Rows: `weight` is a number or one for each of {self.count} samples, and `factor` a "
                             f"number; got shapes {jnp.shape(self.weight)} and {jnp.shape(self.factor)}.")  # fmt: skip
        weight = jnp.broadcast_to(jnp.asarray(self.weight, dtype), (self.count,))
        samples = jax.tree.map(jnp.asarray, self.samples)
        return Rows(self.function, samples, weight, jnp.asarray(self.factor, dtype))

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
