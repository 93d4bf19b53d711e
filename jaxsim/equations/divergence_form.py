"""Equations that say what a flux carries, which weak forms integrate by parts."""

from typing import Any

from ..calculus import div
from ..field import Field
from ..spaces import Callables
from ._base import ABSENT, Equation


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

    def density(self, t, u: Field) -> Field:
        """$q$; left out for stationary problems."""
        return ABSENT

    def supply(self, t, u: Field) -> Field | Any:
        """$s$, a field or a number; left out where there is none."""
        return ABSENT

    def terms(self, t, u: Field) -> tuple[Field, Field | None, Field | Any | None]:
        """Flux, density and supply; `None` for those that the equation does not have.

        **Raises:** `TypeError` for a method without its `return`.
        """
        found = []
        for method in ("flux", "density", "supply"):
            part = getattr(self, method)(t, u)
            if part is None:
                raise TypeError(f"{type(self).__name__}.{method} returned None: is a `return` missing?")
            found.append(None if part is ABSENT else part)
        return tuple(found)

    def residual(self, t, u: Field) -> Field:
        flux, density, supply = self.terms(t, u)
        left = div(flux)
        if density is not None and isinstance(u.space, Callables):
            left = left + u.space.rate(density)
        return left if supply is None else left - supply
