"""A curriculum in time: residuals count up to a time that moves on during the training."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..optimize import AbstractBlockRule, Rows, times_of


class Horizon(AbstractBlockRule):
    """Weights of a block's samples: 1 up to a time, 0 after it.

    **Arguments:**

    - `end`: the time as a function of the step, such as a schedule of optax.
    - `block`: number of the block; the first entry of its samples is the time.
    - `every`: steps between new weights.

    A curriculum in a parameter of the equation needs no rule: parameters are arrays, so training again with another
    value, from the model of the last one, compiles nothing anew.

    Reference: Krishnapriyan, Gholami, Zhe, Kirby and Mahoney, Characterizing possible failure modes in physics-informed
    neural networks, NeurIPS 2021 (arXiv 2109.01050), section 5.
    """

    end: Callable = eqx.field(static=True)
    block: int = eqx.field(static=True, default=0)
    every: int = eqx.field(static=True, default=1)
    random: ClassVar[bool] = False

    def changed(self, block: Rows, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> Rows:
        """The block with new weights."""
        reached = times_of(block, "Horizon") <= self.end(step)
        return dataclasses.replace(block, weight=reached.astype(jnp.asarray(block.weight).dtype))
