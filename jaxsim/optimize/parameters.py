"""What of a model is trained."""

from typing import Any

import equinox as eqx
import jax
from jax import lax


class Frozen(eqx.Module):
    """Something with arrays that no method of `jaxsim.optimize` changes.

    Calling it calls what it holds, without a gradient with respect to its arrays.

    **Arguments:**

    - `value`: a pytree: an array, or a model that has been trained before.
    """

    value: Any

    def __call__(self, *arguments):
        return self.thawed()(*arguments)

    def thawed(self) -> Any:
        """The value, whose arrays pass no gradient."""
        arrays, rest = eqx.partition(self.value, eqx.is_inexact_array)
        return eqx.combine(jax.tree.map(lax.stop_gradient, arrays), rest)


def partition(model: Any) -> tuple[Any, Any]:
    """A model's parameters, its floating-point arrays outside `Frozen`, and the rest of it."""
    return eqx.partition(model, eqx.is_inexact_array, is_leaf=_is_frozen)


def combine(parameters: Any, rest: Any) -> Any:
    """The model made of what `partition` returned."""
    return eqx.combine(parameters, rest, is_leaf=_is_frozen)


def _is_frozen(node) -> bool:
    return isinstance(node, Frozen)
