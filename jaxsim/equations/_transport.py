"""What the flows in the plane share: products of velocities, their divergences, and body forces.

Nodal products of a right-hand side are made in one `pointwise` call on stacked components, so that a
pseudo-spectral space makes one batched transform each way.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..calculus import curl, inverse_laplacian, partial, sample
from ..field import Field


def velocity(vorticity: Field) -> Field:
    """Zero-mean incompressible velocity in the plane of a scalar vorticity.

    $\\nabla^2 \\psi = -\\omega$, $(u, v) = (\\partial_y \\psi, -\\partial_x \\psi)$.

    **Arguments:**

    - `vorticity`: scalar field in two dimensions, on a space with `inverse_laplacian`. Its mean is left out:
        no periodic velocity has one.

    **Returns:** a field with two components.

    **Raises:** `ValueError` between walls, where the vorticity on them is unknown.
    """
    if vorticity.space.dimension != 2 or vorticity.shape != ():
        raise ValueError(
            "velocity needs a scalar vorticity in two dimensions; "
            f"got components {vorticity.shape} in {vorticity.space.dimension}."
        )
    if not all(getattr(vorticity.space, "periodic", (True,))):
        raise ValueError(
            "a flow by its vorticity needs a periodic box: between walls nothing says what the vorticity is at them. "
            "Take the velocity, js.equations.NavierStokesVelocity or ThermalConvection on js.Staggered(grid, ...)."
        )
    return curl(-inverse_laplacian(vorticity))


def vorticity(velocity: Field) -> Field:
    """Vorticity of a velocity: the scalar $\\partial_x v - \\partial_y u$ in the plane, the curl in space."""
    if velocity.space.dimension not in (2, 3) or velocity.shape != (velocity.space.dimension,):
        raise ValueError(
            "vorticity needs a velocity with one component per axis in two or three dimensions; "
            f"got components {velocity.shape} in {velocity.space.dimension}."
        )
    return curl(velocity)


def stress(u: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The two products that a vorticity in the plane needs, $(uv, v^2 - u^2)$ (Basdevant 1983)."""
    return u * v, (v - u) * (v + u)


def vorticity_transport(flux: Field) -> Field:
    """Advection of the vorticity from the two products.

    $$-u\\cdot\\nabla\\omega = -(\\partial_{xx} - \\partial_{yy})(uv) - \\partial_{xy}(v^2 - u^2)$$
    """
    along_x, along_y = partial(flux, 0), partial(flux, 1)
    return partial(along_y[0], 1) - partial(along_x[0] + along_y[1], 0)


def resolve(products: Field, u: Field) -> Field:
    """Products in the representation of the state `u`: all components are transformed together, once."""
    return u.space.linear(lambda a, b: a, products, u)


def force(forcing: Callable | None, t: Any, u: Field) -> Field | None:
    """A body force as a field on the space of `u` and in its precision; `None` where there is none."""
    if forcing is None:
        return None
    if isinstance(forcing, Field) or not callable(forcing):
        raise TypeError(
            f"`forcing` is a function of (t, x, ...) such as js.equations.kolmogorov(4), and got a "
            f"{type(forcing).__name__}. A force that is a Field or numbers is added in an equation of your own: "
            "subclass this one, and add it to what super().nonlinear(t, u) returns."
        )
    field = sample(forcing, t, u)
    if field.shape != (u.space.dimension,):
        raise ValueError(
            f"a body force returns one component per axis, ({u.space.dimension}, ...); got components {field.shape}."
        )
    return field.space.linear(lambda a: a.astype(jnp.result_type(u.dtype)), field)
