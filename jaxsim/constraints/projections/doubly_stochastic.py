"""Matrices with given sums of rows and columns."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import norm, power_of_two
from ...optimize import OnFailure, Solved, SolveStatus
from ._outcome import after, status_of, thawed
from .sinkhorn import AbstractScaling, Potentials, SinkhornNewton, deviation


class DoublyStochastic(eqx.Module):
    """The matrix with given sums of rows and columns that is nearest to $e^y$ in relative entropy.

    $$P = \\arg\\min \\sum_{ij} P_{ij} (\\log P_{ij} - 1 - y_{ij}) \\quad\\text{with}\\quad P 1 = r, \\; P^T 1 = c$$

    is $P_{ij} = e^{y_{ij} + f_i + g_j}$. With $y = -\\eta C$ it is the plan of entropic transport at the cost $C$; it
    becomes that of the assignment problem as $\\eta$ grows. Derivatives, of every order and mode, are those of the
    marginals: one symmetric system in the potentials, whose null direction (a constant added to $f$ and taken from $g$)
    is left out.

    **Arguments:**

    - `rows`: $r$, positive, shape `(n,)`, or one number for all; 1 by default.
    - `columns`: $c$, positive, shape `(m,)`, of the same sum; by default $\\sum r / m$ for all.
    - `method`: `SinkhornNewton()` by default, or `Sinkhorn()`.
    - `on_failure`: what happens where the steps are not enough, or the marginals have different sums.

    Reference: Luise, Rudi, Pontil and Ciliberto, Differential properties of Sinkhorn approximation, NeurIPS 2018, for
    derivatives.
    """

    rows: Any = 1.0
    columns: Any = None
    method: AbstractScaling = SinkhornNewton()
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)

    @property
    def complete(self) -> bool:
        """Whether there are sums of rows to be held to."""
        return self.rows is not None

    def of(self, matrix: jax.Array) -> "DoublyStochastic":
        """The same projection, to the sums that a matrix has."""
        return dataclasses.replace(self, rows=jnp.sum(matrix, 1), columns=jnp.sum(matrix, 0))

    def __call__(self, logits: jax.Array) -> jax.Array:
        """The matrix nearest to $e^y$; logits of shape `(n, m)`."""
        return self.solve(logits).value

    def solve(self, logits: jax.Array) -> Solved:
        """The matrix, with what is known of it.

        **Returns:** a `Solved` whose `residual` is $|P 1 - r|_1 + |P^T 1 - c|_1$ over the sum of $r$, and `steps` the
        number of sweeps and of Newton's steps together.
        """
        rows, columns = self._marginals(logits)
        unit = power_of_two(jnp.maximum(jnp.max(rows), jnp.max(columns))) / 2  # one for sums of one
        rows, columns = rows / unit, columns / unit
        given = logits, rows, columns
        potentials, steps = _potentials(given, method=self.method)
        value = unit * potentials.plan(logits)
        left = lax.stop_gradient(deviation(*given, potentials))
        met = left <= self.method.enough(logits, rows)
        apart = jnp.abs(jnp.sum(rows) - jnp.sum(columns)) > self.method.enough(logits, rows)
        apart = apart | (jnp.minimum(jnp.min(rows), jnp.min(columns)) <= 0)
        allowed = getattr(self.method, "sweeps", 0) + self.method.steps
        otherwise = SolveStatus.where(steps >= allowed, SolveStatus.max_steps, SolveStatus.stalled)
        otherwise = SolveStatus.where(apart, SolveStatus.infeasible, otherwise)
        status = status_of(met & ~apart, jnp.isfinite(left) | apart, otherwise)
        return Solved(after(value, status, self.on_failure, _FAILED), status,
                      left / lax.stop_gradient(jnp.sum(rows)), steps)  # fmt: skip

    def _marginals(self, logits):
        if logits.ndim != 2 or not jnp.issubdtype(logits.dtype, jnp.floating):
            raise ValueError(f"DoublyStochastic: logits are a real matrix; got {logits.dtype} of shape {logits.shape}. "
                             "Map over a batch with jax.vmap.")  # fmt: skip
        if self.rows is None:
            raise ValueError("DoublyStochastic: there are no sums to hold to. Give `rows`, or take those of a matrix: "
                             "`projection.of(P)(y)`.")  # fmt: skip
        n, m = logits.shape
        rows = jnp.asarray(thawed(self.rows), logits.dtype)
        total = jnp.sum(jnp.broadcast_to(rows, (n,))) if rows.shape in ((), (n,)) else rows
        columns = total / m if self.columns is None else jnp.asarray(thawed(self.columns), logits.dtype)
        for sums, count, name in ((rows, n, "rows"), (columns, m, "columns")):
            if sums.shape not in ((), (count,)):
                raise ValueError(f"DoublyStochastic: `{name}` is a number or has shape ({count},); got {sums.shape}.")
        return jnp.broadcast_to(rows, (n,)), jnp.broadcast_to(columns, (m,))


_FAILED = ("DoublyStochastic: the sums of rows and columns were not met. Allow more steps or a larger tolerance in "
           "`method`; both must be positive and have the same total. See `solve(y).status`, `on_failure`.")  # fmt: skip


@eqx.filter_custom_jvp
def _potentials(given, *, method):
    return method(*lax.stop_gradient(given))


@_potentials.def_jvp
def _potentials_jvp(primals, tangents, *, method):
    """$\\dot P = P \\circ (\\dot y + \\dot f + \\dot g)$ has the sums $\\dot r$ and $\\dot c$."""
    (given,), (moved,) = primals, tangents
    logits_moved, rows_moved, columns_moved = (jnp.zeros_like(a) if d is None else d for a, d in zip(given, moved))
    potentials, steps = _potentials(given, method=method)
    plan = potentials.plan(given[0])
    change = plan * logits_moved
    f, g = _hessian_solve(plan, rows_moved - jnp.sum(change, 1), columns_moved - jnp.sum(change, 0))
    return (potentials, steps), (Potentials(f, g), None)


def _hessian_solve(plan, a, b) -> tuple[jax.Array, jax.Array]:
    """$(f, g)$ with $\\mathrm{diag}(P 1) f + P g = a$ and $P^T f + \\mathrm{diag}(P^T 1) g = b$, where $c^T g = 0$.

    With $B = \\mathrm{diag}(r)^{-1/2} P\\,\\mathrm{diag}(c)^{-1/2}$ it is
    $(I - B^T B) \\hat g = \\hat b - B^T \\hat a$, where $\\sqrt c$ spans the null space.
    """
    rows, columns = jnp.sqrt(jnp.sum(plan, 1)), jnp.sqrt(jnp.sum(plan, 0))
    scaled = plan / rows[:, None] / columns
    null = columns / norm(columns)
    left = a / rows
    right = b / columns - left @ scaled
    right = right - null * (null @ right)
    matvec = lambda v: v - (scaled @ v) @ scaled + null * (null @ v)

    def solve(_, right):
        # Of a plan that is nearly an assignment most of the matrix is rounding; there the change of P is, too.
        size, eps = len(null), jnp.finfo(plan.dtype).eps
        matrix = (1 + 10 * size * eps) * jnp.eye(size, dtype=plan.dtype) - scaled.T @ scaled + jnp.outer(null, null)
        factor = jax.scipy.linalg.cho_factor(lax.stop_gradient(matrix))
        found = jax.scipy.linalg.cho_solve(factor, right)
        return found + jax.scipy.linalg.cho_solve(factor, right - matvec(found))

    found = lax.custom_linear_solve(matvec, right, solve, symmetric=True)
    return (left - scaled @ found) / rows, found / columns
