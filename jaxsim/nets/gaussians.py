"""Sums of Gaussians that move and stretch, with a small perceptron behind them."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._base import AbstractNet
from ._sizes import Size, as_size, check_input, check_sizes, count, floating
from .choice import weighted_choice
from .dense import AbstractDense, Dense, multiply


class GaussianFeatures(eqx.Module):
    """Gaussians with trained centers and covariances,
    $g_i(x) = \\exp\\big(-\\tfrac12 (x - \\mu_i)^T \\Sigma_i^{-1} (x - \\mu_i)\\big)$.

    Diagonal covariances are given by the logarithms of widths; full ones by $\\Sigma_i^{-1} = A_i^T A_i$ with any
    square $A_i$, so that they remain covariances whatever a method does to the numbers.

    **Arguments:**

    - `in_size`: numbers in.
    - `number`: how many Gaussians.
    - `centers`: $\\mu_i$ in the beginning, shape `(number, in_size)`; uniform in $[-1, 1]^d$ unless given. See
        `centers_by_weight`.
    - `width`: standard deviation in the beginning, a number or one per input; the distance between neighbors in an even
        spread over $[-1, 1]^d$ unless given, $2 / n^{1/d}$.
    - `full`: whether covariances are full.
    - `dtype`: of the parameters.
    - `key`: for the centers.
    """

    centers: jax.Array
    shape: jax.Array
    full: bool = eqx.field(static=True)

    def __init__(self, in_size: int, number: int, centers: jax.Array | None = None, width=None, *, full: bool = False,
                 dtype=None, key: jax.Array):  # fmt: skip
        in_size, number = check_sizes(self, in_size=in_size, number=number)
        dtype = floating(dtype)
        if centers is None:
            centers = jax.random.uniform(key, (number, in_size), dtype, -1, 1)
        self.centers = jnp.asarray(centers, dtype)
        if self.centers.shape != (number, in_size):
            raise ValueError(f"GaussianFeatures: centers have shape ({number}, {in_size}), got {self.centers.shape}.")
        widths = jnp.asarray(2 / number ** (1 / in_size) if width is None else width, dtype)
        if widths.shape not in ((), (in_size,)):
            raise ValueError(f"GaussianFeatures: `width` needs one number, or one per input; got shape {widths.shape}.")
        if not isinstance(width, jax.core.Tracer) and width is not None and not np.all(np.asarray(width) > 0):
            raise ValueError(f"GaussianFeatures: `width` must be positive, got {width}.")
        widths = jnp.broadcast_to(widths, (number, in_size))
        self.shape = jax.vmap(jnp.diag)(1 / widths) if full else jnp.log(widths)
        self.full = full

    @property
    def precisions(self) -> jax.Array:
        """$\\Sigma_i^{-1}$, shape `(number, in_size, in_size)`."""
        if self.full:
            return jnp.einsum("nki,nkj->nij", self.shape, self.shape, precision=lax.Precision.HIGHEST)
        return jax.vmap(jnp.diag)(jnp.exp(-2 * self.shape))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(in_size,)` to `(number,)`."""
        check_input(self, x, self.centers.shape[1])
        away = x - self.centers
        if self.full:
            scaled = jnp.einsum("nij,nj->ni", self.shape, away, precision=lax.Precision.HIGHEST)
        else:
            scaled = away * jnp.exp(-self.shape)
        return jnp.exp(-0.5 * jnp.sum(scaled * scaled, 1))


