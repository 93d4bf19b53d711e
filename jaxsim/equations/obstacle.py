"""Bodies in a flow, by volume penalization."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calculus import integral, sample
from ..field import Field
from ..geometry import smooth_fraction
from ._checks import as_array, require_positive


class Obstacle(eqx.Module):
    """A body that the flow passes around: inside it a strong drag brings the fluid to the velocity of the body.

    The momentum equation gains $-\\frac{\\chi}{\\eta}(u - u_b)$, with $\\chi$ the solid fraction, smooth across the
    surface: $\\chi = 1$ at a depth of `width`. For $\\eta \\to 0$ the flow sticks to the surface; the error is of order
    $\\sqrt{\\nu\\eta}$, and of order `width`.

    **Arguments:**

    - `shape`: signed distance, a function of the coordinates that is negative inside, such as
        `js.geometry.Ball((0.2, 0.2), 0.05)`. Its numbers can be differentiated.
    - `relaxation`: $\\eta > 0$, a time. Explicit parts of time stepping demand steps of at most about $2\\eta$; as
        long as the step is a good choice.
    - `width`: half the width of the layer in which $\\chi$ falls from 1 to 0, a length; one to two cells.
    - `velocity`: $u_b$; one number per axis or a callable `(t, *x)`; at rest when left out.

    Reference: Angot, Bruneau and Fabrie, Numer. Math. 81, 497 (1999), doi:10.1007/s002110050401.
    """

    shape: Callable
    relaxation: Any = eqx.field(converter=as_array)
    width: Any = eqx.field(converter=as_array)
    velocity: Any = eqx.field(default=None, converter=lambda v: v if callable(v) else as_array(v))

    def __check_init__(self):
        require_positive(self, "relaxation", "width")
        if not callable(self.shape):
            raise TypeError("Obstacle: `shape` is a function of the coordinates, its signed distance.")

    def fraction(self, *x) -> jax.Array:
        """Solid fraction $\\chi$ at points."""
        return smooth_fraction(self.shape(*x), self.width.astype(jnp.result_type(*x)))

    def drag(self, t, u: Field) -> Field:
        """The acceleration $-\\chi (u - u_b) / \\eta$ of the fluid."""
        rate = sample(lambda t, *x: [self.fraction(*x) / self.relaxation.astype(x[0].dtype)] * len(x), t, u)
        return rate * (self._motion(t, u) - u) if self.velocity is not None else rate * (-u)

    def force(self, t, u: Field) -> jax.Array:
        """The force of the fluid on the body over the density, one number per axis: $\\int \\chi (u - u_b) / \\eta$.

        In a flow that changes it includes what moves the fluid inside the body, which for a body at rest is little.
        """
        return -integral(self.drag(t, u))

    def check(self, u: Field) -> None:
        """`ValueError` for a body that holds no node of a field; traced shapes pass."""
        known = jax.tree.leaves((self, u.space))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in known):
            return
        if not np.any(np.asarray(self.fraction(*u.space.coordinates())) > 0.5):
            raise ValueError(
                "Obstacle: no node lies inside the body. It is outside of the box, or too small for the grid; "
                f"`shape` must be negative inside. The grid: {u.space.grid}."
            )

    def _motion(self, t, u: Field) -> Field:
        if callable(self.velocity):
            return sample(self.velocity, t, u)
        return sample(lambda t, *x: [v * jnp.ones_like(x[0]) for v in self.velocity], t, u)
