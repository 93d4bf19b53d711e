"""States of any kind as pytrees of nodal arrays, with the weights of an integral over them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ...equations import is_field
from ...field import Field
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
            return _own(node)
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


def flattened(state: State) -> tuple[jax.Array, Callable[[jax.Array], State], Callable[[jax.Array], Any]]:
    """All nodal values in one real vector, complex ones as two, and the ways back to a state and to nodal arrays."""
    values = nodal(state)
    leaves, structure = jax.tree.flatten(values)
    counts = [2 * leaf.size if jnp.iscomplexobj(leaf) else leaf.size for leaf in leaves]
    bounds = [sum(counts[:i]) for i in range(1, len(counts))]

    def arrays(vector):
        pieces = zip(leaves, jnp.split(vector, bounds))
        return jax.tree.unflatten(structure, [_shaped(leaf, piece) for leaf, piece in pieces])

    return real_vector(values), lambda vector: rebuilt(state, arrays(vector)), arrays


def _shaped(like, piece):
    if not jnp.iscomplexobj(like):
        return piece.reshape(like.shape).astype(like.dtype)
    real, imaginary = jnp.split(piece, 2)
    return lax.complex(real, imaginary).reshape(like.shape).astype(like.dtype)


def flat_weights(state: State, metric: Any, name: str) -> jax.Array:
    """Weights of the squares in a norm, like `flattened(state)`: a metric or, without one, the quadrature of fields.

    **Raises:** `ValueError` where a metric does not broadcast against the state.
    """
    values = nodal(state)
    if metric is None:
        weight = jax.tree.map(lambda node: _own(node) if is_field(node) else 1.0, state, is_leaf=is_field)
    elif isinstance(metric, Quadrature):
        weight = jax.tree.map(lambda v: metric.fitting(v, name), values)
    else:
        weight = jax.tree.map(lambda _: metric, values) if jax.tree_util.all_leaves([metric]) else metric
    try:
        return real_vector(jax.tree.map(_spread, weight, values))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: `metric` is a Quadrature, or positive weights that broadcast against the state; got "
                         f"{metric}.") from error  # fmt: skip


def _own(field: Field) -> Any:
    return jax.tree.map(_of_space, field.space.split(field), is_leaf=is_field)


def _spread(weight, like):
    """One weight for each real number of an array."""
    weight = jnp.broadcast_to(jnp.asarray(weight, jnp.finfo(like.dtype).dtype), like.shape)
    return lax.complex(weight, weight) if jnp.iscomplexobj(like) else weight


def total(tree: Any) -> jax.Array:
    """The sum of the leaves."""
    first, *rest = jax.tree.leaves(tree)
    return sum(rest, first)


def flat_like(state: State, bounds: Any, name: str) -> jax.Array:
    """Numbers that broadcast against the state, like `flattened(state)`; the same for both parts of complex ones.

    **Raises:** `ValueError` where they do not.
    """
    values = nodal(state)
    one = jax.tree_util.all_leaves([bounds])
    try:
        return real_vector(jax.tree.map(_spread, jax.tree.map(lambda _: bounds, values) if one else bounds, values))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}: bounds broadcast against the state; got {bounds}.") from error
