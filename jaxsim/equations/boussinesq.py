"""Convection and internal waves in the Boussinesq approximation."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..calculus import curl, div, laplacian, partial, pointwise, stack
from ..field import Field
from ._base import Equation
from ._checks import require_components, require_dimension, require_nonnegative
from ._transport import force, stress, velocity, vorticity_transport


class Boussinesq(Equation):
    """Boussinesq flow in a periodic vertical plane, on a uniform background stratification.

    $$\\omega_t + u\\cdot\\nabla\\omega = \\nu\\nabla^2\\omega + \\alpha\\,\\theta_x + \\nabla\\times f$$

    $$\\theta_t + u\\cdot\\nabla\\theta = \\kappa\\nabla^2\\theta - \\Gamma v$$

    The state has two components: vorticity, and the departure $\\theta$ of the temperature from $\\Gamma y$.
    Gravity points along $-y$, the second axis; the mean buoyancy is balanced by a mean pressure gradient.
    Buoyancy and stratification are in `linear`, so that exponential integrators are exact for internal waves,
    $\\omega^2 = \\alpha\\Gamma k_x^2 / k^2$, and for the growth of convection where $\\alpha\\Gamma < 0$. 3
    inverse and 4 forward transforms per right-hand side.

    **Parameters:**

    - `viscosity`, `diffusivity`: $\\nu, \\kappa \\ge 0$, length²/time; in free-fall units $\\sqrt{Pr/Ra}$ and
    $1/\\sqrt{Pr Ra}$.
    - `buoyancy`: $\\alpha$, acceleration per unit of temperature; 1 in free-fall units.
    - `gradient`: $\\Gamma$; positive is stable, -1 drives homogeneous Rayleigh-Benard convection in free-fall
    units.
    - `forcing`: body force, a callable `(t, x, y)` that returns `(2, ...)`.

    Reference: Lohse and Toschi, Phys. Rev. Lett. 90, 034502 (2003).
    """

    viscosity: float | jax.Array
    diffusivity: float | jax.Array
    buoyancy: float | jax.Array = 1.0
    gradient: float | jax.Array = 0.0
    forcing: Callable | None = None

    def __check_init__(self):
        require_nonnegative(self, "viscosity", "diffusivity")

    def linear(self, state: Field):
        w, theta = self._split(state)
        vertical = velocity(w)[1]
        return (
            self.viscosity * laplacian(w) + self.buoyancy * partial(theta, 0),
            self.diffusivity * laplacian(theta) - self.gradient * vertical,
        )

    def nonlinear(self, t, state: Field):
        w, theta = self._split(state)
        flux = pointwise(_products, stack(*velocity(w), theta), degree=2)
        rate, transported = vorticity_transport(flux[:2]), -div(flux[2:])
        f = force(self.forcing, t, w)
        return rate if f is None else rate + curl(f), transported

    def signal_speeds(self, t, state: Field) -> Field:
        w, theta = self._split(state)
        return pointwise(lambda s: s[:2], stack(*velocity(w), theta))  # internal waves are in `linear`

    def _split(self, state):
        require_dimension(self, state, 2)
        require_components(self, state, (2,), "vorticity and temperature")
        return state


def _products(s):
    u, v, theta = s
    return jnp.stack([*stress(u, v), u * theta, v * theta])
