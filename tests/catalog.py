"""One member of every equation in the catalog, with a smooth state for it: shared by the tests of the catalog."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import equations as eq

TWO_PI = 2 * np.pi


def space(dimension, real=True, nodes=12):
    return js.Fourier(js.Grid((nodes, nodes + 2, nodes)[:dimension], 0.0, TWO_PI), real=real)


def wave_sum(dimension, components=(), seed=0, complex_values=False):
    """A callable of `(t, x, ...)`: random waves of whole wave numbers up to 2, with an oscillation in time."""
    rng = np.random.default_rng(seed)
    count = int(np.prod(components))
    waves = rng.integers(-2, 3, (3, dimension))
    amplitudes = rng.normal(size=(count, 3)) / 3
    phases = rng.uniform(0, TWO_PI, (count, 3))
    offsets = rng.normal(size=count) / 3
    second = rng.normal(size=(count, 3)) / 3 if complex_values else None

    def function(t, *x):
        angles = [sum(int(k) * c for k, c in zip(wave, x)) for wave in waves]
        values = []
        for i in range(count):
            value = offsets[i] * jnp.ones_like(angles[0])
            for j, angle in enumerate(angles):
                value = value + amplitudes[i, j] * jnp.cos(angle + phases[i, j] + 0.3 * t)
                if second is not None:
                    value = value + 1j * second[i, j] * jnp.sin(angle - phases[i, j])
            values.append(value)
        return jnp.stack(values).reshape(*components, *values[0].shape)

    return function


# name: (equation, dimension, components, complex values, polynomial degree)
LOCAL = {
    "advection": (eq.Advection(0.7), 1, (), False, 1),
    "advection per axis": (eq.Advection((0.7, -0.2)), 2, (), False, 1),
    "diffusion": (eq.Diffusion(0.3), 3, (), False, 1),
    "diffusion per axis": (eq.Diffusion((0.3, 0.1)), 2, (2,), False, 1),
    "advection-diffusion": (eq.AdvectionDiffusion((0.7, -0.2), 0.1), 2, (), False, 1),
    "dispersion": (eq.Dispersion(0.4), 2, (), False, 1),
    "hyperdiffusion": (eq.Hyperdiffusion(0.1, power=3), 1, (), False, 1),
    "wave": (eq.Wave(1.3), 2, (2,), False, 1),
    "Klein-Gordon": (eq.KleinGordon(1.3, 0.6), 1, (2,), False, 1),
    "Klein-Gordon, cubic": (eq.KleinGordon(1.3, 0.6, 0.9), 1, (2,), False, 3),
    "Burgers 1": (eq.Burgers(0.1), 1, (), False, 2),
    "Burgers 2": (eq.Burgers(0.1), 2, (2,), False, 2),
    "Burgers 3": (eq.Burgers(0.1), 3, (3,), False, 2),
    "Korteweg-de Vries": (eq.KortewegDeVries(6.0, 0.7, 0.05), 1, (), False, 2),
    "nonlinear Schrödinger": (eq.NonlinearSchrodinger(0.5, 1.2), 2, (), True, 3),
    "Ginzburg-Landau": (eq.ComplexGinzburgLandau(1.5, -0.8, 0.9), 2, (), True, 3),
    "Kuramoto-Sivashinsky": (eq.KuramotoSivashinsky(), 1, (), False, 2),
    "Kuramoto-Sivashinsky 2": (eq.KuramotoSivashinsky(0.9, 0.8), 2, (2,), False, 2),
    "Kuramoto-Sivashinsky, integral": (eq.KuramotoSivashinskyIntegral(0.9, 0.8), 2, (), False, 2),
    "Fisher": (eq.FisherKPP(0.1, 1.5), 2, (), False, 2),
    "Allen-Cahn": (eq.AllenCahn(0.1, 1.5), 2, (), False, 3),
    "Gray-Scott": (eq.GrayScott(0.2, 0.1), 2, (2,), False, 3),
    "Brusselator": (eq.Brusselator(0.2, 0.1, 1.1, 2.5), 2, (2,), False, 3),
    "reversible reaction": (eq.ReversibleReaction(0.7, 0.9, 1.1, 0.2, 0.5, 0.6, 0.4, 1.3, 0.8), 2, (3,), False, 2),
    "FitzHugh-Nagumo": (eq.FitzHughNagumo(0.2, 0.05, stimulus=0.5), 2, (2,), False, 3),
    "Cahn-Hilliard": (eq.CahnHilliard(0.7, 0.3), 2, (), False, 3),
    "Swift-Hohenberg": (eq.SwiftHohenberg(0.4, 1.1, 0.6), 2, (), False, 3),
    "shallow water": (eq.ShallowWater(1.2, 0.9, 0.5, 0.05, 0.1), 2, (3,), False, 2),
}

_force = eq.kolmogorov(2.0, 0.4) + eq.band_limited(jax.random.key(1), 1, 2, modes=3)
_flow = eq.NavierStokesVorticity(0.05, 0.1, _force, (0.3, -0.2))
NONLOCAL = {
    "vorticity": (_flow, 2, (), False, 2),
    "velocity 2": (eq.NavierStokesVelocity(0.05, 0.1, _force), 2, (2,), False, 2),
    "velocity 3": (eq.NavierStokesVelocity(0.05, 0.1, eq.kolmogorov(1.0, 0.4)), 3, (3,), False, 2),
    "passive scalar": (eq.PassiveScalar(_flow, 0.02, (0.5, 1.0)), 2, (2,), False, 2),
    "Boussinesq": (eq.Boussinesq(0.05, 0.02, 1.5, -0.7, _force), 2, (2,), False, 2),
    "magnetohydrodynamics": (eq.Magnetohydrodynamics(0.05, 0.02, (0.3, 0.4), _force), 2, (2,), False, 2),
}
ALL = LOCAL | NONLOCAL


def state(name, nodes=14):
    """A field for the equation, resolved so well that its products are exact."""
    equation, dimension, components, complex_values, degree = ALL[name]
    function = wave_sum(dimension, components, seed=len(name), complex_values=complex_values)
    u = space(dimension, not complex_values, nodes).for_degree(degree).field(lambda *x: function(0.0, *x))
    return js.project(u) if isinstance(equation, eq.NavierStokesVelocity) else u
