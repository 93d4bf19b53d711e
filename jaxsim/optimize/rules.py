"""What may change between the steps of a training."""

import abc
from typing import Any

import equinox as eqx
import jax

from .rows import Rows


class AbstractRule(eqx.Module):
    """Changes samples, weights or factors of blocks between steps, inside the compiled loop of `train`.

    - `every`: the rule is applied before step 0 and every so many steps.
    - `random`: whether it draws random numbers.
    """

    every: eqx.AbstractVar[int]
    random: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def __call__(self, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> list[Rows]:
        """The blocks as they are from now on, with the same shapes and types."""


class AbstractBlockRule(AbstractRule):
    """A rule that changes one block.

    - `block`: its number in the list that is trained.
    """

    block: eqx.AbstractVar[int]

    @abc.abstractmethod
    def changed(self, block: Rows, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> Rows:
        """The block as it is from now on, with the same shapes and types."""

    def __call__(self, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> list[Rows]:
        """The blocks, one of them changed."""
        if not -len(blocks) <= self.block < len(blocks):
            raise ValueError(f"{type(self).__name__}: there is no block {self.block} among {len(blocks)}.")
        blocks = list(blocks)
        blocks[self.block] = self.changed(blocks[self.block], blocks, model, step, key)
        return blocks


def times_of(block: Rows, name: str) -> jax.Array:
    """The times of a block's samples, the first entry of each; shape `(n,)`.

    **Raises:** a `TypeError` that names who asks, where samples are no array of points.
    """
    if not eqx.is_array(block.samples) or block.samples.ndim != 2:
        raise TypeError(f"{name}: samples must be points (t, x, ...), an array of shape (n, 1 + dimensions).")
    return block.samples[:, 0]
