"""Fourier neural operators: maps of functions on a grid, which may be sampled finer than in training."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ._partial_fourier import analysis, counts, synthesis
from ._sizes import check_sizes, floating

_PRECISION = lax.Precision.HIGHEST


class Pointwise(eqx.Module):
    """An affine map of the channels at each point, $y_i(x) = \\sum_j W_{ij}\\, u_j(x) + b_i$.

    Weights and biases are drawn from $U(-1/\\sqrt n, 1/\\sqrt n)$ for $n$ channels in.

    **Arguments:**

    - `in_channels`, `out_channels`: numbers at each point, in and out.
    - `dtype`: of the parameters; the default floating-point type unless given.
    - `key`: for the parameters.
    """

    weight: jax.Array
    bias: jax.Array

    def __init__(self, in_channels: int, out_channels: int, *, dtype=None, key: jax.Array):
        in_channels, out_channels = check_sizes(self, in_channels=in_channels, out_channels=out_channels)
        bound = 1 / math.sqrt(in_channels)
        first, second = jax.random.split(key)
        draw = lambda key, shape: jax.random.uniform(key, shape, floating(dtype), -bound, bound)
        self.weight = draw(first, (out_channels, in_channels))
        self.bias = draw(second, (out_channels,))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(in_channels, *grid)` to `(out_channels, *grid)`."""
        x = checked(self, x, self.weight.shape[1], None)
        bias = self.bias.reshape(-1, *(1,) * (x.ndim - 1))
        return jnp.tensordot(self.weight, x, 1, precision=_PRECISION) + bias


