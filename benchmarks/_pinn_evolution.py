"""Evolution equations on a periodic interval, by physics-informed networks."""

import jax.numpy as jnp
import numpy as np

import jaxsim as js

from ._pinn_case import Case
from ._pinn_references import periodic
from ._pinn_training import windowed


def sine(x):
    return -jnp.sin(jnp.pi * x)


def burgers(viscosity: float, nodes: int, dt: float, **recipe):
    """Burgers' equation from a sine, to t = 1."""
    equation = js.equations.Burgers(viscosity)
    reference = lambda: periodic(equation, sine, (-1.0, 1.0), nodes, dt, np.linspace(0, 1, 11))
    solve = lambda key: windowed(equation, sine, (-1.0, 1.0), [0.0, 1.0], key, **recipe)
    return reference, solve


CASES = {
    "burgers": Case(
        "Burgers, viscosity 0.01",
        *burgers(0.01, 1024, 2.5e-4, width=20, depth=3, points=2048, steps=120, waves=1),
        "MLP 3x20, 2048 points, 120 steps of Levenberg-Marquardt",
    ),
}
