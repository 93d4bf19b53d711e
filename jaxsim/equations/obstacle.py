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
    surface. For $\\eta, w \\to 0$ the flow sticks to the surface; before that it sticks somewhere near it, up to $w$
    outside where the drag is strong and up to $\\sqrt{\\nu\\eta}$ inside where it is weak. Given the `viscosity`, that
    place is computed for a flow along a plane surface, and the layer is moved so that it is the surface of `shape`.

    **Arguments:**

    - `shape`: signed distance, a function of the coordinates that is negative inside, such as
        `js.geometry.Ball((0.2, 0.2), 0.05)`. Its numbers can be differentiated.
    - `relaxation`: $\\eta > 0$, a time. Explicit parts of time stepping demand steps of at most about $2\\eta$; as
        long as the step is a good choice.
    - `width`: half the width $w$ of the layer in which $\\chi$ falls from 1 to 0, a length; one to two cells.
    - `viscosity`: that of the fluid, to correct the place of the surface; not corrected when left out.
    - `velocity`: $u_b$; one number per axis or a callable `(t, *x)`; at rest when left out.

    References: Angot, Bruneau and Fabrie, Numer. Math. 81, 497 (1999), doi:10.1007/s002110050401; Hester, Vasil and
    Burns, J. Comput. Phys. 430, 110043 (2021), for the correction.
    """

    shape: Callable
    relaxation: jax.Array
    width: jax.Array
    offset: jax.Array
    velocity: Any

    def __init__(self, shape: Callable, relaxation: Any, width: Any, velocity: Any = None, viscosity: Any = None):
        self.shape = shape
        self.relaxation, self.width = as_array(relaxation), as_array(width)
        self.velocity = velocity if callable(velocity) else as_array(velocity)
        self.offset = jnp.zeros(()) if viscosity is None else displacement(self.width, self.relaxation, viscosity)

    def __check_init__(self):
        require_positive(self, "relaxation", "width")
        if not callable(self.shape):
            raise TypeError("Obstacle: `shape` is a function of the coordinates, its signed distance.")

    def fraction(self, *x) -> jax.Array:
        """Solid fraction $\\chi$ at points."""
        distance = self.shape(*x)
        cast = lambda a: a.astype(distance.dtype)
        return smooth_fraction(distance + cast(self.offset), cast(self.width))

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


def displacement(width, relaxation, viscosity, steps: int = 200) -> jax.Array:
    """How far outside of the middle of a penalization layer a flow along it seems to stick.

    The steady profile solves $\\nu u'' = \\chi u / \\eta$. Its slope $r = u' w / u$ obeys
    $r' = w^2 \\chi / (\\nu\\eta) - r^2$ from $r = w / \\sqrt{\\nu\\eta}$ in the body to the edge of the layer, outside
    of which $u$ is linear and vanishes, extrapolated, at $w (1 - 1 / r)$.

    **Arguments:**

    - `width`, `relaxation`, `viscosity`: $w$, $\\eta$ and $\\nu$; numbers, may be traced.
    - `steps`: of a linearly implicit rule of second order across the layer.

    **Returns:** a length; negative inside.
    """
    strength = jnp.asarray(width**2 / (viscosity * relaxation))
    h = 2.0 / steps

    def step(r, s):  # r1 - r = h (strength chi - r r1): stable and positive for layers of any strength
        return (r + h * strength * smooth_fraction(s, 1.0)) / (1 + h * r), None

    middles = -1 + h * (jnp.arange(steps) + 0.5)
    slope, _ = jax.lax.scan(step, jnp.sqrt(strength), middles.astype(strength.dtype))
    return width * (1 - 1 / slope)
