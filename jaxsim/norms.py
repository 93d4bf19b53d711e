"""Norms that no unit of measurement can break.

Squares of numbers near 1e-20 or 1e+20 leave the range of float32, so a plain norm of a permeability in m² is zero and
one of a pressure in Pa is infinite. Here everything is first divided by a power of two near the largest entry. That
costs one more pass, rounds nothing, and gives the same bits as the plain formula wherever that works.
"""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp


def norm(tree: Any) -> jax.Array:
    """The 2-norm over all entries of all leaves, $\\sqrt{\\sum |x|^2}$.

    **Arguments:**

    - `tree`: a pytree of inexact arrays, real or complex.

    **Returns:** a real number in the precision of the leaves, in the unit of the entries; zero for no entries. Its
    derivative at zero is zero. An entry that is not finite makes it infinite or NaN.
    """
    return _scaled(tree, lambda squares, count: squares)


def root_mean_square(tree: Any) -> jax.Array:
    """The root of the mean of $|x|^2$ over all entries of all leaves; otherwise as `norm`."""
    return _scaled(tree, lambda squares, count: squares / max(count, 1))


def root_mean_squares(array: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """The root of the mean of $|x|^2$ over some axes; otherwise as `norm`."""
    scale = power_of_two(jnp.max(jnp.abs(array), axes, keepdims=True, initial=0))
    mean = jnp.mean(_squares(array / scale), axes, keepdims=True)
    return jnp.squeeze(scale * _root(mean), axes)


def power_of_two(size: jax.Array) -> jax.Array:
    """The power of two just above a positive number, by which division is exact; one for zero, infinity and NaN.

    Its derivative is zero, so that what is divided by it and multiplied again has the derivative it should have.
    """
    size = jax.lax.stop_gradient(size)
    usual = (size > 0) & jnp.isfinite(size)
    # Divisors and their reciprocals stay normal numbers: compilers divide by multiplying, and flush subnormals to zero.
    limits = jnp.finfo(size.dtype)
    exponent = jnp.clip(jnp.frexp(jnp.where(usual, size, 0.5))[1], limits.minexp + 1, limits.maxexp - 2)
    return jnp.where(usual, jnp.ldexp(jnp.ones_like(size), exponent), 1)


def _scaled(tree, mean) -> jax.Array:
    leaves = [leaf for leaf in map(jnp.asarray, jax.tree.leaves(tree)) if leaf.size]
    if not leaves:
        return jnp.zeros(())
    precision = jnp.finfo(jnp.result_type(*leaves)).dtype
    sizes = [jnp.max(jnp.abs(jax.lax.stop_gradient(leaf))).astype(precision) for leaf in leaves]
    scale = power_of_two(functools.reduce(jnp.maximum, sizes))
    squares = [jnp.sum(_squares(leaf / scale.astype(jnp.finfo(leaf.dtype).dtype))) for leaf in leaves]
    total = mean(functools.reduce(operator.add, squares), sum(leaf.size for leaf in leaves))
    return scale * _root(total)


def _root(square):
    positive = square != 0  # the derivative of a root at zero is not finite
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def _squares(array):
    if jnp.iscomplexobj(array):
        return jnp.square(jnp.real(array)) + jnp.square(jnp.imag(array))
    return jnp.square(array)
