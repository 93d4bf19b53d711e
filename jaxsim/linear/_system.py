"""A linear system made ready for a Krylov method, and the loop of cycles that all of them share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax

from . import _trees
from ._trees import Vector

RUNNING, BREAKDOWN, SINGULAR, STAGNATION = (np.int32(status) for status in range(4))

# Curvatures below this many units of rounding, relative to the largest one seen, are zero.
ROUNDING = 10


class System(eqx.Module):
    """An operator and an approximate inverse, linearized; `negated` where it is the negative of what was given."""

    operator: lx.AbstractLinearOperator
    preconditioner: lx.AbstractLinearOperator | None
    negated: bool = eqx.field(static=True, default=False)

    def transpose(self) -> "System":
        inverse = None if self.preconditioner is None else self.preconditioner.transpose()
        return System(self.operator.transpose(), inverse, self.negated)

    def conj(self) -> "System":
        inverse = None if self.preconditioner is None else lx.conj(self.preconditioner)
        return System(lx.conj(self.operator), inverse, self.negated)

    def precondition(self, vector: Vector) -> Vector:
        return vector if self.preconditioner is None else self.preconditioner.mv(vector)


class Cycle(NamedTuple):
    """What one cycle returns: a correction, the steps and matrix-vector products it took, and a status."""

    correction: Vector
    steps: jax.Array
    matvecs: jax.Array
    status: jax.Array


def check_tolerances(name: str, rtol: Any, atol: Any, max_steps: Any):
    """Refuse tolerances that are negative, both zero, or not numbers."""
    for label, value in (("rtol", rtol), ("atol", atol), ("max_steps", max_steps)):
        if not isinstance(value, jax.core.Tracer) and not np.all(np.asarray(value) >= 0):
            raise ValueError(f"{name}: `{label}` must not be negative or NaN, got {value}.")
    if isinstance(rtol, (int, float)) and isinstance(atol, (int, float)) and rtol == 0 and atol == 0:
        raise ValueError(
            f"{name}: `rtol` and `atol` are both zero, which no residual meets. Give one of them, "
            "or use `fixed_steps_cg` for a fixed number of steps."
        )


def prepare(name: str, operator: lx.AbstractLinearOperator, options: dict[str, Any], *, symmetric: bool,
            definite: bool) -> System:  # fmt: skip
    """Check what a method asks of the operator and of the preconditioner.

    With `definite` the operator must be tagged positive or negative semidefinite; with `symmetric` it is real and
    symmetric, and the preconditioner positive.
    """
    structure = operator.in_structure()
    if eqx.tree_equal(structure, operator.out_structure()) is not True:
        raise ValueError(
            f"{name} needs an operator whose input and output have one structure; got {structure} and "
            f"{operator.out_structure()}."
        )
    if symmetric and any(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in jax.tree.leaves(structure)):
        raise TypeError(f"{name} solves real systems. Use FGMRES for complex ones.")
    positive, negative = lx.is_positive_semidefinite(operator), lx.is_negative_semidefinite(operator)
    if definite and not (positive or negative):
        raise ValueError(
            f"{name} needs a positive or negative semidefinite operator. If yours is, say so by "
            "`lineax.TaggedLinearOperator(operator, lineax.positive_semidefinite_tag)`; if it is symmetric and "
            "indefinite use MINRES, otherwise FGMRES."
        )
    if symmetric and not (positive or negative or lx.is_symmetric(operator)):
        raise ValueError(
            f"{name} needs a symmetric operator. If yours is, say so by "
            "`lineax.TaggedLinearOperator(operator, lineax.symmetric_tag)`; otherwise use FGMRES."
        )
    negated = definite and not positive
    operator = lx.linearise(-operator if negated else operator)
    inverse = _preconditioner(name, options.get("preconditioner"), structure, operator, symmetric)
    return System(operator, inverse, negated)


def _preconditioner(name, given, structure, operator, symmetric):
    if given is None:
        return None
    if not isinstance(given, lx.AbstractLinearOperator):
        if not callable(given):
            raise TypeError(f"{name}: the preconditioner must be a lineax operator or a callable, got {type(given)}.")
        # A flexible method converges with any preconditioner, so that for a symmetric operator the adjoint may use
        # a callable as it is, even one that is not linear and has no transpose.
        same = lx.positive_semidefinite_tag if symmetric else lx.symmetric_tag
        tags = same if symmetric or lx.is_symmetric(operator) else ()
        given = lx.FunctionLinearOperator(given, structure, tags)
    if not all(eqx.tree_equal(s, structure) is True for s in (given.in_structure(), given.out_structure())):
        raise ValueError(
            f"{name}: the preconditioner maps {given.in_structure()} to {given.out_structure()}, but the operator "
            f"acts on {structure}."
        )
    if symmetric:
        if lx.is_negative_semidefinite(given) and not lx.is_positive_semidefinite(given):
            given = -given
        if not lx.is_positive_semidefinite(given):
            raise ValueError(
                f"{name} needs a symmetric positive definite preconditioner, tagged `positive_semidefinite_tag`."
            )
    return lx.linearise(given)


class _Progress(NamedTuple):
    value: Vector
    residual: Vector
    size: jax.Array
    steps: jax.Array
    matvecs: jax.Array
    status: jax.Array


def iterate(cycle: Callable[..., Cycle], system: System, vector: Vector, options: dict[str, Any], *, rtol: Any,
            atol: Any, max_steps: Any):  # fmt: skip
    """Correct the solution by cycles until the true residual obeys ||r|| <= max(rtol ||b||, atol).

    A cycle solves A d = r, scaled to ||r|| = 1, down to a given residual. Its own residual comes from a recurrence
    that drifts; here the true one decides, and where it is still too large another cycle corrects the rest.

    **Returns:** solution, result and statistics, as lineax wants them from `compute`.
    """
    operator, precision = system.operator, _trees.real_dtype(vector)
    vector = _trees.scaled(-1, vector) if system.negated else vector
    size = _trees.norm(vector)
    start, residual, matvecs = _start(operator, vector, options.get("y0"), size)
    target = jnp.maximum(jnp.asarray(rtol, precision) * size, jnp.asarray(atol, precision))
    initial = _trees.norm(residual)
    max_steps = jnp.asarray(max_steps, jnp.int32)
    zero = jnp.zeros((), jnp.int32)

    def unfinished(p: _Progress):
        return (p.status == RUNNING) & (p.size > target) & (p.size < jnp.inf) & (p.steps < max_steps)

    def advance(p: _Progress):
        out = cycle(system, _trees.divided(p.residual, p.size), target / p.size, max_steps - p.steps)
        value = _trees.plus(p.value, p.size, out.correction)
        residual = _trees.minus(vector, operator.mv(value))
        size = _trees.norm(residual)
        # A cycle is kept where it helped (NaN compares false), or where it was cut short, because the residual of
        # conjugate gradients may grow for a while.
        cut = p.steps + out.steps >= max_steps
        keep = (size < p.size) | ((size < jnp.inf) & (out.status == RUNNING) & cut)
        stalled = ~(size <= 0.999 * p.size) & ~cut
        status = jnp.where(stalled & (out.status == RUNNING), STAGNATION, out.status)
        status = jnp.where(size < jnp.inf, status, SINGULAR)
        return _Progress(
            _trees.where(keep, value, p.value), _trees.where(keep, residual, p.residual), jnp.where(keep, size, p.size),
            p.steps + out.steps, p.matvecs + out.matvecs + 1, status,
        )  # fmt: skip

    end = lax.while_loop(unfinished, advance, _Progress(start, residual, initial, zero, zero + matvecs, zero))
    stats = {
        "num_steps": end.steps,
        "num_matvecs": end.matvecs,
        "residual_norm": end.size,
        "initial_residual_norm": initial,
    }
    return end.value, _result(end, target), stats


def _start(operator, vector, guess, size):
    """First iterate, its residual and the matrix-vector products that it took."""
    if guess is None:
        return _trees.zeros(vector), vector, 0
    shapes = jax.eval_shape(lambda: (guess, vector))
    if eqx.tree_equal(*shapes) is not True:
        raise ValueError(f"`y0` must have the structure, shapes and dtypes of the right-hand side, got {shapes[0]}.")
    # Nothing but zero meets a relative tolerance on b = 0.
    guess = _trees.where(size == 0, _trees.zeros(guess), guess)
    return guess, _trees.minus(vector, operator.mv(guess)), 1


def _result(end: _Progress, target):
    results, where = lx.RESULTS, lx.RESULTS.where
    result = where(end.status == BREAKDOWN, results.breakdown, results.max_steps_reached)
    result = where(end.status == STAGNATION, results.stagnation, result)
    result = where((end.status == SINGULAR) | ~jnp.isfinite(end.size), results.singular, result)
    return where(end.size <= target, results.successful, result)
