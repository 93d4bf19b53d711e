"""Conjugate gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax

from ..norms import power_of_two, quotient
from . import _trees
from ._system import BREAKDOWN, ROUNDING, RUNNING, SINGULAR, Cycle, System, check_tolerances, iterate, prepare
from ._trees import Vector


class CG(lx.AbstractLinearSolver[System]):
    """Preconditioned conjugate gradients for symmetric, positive (or negative) semidefinite operators.

    Stops when $\\|b - Ay\\|_2 \\le \\max(\\mathrm{rtol}\\,\\|b\\|_2, \\mathrm{atol})$, with 2-norms over the whole
    pytree and the true residual. A singular operator is fine where $b$ is in its range: from `y0 = 0` and without
    a preconditioner that gives the solution of least norm. Otherwise the result is a failure, never NaN.

    Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49 (1952); Saad, Iterative Methods for Sparse Linear Systems
    (2003), algorithm 9.1.

    **Arguments:**

    - `rtol`, `atol`: tolerances, relative to $\\|b\\|_2$ and absolute; numbers or arrays, not both zero.
    - `max_steps`: most steps, one product with $A$ and one with the preconditioner each.

    `lineax.linear_solve` takes as `options`:

    - `preconditioner`: symmetric positive definite, close to $A^{-1}$; a lineax operator, or a callable that maps
        a vector to a vector linearly (taken for symmetric positive definite).
    - `y0`: first guess.

    **Returns:** from `lineax.linear_solve`, a `lineax.Solution` whose `stats` have `num_steps`, `num_matvecs`,
    `residual_norm` and `initial_residual_norm`. Its `result` is `max_steps_reached`; `breakdown` where $A$ or the
    preconditioner is not positive; `singular` where $A$ is singular and $b$ outside its range, or a number is not
    finite; `stagnation` where rounding forbids the tolerance. Tangents and cotangents are further solves, which
    lineax raises for if they fail; statistics have no derivative.

    **Raises:** `ValueError` for negative tolerances, an operator that is not tagged semidefinite, or structures
    that do not fit; `TypeError` for complex operators.
    """

    rtol: Any = 1e-6
    atol: Any = 0.0
    max_steps: Any = 10_000

    def __check_init__(self):
        check_tolerances("CG", self.rtol, self.atol, self.max_steps)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> System:
        return prepare("CG", operator, options, symmetric=True, definite=True)

    def compute(self, state: System, vector: Vector, options: dict[str, Any]):
        return iterate(_cycle, state, vector, options, rtol=self.rtol, atol=self.atol, max_steps=self.max_steps)

    def transpose(self, state: System, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state: System, options: dict[str, Any]):
        return state.conj(), {}

    def assume_full_rank(self) -> bool:
        return True


class _Run(NamedTuple):
    x: Vector
    r: Vector
    p: Vector
    units: tuple[jax.Array, jax.Array]  # of M and A, powers of two by which they are divided
    product: jax.Array  # <r, M r>, of the step before
    size: jax.Array  # <p, M^-1 p>
    largest: jax.Array  # of the Rayleigh quotients of M A along the directions
    norm: jax.Array
    steps: jax.Array
    status: jax.Array


def _cycle(system: System, b: Vector, target: jax.Array, max_steps: jax.Array) -> Cycle:
    """From zero to a residual, by recurrence, of `target`."""
    epsilon = ROUNDING * jnp.finfo(_trees.real_dtype(b)).eps

    def unfinished(run: _Run):
        return (run.status == RUNNING) & (run.norm > target) & (run.steps < max_steps)

    def advance(run: _Run):
        z, of_z = unit(run.steps, run.units[0], run.r, system.precondition(run.r))
        product = _trees.dot(run.r, z)
        beta = jnp.where(run.steps > 0, product / run.product, 0)
        p = _trees.plus(z, beta, run.p)
        size = product + beta**2 * run.size
        image, of_image = unit(run.steps, run.units[1], p, system.operator.mv(p))
        curvature = _trees.dot(p, image)
        largest = jnp.maximum(run.largest, jnp.abs(curvature) / size)
        floor = epsilon * largest * size
        ok = (curvature > floor) & (product > 0)
        alpha = product / jnp.where(ok, curvature, 1)
        x, r = _trees.plus(run.x, alpha / of_image, p), _trees.plus(run.r, -alpha, image)
        norm = _trees.norm(r)
        ok = ok & jnp.isfinite(norm)
        indefinite = (curvature < -floor) | (product <= 0)
        status = jnp.where(ok, RUNNING, jnp.where(indefinite, BREAKDOWN, SINGULAR))
        moved = _Run(x, r, p, (of_z, of_image), product, size, largest, norm, run.steps, status)
        return _trees.where(ok, moved, run)._replace(steps=run.steps + 1, status=status)

    def unit(steps, known, vector, image):
        """An image in its unit, which the first step sets."""
        unit = jnp.where(steps > 0, known, power_of_two(jnp.abs(_trees.dot(vector, image))))
        return _trees.divided(image, unit), unit

    nothing, norm, zero = _trees.zeros(b), _trees.norm(b), jnp.zeros((), jnp.int32)
    none = jnp.zeros_like(norm)
    start = _Run(nothing, b, nothing, (none + 1, none + 1), none, none, none, norm, zero, zero + RUNNING)
    end = lax.while_loop(unfinished, advance, start)
    return Cycle(end.x, end.steps, end.steps, end.status)


def fixed_steps_cg(operator: Any, b: Vector, y0: Vector | None = None, steps: int = 10,
                   preconditioner: Any = None) -> Vector:  # fmt: skip
    """A fixed number of steps of conjugate gradients, differentiated by unrolling.

    Its derivative is that of the truncated map $(A, b, y_0) \\mapsto y_k$, as for a smoother or for a few steps of
    data consistency inside a model. `CG` is differentiated implicitly, as if it had converged, which is wrong for
    deliberately truncated solves; here everything that `operator` depends on gets the derivative of what was computed.
    There is no stopping rule and no status: steps after convergence change nothing.

    Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49 (1952).

    **Arguments:**

    - `operator`: symmetric positive semidefinite; a lineax operator or a callable.
    - `b`: right-hand side, a pytree of real arrays.
    - `y0`: first guess, shaped like `b`; zero when left out.
    - `steps`: number of steps, not negative.
    - `preconditioner`: symmetric positive definite; a lineax operator or a callable.

    **Returns:** the iterate after `steps` steps, shaped like `b`.

    **Raises:** `ValueError` for a negative number of steps; `TypeError` for a right-hand side that is not real.
    """
    if steps < 0:
        raise ValueError(f"fixed_steps_cg: `steps` must not be negative, got {steps}.")
    b = jax.tree.map(jnp.asarray, b)
    if any(not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(b)):
        raise TypeError("fixed_steps_cg: `b` must be real floating point.")
    apply, invert = _function(operator), _function(preconditioner)
    y = _trees.zeros(b) if y0 is None else y0
    r = b if y0 is None else _trees.minus(b, apply(y0))
    # Sizes of the residual and of M cancel; as powers of two they change nothing but the range.
    size = power_of_two(_trees.norm(r))
    r = _trees.divided(r, size)
    z = invert(r)
    unit = power_of_two(_trees.norm(z))
    z = _trees.divided(z, unit)

    def step(carry, _):
        y, r, p, product = carry
        image = apply(p)
        curvature = _trees.dot(p, image)
        # A zero direction is the end: no motion, and safe denominators keep the derivative finite.
        alive = (curvature != 0) & (product != 0)
        alpha = jnp.where(alive, quotient(product, jnp.where(alive, curvature, 1)), 0)
        y, r = _trees.plus(y, size, _trees.scaled(alpha, p)), _trees.plus(r, -alpha, image)
        z = _trees.divided(invert(r), unit)
        new = _trees.dot(r, z)
        beta = jnp.where(alive, quotient(new, jnp.where(alive, product, 1)), 0)
        return (y, r, _trees.plus(z, beta, p), new), None

    (y, *_), _ = lax.scan(step, (y, r, z, _trees.dot(r, z)), None, steps)
    return y


def _function(operator: Any):
    if operator is None:
        return lambda v: v
    if isinstance(operator, lx.AbstractLinearOperator):
        return lx.linearise(operator).mv
    if not callable(operator):
        raise TypeError(f"fixed_steps_cg: expected a lineax operator or a callable, got {type(operator)}.")
    return operator
