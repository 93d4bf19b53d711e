"""Velocities without divergence."""

import equinox as eqx

from ...calculus import project
from ...field import Field


class LerayProjection(eqx.Module):
    """`js.project` as a module: the part of a velocity without divergence, $u - \\nabla\\nabla^{-2}\\nabla\\cdot u$.

    On periodic boxes the nearest such velocity in $L^2$, with the same mean, and its own adjoint; between walls of a
    `js.Staggered` space the one that also passes them as the conditions say.

    ```python
    flow = Projected(network, LerayProjection())
    ```
    """

    def __call__(self, velocity: Field) -> Field:
        """The projected velocity, a field with one leading component per axis."""
        return project(velocity)
