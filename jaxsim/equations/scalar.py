"""A passive scalar in a flow."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..calculus import curl, div, laplacian, pointwise, stack
from ..field import Field
from ._base import Equation
from ._checks import as_array, require_components, require_dimension, require_nonnegative
from ._transport import force, stress, velocity, vorticity_transport
from .navier_stokes import NavierStokesVorticity


class PassiveScalar(Equation):
    """A scalar, such as dye or temperature, that a flow in the plane carries and does not feel.

    $$\\omega_t + u\\cdot\\nabla\\omega = \\nu\\nabla^2\\omega - \\mu\\,\\omega + \\nabla\\times f, \\qquad
      c_t + u\\cdot\\nabla c = \\kappa \\nabla^2 c - G\\cdot u$$

    The state has two components, vorticity and scalar. Transport is in conservative form, so the mean of the
    scalar changes by a mean flow along $G$ only; 3 inverse and 4 forward transforms per right-hand side.

    **Parameters:**

    - `flow`: a `NavierStokesVorticity`, with its viscosity, drag, force and mean flow.
    - `diffusivity`: $\\kappa \\ge 0$, length²/time; the Schmidt number is $\\nu/\\kappa$.
    - `gradient`: $G$, two numbers: a uniform mean gradient of the scalar, of which $c$ is the departure;
    `None` for none.

    Reference: Warhaft, Annu. Rev. Fluid Mech. 32, 203 (2000).
    """

    flow: NavierStokesVorticity
    diffusivity: float | jax.Array
    gradient: jax.Array | None = eqx.field(default=None, converter=as_array)

    def __check_init__(self):
        if not isinstance(self.flow, NavierStokesVorticity):
            raise TypeError(f"PassiveScalar: `flow` is a NavierStokesVorticity, got {type(self.flow).__name__}.")
        require_nonnegative(self, "diffusivity")
        if self.gradient is not None and jnp.shape(self.gradient) != (2,):
            raise ValueError(
                f"PassiveScalar: `gradient` is two numbers, one per axis; got shape {jnp.shape(self.gradient)}."
            )

    def linear(self, state: Field):
        w, c = self._split(state)
        mixed = self.diffusivity * laplacian(c)
        if self.gradient is not None:
            u, v = velocity(w)
            mixed = mixed - self.gradient[0] * u - self.gradient[1] * v
        return self.flow.linear(w), mixed

    def nonlinear(self, t, state: Field):
        w, c = self._split(state)

        def products(s):
            u, v = self.flow.carried(t, s[:2])
            return jnp.stack([*stress(u, v), u * s[2], v * s[2]])

        flux = pointwise(products, stack(*velocity(w), c), degree=2)
        rate, transported = vorticity_transport(flux[:2]), -div(flux[2:])
        f = force(self.flow.forcing, t, w)
        rate = rate if f is None else rate + curl(f)
        if self.gradient is not None and self.flow.mean_flow is not None:
            transported = transported - jnp.dot(self.gradient, self.flow.mean_flow_at(t))
        return rate, transported

    def signal_speeds(self, t, state: Field) -> Field:
        w, c = self._split(state)
        return pointwise(lambda s: self.flow.carried(t, s[:2]), stack(*velocity(w), c))

    def _split(self, state):
        require_dimension(self, state, 2)
        require_components(self, state, (2,), "vorticity and scalar")
        return state
