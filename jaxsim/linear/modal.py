"""Operators that act mode by mode: one number per mode, or one small matrix where components are coupled."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Amplitudes = Any  # a pytree of arrays (*components, *modes)


class ModalOperator(eqx.Module):
    """A linear operator in a basis that makes it (block) diagonal.

    Holds NumPy float64/complex128 arrays while everything that it is made of is known, and jax arrays otherwise;
    sums, multiples and products stay in the family, and `rounded` turns the result into jax arrays once.
    """

    @abc.abstractmethod
    def mv(self, amplitudes: Amplitudes) -> Amplitudes:
        """The operator applied to modal amplitudes."""

    @abc.abstractmethod
    def functions(self, scalar: Callable, matrix: Callable) -> "list[ModalOperator]":
        """Functions of the operator: `scalar(z)` gives a list for numbers, `matrix(a)` for arrays `(..., m, m)`."""

    @abc.abstractmethod
    def combine(self, function: Callable, *others: "ModalOperator") -> "ModalOperator":
        """A function that acts entry by entry on operators of one kind."""

    @abc.abstractmethod
    def inverse(self) -> "ModalOperator":
        """The inverse, mode by mode."""

    @abc.abstractmethod
    def identity(self) -> "ModalOperator":
        """The identity of the same kind."""

    @abc.abstractmethod
    def __matmul__(self, other): ...

    def __add__(self, other):
        return self.combine(lambda a, b: a + b, other)

    def __sub__(self, other):
        return self.combine(lambda a, b: a - b, other)

    def __mul__(self, factor):
        return self.combine(lambda a: a * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor):
        return self.combine(lambda a: a / divisor)

    def __neg__(self):
        return self.combine(lambda a: -a)

    def rounded(self, dtype) -> "ModalOperator":
        """As jax arrays in the precision of `dtype`, real where the operator is."""

        def cast(a):
            precision = jnp.finfo(dtype).dtype
            if jnp.iscomplexobj(a):
                return jnp.asarray(a, jnp.result_type(precision, jnp.complex64))
            return jnp.asarray(a, precision)

        return self.combine(cast)


class Diagonal(ModalOperator):
    """One number per mode: a pytree of arrays that broadcast against the amplitudes."""

    entries: Any

    def mv(self, amplitudes: Amplitudes) -> Amplitudes:
        return jax.tree.map(_times, self.entries, amplitudes)

    def functions(self, scalar: Callable, matrix: Callable) -> list[ModalOperator]:
        leaves, structure = jax.tree.flatten(self.entries)
        columns = zip(*(scalar(leaf) for leaf in leaves), strict=True)
        return [Diagonal(jax.tree.unflatten(structure, column)) for column in columns]

    def combine(self, function: Callable, *others: ModalOperator) -> ModalOperator:
        return Diagonal(jax.tree.map(function, self.entries, *(other.entries for other in others)))

    def inverse(self) -> ModalOperator:
        return self.combine(lambda a: 1 / a)

    def identity(self) -> ModalOperator:
        return self.combine(lambda a: a * 0 + 1)

    def __matmul__(self, other: ModalOperator) -> ModalOperator:
        return self.combine(lambda a, b: a * b, other)


class Blocks(ModalOperator):
    """A small matrix per mode, for coupled components: `matrices` of shape `(*modes, m, m)`.

    The `m` components are those of all leaves of the amplitudes, in the order of `jax.tree.leaves`.
    """

    matrices: Any

    def mv(self, amplitudes: Amplitudes) -> Amplitudes:
        leaves, structure = jax.tree.flatten(amplitudes)
        dimension = self.matrices.ndim - 2
        components = [leaf.shape[: leaf.ndim - dimension] for leaf in leaves]
        flat = [a for leaf in leaves for a in leaf.reshape(-1, *leaf.shape[leaf.ndim - dimension :])]
        rows = [
            sum((_times(self.matrices[..., i, j], a) for j, a in enumerate(flat[1:], 1)),
                _times(self.matrices[..., i, 0], flat[0]))
            for i in range(len(flat))
        ]  # fmt: skip
        out = []
        for shape in components:
            count = int(np.prod(shape))
            out.append(jnp.stack(rows[:count]).reshape(*shape, *rows[0].shape))
            rows = rows[count:]
        return jax.tree.unflatten(structure, out)

    def functions(self, scalar: Callable, matrix: Callable) -> list[ModalOperator]:
        return [Blocks(m) for m in matrix(self.matrices)]

    def combine(self, function: Callable, *others: ModalOperator) -> ModalOperator:
        return Blocks(function(self.matrices, *(other.matrices for other in others)))

    def inverse(self) -> ModalOperator:
        linalg = np.linalg if isinstance(self.matrices, np.ndarray) else jnp.linalg
        return Blocks(linalg.inv(self.matrices))

    def identity(self) -> ModalOperator:
        return Blocks(self.matrices * 0 + np.eye(self.matrices.shape[-1]))

    def __matmul__(self, other: ModalOperator) -> ModalOperator:
        return Blocks(self.matrices @ other.matrices)


def _times(entry, amplitudes):
    """Product that spares the four real products of complex numbers where the entry is real."""
    if jnp.iscomplexobj(amplitudes) and not jnp.iscomplexobj(entry):
        return lax.complex(entry * jnp.real(amplitudes), entry * jnp.imag(amplitudes))
    return entry * amplitudes
