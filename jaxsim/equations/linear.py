"""Linear equations with constant coefficients: exponential integrators solve them to rounding in one step.

All act on every component for itself, and take no transform of products.
"""

import equinox as eqx
import jax

from ..calculus import laplacian, partial, sum_fields
from ..field import Field
from ._base import Equation
from ._checks import as_array, require_nonnegative, require_per_axis


class Advection(Equation):
    """Transport by a uniform velocity.

    $$u_t + c\\cdot\\nabla u = 0$$

    **Parameters:**

    - `velocity`: $c$, length/time; one number for all axes or one per axis.

    Solution: $u_0(x - ct)$.
    """

    velocity: jax.Array = eqx.field(converter=as_array)

    def linear(self, u: Field) -> Field:
        return -_transport(self, u)

    def signal_speeds(self, t, u: Field) -> list[jax.Array]:
        return [_entry(self.velocity, axis) for axis in range(u.space.dimension)]


class Diffusion(Equation):
    """Diffusion, isotropic or along the axes.

    $$u_t = \\sum_i D_i\\, \\partial_i^2 u$$

    **Parameters:**

    - `diffusivity`: $D \\ge 0$, length²/time; one number, or one per axis.

    Reference: Crank, The Mathematics of Diffusion (1975), section 1.4.
    """

    diffusivity: jax.Array = eqx.field(converter=as_array)

    def __check_init__(self):
        require_nonnegative(self, "diffusivity")

    def linear(self, u: Field) -> Field:
        return _diffusion(self, u)


class AdvectionDiffusion(Equation):
    """Transport by a uniform velocity with diffusion.

    $$u_t + c\\cdot\\nabla u = \\sum_i D_i\\, \\partial_i^2 u$$

    **Parameters:**

    - `velocity`: $c$, length/time; one number for all axes or one per axis.
    - `diffusivity`: $D \\ge 0$, length²/time; one number, or one per axis.
    """

    velocity: jax.Array = eqx.field(converter=as_array)
    diffusivity: jax.Array = eqx.field(converter=as_array)

    def __check_init__(self):
        require_nonnegative(self, "diffusivity")

    def linear(self, u: Field) -> Field:
        return _diffusion(self, u) - _transport(self, u)

    def signal_speeds(self, t, u: Field) -> list[jax.Array]:
        return [_entry(self.velocity, axis) for axis in range(u.space.dimension)]


class Dispersion(Equation):
    """Third-order dispersion, the linear part of the Korteweg-de Vries equation.

    $$u_t + \\delta \\sum_i \\partial_i^3 u = 0$$

    **Parameters:**

    - `dispersion`: $\\delta$, length³/time. A wave of wave number $k$ moves at the speed $-\\delta k^2$.
    """

    dispersion: float | jax.Array = 1.0

    def linear(self, u: Field) -> Field:
        return -self.dispersion * sum_fields(partial(u, axis, 3) for axis in range(u.space.dimension))


class Hyperdiffusion(Equation):
    """Damping of short waves by a power of the Laplacian.

    $$u_t = -\\nu_p\\, (-\\nabla^2)^p u$$

    **Parameters:**

    - `coefficient`: $\\nu_p \\ge 0$, length^(2p)/time.
    - `power`: $p$, a whole number of at least 1 that is fixed when the equation is made; 2 is
    $-\\nu\\nabla^4$.
    """

    coefficient: float | jax.Array
    power: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        require_nonnegative(self, "coefficient")
        if int(self.power) != self.power or self.power < 1:
            raise ValueError(f"Hyperdiffusion: `power` must be a whole number of at least 1, got {self.power}.")

    def linear(self, u: Field) -> Field:
        for _ in range(self.power):
            u = -laplacian(u)
        return -self.coefficient * u


def _transport(equation, u):
    require_per_axis(equation, "velocity", u)
    return sum_fields(_entry(equation.velocity, axis) * partial(u, axis) for axis in range(u.space.dimension))


def _diffusion(equation, u):
    require_per_axis(equation, "diffusivity", u)
    if equation.diffusivity.ndim == 0:
        return equation.diffusivity * laplacian(u)
    return sum_fields(equation.diffusivity[axis] * partial(u, axis, 2) for axis in range(u.space.dimension))


def _entry(value, axis):
    return value if value.ndim == 0 else value[axis]
