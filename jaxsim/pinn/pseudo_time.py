"""Pseudo-time: a hard residual approached by a sequence of easier ones."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..norms import norm
from ..optimize import AbstractBlockRule, Rows


class PseudoTimeResidual(eqx.Module):
    """$R[u] + w\\,(u - u_{prev})$; made by `pseudo_time`.

    - `residual`: $R$, the rows of the block that was given.
    - `field`: the callable of the coordinates in a model; the model itself by default.
    - `previous`: the model that the last pseudo-time step ended with.
    - `rate`: $w = 1 / \\tau$, the inverse of the step.
    """

    residual: Callable
    field: Callable | None
    previous: Any
    rate: jax.Array

    def __call__(self, model: Any, point: jax.Array) -> jax.Array:
        return self.residual(model, point) + self.rate * self.change(model, point)

    def change(self, model: Any, point: jax.Array) -> jax.Array:
        """$u - u_{prev}$ at a point."""
        of = lambda m: (m if self.field is None else self.field(m))(*point)
        return of(model) - lax.stop_gradient(of(self.previous))


def pseudo_time(block: Rows, model: Any, rate: float = 1.0, field: Callable | None = None) -> Rows:
    """A block whose rows are those of an implicit step in pseudo-time, $R[u] + (u - u_{prev}) / \\tau$.

    Training follows $\\partial_\\tau u = -R[u]$ to its steady state, which is where the residual vanishes, and leaves
    out states with a small residual at the points and a wrong solution between them. `PseudoTimeStep` takes the steps.

    **Arguments:**

    - `block`: collocation points, with as many rows at each as the field has components.
    - `model`: at the start.
    - `rate`: the first $1 / \\tau$.
    - `field`: the callable of the coordinates in a model; the model itself by default.

    Reference: pseudo-time stepping of physics-informed networks, arXiv 2604.23528 (2026).
    """
    rate = jnp.asarray(rate, jnp.result_type(float, *jax.tree.leaves(block.samples)))
    return dataclasses.replace(block, function=PseudoTimeResidual(block.function, field, model, rate))


class PseudoTimeStep(AbstractBlockRule):
    """Ends a step in pseudo-time: what was trained becomes what the next one starts from.

    The inverse step follows the residual's slope, $w = |R[u] - R[u_{prev}]| / |u - u_{prev}|$ over the points, as a
    moving average within bounds.

    **Arguments:**

    - `block`: number of the block that `pseudo_time` made.
    - `every`: steps of training in one of pseudo-time.
    - `memory`: weight of the old inverse step in the average.
    - `least`, `most`: bounds of the inverse step.

    Reference: as `pseudo_time`; the quotient is that of Barzilai and Borwein, IMA J. Numer. Anal. 8, 141 (1988).
    """

    block: int = eqx.field(static=True, default=0)
    every: int = eqx.field(static=True, default=100)
    memory: float = eqx.field(static=True, default=0.9)
    least: float = eqx.field(static=True, default=1e-2)
    most: float = eqx.field(static=True, default=1e2)
    random: ClassVar[bool] = False

    def __check_init__(self):
        if self.every < 1 or not 0 <= self.memory < 1 or not 0 < self.least <= self.most:
            raise ValueError("PseudoTimeStep: `every` is at least 1, `memory` in [0, 1), and 0 < `least` <= `most`.")

    def changed(self, block: Rows, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> Rows:
        """The block of the next step in pseudo-time."""
        old = block.function
        if not isinstance(old, PseudoTimeResidual):
            raise TypeError(f"PseudoTimeStep: block {self.block} was not made by `pseudo_time`.")
        at = lambda function: jnp.ravel(jax.vmap(function)(block.samples))
        residual = at(lambda p: old.residual(model, p) - old.residual(old.previous, p))
        change = at(lambda p: old.change(model, p))
        slope = norm(residual) / norm(change)
        moving = jnp.clip(self.memory * old.rate + (1 - self.memory) * slope, self.least, self.most)
        rate = jnp.where(jnp.isfinite(slope), moving, old.rate).astype(old.rate.dtype)  # the first time nothing changed
        return dataclasses.replace(block, function=dataclasses.replace(old, previous=model, rate=rate))
