"""The minimal residual method for symmetric operators."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax

from . import _trees
from ._system import BREAKDOWN, ROUNDING, RUNNING, SINGULAR, Cycle, System, check_tolerances, iterate, prepare
from ._trees import Vector


class MINRES(lx.AbstractLinearSolver[System]):
    """The minimal residual method for symmetric operators, definite or not.

    Each step makes $\\|b - Ay\\|$ least over the Krylov space, in the norm of the preconditioner. Stops when
    $\\|b - Ay\\|_2 \\le \\max(\\mathrm{rtol}\\,\\|b\\|_2, \\mathrm{atol})$, with 2-norms over the whole pytree and the
    true residual. A singular operator is fine where $b$ is in its range.

    Paige and Saunders, SIAM J. Numer. Anal. 12 (1975); the residual of least squares that shows an inconsistent
    system is that of Choi, Paige and Saunders, SIAM J. Sci. Comput. 33 (2011).

    **Arguments:**

    - `rtol`, `atol`: tolerances, relative to $\\|b\\|_2$ and absolute; numbers or arrays, not both zero.
    - `max_steps`: most steps, one product with $A$ and one with the preconditioner each.

    `lineax.linear_solve` takes as `options`:

    - `preconditioner`: symmetric positive definite, close to the inverse of $|A|$; a lineax operator, or a callable
        that maps a vector to a vector linearly (taken for symmetric positive definite).
    - `y0`: first guess.

    **Returns:** from `lineax.linear_solve`, a `lineax.Solution` with the `stats` of [`CG`][jaxsim.linear.CG]. Its
    `result` is `max_steps_reached`; `breakdown` where the preconditioner is not positive; `stagnation` or
    `singular` where $A$ is singular and $b$ outside its range, with a value close to the least-squares solution;
    `stagnation` also where rounding forbids the tolerance, and `singular` where a number is not finite.

    **Raises:** `ValueError` for negative tolerances, an operator that is not tagged symmetric, or structures that do
    not fit; `TypeError` for complex operators.
    """

    rtol: Any = 1e-6
    atol: Any = 0.0
    max_steps: Any = 10_000

    def __check_init__(self):
        check_tolerances("MINRES", self.rtol, self.atol, self.max_steps)

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> System:
        return prepare("MINRES", operator, options, symmetric=True, definite=False)

    def compute(self, state: System, vector: Vector, options: dict[str, Any]):
        return iterate(_cycle, state, vector, options, rtol=self.rtol, atol=self.atol, max_steps=self.max_steps)

    def transpose(self, state: System, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state: System, options: dict[str, Any]):
        return state.conj(), {}

    def assume_full_rank(self) -> bool:
        return True


class _Run(NamedTuple):
    """Lanczos vectors v (of A M) and z = M v, two of the directions, and the last rotation (c, s)."""

    x: Vector
    r: Vector
    v_old: Vector
    v: Vector
    z: Vector
    w_old: Vector
    w: Vector
    beta: jax.Array
    c: jax.Array
    s: jax.Array
    delta: jax.Array  # entry above the diagonal, rotated once
    epsilon: jax.Array  # entry two above the diagonal
    phi: jax.Array  # residual in the norm of the preconditioner
    largest: jax.Array
    gain: jax.Array  # largest |A z| / |z| seen
    norm: jax.Array
    steps: jax.Array
    status: jax.Array
    ended: jax.Array


def _advance(system: System, run: _Run) -> _Run:
    # Lanczos: A z = beta_old v_old + alpha v + beta v_new, with z = M v and <v, z> = 1.
    image = system.operator.mv(run.z)
    gain = jnp.maximum(run.gain, _trees.norm(image) / _trees.norm(run.z))
    alpha = _trees.dot(run.z, image)
    image = _trees.plus(_trees.plus(image, -alpha, run.v), -run.beta, run.v_old)
    z = system.precondition(image)
    beta, sign = _trees.root_dot(image, z)
    v, z = (_trees.divided(a, jnp.where(beta > 0, beta, 1)) for a in (image, z))

    # The last column of the tridiagonal matrix: two entries rotated before, and one that is rotated now.
    above = run.c * run.delta + run.s * alpha
    diagonal = run.s * run.delta - run.c * alpha
    delta, epsilon = -run.c * beta, run.s * beta
    gamma = jnp.hypot(diagonal, beta)
    largest = jnp.maximum(run.largest, _trees.norm((alpha, beta, run.beta)))
    rounding = ROUNDING * jnp.finfo(gamma.dtype).eps
    # |A r| = phi hypot(diagonal, delta): zero for a residual that is not, in a singular and inconsistent system.
    regular = jnp.hypot(diagonal, delta) > rounding * largest
    c, s = diagonal / jnp.where(gamma > 0, gamma, 1), beta / jnp.where(gamma > 0, gamma, 1)

    w = _trees.plus(_trees.plus(run.z, -run.epsilon, run.w_old), -above, run.w)
    w = _trees.divided(w, jnp.where(gamma > 0, gamma, 1))
    phi = s * run.phi
    x = _trees.plus(run.x, c * run.phi, w)
    r = _trees.plus(_trees.scaled(s**2, run.r), -c * phi, v)
    norm = _trees.norm(r)
    ok = regular & (sign >= 0) & jnp.isfinite(norm) & jnp.isfinite(gamma)
    status = jnp.where(ok, RUNNING, jnp.where(sign < 0, BREAKDOWN, SINGULAR))
    # Where the rounding error of A x exceeds the residual of the recurrence, that is no longer the true one: accuracy
    # is exhausted, or x grows along the null space of an inconsistent system, which the last step then leaves out.
    error = rounding * gain * _trees.norm(x)
    moved = _Run(
        x, r, run.v, v, z, run.w, w, beta, c, s, delta, epsilon, phi, largest, gain, norm, run.steps, status, run.ended
    )
    moved = _trees.where(ok & (error <= run.norm), moved, run)
    return moved._replace(steps=run.steps + 1, status=status, ended=error > norm)


def _cycle(system: System, b: Vector, target: jax.Array, max_steps: jax.Array) -> Cycle:
    """From zero to a residual, by recurrence, of `target`."""

    def unfinished(run: _Run):
        return (run.status == RUNNING) & ~run.ended & (run.norm > target) & (run.steps < max_steps)

    z = system.precondition(b)
    phi, sign = _trees.root_dot(b, z)
    v, z = (_trees.divided(a, jnp.where(phi > 0, phi, 1)) for a in (b, z))
    nothing, none, zero = _trees.zeros(b), jnp.zeros_like(phi), jnp.zeros((), jnp.int32)
    status = jnp.where(sign > 0, RUNNING, jnp.where(sign <= 0, BREAKDOWN, SINGULAR))
    start = _Run(nothing, b, nothing, v, z, nothing, nothing, none, none - 1, none, none, none, phi, none, none,
                 _trees.norm(b), zero, status, zero > 0)  # fmt: skip
    end = lax.while_loop(unfinished, lambda run: _advance(system, run), start)
    return Cycle(end.x, end.steps, end.steps, end.status)
