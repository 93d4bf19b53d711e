"""Magnetohydrodynamics in the plane."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ..calculus import curl, inverse_laplacian, laplacian, partial, pointwise, stack
from ..field import Field
from ._base import Equation
from ._checks import as_array, like, require_components, require_dimension, require_nonnegative
from ._transport import force, stress, velocity, vorticity_transport


class Magnetohydrodynamics(Equation):
    """Incompressible magnetohydrodynamics in the plane, by vorticity and magnetic potential.

    $$\\omega_t + u\\cdot\\nabla\\omega = B\\cdot\\nabla j + \\nu\\nabla^2\\omega + \\nabla\\times f, \\qquad
      a_t + u\\cdot\\nabla a = \\eta\\nabla^2 a$$

    $$B = B_0 + (a_y, -a_x), \\qquad j = -\\nabla^2 a$$

    The state has two components $(\\omega, a)$; the magnetic field is in units of velocity (Alfvén). The
    coupling by the mean field $B_0$ is in `linear`, so exponential integrators are exact for Alfvén waves of
    frequency $B_0\\cdot k$. Reynolds and Maxwell stresses are transformed together: 4 inverse and 3 forward
    transforms per right-hand side. $\\frac12\\int |u|^2 + |B|^2$ changes by $-\\int \\nu\\omega^2 + \\eta
    j^2$.

    **Parameters:**

    - `viscosity`: $\\nu \\ge 0$, length²/time.
    - `resistivity`: $\\eta \\ge 0$, length²/time; the magnetic Prandtl number is $\\nu/\\eta$.
    - `mean_field`: $B_0$, two numbers, length/time; `None` for zero.
    - `forcing`: body force, a callable `(t, x, y)` that returns `(2, ...)`.

    Reference: Biskamp, Magnetohydrodynamic Turbulence (2003), section 2.1; Orszag and Tang, J. Fluid Mech.
    90, 129 (1979).
    """

    viscosity: float | jax.Array
    resistivity: float | jax.Array
    mean_field: jax.Array | None = eqx.field(default=None, converter=as_array)
    forcing: Callable | None = None

    def __check_init__(self):
        require_nonnegative(self, "viscosity", "resistivity")
        if self.mean_field is not None and jnp.shape(self.mean_field) != (2,):
            raise ValueError(
                "Magnetohydrodynamics: `mean_field` is two numbers, one per axis; "
                f"got shape {jnp.shape(self.mean_field)}."
            )

    def linear(self, state: Field):
        w, a = self._split(state)
        rate, induced = self.viscosity * laplacian(w), self.resistivity * laplacian(a)
        if self.mean_field is None:
            return rate, induced
        return rate - self._along(laplacian(a)), induced - self._along(inverse_laplacian(w))

    def nonlinear(self, t, state: Field):
        w, a = self._split(state)
        flux = pointwise(_products, stack(*velocity(w), *curl(a)), degree=2)
        rate = vorticity_transport(flux[:2])
        f = force(self.forcing, t, w)
        return rate if f is None else rate + curl(f), flux[2]

    def signal_speeds(self, t, state: Field) -> Field:
        w, a = self._split(state)
        return pointwise(self._elsasser, stack(*velocity(w), *curl(a)))

    def _elsasser(self, s):
        """The speeds of Alfvén waves in a flow, with the mean field."""
        field = s[2:] if self.mean_field is None else s[2:] + like(self.mean_field, s)
        return jnp.abs(s[:2]) + jnp.abs(field)

    def _along(self, u):
        """Derivative along the mean field, $B_0\\cdot\\nabla u$."""
        return self.mean_field[0] * partial(u, 0) + self.mean_field[1] * partial(u, 1)

    def _split(self, state):
        require_dimension(self, state, 2)
        require_components(self, state, (2,), "vorticity and magnetic potential")
        return state


def _products(s):
    u, v, b, c = s
    reynolds, maxwell = stress(u, v), stress(b, c)
    return jnp.stack([reynolds[0] - maxwell[0], reynolds[1] - maxwell[1], u * c - v * b])
