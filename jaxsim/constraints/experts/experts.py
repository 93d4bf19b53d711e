"""Constraint layers for the parts of a partition, one expert for each."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import AbstractAdjoint, Direct, GaussNewton, OnFailure, Rows, Solved
from ._work import Work
from .coupling import AbstractCoupling, Alone
from .partition import Partition, Region
from .piecewise import Piecewise, Team


class Experts(eqx.Module):
    """A layer like `ConstraintLayer`, whose weights are other ones in each box of a partition of space and time.

    **Arguments:**

    - `partition`: the boxes.
    - `blocks`: a function of what is given and of an expert's `Region` that returns its rows by name, of the same shape
        for all: points are `box.at(unit_points)`, and conditions at the ends of the whole box have a weight of zero for
        experts in its interior, such as `weight=400.0 * box.first[0]` for initial values.
    - `coupling`: what joins them: nothing, `Interface()`, `Schwarz()` or `Marching()`. Without any, each expert solves
        its own rows, which need to determine its weights.
    - `local`: whether functions see the coordinates of the unit box, so that one dictionary serves all.
    - `ridge`, `method`, `adjoint`, `on_failure`: as those of `satisfy`.
    - `mesh`: devices over which experts are cut by `js.ensemble`, all axes of it; without coupling alone. No device
        waits for another, so that nothing can be raised: give `on_failure` another value. A gradient in something that
        all experts share is a sum over devices; that in something `PerExpert` needs no communication.

    !!! example

        ```python
        partition = Partition((0.0, 0.0), (1.0, 1.0), counts=(1, 4))
        unit = jax.random.uniform(key, (150, 2))
        s = jnp.linspace(0, 1, 25)

        def blocks(u0, box):
            x = box.within(1, s)
            return {
                "interior": collocation(js.equations.Diffusion(0.01), box.at(unit)),
                "initial": Rows(lambda u, s: u(0.0 * s[0], s[0]) - s[1], (x, u0(x)), weight=400.0),
                "left": Rows(lambda u, t: u(t, 0.0 * t), s, weight=400.0 * box.first[1]),
                "right": Rows(lambda u, t: u(t, 0.0 * t + 1.0), s, weight=400.0 * box.last[1]),
            }

        experts = Experts(partition, blocks, Interface())
        solved = experts(TensorProduct([Chebyshev(6), Chebyshev(6)]), lambda x: jnp.sin(jnp.pi * x))
        solved.value(0.5, 0.25), solved.status, solved.residual["interface"]
        ```

    Reference: Chalapathi, Du and Krishnapriyan, ICLR 2024 (arXiv 2402.13412), section 3, for experts without coupling.
    """

    partition: Partition
    blocks: Callable[[Any, Region], Mapping[str, Rows]]
    coupling: AbstractCoupling | None = None
    local: bool = eqx.field(static=True, default=True, kw_only=True)
    ridge: float | jax.Array = eqx.field(default=0.0, kw_only=True)
    method: GaussNewton | Direct | None = eqx.field(default=None, kw_only=True)
    adjoint: AbstractAdjoint | None = eqx.field(default=None, kw_only=True)
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE, kw_only=True)
    mesh: jax.sharding.Mesh | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        if not isinstance(self.partition, Partition):
            raise TypeError(f"Experts: `partition` is a Partition, got {type(self.partition).__name__}.")
        if self.coupling is not None and not isinstance(self.coupling, AbstractCoupling):
            raise TypeError(f"Experts: `coupling` is None, Interface(), Schwarz() or Marching(); got {self.coupling!r}")
        if self.mesh is not None and self.coupling is not None:
            raise ValueError("Experts: `mesh` is for experts without coupling; coupled ones talk to each other. Cut "
                             "instances over devices instead, with jax.shard_map around all of it.")  # fmt: skip
        if self.mesh is not None and self.on_failure is OnFailure.RAISE:
            raise ValueError("Experts: with a mesh no device waits for another, so that no error can be raised. Give "
                             "`on_failure=OnFailure.STOP`, NAN or KEEP, and look at `Solved.status`.")  # fmt: skip

    def __call__(self, functions: Callable | Any, given: Any = None, guess: jax.Array | None = None,
                 offset: Callable | None = None) -> Solved:  # fmt: skip
        """The fields of all experts as one.

        **Arguments:**

        - `functions`: $b$, a callable of `(t, x, ...)`, in coordinates of the unit box if `local`, with values of shape
            `(N, *components)`, which all experts share; or `PerExpert` of a module whose arrays have a leading axis.
        - `given`: what `blocks` is given, the same for all experts or `PerExpert`.
        - `guess`: weights to begin with, shape `(N,)` or `(K, N)`; zeros by default. No gradient passes through it.
        - `offset`: as that of `satisfy`, in global coordinates.

        **Returns:** a `Solved`. Its `value` is a `Piecewise`, a callable of `(t, x, ...)`; `status`, `steps`, `rank`,
        `condition` and each block's norm in `residual` have a leading axis $K$.
        """
        team = Team.of(functions, given, self.partition.regions(), self.mesh)
        dtype = jnp.result_type(float)
        bare = isinstance(self.ridge, (int, float)) and self.ridge == 0
        ridge = None if bare else jnp.asarray(self.ridge, dtype)
        work = Work(team, self.partition, self.blocks, self.local, offset, ridge, self.method, self.adjoint,
                    self.on_failure)  # fmt: skip
        if guess is not None:
            guess, shape = jnp.asarray(guess, dtype), (self.partition.count, work.size)
            if guess.shape not in (shape, shape[1:]):
                raise ValueError(f"Experts: `guess` has a weight for each of {shape[1]} functions, shape "
                                 f"{shape[1:]} or {shape}; got {guess.shape}.")  # fmt: skip
        coupling = Alone() if self.coupling is None else self.coupling
        solved = coupling.solve(work, guess, {})
        value = Piecewise(team.of_functions(), solved.value, self.partition, self.local, offset)
        return eqx.tree_at(lambda s: s.value, solved, value)
