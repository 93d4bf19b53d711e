"""The flexible generalized minimal residual method."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax
from jax.scipy.linalg import solve_triangular

from . import _trees
from ._system import ROUNDING, RUNNING, SINGULAR, Cycle, System, check_tolerances, iterate, prepare
from ._trees import Vector


class FGMRES(lx.AbstractLinearSolver[System]):
    """The generalized minimal residual method, restarted, with a preconditioner that may vary from step to step.

    Preconditioned from the right, so that $\\|b - Ay\\|_2$ itself is least in every cycle, and nothing about the
    preconditioner is assumed: it may be another iteration. Stops when
    $\\|b - Ay\\|_2 \\le \\max(\\mathrm{rtol}\\,\\|b\\|_2, \\mathrm{atol})$, with 2-norms over the whole pytree and the
    true residual. Stores $2\\,\\mathrm{restart} + 1$ vectors.

    Saad, SIAM J. Sci. Comput. 14 (1993), algorithm 2.2; Gram-Schmidt twice, after Giraud, Langou, Rozloznik and
    van den Eshof, Numer. Math. 101 (2005).

    **Arguments:**

    - `rtol`, `atol`: tolerances, relative to $\\|b\\|_2$ and absolute; numbers or arrays, not both zero.
    - `max_steps`: most steps, summed over cycles; one product with $A$ and one preconditioner each.
    - `restart`: most steps of one cycle, a whole number.

    `lineax.linear_solve` takes as `options`:

    - `preconditioner`: close to $A^{-1}$; a lineax operator, or a callable from vectors to vectors. The adjoint uses
        its transpose; where the operator is symmetric a callable serves for both, linear or not, and where it is
        not symmetric a callable must be linear to be differentiated in reverse.
    - `y0`: first guess.

    **Returns:** from `lineax.linear_solve`, a `lineax.Solution` with the `stats` of [`CG`][jaxsim.linear.CG]. Its
    `result` is `max_steps_reached`; `stagnation` where a cycle reduces the residual by less than a thousandth
    (a longer `restart` or a better preconditioner helps); `singular` where no direction is left or a number is not
    finite.

    **Raises:** `ValueError` for negative tolerances, a `restart` less than 1, or structures that do not fit.
    """

    rtol: Any = 1e-6
    atol: Any = 0.0
    max_steps: Any = 10_000
    restart: int = eqx.field(default=30, static=True)

    def __check_init__(self):
        check_tolerances("FGMRES", self.rtol, self.atol, self.max_steps)
        if not isinstance(self.restart, int) or self.restart < 1:
            raise ValueError(f"FGMRES: `restart` must be a whole number of at least 1, got {self.restart!r}.")

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> System:
        return prepare("FGMRES", operator, options, symmetric=False, definite=False)

    def compute(self, state: System, vector: Vector, options: dict[str, Any]):
        length = min(self.restart, sum(leaf.size for leaf in jax.tree.leaves(vector)))

        def cycle(*args):
            return _cycle(length, *args)

        return iterate(cycle, state, vector, options, rtol=self.rtol, atol=self.atol, max_steps=self.max_steps)

    def transpose(self, state: System, options: dict[str, Any]):
        return state.transpose(), {}

    def conj(self, state: System, options: dict[str, Any]):
        return state.conj(), {}

    def assume_full_rank(self) -> bool:
        return True


class _Run(NamedTuple):
    basis: Vector  # orthonormal, leading axis restart + 1
    directions: Vector  # preconditioned, leading axis restart
    triangle: jax.Array  # (restart, restart), unit diagonal where there is no column yet
    rotations: jax.Array  # unitary, takes the Hessenberg matrix to the triangle
    largest: jax.Array
    steps: jax.Array
    status: jax.Array
    ended: jax.Array  # the Krylov space is invariant

    @property
    def residual(self):
        return jnp.abs(self.rotations[self.steps, 0])


def _stack(vector: Vector, count: int) -> Vector:
    return jax.tree.map(lambda x: jnp.zeros((count, *x.shape), x.dtype), vector)


def _put(stack: Vector, index: jax.Array, vector: Vector) -> Vector:
    return jax.tree.map(lambda s, x: s.at[index].set(x), stack, vector)


def _take(stack: Vector, index: jax.Array) -> Vector:
    return jax.tree.map(lambda s: s[index], stack)


def _components(stack: Vector, vector: Vector) -> jax.Array:
    """Inner products of `vector` with the vectors of a stack."""
    parts = [
        jnp.tensordot(s.conj(), x, axes=x.ndim, precision=lax.Precision.HIGHEST)
        for s, x in zip(jax.tree.leaves(stack), jax.tree.leaves(vector), strict=True)
    ]
    return sum(parts[1:], parts[0])


def _combine(coefficients: jax.Array, stack: Vector) -> Vector:
    return jax.tree.map(
        lambda s: jnp.tensordot(coefficients, s, axes=1, precision=lax.Precision.HIGHEST).astype(s.dtype), stack
    )


def _advance(system: System, run: _Run) -> _Run:
    j = run.steps
    z = system.precondition(_take(run.basis, j))
    w = system.operator.mv(z)
    before = _trees.norm(w)
    column = _components(run.basis, w)
    w = _trees.minus(w, _combine(column, run.basis))
    again = _components(run.basis, w)
    w = _trees.minus(w, _combine(again, run.basis))
    after = _trees.norm(w)
    rounding = ROUNDING * jnp.finfo(after.dtype).eps
    ended = after <= rounding * before
    after = jnp.where(ended, 0, after)
    column = (column + again).at[j + 1].set(after)

    # Earlier rotations, then the one that removes the entry below the diagonal.
    rotated = run.rotations @ column
    pivot, below = rotated[j], after.astype(rotated.dtype)
    length = jnp.hypot(jnp.abs(pivot), after)
    largest = jnp.maximum(run.largest, before)
    ok = (length > rounding * largest) & jnp.isfinite(length)
    length = jnp.where(ok, length, 1)
    upper, lower = run.rotations[j], run.rotations[j + 1]
    rotations = run.rotations.at[j].set((pivot.conj() * upper + below * lower) / length)
    rotations = rotations.at[j + 1].set((pivot * lower - below * upper) / length)
    rotated = jnp.where(jnp.arange(rotated.size) < j, rotated, 0).at[j].set(length.astype(rotated.dtype))
    # Where no direction is left the entries are not used, and the two stacks need no copy to be kept.
    basis = _put(run.basis, j + 1, _trees.divided(w, jnp.where(after > 0, after, 1)))
    directions = _put(run.directions, j, _trees.where(ok, z, _trees.zeros(z)))
    triangle = run.triangle.at[:, j].set(jnp.where(ok, rotated[:-1], run.triangle[:, j]))
    return _Run(
        basis, directions, triangle, jnp.where(ok, rotations, run.rotations), largest,
        jnp.where(ok, j + 1, j), jnp.where(ok, run.status, SINGULAR), ended | ~ok,
    )  # fmt: skip


def _cycle(length: int, system: System, b: Vector, target: jax.Array, max_steps: jax.Array) -> Cycle:
    """At most `length` steps from zero, for a right-hand side of norm one."""

    def unfinished(run: _Run):
        return ~run.ended & (run.steps < jnp.minimum(length, max_steps)) & (run.residual > target)

    dtype = jnp.result_type(*jax.tree.leaves(b))
    zero = jnp.zeros((), jnp.int32)
    start = _Run(
        _put(_stack(b, length + 1), zero, b), _stack(b, length), jnp.eye(length, dtype=dtype),
        jnp.eye(length + 1, dtype=dtype), jnp.zeros((), _trees.real_dtype(b)), zero, zero + RUNNING,
        jnp.zeros((), bool),
    )  # fmt: skip
    end = lax.while_loop(unfinished, lambda run: _advance(system, run), start)
    right = jnp.where(jnp.arange(length) < end.steps, end.rotations[:-1, 0], 0)
    weights = solve_triangular(end.triangle, right)
    tried = end.steps + (end.status != RUNNING)
    return Cycle(_combine(weights, end.directions), tried, tried, end.status)
