"""Rules that take new points during a training: evenly, or where residuals are large."""

import abc
import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..nets import weighted_choice
from ..norms import lengths
from ..optimize import AbstractBlockRule, Rows
from .box import Box


class AbstractSampler(eqx.Module):
    """A way to take the points of a block anew."""

    @abc.abstractmethod
    def __call__(self, block: Rows, model: Any, key: jax.Array) -> jax.Array:
        """Points of the same shape and type as the block's samples."""


class Uniform(AbstractSampler):
    """Independent points of a `Box`."""

    box: Box

    def __call__(self, block: Rows, model: Any, key: jax.Array) -> jax.Array:
        points = _points(block, self.box)
        return self.box.uniform(len(points), key, points.dtype)


class Sobol(AbstractSampler):
    """Evenly spread points of a `Box`: a Sobol sequence, scrambled anew each time."""

    box: Box

    def __call__(self, block: Rows, model: Any, key: jax.Array) -> jax.Array:
        points = _points(block, self.box)
        return self.box.sobol(len(points), key, points.dtype)


class ResidualAdaptive(AbstractSampler):
    """Points where residuals are large.

    Of many candidates, evenly spread over a `Box`, different ones are drawn with probabilities proportional to

    $$\\frac{|r|^k}{\\overline{|r|^k}} + c$$

    where the bar is the mean over candidates. A larger $k$ follows the residual more closely, a larger $c$ is closer
    to even.

    **Arguments:**

    - `box`: where candidates lie.
    - `candidates`: how many; a power of two is best.
    - `power`: $k$.
    - `floor`: $c$.

    Points are no longer uniform, so the loss is not the mean square of the residual over the box.

    Reference: Wu, Zhu, Tan, Kartha and Lu, A comprehensive study of non-adaptive and residual-based adaptive sampling
    for physics-informed neural networks, Comput. Methods Appl. Mech. Eng. 403, 115671 (2023), eq. 2 (RAD).
    """

    box: Box
    candidates: int = eqx.field(static=True)
    power: float = 1.0
    floor: float = 1.0

    def __check_init__(self):
        if self.candidates < 1:
            raise ValueError(f"ResidualAdaptive: `candidates` is at least 1, got {self.candidates}.")
        if any(not isinstance(v, jax.core.Tracer) and not v >= 0 for v in (self.power, self.floor)):
            raise ValueError("ResidualAdaptive: `power` and `floor` must not be negative, got "
                             f"{self.power} and {self.floor}.")  # fmt: skip

    def __call__(self, block: Rows, model: Any, key: jax.Array) -> jax.Array:
        points = _points(block, self.box)
        if self.candidates < len(points):
            raise ValueError(f"ResidualAdaptive: {len(points)} points cannot be drawn from {self.candidates} "
                             "candidates; ask for more candidates, several times the number of points.")  # fmt: skip
        scatter, draw = jax.random.split(key)
        pool = self.box.sobol(self.candidates, scatter, points.dtype)
        return pool[weighted_choice(draw, self.density(block, model, pool), len(points))]

    def density(self, block: Rows, model: Any, pool: jax.Array) -> jax.Array:
        """What probabilities of candidates are proportional to, shape `(n,)`; of mean $1 + c$."""
        powers = sizes(block, model, pool) ** self.power
        finite = jnp.isfinite(powers)
        mean = jnp.sum(jnp.where(finite, powers, 0)) / jnp.maximum(jnp.sum(finite.astype(powers.dtype)), 1)
        return jnp.where(mean > 0, powers / jnp.where(mean > 0, mean, 1), 1) + self.floor


class RetainResample(AbstractSampler):
    """Points with residuals above the mean stay, and all others are drawn anew, uniformly.

    Points gather where residuals stay large, and leave once these fall. Applied after every step of a first-order
    method, it costs one more evaluation of the residuals.

    Reference: Daw, Bu, Wang, Perdikaris and Karpatne, Mitigating propagation failures in physics-informed neural
    networks using retain-resample-release (R3) sampling, ICML 2023 (arXiv 2207.02338), algorithm 1.
    """

    box: Box

    def __call__(self, block: Rows, model: Any, key: jax.Array) -> jax.Array:
        points = _points(block, self.box)
        residuals = sizes(block, model, points)
        fresh = self.box.uniform(len(points), key, points.dtype)
        return jnp.where((residuals > jnp.mean(residuals))[:, None], points, fresh)


class Resample(AbstractBlockRule):
    """New points for a block, from time to time.

    **Arguments:**

    - `sampler`: `Uniform`, `Sobol`, `ResidualAdaptive` or `RetainResample`.
    - `block`: number of the block in the list that is trained.
    - `every`: steps between new points. Methods that build on earlier steps (quasi-Newton, Levenberg-Marquardt) want
        hundreds of steps with the same points; first-order methods want new ones at each.

    Weights of samples stay where they are, so a rule that makes them of the samples, such as causality, comes after
    this one.

    !!! example

        ```python
        box = Box((0.0, 1.0), (-1.0,), (1.0,))
        blocks = [collocation(equation, box.sobol(1024, key))]
        rules = [Resample(ResidualAdaptive(box, candidates=8192), every=500)]
        optimize.train(blocks, model, method, 5000, rules=rules, key=key)
        ```
    """

    sampler: AbstractSampler
    block: int = eqx.field(static=True, default=0)
    every: int = eqx.field(static=True, default=1)
    random: ClassVar[bool] = True

    def __check_init__(self):
        if self.every < 1:
            raise ValueError(f"Resample: `every` is at least 1 step, got {self.every}.")

    def changed(self, block: Rows, blocks: list[Rows], model: Any, step: jax.Array, key: jax.Array) -> Rows:
        """The block with other samples."""
        return dataclasses.replace(block, samples=self.sampler(block, model, key))


def sizes(block: Rows, model: Any, points: jax.Array) -> jax.Array:
    """$|r|$ of a block's residual at any points, over all its components and without a gradient; shape `(n,)`."""
    values = lax.stop_gradient(dataclasses.replace(block, samples=points, weight=1.0, factor=1.0).values(model))
    return lengths(values.reshape(len(values), -1))


def _points(block: Rows, box: Box) -> jax.Array:
    points = block.samples
    if not eqx.is_array(points) or points.ndim != 2 or points.shape[1] != box.size:
        raise ValueError(
            f"samplers take blocks whose samples are points of their box, an array of shape (n, {box.size}); got "
            f"{eqx.tree_pformat(points)}."
        )
    return points
