"""Fixed points, differentiated by the implicit function theorem."""

from collections.abc import Callable
from typing import Any

from ...linear import FGMRES
from ._square_solve import solve_square
from .adjoint import AbstractAdjoint
from .anderson import Anderson
from .linear_choice import LU, Krylov
from .picard import Picard
from .solved import OnFailure, Solved

FEW = 256


def fixed_point(map: Callable[[Any, Any], Any], guess: Any, parameters: Any = None, *,
                method: Picard | Anderson | None = None, adjoint: AbstractAdjoint | None = None,
                on_failure: OnFailure = OnFailure.RAISE) -> Solved:  # fmt: skip
    """The $y$ with $y = f(y, \\theta)$, and its derivatives in $\\theta$,

    $$\\dot y = (I - \\partial_y f)^{-1} \\partial_\\theta f \\, \\dot\\theta,$$

    in every mode and with the guarantees of `root`.

    **Arguments:**

    - `map`: $f$, of the unknowns and the parameters; it returns a pytree like the unknowns.
    - `guess`: a pytree of real arrays like the unknowns; it has no gradient.
    - `parameters`: $\\theta$, any pytree. Arrays that `map` closes over are differentiated too.
    - `method`: `Anderson()` by default, or `Picard()`.
    - `adjoint`: how it is differentiated, `Implicit()` by default, with `LU()` for up to 256 unknowns and
        `Krylov(FGMRES())` with a tolerance of 1e-10 (1e-5 in single precision) for more. `OneStep()` is one more
        application of the map, whose derivative is wrong by its rate of convergence.
    - `on_failure`: what becomes of an instance that did not converge.

    **Returns:** a `Solved`; `residual` has the norm of each leaf of $y - f(y)$, and `condition` is that of
    $I - \\partial_y f$ in the 1-norm where a matrix is made.

    **Raises:** as `root`.

    Reference: Bai, Kolter and Koltun, Deep equilibrium models, NeurIPS 2019, theorem 1.
    """
    method = Anderson() if method is None else method

    def linear(count, dtype):
        return LU() if count <= FEW else Krylov(FGMRES(1e-10 if dtype.itemsize == 8 else 1e-5))

    return solve_square(map, guess, parameters, method, linear, adjoint, on_failure, lambda y, value: y - value,
                        "fixed_point")  # fmt: skip
