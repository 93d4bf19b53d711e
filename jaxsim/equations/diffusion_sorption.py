"""Diffusion through a porous ground whose grains take up what diffuses."""

import jax
import jax.numpy as jnp

from ..calculus import laplacian, pointwise
from ..field import Field
from ..spaces.boundary import Dirichlet, Robin
from ._base import Equation
from ._checks import like, require_components, require_nonnegative, require_positive, require_share


class DiffusionSorption(Equation):
    """Diffusion slowed by sorption on the grains of a porous ground, after Freundlich's isotherm.

    $$u_t = \\frac{D}{R(u)} \\nabla^2 u, \\qquad
      R(u) = 1 + \\frac{1 - \\phi}{\\phi} \\rho_s k n_f (u + \\epsilon)^{n_f - 1}$$

    What is conserved is the amount in the water and on the grains,
    $q(u) = u + \\frac{1 - \\phi}{\\phi} \\rho_s k (u + \\epsilon)^{n_f}$: its derivative is $R$, and
    $q_t = D \\nabla^2 u$. $R$ is steep at zero; below zero, where no concentration is but iterates of solvers may be,
    it is that of zero. The whole right-hand side is in `nonlinear`. It is stiff: take an implicit solver, such as
    `diffrax.Kvaerno5()` with tolerances.

    **Parameters:** (defaults: those of PDEBench)

    - `diffusivity`: $D \\ge 0$, length²/time.
    - `porosity`: $\\phi$ in (0, 1), the share of the volume that is water.
    - `density`: $\\rho_s \\ge 0$, mass of the grains per volume of them.
    - `sorption`: $k \\ge 0$, Freundlich's parameter.
    - `exponent`: $n_f > 0$; 1 for linear sorption, where $R$ is constant.
    - `shift`: $\\epsilon > 0$, which keeps $R$ finite at zero.

    References: Takamoto et al., PDEBench, NeurIPS 2022 (arXiv:2210.07182), appendix on diffusion-sorption; Limousin
    et al., Appl. Geochem. 22, 249 (2007) for isotherms.
    """

    diffusivity: float | jax.Array = 5e-4
    porosity: float | jax.Array = 0.29
    density: float | jax.Array = 2880.0
    sorption: float | jax.Array = 3.5e-4
    exponent: float | jax.Array = 0.874
    shift: float | jax.Array = 1e-6

    def __check_init__(self):
        require_nonnegative(self, "diffusivity", "density", "sorption")
        require_positive(self, "exponent", "shift")
        require_share(self, "porosity")

    def nonlinear(self, t, u: Field) -> Field:
        require_components(self, u, (), "the concentration")
        return self.diffusivity * pointwise(lambda a: 1 / self.retardation(a), u) * laplacian(u)

    def retardation(self, u: jax.Array) -> jax.Array:
        """$R(u)$ of values."""
        power = (jnp.maximum(u, 0) + like(self.shift, u)) ** (like(self.exponent, u) - 1)
        return 1 + like(self._capacity * self.exponent, u) * power

    def amount(self, u: jax.Array) -> jax.Array:
        """$q(u)$ of values: what is dissolved and what the grains hold, per volume of water."""
        shift, exponent = like(self.shift, u), like(self.exponent, u)
        power = (jnp.maximum(u, 0) + shift) ** exponent
        below = exponent * shift ** (exponent - 1) * jnp.minimum(u, 0)
        return u + like(self._capacity, u) * (power + below)

    def column(self, inlet: float | jax.Array = 1.0) -> tuple[tuple[Dirichlet, Robin]]:
        """Conditions of a column on $[0, L]$, as `js.FiniteDifference` takes them: $u = $ `inlet` at the lower end and
        $u + D\\,u_x = 0$ at the upper one.

        The condition at the upper end is that of PDEBench's program, whose value beyond the end is
        $D\\,(u_{N-1} - u_N)/h$. Its paper writes $u = D\\,u_x$, with the other sign: a wall that feeds the column, with
        modes $e^{-(L - x)/D}$ that grow like $e^{t / (R D)}$, and a negative concentration where $u_x < 0$. Both differ
        from $u = 0$ by $D\\,|u_x|$ only.
        """
        return ((Dirichlet(inlet), Robin(1.0, self.diffusivity)),)

    @property
    def _capacity(self):
        return (1 - self.porosity) / self.porosity * self.density * self.sorption
