"""Networks that are sums of products of networks of one coordinate each."""

import string
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ._sizes import Size, as_size, check_sizes, count, floating, shaped
from .mlp import MLP


class Factor(eqx.Module):
    """One coordinate's part of a `Separable` network: a scalar to an array of shape `(rank, outputs)`."""

    embedding: Callable | None
    network: Callable
    rank: int = eqx.field(static=True)

    def __call__(self, x: jax.Array) -> jax.Array:
        numbers = jnp.reshape(x, (1,)) if self.embedding is None else self.embedding(x)
        return self.network(numbers).reshape(self.rank, -1)


class Separable(eqx.Module):
    """A sum of products of networks of one coordinate each, $u(x) = \\sum_{r=1}^R \\prod_i f^{(i)}_r(x_i)$.

    On a tensor grid of $n^d$ points each factor is evaluated at $n$ points, $nd$ in all, and so are its derivatives;
    see `on_grid`. It suits boxes in three and more dimensions, and solutions whose features lie along the axes.

    **Arguments:**

    - `in_size`: how many coordinates.
    - `out_size`: numbers out, or `"scalar"`.
    - `rank`: $R$.
    - `width`, `depth`, `activation`, `dtype`, `key`: of the factors, as those of `MLP`.
    - `network`: what makes a factor's network, `MLP` or another of the same arguments, such as `ModifiedMLP`, or
        `functools.partial(MLP, layer=FactorizedDense)`.
    - `embeddings`: for each coordinate a function from a scalar to a 1-D array, which its factor is given, or `None`;
        `lambda x: jnp.stack([jnp.cos(x), jnp.sin(x)])` makes the network $2\\pi$-periodic.

    Called with an array of shape `(in_size,)`, like other networks, or with a scalar per coordinate, `net(t, x, ...)`.

    Reference: Cho et al., Separable physics-informed neural networks, NeurIPS 2023 (arXiv 2306.15969), section 4.
    """

    factors: tuple[Factor, ...]
    rank: int = eqx.field(static=True)
    out_size: Size = eqx.field(static=True, converter=as_size)

    def __init__(self, in_size: int, out_size: Size, rank: int, width: int, depth: int, activation: Callable = jnp.tanh,
                 *, network: Callable[..., Callable] = MLP, embeddings: Sequence[Callable | None] | None = None,
                 dtype=None, key: jax.Array):  # fmt: skip
        in_size, rank = check_sizes(self, in_size=in_size, rank=rank)
        embeddings = (None,) * in_size if embeddings is None else tuple(embeddings)
        if len(embeddings) != in_size:
            raise ValueError(f"Separable: one embedding or None per coordinate ({in_size}), got {len(embeddings)}.")
        outputs = rank * count(self, out_size)
        number = jax.ShapeDtypeStruct((), floating(dtype))
        factors = []
        for embedding, subkey in zip(embeddings, jax.random.split(key, in_size)):
            shape = (1,) if embedding is None else eqx.filter_eval_shape(embedding, number).shape
            if len(shape) != 1:
                raise ValueError(f"Separable: an embedding maps a scalar to a 1-D array, got shape {shape}.")
            factors.append(Factor(embedding, network(shape[0], outputs, width, depth, activation, dtype=dtype,
                                                     key=subkey), rank))  # fmt: skip
        self.factors, self.rank, self.out_size = tuple(factors), rank, out_size

    @property
    def in_size(self) -> int:
        """How many coordinates."""
        return len(self.factors)

    def __call__(self, *coordinates) -> jax.Array:
        """The network at one point, `net(array)` or `net(t, x, ...)`."""
        if len(coordinates) == 1 and jnp.ndim(coordinates[0]) == 1:
            coordinates = tuple(coordinates[0])
        if len(coordinates) != self.in_size or any(jnp.ndim(x) != 0 for x in coordinates):
            raise ValueError(
                f"Separable: one point of {self.in_size} coordinates, as an array of shape ({self.in_size},) or as "
                f"scalars; got shapes {[jnp.shape(x) for x in coordinates]}. Use `on_grid` for axes of points."
            )
        product = self.factors[0](coordinates[0])
        for factor, x in zip(self.factors[1:], coordinates[1:]):
            product = product * factor(x)
        return shaped(jnp.sum(product, 0), self.out_size)

    def along(self, axis: int, points: jax.Array, order: int = 0) -> jax.Array:
        """A derivative of one factor at points of its axis.

        **Arguments:**

        - `axis`: which coordinate.
        - `points`: shape `(n,)`.
        - `order`: of the derivative.

        **Returns:** shape `(n, rank, outputs)`.
        """
        if jnp.ndim(points) != 1:
            raise ValueError(f"Separable: points along an axis have shape (n,), got {jnp.shape(points)}.")
        if order < 0 or int(order) != order:
            raise ValueError(f"Separable: orders of derivatives are whole numbers of at least 0, got {order}.")
        function: Callable = self.factors[axis]
        for _ in range(order):
            function = _derivative(function)
        return jax.vmap(function)(points)

    def on_grid(self, *axes: jax.Array, orders: Sequence[int] | None = None) -> jax.Array:
        """The network, or a mixed derivative of it, on the tensor grid of some axes.

        **Arguments:**

        - `axes`: points along each coordinate, shape `(n_i,)`.
        - `orders`: of the derivatives with respect to each coordinate, `(1, 0, 2)` for $u_{tyy}$; the values by
            default.

        **Returns:** shape `(n_1, ..., n_d)`, with a last axis of outputs unless `out_size` is `"scalar"`.

        Factors that several derivatives share are evaluated once under one `jax.jit`.
        """
        orders = (0,) * self.in_size if orders is None else tuple(orders)
        if len(axes) != self.in_size or len(orders) != self.in_size:
            raise ValueError(
                f"Separable: one axis of points, and one order, per coordinate ({self.in_size}); got {len(axes)} axes "
                f"and {len(orders)} orders."
            )
        tables = [self.along(i, *pair) for i, pair in enumerate(zip(axes, orders))]
        letters = string.ascii_lowercase[: self.in_size]
        inputs = ",".join(f"{letter}YZ" for letter in letters)
        values = jnp.einsum(f"{inputs}->{letters}Z", *tables, precision=lax.Precision.HIGHEST)
        return values[..., 0] if self.out_size == "scalar" else values


def _derivative(function: Callable) -> Callable:
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]
