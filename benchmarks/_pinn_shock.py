"""Burgers' equation with a shock a few hundredths wide, in a coordinate that is stretched there."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxsim as js
from jaxsim import optimize, pinn
from jaxsim.constraints import FromInitial
from jaxsim.nets import MLP

WIDTH = 0.02  # within which the stretched coordinate is even


class Stretched(eqx.Module):
    """A network of time, cos(pi x), sin(pi x) and a periodic coordinate that is stretched at x = 0."""

    network: Callable

    def __call__(self, t, x):
        along, across = jnp.cos(jnp.pi * x), jnp.sin(jnp.pi * x)
        steep = jnp.arcsinh(across / (WIDTH + (1 - along) / 2)) / jnp.arcsinh(1 / WIDTH)
        return self.network(jnp.stack([2 * t - 1, along, across, steep]))


def gathered(points):
    """Points of [0, 1] x [-1, 1], gathered at x = 0 as the coordinate is stretched."""
    t, x = points.T
    return jnp.stack([t, WIDTH * jnp.sinh(x * jnp.arcsinh(1 / WIDTH))], 1)


def stretched(viscosity: float, initial: Callable, key, *, width: int, depth: int, points: int, steps: int):
    """Levenberg-Marquardt steps at points that are gathered at the shock."""
    first, scatter = jax.random.split(key)
    points = gathered(pinn.Box((0.0, 1.0), (-1.0,), (1.0,)).sobol(points, scatter))
    rows = [pinn.collocation(js.equations.Burgers(viscosity), points)]
    field = FromInitial(Stretched(MLP(4, "scalar", width, depth, key=first)), initial)
    return optimize.train(rows, field, optimize.LevenbergMarquardt(), steps, every=20).model
