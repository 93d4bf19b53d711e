"""A start from the least-squares solution in those parameters that a problem is linear in."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..norms import norm
from ..optimize import Rows, scaled_rows


def linear_start(blocks: Sequence[Rows], model: Any, where: Callable[[Any], Any], rcond: float | None = None) -> Any:
    """The model with some of its arrays set to where the loss is least, all else unchanged.

    For rows that are affine in these arrays, $r = r_0 + J c$, which is so for the last layer of a network and a linear
    equation with linear conditions. It is the physics-informed initialization of a `PirateNet` by a linearized
    equation, the best start of a sum of `Gaussians`, and a method by itself for networks with random features.

    **Arguments:**

    - `blocks`: rows of the linear, or linearized, problem.
    - `model`: any pytree.
    - `where`: a function of the model that returns the arrays, as for `equinox.tree_at`.
    - `rcond`: singular values of $J$ below `rcond` times the largest are taken for zero; rounding times the larger size
        of the problem by default. More gives smaller numbers.

    **Raises:** an equinox run-time error where rows turn out not to be affine in the arrays.

    !!! example

        ```python
        start = linear_start(blocks, net, lambda net: (net.last.weight, net.last.bias))
        ```

    References: Wang, Li, Chen and Perdikaris, PirateNets, arXiv 2402.00326 (2024), section 4; Dong and Li, Comput.
    Methods Appl. Mech. Eng. 387, 114129 (2021), for random features.
    """
    flat, unravel = ravel_pytree(where(model))
    if not jnp.issubdtype(flat.dtype, jnp.floating):
        raise TypeError(f"linear_start: `where` returns real floating-point arrays of the model, got {flat.dtype}.")

    def rows_of(flat):
        return scaled_rows(blocks, eqx.tree_at(where, model, unravel(flat)), flat.dtype)

    rows, tangent = jax.linearize(rows_of, flat)
    matrix = jax.vmap(tangent)(jnp.eye(flat.size, dtype=flat.dtype)).T
    change = jnp.linalg.lstsq(matrix, -rows, rcond)[0]
    moved = rows_of(flat + change)
    size = norm(rows) + norm(jnp.abs(matrix) @ jnp.abs(flat + change))
    bent = ~(norm(moved - rows - matrix @ change) <= jnp.finfo(flat.dtype).eps ** 0.5 * size)
    flat = eqx.error_if(flat + change, bent, "linear_start: rows are not finite, or not affine in the arrays that "
                        "`where` picks. Take those of the last layer alone, and a linearized equation.")  # fmt: skip
    return eqx.tree_at(where, model, unravel(flat))
