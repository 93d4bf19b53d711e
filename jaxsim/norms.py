"""Norms that no unit of measurement can break.

Squares of numbers near 1e-20 or 1e+20 leave the range of float32, so a plain norm of a permeability in m² is zero and
one of a pressure in Pa is infinite. Here everything is first divided by a power of two near the largest entry. That
costs one more pass, rounds nothing, and gives the same bits as the plain formula wherever that works.
"""

import functools
import operator
from collections.abc import Callable
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


def lengths(array: jax.Array, axis: int = -1) -> jax.Array:
    """The 2-norms along one axis of an array, each with a scale of its own; otherwise as `norm`."""
    if not array.shape[axis]:
        return jnp.sum(jnp.abs(array), axis)
    scale = power_of_two(jnp.max(jnp.abs(jax.lax.stop_gradient(array)), axis, keepdims=True))
    return jnp.squeeze(scale, axis) * _root(jnp.sum(_squares(array / scale), axis))


def quotient(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a / b`, whose derivatives stay in the range of numbers as well: JAX's own divide by the square of `b`."""
    # By products alone: compilers gather divisors in one product, which may leave the range.
    size = jax.lax.stop_gradient(jnp.abs(b))
    inverse = jnp.where((size > 0) & jnp.isfinite(size), _power_at(size, -_exponents(size)), 1)
    return a / (b * inverse) * inverse


def power_of_two(size: jax.Array) -> jax.Array:
    """The power of two just above a positive number, by which division is exact; one for zero, infinity and NaN.

    Its derivative is zero, so that what is divided by it and multiplied again has the derivative it should have.
    """
    size = jax.lax.stop_gradient(size)
    return jnp.where((size > 0) & jnp.isfinite(size), _power_at(size, _exponents(size)), 1)


def units_of(sizes: jax.Array) -> jax.Array:
    """Powers of two for parts of a system that have units of their own, one for parts of ordinary sizes.

    Together they are within 2⁸ of the largest size, and the units of parts that are much smaller than that, by a third
    of the digits, are smaller. So nothing that is ordinary is scaled, not even by an estimate of its size.

    **Arguments:**

    - `sizes`: a vector; parts of size zero have the unit of the largest.
    """
    step = jnp.finfo(sizes.dtype).nmant // 3

    def rounded(exponents):
        largest = jnp.max(jnp.where(sizes > 0, exponents, jnp.iinfo(exponents.dtype).min // 2), initial=-(2**14))
        common = 16 * ((largest + 8) // 16)
        return jnp.where(sizes > 0, common - step * ((largest - exponents) // step), common)

    sizes = jnp.where(jnp.isfinite(sizes), jax.lax.stop_gradient(sizes), 0)
    return jnp.where(jnp.any(sizes > 0), _power_at(sizes, rounded(_exponents(sizes))), 1)


def unit_of(size: jax.Array) -> jax.Array:
    """`units_of` for one number."""
    return units_of(size[None])[0]


def sizes_of_rows(product: Callable[[jax.Array], jax.Array], like: jax.Array) -> jax.Array:
    """Norms of the rows of a matrix that is known by its products, from three of these, right within a small factor.

    **Arguments:**

    - `product`: a linear function of vectors like `like`, `(n,)`.
    """
    place = jnp.arange(like.size)
    draws = [jnp.cos((place * place * k + place).astype(like.dtype)).reshape(like.shape) for k in (3, 5, 7)]
    draws = [jnp.where(jnp.isnan(like), jnp.nan, draw) for draw in draws]  # over devices they vary as `like` does
    return jax.lax.stop_gradient(lengths(jnp.stack([product(draw) for draw in draws]), 0))


def _exponents(size):
    usual = (size > 0) & jnp.isfinite(size)
    return jnp.frexp(jnp.where(usual, size, 0.5))[1]


def _power_at(size, exponents):
    # Divisors and their reciprocals stay normal numbers: compilers divide by multiplying, and flush subnormals to zero.
    limits = jnp.finfo(size.dtype)
    return jnp.ldexp(jnp.ones_like(size), jnp.clip(exponents, limits.minexp + 1, limits.maxexp - 2))


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


def _root(total):
    positive = total != 0  # the derivative of a root at zero is not finite
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, total, 1)), 0)


def _squares(array):
    if jnp.iscomplexobj(array):
        return jnp.square(jnp.real(array)) + jnp.square(jnp.imag(array))
    return jnp.square(array)
