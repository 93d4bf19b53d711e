"""Dense layers: plain, and with a factor of their own for each neuron."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ._sizes import check_input, check_sizes, floating

_PRECISION = lax.Precision.HIGHEST  # shorter mantissas of matrix units spoil second derivatives


def multiply(matrix: jax.Array, x: jax.Array) -> jax.Array:
    """A product of a matrix and a vector in the full precision of their type, on every device."""
    return jnp.dot(matrix, x, precision=_PRECISION)


class AbstractDense(eqx.Module):
    """An affine map of numbers, $x \\mapsto W x + b$.

    A class, or a `functools.partial` of one, is called as `layer(in_size, out_size, key=key, dtype=dtype)` by the
    networks that take a `layer`.
    """

    bias: eqx.AbstractVar[jax.Array]

    @property
    @abc.abstractmethod
    def matrix(self) -> jax.Array:
        """$W$, shape `(out_size, in_size)`."""

    @abc.abstractmethod
    def replaced(self, matrix: jax.Array, bias: jax.Array) -> "AbstractDense":
        """The layer with another matrix and bias."""

    @abc.abstractmethod
    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(in_size,)` to `(out_size,)`."""


class Dense(AbstractDense):
    """An affine map whose weights keep the size of activations and of gradients from layer to layer.

    $$W_{ij} \\sim N\\Big(0, \\frac{2}{m + n}\\Big), \\qquad b = 0$$

    for $n$ inputs and $m$ outputs, as is the habit of physics-informed networks. `equinox.nn.Linear` draws weights and
    biases from $U(-1/\\sqrt n, 1/\\sqrt n)$, with a third of that variance in square layers, so that deep networks
    begin almost constant.

    **Arguments:**

    - `in_size`, `out_size`: numbers in and out.
    - `key`: for the weights.
    - `dtype`: of the parameters; the default floating-point type unless given.
    - `initializer`: of the weights, a function of a key, a shape `(out_size, in_size)` and a type, such as those of
        `jax.nn.initializers`.

    Reference: Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks,
    AISTATS 2010, for the variance.
    """

    weight: jax.Array
    bias: jax.Array

    def __init__(self, in_size: int, out_size: int, *, key: jax.Array, dtype=None,
                 initializer: Callable[..., jax.Array] | None = None):  # fmt: skip
        in_size, out_size = check_sizes(self, in_size=in_size, out_size=out_size)
        draw = glorot if initializer is None else initializer
        self.weight = draw(key, (out_size, in_size), floating(dtype))
        self.bias = jnp.zeros(out_size, floating(dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        check_input(self, x, self.weight.shape[1])
        return multiply(self.weight, x) + self.bias

    @property
    def matrix(self) -> jax.Array:
        return self.weight

    def replaced(self, matrix: jax.Array, bias: jax.Array) -> "Dense":
        return eqx.tree_at(lambda layer: (layer.weight, layer.bias), self, (matrix, bias))


class FactorizedDense(AbstractDense):
    """An affine map with a trained factor for each neuron, $W = \\mathrm{diag}(e^{s})\\, V$.

    Random weight factorization: $s_i \\sim N(\\mu, \\sigma^2)$, and $V$ such that $W$ is that of `Dense` with the same
    key. The network is the same function in the beginning; what changes is its geometry, for methods that are not
    invariant to a change of parameters, such as Adam.

    **Arguments:** those of `Dense`, and

    - `mean`, `deviation`: $\\mu$ and $\\sigma$; the authors take 0.5 or 1, and 0.1.

    Pass `functools.partial(FactorizedDense, mean=0.5)` for other numbers to a network that takes a `layer`.

    Reference: Wang, Wang, Seidman and Perdikaris, Random weight factorization improves the training of continuous
    neural representations, arXiv 2210.01274 (2022).
    """

    logarithm: jax.Array
    direction: jax.Array
    bias: jax.Array

    def __init__(self, in_size: int, out_size: int, *, key: jax.Array, dtype=None,
                 initializer: Callable[..., jax.Array] | None = None, mean: float = 1.0,
                 deviation: float = 0.1):  # fmt: skip
        if not deviation >= 0:
            raise ValueError(f"FactorizedDense: `deviation` must not be negative, got {deviation}.")
        plain = Dense(in_size, out_size, key=key, dtype=dtype, initializer=initializer)
        draws = jax.random.normal(jax.random.fold_in(key, 1), (out_size,), plain.bias.dtype)
        self.logarithm = mean + deviation * draws
        self.direction = plain.weight * jnp.exp(-self.logarithm)[:, None]
        self.bias = plain.bias

    def __call__(self, x: jax.Array) -> jax.Array:
        check_input(self, x, self.direction.shape[1])
        return jnp.exp(self.logarithm) * multiply(self.direction, x) + self.bias

    @property
    def matrix(self) -> jax.Array:
        return jnp.exp(self.logarithm)[:, None] * self.direction

    def replaced(self, matrix: jax.Array, bias: jax.Array) -> "FactorizedDense":
        direction = matrix * jnp.exp(-self.logarithm)[:, None]
        return eqx.tree_at(lambda layer: (layer.direction, layer.bias), self, (direction, bias))


def glorot(key: jax.Array, shape: tuple[int, int], dtype) -> jax.Array:
    """Weights of shape `(out_size, in_size)` from a normal distribution of variance `2 / (in_size + out_size)`."""
    return jax.random.normal(key, shape, dtype) * (2 / sum(shape)) ** 0.5
