"""Deep gated networks that begin as a linear map of their embedding."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ._base import AbstractNet
from ._sizes import Size, as_size, check_sizes, count, floating
from .dense import AbstractDense, Dense
from .fourier_features import FourierFeatures
from .modified_mlp import gated


class PirateBlock(eqx.Module):
    """Three gated layers beside the identity, $x \\mapsto \\alpha\\, h(x) + (1 - \\alpha)\\, x$ with trained $\\alpha$.

    Made by `PirateNet`.
    """

    layers: tuple[AbstractDense, AbstractDense, AbstractDense]
    alpha: jax.Array

    def __call__(self, x: jax.Array, u: jax.Array, v: jax.Array, activation: Callable) -> jax.Array:
        """The block at a state `x`, with the encoders `u` and `v`; all of shape `(width,)`."""
        first, second, third = self.layers
        z = gated(activation(first(x)), u, v)
        z = gated(activation(second(z)), u, v)
        return x + self.alpha * (activation(third(z)) - x)


class PirateNet(AbstractNet):
    """A deep network that begins as a linear map of its embedding, and becomes nonlinear as it is trained.

    $$x_0 = \\Phi(x), \\quad U = \\sigma(W_U \\Phi + b_U), \\quad V = \\sigma(W_V \\Phi + b_V), \\qquad
      x_{l+1} = \\alpha_l\\, h_l(x_l; U, V) + (1 - \\alpha_l)\\, x_l$$

    Each block $h_l$ has three dense layers, the first two gated as in `ModifiedMLP`, and $\\alpha_l = 0$ in the
    beginning. So derivatives do not degenerate with depth, and `initialized` makes the network begin as the best
    linear combination of the embedding for values that are known beforehand.

    **Arguments:**

    - `in_size`, `out_size`, `activation`, `layer`, `dtype`, `key`: as those of `MLP`.
    - `width`: numbers in each layer, and in the embedding.
    - `depth`: how many blocks; three layers each.
    - `embedding`: $\\Phi$, maps shape `(in_size,)` to `(width,)`; trained `FourierFeatures` by default.
    - `scale`: of the default embedding.

    Reference: Wang, Li, Chen and Perdikaris, PirateNets: Physics-informed deep learning with residual adaptive
    networks, arXiv 2402.00326 (2024), section 4.
    """

    embedding: Callable
    encoders: tuple[AbstractDense, AbstractDense]
    blocks: tuple[PirateBlock, ...]
    last: AbstractDense
    activation: Callable
    in_size: int = eqx.field(static=True)
    out_size: Size = eqx.field(static=True, converter=as_size)

    def __init__(self, in_size: int, out_size: Size, width: int, depth: int, activation: Callable = jnp.tanh, *,
                 embedding: Callable | None = None, scale: float = 1.0, layer: Callable[..., AbstractDense] = Dense,
                 dtype=None, key: jax.Array):  # fmt: skip
        in_size, width, depth = check_sizes(self, in_size=in_size, width=width, depth=depth)
        keys = iter(jax.random.split(key, 3 * depth + 4))
        make = lambda out: layer(width, out, key=next(keys), dtype=dtype)
        if embedding is None:
            embedding = FourierFeatures(in_size, width, scale, dtype=dtype, key=next(keys))
        self.embedding = embedding
        found = eqx.filter_eval_shape(embedding, jax.ShapeDtypeStruct((in_size,), floating(dtype)))
        if found.shape != (width,):
            raise ValueError(f"PirateNet: the embedding must have shape ({width},), the width; got {found.shape}.")
        self.encoders = (make(width), make(width))
        zero = jnp.zeros((), floating(dtype))
        self.blocks = tuple(PirateBlock((make(width), make(width), make(width)), zero) for _ in range(depth))
        self.last = make(count(self, out_size))
        self.activation, self.in_size, self.out_size = activation, in_size, out_size

    def features(self, x: jax.Array) -> jax.Array:
        embedded = self.embedding(x)
        u, v = (self.activation(encoder(embedded)) for encoder in self.encoders)
        for block in self.blocks:
            embedded = block(embedded, u, v, self.activation)
        return embedded
