"""A loss as a function of one vector."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from .parameters import combine, partition
from .rows import Rows, total_loss


def flattened(model: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """A model's parameters as one vector, and the model of such a vector."""
    parameters, rest = partition(model)
    flat, unravel = ravel_pytree(parameters)
    return flat, lambda flat: combine(unravel(flat), rest)


def vector_loss(blocks: Sequence[Rows], model_of: Callable[[jax.Array], Any]) -> Callable[[jax.Array], jax.Array]:
    """The loss of a vector of parameters, in its precision."""
    return lambda flat: total_loss(blocks, model_of(flat)).astype(flat.dtype)


def finite_loss(blocks: Sequence[Rows], model: Any, method: str) -> jax.Array:
    """The loss that a method begins with.

    **Raises:** an equinox run-time error where it is not finite, a `ValueError` where nothing is to be
    trained, and a `TypeError` for complex parameters.
    """
    parameters = jax.tree.leaves(partition(model)[0])
    if not parameters:
        raise ValueError(f"{method}: the model has no floating-point array outside `Frozen`, so nothing to train.")
    if any(jnp.iscomplexobj(leaf) for leaf in parameters):
        raise TypeError(f"{method}: parameters must be real. Keep the two parts of complex ones as two arrays.")
    loss = total_loss(blocks, model)
    return eqx.error_if(loss, ~jnp.isfinite(loss), f"{method}: the loss is not finite to begin with. "
                        "Check the samples and the model's first parameters.")  # fmt: skip
