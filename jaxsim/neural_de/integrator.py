"""How a model is integrated."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .effort import Effort, effort
from .regularizers import AbstractRegularizer
from .solve import regularized_solve


class Integrator(eqx.Module):
    """How a model is integrated: the solver, its steps, its adjoint, and what to penalize.

    Every model of `jaxsim.neural_de` holds one. Training with a penalty and predicting without it is one argument:
    `dataclasses.replace(integrator, regularizer=None)`.

    **Arguments:**

    - `solver`: any diffrax solver.
    - `stepsize_controller`: any diffrax controller; a regularizer needs one with tolerances.
    - `adjoint`: any diffrax adjoint that the regularizer allows.
    - `regularizer`: as `GlobalError()`, or `None`.
    - `max_steps`: bound on the number of steps.
    - `dt0`: length of the first step to try, positive in either direction of time. Without it diffrax 0.7.2 begins
        every solve at 0.01, and a model that needs few steps spends two or three of them on the way up.
    """

    solver: dfx.AbstractSolver = eqx.field(default_factory=dfx.Tsit5)
    stepsize_controller: dfx.AbstractStepSizeController = eqx.field(
        default_factory=lambda: dfx.PIDController(rtol=1e-4, atol=1e-6)
    )
    adjoint: dfx.AbstractAdjoint = eqx.field(default_factory=dfx.RecursiveCheckpointAdjoint)
    regularizer: AbstractRegularizer | None = None
    max_steps: int = eqx.field(static=True, default=4096)
    dt0: float | None = None

    def __check_init__(self):
        if self.dt0 is not None and not isinstance(self.dt0, jax.core.Tracer) and not self.dt0 > 0:
            raise ValueError(f"Integrator: `dt0` is a positive length, whatever the direction of time; got {self.dt0}.")

    def __call__(self, terms: Any, t0, t1, y0: Any, *, args: Any = None, dt0=None, saveat: dfx.SaveAt | None = None,
                 key: jax.Array | None = None, throw: bool = True) -> tuple[dfx.Solution, Effort]:  # fmt: skip
        """The solution from `t0` to `t1`, as `diffrax.diffeqsolve` gives it, and what it has cost.

        **Arguments:** those of `diffrax.diffeqsolve`, where a `dt0` takes the place of the integrator's, and `key` for
        regularizers that draw random times.
        """
        saveat = dfx.SaveAt(t1=True) if saveat is None else saveat
        if dt0 is None and self.dt0 is not None:
            dt0 = jnp.where(jnp.asarray(t1) >= t0, self.dt0, -self.dt0).astype(jnp.result_type(t0, t1, float))
        options = dict(args=args, stepsize_controller=self.stepsize_controller, adjoint=self.adjoint, saveat=saveat,
                       max_steps=self.max_steps, throw=throw)  # fmt: skip
        problem = terms, self.solver, t0, t1, dt0, y0
        if self.regularizer is None:
            solution, penalty = dfx.diffeqsolve(*problem, **options), 0.0
        else:
            solution, penalty = regularized_solve(*problem, **options, regularizer=self.regularizer, key=key)
        return solution, effort(self.solver, solution, penalty, regularizer=self.regularizer)
