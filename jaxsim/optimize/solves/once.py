"""Numbers that have a first derivative and no second one."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .varying import alike


def once(tree: Any, message: str) -> Any:
    """A pytree whose second derivatives raise a `TypeError`, for rules that would get them silently wrong."""

    @jax.custom_jvp
    def one(x):
        return jnp.ones_like(x)

    @one.defjvp
    def _(primals, tangents):
        raise TypeError(message)

    @jax.custom_jvp
    def same(x):
        return x

    @same.defjvp
    def _(primals, tangents):
        (x,), (moved,) = primals, tangents
        # The derivative of a linear solve asks for that of its matrix, in every mode; a rule alone would be dropped.
        back = lambda _, b: alike(b, x)
        return same(x), lax.custom_linear_solve(lambda b: one(x) * b, alike(moved, x), back, back)

    return jax.tree.map(lambda leaf: same(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)


def only_first(problem: Any, steps: int, name: str) -> Any:
    """A problem whose solution is differentiated through so many steps from a constant one."""
    if steps > 1:
        return problem
    return once(problem, f"{name}: Truncated(1) and OneStep() have no second derivatives, since the solution that "
                "the step begins at counts as constant. Use Implicit(), or more steps.")  # fmt: skip
