"""A stochastic differential equation with networks in it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..integrate.brownian import drive, first_step, in_precision, since_first, stochastic_steps
from ..integrate.stochastic import SDE, AbstractInterpretation, Ito
from .effort import Effort
from .integrator import Integrator
from .regularizers import AbstractRegularizer


def stochastic_integrator(solver: dfx.AbstractSolver | None = None, rtol=1e-2, atol=1e-3, *,
                          adjoint: dfx.AbstractAdjoint | None = None, regularizer: AbstractRegularizer | None = None,
                          max_steps: int = 4096) -> Integrator:  # fmt: skip
    """An `Integrator` whose defaults suit stochastic equations.

    **Arguments:**

    - `solver`: `diffrax.SPaRK()` by default; any solver that converges to Itô's or Stratonovich's solution.
    - `rtol`, `atol`: of `jaxsim.integrate.stochastic_steps`, which revisits rejected times.
    - `adjoint`, `regularizer`, `max_steps`: those of `Integrator`.
    """
    return Integrator(
        dfx.SPaRK() if solver is None else solver,
        stochastic_steps(rtol, atol),
        dfx.RecursiveCheckpointAdjoint() if adjoint is None else adjoint,
        regularizer,
        max_steps,
    )


def solve_model(integrator: Integrator, sde: SDE, y0: Any, times: Any, key: jax.Array, args: Any, steps: int | None,
                interpolate: bool, throw: bool) -> tuple[Any, Effort]:  # fmt: skip
    """States at `times` along one path of the noise, and what the solve has cost.

    **Arguments:** those of `NeuralSDE`, for any `integrator` and `sde`.
    """
    if key is None:
        raise ValueError("a stochastic model needs a `key`, one for each path: jax.random.key(0).")
    noise, drawn = jax.random.split(key)
    start = times[0]
    y0, times = in_precision(y0, since_first(times))
    sde = sde.since(jnp.asarray(start, times.dtype))  # steps are counted from the first time
    controller = integrator.stepsize_controller if steps is None else None
    terms, controller = drive(sde, integrator.solver, times, y0, noise, args=args, stepsize_controller=controller,
                              steps=steps, adjoint=integrator.adjoint, max_steps=integrator.max_steps,
                              interpolate=interpolate)  # fmt: skip
    count = integrator.max_steps if steps is None else steps * (len(times) - 1)  # fewer checkpoints for fewer steps
    prepared = dataclasses.replace(integrator, stepsize_controller=controller, max_steps=count, dt0=None)
    first = first_step(controller, times, integrator.dt0)
    solution, effort = prepared(terms, times[0], times[-1], y0, args=args, dt0=first,
                                saveat=dfx.SaveAt(ts=times), key=drawn, throw=throw)  # fmt: skip
    return solution.ys, effort


class NeuralSDE(eqx.Module):
    """A neural stochastic differential equation, $dy = f_\\theta(t, y)\\, dt + g_\\theta(t, y)\\, dW$.

    Nothing keeps its paths from blowing up; `LangevinSDE`, `LinearNoiseSDE` and `GeometricSDE` are built so that they
    do not.

    **Arguments:**

    - `drift`, `diffusion`: as those of `jaxsim.integrate.SDE`: functions of `(t, y, args)`, equinox modules where they
        are to be trained. `jaxsim.integrate.Diagonal(network)` gives each component a noise of its own.
    - `integrator`: `stochastic_integrator()` by default.
    - `interpretation`: `Ito()` (the default) or `Stratonovich()`; the drift is converted for the solver.

    !!! example

        ```python
        class Cubic(eqx.Module):
            network: eqx.nn.MLP

            def __call__(self, t, y, args):
                return self.network(y**3)

        class Linear(eqx.Module):
            layer: eqx.nn.Linear

            def __call__(self, t, y, args):
                return self.layer(y)

        model = NeuralSDE(Cubic(mlp), js.integrate.Diagonal(Linear(layer)))
        paths, effort = jax.vmap(lambda key: model(y0, ts, key=key))(keys)
        ```
    """

    drift: Callable[..., Any]
    diffusion: Callable[..., Any]
    integrator: Integrator = eqx.field(default_factory=stochastic_integrator)
    interpretation: AbstractInterpretation = eqx.field(default_factory=Ito)

    @property
    def sde(self) -> SDE:
        """The equation."""
        return SDE(self.drift, self.diffusion, self.interpretation)

    def __call__(self, y0: Any, ts: jax.Array, *, key: jax.Array, path: Any = None, steps: int | None = None,
                 interpolate: bool = False, throw: bool = True) -> tuple[Any, Effort]:  # fmt: skip
        """States along one path of the noise.

        **Arguments:**

        - `y0`: the state at `ts[0]`, a pytree of arrays.
        - `ts`: when to save, ascending, shape `(times,)`. Steps end there.
        - `key`: one path; `jax.vmap` over keys for an ensemble.
        - `path`: handed to drift and diffusion as `args`, as an interpolated control path.
        - `steps`: so many equal steps from each time to the next, instead of the integrator's step sizes.
        - `interpolate`: let steps run past `ts`, and interpolate there; see `jaxsim.integrate.drive`.
        - `throw`: raise when the solve fails.

        **Returns:** the states, with a leading axis of `times`, and the `Effort`.
        """
        return solve_model(self.integrator, self.sde, y0, ts, key, path, steps, interpolate, throw)
