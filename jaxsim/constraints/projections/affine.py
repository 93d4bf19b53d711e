"""States held to linear equations."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax

from ...linear import CG
from ...norms import lengths, norm, power_of_two, sizes_of_rows, units_of
from ...optimize import Frozen, OnFailure, Solved, SolveStatus, frozen
from ...optimize.solves.moving import moving
from ...optimize.solves.varying import alike
from . import _states
from ._outcome import after, status_of, thawed
from ._states import State


class AffineProjection(eqx.Module):
    """The nearest state that satisfies linear equations, $P y = \\arg\\min_x |x - y|_W^2$ with $A x = b$.

    $$P y = y - W^{-1} A^T \\lambda, \\qquad A W^{-1} A^T \\lambda = A y - b$$

    A matrix is factorized by QR of $W^{-1/2} A^T$, so that the square of its condition number never appears; rows that
    depend on others are left out, and contradict them or not. Operators are solved for $\\lambda$ by conjugate
    gradients, to a tolerance. Derivatives of every order and mode, also in $A$, $b$ and $W$, are further projections
    with the same factors.

    **Arguments:**

    - `matrix`: $A$: an array of shape `(m, n)` or `(m, *shape of the state)` for the `n` real numbers of a state, in
        the order of `jax.tree.leaves` (of complex arrays all real parts and then all imaginary ones); or a lineax
        operator that acts on the state's arrays, or on a vector of them.
    - `values`: $b$, shape `(m,)`, or like what the operator returns. Without them see `of`.
    - `metric`: $W$, positive weights that broadcast against the state, or a `Quadrature`. By default that of a field's
        integral, and 1 for arrays.
    - `solver`: for operators, a lineax solver for positive semidefinite ones; `jaxsim.linear.CG` with a tolerance of
        100 roundings by default.
    - `on_failure`: what happens where there is no solution.

    Gradients flow to arrays given here; put them in `jaxsim.optimize.Frozen` to keep them from being trained.

    Reference: Golub and Van Loan, Matrix Computations (2013), sections 5.6 and 6.1.
    """

    matrix: Any
    values: Any = None
    metric: Any = None
    solver: lx.AbstractLinearSolver | None = None
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)
    factors: Any = eqx.field(converter=frozen, default=None)

    @property
    def complete(self) -> bool:
        """Whether there are values to be held to."""
        return self.values is not None

    def of(self, state: State) -> "AffineProjection":
        """The same projection, to the values $A u$ that a state has."""
        point, _, arrays = _states.flattened(state)
        return dataclasses.replace(self, values=_Rows.of(self.matrix, point, arrays)(self._matrix(point), point))

    def prepared(self, like: State) -> "AffineProjection":
        """The same projection with its matrix frozen and factorized, for loops.

        **Arguments:**

        - `like`: a state, for its size and metric.
        """
        if isinstance(self.matrix, lx.AbstractLinearOperator):
            raise TypeError("AffineProjection.prepared: an operator is not factorized; give a matrix.")
        point, _, _ = _states.flattened(like)
        matrix, weights = self._matrix(point), self._weights(like, point)
        factors = _Factors.of(matrix / _units(matrix, weights)[:, None], weights)
        return dataclasses.replace(self, matrix=frozen(self.matrix), factors=Frozen(factors))

    def __call__(self, state: State) -> State:
        """The projected state.

        **Raises:** `ValueError` where values are missing or shapes do not fit.
        """
        return self.solve(state).value

    def solve(self, state: State) -> Solved:
        """The projected state, with what is known of it.

        **Returns:** a `Solved` whose `residual` is the largest violation of a row, scaled to unit length, relative to
        the length of the state; `rank` and `condition` are those of the scaled matrix.
        """
        if self.values is None:
            raise ValueError("AffineProjection: there are no values to hold $A y$ to. Give `values`, or take those of "
                             "a state: `projection.of(u0)(u)`.")  # fmt: skip
        point, rebuild, arrays = _states.flattened(state)
        weights, matrix = self._weights(state, point), self._matrix(point)
        rows = _Rows.of(self.matrix, point, arrays)
        wanted = _states.real_vector(thawed(self.values)).astype(point.dtype)
        if wanted.shape != rows(matrix, point).shape:
            raise ValueError(f"AffineProjection: `values` need {rows(matrix, point).size} numbers, one for each row; "
                             f"got shape {wanted.shape}.")  # fmt: skip
        if isinstance(self.matrix, lx.AbstractLinearOperator):
            solver = CG(rtol=100 * float(jnp.finfo(point.dtype).eps)) if self.solver is None else self.solver
            how = _Krylov(solver)
            rows, wanted = rows.scaled(matrix, point, wanted, weights)
        else:
            units = _units(matrix, weights)
            matrix, wanted = matrix / units[:, None], wanted / units
            how = _Factors.of(matrix, weights) if self.factors is None else self.factors.thawed()
        moved, _, steps = _nearest((matrix, point, wanted, weights), rows=rows, how=how)
        told = how.told(rows(matrix, moved) - wanted, rows(matrix, point) - wanted, wanted, moved, weights)
        residual, met, otherwise = lax.stop_gradient(told)
        status = status_of(met, jnp.isfinite(residual), otherwise)
        rank, condition = (how.rank, how.condition) if isinstance(how, _Factors) else (None, None)
        value = after(rebuild(moved), status, self.on_failure, _FAILED)
        return Solved(value, status, residual, steps, rank, condition)

    def _weights(self, state, point) -> jax.Array:
        """The metric, with its largest weight between 1/4 and 1."""
        weights = _states.flat_weights(state, thawed(self.metric), "AffineProjection").astype(point.dtype)
        root = power_of_two(jnp.sqrt(jnp.max(weights, initial=0)))
        return weights / root / root

    def _matrix(self, point) -> Any:
        """The matrix with one column for each number, or the operator."""
        matrix = thawed(self.matrix)
        if isinstance(matrix, lx.AbstractLinearOperator):
            return matrix
        matrix = jnp.asarray(matrix, point.dtype)
        if matrix.ndim < 2 or matrix.size != len(matrix) * point.size:
            raise ValueError(f"AffineProjection: `matrix` needs shape (m, {point.size}), one column for each number of "
                             f"the state; got {matrix.shape}.")  # fmt: skip
        return matrix.reshape(len(matrix), point.size)


_FAILED = ("AffineProjection: no state satisfies the equations, or the solver did not reach its tolerance. Look at "
           "`solve(y).status`, drop rows that contradict others, or see `on_failure`.")  # fmt: skip


class _Rows(eqx.Module):
    """How a matrix or operator acts on a vector of all numbers of a state."""

    arrays: Any = eqx.field(static=True)
    units: jax.Array | None = None  # by which the rows of an operator are divided

    @classmethod
    def of(cls, matrix, point, arrays):
        if not isinstance(matrix, lx.AbstractLinearOperator):
            return cls(None)
        wanted = jax.tree.map(lambda a: (a.shape, a.dtype), matrix.in_structure())
        for spread in (arrays, lambda vector: vector):
            if jax.tree.map(lambda a: (a.shape, a.dtype), jax.eval_shape(spread, point)) == wanted:
                return cls(spread)
        raise ValueError(f"AffineProjection: the operator is for {matrix.in_structure()}; the state has "
                         f"{jax.eval_shape(arrays, point)}.")  # fmt: skip

    def __call__(self, matrix, vector) -> jax.Array:
        if self.arrays is None:
            return matrix @ vector
        found = _states.real_vector(matrix.mv(self.arrays(vector)))
        return found if self.units is None else found / self.units

    def scaled(self, matrix, point, wanted, weights) -> tuple["_Rows", jax.Array]:
        """Rows and values of an operator, each divided by a unit of its own."""
        arrays, rest = eqx.partition(matrix, eqx.is_array)
        matrix = eqx.combine(lax.stop_gradient(arrays), rest)
        roots = jnp.sqrt(lax.stop_gradient(weights))
        units = units_of(sizes_of_rows(lambda vector: self(matrix, vector / roots), lax.stop_gradient(point)))
        return _Rows(self.arrays, units), wanted / units

    def back(self, matrix, vector) -> jax.Array:
        """$A^T$ times a vector of one number for each row."""
        if self.arrays is None:
            return matrix.T @ vector
        point = jax.ShapeDtypeStruct((_count(matrix.in_structure()),), vector.dtype)
        return jax.linear_transpose(lambda x: self(matrix, x), point)(vector)[0]


class _Factors(eqx.Module):
    """Of $D A W^{-1/2} = V \\Sigma B^T$ with rows of unit length. No gradient passes."""

    basis: jax.Array
    inverse: jax.Array
    left: jax.Array
    scales: jax.Array
    rank: jax.Array
    condition: jax.Array

    @classmethod
    def of(cls, matrix, weights):
        matrix = lax.stop_gradient(matrix / jnp.sqrt(weights.astype(matrix.dtype)))
        norms = lengths(matrix)
        scales = jnp.where(norms > 0, 1 / jnp.where(norms > 0, norms, 1), 0)
        orthogonal, triangle = jnp.linalg.qr((scales[:, None] * matrix).T)
        left, values, right = jnp.linalg.svd(triangle.T, full_matrices=False)
        kept = values > 10 * max(matrix.shape) * jnp.finfo(matrix.dtype).eps * jnp.max(values)
        inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
        condition = jnp.where(jnp.all(kept), jnp.max(values) * jnp.max(inverse), jnp.inf)
        return cls(orthogonal @ right.T, inverse, left, scales, jnp.sum(kept), condition)

    def __call__(self, rows, matrix, point, wanted, weights):
        """The projected point and the multipliers, by two sweeps: the second removes rounding."""
        moved, multipliers = point, jnp.zeros_like(wanted)
        for _ in range(2):
            part = self.inverse * (self.left.T @ (self.scales * (wanted - rows(matrix, moved))))
            moved = moved + self.basis @ part / jnp.sqrt(weights)
            multipliers = multipliers - self.scales * (self.left @ (self.inverse * part))
        return moved, multipliers, jnp.asarray(1)

    def checked(self, found, after, before, wanted):
        """A solution for tangents, with what the rows are and were."""
        return found

    def told(self, left, before, wanted, moved, weights):
        """The violation, whether it is rounding, and the status where it is not."""
        scale = norm(jnp.sqrt(weights) * moved) + jnp.max(jnp.abs(self.scales * wanted), initial=0)
        violation = jnp.max(jnp.abs(self.scales * left), initial=0) / jnp.where(scale > 0, scale, 1)
        violation = jnp.where(jnp.any((self.scales == 0) & (left != 0)), 1, violation)  # 0 = b for no b but zero
        return violation, violation <= 1e3 * jnp.finfo(left.dtype).eps, SolveStatus.infeasible


class _Krylov(eqx.Module):
    """An iterative solver for the multipliers."""

    solver: lx.AbstractLinearSolver

    def __call__(self, rows, matrix, point, wanted, weights):
        normal = lambda v: rows(matrix, rows.back(matrix, v) / weights)
        structure = jax.ShapeDtypeStruct(wanted.shape, wanted.dtype)
        operator = lx.FunctionLinearOperator(normal, structure, lx.positive_semidefinite_tag)
        solution = lx.linear_solve(operator, rows(matrix, point) - wanted, self.solver, throw=False)
        moved = point - rows.back(matrix, solution.value) / weights
        return moved, solution.value, lax.stop_gradient(solution.stats["num_steps"])

    def checked(self, found, after, before, wanted):
        """A solution for tangents, with what the rows are and were; NaN where the solver did not reach it."""
        _, met, _ = self.told(after - wanted, before - wanted, wanted, None, None)
        return jnp.where(met, found, jnp.nan)

    def told(self, left, before, wanted, moved, weights):
        tolerance = jnp.maximum(10 * jnp.asarray(getattr(self.solver, "rtol", 1e-6)) * norm(before),
                                10 * jnp.asarray(getattr(self.solver, "atol", 0.0)))  # fmt: skip
        size = norm(left)
        rounding = 1e3 * jnp.finfo(left.dtype).eps * (norm(wanted) + norm(wanted + left))
        return size, size <= tolerance + rounding, SolveStatus.stalled


@eqx.filter_custom_jvp
def _nearest(given, *, rows, how):
    matrix, point, wanted, weights = given
    return how(rows, matrix, point, wanted, weights)


@_nearest.def_jvp
def _nearest_jvp(primals, tangents, *, rows, how):
    """Derivatives of the conditions $W (x - y) + A^T \\lambda = 0$ and $A x = b$."""
    (given,), (moved,) = primals, tangents
    found, multipliers, steps = _nearest(given, rows=rows, how=how)
    arrays, moved, rest = moving(given, moved)

    def conditions(arrays):
        matrix, point, wanted, weights = eqx.combine(arrays, rest)
        return weights * (point - found) - rows.back(matrix, multipliers), wanted - rows(matrix, found)

    _, (pull, missing) = jax.jvp(conditions, (arrays,), (moved,))
    change, multipliers_moved = _conditions_solve(given, pull, missing, rows, how)
    return (found, multipliers, steps), (change, multipliers_moved, None)


def _conditions_solve(given, pull, missing, rows, how):
    """The solution of $W x + A^T \\lambda = p$ and $A x = c$, differentiable in all but `how`.

    In unknowns $z = W^{1/2} x$ it is one symmetric system. A projection of the tangents would be the same number, but
    partial evaluation drops the rule of a function that is applied to tangents, and with it all derivatives of the
    factors.
    """
    matrix, _, _, weights = given
    roots, size = jnp.sqrt(weights), pull.size

    def matvec(both):
        z, multipliers = both[:size], both[size:]
        return jnp.concatenate([z + rows.back(matrix, multipliers) / roots, rows(matrix, z / roots)])

    def solve(_, both):
        toward, wanted = both[:size] / roots, both[size:]
        moved, multipliers, _ = how(rows, matrix, toward, wanted, weights)
        found = jnp.concatenate([roots * moved, multipliers])
        return alike(how.checked(found, rows(matrix, moved), rows(matrix, toward), wanted), both)

    right = alike(jnp.concatenate([pull / roots, missing]), given, how)
    found = lax.custom_linear_solve(matvec, right, solve, solve, symmetric=True)
    return found[:size] / roots, found[size:]


def _units(matrix, weights) -> jax.Array:
    """Powers of two near the lengths of the rows of $A W^{-1/2}$."""
    return power_of_two(lengths(lax.stop_gradient(matrix / jnp.sqrt(weights))))


def _count(structure) -> int:
    leaves = jax.tree.leaves(structure)
    return sum(leaf.size * (2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else 1) for leaf in leaves)
