"""Weights that let a residual count only where those before it in time have been met."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..optimize import AbstractBlockRule, Rows, times_of


class CausalWeights(eqx.Module):
    """Weights of residuals by time, $w_k = \\exp\\big(-\\epsilon\\,(L_0 + \\sum_{j<k} L_j)\\big)$.

    Samples are sorted by time and cut into chunks of equal size; $L_j$ is the mean squared residual of a chunk, and
    $L_0$ an optional loss of the initial values, which gates all of them. The first weight is 1 without a gate, weights
    never increase in time, and no weight depends on residuals of its own or a later chunk. No gradient passes through
    them.

    **Arguments:**

    - `epsilon`: $\\epsilon$, an array leaf: another value compiles nothing anew, so it may be raised during training.
        In units of one over squared residuals.
    - `chunks`: number of chunks; the number of samples is a multiple of it.

    A least weight close to 1 at a large $\\epsilon$ says that the residual is small at all times.

    Reference: Wang, Sankaran and Perdikaris, Respecting causality for training physics-informed neural networks,
    Comput. Methods Appl. Mech. Eng. 421, 116813 (2024; arXiv 2203.07404). Its authors report that the idea is protected
    by a patent.
    """

    epsilon: float | jax.Array
    chunks: int = eqx.field(static=True, default=16)

    def __post_init__(self):
        self.epsilon = jnp.asarray(self.epsilon, jnp.result_type(float, self.epsilon))

    def __check_init__(self):
        if self.chunks < 1:
            raise ValueError(f"CausalWeights: `chunks` is at least 1, got {self.chunks}.")
        if not isinstance(self.epsilon, jax.core.Tracer) and not jnp.all(self.epsilon >= 0):
            raise ValueError(f"CausalWeights: `epsilon` must not be negative, got {self.epsilon}.")

    def __call__(self, squares: jax.Array, times: jax.Array, initial=0.0) -> jax.Array:
        """A weight for each sample.

        **Arguments:**

        - `squares`: squared residuals, shape `(n,)`.
        - `times`: of the samples, shape `(n,)`, in any order; those of one time belong together best if a chunk holds
            whole times.
        - `initial`: $L_0$.

        **Returns:** weights in the order of the samples, shape `(n,)`.
        """
        count = squares.shape[0]
        if squares.shape != times.shape or squares.ndim != 1:
            raise ValueError(f"CausalWeights: one square and one time per sample, got {squares.shape}, {times.shape}.")
        if count % self.chunks:
            raise ValueError(f"CausalWeights: {count} samples cannot be cut into {self.chunks} equal chunks.")
        order = jnp.argsort(times)
        losses = jnp.mean(lax.stop_gradient(squares)[order].reshape(self.chunks, -1), 1)
        before = jnp.concatenate([jnp.zeros(1, losses.dtype), jnp.cumsum(losses)[:-1]])
        weights = jnp.exp(-self.epsilon.astype(losses.dtype) * (before + lax.stop_gradient(initial)))
        return jnp.zeros_like(losses, shape=(count,)).at[order].set(jnp.repeat(weights, count // self.chunks))

    def of(self, block: Rows, model, times: jax.Array, initial=0.0) -> Rows:
        """A block of rows, weighted by the residuals of a model; it had no weights of its own but a `factor`."""
        values = lax.stop_gradient(block.values(model))
        squares = jnp.sum(jnp.abs(values.reshape(len(values), -1)) ** 2, 1)
        return dataclasses.replace(block, weight=self(squares, times, initial))


class Causality(AbstractBlockRule):
    """Causal weights of a block of collocation points, made anew before each step.

    **Arguments:**

    - `weights`: a `CausalWeights`.
    - `block`: number of the block in the list that is trained; the first entry of its samples is the time.
    - `gate`: number of the block of initial values whose loss gates all times, or `None`.
    - `every`: steps between new weights.

    !!! example

        ```python
        for epsilon in (0.1, 1.0, 10.0, 100.0):    # compiled once
            rules = [Causality(CausalWeights(epsilon))]
            run = optimize.train(blocks, run.model, method, 500, rules=rules, until=satisfied)
        ```
    """

    weights: CausalWeights
    block: int = eqx.field(static=True, default=0)
    gate: int | None = eqx.field(static=True, default=None)
    every: int = eqx.field(static=True, default=1)
    random: ClassVar[bool] = False

    def changed(self, block: Rows, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> Rows:
        """The block with new weights."""
        initial = 0.0 if self.gate is None else blocks[self.gate].loss(model)
        return self.weights.of(block, model, times_of(block, "Causality"), initial)


def satisfied(blocks, model, block: int = 0, least: float = 0.99) -> jax.Array:
    """Whether the least causal weight of a block is above a bound: its residual is small at all times.

    A certificate for the $\\epsilon$ that made the weights, to stop `train` at (`until=satisfied`).
    """
    return jnp.min(blocks[block].weight) > least
