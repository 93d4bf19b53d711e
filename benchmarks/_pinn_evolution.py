"""Evolution equations on a periodic interval, by physics-informed networks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import optimize, pinn
from jaxsim.constraints import FromInitial

from . import _pinn_allen_cahn, _pinn_shock
from ._pinn_case import Case
from ._pinn_references import exact, periodic
from ._pinn_training import perceptron, windowed


def sine(x):
    return -jnp.sin(jnp.pi * x)


def burgers(viscosity: float, nodes: int, dt: float, **recipe):
    """Burgers' equation from a sine, to t = 1."""
    equation = js.equations.Burgers(viscosity)
    reference = lambda: periodic(equation, sine, (-1.0, 1.0), nodes, dt, np.linspace(0, 1, 11))
    solve = lambda key: windowed(equation, sine, (-1.0, 1.0), [0.0, 1.0], key, **recipe)
    return reference, solve


def in_windows(equation, initial, nodes: int, dt: float, windows: int, **recipe):
    """A problem on [-1, 1] to t = 1 in windows; the network is scaled to change values by about one in each."""
    edges = [k / windows for k in range(windows + 1)]
    reference = lambda: periodic(equation, initial, (-1.0, 1.0), nodes, dt, np.linspace(0, 1, 11))
    ramp = lambda elapsed: windows * elapsed
    solve = lambda key: windowed(equation, initial, (-1.0, 1.0), edges, key, ramp=ramp, **recipe)
    return reference, solve


def allen_cahn(network: Callable, method: optimize.AbstractMethod, nodes: int, dt: float, **recipe):
    """The Allen-Cahn equation with the flow of its reaction built in."""
    equation, initial = _pinn_allen_cahn.EQUATION, _pinn_allen_cahn.initial
    reference = lambda: periodic(equation, initial, (-1.0, 1.0), nodes, dt, np.linspace(0, 1, 11), 1024)
    solve = lambda key: _pinn_allen_cahn.reaction_built_in(key, network, method, points=1536, **recipe)
    return reference, solve


def convection():
    """The exact solution of advection with velocity 50, at ten times."""
    t, x = np.meshgrid(np.linspace(0, 1, 11)[1:], 2 * np.pi * np.arange(256) / 256, indexing="ij")
    return exact(lambda t, x: jnp.sin(x - CONVECTION * t), np.stack([t.ravel(), x.ravel()], 1))


def convected(key):
    """Advection along labels: the network of their motion has to find the velocity, and that of values, zero."""
    moving, carried, scatter = jax.random.split(key, 3)
    net = lambda key: perceptron(key, (0.0,), (2 * np.pi,), (True,), (0.0, 1.0), width=8, depth=2)
    field = pinn.Lagrangian(FromInitial(net(carried), jnp.sin), net(moving), 2 * np.pi)
    points = pinn.Box((0.0, 1.0), (0.0,), (2 * np.pi,)).sobol(256, scatter)
    rows = [pinn.along_labels(js.equations.Advection(CONVECTION), lambda t, x, u: CONVECTION, points)]
    return optimize.train(rows, field, optimize.LevenbergMarquardt(optimize.DenseQR()), 60, every=20).model


CONVECTION = 50.0
KDV = js.equations.KortewegDeVries(1.0, 0.022**2)
KURAMOTO = js.equations.KuramotoSivashinsky(0.5, 0.005)  # of 5 u, for u_t + 5 u u_x + 0.5 u_xx + 0.005 u_xxxx = 0

CASES = {
    "burgers": Case(
        "Burgers, viscosity 0.01",
        *burgers(0.01, 1024, 2.5e-4, width=20, depth=3, points=2048, steps=120, waves=1),
        "MLP 3x20, 2048 points, 120 steps of Levenberg-Marquardt",
    ),
    "burgers-sharp": Case(
        "Burgers, viscosity 0.01/pi",
        burgers(0.01 / np.pi, 8192, 1e-4)[0],
        lambda key: _pinn_shock.stretched(0.01 / np.pi, sine, key, width=20, depth=4, points=2048, steps=180),
        "MLP 4x20 with a coordinate that is stretched at the shock, 2048 points gathered there, 180 steps of "
        "Levenberg-Marquardt",
        1e-6,
    ),
    "allen-cahn": Case(
        "Allen-Cahn",
        *allen_cahn(_pinn_allen_cahn.perceptron, optimize.LevenbergMarquardt(), 4096, 2.5e-4, steps=80, every=20),
        "flow of the reaction and kink smoothed by diffusion built in; MLP 3x16, 1536 points that follow the residual, "
        "80 steps of Levenberg-Marquardt",
        1e-4,
    ),
    "allen-cahn-long": Case(
        "Allen-Cahn, for longer",
        *allen_cahn(_pinn_allen_cahn.perceptron, optimize.SSBroyden(), 8192, 1.25e-4, steps=6000, every=300),
        "the same field and points, 6000 steps of SSBroyden",
        1e-6,
    ),
    "allen-cahn-gaussians": Case(
        "Allen-Cahn, by Gaussians",
        *allen_cahn(_pinn_allen_cahn.gaussians, optimize.LevenbergMarquardt(), 4096, 2.5e-4, steps=80, every=20),
        "the same with 80 Gaussians, 4 sums, MLP 1x16 in place of the MLP 3x16",
        1e-4,
    ),
    "advection": Case(
        "Advection, velocity 50, along moving labels",
        convection,
        convected,
        "Lagrangian field, two MLPs 2x8, 256 points, 60 steps of Levenberg-Marquardt by QR",
    ),
    "advection-windows": Case(
        "Advection, velocity 50, in 20 windows of time",
        convection,
        lambda key: windowed(js.equations.Advection(CONVECTION), jnp.sin, (0.0, 2 * np.pi),
                             [k / 20 for k in range(21)], key, width=16, depth=2, points=512, steps=80, waves=1,
                             ramp=lambda elapsed: 20 * elapsed),  # fmt: skip
        "20 windows, each with an MLP 2x16, 512 points, 80 steps of Levenberg-Marquardt",
    ),
    "kdv": Case(
        "Korteweg-de Vries, dispersion 0.022^2, in 10 windows",
        *in_windows(KDV, lambda x: jnp.cos(jnp.pi * x), 1024, 2.5e-4, 10,
                    width=20, depth=4, points=2048, steps=36, every=18, harmonics=3, waves=64),
        "10 windows, each with an MLP 4x20 of three harmonics, 2048 points, 36 steps of Levenberg-Marquardt",
    ),
    "kuramoto-sivashinsky": Case(
        "Kuramoto-Sivashinsky, regular, in 10 windows",
        *in_windows(KURAMOTO, lambda x: -5 * jnp.sin(jnp.pi * x), 512, 1e-4, 10,
                    width=20, depth=3, points=1024, steps=60, every=20, harmonics=2, waves=24),
        "10 windows, each with an MLP 3x20 of two harmonics, 1024 points, 60 steps of Levenberg-Marquardt",
    ),
}
