"""Rules that balance the blocks of a loss, and the rows of a block."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..norms import lengths, norm
from .chunks import sum_over_chunks
from .linearization import jacobian, require_rows
from .problem import flattened
from .rows import Rows
from .rules import AbstractRule

# A block whose gradient has all but vanished gets a large factor, not an infinite one; traces are squares of lengths.
_LEAST_LENGTH = 1e-5
_LEAST_TRACE = 1e-10


class GradientNorm(AbstractRule):
    """Factors that give every block a gradient of the same length, $c_i = \\overline{|g|} / |g_i|$.

    $g_i$ is the gradient of the block's loss without its factor, and the bar is the mean over blocks.

    **Arguments:**

    - `every`: steps between updates.
    - `momentum`: how much of the old factor stays; the first update takes none of it.

    Reference: Wang, Sankaran, Wang and Perdikaris, An expert's guide to training physics-informed neural networks,
    arXiv 2308.08468 (2023).
    """

    every: int = eqx.field(static=True, default=1000)
    momentum: float = 0.9
    random: ClassVar[bool] = False

    def __check_init__(self):
        _check("GradientNorm", self.every, self.momentum)

    def __call__(self, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> list[Rows]:
        """Blocks with new factors."""
        flat, model_of = flattened(model)

        def size(block):
            bare = dataclasses.replace(block, factor=1.0)
            return norm(jax.grad(lambda flat: bare.loss(model_of(flat)))(flat))

        return _balanced(blocks, [size(block) for block in blocks], self.momentum, step, _LEAST_LENGTH)


class NeuralTangentKernel(AbstractRule):
    """Factors that give every block the same mean rate of convergence, $c_i = \\overline{t} / t_i$.

    $t_i$ is the trace of the block's neural tangent kernel over its number of samples,
    $\\frac{1}{n} \\sum_j w_j |\\partial r_j / \\partial \\theta|^2$, and the bar is the mean over blocks.

    **Arguments:**

    - `every`: steps between updates.
    - `momentum`: how much of the old factor stays; the first update takes none of it.
    - `chunk`: samples whose Jacobian is held at a time.

    Reference: Wang, Yu and Perdikaris, When and why PINNs fail to train: a neural tangent kernel perspective, J.
    Comput. Phys. 449, 110768 (2022), with means over blocks and samples in place of sums.
    """

    every: int = eqx.field(static=True, default=1000)
    momentum: float = 0.9
    chunk: int = eqx.field(static=True, default=1024)
    random: ClassVar[bool] = False

    def __check_init__(self):
        _check("NeuralTangentKernel", self.every, self.momentum)
        if self.chunk < 1:
            raise ValueError("NeuralTangentKernel: `chunk` is at least 1.")

    def __call__(self, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> list[Rows]:
        """Blocks with new factors."""
        require_rows(blocks, "NeuralTangentKernel", "GradientNorm")
        flat, model_of = flattened(model)

        def trace(block):
            bare = dataclasses.replace(block, factor=1.0)
            of = lambda samples, scales: jnp.sum(jacobian(bare, model_of, flat, samples, scales)[1] ** 2)
            return sum_over_chunks(of, (bare.samples, bare.scales(flat.dtype)), self.chunk)

        return _balanced(blocks, [trace(block) for block in blocks], self.momentum, step, _LEAST_TRACE)


class RowAttention(AbstractRule):
    """Weights that grow where residuals stay large, $w_j = \\lambda_j^2$ with
    $\\lambda_j \\leftarrow \\gamma \\lambda_j + \\eta |r_j| / \\max_k |r_k|$.

    The multipliers $\\lambda$ are at most $\\eta / (1 - \\gamma)$ in the long run. They belong to samples: do not draw
    these anew, nor let causality weigh them.

    **Arguments:**

    - `rate`: $\\eta$.
    - `decay`: $\\gamma$.
    - `blocks`: numbers of the blocks whose samples are weighed, all by default.
    - `every`: steps between updates.

    Reference: Anagnostopoulos, Toscano, Stergiopulos and Karniadakis, Residual-based attention in physics-informed
    neural networks, Comput. Methods Appl. Mech. Eng. 421, 116805 (2024).
    """

    rate: float = 0.01
    decay: float = 0.999
    blocks: tuple[int, ...] | None = eqx.field(static=True, default=None)
    every: int = eqx.field(static=True, default=1)
    random: ClassVar[bool] = False

    def __check_init__(self):
        if self.every < 1 or not self.rate > 0 or not 0 <= self.decay < 1:
            raise ValueError("RowAttention: `every` is at least 1, `rate` positive, and `decay` in [0, 1).")

    def __call__(self, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> list[Rows]:
        """Blocks with new weights."""
        chosen = range(len(blocks)) if self.blocks is None else self.blocks
        require_rows([blocks[number] for number in chosen], "RowAttention", "the field `blocks` to leave it out")

        def weighed(block):
            rows = block.values(model)
            sizes = lengths(rows.reshape(len(rows), -1))
            largest = jnp.max(sizes)
            share = jnp.where(largest > 0, sizes / jnp.where(largest > 0, largest, 1), 0)
            weight = jnp.asarray(block.weight)
            multiplier = self.decay * jnp.sqrt(weight) + self.rate * lax.stop_gradient(share)
            return dataclasses.replace(block, weight=jnp.astype(multiplier**2, weight.dtype))

        return [weighed(block) if number in chosen else block for number, block in enumerate(blocks)]


def _check(name: str, every: int, momentum: float) -> None:
    if every < 1 or not 0 <= momentum < 1:
        raise ValueError(f"{name}: `every` is at least 1, and `momentum` in [0, 1).")


def _balanced(blocks, sizes, momentum, step, least) -> list[Rows]:
    """Blocks with the mean of all sizes over their own as a factor."""
    sizes = lax.stop_gradient(jnp.stack(sizes))
    mean = jnp.mean(sizes)
    factors = jnp.where(mean > 0, mean / jnp.maximum(sizes, least * mean), 1)
    stays = jnp.where(step == 0, 0, momentum)

    def mixed(block, factor):
        old = jnp.asarray(block.factor)
        return dataclasses.replace(block, factor=jnp.astype(stays * old + (1 - stays) * factor, old.dtype))

    return [mixed(block, factor) for block, factor in zip(blocks, factors, strict=True)]
