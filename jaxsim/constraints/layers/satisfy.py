"""Weights of a dictionary for which equations and conditions hold."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import AbstractAdjoint, Direct, GaussNewton, OnFailure, Rows, Solved, least_squares
from ...spaces import Expansion
from .features import Features, features

Parameters = tuple[dict[str, Features], jax.Array | None]


def satisfy(functions: Callable, blocks: Mapping[str, Rows], guess: jax.Array | None = None, *,
            offset: Callable | None = None, ridge: float | jax.Array = 0.0, method: GaussNewton | Direct | None = None,
            adjoint: AbstractAdjoint | None = None, on_failure: OnFailure = OnFailure.RAISE) -> Solved:  # fmt: skip
    """The field of a dictionary that satisfies an equation and its conditions best.

    $$\\min_w \\sum_{\\mathrm{blocks}} \\frac{c}{n} \\sum_s \\omega_s |r_s(u_w)|^2 + \\epsilon^2 |w|^2,
    \\qquad u_w = u_0 + \\sum_{i=1}^N w_i b_i$$

    What the rows ask of the functions, such as second derivatives, is computed once: a step of the solver is small
    dense algebra. Where all rows are affine in the field there is one least-squares solve.

    **Arguments:**

    - `functions`: $b$, a callable of `(t, x, ...)` with values of shape `(N, *components)`, such as a network.
    - `blocks`: rows $r_s(u)$ by name, functions of the field and of a sample: `jaxsim.pinn.collocation` makes those of
        any equation, and `Rows(lambda u, s: u(0.0, s[0]) - s[1], (x, u0), weight=400.0)` are initial values. They look
        at the field by calling it, or through derivatives of jaxsim, `js.partial(js.Function(u), 0)(t, x)`.
    - `guess`: weights to begin with, shape `(N,)`; zeros by default. No gradient passes through it.
    - `offset`: $u_0$, a callable of `(t, x, ...)`: with functions that vanish at $t_0$, the initial values.
    - `ridge`: $\\epsilon$, 0 by default. Where weights are not determined the shortest are taken.
    - `method`, `adjoint`, `on_failure`: those of `jaxsim.optimize.least_squares`.

    **Returns:** a `Solved`. Its `value` is an `Expansion`, a callable of `(t, x, ...)`; its `residual` has the norm of
    each block with weights. It is differentiable with respect to everything that `functions`, `offset` and `blocks`
    hold: networks, parameters of equations, data and points. All is computed in the highest precision that is enabled.

    !!! example

        ```python
        blocks = {
            "interior": collocation(js.equations.Burgers(0.01), points),
            "initial": Rows(lambda u, s: u(0.0, s[0]) - s[1], (x, u0), weight=400.0),
            "periodic": Rows(lambda u, t: u(t, 0.0) - u(t, 1.0), times),
        }
        solved = satisfy(network, blocks)
        solved.value(0.5, 0.25), solved.status, solved.condition
        ```

    Reference: Négiar, Mahoney and Krishnapriyan, ICLR 2023 (arXiv 2207.08675), section 3.
    """
    named = {name: _settled(name, block) for name, block in blocks.items()}
    tables = _wide({name: features(functions, offset, block) for name, block in named.items()})
    count = next(iter(tables.values())).count
    dtype = jnp.result_type(float)
    guess = jnp.zeros(count, dtype) if guess is None else jnp.asarray(guess, dtype)
    if guess.shape != (count,):
        raise ValueError(f"satisfy: `guess` has a weight for each of {count} functions; got shape {guess.shape}.")
    solved = least_squares(_rows, guess, (tables, _small(ridge, dtype)), method=method, adjoint=adjoint,
                           on_failure=on_failure, jacobian=_jacobian)  # fmt: skip
    return eqx.tree_at(lambda s: s.value, solved, Expansion(functions, solved.value, offset))


def _small(ridge: Any, dtype: Any) -> jax.Array | None:
    """The ridge as an array, and none where it is the number zero."""
    return None if isinstance(ridge, (int, float)) and ridge == 0 else jnp.asarray(ridge, dtype)


def _rows(weights: jax.Array, parameters: Parameters) -> dict[str, jax.Array]:
    tables, ridge = parameters
    rows = {name: _scaled(table, table.values(weights)) for name, table in tables.items()}
    return rows if ridge is None else rows | {"ridge": ridge * weights}


def _jacobian(weights: jax.Array, parameters: Parameters) -> dict[str, jax.Array]:
    tables, ridge = parameters
    slopes = {name: _scaled(table, table.jacobian(weights)) for name, table in tables.items()}
    return slopes if ridge is None else slopes | {"ridge": ridge * jnp.eye(weights.size, dtype=weights.dtype)}


def _scaled(table: Features, values: jax.Array) -> jax.Array:
    scales = table.block.scales(values.dtype)
    return values * scales.reshape(-1, *([1] * (values.ndim - 1)))


def _settled(name: str, block: Any) -> Rows:
    if not isinstance(block, Rows):
        raise TypeError(f"satisfy: block {name!r} is no jaxsim.optimize.Rows but {type(block).__name__}.")
    return block.settled()


def _wide(tree: Any) -> Any:
    """All real numbers of arrays in the highest precision that is enabled: the condition number is often large."""
    widen = lambda leaf: leaf.astype(jnp.result_type(float)) if eqx.is_inexact_array(leaf) else leaf
    return jax.tree.map(widen, tree)
