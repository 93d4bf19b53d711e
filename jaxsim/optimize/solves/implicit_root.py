"""Linear systems of square problems, differentiable, whose failures show."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .linear_choice import AbstractLinearChoice, AbstractPrepared
from .solved import OnFailure
from .varying import alike

Function = Callable[[jax.Array], jax.Array]


class Square(NamedTuple):
    """A function from flat unknowns to as many numbers, the same one with nothing in it that has a gradient, and the
    way back from flat unknowns to a pytree."""

    function: Function
    frozen: Function
    unravel: Callable[[jax.Array], Any]

    def prepared(self, linear: AbstractLinearChoice, unknowns: jax.Array) -> AbstractPrepared:
        """The linear system of the Jacobian, without gradient."""
        _, matvec = jax.linearize(self.frozen, lax.stop_gradient(unknowns))
        return linear.prepare(matvec, lax.stop_gradient(unknowns), self.unravel)


def square_solve(function: Function, unknowns: jax.Array, right: jax.Array, prepared: AbstractPrepared, *,
                 fine: jax.Array | bool = True, raising: bool = False, guess: jax.Array | None = None,
                 name: str = "root") -> jax.Array:  # fmt: skip
    """The $x$ with $J x = b$ for the Jacobian of a function, differentiable in everything but `prepared`.

    **Arguments:**

    - `function`, `unknowns`: where $J$ is taken.
    - `right`: $b$.
    - `prepared`: solves it.
    - `fine`: whether the answer counts; otherwise zero, and no failure.
    - `raising`: whether a system that was not solved raises; otherwise its answer is NaN.
    - `guess`: of the transposed solve.
    """

    def checked(found, b):
        value, solved = found
        nothing = jnp.all(b == 0)  # as for an instance that does not count; singular systems have that solution too
        value, solved = jnp.where(nothing | ~jnp.asarray(fine), 0, value), solved | nothing
        if raising:
            message = (f"{name}: the linear system of a derivative was not solved: the Jacobian is singular, or "
                       "`linear` needs more steps, a larger tolerance or a better preconditioner.")  # fmt: skip
            return eqx.error_if(value, ~solved & fine, message)
        return jnp.where(solved | ~jnp.asarray(fine), value, jnp.nan)

    # Derivatives of a preconditioner are none: it changes how a system is solved and not its solution.
    matvec = lambda x: jax.jvp(function, (unknowns,), (x,))[1]
    solve = lambda _, b: alike(checked(prepared.solve(b), b), b)
    transposed = lambda _, b: alike(checked(prepared.solve_transposed(b, guess), b), b)
    return lax.custom_linear_solve(matvec, alike(right, unknowns), solve, transposed)


def root_change(function: Callable[[Any, jax.Array], jax.Array], arrays: Any, moved: Any, unknowns: jax.Array,
                prepared: AbstractPrepared, fine: jax.Array, on_failure: OnFailure, guess: jax.Array | None,
                name: str) -> jax.Array:  # fmt: skip
    """How a root changes with the arrays of its function, $\\dot y = -(\\partial_y F)^{-1} \\dot F$.

    Of the function as it is given: a preconditioner enters the linear solve alone, and so do its errors.
    """
    moved = jax.tree.map(lambda leaf: jnp.where(fine, leaf, 0), moved)
    _, value_moved = jax.jvp(lambda arrays: function(arrays, unknowns), (arrays,), (moved,))
    change = square_solve(lambda y: function(arrays, y), unknowns, -value_moved, prepared, fine=fine,
                          raising=on_failure is OnFailure.RAISE, guess=guess, name=name)  # fmt: skip
    return jnp.where(fine, change, 0)
