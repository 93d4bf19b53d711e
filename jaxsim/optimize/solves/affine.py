"""Whether a function is affine, read off its derivative."""

from collections.abc import Callable

import jax
from jax.interpreters import partial_eval


def is_affine(function: Callable[[jax.Array], jax.Array], at: jax.Array) -> bool:
    """Whether the derivative of a function does not use the point where it is taken.

    Read off the traced derivative without dead code, so nothing is computed. A function that is affine only by
    cancellation, such as $(1 + x)^2 - x^2$, counts as not affine.
    """
    tangent = lambda x, d: jax.jvp(function, (x,), (d,))[1]
    traced = jax.make_jaxpr(tangent)(at, at)
    _, used = partial_eval.dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
    return not used[0]