class Gaussians(AbstractNet):
    """A sum of trained Gaussians, with a small perceptron behind it, $u(x) = N\\big(\\sum_i w_i\\, g_i(x)\\big)$.

    Physics-informed Gaussians: each has a center, a covariance and a vector of weights $w_i$. Centers move to where the
    solution needs them, so sharp and local features take few parameters. With `depth` zero the perceptron is left out,
    and the network is linear in its last layer, $u = \\sum_i w_i g_i + b$.

    **Arguments:**

    - `in_size`, `out_size`, `activation`, `layer`, `dtype`, `key`: as those of `MLP`.
    - `number`, `centers`, `full`: as those of `GaussianFeatures`.
    - `spread`: the `width` of `GaussianFeatures`, standard deviations in the beginning.
    - `mixed`: how many sums are given to the perceptron, the length of $w_i$. They begin with mean square one where
        centers are spread evenly over $[-1, 1]^d$.
    - `width`, `depth`: of the perceptron; hidden layers.

    Reference: Kang, Oh, Hong and Park, PIG: Physics-informed Gaussians as adaptive parametric mesh representations,
    ICLR 2025 (arXiv 2412.05994), which takes 4 sums and 2 layers of 16.
    """

    gaussians: GaussianFeatures
    mixing: jax.Array | None
    hidden: tuple[AbstractDense, ...]
    last: AbstractDense
    activation: Callable
    in_size: int = eqx.field(static=True)
    out_size: Size = eqx.field(static=True, converter=as_size)

    def __init__(self, in_size: int, out_size: Size, number: int, mixed: int = 4, width: int = 16, depth: int = 1,
                 activation: Callable = jnp.tanh, *, centers: jax.Array | None = None, spread=None, full: bool = False,
                 layer: Callable[..., AbstractDense] = Dense, dtype=None, key: jax.Array):  # fmt: skip
        in_size, number = check_sizes(self, in_size=in_size, number=number)
        if depth != 0:
            mixed, width, depth = check_sizes(self, mixed=mixed, width=width, depth=depth)
        keys = jax.random.split(key, depth + 3)
        self.gaussians = GaussianFeatures(in_size, number, centers, spread, full=full, dtype=dtype, key=keys[-1])
        outputs = count(self, out_size)
        make = lambda n, m, k: layer(n, m, key=k, dtype=dtype)
        if depth == 0:
            self.mixing, self.hidden, self.last = None, (), make(number, outputs, keys[0])
        else:
            scale = lax.rsqrt(jnp.maximum(_overlap(self.gaussians), 1))
            self.mixing = scale * jax.random.normal(keys[-2], (mixed, number), floating(dtype))
            sizes = [mixed] + [width] * depth
            self.hidden = tuple(make(sizes[k], width, keys[k]) for k in range(depth))
            self.last = make(width, outputs, keys[depth])
        self.activation, self.in_size, self.out_size = activation, in_size, out_size

    def features(self, x: jax.Array) -> jax.Array:
        h = self.gaussians(x)
        if self.mixing is not None:
            h = multiply(self.mixing, h)
        for layer in self.hidden:
            h = self.activation(layer(h))
        return h


def centers_by_weight(key: jax.Array, candidates: jax.Array, weights: jax.Array, number: int) -> jax.Array:
    """Centers where they are needed most: different candidates, drawn with probabilities proportional to weights.

    Good weights are the size of the residual of a first solution, or that of the gradient of the initial values.

    **Arguments:**

    - `key`: for the draw.
    - `candidates`: shape `(n, in_size)`, such as points drawn evenly.
    - `weights`: shape `(n,)`, not negative.
    - `number`: how many, at most `n`.

    **Returns:** shape `(number, in_size)`, the `centers` of `Gaussians`.

    !!! example

        ```python
        x = jnp.linspace(-1, 1, 1000)
        t, steep = jax.random.uniform(key1, (1000,), minval=-1), jnp.abs(jax.vmap(jax.grad(u0))(x))
        net = Gaussians(2, "scalar", 100, centers=centers_by_weight(key2, jnp.stack([t, x], 1), steep, 100), key=key3)
        ```

    Reference: Chen et al., NeuRBF, ICCV 2023 (arXiv 2309.15426), whose centers follow the gradient of the data.
    """
    candidates = jnp.asarray(candidates)
    if candidates.ndim != 2 or jnp.shape(weights) != candidates.shape[:1]:
        raise ValueError(
            f"centers_by_weight: candidates of shape (n, in_size) and n weights; got {candidates.shape} and "
            f"{jnp.shape(weights)}."
        )
    return candidates[weighted_choice(key, weights, number)]


def _overlap(gaussians: GaussianFeatures) -> jax.Array:
    """The mean of sum g_i^2 over [-1, 1]^d for Gaussians inside it, by their integrals pi^(d/2) det(Sigma)^(1/2)."""
    size = gaussians.centers.shape[1]
    determinants = jnp.linalg.det(gaussians.precisions)
    return jnp.sum(jnp.pi ** (size / 2) * lax.rsqrt(determinants)) / 2**size
