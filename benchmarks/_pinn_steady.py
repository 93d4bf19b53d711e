"""Stationary problems, by physics-informed networks."""

import dataclasses
import time
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import optimize, pinn
from jaxsim.constraints import VanishingOnBox
from jaxsim.nets import MLP, SIREN, Gaussians

from ._pinn_case import Case
from ._pinn_references import Reference, exact


class OfPlace(eqx.Module):
    """A network of the place alone, given coordinates between -1 and 1."""

    network: Callable
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, t, *x):
        ends = zip(x, self.lower, self.upper)
        return self.network(jnp.stack([(2 / (b - a)) * (value - a) - 1 for value, a, b in ends]))


def mesh(lower, upper, count: int) -> np.ndarray:
    """Points of an even grid, walls included."""
    axes = [np.linspace(a, b, count) for a, b in zip(lower, upper)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def time_of(function: Callable, *arguments) -> float:
    """Seconds of a call after the first."""
    jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    return time.perf_counter() - start


# -- Helmholtz's equation ----------------------------------------------------------------------------------------------
SQUARE = ((-1.0, -1.0), (1.0, 1.0))


def waves(x, y):
    return jnp.sin(jnp.pi * x) * jnp.sin(4 * jnp.pi * y)


HELMHOLTZ = js.equations.Helmholtz(1.0, lambda x, y: (1 - 17 * jnp.pi**2) * waves(x, y))


def helmholtz_reference() -> Reference:
    """The formula, and the time of 32 sines along each axis: Fourier modes on twice the length, for odd functions."""
    space = js.Fourier(js.Grid((64, 64), (-1.0, -1.0), (3.0, 3.0)))
    source = space.field(lambda x, y: -HELMHOLTZ.source(x, y))
    shift = -(float(HELMHOLTZ.wave_number) ** 2)
    seconds = time_of(jax.jit(lambda f: js.inverse_helmholtz(f, shift, 1.0).values), source)
    return dataclasses.replace(exact(waves, mesh(*SQUARE, 101)), seconds=seconds)


def helmholtz(key, make: Callable, points: int, steps: int) -> Callable:
    """Zero at the walls by construction."""
    first, scatter = jax.random.split(key)
    held = VanishingOnBox(OfPlace(make(first), *SQUARE), *SQUARE, js.Dirichlet(0.0))
    rows = [pinn.collocation(HELMHOLTZ, pinn.Box(None, *SQUARE).sobol(points, scatter), stationary=True)]
    return optimize.train(rows, pinn.AtTime(held, 0.0), optimize.LevenbergMarquardt(), steps).model


def last_layer(network) -> tuple[jax.Array, jax.Array]:
    return network.last.weight, network.last.bias


def helmholtz_linear(key, features: int, omega: float, points: int) -> Callable:
    """Random waves with the best last layer: one linear problem."""
    first, scatter = jax.random.split(key)
    network = SIREN(2, "scalar", features, 1, omega, key=first)
    held = pinn.AtTime(VanishingOnBox(OfPlace(network, *SQUARE), *SQUARE, js.Dirichlet(0.0)), 0.0)
    rows = [pinn.collocation(HELMHOLTZ, pinn.Box(None, *SQUARE).sobol(points, scatter), stationary=True)]
    return pinn.linear_start(rows, held, lambda model: last_layer(model.field.network.network))


# -- Poisson's equation in five dimensions -----------------------------------------------------------------------------
CUBE = ((0.0,) * 5, (1.0,) * 5)


def sines(*x):
    return sum(jnp.sin(jnp.pi * value) for value in x)


POISSON = js.equations.Poisson(lambda *x: jnp.pi**2 * sines(*x))


def poisson_reference() -> Reference:
    return exact(sines, np.asarray(pinn.Box(None, *CUBE).sobol(2**14, jax.random.key(1000))))


def on_walls(model, point):
    return model(*point) - sines(*point)


def poisson(key, width: int, points: int, at_walls: int, factor: float, steps: int) -> Callable:
    """Values at the walls by rows of their own."""
    keys = jax.random.split(key, 12)
    box = pinn.Box(None, *CUBE)
    sides = [box.side(axis, end).sobol(at_walls // 10, keys[2 + 2 * axis + end]) for axis in range(5) for end in (0, 1)]
    rows = [
        pinn.collocation(POISSON, box.sobol(points, keys[0]), stationary=True),
        optimize.Rows(on_walls, jnp.concatenate(sides), factor=factor),
    ]
    network = OfPlace(MLP(5, "scalar", width, 1, key=keys[1]), *CUBE)
    return optimize.train(rows, pinn.AtTime(network, 0.0), optimize.LevenbergMarquardt(), steps).model


CASES = {
    "helmholtz": Case(
        "Helmholtz, sin(pi x) sin(4 pi y)",
        helmholtz_reference,
        partial(helmholtz, make=lambda key: MLP(2, "scalar", 20, 3, key=key), points=2048, steps=200),
        "MLP 3x20, 2048 points, exact walls, 200 steps of Levenberg-Marquardt",
    ),
    "helmholtz-gaussians": Case(
        "Helmholtz, by Gaussians",
        helmholtz_reference,
        partial(helmholtz, make=lambda key: Gaussians(2, "scalar", 100, 4, 16, 1, key=key), points=2048, steps=120),
        "100 Gaussians, 4 sums, MLP 1x16, 2048 points, exact walls, 120 steps of Levenberg-Marquardt",
    ),
    "helmholtz-random": Case(
        "Helmholtz, by random waves",
        helmholtz_reference,
        partial(helmholtz_linear, features=600, omega=28.0, points=2048),
        "600 random sines, 2048 points, exact walls, linear least squares in the last layer",
    ),
    "poisson-5d": Case(
        "Poisson, 5 dimensions",
        poisson_reference,
        partial(poisson, width=64, points=4096, at_walls=2000, factor=100.0, steps=150),
        "MLP 1x64, 4096 points and 2000 on the walls, 150 steps of Levenberg-Marquardt",
    ),
}
