"""Sources at points, the adjoint of evaluation."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..calculus import integral
from ..field import Field
from ._base import real_dtype


def point_sources(strengths: Any, points: Sequence, u: Field) -> Field:
    """The field of point sources $\\sum_i q_i\\,\\delta(x - x_i)$, as sharp as the space of `u` resolves.

    It is the adjoint of evaluation: $\\int s\\,v = \\sum_i q_i\\,v(x_i)$ for every scalar field $v$ of the space, with
    `v(*points)` what receivers at these points record. So the integral of $s$ is the sum of the strengths, and the
    gradient of a misfit at receivers is the wave of sources there.

    **Arguments:**

    - `strengths`: $q$, a number or an array shaped like the points, possibly traced; in units of what $s$ adds up to.
    - `points`: one number, or one array of numbers, per axis, as in `u(*points)`.
    - `u`: a field on a `Fourier` or `FiniteDifference` space, which says where the sources live and in what precision.

    **Returns:** a scalar field, which is differentiable with respect to strengths and points.

    **Raises:** `ValueError` for points beyond a wall, `TypeError` on other spaces.
    """
    space = u.space.homogeneous()
    if getattr(space, "grid", None) is None or u.space.split(u) is not u:
        raise u.space.lacks("point_sources", "Fourier and FiniteDifference spaces, and components, do")
    precision = real_dtype(u.dtype)
    nodes = jax.ShapeDtypeStruct(space.coordinates()[0].shape, u.dtype)
    points = jnp.broadcast_arrays(*(jnp.asarray(x, precision) for x in points))
    receive = lambda values: space.field(values)(*points)
    strengths = jnp.broadcast_to(jnp.asarray(strengths, u.dtype), points[0].shape)
    (spread,) = jax.linear_transpose(receive, nodes)(strengths)
    measure = lambda values: jnp.real(integral(space.field(values)))
    weights = jax.grad(measure)(jnp.zeros(nodes.shape, precision))
    return space.field(spread / weights)
