"""Inverse problems from noisy samples: an unknown viscosity, and an unknown force, in Burgers' equation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim.equations import Force

LOWER, UPPER, DURATION = -1.0, 1.0, 1.0
TIMES = 40  # moments at which samples may be taken


def sine(x):
    return -jnp.sin(jnp.pi * x)


class Waves(Force):
    """A steady force, a polynomial of cosines and sines of period 2; coefficients of 1, cos, sin, cos, sin, ..."""

    coefficients: jax.Array

    def __call__(self, t, x):
        number = jnp.arange(1, len(self.coefficients) // 2 + 1)
        angle = jnp.pi * number * jnp.expand_dims(x, -1)
        mean, cosines, sines = self.coefficients[0], self.coefficients[1::2], self.coefficients[2::2]
        return mean + jnp.cos(angle) @ cosines + jnp.sin(angle) @ sines


class Bump(Force):
    """The force to be found, which is no finite sum of waves; its mean is zero."""

    def __call__(self, t, x):
        return jnp.exp(jnp.cos(jnp.pi * (x - 0.3))) - 1.2660658777520084


class ForcedBurgers(js.Equation):
    """Burgers' equation with a force of the place, u_t + u u_x = nu u_xx + f(x)."""

    viscosity: float | jax.Array
    force: Callable

    def linear(self, u):
        return self.viscosity * js.laplacian(u)

    def nonlinear(self, t, u):
        return -0.5 * js.partial(u * u, 0) + js.sample(self.force, t, u)


@dataclasses.dataclass(frozen=True, eq=False)
class Inverse:
    """An equation with something unknown in it.

    - `title`: what the table calls it.
    - `equation`: of the unknown, an array.
    - `start`: the unknown that all fits begin with.
    - `truth`: the true equation.
    - `answer`: maps the unknown to the numbers that are asked for.
    - `wanted`: their true values.
    """

    title: str
    equation: Callable[[jax.Array], js.Equation]
    start: np.ndarray
    truth: Callable[[], js.Equation]
    answer: Callable[[jax.Array], jax.Array]
    wanted: Callable[[], np.ndarray]


def burgers_of(logarithm):
    return js.equations.Burgers(jnp.exp(logarithm))


def forced_of(coefficients):
    return ForcedBurgers(0.05, Waves(coefficients))


PLACES = np.linspace(LOWER, UPPER, 64, endpoint=False)

PROBLEMS = {
    "viscosity": Inverse(
        "viscosity, 0.01",
        burgers_of,
        np.log(0.05),
        lambda: js.equations.Burgers(0.01),
        jnp.exp,
        lambda: np.asarray(0.01),
    ),
    "force": Inverse(
        "force f(x)",
        forced_of,
        np.zeros(11),
        lambda: ForcedBurgers(0.05, Bump()),
        lambda coefficients: Waves(coefficients)(0.0, jnp.asarray(PLACES)),
        lambda: np.asarray(Bump()(0.0, PLACES)),
    ),
}


class Samples(eqx.Module):
    """Measurements: moments (as numbers of the grid of times), places and values, and the standard deviation."""

    moment: jax.Array
    x: jax.Array
    value: jax.Array
    deviation: jax.Array

    @property
    def points(self) -> jax.Array:
        """Shape `(n, 2)`, time first."""
        return jnp.stack([(self.moment + 1) * (DURATION / TIMES), self.x], 1)


def solved(equation: js.Equation, nodes: int, dt: float) -> jax.Array:
    """Coefficients of the solution at all moments, by Fourier modes."""
    space = js.Fourier(js.Grid((nodes,), LOWER, UPPER))
    steps = round(DURATION / dt)
    return js.rollout(equation, space.field(sine), dt=dt, steps=steps, save_every=steps // TIMES, throw=False).values


def at(values: jax.Array, moment: jax.Array, x: jax.Array) -> jax.Array:
    """Values on nodes of a periodic grid between them, by the trigonometric polynomial through them."""
    nodes = values.shape[-1]
    modes = jnp.fft.rfft(values, axis=-1)[moment] / nodes
    number = jnp.arange(modes.shape[-1])
    weight = jnp.where((number == 0) | (number == nodes // 2), 1, 2)
    wave = jnp.exp(1j * np.pi * number * (x[:, None] - LOWER))
    return jnp.sum(weight * (modes * wave).real, 1)


def measured(count: int, level: float, seed: int, fine: Any) -> Samples:
    """Noisy samples of the true solution at random moments and places; `level` is relative to its mean square."""
    draw = np.random.default_rng(seed)
    moment, x = jnp.asarray(draw.integers(0, TIMES, count)), jnp.asarray(draw.uniform(LOWER, UPPER, count))
    deviation = level * float(jnp.sqrt(jnp.mean(fine**2)))
    value = at(fine, moment, x) + deviation * jnp.asarray(draw.standard_normal(count))
    return Samples(moment, x, value, jnp.asarray(deviation))
