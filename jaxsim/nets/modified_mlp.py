"""Perceptrons whose layers are gated by two encoders of the input."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ._base import AbstractNet
from ._sizes import Size, as_size, check_sizes, count
from .dense import AbstractDense, Dense


class ModifiedMLP(AbstractNet):
    """A perceptron in which every hidden layer chooses between two encoders of the input.

    $$U = \\sigma(W_U x + b_U), \\quad V = \\sigma(W_V x + b_V), \\qquad
      z_k = \\sigma(W_k h_k + b_k), \\quad h_{k+1} = z_k \\odot U + (1 - z_k) \\odot V$$

    Products of the input with itself, which an `MLP` has to learn, are there from the beginning.

    **Arguments:** those of `MLP`.

    Reference: Wang, Teng and Perdikaris, Understanding and mitigating gradient flow pathologies in physics-informed
    neural networks, SIAM J. Sci. Comput. 43, A3055 (2021), the improved architecture. Its first layer has no gate; here
    all have, as in later codes of its authors.
    """

    encoders: tuple[AbstractDense, AbstractDense]
    hidden: tuple[AbstractDense, ...]
    last: AbstractDense
    activation: Callable
    in_size: int = eqx.field(static=True)
    out_size: Size = eqx.field(static=True, converter=as_size)

    def __init__(self, in_size: int, out_size: Size, width: int, depth: int, activation: Callable = jnp.tanh, *,
                 layer: Callable[..., AbstractDense] = Dense, dtype=None, key: jax.Array):  # fmt: skip
        in_size, width, depth = check_sizes(self, in_size=in_size, width=width, depth=depth)
        keys = jax.random.split(key, depth + 3)
        sizes = [in_size] + [width] * depth
        self.encoders = (
            layer(in_size, width, key=keys[-3], dtype=dtype),
            layer(in_size, width, key=keys[-2], dtype=dtype),
        )
        self.hidden = tuple(layer(sizes[k], width, key=keys[k], dtype=dtype) for k in range(depth))
        self.last = layer(width, count(self, out_size), key=keys[-1], dtype=dtype)
        self.activation, self.in_size, self.out_size = activation, in_size, out_size

    def features(self, x: jax.Array) -> jax.Array:
        u, v = (self.activation(encoder(x)) for encoder in self.encoders)
        for layer in self.hidden:
            x = gated(self.activation(layer(x)), u, v)
        return x


def gated(z: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
    """$z \\odot u + (1 - z) \\odot v$."""
    return v + z * (u - v)
