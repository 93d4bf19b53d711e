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
