"""Waves of second order in time, as systems of first order that `linear` couples mode by mode."""

import jax

from ..calculus import laplacian
from ..field import Field
from ._base import Equation
from ._checks import require_components, require_nonnegative


class Wave(Equation):
    """Wave equation for a displacement and its rate.

    $$u_t = v, \\qquad v_t = c^2 \\nabla^2 u$$

    The state has two components $(u, v)$. The coupling is a 2-by-2 matrix per mode, so exponential
    integrators are exact at any step, with the mean, $\\bar u = \\bar u_0 + t \\bar v_0$, included. The
    energy $\\frac12 \\int v^2 + c^2 |\\nabla u|^2$ is conserved.

    **Parameters:**

    - `speed`: $c \\ge 0$, length/time.

    Solution on a line: d'Alembert's, $\\frac12 [u_0(x - ct) + u_0(x + ct)]$ from rest.
    """

    speed: float | jax.Array = 1.0

    def __check_init__(self):
        require_nonnegative(self, "speed")

    def linear(self, state: Field):
        require_components(self, state, (2,), "displacement and rate")
        u, v = state
        return v, self.speed**2 * laplacian(u)

    def signal_speeds(self, t, state: Field) -> list[jax.Array]:
        return [self.speed] * state.space.dimension


class KleinGordon(Equation):
    """Klein-Gordon equation, waves with mass, for a field and its rate.

    $$u_t = v, \\qquad v_t = c^2 \\nabla^2 u - m^2 u - \\lambda u^3$$

    The state has two components $(u, v)$. All but the cubic term is a 2-by-2 matrix per mode: plane waves of
    frequency $\\omega = \\sqrt{c^2 k^2 + m^2}$, exact in exponential integrators. With $\\lambda$ it is the
    $\\phi^4$ equation; 1 inverse and 1 forward transform per right-hand side, on a grid for cubic products.

    **Parameters:**

    - `speed`: $c \\ge 0$, length/time.
    - `mass`: $m \\ge 0$, 1/time.
    - `cubic`: $\\lambda$; `None` for the linear equation. Positive confines.
    """

    speed: float | jax.Array = 1.0
    mass: float | jax.Array = 1.0
    cubic: float | jax.Array | None = None

    def __check_init__(self):
        require_nonnegative(self, "speed", "mass")

    def linear(self, state: Field):
        require_components(self, state, (2,), "field and rate")
        u, v = state
        return v, self.speed**2 * laplacian(u) - self.mass**2 * u

    def nonlinear(self, t, state: Field):
        if self.cubic is None:
            return super().nonlinear(t, state)
        cube = state[0] * state[0] * state[0]
        return 0 * state[1], -self.cubic * cube

    def signal_speeds(self, t, state: Field) -> list[jax.Array]:
        return [self.speed] * state.space.dimension
