"""What of a model is trained."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
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


def frozen(value: Any) -> Any:
    """Arrays inside `Frozen`; Python numbers, callables and `Frozen` as they are."""
    return Frozen(value) if eqx.is_array_like(value) and not isinstance(value, (bool, int, float)) else value


def number(value: Any, like: jax.Array) -> jax.Array:
    """A number or array that may be `Frozen`, in the precision of another; no gradient passes through a frozen one."""
    return jnp.asarray(value.thawed() if isinstance(value, Frozen) else value, jnp.result_type(float, like))


def partition(model: Any) -> tuple[Any, Any]:
    """A model's parameters, its floating-point arrays outside `Frozen`, and the rest of it."""
    return eqx.partition(model, eqx.is_inexact_array, is_leaf=_is_frozen)


def combine(parameters: Any, rest: Any) -> Any:
    """The model made of what `partition` returned."""
    return eqx.combine(parameters, rest, is_leaf=_is_frozen)


def _is_frozen(node) -> bool:
    return isinstance(node, Frozen)
