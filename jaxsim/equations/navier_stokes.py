"""Incompressible flow: by vorticity in the plane, by velocity in two and three dimensions."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ..calculus import advect, convection, curl, div, dot, grad, laplacian, mean, pointwise, potential, project, stack
from ..field import Field
from ..spaces import Callables, Staggered
from ._base import Equation
from ._checks import as_array, is_periodic, like, require_components, require_dimension, require_nonnegative
from ._transport import force, resolve, stress, velocity, vorticity, vorticity_transport
from .obstacle import Obstacle

__all__ = ["NavierStokesPressure", "NavierStokesVelocity", "NavierStokesVorticity", "velocity", "vorticity"]


class NavierStokesVorticity(Equation):
    """Incompressible Navier-Stokes flow in the plane, by its vorticity.

    $$\\omega_t + (U + u)\\cdot\\nabla\\omega = \\nu \\nabla^2\\omega - \\mu\\,\\omega + \\nabla\\times f,
      \\qquad \\nabla^2\\psi = -\\omega,\\; u = (\\psi_y, -\\psi_x)$$

    Between walls it is refused, since the vorticity on them is unknown: see `NavierStokesVelocity`.

    The vorticity does not know the mean velocity $U$. There are two ways to say what it is:

    - The state is the scalar field $\\omega$: then $U(t) = U_0 e^{-\\mu t}$ with $U_0$ the `mean_flow` at
        $t = 0$. The mean of the force, if it has one, is taken to be balanced by a mean pressure gradient, as
        in a vessel: only the curl of the force enters.
    - The state is the pair $(\\omega, U)$, with $U$ a field of two uniform components: then
        $U_t = -\\mu U + \\bar f(t)$ is integrated along with the vorticity, and the flow is that of
        `NavierStokesVelocity` for any force.

    The products are those of Basdevant (1983): 2 inverse and 2 forward transforms of scalars per right-hand
    side, with or without a mean flow, and 2 forward transforms more for a force.

    **Parameters:**

    - `viscosity`: kinematic viscosity $\\nu \\ge 0$, length²/time; the inverse Reynolds number in scaled
        units (1e-2 to 1e-5).
    - `drag`: linear (Rayleigh, Ekman) drag $\\mu \\ge 0$, 1/time; 0.1 in the Kolmogorov flow of Kochkov et
        al. (2021).
    - `forcing`: body force, a callable `(t, x, y)` that returns `(2, ...)`, such as `kolmogorov(4)`.
    - `mean_flow`: the velocity $U_0$, two numbers, zero when not given.

    Reference: Basdevant, J. Comput. Phys. 50, 209 (1983), doi:10.1016/0021-9991(83)90064-5.
    """

    viscosity: float | jax.Array
    drag: float | jax.Array = 0.0
    forcing: Callable | None = None
    mean_flow: jax.Array | None = eqx.field(default=None, converter=as_array)

    def __check_init__(self):
        require_nonnegative(self, "viscosity", "drag")
        if self.mean_flow is not None and jnp.shape(self.mean_flow) != (2,):
            raise ValueError(
                "NavierStokesVorticity: `mean_flow` is two numbers, one per axis; "
                f"got shape {jnp.shape(self.mean_flow)}."
            )

    def linear(self, state):
        w, mean_flow = self._split(state)
        damped = self.viscosity * laplacian(w) - self.drag * w
        return damped if mean_flow is None else (damped, -self.drag * mean_flow)

    def nonlinear(self, t, state):
        w, mean_flow = self._split(state)
        f = force(self.forcing, t, w)
        rate = vorticity_transport(pointwise(self.products(t), self.velocity(state), degree=2))
        rate = rate if f is None else rate + curl(f)
        if mean_flow is None:
            return rate
        return rate, 0 * mean_flow if f is None else _uniform(mean(f), mean_flow)

    def velocity(self, state) -> Field:
        """Velocity of a state, with the mean flow where the state has it and without where it has not."""
        w, mean_flow = self._split(state)
        return velocity(w) if mean_flow is None else velocity(w) + mean_flow

    def signal_speeds(self, t, state) -> Field:
        u = self.velocity(state)
        return u if self.mean_flow is None else pointwise(lambda v: self.carried(t, v), u)

    def products(self, t) -> Callable:
        """The products of a right-hand side, as a function of the nodal velocity of the state."""
        return lambda u: jnp.stack(stress(*self.carried(t, u)))

    def carried(self, t, u: jax.Array) -> jax.Array:
        """Nodal velocity with the parametric mean flow, which linear drag has slowed down."""
        return u if self.mean_flow is None else u + like(self.mean_flow_at(t), u)

    def mean_flow_at(self, t) -> jax.Array:
        """The parametric mean flow at a time, $U_0 e^{-\\mu t}$."""
        return self.mean_flow * jnp.exp(-self.drag * t)

    def _split(self, state):
        w, mean_flow = (state, None) if isinstance(state, Field) else state
        require_dimension(self, w, 2)
        require_components(self, w, (), "the vorticity (see js.equations.vorticity)")
        if mean_flow is not None:
            require_components(self, mean_flow, (2,), "the mean velocity, as the second field of the state")
            if self.mean_flow is not None:
                raise ValueError(
                    "NavierStokesVorticity: the mean flow is given twice; leave out `mean_flow`, or the "
                    "second field of the state."
                )
        return w, mean_flow


class NavierStokesVelocity(Equation):
    """Incompressible Navier-Stokes flow in two or three dimensions, by its velocity.

    $$u_t = P\\,[-u\\cdot\\nabla u + \\nu \\nabla^2 u - \\mu\\,u + f\\,]$$

    $P$ is the projection on divergence-free fields (`js.project`), which stands for the pressure. Convection takes
    the form that suits the space (`js.convection`): rotational on periodic boxes, with 3 inverse and 2 forward
    transforms of scalars per right-hand side in the plane, 6 and 3 in space; fluxes through faces on a
    `js.Staggered` grid, whose sides may be walls, inflow and outflow.

    The state has one component per axis, and its mean is part of it. A run begins with the projection of the state that
    it is given: what has divergence is no flow of this equation, and is left out. Between walls every step ends with a
    projection too; on periodic boxes steps make no divergence by themselves.

    **Parameters:**

    - `viscosity`: kinematic viscosity $\\nu \\ge 0$, length²/time (1/1600 for the Taylor-Green vortex of unit
        size and speed).
    - `drag`: linear drag $\\mu \\ge 0$, 1/time.
    - `forcing`: body force, a callable `(t, x, ...)` that returns one component per axis.
    - `obstacle`: a `js.equations.Obstacle` in the flow.

    Reference: Canuto, Hussaini, Quarteroni and Zang, Spectral Methods (2007), section 3.3.
    """

    viscosity: float | jax.Array
    drag: float | jax.Array = 0.0
    forcing: Callable | None = None
    obstacle: Obstacle | None = None

    def __check_init__(self):
        require_nonnegative(self, "viscosity", "drag")

    def linear(self, u: Field) -> Field:
        dimension = require_dimension(self, u, 2, 3)
        require_components(self, u, (dimension,), "the velocity")
        return self.viscosity * laplacian(u) - self.drag * u

    def nonlinear(self, t, u: Field) -> Field:
        return project(resolve(self.acceleration(t, u), u), beside=self.linear(u))

    def right_hand_side(self, t, u: Field) -> Field:
        if not isinstance(u.space, Staggered):
            return super().right_hand_side(t, u)
        return project(self.acceleration(t, u) + self.linear(u))

    def acceleration(self, t, u: Field) -> Field:
        """What accelerates the fluid beside viscosity, drag and pressure: convection, body force, obstacle."""
        dimension = require_dimension(self, u, 2, 3)
        require_components(self, u, (dimension,), "the velocity")
        rate = -convection(u)
        f = force(self.forcing, t, u)
        rate = rate if f is None else rate + f
        return rate if self.obstacle is None else rate + self.obstacle.drag(t, u)

    def pressure(self, t, u: Field) -> Field:
        """The pressure over the density, a scalar; of zero mean where no side of the box is open."""
        head = potential(self.acceleration(t, u) + self.linear(u))
        return head if isinstance(u.space, Staggered) else head - 0.5 * dot(u, u)  # rotational form: with the energy

    def check(self, u: Field) -> None:
        if self.obstacle is not None:
            self.obstacle.check(u)

    def constrain(self, u: Field) -> Field:
        return project(u)

    def tangent(self, rate: Field) -> Field:
        return super().tangent(rate) if isinstance(rate.space, Staggered) else project(rate)  # there steps end on it

    def signal_speeds(self, t, u: Field) -> Field:
        return u

    def drifts(self, u: Field) -> bool:
        return not is_periodic(u)  # there projection commutes with diffusion, and slopes have no divergence


class NavierStokesPressure(Equation):
    """Incompressible Navier-Stokes flow by velocity and pressure: a residual, for networks and exact solutions.

    $$u_t + u\\cdot\\nabla u + \\nabla p - \\nu\\nabla^2 u + \\mu\\,u - f = 0, \\qquad \\nabla\\cdot u = 0$$

    The state has $d + 1$ components, the velocity and then the pressure over the density. Nothing is inverted, so it
    takes a `js.Function` in two or three dimensions, where the other two forms need a periodic grid; on a grid it is
    the residual of steady flow. The pressure has no rate of change, so it does not march in time: integrate
    `NavierStokesVelocity` or `NavierStokesVorticity`.

    **Parameters:** those of `NavierStokesVelocity`.

    Reference: Batchelor, An Introduction to Fluid Dynamics (1967), section 3.3.
    """

    viscosity: float | jax.Array
    drag: float | jax.Array = 0.0
    forcing: Callable | None = None

    def __check_init__(self):
        require_nonnegative(self, "viscosity", "drag")

    def residual(self, t, state: Field) -> Field:
        dimension = require_dimension(self, state, 2, 3)
        require_components(self, state, (dimension + 1,), "the velocity and the pressure")
        u, pressure = state[:dimension], state[dimension]
        left = advect(u, u) + grad(pressure) - self.viscosity * laplacian(u) + self.drag * u
        if isinstance(u.space, Callables):
            left = left + u.space.rate(u)
        f = force(self.forcing, t, u)
        left = left if f is None else left - f
        return stack(*left, div(u))


def _uniform(value: jax.Array, u: Field) -> Field:
    """The field with the same two components everywhere."""
    return u.space.field(lambda *x: jnp.reshape(value, (2,) + (1,) * x[0].ndim) * jnp.ones_like(x[0], value.dtype))
