"""Real symmetric, positive semidefinite operators that work without a matrix."""

import abc

import jax
import jax.numpy as jnp
import lineax as lx


class SymmetricOperator(lx.AbstractLinearOperator):
    """A real symmetric, positive semidefinite operator, known to lineax as such.

    A subclass gives `mv` and `in_structure`; the transpose is the operator itself. For an approximate inverse that
    depends on parameters, stop its gradient: lineax takes no derivative of a preconditioner, and a solution does
    not depend on it.
    """

    @abc.abstractmethod
    def mv(self, vector): ...

    @abc.abstractmethod
    def in_structure(self): ...

    def out_structure(self):
        return self.in_structure()

    def transpose(self):
        return self

    def as_matrix(self) -> jax.Array:
        leaves, treedef = jax.tree.flatten(self.in_structure())
        size, unit, start = self.in_size(), [], 0
        for leaf in leaves:
            columns = jnp.eye(size, dtype=leaf.dtype)[:, start : start + leaf.size]
            unit.append(columns.reshape(size, *leaf.shape))
            start += leaf.size
        images = jax.vmap(self.mv)(jax.tree.unflatten(treedef, unit))
        return jnp.concatenate([image.reshape(size, -1) for image in jax.tree.leaves(images)], axis=1).T


@lx.linearise.register(SymmetricOperator)
@lx.conj.register(SymmetricOperator)
def _(operator):
    return operator


@lx.materialise.register(SymmetricOperator)
def _(operator):
    basis = jax.jacfwd(operator.mv)(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), operator.in_structure()))
    return lx.PyTreeLinearOperator(basis, operator.out_structure(), lx.positive_semidefinite_tag)


@lx.diagonal.register(SymmetricOperator)
def _(operator):
    return jnp.diag(operator.as_matrix())


@lx.tridiagonal.register(SymmetricOperator)
def _(operator):
    matrix = operator.as_matrix()
    return jnp.diag(matrix), jnp.diag(matrix, -1), jnp.diag(matrix, 1)


@lx.is_symmetric.register(SymmetricOperator)
@lx.is_positive_semidefinite.register(SymmetricOperator)
def _(operator):
    return True


@lx.is_diagonal.register(SymmetricOperator)
@lx.is_tridiagonal.register(SymmetricOperator)
@lx.has_unit_diagonal.register(SymmetricOperator)
@lx.is_lower_triangular.register(SymmetricOperator)
@lx.is_upper_triangular.register(SymmetricOperator)
@lx.is_negative_semidefinite.register(SymmetricOperator)
def _(operator):
    return False
