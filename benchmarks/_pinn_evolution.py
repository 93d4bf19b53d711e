"""Evolution equations on a periodic interval, by physics-informed networks."""

import jax.numpy as jnp
import numpy as np

import jaxsim as js

from . import _pinn_allen_cahn
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
    "allen_cahn": Case(
        "Allen-Cahn",
        lambda: periodic(_pinn_allen_cahn.EQUATION, _pinn_allen_cahn.initial, (-1.0, 1.0), 4096, 2.5e-4,
                         np.linspace(0, 1, 11), 1024),
        lambda key: _pinn_allen_cahn.reaction_built_in(key, width=16, depth=3, points=1536, steps=80),
        "flow of the reaction and kink smoothed by diffusion built in; MLP 3x16, 1536 points that follow the residual, "
        "80 steps of Levenberg-Marquardt",
        1e-4,
    ),
}
