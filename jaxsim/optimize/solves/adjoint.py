"""How a solve is differentiated."""

from typing import Any

import equinox as eqx


class AbstractAdjoint(eqx.Module):
    """A way to the derivatives of a solution in the parameters of its problem."""


class Implicit(AbstractAdjoint):
    """By the implicit function theorem, at the solution alone: exact, in memory that no number of steps enters.

    **Arguments:**

    - `curvature`: whether the second derivatives of the residual count, $S = \\sum_i r_i \\nabla^2 r_i$. Without them
        derivatives of a least-squares solution are right only where its residual vanishes.
    - `linear`: how `root` and `fixed_point` solve the linear system of the derivatives, `LU()` or a `Krylov(...)` with
        a tolerance and a preconditioner of its own; by default as in the method. `least_squares` has its factors.
    - `guess`: of the adjoint, a pytree like the unknowns, where `linear` is a `Krylov`; the adjoint is minus the
        gradient in something that is added to the residual.

    Reference: Blondel et al., Efficient and modular implicit differentiation, NeurIPS 2022.
    """

    curvature: bool = eqx.field(static=True, default=True)
    linear: Any = None
    guess: Any = None


class Truncated(AbstractAdjoint):
    """Through so many undamped steps that start from the solution, which itself counts as constant.

    One step costs least. Its error is that of the solution times how slowly the method converges there: nothing for
    Newton's method at a root, and for Gauss-Newton steps what `Implicit(curvature=False)` leaves out. That is for first
    derivatives: second ones raise a `TypeError` for one step, and need `Implicit`, or two steps of Newton's method.

    **Arguments:**

    - `steps`: how many, at least one.

    Reference: Bolte, Pauwels and Vaiter, One-step differentiation of iterative algorithms, NeurIPS 2023.
    """

    steps: int = eqx.field(static=True)

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(f"Truncated: `steps` is at least 1, got {self.steps}.")


def OneStep() -> Truncated:  # noqa: N802
    """`Truncated(1)`."""
    return Truncated(1)


class Unrolled(AbstractAdjoint):
    """Through every step of the method, damping and step lengths taken as given.

    For comparison, and for derivatives of a solve that is meant to stop early: memory grows with `steps`.

    **Arguments:**

    - `steps`: the length of the loop, a number known when it is compiled; the method may end before.
    - `checkpoint`: keep the iterates alone and take each step again in the backward pass.
    """

    steps: int = eqx.field(static=True)
    checkpoint: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(f"Unrolled: `steps` is at least 1, got {self.steps}.")
