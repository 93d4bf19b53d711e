"""Roots of square systems, differentiated by the implicit function theorem."""

from collections.abc import Callable
from typing import Any

from ._square_solve import solve_square
from .adjoint import AbstractAdjoint
from .newton import Newton
from .solved import OnFailure, Solved


def root(function: Callable[[Any, Any], Any], guess: Any, parameters: Any = None, *, method: Newton | None = None,
         adjoint: AbstractAdjoint | None = None, on_failure: OnFailure = OnFailure.RAISE) -> Solved:  # fmt: skip
    """The unknowns with $F(y, \\theta) = 0$, and their derivatives in $\\theta$,

    $$\\dot y = -(\\partial_y F)^{-1} \\partial_\\theta F \\, \\dot\\theta.$$

    Forward, reverse and second derivatives work, under `jit`, `vmap` and `shard_map`. A linear system of a derivative
    that is not solved, for a singular Jacobian or for want of Krylov steps, raises with `OnFailure.RAISE` and makes the
    derivative NaN otherwise.

    **Arguments:**

    - `function`: $F$, of the unknowns and the parameters; it returns a pytree of real arrays like the unknowns.
    - `guess`: a pytree of real arrays like the unknowns; it has no gradient.
    - `parameters`: $\\theta$, any pytree. Arrays that `function` closes over are differentiated too.
    - `method`: `Newton()` by default.
    - `adjoint`: how it is differentiated, `Implicit()` by default, which solves linear systems as the method does.
    - `on_failure`: what becomes of an instance that did not converge.

    **Returns:** a `Solved`; `residual` has the norm of each leaf of $F$, `condition` is that of the Jacobian in the
    1-norm where a matrix is made, and `rank` is `None`.

    **Raises:** `TypeError` or `ValueError` for unknowns that are not real or a function that does not return as many
    numbers, and an equinox run-time error where an instance fails, with `OnFailure.RAISE`.

    Reference: Blondel et al., Efficient and modular implicit differentiation, NeurIPS 2022, section 2.
    """
    method = Newton() if method is None else method
    equation = lambda unknowns, value: value
    return solve_square(function, guess, parameters, method, lambda *_: method.linear, adjoint, on_failure, equation,
                        "root")  # fmt: skip
