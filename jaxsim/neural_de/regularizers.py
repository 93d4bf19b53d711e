"""Penalties on the cost of a solve, made of what the solver knows anyway."""

import abc
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .heuristics import MonitoredSolver, StepHeuristics, estimates_stiffness, scaled_error, shampine_stiffness
from .solve import AbstractRegularizer, Problem

__all__ = ["AbstractGlobalRegularizer", "AbstractLocalRegularizer", "AbstractRegularizer", "GlobalError",
           "GlobalStiffness", "LocalError", "LocalStiffness", "StepCount"]  # fmt: skip

STABILITY = 3.5068  # extent of the stability region of Tsit5 on the negative real axis


class AbstractGlobalRegularizer(AbstractRegularizer):
    """A penalty made of sums over all accepted steps."""

    @abc.abstractmethod
    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        """The penalty, a scalar."""

    def check(self, solver: dfx.AbstractSolver) -> None:
        """Raise where a solver lacks the estimate that is penalized."""

    def solve(self, problem: Problem) -> tuple[dfx.Solution, jax.Array]:
        controller, saveat = problem.controller, problem.saveat
        self._check_adjoint(problem.adjoint)
        self.check(problem.solver)
        monitored = MonitoredSolver(problem.solver, controller.rtol, controller.atol, controller.norm)
        watched = dfx.SaveAt(subs=saveat.subs, dense=saveat.dense, solver_state=True,
                             controller_state=saveat.controller_state, made_jump=saveat.made_jump)  # fmt: skip
        solution = problem.solve(solver=monitored, saveat=watched)
        inner, sums = solution.solver_state
        inner = inner if saveat.solver_state else None
        solution = eqx.tree_at(lambda s: s.solver_state, solution, inner, is_leaf=lambda node: node is None)
        return solution, self(sums, controller.safety)

    def evaluations(self, solve, step):
        return solve

    def _check_adjoint(self, adjoint):
        if not isinstance(adjoint, (dfx.RecursiveCheckpointAdjoint, dfx.DirectAdjoint, dfx.ForwardMode)):
            raise ValueError(
                f"regularized_solve: under {type(adjoint).__name__} the gradient of {type(self).__name__} would be "
                "zero without a word; use RecursiveCheckpointAdjoint, DirectAdjoint or ForwardMode, or LocalError()."
            )


class GlobalError(AbstractGlobalRegularizer):
    """The accumulated error estimate, $R_E = \\sum_j |h_j| E_j^p$ over accepted steps.

    Its value says little about cost, because the controller holds $E_j$ near its target; its gradient, at steps held
    fixed, pushes towards dynamics on which those steps would have been longer. In units of tolerance: a weight that
    works at one tolerance does not at another.

    **Arguments:**

    - `power`: $p$, 1 or 2.
    - `mean`: whether to divide by the number of accepted steps, as the published code does.

    Reference: Pal, Ma, Shah and Rackauckas, ICML 2021 (arXiv 2105.03918), section 3.1.
    """

    power: int = eqx.field(static=True, default=1)
    mean: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.power not in (1, 2):
            raise ValueError(f"GlobalError: `power` is 1 or 2, got {self.power}.")

    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        total = sums.error if self.power == 1 else sums.squared_error
        return total / jnp.maximum(sums.accepted, 1) if self.mean else total


class GlobalStiffness(AbstractGlobalRegularizer):
    """Shampine's estimate of stiffness, $\\sum_j S_j$ or $\\max_j S_j$ over accepted steps, in units of stability.

    Needs a solver whose last two stages lie at the end of the step, such as `diffrax.Tsit5` and `diffrax.Dopri5`.

    **Arguments:**

    - `stability`: size of the stability region on the negative real axis; 3.5068 is that of `diffrax.Tsit5`.
    - `greatest`: take the maximum instead of the sum.

    Reference: Pal, Ma, Shah and Rackauckas, ICML 2021 (arXiv 2105.03918), section 3.2.
    """

    stability: Any = STABILITY
    greatest: bool = eqx.field(static=True, default=False)

    def check(self, solver: dfx.AbstractSolver) -> None:
        _demand_stiffness(solver)

    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        return (sums.greatest_stiffness if self.greatest else sums.stiffness) / self.stability


class StepCount(AbstractGlobalRegularizer):
    """The number of steps that the error estimates ask for, $\\hat N = s^{-1} \\sum_j E_j^{1/q}$.

    $q$ is the order of the error estimate and $s$ the controller's safety factor: a controller would choose steps
    longer by $s E_j^{-1/q}$. It tracks the number of accepted steps, and is in units of steps whatever the tolerance.
    """

    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        return sums.rooted_error / safety


