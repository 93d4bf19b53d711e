"""Functions of flat unknowns that name all they close over."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from ...norms import norm
from .varying import alike, inside_shard_map


def flat_guess(guess: Any, name: str) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """A guess as one real array without gradient, and the way back.

    **Raises:** `TypeError` for anything but a pytree of real arrays.
    """
    flat, unravel = ravel_pytree(lax.stop_gradient(guess))
    if not jnp.issubdtype(flat.dtype, jnp.floating) or flat.size == 0:
        raise TypeError(f"{name}: the guess is a pytree of real arrays, got {eqx.tree_pformat(guess)}. For complex "
                        "unknowns give their real and imaginary parts.")  # fmt: skip
    return flat, unravel


def with_arrays(parameters: Any, *others: Any) -> Any:
    """Parameters whose numbers that are being differentiated are arrays, also where they began as Python's; inside
    `jax.shard_map` all vary alike and as others do, since a failed instance also stops tangents of what is shared."""
    return alike(_as_arrays(parameters), *others)


def _as_arrays(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf) if eqx.is_array(leaf) else leaf, tree)


def closed(functions: list[Callable | None], flat: jax.Array, parameters: Any) -> tuple[list, jax.Array]:
    """Functions of the flat unknowns and of the parameters as pytrees of all that they close over; and the unknowns,
    marked inside `jax.shard_map` as varying like the rest."""
    convert = lambda f: None if f is None else _as_arrays(eqx.filter_closure_convert(f, flat, parameters))
    found = [convert(f) for f in functions]
    if not inside_shard_map():
        return found, flat
    flat = alike(flat, found, parameters)  # what they close over is only known now
    return [convert(f) for f in functions], flat


def real_shapes(function: Callable, arguments: tuple, name: str, what: str) -> Any:
    """Shapes of what a function returns.

    **Raises:** `TypeError` where that is complex or empty.
    """
    shapes = eqx.filter_eval_shape(function, *arguments)
    leaves = jax.tree.leaves(shapes)
    if any(not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves) or not sum(leaf.size for leaf in leaves):
        raise TypeError(f"{name}: the {what} must be real and not empty. Return real and imaginary parts of complex "
                        f"numbers; got {eqx.tree_pformat(shapes)}.")  # fmt: skip
    return shapes


def block_norms(flat: jax.Array, shapes: Any) -> Any:
    """The norm of each leaf of a flat vector."""
    leaves, structure = jax.tree.flatten(shapes)
    ends = [sum(leaf.size for leaf in leaves[: i + 1]) for i in range(len(leaves))]
    pieces = [flat[end - leaf.size : end] for leaf, end in zip(leaves, ends, strict=True)]
    return jax.tree.unflatten(structure, [norm(piece) for piece in pieces])


def constant(tree: Any) -> Any:
    """A pytree whose arrays have no gradient."""
    arrays, rest = eqx.partition(tree, eqx.is_array)
    return eqx.combine(lax.stop_gradient(arrays), rest)


def without_tangent(tree: Any) -> Any:
    """Tangents of what has none."""
    return jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_inexact_array(leaf) else None, tree)
