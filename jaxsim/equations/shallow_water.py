"""Rotating shallow water."""

import jax
import jax.numpy as jnp

from ..calculus import div, grad, laplacian, partial, pointwise, stack
from ..field import Field
from ._base import Equation
from ._checks import like, require_components, require_dimension, require_nonnegative, require_positive


class ShallowWater(Equation):
    """Rotating shallow-water equations on a periodic plane with a flat bottom.

    $$h_t + H\\,\\nabla\\cdot u + \\nabla\\cdot(h u) = 0$$

    $$u_t + u\\cdot\\nabla u + f\\,\\hat z\\times u = -g\\nabla h + \\nu\\nabla^2 u - \\mu\\,u$$

    The state has three components: the surface elevation $h$ over the mean depth $H$, and the velocity.
    Gravity waves, rotation, viscosity and drag are in `linear`, a 3-by-3 matrix per mode, so exponential
    integrators are exact for Poincaré waves, $\\omega^2 = f^2 + g H k^2$, and keep linear geostrophic
    balance. Advection is written as $\\nabla\\frac12|u|^2 + \\zeta\\,\\hat z\\times u$; 4 inverse and 5
    forward transforms per right-hand side. The mass $\\int h$ is conserved; without viscosity and drag so is
    the energy $\\frac12\\int (H + h)|u|^2 + g h^2$ of resolved flows. There is no treatment of shocks or of a
    dry bottom, $H + h = 0$.

    **Parameters:**

    - `depth`: $H > 0$, length.
    - `gravity`: $g > 0$, length/time².
    - `rotation`: Coriolis parameter $f$, 1/time; 1e-4 /s at middle latitudes.
    - `viscosity`: $\\nu \\ge 0$, length²/time.
    - `drag`: $\\mu \\ge 0$, 1/time.

    Reference: Vallis, Atmospheric and Oceanic Fluid Dynamics (2017), section 3.1.
    """

    depth: float | jax.Array = 1.0
    gravity: float | jax.Array = 1.0
    rotation: float | jax.Array = 0.0
    viscosity: float | jax.Array = 0.0
    drag: float | jax.Array = 0.0

    def __check_init__(self):
        require_positive(self, "depth", "gravity")
        require_nonnegative(self, "viscosity", "drag")

    def linear(self, state: Field):
        h, u, v = self._split(state)
        return (
            -self.depth * (partial(u, 0) + partial(v, 1)),
            self.rotation * v - self.gravity * partial(h, 0) + self._damping(u),
            -self.rotation * u - self.gravity * partial(h, 1) + self._damping(v),
        )

    def nonlinear(self, t, state: Field):
        h, u, v = self._split(state)
        spin = partial(v, 0) - partial(u, 1)
        products = pointwise(_products, stack(h, u, v, spin), degree=2)
        kinetic = grad(products[4])
        return -div(products[:2]), products[2] - kinetic[0], products[3] - kinetic[1]

    def signal_speeds(self, t, state: Field) -> Field:
        h, u, v = self._split(state)

        def fastest(s):
            depth = jnp.maximum(like(self.depth, s[0]) + s[0], 0)
            return jnp.abs(s[1:]) + jnp.sqrt(like(self.gravity, s[0]) * depth)

        return pointwise(fastest, stack(h, u, v))

    def _damping(self, u):
        return self.viscosity * laplacian(u) - self.drag * u

    def _split(self, state):
        require_dimension(self, state, 2)
        require_components(self, state, (3,), "elevation and the two velocities")
        return state


def _products(s):
    h, u, v, spin = s
    return jnp.stack([h * u, h * v, spin * v, -spin * u, 0.5 * (u * u + v * v)])
