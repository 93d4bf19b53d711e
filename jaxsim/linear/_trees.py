"""Vectors that are pytrees of arrays."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..norms import norm, power_of_two

__all__ = ["divided", "dot", "minus", "norm", "plus", "real_dtype", "root_dot", "scaled", "where", "zeros"]

Vector = Any  # a pytree of inexact arrays


def real_dtype(vector: Vector):
    """The precision of a vector."""
    return jnp.finfo(jnp.result_type(*jax.tree.leaves(vector))).dtype


def dot(a: Vector, b: Vector) -> jax.Array:
    """The inner product over all entries of all leaves, conjugate-linear in `a`."""
    products = [
        jnp.vdot(x, y, precision=lax.Precision.HIGHEST)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    ]
    return functools.reduce(operator.add, products)


def scaled(factor: Any, a: Vector) -> Vector:
    """`factor * a`."""
    return jax.tree.map(lambda x: (factor * x).astype(x.dtype), a)


def divided(a: Vector, divisor: Any) -> Vector:
    """`a / divisor`; a division, so that divisors near the least number do not overflow."""
    return jax.tree.map(lambda x: (x / divisor).astype(x.dtype), a)


def root_dot(a: Vector, b: Vector) -> tuple[jax.Array, jax.Array]:
    """The root of an inner product, zero where that is negative, and its sign, without squares of large numbers."""
    # The scales are squares of powers of two, so that their roots are exact.
    of_a, of_b = (power_of_two(jnp.sqrt(norm(v))) for v in (a, b))
    square = dot(divided(divided(a, of_a), of_a), divided(divided(b, of_b), of_b))
    return jnp.sqrt(jnp.maximum(square, 0)) * of_a * of_b, jnp.sign(square)


def plus(a: Vector, factor: Any, b: Vector) -> Vector:
    """`a + factor * b`."""
    return jax.tree.map(lambda x, y: (x + factor * y).astype(x.dtype), a, b)


def minus(a: Vector, b: Vector) -> Vector:
    """`a - b`."""
    return jax.tree.map(lambda x, y: x - y, a, b)


def where(condition: Any, a: Vector, b: Vector) -> Vector:
    """`a` where the scalar condition holds, else `b`."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)


def zeros(a: Vector) -> Vector:
    """Zeros like `a`."""
    return jax.tree.map(jnp.zeros_like, a)
