"""How the linear systems of `root`, `fixed_point` and of their derivatives are solved."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax.flatten_util import ravel_pytree

from ...linear import CG, MINRES
from ...linear.batches import lu_factor, lu_solve, lu_solve_back
from ...norms import lengths, units_of
from .varying import alike

Matvec = Callable[[jax.Array], jax.Array]


class AbstractPrepared(eqx.Module):
    """A linear system that is ready to be solved for several right-hand sides."""

    @abc.abstractmethod
    def solve(self, right: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The solution, and whether it is one."""

    @abc.abstractmethod
    def solve_transposed(self, right: jax.Array, guess: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """The solution of the transposed system, from a guess, and whether it is one."""

    def condition(self) -> jax.Array | None:
        """An estimate of the condition number, where there is one."""
        return None


class AbstractLinearChoice(eqx.Module):
    """A way to solve square linear systems."""

    @abc.abstractmethod
    def prepare(self, matvec: Matvec, like: jax.Array, unravel: Callable[[jax.Array], Any]) -> AbstractPrepared:
        """Make a system ready; `matvec` is a linear function of arrays like `like`, flat pytrees."""


class PreparedLU(AbstractPrepared):
    """Factors, and the 1-norm of the matrix."""

    factors: tuple[jax.Array, jax.Array]
    norm: jax.Array
    rows: jax.Array  # the units that rows and columns were divided by
    columns: jax.Array

    def solve(self, right):
        return self._solve(right, 0)

    def solve_transposed(self, right, guess):
        return self._solve(right, 1)

    def _solve(self, right, trans):
        diagonal = jnp.abs(jnp.diagonal(self.factors[0]))
        ok = jnp.min(diagonal) > len(diagonal) * jnp.finfo(diagonal.dtype).eps * jnp.max(diagonal)
        before, after = (self.columns, self.rows) if trans else (self.rows, self.columns)
        found = (lu_solve_back if trans else lu_solve)(*self.factors, right / before) / after
        return found, ok & jnp.all(jnp.isfinite(found))

    def condition(self):
        """In the 1-norm."""
        inverse = lu_solve(*self.factors, jnp.diag(1 / self.rows)) / self.columns[:, None]
        found = self.norm * jnp.max(jnp.sum(jnp.abs(inverse), 0))
        return jnp.where(jnp.isnan(found), jnp.inf, found)


class LU(AbstractLinearChoice):
    """The matrix itself, one column at a time, and its factors with row exchanges; for some hundreds of unknowns."""

    def prepare(self, matvec, like, unravel):
        matrix = jax.vmap(matvec, out_axes=1)(alike(jnp.eye(like.size, dtype=like.dtype), like))
        matrix = jax.lax.stop_gradient(matrix)
        # What is zero beside what does not depend on the units of equations and unknowns.
        rows = units_of(lengths(matrix))
        scaled = matrix / rows[:, None]
        columns = units_of(lengths(scaled, 0))
        return PreparedLU(lu_factor(scaled / columns), jnp.max(jnp.sum(jnp.abs(matrix), 0)), rows, columns)


class PreparedKrylov(AbstractPrepared):
    """An operator and its preconditioner, as the solver keeps them."""

    solver: lx.AbstractLinearSolver
    system: Any
    unravel: Callable = eqx.field(static=True)

    def solve(self, right):
        return self._solve(self.system, right, None)

    def solve_transposed(self, right, guess):
        return self._solve(self.solver.transpose(self.system, {})[0], right, guess)

    def _solve(self, system, right, guess):
        options = {} if guess is None else {"y0": self.unravel(guess)}
        found, result, _ = self.solver.compute(system, self.unravel(right), options)
        return ravel_pytree(found)[0], result == lx.RESULTS.successful


class Krylov(AbstractLinearChoice):
    """Products with the Jacobian alone, linearized once; for any number of unknowns.

    Inside `jax.shard_map` it needs `check_vma=False`.

    **Arguments:**

    - `solver`: such as `jaxsim.linear.FGMRES(rtol=...)`, `CG` for positive definite and `MINRES` for symmetric
        Jacobians, or `jaxsim.linear.Preconditioned`, which makes its preconditioner from the Jacobian.
    - `preconditioner`: close to the inverse of the Jacobian, a linear function of a pytree like the unknowns or a
        lineax operator. Derivatives use its transpose, and none is taken of it.
    - `tags`: what lineax is told of the Jacobian; for `CG` by default that it is positive semidefinite, and for
        `MINRES` that it is symmetric.
    """

    solver: lx.AbstractLinearSolver
    preconditioner: Callable[[Any], Any] | lx.AbstractLinearOperator | None = None
    tags: Any = eqx.field(static=True, default=None)

    def prepare(self, matvec, like, unravel):
        ravel = lambda tree: ravel_pytree(tree)[0]
        structure = jax.eval_shape(unravel, like)
        tags = self._tags()
        operator = LinearMap(lambda x: unravel(matvec(ravel(x))), structure, tags)
        options = {}
        if self.preconditioner is not None:
            options["preconditioner"] = self._inverse(structure, tags)
        return PreparedKrylov(self.solver, self.solver.init(operator, options), unravel)

    def _tags(self):
        if self.tags is not None:
            return frozenset([self.tags] if not isinstance(self.tags, (tuple, frozenset)) else self.tags)
        if isinstance(self.solver, CG):
            return frozenset([lx.positive_semidefinite_tag])
        return frozenset([lx.symmetric_tag] if isinstance(self.solver, MINRES) else [])

    def _inverse(self, structure, tags):
        if isinstance(self.preconditioner, lx.AbstractLinearOperator):
            return self.preconditioner
        if not callable(self.preconditioner):
            raise TypeError("Krylov: `preconditioner` is a function of a pytree like the unknowns, or a lineax "
                            f"operator; got {type(self.preconditioner).__name__}.")  # fmt: skip
        positive = isinstance(self.solver, (CG, MINRES))
        tags = frozenset([lx.positive_semidefinite_tag]) if positive else tags
        return LinearMap(self.preconditioner, structure, tags)


def settled(tree: Any, flat: jax.Array, unravel: Callable[[jax.Array], Any]) -> Any:
    """A pytree of choices, with preconditioners as pytrees of all that they close over."""

    def convert(node):
        given = node.preconditioner if isinstance(node, Krylov) else None
        if given is None or isinstance(given, lx.AbstractLinearOperator) or not callable(given):
            return node
        return eqx.tree_at(lambda k: k.preconditioner, node, eqx.filter_closure_convert(given, unravel(flat)),
                           is_leaf=lambda leaf: leaf is given)  # fmt: skip

    return jax.tree.map(convert, tree, is_leaf=lambda node: isinstance(node, Krylov))


def _zeros(structure):
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), structure)


