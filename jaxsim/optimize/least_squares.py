"""Least squares whose solution is differentiated by the implicit function theorem."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from .gauss_newton import GaussNewton
from .solved import OnFailure, Solved, SolveStatus


def least_squares(residual: Callable[[Any, Any], Any], guess: Any, parameters: Any = None, *,
                  method: GaussNewton | None = None, curvature: bool = True,
                  on_failure: OnFailure = OnFailure.RAISE) -> Solved:  # fmt: skip
    """The unknowns $w$ with the least $|r(w, \\theta)|^2$, and their derivatives in $\\theta$.

    At a solution $J^T r = 0$, and with the thin factorization $J = Q R$ and $S = \\sum_i r_i \\nabla^2 r_i$

    $$\\dot w = -R^{-1} (I + R^{-T} S R^{-1})^{-1} \\big(Q^T \\dot r + R^{-T} \\dot J^T r\\big)$$

    whose rounding error grows with the condition number of $J$, not with its square. It is a forward rule whose
    transpose JAX finds, so that forward, reverse and second derivatives all work, under `jit`, `vmap` and `shard_map`.

    **Arguments:**

    - `residual`: $r$, a function of the unknowns and the parameters that returns a pytree of real arrays.
    - `guess`: a pytree of real arrays like the unknowns; it has no gradient.
    - `parameters`: $\\theta$, any pytree. Arrays that `residual` closes over are differentiated too.
    - `method`: how it is solved; `GaussNewton()` by default.
    - `curvature`: whether $S$ counts. Without it, derivatives are right only where the residual vanishes.
    - `on_failure`: what becomes of an instance that did not converge.

    **Returns:** a `Solved`. Where the unknowns are not determined, derivatives are those of least length.

    **Raises:** an equinox run-time error where an instance fails, with `OnFailure.RAISE`.

    References: Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973) for derivatives of least squares; Blondel et al.,
    Efficient and modular implicit differentiation, NeurIPS 2022, for the use of stationarity.
    """
    flat, unravel = ravel_pytree(lax.stop_gradient(guess))
    if not jnp.issubdtype(flat.dtype, jnp.floating) or flat.size == 0:
        raise TypeError(f"least_squares: the guess is a pytree of real arrays, got {eqx.tree_pformat(guess)}.")

    def rows(unknowns, parameters):
        value, _ = ravel_pytree(residual(unravel(unknowns), parameters))
        if jnp.iscomplexobj(value):
            raise TypeError("least_squares: the residual must be real. Return its two parts.")
        return value.astype(flat.dtype)

    method = GaussNewton() if method is None else method
    closed = eqx.filter_closure_convert(rows, flat, parameters)
    unknowns, (status, size, steps, rank, condition) = _solve((closed, parameters), guess=flat, method=method,
                                                              curvature=curvature)  # fmt: skip
    solved = Solved(unknowns, status, size, steps, rank, condition)
    value = _after(unknowns, solved.succeeded, status, on_failure)
    return Solved(unravel(value), status, size, steps, rank, condition)


def _after(unknowns, succeeded, status, on_failure) -> jax.Array:
    if on_failure is OnFailure.RAISE:
        return eqx.error_if(unknowns, ~succeeded, "least_squares did not converge: give a better guess, more `steps` "
                            "or a larger `tolerance`, or see `on_failure` and `Solved.status`.")  # fmt: skip
    if on_failure is OnFailure.STOP:
        return jnp.where(succeeded, unknowns, lax.stop_gradient(unknowns))
    if on_failure is OnFailure.NAN:
        return jnp.where(succeeded, unknowns, jnp.nan)
    return unknowns


@eqx.filter_custom_jvp
def _solve(problem, *, guess, method, curvature):
    closed, parameters = problem
    rows = lambda unknowns: closed(unknowns, parameters)
    unknowns, status, steps = method(rows, guess)
    right, matrix = rows(unknowns), jax.jacfwd(rows)(unknowns)
    diagonal = jnp.abs(jnp.diagonal(jnp.linalg.qr(matrix, mode="r")))
    determined = diagonal > _least(matrix) * jnp.max(diagonal)
    rank = jnp.sum(determined)
    condition = jnp.max(diagonal) / jnp.min(diagonal) if len(diagonal) == len(guess) else jnp.inf * jnp.max(diagonal)
    deficient = (rank < len(guess)) & (status == SolveStatus.converged)
    status = SolveStatus.where(deficient, SolveStatus.rank_deficient, status)
    return unknowns, (status, jnp.linalg.norm(right), steps, rank, condition)


@_solve.def_jvp
def _solve_jvp(primals, tangents, *, guess, method, curvature):
    (problem,), (moved,) = primals, tangents
    unknowns, told = _solve(problem, guess=guess, method=method, curvature=curvature)
    status, _, _, rank, _ = told
    fine = (status == SolveStatus.converged) | (status == SolveStatus.rank_deficient)
    arrays, rest = eqx.partition(problem, eqx.is_inexact_array)
    moved = jax.tree.map(lambda a, d: jnp.zeros_like(a) if d is None else d, arrays, moved)

    def rows(arrays, unknowns):
        closed, parameters = eqx.combine(arrays, rest)
        return closed(unknowns, parameters)

    right, right_moved = jax.jvp(lambda arrays: rows(arrays, unknowns), (arrays,), (moved,))
    gradient = lambda arrays: jax.vjp(partial(rows, arrays), unknowns)[1](right)[0]
    _, gradient_moved = jax.jvp(gradient, (arrays,), (moved,))
    matrix = jax.jacfwd(partial(rows, arrays))(unknowns)
    orthogonal, triangle = _factors(matrix, rank, fine)
    back = lambda b: jax.scipy.linalg.solve_triangular(triangle, b, trans=1)
    change = orthogonal.T @ right_moved + back(gradient_moved)
    if curvature:
        second = jax.hessian(lambda w: right @ rows(arrays, w))(unknowns)
        bent = back(back(jnp.where(fine, second, 0)).T)  # symmetric
        change = jnp.linalg.solve(jnp.eye(len(change), dtype=change.dtype) + bent, change)
    change = -jax.scipy.linalg.solve_triangular(triangle, change)
    still = jax.tree.map(lambda leaf: jnp.zeros_like(leaf) if eqx.is_inexact_array(leaf) else None, told)
    return (unknowns, told), (change, still)


def _factors(matrix, rank, fine) -> tuple[jax.Array, jax.Array]:
    """Q and R. Where the rank is not full, of the matrix above a small multiple of the identity, which leaves the
    shortest of all solutions; where a solve failed, of the identity, since its derivative is not used."""
    rows, size = matrix.shape
    scale = jnp.max(jnp.linalg.norm(matrix, axis=0))
    short = jnp.where(rank < size, jnp.finfo(matrix.dtype).eps ** 0.5 * scale, 0).astype(matrix.dtype)
    below = lax.stop_gradient(jnp.where(fine, short, 1)) * jnp.eye(size, dtype=matrix.dtype)
    orthogonal, triangle = jnp.linalg.qr(jnp.concatenate([jnp.where(fine, matrix, 0), below]))
    return orthogonal[:rows], triangle


def _least(matrix) -> float:
    return 10 * max(matrix.shape) * jnp.finfo(matrix.dtype).eps
