"""What every way to train has in common."""

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx

from .rows import Rows


class AbstractMethod(eqx.Module):
    """A way to lower a loss made of blocks, by pure steps.

    Its state has an attribute `loss`, of the model that the last step returned or, with `FirstOrder`, began with.
    Parameters are those that `partition` finds.
    """

    @abc.abstractmethod
    def init(self, blocks: Sequence[Rows], model: Any) -> Any:
        """The state before the first step.

        **Raises:** an equinox run-time error where the loss is not finite.
        """

    @abc.abstractmethod
    def step(self, blocks: Sequence[Rows], model: Any, state: Any) -> tuple[Any, Any]:
        """One step: the model after it, and the state."""

    def refresh(self, blocks: Sequence[Rows], model: Any, state: Any) -> Any:
        """The state once samples or weights have changed between steps; what is remembered of the loss is made new."""
        return state
