"""Burgers' equation in one, two and three dimensions."""

import jax
import jax.numpy as jnp

from ..calculus import curl, grad, laplacian, partial, pointwise
from ..field import Field
from ._base import Equation
from ._checks import require_components, require_dimension, require_nonnegative


class Burgers(Equation):
    """Viscous Burgers equation: steepening against diffusion.

    $$u_t + u\\,u_x = \\nu\\,u_{xx}, \\qquad u_t + u\\cdot\\nabla u = \\nu \\nabla^2 u$$

    One dimension: a scalar in conservative form, $-\\frac12 (u^2)_x$; 1 inverse and 1 forward transform per
    right-hand side. Two and three dimensions: a velocity with one component per axis. It has no conservative
    form unless it is a gradient, so $u\\cdot\\nabla u$ is written as
    $\\nabla \\frac12|u|^2 - u\\times(\\nabla\\times u)$, which conserves where the equation does (a curl-free
    flow stays curl-free) and needs fewer products: 3 inverse and 3 forward transforms in the plane instead of
    6 and 2, in space 6 and 4 instead of 12 and 3.

    **Parameters:**

    - `viscosity`: $\\nu \\ge 0$, length²/time; 0.01/π on $[-1, 1]$ in Basdevant et al. Shocks are $\\nu$ over
        their jump wide, and a grid must resolve them.

    References: Burgers, Adv. Appl. Mech. 1, 171 (1948); Basdevant et al., Comput. Fluids 14, 23 (1986).
    """

    viscosity: float | jax.Array

    def __check_init__(self):
        require_nonnegative(self, "viscosity")

    def linear(self, u: Field) -> Field:
        return self.viscosity * laplacian(u)

    def nonlinear(self, t, u: Field) -> Field:
        dimension = require_dimension(self, u, 1, 2, 3)
        if dimension == 1:
            require_components(self, u, (), "the speed, in one dimension")
            return -0.5 * partial(u * u, 0)
        require_components(self, u, (dimension,), "one velocity component per axis")
        products = pointwise(_plane if dimension == 2 else _space, u, curl(u), degree=2)
        return products[1:] - grad(products[0])

    def signal_speeds(self, t, u: Field) -> Field:
        return u


def _plane(u, w):
    return jnp.stack([0.5 * jnp.sum(u * u, 0), u[1] * w, -u[0] * w])


def _space(u, w):
    return jnp.concatenate([0.5 * jnp.sum(u * u, 0, keepdims=True), jnp.cross(u, w, axis=0)])
