"""States of any kind as pytrees of nodal arrays, with the weights of an integral over them."""

from typing import Any

import jax
import jax.numpy as jnp

from ..equations import is_field
from ..field import Field
from .quadrature import Quadrature

State = Any  # a Field, an array, or a pytree of them


def nodal(state: State) -> Any:
    """Nodal values of every field, and arrays as they are."""

    def of(node):
        if is_field(node):
            return jax.tree.map(lambda part: part.values, node.space.split(node), is_leaf=is_field)
        node = jnp.asarray(node)
        return node if jnp.issubdtype(node.dtype, jnp.inexact) else node.astype(jnp.result_type(float))

    return jax.tree.map(of, state, is_leaf=is_field)


def rebuilt(state: State, values: Any) -> State:
    """The state with other nodal values, on the same spaces and with the same conditions at walls."""

    def of(node, new):
        if not is_field(node):
            return new
        parts = jax.tree.map(lambda part, v: part.space.field(v), node.space.split(node), new, is_leaf=is_field)
        return node.space.join(parts)

    return jax.tree.map(of, state, values, is_leaf=is_field)


def weights(state: State, quadrature: Quadrature | None, name: str) -> Any:
    """Weights of the nodes like `nodal(state)`, without axes of components.

    **Raises:** `ValueError` for plain arrays without a quadrature, or whose last axes do not have its shape.
    """

    def of(node):
        if is_field(node):
            return jax.tree.map(_of_space, node.space.split(node), is_leaf=is_field)
        if quadrature is None:
            raise ValueError(f"{name}: plain arrays need a `quadrature`, such as Quadrature.trapezoid(x) of the nodes' "
                             "coordinates; fields bring their own.")  # fmt: skip
        return quadrature.fitting(jnp.asarray(node), name)

    return jax.tree.map(of, state, is_leaf=is_field)


def _of_space(part: Field) -> jax.Array:
    """What the integral over a space makes of each node's value."""
    values = part.values
    shape = values.shape[len(part.shape) :]
    integral = lambda v: jnp.real(part.space.integral(part.space.field(v)))
    return jax.grad(integral)(jnp.zeros(shape, jnp.finfo(values.dtype).dtype))


def integrals_of(state: State, quadrature: Quadrature | None, name: str) -> Any:
    """The integral of every component of every field or array."""

    def of(node):
        if is_field(node):
            return node.space.integral(node)
        weight = weights(node, quadrature, name)
        return jnp.sum(weight * node, tuple(range(-weight.ndim, 0)))

    return jax.tree.map(of, state, is_leaf=is_field)


def real_vector(tree: Any) -> jax.Array:
    """All numbers of a pytree in one vector, complex ones as two."""
    parts = [jnp.ravel(jnp.asarray(leaf)) for leaf in jax.tree.leaves(tree)]
    pieces = [piece for part in parts for piece in ([part.real, part.imag] if jnp.iscomplexobj(part) else [part])]
    return jnp.concatenate(pieces) if pieces else jnp.zeros((0,))


def inner(a: Any, b: Any, weight: Any) -> jax.Array:
    """Real inner product of two pytrees of nodal arrays, with weights."""
    return total(jax.tree.map(lambda x, y, w: jnp.sum(w * jnp.real(jnp.conj(x) * y)), a, b, weight))


def total(tree: Any) -> jax.Array:
    """The sum of the leaves."""
    first, *rest = jax.tree.leaves(tree)
    return sum(rest, first)