class LinearMap(lx.AbstractLinearOperator):
    """A linear function as an operator; unlike lineax's own, also inside `jax.shard_map`."""

    function: Callable[[Any], Any]
    structure: Any = eqx.field(static=True)
    tags: frozenset = eqx.field(static=True, default=frozenset())

    def mv(self, vector):
        return self.function(vector)

    def as_matrix(self):
        flat, unravel = ravel_pytree(_zeros(self.structure))
        return jax.jacfwd(lambda x: ravel_pytree(self.mv(unravel(x)))[0])(flat)

    def transpose(self):
        if lx.is_symmetric(self):
            return self

        def transposed(vector):
            like = alike(_zeros(self.structure), vector)
            return jax.linear_transpose(self.function, like)(vector)[0]

        return LinearMap(transposed, self.structure, self.tags)

    def in_structure(self):
        return self.structure

    def out_structure(self):
        return self.structure


@lx.linearise.register(LinearMap)
@lx.conj.register(LinearMap)
def _(operator):
    return operator


@lx.materialise.register(LinearMap)
def _(operator):
    return lx.MatrixLinearOperator(operator.as_matrix(), operator.tags)


@lx.is_symmetric.register(LinearMap)
def _(operator):
    tags = (lx.symmetric_tag, lx.positive_semidefinite_tag, lx.negative_semidefinite_tag)
    return any(tag in operator.tags for tag in tags)


@lx.is_positive_semidefinite.register(LinearMap)
def _(operator):
    return lx.positive_semidefinite_tag in operator.tags


@lx.is_negative_semidefinite.register(LinearMap)
def _(operator):
    return lx.negative_semidefinite_tag in operator.tags


@lx.diagonal.register(LinearMap)
def _(operator):
    return jnp.diag(operator.as_matrix())


@lx.tridiagonal.register(LinearMap)
def _(operator):
    matrix = operator.as_matrix()
    return jnp.diag(matrix), jnp.diag(matrix, -1), jnp.diag(matrix, 1)


@lx.is_diagonal.register(LinearMap)
@lx.is_tridiagonal.register(LinearMap)
@lx.has_unit_diagonal.register(LinearMap)
@lx.is_lower_triangular.register(LinearMap)
@lx.is_upper_triangular.register(LinearMap)
def _(operator):
    return False
