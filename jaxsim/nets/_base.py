"""What networks with a linear last layer have in common."""

import abc
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ._sizes import Size, check_input, shaped
from .dense import AbstractDense


class AbstractNet(eqx.Module):
    """A network of numbers: features, and a linear last layer.

    It maps an array of shape `(in_size,)` to one of shape `(out_size,)`, or `()` where `out_size` is `"scalar"`. Layers
    are unrolled and made of plain `jax.numpy` operations, so that Taylor series pass through them.
    """

    in_size: eqx.AbstractVar[int]
    out_size: eqx.AbstractVar[Size]
    last: eqx.AbstractVar[AbstractDense]

    @abc.abstractmethod
    def features(self, x: jax.Array) -> jax.Array:
        """What the last layer is given, of the input `x`."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """The network at one input."""
        check_input(self, x, self.in_size)
        return shaped(self.last(self.features(x)), self.out_size)


Net = TypeVar("Net", bound=AbstractNet)


def initialized(net: Net, inputs: jax.Array, values: jax.Array, rcond: float | None = None) -> Net:
    """The network whose last layer is the least-squares fit of values at inputs, all else unchanged.

    $$\\min_{W, b} \\sum_i |W \\phi(x_i) + b - u_i|^2$$

    For a `PirateNet`, which begins as a linear map of its embedding, that is its physics-informed initialization: the
    values are those that are known beforehand, such as the initial condition repeated at many times, a solution of the
    linearized equation, or measurements. The solution of least norm is taken where there are several.

    **Arguments:**

    - `net`: any network of `jaxsim.nets` with `features` and a linear layer `last`.
    - `inputs`: shape `(n, in_size)`, as the network itself is given them, after any embedding around it.
    - `values`: shape `(n,)`, or `(n, out_size)`.
    - `rcond`: singular values below `rcond` times the largest are taken for zero; rounding times the larger size of the
        problem by default. More gives smaller weights.

    Reference: Wang, Li, Chen and Perdikaris, PirateNets, arXiv 2402.00326 (2024), section 4.
    """
    inputs, values = jnp.asarray(inputs), jnp.asarray(values)
    width = net.last.matrix.shape[0]
    if inputs.ndim != 2 or inputs.shape[1] != net.in_size:
        raise ValueError(f"initialized: inputs have shape (n, {net.in_size}), got {inputs.shape}.")
    expected = inputs.shape[:1] if net.out_size == "scalar" else (len(inputs), width)
    if values.shape != expected:
        raise ValueError(f"initialized: a value for each input, shape {expected}; got {values.shape}.")
    features = jax.vmap(net.features)(inputs)
    table = jnp.concatenate([features, jnp.ones_like(features[:, :1])], 1)
    fit = jnp.linalg.lstsq(table, values.reshape(len(inputs), width).astype(table.dtype), rcond)[0]
    dtype = net.last.bias.dtype
    return eqx.tree_at(lambda n: n.last, net, net.last.replaced(fit[:-1].T.astype(dtype), fit[-1].astype(dtype)))
