"""Batches of factorizations on a CPU with few threads."""

import functools
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax


def one_by_one(function: Callable) -> Callable:
    """A function whose batches under `jax.vmap` are a loop where XLA's CPU client has few threads.

    There each batched factorization holds a thread of a pool while others do its work, so that as many of them at
    the same time as there are threads wait for each other forever (jaxlib 0.10). It is for functions of arrays that
    are not differentiated, such as factors.
    """
    mapped = jax.custom_batching.custom_vmap(function)

    @mapped.def_vmap
    def rule(size, batched, *arrays):
        if few_threads():
            one = lambda index: mapped(*(a[index] if own else a for a, own in zip(arrays, batched)))
            result = lax.map(one, jnp.arange(size))
        else:
            result = jax.vmap(function, [0 if own else None for own in batched], axis_size=size)(*arrays)
        return result, jax.tree.map(lambda _: True, result)

    return functools.wraps(function)(lambda *arrays: mapped(*arrays))


def few_threads() -> bool:
    """Whether computations are for a CPU with less than four threads: cores, or what the environment says of them, or
    virtual devices."""
    if jax.default_backend() != "cpu":
        return False
    return max(int(os.environ.get("NPROC") or os.cpu_count() or 1), jax.local_device_count()) < 4


@one_by_one
def householder(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Reflectors `(m, n)` and their scalars `(n,)` of the QR factorization of a matrix `(m, n)`, $m \\ge n$."""
    reflectors, scalars = jnp.linalg.qr(matrix, mode="raw")
    return jnp.swapaxes(reflectors, -1, -2), scalars


@one_by_one
def triangle_of(matrix: jax.Array) -> jax.Array:
    """R alone."""
    return jnp.linalg.qr(matrix, mode="r")


@one_by_one
def reflect(reflectors: jax.Array, scalars: jax.Array, vector: jax.Array) -> jax.Array:
    """$Q v$ for a vector `(m,)`."""
    return lax.linalg.ormqr(reflectors, scalars, vector[:, None], left=True, transpose=False)[:, 0]


@one_by_one
def reflect_back(reflectors: jax.Array, scalars: jax.Array, vector: jax.Array) -> jax.Array:
    """$Q^T v$ for a vector `(m,)`."""
    return lax.linalg.ormqr(reflectors, scalars, vector[:, None], left=True, transpose=True)[:, 0]


@one_by_one
def singular_values(matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """$U$, $\\sigma$ and $V^T$ of a square matrix."""
    return tuple(jnp.linalg.svd(matrix))


@one_by_one
def lu_factor(matrix: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Factors and row exchanges."""
    return jax.scipy.linalg.lu_factor(matrix)


@one_by_one
def lu_solve(factors: jax.Array, pivots: jax.Array, right: jax.Array) -> jax.Array:
    """$A^{-1} b$."""
    return jax.scipy.linalg.lu_solve((factors, pivots), right)


@one_by_one
def lu_solve_back(factors: jax.Array, pivots: jax.Array, right: jax.Array) -> jax.Array:
    """$A^{-T} b$."""
    return jax.scipy.linalg.lu_solve((factors, pivots), right, trans=1)


@one_by_one
def solve_triangle(triangle: jax.Array, right: jax.Array) -> jax.Array:
    """$R^{-1} b$."""
    return jax.scipy.linalg.solve_triangular(triangle, right)


@one_by_one
def solve_triangle_back(triangle: jax.Array, right: jax.Array) -> jax.Array:
    """$R^{-T} b$."""
    return jax.scipy.linalg.solve_triangular(triangle, right, trans=1)
