"""Potentials of a matrix with given sums of rows and columns: Sinkhorn's sweeps, and Newton's steps after them."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp

from ...optimize.solves.varying import alike


class Potentials(eqx.Module):
    """$f$ and $g$ of $P_{ij} = e^{y_{ij} + f_i + g_j}$, shapes `(n,)` and `(m,)`."""

    rows: jax.Array
    columns: jax.Array

    def plan(self, logits: jax.Array) -> jax.Array:
        """$P$."""
        return jnp.exp(logits + self.rows[:, None] + self.columns)


class AbstractScaling(eqx.Module):
    """A way to find the potentials of a matrix with given marginals.

    - `tolerance`: of $|P 1 - r|_1 + |P^T 1 - c|_1$, relative to the sum of $r$; a number or a traced array. By default
        100 roundings times $\\sqrt{n + m}$.
    """

    tolerance: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def __call__(self, logits: jax.Array, rows: jax.Array, columns: jax.Array) -> tuple[Potentials, jax.Array]:
        """Potentials of the logits `(n, m)` for positive marginals `(n,)` and `(m,)`, and the number of steps."""

    def enough(self, logits: jax.Array, rows: jax.Array) -> jax.Array:
        """The tolerance as a sum of deviations."""
        rounding = 100 * float(jnp.finfo(logits.dtype).eps) * sum(logits.shape) ** 0.5
        return jnp.asarray(rounding if self.tolerance is None else self.tolerance, logits.dtype) * jnp.sum(rows)


def sweep(logits: jax.Array, rows: jax.Array, columns: jax.Array, potentials: Potentials) -> Potentials:
    """One of Sinkhorn's sweeps in logarithms: rows get their sums, and then columns theirs."""
    f = jnp.log(rows) - logsumexp(logits + potentials.columns, axis=1)
    return Potentials(f, jnp.log(columns) - logsumexp(logits + f[:, None], axis=0))


def deviation(logits: jax.Array, rows: jax.Array, columns: jax.Array, potentials: Potentials) -> jax.Array:
    """$|P 1 - r|_1 + |P^T 1 - c|_1$."""
    plan = potentials.plan(logits)
    return jnp.sum(jnp.abs(jnp.sum(plan, 1) - rows)) + jnp.sum(jnp.abs(jnp.sum(plan, 0) - columns))


class Sinkhorn(AbstractScaling):
    """Sinkhorn's sweeps in logarithms until the marginals are met.

    Each is cheap, and their number grows with the largest difference of the logits.

    **Arguments:**

    - `tolerance`: see `AbstractScaling`.
    - `steps`: at most so many sweeps, a number or a traced array.

    Reference: Cuturi, Sinkhorn distances, NeurIPS 2013; Peyré and Cuturi, Computational Optimal Transport (2019),
    section 4.4, for logarithms.
    """

    tolerance: Any = None
    steps: Any = 10_000

    def __call__(self, logits: jax.Array, rows: jax.Array, columns: jax.Array) -> tuple[Potentials, jax.Array]:
        given = logits, rows, columns
        enough = self.enough(logits, rows)

        def going(carry):
            potentials, steps, left = carry
            return (left > enough) & (steps < self.steps)

        def step(carry):
            potentials, steps, _ = carry
            potentials = sweep(*given, potentials)
            return potentials, steps + 1, deviation(*given, potentials)

        potentials = Potentials(jnp.zeros_like(rows), jnp.zeros_like(columns))
        carry = alike((potentials, jnp.asarray(0), jnp.full((), jnp.inf, logits.dtype)), given, self)
        potentials, steps, _ = lax.while_loop(going, step, carry)
        return potentials, steps


class SinkhornNewton(AbstractScaling):
    """A few of Sinkhorn's sweeps, and then Newton's steps on the concave dual problem,

    $$\\max_{f, g} \\; r^T f + c^T g - \\sum_{ij} e^{y_{ij} + f_i + g_j}$$

    with a line search. The matrix of a step, $\\begin{pmatrix} \\mathrm{diag}(P 1) & P \\\\ P^T & \\mathrm{diag}(P^T 1)
    \\end{pmatrix}$, is solved by conjugate gradients. Where the logits differ much, nearly all of $P$ is in a few
    entries, and the largest of each row are enough for it.

    **Arguments:**

    - `tolerance`: see `AbstractScaling`.
    - `sweeps`: Sinkhorn's sweeps before, a number.
    - `steps`: at most so many of Newton's, a number or a traced array.
    - `kept`: how many entries of $P$ the matrix keeps for each row on average, the largest ones; all by default.

    Reference: Tang, Shavlovsky, Rahmanian, Tardini, Thekumparampil, Xiao and Ying, Accelerating Sinkhorn algorithm with
    sparse Newton iterations, ICLR 2024 (arXiv 2401.12253), algorithm 2.
    """

    tolerance: Any = None
    sweeps: int = eqx.field(static=True, default=20)
    steps: Any = 100
    kept: int | None = eqx.field(static=True, default=None)

    def __call__(self, logits: jax.Array, rows: jax.Array, columns: jax.Array) -> tuple[Potentials, jax.Array]:
        first, count = Sinkhorn(self.tolerance, self.sweeps)(logits, rows, columns)
        dual = _Dual(logits, rows, columns, self.kept)
        enough = self.enough(logits, rows)

        def going(carry):
            _, gradient, steps, moved = carry
            return (jnp.sum(jnp.abs(gradient)) > enough) & (steps < self.steps) & moved

        def step(carry):
            point, gradient, steps, _ = carry
            direction = dual.newton(point, gradient)
            point, ahead, moved = dual.searched(point, gradient, direction)
            return alike((point, ahead, steps + 1, moved), dual)

        point = jnp.concatenate([first.rows, first.columns])
        carry = point, dual.gradient(point), jnp.asarray(0), jnp.asarray(True)
        point, _, steps, _ = lax.while_loop(going, step, alike(carry, dual, self))
        return Potentials(*jnp.split(point, [len(rows)])), count + steps


