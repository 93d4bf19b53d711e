"""Multilayer perceptrons."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ._base import AbstractNet
from ._sizes import Size, as_size, check_sizes, count
from .dense import AbstractDense, Dense


class MLP(AbstractNet):
    """A multilayer perceptron, $h_{k+1} = \\sigma(W_k h_k + b_k)$ and a linear last layer.

    It differs from `equinox.nn.MLP` in how it begins (see `Dense`: larger weights, no biases) and in that its layers
    can be exchanged.

    **Arguments:**

    - `in_size`: numbers in.
    - `out_size`: numbers out, or `"scalar"`.
    - `width`: numbers in each hidden layer.
    - `depth`: how many hidden layers.
    - `activation`: $\\sigma$, of an array. Derivatives of the network need as many of its derivatives.
    - `layer`: what makes a layer, `Dense` or `FactorizedDense`, called as
        `layer(in_size, out_size, key=key, dtype=dtype)`.
    - `dtype`: of the parameters.
    - `key`: for the parameters.
    """

    hidden: tuple[AbstractDense, ...]
    last: AbstractDense
    activation: Callable
    in_size: int = eqx.field(static=True)
    out_size: Size = eqx.field(static=True, converter=as_size)

    def __init__(self, in_size: int, out_size: Size, width: int, depth: int, activation: Callable = jnp.tanh, *,
                 layer: Callable[..., AbstractDense] = Dense, dtype=None, key: jax.Array):  # fmt: skip
        in_size, width, depth = check_sizes(self, in_size=in_size, width=width, depth=depth)
        keys = jax.random.split(key, depth + 1)
        sizes = [in_size] + [width] * depth
        self.hidden = tuple(layer(sizes[k], width, key=keys[k], dtype=dtype) for k in range(depth))
        self.last = layer(width, count(self, out_size), key=keys[-1], dtype=dtype)
        self.activation, self.in_size, self.out_size = activation, in_size, out_size

    def features(self, x: jax.Array) -> jax.Array:
        for layer in self.hidden:
            x = self.activation(layer(x))
        return x
