"""Networks of sines."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from ._base import AbstractNet
from ._sizes import Size, as_size, check_sizes, count
from .dense import Dense


class SIREN(AbstractNet):
    """A perceptron of sines, $h_{k+1} = \\sin\\big(\\omega_k (W_k h_k + b_k)\\big)$ and a linear last layer.

    The first weights are drawn from $U(-1/n, 1/n)$ for $n$ inputs and all others from $U(-c, c)$ with
    $c = \\sqrt{6/n}/\\omega$, so that the values of sines keep their size at any depth: their mean square $v$ tends to
    the solution of $v = \\frac12 (1 - e^{-4v})$, which is 0.40, and the variance of arguments to $2v$. The first biases
    are drawn from $U(-1/\\sqrt n, 1/\\sqrt n)$, which spreads the phases, and the others from that divided by
    $\\omega$, lest they outgrow the arguments.

    **Arguments:**

    - `in_size`, `out_size`, `width`, `depth`, `dtype`, `key`: as those of `MLP`.
    - `first_omega`: $\\omega_0$, which sets the highest wave numbers in the beginning. 30 suits pictures; for solutions
        of equations a few wave lengths per unit, 1 to 10, are a better guess.
    - `omega`: $\\omega$ of the other layers, which scales their gradients.

    Reference: Sitzmann, Martel, Bergman, Lindell and Wetzstein, Implicit neural representations with periodic
    activation functions, NeurIPS 2020 (arXiv 2006.09661), section 3.2.
    """

    hidden: tuple[Dense, ...]
    last: Dense
    in_size: int = eqx.field(static=True)
    out_size: Size = eqx.field(static=True, converter=as_size)
    first_omega: float = eqx.field(static=True)
    omega: float = eqx.field(static=True)

    def __init__(self, in_size: int, out_size: Size, width: int, depth: int, first_omega: float = 30.0,
                 omega: float = 30.0, *, dtype=None, key: jax.Array):  # fmt: skip
        in_size, width, depth = check_sizes(self, in_size=in_size, width=width, depth=depth)
        if not (first_omega > 0 and omega > 0):
            raise ValueError(f"SIREN: `first_omega` and `omega` must be positive, got {first_omega} and {omega}.")
        keys = jax.random.split(key, depth + 1)
        layers = [_uniform_dense(in_size, width, 1 / in_size, 1.0, keys[0], dtype)]
        bound = math.sqrt(6 / width) / omega
        layers += [_uniform_dense(width, width, bound, omega, keys[k], dtype) for k in range(1, depth)]
        self.hidden = tuple(layers)
        self.last = _uniform_dense(width, count(self, out_size), bound, omega, keys[-1], dtype)
        self.in_size, self.out_size = in_size, out_size
        self.first_omega, self.omega = float(first_omega), float(omega)

    def features(self, x: jax.Array) -> jax.Array:
        omega = self.first_omega
        for layer in self.hidden:
            x = jnp.sin(omega * layer(x))
            omega = self.omega
        return x


def _uniform_dense(in_size, out_size, bound, omega, key, dtype) -> Dense:
    draw = lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)
    layer = Dense(in_size, out_size, key=key, dtype=dtype, initializer=draw)
    edge = 1 / (omega * math.sqrt(in_size))
    bias = jax.random.uniform(jax.random.fold_in(key, 1), (out_size,), layer.bias.dtype, -edge, edge)
    return layer.replaced(layer.weight, bias)
