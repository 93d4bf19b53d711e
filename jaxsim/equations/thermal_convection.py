"""Flow that is driven by differences of temperature, by velocity and temperature."""

from collections.abc import Callable

import jax

from ..calculus import advect, convection, directed, laplacian, project
from ..field import Field
from ..spaces import Staggered
from ._base import Equation
from ._checks import is_periodic, require_components, require_dimension, require_nonnegative
from ._transport import force, resolve


class ThermalConvection(Equation):
    """Boussinesq flow by velocity and temperature: heated rooms, convection cells, plumes.

    $$u_t = P\\,[-u\\cdot\\nabla u + \\alpha\\,\\theta\\,e + f\\,] + \\nu\\nabla^2 u, \\qquad
      \\theta_t + u\\cdot\\nabla\\theta = \\kappa\\nabla^2\\theta$$

    The state is the pair $(u, \\theta)$: a velocity with one component per axis in two or three dimensions, and a
    scalar field. Buoyancy acts along the last axis, $e$; gravity points against it. Between walls the velocity
    lives on a `js.Staggered` space and the temperature on one made by its `scalar`, with the conditions of the
    walls (`Dirichlet` for their temperature, `Neumann` for the heat that they let through); on a periodic box both
    on the same space. A run begins with the projection of the velocity that it is given, and between walls every step
    ends with one.

    **Parameters:**

    - `viscosity`, `diffusivity`: $\\nu, \\kappa \\ge 0$, length²/time. In units of the height, its temperature
        difference and the time of diffusion of heat they are $Pr$ and 1; in free-fall units $\\sqrt{Pr/Ra}$ and
        $1/\\sqrt{Pr Ra}$.
    - `buoyancy`: $\\alpha$, acceleration per unit of temperature: $Pr\\,Ra$, or 1 in free-fall units.
    - `forcing`: body force, a callable `(t, x, ...)` that returns one component per axis.

    Reference: Chandrasekhar, Hydrodynamic and Hydromagnetic Stability (1961), section II.8.
    """

    viscosity: float | jax.Array
    diffusivity: float | jax.Array
    buoyancy: float | jax.Array = 1.0
    forcing: Callable | None = None

    def __check_init__(self):
        require_nonnegative(self, "viscosity", "diffusivity")

    def linear(self, state):
        u, temperature = self._split(state)
        return self.viscosity * laplacian(u), self.diffusivity * laplacian(temperature)

    def nonlinear(self, t, state):
        u, temperature = self._split(state)
        rate = self._acceleration(t, u, temperature)
        return project(resolve(rate, u), beside=self.viscosity * laplacian(u)), -advect(u, temperature)

    def _acceleration(self, t, u: Field, temperature: Field) -> Field:
        up = [0.0] * (u.space.dimension - 1) + [self.buoyancy]
        rate = directed(temperature, up, u) - convection(u)
        f = force(self.forcing, t, u)
        return rate if f is None else rate + f

    def constrain(self, state):
        u, temperature = self._split(state)
        return project(u), temperature

    def tangent(self, rate):
        u, temperature = self._split(rate)
        return super().tangent(rate) if isinstance(u.space, Staggered) else (project(u), temperature)

    def signal_speeds(self, t, state) -> Field:
        return self._split(state)[0]

    def drifts(self, state) -> bool:
        return not is_periodic(self._split(state)[0])

    def right_hand_side(self, t, state):
        u, temperature = self._split(state)
        if not isinstance(u.space, Staggered):
            return super().right_hand_side(t, state)
        spread = self.diffusivity * laplacian(temperature)
        rate = self._acceleration(t, u, temperature) + self.viscosity * laplacian(u)
        return project(rate), spread - advect(u, temperature)

    def _split(self, state):
        if isinstance(state, Field) or len(state) != 2:
            raise TypeError("ThermalConvection: the state is a pair of fields, (velocity, temperature).")
        u, temperature = state
        dimension = require_dimension(self, u, 2, 3)
        require_components(self, u, (dimension,), "the velocity")
        require_components(self, temperature, (), "the temperature")
        return u, temperature
