"""The lowest Fourier modes of arrays, and back, by products with small matrices.

Few modes are kept, so a product with a table of waves costs no more than a fast transform of all modes. It also lets
the period be any number of points, leaves the real transform's modes at wave number zero defined on every backend, and
can stand before a matrix factorization in one compiled program, where jaxlib 0.10 fails after a transform of a last
axis on processors.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_PRECISION = lax.Precision.HIGHEST


def counts(modes: tuple[int, ...]) -> tuple[int, ...]:
    """How many modes are kept along each axis: wave numbers of both signs, but for the last axis."""
    return (*(2 * m - 1 for m in modes[:-1]), modes[-1])


def analysis(x: jax.Array, modes: tuple[int, ...], padding: tuple[float, ...]) -> jax.Array:
    """Complex Fourier coefficients of the last axes; those of the last axis have wave numbers 0, 1, ...

    The function is zero beyond its axis, up to a period of `1 + padding` times its length.
    """
    first = x.ndim - len(modes)
    table = _waves(x.shape[-1], modes[-1], padding[-1], False)
    weights = 1 / (x.shape[-1] * (1 + padding[-1]))
    real, imaginary = (_applied(x, part * weights, x.ndim - 1) for part in (table.real, -table.imag))
    c = lax.complex(real, imaginary)
    for axis in range(len(modes) - 1):
        n = x.shape[first + axis]
        table = _waves(n, modes[axis], padding[axis], True)
        c = _applied(c, table.conj() / (n * (1 + padding[axis])), first + axis)
    return c


def synthesis(c: jax.Array, grid: tuple[int, ...], modes: tuple[int, ...], padding: tuple[float, ...]) -> jax.Array:
    """The real function on a grid, of complex Fourier coefficients: the sum over wave numbers of both signs."""
    first = c.ndim - len(modes)
    for axis in range(len(modes) - 1):
        c = _applied(c, _waves(grid[axis], modes[axis], padding[axis], True).T, first + axis)
    both = np.where(np.arange(modes[-1]) == 0, 1, 2)  # the conjugates of positive wave numbers are the negative ones
    table = (_waves(grid[-1], modes[-1], padding[-1], False) * both).T
    return _applied(c.real, table.real, c.ndim - 1) - _applied(c.imag, table.imag, c.ndim - 1)


@functools.lru_cache(maxsize=64)
def _waves(n: int, modes: int, padding: float, signs: bool) -> np.ndarray:
    """$e^{2 \\pi i k j / P}$ at points `j < n` for wave numbers `k`, with a period of `P = (1 + padding) n` points."""
    numbers = np.arange(1 - modes if signs else 0, modes)
    period = (1 + padding) * n
    table = np.exp(2j * np.pi * np.fmod(np.outer(np.arange(n), numbers), period) / period)
    table.setflags(write=False)
    return table


def _applied(x: jax.Array, table: np.ndarray, axis: int) -> jax.Array:
    """The product of one axis of `x` with a table, whose other axis takes its place."""
    constant = jnp.asarray(table, x.dtype)
    return jnp.moveaxis(jnp.tensordot(x, constant, ((axis,), (0,)), precision=_PRECISION), -1, axis)
