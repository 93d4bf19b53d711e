"""Populations that eat each other."""

import jax
import jax.numpy as jnp

from ..field import Field
from ._base import Equation
from ._checks import require_components, require_nonnegative


class LotkaVolterra(Equation):
    """Lotka-Volterra equations of prey $x$ and predators $y$.

    $$\\dot x = \\alpha x - \\beta x y, \\qquad \\dot y = -\\gamma y + \\delta x y$$

    The state has two components on a `js.Point`. Where both are positive they stay so, and all orbits are closed
    around the rest point $(\\gamma/\\delta, \\alpha/\\beta)$: `invariant` keeps its value along each of them.

    **Parameters:**

    - `prey_growth`: $\\alpha \\ge 0$, 1/time.
    - `predation`: $\\beta \\ge 0$, 1/(predators time).
    - `predator_decay`: $\\gamma \\ge 0$, 1/time.
    - `conversion`: $\\delta \\ge 0$, 1/(prey time).

    Reference: Lotka, Elements of Physical Biology (1925); Volterra, Nature 118, 558 (1926).
    """

    prey_growth: float | jax.Array
    predation: float | jax.Array
    predator_decay: float | jax.Array
    conversion: float | jax.Array

    def __check_init__(self):
        require_nonnegative(self, "prey_growth", "predation", "predator_decay", "conversion")

    def check(self, u: Field) -> None:
        require_components(self, u, (2,), "prey and predators")

    def nonlinear(self, t, u: Field):
        prey, predators = u
        met = prey * predators
        return (
            self.prey_growth * prey - self.predation * met,
            self.conversion * met - self.predator_decay * predators,
        )

    def invariant(self, values: jax.Array) -> jax.Array:
        """$\\delta x - \\gamma \\ln x + \\beta y - \\alpha \\ln y$, constant along a solution.

        **Arguments:**

        - `values`: positive prey and predators, shape `(..., 2)`, such as `solution.ys.values`.

        **Returns:** an array of shape `(...)`; least at the rest point.
        """
        prey, predators = values[..., 0], values[..., 1]
        return (
            self.conversion * prey
            - self.predator_decay * jnp.log(prey)
            + self.predation * predators
            - self.prey_growth * jnp.log(predators)
        )

    def rest(self) -> jax.Array:
        """The rest point where both species live, $(\\gamma/\\delta, \\alpha/\\beta)$, shape `(2,)`."""
        return jnp.stack([self.predator_decay / self.conversion, self.prey_growth / self.predation])
