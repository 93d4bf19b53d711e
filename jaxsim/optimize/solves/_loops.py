"""The two loops of a solve: one that ends by itself, and one of fixed length that can be differentiated."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .adjoint import Unrolled


def until_done(going: Callable[[Any], jax.Array], step: Callable[[Any], Any], state: Any) -> Any:
    """Steps while `going(state)`."""
    return lax.while_loop(lambda state: going(state), step, state)  # a bound method of arrays has no hash


def scanned(going: Callable[[Any], jax.Array], step: Callable[[Any], Any], state: Any, adjoint: Unrolled) -> Any:
    """`adjoint.steps` steps, of which those after the end change nothing."""

    def masked(state, _):
        more, ahead = going(state), step(state)
        return jax.tree.map(lambda new, old: jnp.where(more, new, old), ahead, state), None

    return lax.scan(jax.checkpoint(masked) if adjoint.checkpoint else masked, state, length=adjoint.steps)[0]
