"""Penalties on the cost of a solve, made of what the solver knows anyway."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .heuristics import StepHeuristics


class AbstractRegularizer(eqx.Module):
    """A penalty of `regularized_solve`."""


class AbstractGlobalRegularizer(AbstractRegularizer):
    """A penalty made of sums over all accepted steps."""

    @abc.abstractmethod
    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        """The penalty, a scalar."""


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

    stability: Any = 3.5068
    greatest: bool = eqx.field(static=True, default=False)

    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        return (sums.greatest_stiffness if self.greatest else sums.stiffness) / self.stability


class StepCount(AbstractGlobalRegularizer):
    """The number of steps that the error estimates ask for, $\\hat N = s^{-1} \\sum_j E_j^{1/q}$.

    $q$ is the order of the error estimate and $s$ the controller's safety factor: a controller would choose steps
    longer by $s E_j^{-1/q}$. It tracks the number of accepted steps, and is in units of steps whatever the tolerance.
    """

    def __call__(self, sums: StepHeuristics, safety) -> jax.Array:
        return sums.rooted_error / safety


class LocalError(AbstractRegularizer):
    """The error estimate of one step taken again at a random time, $h E(\\tau, y(\\tau))$.

    The state, the step size and everything before are constants: the gradient passes through the parameters of the
    terms in that one step, which closes the box for any adjoint, `diffrax.BacksolveAdjoint` among them, and costs a few
    evaluations.

    **Arguments:**

    - `accepted`: draw $\\tau$ among the times of accepted steps (more often where they are short, at the cost of a
        second solve) instead of uniformly.
    - `samples`: number of times drawn; the penalty is their mean.

    Reference: Pal, Edelman and Rackauckas, Locally regularized neural differential equations, ICML 2023 (arXiv
    2303.02262), section 3.
    """

    accepted: bool = eqx.field(static=True, default=False)
    samples: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.samples < 1:
            raise ValueError(f"LocalError: `samples` is at least 1, got {self.samples}.")
