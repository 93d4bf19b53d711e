"""Solving a differential equation together with a penalty on the cost of solving it."""

import abc
import dataclasses
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

WHOLE_STATE = dfx.SubSaveAt(t1=True).fn  # the only function to save by that BacksolveAdjoint takes


class Problem(eqx.Module):
    """The arguments of a `diffrax.diffeqsolve`, and a key for a regularizer that draws random numbers."""

    terms: Any
    solver: dfx.AbstractSolver
    t0: Any
    t1: Any
    dt0: Any
    y0: Any
    args: Any
    stepsize_controller: dfx.AbstractStepSizeController
    saveat: dfx.SaveAt
    adjoint: dfx.AbstractAdjoint
    max_steps: int | None
    throw: bool
    key: jax.Array | None

    def solve(self, **changes) -> dfx.Solution:
        """The solution, with some arguments changed."""
        it = dataclasses.replace(self, **changes)
        return dfx.diffeqsolve(it.terms, it.solver, it.t0, it.t1, it.dt0, it.y0, args=it.args, saveat=it.saveat,
                               stepsize_controller=it.stepsize_controller, adjoint=it.adjoint,
                               max_steps=it.max_steps, throw=it.throw)  # fmt: skip

    @property
    def precision(self):
        """The real data type of the state."""
        return jnp.finfo(jnp.result_type(*jax.tree.leaves(self.y0))).dtype

    @property
    def controller(self) -> dfx.PIDController:
        """The controller that knows the tolerances."""
        controller = innermost_controller(self.stepsize_controller)
        if not isinstance(controller, dfx.PIDController):
            raise ValueError(
                f"regularized_solve: {type(controller).__name__} has no tolerances to scale errors by: use a "
                "diffrax.PIDController, or one inside a diffrax.ClipStepSizeController."
            )
        return controller

    def random_key(self, regularizer: "AbstractRegularizer") -> jax.Array:
        """The key, which `regularizer` cannot do without."""
        if self.key is None:
            raise ValueError(f"regularized_solve: {type(regularizer).__name__} draws random times: give a `key`.")
        return self.key

    def solve_with_states(self, regularizer: "AbstractRegularizer", times) -> tuple[dfx.Solution, Any]:
        """The solution as asked for, and the states at further times, by a single solve that any adjoint takes."""
        sub = self.saveat.subs
        simple = isinstance(sub, dfx.SubSaveAt) and not (sub.t0 or sub.steps or self.saveat.dense)
        if not simple or (sub.ts is not None and sub.t1):
            raise ValueError(f"regularized_solve: {type(regularizer).__name__} takes SaveAt(t1=True) or "
                             "SaveAt(ts=...); LocalError(accepted=True) takes any.")  # fmt: skip
        own = jnp.asarray([self.t1] if sub.ts is None else sub.ts, times.dtype)
        every = jnp.concatenate([own, times])
        order = jnp.argsort(every * jnp.where(jnp.asarray(self.t1) >= self.t0, 1, -1))
        place = jnp.argsort(order)
        both = {} if sub.fn is WHOLE_STATE else {"fn": lambda t, y, args: (sub.fn(t, y, args), y)}
        saveat = dfx.SaveAt(ts=every[order], solver_state=self.saveat.solver_state, made_jump=self.saveat.made_jump,
                            controller_state=self.saveat.controller_state, **both)  # fmt: skip
        solution = self.solve(saveat=saveat)
        wanted, states = solution.ys if both else (solution.ys, solution.ys)
        pick = lambda tree, where: jax.tree.map(lambda a: a[where], tree)
        here, there = place[: len(own)], place[len(own) :]
        found = solution.ts[here], pick(wanted, here)
        return eqx.tree_at(lambda s: (s.ts, s.ys), solution, found), pick(states, there)


def innermost_controller(controller: dfx.AbstractStepSizeController) -> dfx.AbstractStepSizeController:
    """The controller inside all that clip steps."""
    while isinstance(controller, dfx.ClipStepSizeController):
        controller = controller.controller
    return controller


class AbstractRegularizer(eqx.Module):
    """A penalty of `regularized_solve`."""

    @abc.abstractmethod
    def solve(self, problem: Problem) -> tuple[dfx.Solution, jax.Array]:
        """The solution that was asked for, and the penalty, a scalar."""

    @abc.abstractmethod
    def evaluations(self, solve, step):
        """The number of evaluations of the vector field, from those of the plain solve and of one step by itself."""


def regularized_solve(terms: Any, solver: dfx.AbstractSolver, t0, t1, dt0, y0: Any, *, args: Any = None,
                      stepsize_controller: dfx.AbstractStepSizeController, regularizer: AbstractRegularizer,
                      adjoint: dfx.AbstractAdjoint | None = None, saveat: dfx.SaveAt | None = None,
                      key: jax.Array | None = None, max_steps: int | None = 4096,
                      throw: bool = True) -> tuple[dfx.Solution, jax.Array]:  # fmt: skip
    """`diffrax.diffeqsolve`, with a penalty on what the solve costs.

    Add the penalty, times a weight, to a loss, and learned dynamics become cheap to solve. Weights are in units of the
    tolerance for error estimates, so state them together.

    **Arguments:** those of `diffrax.diffeqsolve`, and

    - `stepsize_controller`: a `diffrax.PIDController`, or one inside a `diffrax.ClipStepSizeController`; its tolerances
        scale the errors.
    - `regularizer`: `GlobalError`, `GlobalStiffness`, `StepCount`, `LocalError` or `LocalStiffness`, or one of the
        baselines `RandomEnd` and `KineticEnergy`.
    - `adjoint`: the global penalties need one that differentiates the steps themselves:
        `diffrax.RecursiveCheckpointAdjoint` (the default), `DirectAdjoint` or `ForwardMode`. The others take any.
    - `key`: for the local penalties and `RandomEnd`, which draw random times.

    **Returns:** the `diffrax.Solution`, and the penalty, a scalar. Step sizes have no derivative in diffrax, so the
    gradient of a global penalty is the one at steps held fixed, which is the useful one: through the controller the
    scaled errors hardly change.

    **Raises:** `ValueError` for a global penalty under an adjoint that would give it a zero gradient without a word
    (`diffrax.BacksolveAdjoint`, `diffrax.ImplicitAdjoint`), a controller without tolerances, a solver without the
    estimate that is asked for, and a random penalty without a key.

    Reference: Pal, Ma, Shah and Rackauckas, ICML 2021 (arXiv 2105.03918); for the local form arXiv 2303.02262.
    """
    if not isinstance(regularizer, AbstractRegularizer):
        raise TypeError(f"regularized_solve: {type(regularizer).__name__} is no regularizer, such as GlobalError().")
    adjoint = dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    saveat = dfx.SaveAt(t1=True) if saveat is None else saveat
    return regularizer.solve(
        Problem(terms, solver, t0, t1, dt0, y0, args, stepsize_controller, saveat, adjoint, max_steps, throw, key)
    )
