"""Whether as much fluid leaves a closed box as enters it."""

import jax.numpy as jnp
import numpy as np

from ..field import Field
from .boundary import Dirichlet, Neumann, is_concrete, is_zero
from .sharding import error_if

ADVICE = (
    "Staggered: the velocities of the walls let in more fluid than they let out (or less), and no side is open. Make "
    "them balance, or give the box an open end such as js.Outflow()."
)


def balanced(space, u: Field) -> Field:
    """`u`, if its walls balance at the time of its space, up to what the quadrature over a side leaves.

    **Raises:** `ValueError` if not, or a run-time error where their velocities are traced.
    """
    crossed = [axis for axis, periodic in enumerate(space.periodic) if not periodic]
    conditions = {(axis, end): space.component(axis).boundary[axis][end] for axis in crossed for end in (0, 1)}
    given = [side for side, condition in conditions.items() if not is_zero(condition.value)]
    if not given or any(isinstance(condition, Neumann) for condition in conditions.values()):
        return u
    components = space.split(u)
    flows = [_inflow(components[axis], axis, end) for axis, end in given]
    total, size = sum(net for net, _ in flows), sum(size for _, size in flows)
    failed = jnp.any(jnp.abs(total) > (0.01 + 2 / min(space.grid.shape) ** 2) * size)
    if not is_concrete(failed):
        return error_if(u, failed, ADVICE)
    if failed:
        raise ValueError(f"{ADVICE} Net inflow: {np.asarray(total)}.")
    return u


def _inflow(c: Field, axis: int, end: int):
    """What enters through one side, and the same without regard to direction."""
    trace = c.space.trace(c, axis, end)
    assert isinstance(trace, Dirichlet)
    speed = trace.value * (1.0 - 2.0 * end)
    for other in range(c.space.dimension):
        if other != axis:
            shape = [1] * c.space.dimension
            shape[other] = -1
            speed = speed * jnp.asarray(c.space.grid.widths(other), speed.dtype).reshape(shape)
    axes = tuple(range(-c.space.dimension, 0))
    return jnp.sum(speed, axes), jnp.sum(jnp.abs(speed), axes)
