"""Problems without time: residuals for networks, and for fields on grids."""

from collections.abc import Callable
from typing import Any

import jax

from ..calculus import grad, laplacian, sample
from ..field import Field
from ._checks import require_components, require_positive
from .divergence_form import DivergenceForm


class Poisson(DivergenceForm):
    """Poisson's equation, $-\\nabla\\cdot(a \\nabla u) = f$.

    Steady diffusion, electrostatics, flow through porous ground. It has a `residual` and does not march in time.

    **Parameters:**

    - `source`: $f$, a number or a callable `(x, ...)`.
    - `conductivity`: $a > 0$, a number or a callable `(x, ...)`.

    On a grid, `js.inverse_helmholtz` solves it for constant $a$.
    """

    source: float | jax.Array | Callable = 0.0
    conductivity: float | jax.Array | Callable = 1.0

    def __check_init__(self):
        require_positive(self, "conductivity")

    def flux(self, t, u: Field) -> Field:
        require_components(self, u, (), "the unknown")
        return -(grad(u) * _of(self.conductivity, t, u))

    def supply(self, t, u: Field) -> Any:
        return _of(self.source, t, u)

    def residual(self, t, u: Field) -> Field:
        if callable(self.conductivity):
            return super().residual(t, u)
        require_components(self, u, (), "the unknown")
        return -self.conductivity * laplacian(u) - self.supply(t, u)


class Helmholtz(DivergenceForm):
    """Helmholtz's equation, $\\nabla^2 u + k^2 u = f$.

    Waves of one frequency. It has a `residual` and does not march in time.

    **Parameters:**

    - `wave_number`: $k$, 1/length.
    - `source`: $f$, a number or a callable `(x, ...)`.
    """

    wave_number: float | jax.Array = 1.0
    source: float | jax.Array | Callable = 0.0

    def flux(self, t, u: Field) -> Field:
        require_components(self, u, (), "the unknown")
        return grad(u)

    def supply(self, t, u: Field) -> Field:
        return -(self.wave_number**2) * u + _of(self.source, t, u)

    def residual(self, t, u: Field) -> Field:
        require_components(self, u, (), "the unknown")
        return laplacian(u) - self.supply(t, u)


def _of(value: Any, t, u: Field) -> Any:
    return sample(lambda t, *x: value(*x), t, u) if callable(value) else value
