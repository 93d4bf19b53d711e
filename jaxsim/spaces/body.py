"""Bodies that no fluid passes."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx

from ..geometry import smooth_fraction
from ..linear import CG


class Body(eqx.Module):
    """A body in a `js.Staggered` box that lets nothing through: an immersed boundary that conserves.

    Each face between cells is open in part, $\\alpha = 1 - \\chi$ with the solid fraction $\\chi$ of the body, and
    what crosses it is $\\alpha u$. `js.div` is $\\nabla\\cdot(\\alpha u)$, `js.project` makes it vanish by the pressure
    of $\\nabla\\cdot(\\alpha\\nabla p) = \\nabla\\cdot(\\alpha u)$, and convection and `js.advect` carry $\\alpha u$:
    neither fluid nor a scalar leaks into the body. That the fluid sticks to the body is the matter of a
    `js.equations.Obstacle` with the same shape; alone it lets a little fluid through, of order $\\eta$.

    The pressure takes conjugate gradients, preconditioned by the fast solver of the box without the body: 15 to 30
    iterations, whatever the resolution.

    **Arguments:**

    - `shape`: signed distance, a function of the coordinates that is negative inside, such as
        `js.geometry.Ball((0.2, 0.2), 0.05)`. Its numbers can be differentiated.
    - `width`: half the width of the layer in which $\\alpha$ rises from 0 to 1, a length; about a cell.
    - `solver`: a lineax solver that takes a preconditioner; its failure raises.

    Reference: Schumann and Sweet, J. Comput. Phys. 20, 171 (1976), for fast solvers; Ramadhan et al., J. Open Source
    Softw. 5, 2018 (2020), for conjugate gradients around immersed boundaries preconditioned by them.
    """

    shape: Callable
    width: jax.Array = eqx.field(converter=jnp.asarray)
    solver: lx.AbstractLinearSolver = CG(rtol=1e-9, max_steps=500)

    def apertures(self, *x) -> jax.Array:
        """The open part $\\alpha$ of faces at points."""
        distance = self.shape(*x)
        return 1 - smooth_fraction(distance, self.width.astype(distance.dtype))
