"""States and tangent vectors as plain real vectors, in which lengths and angles mean something."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..spaces import Fourier, Space


class RealForm(eqx.Module):
    """The passage between states of an integrator and vectors of real coordinates.

    Real arrays are their own coordinates. Modes of a real Fourier field are half of a spectrum, some of them
    conjugates of each other: their coordinates are the nodal values, whose dot product is that of the fields by
    Parseval's identity. Other complex arrays count as pairs of a real and an imaginary part.

    **Arguments:**

    - `spaces`: a space or a pytree of them, of which the state is a pytree of arrays; `None` for bare arrays.
    - `like`: a state with the shapes and types to come.
    """

    spaces: Any
    like: Any

    def __check_init__(self):
        if not all(jnp.issubdtype(jnp.result_type(a), jnp.inexact) for a in jax.tree.leaves(self.like)):
            raise TypeError("a state whose tangent vectors are wanted holds real or complex numbers, and no integers.")

    @property
    def dimension(self) -> int:
        """Number of dimensions of the state space over the real numbers."""
        return sum(jax.tree.leaves(self._parts(_real_size, self.like)))

    def coordinates(self, tangent: Any) -> jax.Array:
        """A tangent vector as one real vector, shape `(size,)`; linear over the real numbers."""
        return ravel_pytree(self._parts(_spread, tangent))[0]

    def tangent(self, coordinates: jax.Array) -> Any:
        """The tangent vector of real coordinates; what the state cannot hold, as a Nyquist mode, is dropped."""
        shapes = jax.eval_shape(lambda y: self._parts(_spread, y), self.like)
        _, unravel = ravel_pytree(jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes))
        parts = unravel(coordinates)
        if self.spaces is None:
            return jax.tree.map(lambda part, a: _gathered(None, part, a), parts, self.like)
        return jax.tree.map(_gathered, self.spaces, parts, self.like, is_leaf=_is_space)

    @property
    def size(self) -> int:
        """Length of the vectors of coordinates; at least `dimension`."""
        return jax.eval_shape(self.coordinates, self.like).shape[0]

    def _parts(self, function, y):
        if self.spaces is None:
            return jax.tree.map(lambda a: function(None, a), y)
        return jax.tree.map(function, self.spaces, y, is_leaf=_is_space)


def _real_size(space: Space | None, part: Any) -> int:
    if isinstance(space, Fourier) and space.real:
        components = part.shape[: part.ndim - space.dimension]
        return math.prod(components) * math.prod(2 * cutoff + 1 for cutoff in space.cutoffs)
    return sum(2 * a.size if jnp.iscomplexobj(a) else a.size for a in jax.tree.leaves(part))


def _spread(space: Space | None, part: Any) -> Any:
    if isinstance(space, Fourier) and space.real:
        return space.values(space.bind(part))
    return jax.tree.map(lambda a: jnp.stack([a.real, a.imag]) if jnp.iscomplexobj(a) else a, part)


def _gathered(space: Space | None, spread: Any, like: Any) -> Any:
    if isinstance(space, Fourier) and space.real:
        return space.state(space.field(spread))
    return jax.tree.map(lambda s, a: jax.lax.complex(s[0], s[1]) if jnp.iscomplexobj(a) else s, spread, like)


def _is_space(node) -> bool:
    return isinstance(node, Space)
