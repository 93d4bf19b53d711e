"""Time steps that end with a projection, so that a long run conserves exactly."""

import dataclasses
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx

from ...equations import Equation, constrained_state
from ...integrate.wrapped import AbstractTransparentSolver
from ...optimize import OnFailure

State = Any  # a Field, or a pytree of Fields


class Keeping(Equation):
    """An equation whose runs begin and whose steps end with a projection: they keep what it keeps, to rounding.

    For every solver of `js.rollout` and `js.solve`. The order of the solver stays where the exact solution has what is
    kept, since the change is then no larger than the error of a step. It cures drift and nothing else: a scheme that
    is unstable stays inaccurate, and no longer blows up to say so.

    ```python
    keep = IntegralProjection(quadratic=lambda u: js.inner(u, u)).of(u0)
    u = js.rollout(Keeping(js.equations.KortewegDeVries(), keep), u0, dt=1e-3, steps=100_000)
    ```

    **Arguments:**

    - `equation`: any evolution equation. Its own constraint, if it has one, is met before the projection.
    - `projection`: maps a state to one like it, with values that it is complete with (`projection.of(u0)`).

    A state that cannot be projected becomes one that is not finite, and ends the run like any other such:
    `js.rollout` raises `Diverged`, and `js.march` says when.

    Reference: Hairer, Lubich and Wanner, Geometric Numerical Integration (2006), section IV.4, algorithm 4.2.
    """

    equation: Equation
    projection: Callable

    def __check_init__(self):
        if not isinstance(self.equation, Equation):
            raise TypeError(f"Keeping: `equation` must be a js.Equation, got {type(self.equation).__name__}.")
        require_complete(self.projection, "Keeping")

    def linear(self, u: State) -> State:
        return self.equation.linear(u)

    def nonlinear(self, t, u: State) -> State:
        return self.equation.nonlinear(t, u)

    def right_hand_side(self, t, u: State) -> State:
        return self.equation.right_hand_side(t, u)

    def residual(self, t, u: State) -> State:
        return self.equation.residual(t, u)

    def tangent(self, rate: State) -> State:
        return self.equation.tangent(rate)

    def signal_speeds(self, t, u: State):
        return self.equation.signal_speeds(t, u)

    def check(self, u: State) -> None:
        self.equation.check(u)

    def constrain(self, u: State) -> State:
        admissible = constrained_state(self.equation, u)
        return quiet(self.projection)(u if admissible is None else admissible)


class ProjectedSteps(AbstractTransparentSolver):
    """A diffrax solver whose steps end with a projection, for runs on arrays: `diffrax.diffeqsolve` with any terms.

    Stages within a step, and the first slope of the next one where a solver keeps it, stay as they are. What is
    interpolated inside a step, dense output and `SaveAt(ts=...)`, is the solver's own and not projected.

    **Arguments:**

    - `solver`: any diffrax solver.
    - `projection`: maps a state to one like it, complete with values. Its `on_failure` holds at every step.

    For fields, wrap the equation in `Keeping`.
    """

    solver: dfx.AbstractSolver
    projection: Callable

    def __check_init__(self):
        require_complete(self.projection, "ProjectedSteps")

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        y1, error, dense, state, result = self.solver.step(terms, t0, t1, y0, args, solver_state, made_jump)
        y1 = self.projection(y1)
        return y1, error, {**dense, "y1": y1} if "y1" in dense else dense, state, result


def require_complete(projection: Any, name: str) -> None:
    """Raise unless a projection can be called with a state alone."""
    if not callable(projection):
        raise TypeError(f"{name}: `projection` must be callable, got {type(projection).__name__}.")
    if not getattr(projection, "complete", True):
        raise ValueError(f"{name}: the projection has no values to keep. Take those of a state: projection.of(u0).")


def quiet(projection: Callable) -> Callable:
    """A projection whose failures are not finite numbers instead of errors."""
    if not isinstance(projection, eqx.Module) or getattr(projection, "on_failure", None) is not OnFailure.RAISE:
        return projection
    return dataclasses.replace(projection, on_failure=OnFailure.NAN)
