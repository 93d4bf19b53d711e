"""SOAP: Adam in the eigenbasis of Shampoo."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from .product import product


class SOAPState(NamedTuple):
    """What SOAP remembers.

    - `count`: of gradients seen.
    - `mean`: of gradients, in the parameters' own basis.
    - `square`: mean of squared gradients, in the eigenbasis.
    - `covariances`: for each leaf those of its rows and of its columns, or `None` on a side without a basis.
    - `bases`: for each leaf their eigenvectors, likewise.
    """

    count: jax.Array
    mean: Any
    square: Any
    covariances: list[tuple[Any, Any]]
    bases: list[tuple[Any, Any]]


def soap(learning_rate: optax.ScalarOrSchedule, b1: float = 0.95, b2: float = 0.95, *, epsilon: float = 1e-8,
         frequency: int = 2, largest: int = 2048) -> optax.GradientTransformation:  # fmt: skip
    """Adam, run in the slowly turning eigenbasis of the covariances of a matrix's gradient.

    $L \\leftarrow \\beta_2 L + (1 - \\beta_2) G G^T$ and $R \\leftarrow \\beta_2 R + (1 - \\beta_2) G^T G$; Adam sees
    $Q_L^T G Q_R$, and its step is turned back. Every few steps each basis is brought up to date by one power
    iteration, $Q \\leftarrow \\mathrm{qr}(L Q)$. Leaves that are not matrices get Adam.

    **Arguments:**

    - `learning_rate`: a number or a schedule.
    - `b1`: of the mean of gradients.
    - `b2`: of the mean of squares and of the covariances.
    - `epsilon`: of Adam's denominator.
    - `frequency`: steps between updates of a basis.
    - `largest`: a side of a matrix that is longer keeps its own basis.

    The first gradient makes the first bases, by an eigendecomposition, and moves nothing.

    Reference: Vyas et al., SOAP: improving and stabilizing Shampoo using Adam, arXiv 2409.11321 (2024), algorithm 3.
    """
    if frequency < 1 or largest < 1:
        raise ValueError(f"soap: `frequency` and `largest` are at least 1, got {frequency} and {largest}.")
    if not (0 <= b1 < 1 and 0 <= b2 < 1):
        raise ValueError(f"soap: `b1` and `b2` lie in [0, 1), got {b1} and {b2}.")
    return optax.chain(_scale_by_soap(b1, b2, epsilon, frequency, largest), optax.scale_by_learning_rate(learning_rate))


def _scale_by_soap(b1, b2, epsilon, frequency, largest) -> optax.GradientTransformation:
    def init(parameters):
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        squares = [_covariances(leaf, largest) for leaf in jax.tree.leaves(zeros)]
        bases = jax.tree.map(lambda square: jnp.eye(len(square), dtype=square.dtype), squares)
        return SOAPState(jnp.zeros((), jnp.int32), zeros, zeros, squares, bases)

    def first(leaves, state):
        # This gradient makes the bases, so it must not be the first to be measured in them.
        covariances = [_covariances(leaf, largest) for leaf in leaves]
        bases = jax.tree.map(lambda square: jnp.linalg.eigh(square)[1][:, ::-1], covariances)
        covariances = jax.tree.map(lambda square: (1 - b2) * square, covariances)
        return jax.tree.map(jnp.zeros_like, leaves), state._replace(covariances=covariances, bases=bases)

    def later(leaves, state):
        average = lambda b: lambda old, new: b * old + (1 - b) * new
        mean = jax.tree.map(average(b1), state.mean, leaves)
        turned = [_turn(leaf, pair) for leaf, pair in zip(leaves, state.bases, strict=True)]
        square = jax.tree.map(lambda old, new: b2 * old + (1 - b2) * new**2, state.square, turned)

        def step(mean, square, pair):
            count = state.count.astype(mean.dtype)
            size = jnp.sqrt(square / (1 - b2**count)) + epsilon
            return _turn(_turn(mean, pair) / (1 - b1**count) / size, pair, back=True)

        steps = [step(*arguments) for arguments in zip(mean, square, state.bases, strict=True)]
        covariances = [_covariances(leaf, largest) for leaf in leaves]
        covariances = jax.tree.map(average(b2), state.covariances, covariances)
        bases, square = lax.cond(state.count % frequency == 0, _turned_bases, lambda _, *old: old,
                                 covariances, state.bases, square)  # fmt: skip
        return steps, SOAPState(state.count, mean, square, covariances, bases)

    def update(gradients, state, parameters=None):
        del parameters
        leaves, tree = jax.tree.flatten(gradients)
        flat = state._replace(mean=jax.tree.leaves(state.mean), square=jax.tree.leaves(state.square))
        steps, flat = lax.cond(state.count == 0, first, later, leaves, flat)
        whole = partial(jax.tree.unflatten, tree)
        state = flat._replace(count=flat.count + 1, mean=whole(flat.mean), square=whole(flat.square))
        return whole(steps), state

    return optax.GradientTransformation(init, update)


def _covariances(leaf, largest) -> tuple[Any, Any]:
    """Those of rows and columns; `None` for a side that has no basis."""
    if leaf.ndim != 2:
        return None, None
    rows, columns = leaf.shape
    return (product(leaf, leaf.T) if rows <= largest else None, product(leaf.T, leaf) if columns <= largest else None)


def _turn(leaf, pair, back: bool = False) -> jax.Array:
    """A leaf in its eigenbasis, or back from there."""
    left, right = pair
    if left is not None:
        leaf = product(left if back else left.T, leaf)
    if right is not None:
        leaf = product(leaf, right.T if back else right)
    return leaf


def _turned_bases(covariances, bases, squares) -> tuple[list, list]:
    """Bases after one power iteration, in the order of falling eigenvalues, and squares in the same order."""
    turned, ordered = [], []
    for pair, old, square in zip(covariances, bases, squares, strict=True):
        new = []
        for side, (covariance, basis) in enumerate(zip(pair, old, strict=True)):
            if basis is None:
                new.append(None)
                continue
            image = product(covariance, basis)
            order = jnp.argsort(-jnp.sum(basis * image, 0))
            new.append(jnp.linalg.qr(image[:, order])[0])
            square = jnp.take(square, order, axis=side)
        turned.append(tuple(new))
        ordered.append(square)
    return turned, ordered
