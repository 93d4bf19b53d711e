"""States held to linear equations."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax import lax

from ...linear import CG
from ...optimize import Frozen, OnFailure, Solved, SolveStatus, frozen
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
        factors = _Factors.of(self._matrix(point), _states.flat_weights(like, thawed(self.metric), "AffineProjection"))
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
        weights = _states.flat_weights(state, thawed(self.metric), "AffineProjection").astype(point.dtype)
        matrix = self._matrix(point)
        rows = _Rows.of(self.matrix, point, arrays)
        wanted = _states.real_vector(thawed(self.values)).astype(point.dtype)
        if wanted.shape != rows(matrix, point).shape:
            raise ValueError(f"AffineProjection: `values` need {rows(matrix, point).size} numbers, one for each row; "
                             f"got shape {wanted.shape}.")  # fmt: skip
        if isinstance(self.matrix, lx.AbstractLinearOperator):
            solver = CG(rtol=100 * float(jnp.finfo(point.dtype).eps)) if self.solver is None else self.solver
            how = _Krylov(solver)
        else:
            how = _Factors.of(matrix, weights) if self.factors is None else self.factors.thawed()
        moved, _, steps = _nearest((matrix, point, wanted, weights), rows=rows, how=how)
        told = how.told(rows(matrix, moved) - wanted, rows(matrix, point) - wanted, wanted, moved, weights)
        residual, met, otherwise = lax.stop_gradient(told)
        status = status_of(met, jnp.isfinite(residual), otherwise)
        rank, condition = (how.rank, how.condition) if isinstance(how, _Factors) else (None, None)
        value = after(rebuild(moved), status, self.on_failure, _FAILED)
        return Solved(value, status, residual, steps, rank, condition)

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
        return matrix @ vector if self.arrays is None else _states.real_vector(matrix.mv(self.arrays(vector)))

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
        norms = jnp.linalg.norm(matrix, axis=1)
        scales = 1 / jnp.where(norms > 0, norms, 1)
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

    def told(self, left, before, wanted, moved, weights):
        """The violation, whether it is rounding, and the status where it is not."""
        scale = jnp.linalg.norm(jnp.sqrt(weights) * moved) + jnp.max(jnp.abs(self.scales * wanted), initial=0)
        violation = jnp.max(jnp.abs(self.scales * left), initial=0) / jnp.where(scale > 0, scale, 1)
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

    def told(self, left, before, wanted, moved, weights):
        tolerance = jnp.maximum(10 * jnp.asarray(getattr(self.solver, "rtol", 1e-6)) * jnp.linalg.norm(before),
                                10 * jnp.asarray(getattr(self.solver, "atol", 0.0)))  # fmt: skip
        size = jnp.linalg.norm(left)
        rounding = 1e3 * jnp.finfo(left.dtype).eps * (jnp.linalg.norm(wanted) + jnp.linalg.norm(wanted + left))
        return size, size <= tolerance + rounding, SolveStatus.stalled


@eqx.filter_custom_jvp
def _nearest(given, *, rows, how):
    matrix, point, wanted, weights = given
    return how(rows, matrix, point, wanted, weights)


@_nearest.def_jvp
def _nearest_jvp(primals, tangents, *, rows, how):
    """$W \\dot x + A^T \\dot\\lambda = W \\dot y + \\dot W (y - x) - \\dot A^T \\lambda$ with $A \\dot x = \\dot b -
    \\dot A x$ is a projection again."""
    (given,), (moved,) = primals, tangents
    found, multipliers, steps = _nearest(given, rows=rows, how=how)
    arrays, rest = eqx.partition(given, eqx.is_inexact_array)
    moved = jax.tree.map(lambda a, d: jnp.zeros_like(a) if d is None else d, arrays, moved)
    matrix, point, wanted, weights = given
    matrix_moved, point_moved, wanted_moved, weights_moved = moved

    def of_matrix(arrays):
        matrix = eqx.combine(arrays, rest[0])
        return rows(matrix, found), rows.back(matrix, multipliers)

    _, (rows_moved, back_moved) = jax.jvp(of_matrix, (arrays[0],), (matrix_moved,))
    toward = point_moved + (weights_moved * (point - found) - back_moved) / weights
    change, multipliers_moved, _ = _nearest((matrix, toward, wanted_moved - rows_moved, weights), rows=rows, how=how)
    return (found, multipliers, steps), (change, multipliers_moved, None)


def _count(structure) -> int:
    leaves = jax.tree.leaves(structure)
    return sum(leaf.size * (2 if jnp.issubdtype(leaf.dtype, jnp.complexfloating) else 1) for leaf in leaves)
