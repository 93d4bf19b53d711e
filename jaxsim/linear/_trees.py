"""Vectors that are pytrees of arrays."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..norms import norm

__all__ = ["divided", "dot", "minus", "norm", "plus", "real_dtype", "scaled", "where", "zeros"]

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
