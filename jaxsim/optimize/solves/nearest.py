"""The nearest point that satisfies a constraint, differentiated by the implicit function theorem."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from ...norms import norm, sizes_of_rows, unit_of, units_of
from ._closed import block_norms, closed, constant, flat_guess, real_shapes, with_arrays, without_tangent
from ._loops import until_done
from .adjoint import AbstractAdjoint, Implicit, Truncated
from .affine import is_affine
from .moving import moving
from .once import only_first
from .projected_newton import ProjectedNewton, curvature_of, kkt_solve, surface
from .solved import OnFailure, Solved, delivered, fine, refuse_raise_in_shard_map
from .stationary import tall_solve
from .varying import alike


def nearest(point: Any, constraint: Callable[[Any, Any], Any], parameters: Any = None, *, metric: Any = None,
            guess: Any = None, method: ProjectedNewton | None = None, adjoint: AbstractAdjoint | None = None,
            on_failure: OnFailure = OnFailure.RAISE) -> Solved:  # fmt: skip
    """The $y$ nearest to a point $p$ of all that satisfy a constraint,

    $$\\min_y \\tfrac12 (y - p)^T M (y - p), \\quad c(y, \\theta) = 0,$$

    and its derivatives in $p$, $\\theta$ and $M$. They are exact: those of the conditions
    $M (y - p) + J^T \\lambda = 0$ and $c = 0$, with the curvature of the constraint, in forward and reverse mode and
    for second derivatives, under `jit`, `vmap` and `shard_map`.

    **Arguments:**

    - `point`: $p$, a pytree of real arrays.
    - `constraint`: $c$, a function of a pytree like the point and of the parameters that returns a pytree of real
        arrays, with no more numbers than the point has.
    - `parameters`: $\\theta$, any pytree. Arrays that `constraint` closes over are differentiated too.
    - `metric`: the diagonal of $M$, positive, a pytree like the point; ones by default.
    - `guess`: where to start, without gradient; the point by default.
    - `method`: `ProjectedNewton()` by default. A constraint that is affine takes one step.
    - `adjoint`: `Implicit()` by default; `Truncated(steps)` takes so many of Newton's steps from the solution.
    - `on_failure`: what becomes of an instance that did not converge.

    **Returns:** a `Solved`; `residual` has the norm of each leaf of $c$, and `rank` and `condition` are those of
    $J M^{-1/2}$. Constraints that repeat each other end as `rank_deficient` and are fine where they agree.

    **Raises:** `TypeError` or `ValueError` for what is not real or does not fit, and an equinox run-time error where an
    instance fails, or ends where no minimum is, with `OnFailure.RAISE`. Otherwise such a derivative is NaN.

    Reference: Blondel et al., Efficient and modular implicit differentiation, NeurIPS 2022, section 2.2 for the
    derivatives of projections.
    """
    refuse_raise_in_shard_map(on_failure, "nearest")
    adjoint = Implicit() if adjoint is None else adjoint
    method = ProjectedNewton() if method is None else method
    _, unravel = flat_guess(point, "nearest")
    target = ravel_pytree(point)[0]
    start = lax.stop_gradient(target) if guess is None else ravel_pytree(lax.stop_gradient(guess))[0]
    scale = _scale(metric, target)
    parameters, scale = with_arrays((parameters, scale), target)
    shapes = real_shapes(constraint, (point, parameters), "nearest", "constraint")
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    if count > target.size or start.size != target.size:
        raise ValueError(f"nearest: a point of {target.size} numbers needs a guess of as many and at most as many "
                         f"constraints, got {start.size} and {count}.")  # fmt: skip

    def flattened(z, everything):
        parameters, scale, unit, units = everything
        found = ravel_pytree(constraint(unravel(z * unit / scale), parameters))[0].astype(target.dtype)
        return found / units

    one = jnp.ones((), target.dtype)
    everything = parameters, scale, one, jnp.ones(count, target.dtype)
    (constrained,), start = closed([flattened], (alike(lax.stop_gradient(scale), target) * start), everything)
    unit, units = _units(constrained, everything, start, target * scale)
    everything = parameters, scale, unit, units
    (flattened,), start = closed([flattened], start / unit, everything)  # units vary over devices as the start does
    problem = flattened, everything, target * scale / unit
    affine = is_affine(lambda z: flattened(z, everything), start)
    how = {"guess": start, "method": constant(method), "affine": affine, "on_failure": on_failure}
    if isinstance(adjoint, Implicit) and adjoint.linear is None and adjoint.guess is None:
        found, told, _ = _nearest(problem, curvature=adjoint.curvature and not affine, **how)
    elif isinstance(adjoint, Truncated):
        found, told, _ = lax.stop_gradient(_nearest(problem, curvature=not affine, **how))
        problem = only_first(problem, adjoint.steps, "nearest")
        for _ in range(adjoint.steps):
            found = _whole_step(problem, found, affine, on_failure)
    else:
        raise TypeError("nearest: `adjoint` is Implicit(), with a curvature alone, or Truncated(steps); its steps find "
                        f"their length by trial and are not unrolled. Got {adjoint}.")  # fmt: skip
    status, violation, *rest = told
    solved = Solved(unravel(found * unit / scale), status, block_norms(violation * units, shapes), *rest)
    return delivered(solved, on_failure, "nearest")


def _scale(metric, target):
    """Square roots of the metric."""
    if metric is None:
        return jnp.ones_like(lax.stop_gradient(target))
    weights = ravel_pytree(metric)[0].astype(target.dtype)
    if weights.shape != target.shape:
        raise ValueError(f"nearest: the metric is the diagonal of M, {target.size} numbers, got {weights.size}.")
    if not isinstance(weights, jax.core.Tracer) and not np.all(np.asarray(weights) > 0):
        raise ValueError("nearest: the metric must be positive.")
    return jnp.sqrt(weights)


def _units(flattened, everything, start, target):
    """Units of the point and of each constraint: squares stay in the range of numbers, and ranks do not depend on what
    constraints are measured in. All are one for what has an ordinary size."""
    flattened, everything, target = constant((flattened, everything, target))
    constraint = lambda z: flattened(z, everything)
    value, matvec = jax.linearize(constraint, start)
    rows = sizes_of_rows(matvec, start)
    size = jnp.maximum(norm(start), norm(target))
    size = jnp.where(size > 0, size, jnp.max(jnp.abs(value) / jnp.where(rows > 0, rows, jnp.inf)))
    return unit_of(size), unit_of(size) * units_of(rows)


@eqx.filter_custom_jvp
def _nearest(problem, *, guess, method, affine, curvature, on_failure):
    flattened, everything, target = problem
    constraint = lambda z: flattened(z, everything)
    unit, units = everything[2:]
    state = alike(method.start(constraint, target, guess, (1 / unit, 1 / units)), problem, method)
    going = lambda state: method.going(state, target)
    state = until_done(going, lambda state: method.step(constraint, target, state, affine), state)
    inverse = state.inverse
    told = method.status(state, target), state.violation, state.steps, inverse.rank, inverse.condition
    return state.point, lax.stop_gradient(told), inverse


@_nearest.def_jvp
def _nearest_jvp(primals, tangents, *, guess, method, affine, curvature, on_failure):
    (problem,), (moved,) = primals, tangents
    point, told, inverse = _nearest(problem, guess=guess, method=method, affine=affine, curvature=curvature,
                                    on_failure=on_failure)  # fmt: skip
    wanted = fine(told[0], on_failure)
    arrays, moved, rest = moving(problem, moved)
    moved = jax.tree.map(lambda d: jnp.where(wanted, d, 0), moved)
    multipliers = _multipliers(problem, point, inverse)

    def conditions(arrays):
        flattened, everything, target = eqx.combine(arrays, rest)
        value, back = jax.vjp(lambda z: flattened(z, everything), point)
        return back(multipliers)[0] - target, value

    _, (stationary, violated) = jax.jvp(conditions, (arrays,), (moved,))
    change = _kkt_change(problem, point, multipliers, inverse, curvature, -stationary, -violated, wanted, on_failure)
    return (point, told, inverse), (jnp.where(wanted, change, 0), *without_tangent((told, inverse)))


def _multipliers(problem, point, inverse):
    """The $\\lambda$ of the least $|y - p + J^T \\lambda|$, differentiable."""
    flattened, everything, target = problem
    back = jax.vjp(lambda z: flattened(z, everything), point)[1]
    none = jnp.zeros_like(inverse.values)
    return tall_solve(lambda m: back(m)[0], none, point - target, none, inverse.solve)


def _kkt_change(problem, point, multipliers, inverse, curvature, b, c, wanted, on_failure):
    """The solution of the linear system of the conditions, differentiable."""
    flattened, everything, _ = problem
    constraint = lambda z: flattened(z, everything)
    count, bend = len(point), None
    if curvature:
        bend = curvature_of(constraint, point, multipliers)

    def matvec(both):
        x, m = both[:count], both[count:]
        upper = x + jax.vjp(constraint, point)[1](m)[0]
        lower = jax.jvp(constraint, (point,), (x,))[1]
        return jnp.concatenate([upper if bend is None else upper + bend(x), lower])

    def solve(_, both):
        x, m, ok = kkt_solve(inverse, bend, both[:count], both[count:])
        found = jnp.where(wanted, jnp.concatenate([x, m]), 0)
        if on_failure is OnFailure.RAISE:
            message = ("nearest: the linear system of a derivative was not solved: the point found is nearest to first "
                       "order, but it is no minimum along the constraint.")  # fmt: skip
            found = eqx.error_if(found, wanted & ~ok, message)
        else:
            found = jnp.where(ok | ~wanted, found, jnp.nan)
        return alike(found, both)

    right = alike(jnp.concatenate([b, c]), point)
    return lax.custom_linear_solve(matvec, right, solve, solve, symmetric=True)[:count]


def _whole_step(problem, point, affine, on_failure):
    flattened, everything, target = problem
    inverse = surface(lambda z: flattened(z, everything), point)
    multipliers = _multipliers(problem, point, inverse)
    violation = flattened(point, everything)
    wanted = jnp.asarray(True)
    return point + _kkt_change(problem, point, multipliers, inverse, not affine, target - point, -violation, wanted,
                               on_failure)  # fmt: skip