class SpectralConvolution(eqx.Module):
    """A convolution of functions with a kernel that has few Fourier modes, each a trained matrix of the channels.

    $$y_i(x) = \\mathrm{Re} \\sum_{|k_a| < m_a} e^{2 \\pi i\\, k \\cdot x} \\sum_j R_{ij}(k)\\, \\hat u_j(k), \\qquad
      \\hat u_j(k) = \\int u_j(x)\\, e^{-2 \\pi i\\, k \\cdot x}\\, dx$$

    with $x_a$ in units of the period. Functions are real, so only wave numbers $k_d \\ge 0$ of the last axis have
    matrices of their own; those with $k_d < 0$ are the conjugates $R(k) = \\bar R(-k)$. Real parts and imaginary parts
    are two real arrays, which every method of optimization takes. Where $k_d = 0$, $R(k)$ and the conjugate of $R(-k)$
    have the same effect, and the imaginary part of $R(0)$ has none.

    Coefficients are integrals and not sums, so the same function on a finer grid gives the same function, to the
    aliasing error of its samples.

    **Arguments:**

    - `in_channels`, `out_channels`: functions in and out.
    - `modes`: $m_a$, how many wave numbers along each axis, 0 to $m_a - 1$, with those of the other sign; one, two or
        three numbers, or one number for one axis. A grid needs at least $2 m_a - 1$ points along an axis.
    - `padding`: zero on periodic axes. On others, how much zeros extend the function before it is taken for periodic,
        as a part of the axis' length, so that what leaves at one end does not come in at the other; one number, or
        one per axis. The result is given on the axis itself.
    - `dtype`: of the parameters; the default floating-point type unless given.
    - `key`: for the parameters.

    Points are equidistant, and each stands for an equal part of its axis: `js.Grid`'s nodes of a periodic axis, or
    centers of cells of another.

    Reference: Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021 (arXiv
    2010.08895), section 4, and their code for the distribution of the weights, $U(0, 1)$ divided by the product of
    the numbers of channels. There wave numbers of the first axes begin at $-m$, here at $1 - m$, so that a mirror image
    keeps them.
    """

    real: jax.Array
    imaginary: jax.Array
    modes: tuple[int, ...] = eqx.field(static=True)
    padding: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, modes: int | Sequence[int], *,
                 padding: float | Sequence[float] = 0.0, dtype=None, key: jax.Array):  # fmt: skip
        in_channels, out_channels = check_sizes(self, in_channels=in_channels, out_channels=out_channels)
        self.modes = _mode_counts(self, modes)
        self.padding = _paddings(self, padding, len(self.modes))
        shape = (out_channels, in_channels, *counts(self.modes))
        draw = lambda key: jax.random.uniform(key, shape, floating(dtype)) / (in_channels * out_channels)
        self.real, self.imaginary = map(draw, jax.random.split(key))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(in_channels, *grid)` to `(out_channels, *grid)`."""
        x = checked(self, x, self.real.shape[1], len(self.modes))
        for n, modes, padding in zip(x.shape[1:], self.modes, self.padding):
            if 2 * (modes - 1) >= n * (1 + padding):
                raise ValueError(
                    f"{type(self).__name__}: {modes} wave numbers along an axis need at least {2 * modes - 1} points, "
                    f"got a grid of shape {x.shape[1:]}. Use fewer `modes`, or a finer grid."
                )
        coefficients = analysis(x, self.modes, self.padding)
        matrices = lax.complex(self.real, self.imaginary).astype(coefficients.dtype)
        coefficients = jnp.einsum("ij...,j...->i...", matrices, coefficients, precision=_PRECISION)
        return synthesis(coefficients, x.shape[1:], self.modes, self.padding)


class FNO(eqx.Module):
    """A Fourier neural operator: a map of functions on a grid in one, two or three dimensions.

    $$v_0 = P(u), \\qquad v_{l+1} = \\sigma\\big(W_l v_l + b_l + K_l v_l\\big), \\qquad y = Q(v_L)$$

    with spectral convolutions $K_l$ (see `SpectralConvolution`), no activation after the last of them, $P$ a pointwise
    affine map, and $Q$ a pointwise perceptron with one hidden layer. Without coordinates, and on periodic axes, it
    commutes with translations by whole cells. One function on grids of any resolution gives the same result to the
    aliasing error, in the samples and in those of $\\sigma(\\dots)$.

    **Arguments:**

    - `in_channels`, `out_channels`: functions in and out.
    - `width`: channels of each layer.
    - `depth`: $L$, how many layers.
    - `modes`: how many wave numbers along each axis, one, two or three numbers; see `SpectralConvolution`.
    - `activation`: $\\sigma$, of an array.
    - `coordinates`: whether the position along each axis, 0 to 1, joins the channels in; translations are given up.
    - `padding`: zero on periodic axes, more on others; see `SpectralConvolution`. A quarter is a common choice.
    - `projection`: numbers in the hidden layer of $Q$; twice `width` unless given.
    - `dtype`: of the parameters; the default floating-point type unless given.
    - `key`: for the parameters.

    Maps shape `(in_channels, *grid)` to `(out_channels, *grid)`; `jax.vmap` for a batch.

    !!! example

        ```python
        step = FNO(1, 1, width=32, depth=4, modes=16, key=key)         # one periodic axis
        v = step(u[None])[0]
        channel = FNO(2, 16, 32, 4, (12, 8), padding=(0.0, 0.25), coordinates=True, key=key)
        ```

    Reference: Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021 (arXiv
    2010.08895), section 4. They pad features once, and the layers fill what was padded; here every convolution begins
    with zeros there, which needs no further points.
    """

    lifting: Pointwise
    convolutions: tuple[SpectralConvolution, ...]
    pointwise: tuple[Pointwise, ...]
    hidden: Pointwise
    last: Pointwise
    activation: Callable
    coordinates: bool = eqx.field(static=True)

    def __init__(self, in_channels: int, out_channels: int, width: int, depth: int, modes: int | Sequence[int],
                 activation: Callable = jax.nn.gelu, *, coordinates: bool = False,
                 padding: float | Sequence[float] = 0.0, projection: int | None = None, dtype=None,
                 key: jax.Array):  # fmt: skip
        in_channels, out_channels, width, depth, projection = check_sizes(
            self, in_channels=in_channels, out_channels=out_channels, width=width, depth=depth,
            projection=2 * width if projection is None else projection,
        )  # fmt: skip
        dimension = len(_mode_counts(self, modes))
        keys = jax.random.split(key, 2 * depth + 3)
        point = lambda ins, outs, key: Pointwise(ins, outs, dtype=dtype, key=key)
        wave = lambda key: SpectralConvolution(width, width, modes, padding=padding, dtype=dtype, key=key)
        self.lifting = point(in_channels + (dimension if coordinates else 0), width, keys[-3])
        self.convolutions = tuple(wave(keys[2 * k]) for k in range(depth))
        self.pointwise = tuple(point(width, width, keys[2 * k + 1]) for k in range(depth))
        self.hidden = point(width, projection, keys[-2])
        self.last = point(projection, out_channels, keys[-1])
        self.activation, self.coordinates = activation, bool(coordinates)

    @property
    def modes(self) -> tuple[int, ...]:
        """How many wave numbers along each axis."""
        return self.convolutions[0].modes

    @property
    def padding(self) -> tuple[float, ...]:
        """How much zeros extend each axis, as a part of its length."""
        return self.convolutions[0].padding

    @property
    def in_channels(self) -> int:
        """Functions in, without coordinates."""
        return self.lifting.weight.shape[1] - (len(self.modes) if self.coordinates else 0)

    @property
    def out_channels(self) -> int:
        """Functions out."""
        return self.last.weight.shape[0]

    def features(self, x: jax.Array) -> jax.Array:
        """What the last layer is given, shape `(projection, *grid)`."""
        x = checked(self, x, self.in_channels, len(self.modes))
        if self.coordinates:
            x = jnp.concatenate([x, self._positions(x.shape[1:], x.dtype)])
        x = self.lifting(x)
        for k, (convolution, pointwise) in enumerate(zip(self.convolutions, self.pointwise)):
            x = convolution(x) + pointwise(x)
            if k + 1 < len(self.convolutions):
                x = self.activation(x)
        return self.activation(self.hidden(x))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(in_channels, *grid)` to `(out_channels, *grid)`."""
        return self.last(self.features(x))

    def _positions(self, grid: tuple[int, ...], dtype) -> jax.Array:
        """Nodes of periodic axes and centers of cells of others, between 0 and 1."""
        axes = [(np.arange(n) + (0.5 if padding else 0.0)) / n for n, padding in zip(grid, self.padding)]
        return jnp.asarray(np.stack(np.meshgrid(*axes, indexing="ij")), dtype)


def checked(owner: object, x: jax.Array, channels: int, dimension: int | None) -> jax.Array:
    """The input as an array; `ValueError` or `TypeError` unless it is real, of shape `(channels, *grid)`."""
    x = jnp.asarray(x)
    name, axes = type(owner).__name__, "*grid" if dimension is None else ", ".join("xyz"[:dimension])
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name}: the input holds real floating-point numbers, got {x.dtype}.")
    if x.ndim == 0 or x.shape[0] != channels or (dimension is not None and x.ndim != dimension + 1):
        raise ValueError(
            f"{name}: the input has shape ({channels}, {axes}), channels and then the grid; got {x.shape}. "
            "Use jax.vmap for a batch, and u[None] for one function."
        )
    return x


def _mode_counts(owner: object, modes: int | Sequence[int]) -> tuple[int, ...]:
    """One, two or three whole numbers."""
    found = tuple(modes) if isinstance(modes, Sequence) else (modes,)
    if not 1 <= len(found) <= 3:
        raise ValueError(f"{type(owner).__name__}: `modes` needs 1, 2 or 3 numbers, one per axis; got {modes!r}.")
    return tuple(check_sizes(owner, modes=number)[0] for number in found)


def _paddings(owner: object, padding: float | Sequence[float], dimension: int) -> tuple[float, ...]:
    """A number of at least zero for each axis."""
    found = tuple(padding) if isinstance(padding, Sequence) else (padding,) * dimension
    if len(found) != dimension or not all(isinstance(p, (int, float)) and 0 <= p < math.inf for p in found):
        raise ValueError(
            f"{type(owner).__name__}: `padding` needs one number of at least 0, or one per axis ({dimension}), as a "
            f"part of the axis' length; got {padding!r}."
        )
    return tuple(float(p) for p in found)
