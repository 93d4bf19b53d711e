"""Kuramoto-Sivashinsky equation: spatio-temporal chaos, for the slope and for the height."""

import jax
import jax.numpy as jnp

from ..calculus import grad, laplacian, partial, pointwise
from ..field import Field
from ._base import Equation
from ._checks import require_dimension, require_nonnegative


class KuramotoSivashinsky(Equation):
    """Kuramoto-Sivashinsky equation for the slope (the conservative, or derivative, form).

    $$u_t + \\tfrac12 (u^2)_x = -\\beta\\,u_{xx} - \\gamma\\,u_{xxxx}, \\qquad
      u_t + \\tfrac12 \\nabla |u|^2 = -\\beta \\nabla^2 u - \\gamma \\nabla^4 u$$

    One dimension: a scalar; its mean is conserved; 1 inverse and 1 forward transform per right-hand side. Two
    and three dimensions: the gradient of a height, one component per axis; `KuramotoSivashinskyIntegral`
    evolves that height. A box of length $L$ has about $L / (2\\pi\\sqrt{2})$ unstable wave lengths; chaos
    from $L \\approx 22$.

    **Parameters:**

    - `destabilization`: $\\beta$, length²/time; 1 in scaled units.
    - `hyperviscosity`: $\\gamma \\ge 0$, length⁴/time; 1 in scaled units.

    Reference: Kassam and Trefethen, SIAM J. Sci. Comput. 26, 1214 (2005), eq. (3.1).
    """

    destabilization: float | jax.Array = 1.0
    hyperviscosity: float | jax.Array = 1.0

    def __check_init__(self):
        require_nonnegative(self, "hyperviscosity")

    def linear(self, u: Field) -> Field:
        return _growth(self, u)

    def nonlinear(self, t, u: Field) -> Field:
        dimension = require_dimension(self, u, 1, 2, 3)
        if u.shape != (() if dimension == 1 else (dimension,)):
            raise ValueError(
                "KuramotoSivashinsky evolves a slope: a scalar in one dimension, else one component an axis; "
                f"got components {u.shape} in {dimension}. A height needs KuramotoSivashinskyIntegral."
            )
        if dimension == 1:
            return -0.5 * partial(u * u, 0)
        return -0.5 * grad(pointwise(_square, u, degree=2))

    def signal_speeds(self, t, u: Field) -> Field:
        return u


class KuramotoSivashinskyIntegral(Equation):
    """Kuramoto-Sivashinsky equation for the height (the integral, or gradient, form) in any dimension.

    $$h_t + \\tfrac12 |\\nabla h|^2 = -\\beta \\nabla^2 h - \\gamma \\nabla^4 h$$

    A scalar, such as the position of a flame front; its mean drifts,
    $\\bar h_t = -\\frac12 \\overline{|\\nabla h|^2}$. One inverse transform per axis and 1 forward per
    right-hand side. Its gradient solves `KuramotoSivashinsky`.

    **Parameters:**

    - `destabilization`: $\\beta$, length²/time; 1 in scaled units.
    - `hyperviscosity`: $\\gamma \\ge 0$, length⁴/time; 1 in scaled units.

    Reference: Sivashinsky, Acta Astronaut. 4, 1177 (1977).
    """

    destabilization: float | jax.Array = 1.0
    hyperviscosity: float | jax.Array = 1.0

    def __check_init__(self):
        require_nonnegative(self, "hyperviscosity")

    def linear(self, u: Field) -> Field:
        return _growth(self, u)

    def nonlinear(self, t, u: Field) -> Field:
        if u.shape != ():
            raise ValueError(f"KuramotoSivashinskyIntegral evolves a scalar height; got components {u.shape}.")
        return -0.5 * pointwise(_square, grad(u), degree=2)

    def signal_speeds(self, t, u: Field) -> Field:
        return grad(u)


def _growth(equation, u):
    curvature = laplacian(u)
    return -(equation.destabilization * curvature) - equation.hyperviscosity * laplacian(curvature)


def _square(u):
    return jnp.sum(u * u, 0)
