"""Least squares whose solution is differentiated by the implicit function theorem."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from ...norms import lengths, norm, unit_of, units_of
from ._closed import block_norms, closed, constant, flat_guess, real_shapes, with_arrays, without_tangent
from ._loops import scanned, until_done
from .adjoint import AbstractAdjoint, Implicit, Truncated, Unrolled
from .affine import is_affine
from .direct import Direct
from .gauss_newton import GaussNewton
from .moving import moving
from .once import only_first
from .solved import OnFailure, Solved, SolveStatus, delivered, fine, refuse_raise_in_shard_map
from .stationary import stationary_change, tall_solve
from .thin_qr import PseudoInverse, ThinQR
from .varying import alike


def least_squares(residual: Callable[[Any, Any], Any], guess: Any, parameters: Any = None, *,
                  method: GaussNewton | Direct | None = None, adjoint: AbstractAdjoint | None = None,
                  on_failure: OnFailure = OnFailure.RAISE,
                  jacobian: Callable[[Any, Any], Any] | None = None) -> Solved:  # fmt: skip
    """The unknowns $w$ with the least $|r(w, \\theta)|^2$, and their derivatives in $\\theta$.

    At a solution $J^T r = 0$, and with the thin factorization $J = Q R$ and $S = \\sum_i r_i \\nabla^2 r_i$

    $$\\dot w = -R^{-1} (I + R^{-T} S R^{-1})^{-1} \\big(Q^T \\dot r + R^{-T} \\dot J^T r\\big)$$

    whose rounding error grows with the condition number of $J$, not with its square. Forward, reverse and second
    derivatives all work, under `jit`, `vmap` and `shard_map`, and use the factors of the last step.

    **Arguments:**

    - `residual`: $r$, a function of the unknowns and the parameters that returns a pytree of real arrays.
    - `guess`: a pytree of real arrays like the unknowns; it has no gradient.
    - `parameters`: $\\theta$, any pytree. Arrays that `residual` closes over are differentiated too.
    - `method`: how it is solved. By default `Direct()` where the residual is affine in the unknowns, which shows when
        it is traced, and `GaussNewton()` otherwise.
    - `adjoint`: how it is differentiated, `Implicit()` by default.
    - `on_failure`: what becomes of an instance that did not converge.
    - `jacobian`: where it is known by cheaper means than one product per unknown, a function of the unknowns and the
        parameters that returns what `jax.jacfwd(residual)` would, for unknowns that are one array `(n,)`. No
        derivative is taken of it.

    **Returns:** a `Solved`, its `residual` with the structure of what `residual` returns. Where the unknowns are not
    determined, derivatives are those of least length.

    **Raises:** `TypeError` for unknowns or residuals that are not real, and an equinox run-time error where an instance
    fails, with `OnFailure.RAISE`.

    References: Golub and Pereyra, SIAM J. Numer. Anal. 10, 413 (1973) for derivatives of least squares; Björck,
    Numerical Methods for Least Squares Problems (1996), section 1.1.5, for the augmented system.
    """
    refuse_raise_in_shard_map(on_failure, "least_squares")
    adjoint = Implicit() if adjoint is None else adjoint
    if isinstance(adjoint, Implicit) and (adjoint.linear is not None or adjoint.guess is not None):
        raise ValueError("least_squares has the factors of the Jacobian for its derivatives: give `Implicit()` without "
                         "`linear` and `guess`, which are for `root` and `fixed_point`.")  # fmt: skip
    flat, unravel = flat_guess(guess, "least_squares")
    parameters = with_arrays(parameters, flat)
    shapes = real_shapes(residual, (guess, parameters), "least_squares", "residual")
    problem, flat = _problem(residual, jacobian, shapes, flat, unravel, parameters)
    problem, units, unit = _in_units(problem, flat)
    flat = flat / units
    affine = is_affine(_functions(problem)[0], flat)
    method = (Direct() if affine else GaussNewton()) if method is None else constant(method)
    curvature = isinstance(adjoint, Implicit) and adjoint.curvature and not affine
    how = {"guess": flat, "method": method, "curvature": curvature, "on_failure": on_failure}
    if isinstance(adjoint, Unrolled):
        unknowns, told = _unrolled(problem, adjoint, flat, method)
    elif isinstance(adjoint, Truncated):
        unknowns, told, inverse = lax.stop_gradient(_solve(problem, **how))
        unknowns = _truncated(only_first(problem, adjoint.steps, "least_squares"), adjoint, unknowns, inverse)
    elif isinstance(adjoint, Implicit):
        unknowns, told, _ = _solve(problem, **how)
    else:
        raise TypeError(f"least_squares: `adjoint` is Implicit(), Truncated(steps) or Unrolled(steps), got {adjoint}.")
    status, right, *rest = told
    solved = Solved(unravel(unknowns * units), status, block_norms(right * unit, shapes), *rest)
    return delivered(solved, on_failure, "least_squares")


def _problem(residual, jacobian, shapes, flat, unravel, parameters):
    """The residual and the Jacobian as functions of flat unknowns and parameters, and the parameters."""

    def rows(unknowns, parameters):
        return ravel_pytree(residual(unravel(unknowns), parameters))[0].astype(flat.dtype)

    def matrix(unknowns, parameters):
        found = jacobian(unravel(unknowns), parameters)
        wanted = jax.tree.map(lambda leaf: (*leaf.shape, flat.size), shapes)
        if jax.tree.structure(found) != jax.tree.structure(shapes) or jax.tree.map(jnp.shape, found) != wanted:
            raise ValueError("least_squares: `jacobian` returns what `jax.jacfwd(residual)` would for unknowns of "
                             f"shape {flat.shape}, shapes {wanted}; got {jax.tree.map(jnp.shape, found)}.")  # fmt: skip
        leaves = [leaf.reshape(-1, flat.size) for leaf in jax.tree.leaves(found)]
        return jnp.concatenate(leaves).astype(flat.dtype)

    (rows, matrix), flat = closed([rows, None if jacobian is None else matrix], flat, parameters)
    return (rows, matrix, parameters), flat


def _in_units(problem, flat):
    """The problem in units of the unknowns and of the residual, and these: squares stay in the range of numbers, and
    ranks do not depend on what unknowns are measured in. All are one for what has an ordinary size."""
    one = jnp.ones((), flat.dtype)
    rows, jacobian = _functions((*constant(problem), one, one))
    right, columns = rows(flat), units_of(lengths(jacobian(flat), 0))
    unit = unit_of(jnp.maximum(norm(right), norm(columns * flat)))
    units = unit / columns
    return (*problem, units, unit), units, unit


def _functions(problem):
    rows, matrix, parameters, units, unit = problem
    at = lambda unknowns: rows(unknowns * units, parameters) / unit
    if matrix is None:
        return at, jax.jacfwd(at)
    return at, lambda unknowns: matrix(unknowns * units, parameters) * (units / unit)


def _told(method, state):
    """What there is to say about the end of a solve, and what its derivatives need."""
    inverse = PseudoInverse.of(state.factors)
    status = method.status(state)
    deficient = (inverse.rank < state.unknowns.size) & (status == SolveStatus.converged)
    status = SolveStatus.where(deficient, SolveStatus.rank_deficient, status)
    return (status, lax.stop_gradient(state.right), state.steps, inverse.rank, inverse.condition), inverse


@eqx.filter_custom_jvp
def _solve(problem, *, guess, method, curvature, on_failure):
    rows, jacobian = _functions(problem)
    state = alike(method.start(rows, jacobian, guess), problem, method)
    state = until_done(method.going, lambda state: method.step(rows, jacobian, state), state)
    told, inverse = _told(method, state)
    return state.unknowns, told, inverse


@_solve.def_jvp
def _solve_jvp(primals, tangents, *, guess, method, curvature, on_failure):
    (problem,), (moved,) = primals, tangents
    unknowns, told, inverse = _solve(problem, guess=guess, method=method, curvature=curvature, on_failure=on_failure)
    arrays, moved, rest = moving(problem, moved)
    rows = lambda arrays, unknowns: _functions(eqx.combine(arrays, rest))[0](unknowns)
    change = stationary_change(rows, arrays, moved, unknowns, inverse, fine(told[0], on_failure), curvature)
    return (unknowns, told, inverse), (change, *without_tangent((told, inverse)))


def _truncated(problem, adjoint, unknowns, inverse):
    """Undamped differentiable steps from the solution."""
    rows, jacobian = _functions(problem)
    for step in range(adjoint.steps):
        inverse = inverse if step == 0 else PseudoInverse.of(ThinQR.of(jacobian(unknowns)))
        none = jnp.zeros_like(unknowns)
        unknowns = unknowns + tall_solve(rows, unknowns, rows(unknowns), none, inverse.solve)
    return unknowns


def _unrolled(problem, adjoint, guess, method):
    rows, jacobian = _functions(problem)
    resume = lambda brief: method.resume(rows, jacobian, brief)

    def step(brief):
        return alike(method.brief(method.step(rows, jacobian, resume(brief), differentiable=True)), brief)

    # The factors are made anew in each step, so that the backward pass need not keep them.
    brief = alike(method.brief(method.start(rows, jacobian, guess)), problem, method)
    brief = scanned(lambda brief: method.going(resume(brief)), step, brief, adjoint)
    state = resume(brief)
    return state.unknowns, lax.stop_gradient(_told(method, state)[0])
