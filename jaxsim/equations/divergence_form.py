"""Equations that say what a flux carries, which weak forms integrate by parts."""

from typing import Any

from ..calculus import div
from ..field import Field
from ..spaces import Callables
from ._base import Equation


class DivergenceForm(Equation):
    """An equation in divergence form, $\\partial_t q(t, u) + \\nabla\\cdot F(t, u) = s(t, u)$.

    Subclass it and write `flux`, and `density` and `supply` where there are some. Its residual is the difference of
    both sides, and `jaxsim.pinn.weak` moves the outer derivatives from $q$ and $F$ to the test functions, so that what
    is left needs one order less of the field: a diffusion equation its gradient, a conservation law its values, shocks
    included.

    !!! example

        ```python
        class Burgers(js.equations.DivergenceForm):
            viscosity: float | jax.Array

            def density(self, t, u):
                return u

            def flux(self, t, u):
                return js.stack(0.5 * u * u) - self.viscosity * js.grad(u)
        ```
    """

    def flux(self, t, u: Field) -> Field:
        """$F$, with one leading component per axis."""
        raise TypeError(f"{type(self).__name__} has no `flux`: write it, with one leading component per axis.")

    def density(self, t, u: Field) -> Field | None:
        """$q$; `None` for stationary problems."""
        return None

    def supply(self, t, u: Field) -> Field | Any | None:
        """$s$, a field or a number; `None` where there is none."""
        return None

    def residual(self, t, u: Field) -> Field:
        left = div(self.flux(t, u))
        density, supply = self.density(t, u), self.supply(t, u)
        if density is not None and isinstance(u.space, Callables):
            left = left + u.space.rate(density)
        return left if supply is None else left - supply
