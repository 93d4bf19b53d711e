"""One recipe for a physics-informed network, and the recipes that differ from it in one thing."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsim as js
from jaxsim import nets, optimize, pinn
from jaxsim.constraints import Embedded, FromInitial, Lift

from ._pinn_allen_cahn import EQUATION, initial, smoothing
from ._pinn_references import Reference, periodic

LOWER, UPPER = (-1.0,), (1.0,)
SOFT = 100.0  # factor of rows for initial values and periodicity
CHUNKS = 16  # of causal weights
EPSILONS = (1.0, 10.0, 100.0, 1e3, 1e4)  # of causal weights, in units of one over the first loss


class FastSlope(js.Equation):
    """The Kuramoto-Sivashinsky equation in the units of physics-informed papers."""

    def linear(self, u):
        curvature = js.laplacian(u)
        return -(0.5 * curvature) - 0.005 * js.laplacian(curvature)

    def nonlinear(self, t, u):
        return -2.5 * js.partial(u * u, 0)


def bent_and_smoothed(t, x):
    """The initial values of the Allen-Cahn problem, with what diffusion makes of their kink at the ends."""
    return initial(x) + smoothing(t, x)


def sine(x):
    return -jnp.sin(jnp.pi * x)


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A periodic problem on [-1, 1].

    - `lift`: what a field with the initial values built in begins with.
    - `orders`: how many derivatives, from the value itself, soft rows make meet at the ends.
    """

    title: str
    equation: js.Equation
    initial: Callable
    lift: Callable
    duration: float
    orders: int
    nodes: int
    dt: float

    def reference(self) -> Reference:
        times = np.linspace(0, self.duration, 11)
        return periodic(self.equation, self.initial, (-1.0, 1.0), self.nodes, self.dt, times)

    @property
    def box(self) -> pinn.Box:
        return pinn.Box((0.0, self.duration), LOWER, UPPER)


def problems() -> dict[str, Problem]:
    return {
        "Allen-Cahn": Problem("Allen-Cahn", EQUATION, initial, Lift(bent_and_smoothed), 1.0, 2, 2048, 5e-4),
        "KS": Problem("Kuramoto-Sivashinsky to t = 0.1", FastSlope(), sine, sine, 0.1, 4, 512, 5e-5),
    }


def perceptron(size, key):
    return nets.MLP(size, "scalar", 16, 3, key=key)


def factorized(size, key):
    return nets.MLP(size, "scalar", 16, 3, layer=nets.FactorizedDense, key=key)


def modified(size, key):
    return nets.ModifiedMLP(size, "scalar", 14, 3, key=key)


def pirate(size, key):
    return nets.PirateNet(size, "scalar", 10, 1, key=key)


def siren(size, key):
    return nets.SIREN(size, "scalar", 16, 3, 3.0, 3.0, key=key)


def waves(size, key):
    first, second = jax.random.split(key)
    return nets.Chain(nets.FourierFeatures(size, 16, 2.0, key=first), nets.MLP(16, "scalar", 16, 2, key=second))


def first_order(optimizer) -> optimize.FirstOrder:
    """With a factor in its state, which the runner lets fall to zero."""
    return optimize.FirstOrder(optax.chain(optimizer, optax.inject_hyperparams(optax.scale)(step_size=1.0)))


@dataclasses.dataclass(frozen=True, eq=False)
class Variant:
    """A recipe.

    - `group`, `title`: what the figure calls what was changed, and how.
    - `network`: of the number of inputs and a key.
    - `method`: and how many steps of it are taken between looks at the clock.
    - `exact`: whether initial values and periodicity are built in, or asked for by rows.
    - `causal`: whether residuals are weighted by causality.
    """

    group: str
    title: str
    network: Callable[[int, jax.Array], Callable] = perceptron
    method: optimize.AbstractMethod = optimize.LevenbergMarquardt()
    every: int = 5
    exact: bool = True
    causal: bool = False

    def prepared(self, problem: Problem, points: int, key: jax.Array) -> tuple[Any, list[optimize.Rows]]:
        """The model before training, and its blocks of rows."""
        first, scatter = jax.random.split(key)
        closed = (self.exact,)
        network = self.network(Embedded.size(closed), first)
        field = Embedded(network, problem.box.duration, LOWER, UPPER, closed)
        blocks = [pinn.collocation(problem.equation, problem.box.sobol(points, scatter))]
        if self.exact:
            return FromInitial(field, problem.lift), blocks
        places, times = jnp.linspace(-1.0, 1.0, 256), jnp.linspace(*problem.box.duration, 128)
        blocks.append(optimize.Rows(Start(problem.initial), places, factor=SOFT))
        blocks.append(optimize.Rows(Ends(problem.orders), times, factor=SOFT))
        return field, blocks


class Start(eqx.Module):
    """How far a field is from initial values."""

    initial: Callable

    def __call__(self, model, x):
        return model(jnp.zeros_like(x), x) - self.initial(x)


class Ends(eqx.Module):
    """How far a field and its derivatives are from having the same values at both ends."""

    orders: int = eqx.field(static=True)

    def __call__(self, model, t):
        along, rows = partial(model, t), []
        for _ in range(self.orders):
            rows.append(along(jnp.asarray(1.0)) - along(jnp.asarray(-1.0)))
            along = jax.grad(along)
        return jnp.stack(rows)


def variants() -> Sequence[Variant]:
    """The base first."""
    return [
        Variant("base", "LM, MLP, exact, not causal"),
        Variant("causality", "causal weights", causal=True),
        Variant("conditions", "rows for start and period", exact=False),
        Variant("optimizer", "Adam", method=first_order(optax.adam(5e-3)), every=50),
        Variant("optimizer", "SOAP", method=first_order(optimize.soap(5e-3)), every=50),
        Variant("optimizer", "L-BFGS", method=optimize.LBFGS(), every=25),
        Variant("optimizer", "SSBroyden", method=optimize.SSBroyden(), every=25),
        Variant("optimizer", "LM, straight steps", method=optimize.LevenbergMarquardt(accelerated=False)),
        Variant("network", "modified MLP", modified),
        Variant("network", "PirateNet", pirate),
        Variant("network", "SIREN", siren),
        Variant("network", "Fourier features", waves),
        Variant("network", "factorized weights", factorized),
    ]