class AbstractLocalRegularizer(AbstractRegularizer):
    """A penalty made of single steps, taken again at random times.

    The states and step sizes there are constants: the gradient passes through the parameters of the terms in those
    steps alone, which closes the box for any adjoint, `diffrax.BacksolveAdjoint` among them, at a few evaluations.
    """

    accepted: eqx.AbstractVar[bool]
    samples: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, problem: Problem, size, y0, y1, error, dense) -> jax.Array:
        """The penalty of one step of length `size`, a scalar."""

    def __check_init__(self):
        if self.samples < 1:
            raise ValueError(f"{type(self).__name__}: `samples` is at least 1, got {self.samples}.")

    def solve(self, problem: Problem) -> tuple[dfx.Solution, jax.Array]:
        key, t0, t1 = problem.random_key(self), *(jnp.asarray(t, problem.precision) for t in (problem.t0, problem.t1))
        if self.accepted:
            times, states, sizes = _accepted_steps(problem, self.samples)
            solution = problem.solve()
        else:
            times = t0 + (t1 - t0) * jax.random.uniform(key, (self.samples,), problem.precision)
            solution, states = problem.solve_with_states(self, times)
            sizes = jnp.full_like(times, (t1 - t0) / jnp.maximum(solution.stats["num_accepted_steps"], 1))
        sizes = jnp.where(t1 >= t0, jnp.minimum(sizes, t1 - times), jnp.maximum(sizes, t1 - times))

        solver = _alone(problem)

        def once(time, state, size):
            end = time + size
            start = solver.init(problem.terms, time, end, state, problem.args)
            y1, error, dense, *_ = solver.step(problem.terms, time, end, state, problem.args, start, made_jump=False)
            return self(problem, jnp.abs(end - time), state, y1, error, dense)

        return solution, jnp.mean(jax.vmap(once)(*lax.stop_gradient((times, states, sizes))))

    def evaluations(self, solve, step):
        return solve * (1 + self.accepted) + self.samples * step


class LocalError(AbstractLocalRegularizer):
    """The error estimate of one step taken again at a random time, $h E(\\tau, y(\\tau))$.

    The step has the mean length of accepted steps, or where $\\tau$ is drawn among those, its own.

    **Arguments:**

    - `accepted`: draw $\\tau$ among the times of accepted steps (more often where they are short, at the cost of a
        second solve) instead of uniformly.
    - `samples`: number of times drawn; the penalty is their mean.

    Reference: Pal, Edelman and Rackauckas, Locally regularized neural differential equations, ICML 2023 (arXiv
    2303.02262), section 3.
    """

    accepted: bool = eqx.field(static=True, default=False)
    samples: int = eqx.field(static=True, default=1)

    def __call__(self, problem: Problem, size, y0, y1, error, dense) -> jax.Array:
        controller = problem.controller
        if error is None:
            raise ValueError(f"{type(problem.solver).__name__} has no error estimate: wrap it in diffrax.HalfSolver.")
        return size * scaled_error(error, y0, y1, controller.rtol, controller.atol, controller.norm)


class LocalStiffness(AbstractLocalRegularizer):
    """Shampine's estimate of stiffness of one step taken again at a random time, in units of stability.

    **Arguments:** `accepted` and `samples` as in `LocalError`, `stability` as in `GlobalStiffness`.

    Reference: Pal, Edelman and Rackauckas, ICML 2023 (arXiv 2303.02262), section 3.
    """

    accepted: bool = eqx.field(static=True, default=False)
    samples: int = eqx.field(static=True, default=1)
    stability: Any = STABILITY

    def __call__(self, problem: Problem, size, y0, y1, error, dense) -> jax.Array:
        _demand_stiffness(problem.solver)
        return shampine_stiffness(problem.solver, size, y0, y1, dense, problem.controller.norm) / self.stability


def _accepted_steps(problem: Problem, samples: int):
    """Starts, states there and sizes of steps drawn among the accepted ones of a solve without gradient."""
    inputs = problem.terms, problem.y0, problem.args
    numbers, rest = eqx.partition(inputs, eqx.is_inexact_array)
    terms, y0, args = eqx.combine(lax.stop_gradient(numbers), rest)
    adjoint = problem.adjoint if isinstance(problem.adjoint, dfx.ForwardMode) else dfx.RecursiveCheckpointAdjoint()
    run = problem.solve(terms=terms, y0=y0, args=args, saveat=dfx.SaveAt(t0=True, steps=True), adjoint=adjoint)
    chosen = jax.random.randint(problem.key, (samples,), 0, run.stats["num_accepted_steps"])
    states = jax.tree.map(lambda a: a[chosen], run.ys)
    return run.ts[chosen], states, run.ts[chosen + 1] - run.ts[chosen]


def _alone(problem: Problem) -> dfx.AbstractSolver:
    """The solver for steps outside a solve: its loop over stages must suit the adjoint, as diffrax sees to inside."""
    if not isinstance(problem.adjoint, dfx.ForwardMode):
        return problem.solver

    def kind(solver):
        while issubclass(type(solver), dfx.AbstractWrappedSolver):
            solver = solver.solver
        return getattr(solver, "scan_kind", "none needed")

    absent = kind(problem.solver) is None
    where = lambda node: node is None
    return eqx.tree_at(kind, problem.solver, "lax", is_leaf=where) if absent else problem.solver


def _demand_stiffness(solver):
    if not estimates_stiffness(solver):
        raise ValueError(
            f"regularized_solve: {type(solver).__name__} has no estimate of stiffness; diffrax.Tsit5 and "
            "diffrax.Dopri5 have."
        )
