"""Phase separation and pattern formation: gradient flows of fourth order in space."""

import jax

from ..calculus import laplacian, pointwise
from ..field import Field
from ._base import Equation
from ._checks import like, require_nonnegative


class CahnHilliard(Equation):
    """Cahn-Hilliard equation: two phases, $u = \\pm 1$, that separate and conserve mass.

    $$u_t = M \\nabla^2 (u^3 - u - \\varepsilon^2 \\nabla^2 u)$$

    Any components, each for itself; 1 inverse and 1 forward transform per right-hand side, on a grid for
    cubic products. The mean is conserved and the energy $\\int \\frac14 (1 - u^2)^2 +
    \\frac{\\varepsilon^2}{2} |\\nabla u|^2$ decays. Waves shorter than $2\\pi\\varepsilon$ are stable around
    $u = 0$.

    **Parameters:**

    - `mobility`: $M \\ge 0$, length²/time.
    - `width`: $\\varepsilon \\ge 0$, length; walls $\\tanh(x / \\sqrt2\\varepsilon)$ need about 4 nodes per
    $\\varepsilon$.

    Reference: Cahn and Hilliard, J. Chem. Phys. 28, 258 (1958).
    """

    mobility: float | jax.Array = 1.0
    width: float | jax.Array = 0.1

    def __check_init__(self):
        require_nonnegative(self, "mobility", "width")

    def linear(self, u: Field) -> Field:
        curvature = laplacian(u)
        return -self.mobility * (curvature + self.width**2 * laplacian(curvature))

    def nonlinear(self, t, u: Field) -> Field:
        return self.mobility * laplacian(pointwise(lambda a: a * a * a, u, degree=3))


class SwiftHohenberg(Equation):
    """Swift-Hohenberg equation: stripes and hexagons of one wave length.

    $$u_t = r u - (q^2 + \\nabla^2)^2 u + g u^2 - u^3$$

    Any components, each for itself; 1 inverse and 1 forward transform per right-hand side, on a grid for
    cubic products. The functional $\\int -\\frac r2 u^2 + \\frac12 [(q^2 + \\nabla^2) u]^2 - \\frac g3 u^3 +
    \\frac14 u^4$ decays.

    **Parameters:**

    - `growth`: $r$, 1/time; patterns for $r > 0$ (0.1 to 1).
    - `wave_number`: $q$, 1/length; patterns have the wave length $2\\pi/q$.
    - `quadratic`: $g$; hexagons for $g$ around 1 and small $r$, stripes for 0.

    Reference: Swift and Hohenberg, Phys. Rev. A 15, 319 (1977); Cross and Hohenberg, Rev. Mod. Phys. 65, 851
    (1993).
    """

    growth: float | jax.Array = 0.3
    wave_number: float | jax.Array = 1.0
    quadratic: float | jax.Array = 0.0

    def linear(self, u: Field) -> Field:
        shifted = self.wave_number**2 * u + laplacian(u)
        return self.growth * u - self.wave_number**2 * shifted - laplacian(shifted)

    def nonlinear(self, t, u: Field) -> Field:
        return pointwise(lambda a: (like(self.quadratic, a) - a) * a * a, u, degree=3)
