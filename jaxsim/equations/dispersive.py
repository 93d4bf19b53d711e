"""Waves with dispersion: Korteweg-de Vries, nonlinear Schrödinger, complex Ginzburg-Landau."""

import jax
import jax.numpy as jnp

from ..calculus import laplacian, partial, pointwise
from ..field import Field
from ._base import Equation
from ._checks import require_complex, require_components, require_dimension, require_nonnegative


class KortewegDeVries(Equation):
    """Korteweg-de Vries equation: shallow-water solitons in one dimension.

    $$u_t + a\\,u\\,u_x + \\delta\\,u_{xxx} = \\nu\\,u_{xx}$$

    A scalar in one dimension; 1 inverse and 1 forward transform per right-hand side.

    **Parameters:**

    - `nonlinearity`: $a$; 6 for the soliton form, 1 for Zabusky and Kruskal.
    - `dispersion`: $\\delta$, length³/time; 1 for the soliton form, 0.022² for Zabusky and Kruskal.
    - `viscosity`: $\\nu \\ge 0$, length²/time; 0 for the integrable equation.

    Solution: `js.initial.kdv_soliton`. Reference: Zabusky and Kruskal, Phys. Rev. Lett. 15, 240 (1965).
    """

    nonlinearity: float | jax.Array = 6.0
    dispersion: float | jax.Array = 1.0
    viscosity: float | jax.Array = 0.0

    def __check_init__(self):
        require_nonnegative(self, "viscosity")

    def linear(self, u: Field) -> Field:
        require_dimension(self, u, 1)
        return self.viscosity * laplacian(u) - self.dispersion * partial(u, 0, 3)

    def nonlinear(self, t, u: Field) -> Field:
        require_components(self, u, (), "the surface elevation")
        return (-0.5 * self.nonlinearity) * partial(u * u, 0)

    def signal_speeds(self, t, u: Field) -> Field:
        return self.nonlinearity * u  # dispersion is in `linear`


class NonlinearSchrodinger(Equation):
    """Cubic nonlinear Schrödinger (Gross-Pitaevskii without trap) equation for a complex scalar.

    $$i\\,\\psi_t + \\alpha \\nabla^2\\psi + \\gamma |\\psi|^2 \\psi = 0$$

    Needs `js.Fourier(grid, real=False)`. One complex transform each way per right-hand side, on a grid for
    cubic products. Mass $\\int|\\psi|^2$ and energy
    $\\int \\alpha|\\nabla\\psi|^2 - \\frac{\\gamma}{2}|\\psi|^4$ are conserved.

    **Parameters:**

    - `dispersion`: $\\alpha$, length²/time; 1/2 in scaled units.
    - `nonlinearity`: $\\gamma$; positive focuses (bright solitons), negative defocuses.

    Solution: `js.initial.nls_soliton`. Reference: Zakharov and Shabat, Sov. Phys. JETP 34, 62 (1972).
    """

    dispersion: float | jax.Array = 0.5
    nonlinearity: float | jax.Array = 1.0

    def linear(self, u: Field) -> Field:
        require_complex(self, u)
        return 1j * (self.dispersion * laplacian(u))

    def nonlinear(self, t, u: Field) -> Field:
        require_complex(self, u)
        return 1j * (self.nonlinearity * pointwise(_cubic, u, degree=3))


class ComplexGinzburgLandau(Equation):
    """Complex Ginzburg-Landau equation: oscillating media near onset.

    $$A_t = r A + (1 + i b) \\nabla^2 A - (1 + i c) |A|^2 A$$

    Needs `js.Fourier(grid, real=False)`. One complex transform each way per right-hand side, on a grid for
    cubic products. Plane waves $\\sqrt{r - k^2}\\,e^{i(kx - \\omega t)}$, $\\omega = b k^2 + c (r - k^2)$,
    are solutions; all are unstable where $1 + bc < 0$ (Benjamin-Feir).

    **Parameters:**

    - `linear_dispersion`: $b$ (0 to 2).
    - `nonlinear_dispersion`: $c$ (-2 to 2).
    - `growth`: $r$, 1/time; 1 in scaled units.

    Reference: Aranson and Kramer, Rev. Mod. Phys. 74, 99 (2002), eq. (1).
    """

    linear_dispersion: float | jax.Array = 0.0
    nonlinear_dispersion: float | jax.Array = 0.0
    growth: float | jax.Array = 1.0

    def linear(self, u: Field) -> Field:
        require_complex(self, u)
        diffused = laplacian(u)
        return self.growth * u + diffused + 1j * (self.linear_dispersion * diffused)

    def nonlinear(self, t, u: Field) -> Field:
        require_complex(self, u)
        saturation = pointwise(_cubic, u, degree=3)
        return -saturation - 1j * (self.nonlinear_dispersion * saturation)


def _cubic(a):
    return (jnp.real(a) ** 2 + jnp.imag(a) ** 2) * a