class _Dual(eqx.Module):
    """The dual problem in one vector of potentials."""

    logits: jax.Array
    rows: jax.Array
    columns: jax.Array
    kept: int | None = eqx.field(static=True)

    def plan(self, point) -> jax.Array:
        f, g = jnp.split(point, [len(self.rows)])
        return Potentials(f, g).plan(self.logits)

    def value(self, point) -> jax.Array:
        return jnp.concatenate([self.rows, self.columns]) @ point - jnp.sum(self.plan(point))

    def gradient(self, point) -> jax.Array:
        plan = self.plan(point)
        return jnp.concatenate([self.rows - jnp.sum(plan, 1), self.columns - jnp.sum(plan, 0)])

    def newton(self, point, gradient) -> jax.Array:
        plan = self.plan(point)
        diagonal = jnp.concatenate([jnp.sum(plan, 1), jnp.sum(plan, 0)])
        diagonal = jnp.maximum(diagonal, jnp.finfo(plan.dtype).tiny)
        off = _whole(plan) if self.kept is None else _largest(plan, self.kept)
        return conjugate_gradients(lambda v: diagonal * v + off(v), gradient, diagonal)

    def searched(self, point, gradient, direction):
        """The first of the steps 1, 1/2, 1/4, ... that raises the dual enough, or lowers its gradient."""
        slope = gradient @ direction
        here, size = self.value(point), jnp.sum(jnp.abs(gradient))

        def tried(length):
            ahead = point + length * direction
            slopes = self.gradient(ahead)
            better = self.value(ahead) >= here + 1e-4 * length * slope
            better &= jnp.all(jnp.isfinite(slopes))
            return ahead, slopes, better & (slope > 0) | (jnp.sum(jnp.abs(slopes)) < 0.9 * size)

        def going(carry):
            _, _, found, length = carry
            return ~found & (length > 1e-9)

        def step(carry):
            length = carry[3] / 2
            return alike((*tried(length), length), self)

        one = jnp.ones((), point.dtype)
        ahead, slopes, found, _ = lax.while_loop(going, step, alike((*tried(one), one), self, point))
        return jnp.where(found, ahead, point), jnp.where(found, slopes, gradient), found


def _whole(plan):
    """Products with $P$ and its transpose."""
    count = len(plan)
    return lambda v: jnp.concatenate([plan @ v[count:], v[:count] @ plan])


def _largest(plan, kept):
    """The same with no more than the largest entries."""
    count, columns = plan.shape
    values, places = lax.top_k(plan.ravel(), min(kept * count, plan.size))
    i, j = places // columns, places % columns
    down = lambda v: jax.ops.segment_sum(values * v[count:][j], i, count)
    up = lambda v: jax.ops.segment_sum(values * v[:count][i], j, columns)
    return lambda v: jnp.concatenate([down(v), up(v)])


def conjugate_gradients(matvec, right, diagonal, tolerance=1e-3) -> jax.Array:
    """Conjugate gradients for a positive semidefinite matrix, scaled by its diagonal.

    Until the residual is `tolerance` times the right-hand side in the norm of the scaled problem. Of a matrix that is
    nearly an assignment most of the spectrum is near zero, and rounding asks for many more steps than unknowns.
    """
    limit = 20 * len(right)
    start = right @ (right / diagonal)

    def going(carry):
        _, _, _, size, count = carry
        return (size > tolerance**2 * start) & (count < limit)

    def step(carry):
        x, r, p, size, count = carry
        product = matvec(p)
        curve = p @ product
        length = jnp.where(curve > 0, size / jnp.where(curve > 0, curve, 1), 0)
        x, r = x + length * p, r - length * product
        ahead = jnp.where(curve > 0, r @ (r / diagonal), 0)
        return x, r, r / diagonal + ahead / jnp.where(size > 0, size, 1) * p, ahead, count + 1

    first = jnp.zeros_like(right), right, right / diagonal, start, jnp.asarray(0)
    return lax.while_loop(going, step, alike(first, right, diagonal))[0]
