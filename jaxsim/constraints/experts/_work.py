"""What experts solve, alone or with others: rows of each as small dense arrays."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...optimize import OnFailure, Rows, Solved, least_squares
from ...spaces import Coefficients, check_functions, coefficients_of, like_of
from ...taylor import unit
from ..layers.features import Features, features
from .partition import Partition
from .piecewise import Member, Team

Named = dict[str, jax.Array]


class Noted(eqx.Module):
    """A block of rows of one expert, without its function: what was noted of the dictionary, and the samples."""

    functions: list[Coefficients]
    offset: list[Coefficients]
    samples: Any
    scales: jax.Array


class Held(eqx.Module):
    """Rows that hold the field to values at points, $c_s \\big(\\sum_i w_i \\Phi_{s i} - v_s\\big)$.

    - `functions`: $\\Phi$, `(n, N, *components)`.
    - `target`: $v$, `(n, *components)`.
    - `scale`: $c$, a number.
    """

    functions: jax.Array
    target: jax.Array
    scale: jax.Array

    def rows(self, weights: jax.Array) -> jax.Array:
        """Shape `(n, *components)`."""
        return self.scale * (sums(self.functions, weights) - self.target)

    def jacobian(self) -> jax.Array:
        """Shape `(n, *components, N)`."""
        return self.scale * jnp.moveaxis(self.functions, 1, -1)


class Work(eqx.Module):
    """What all experts do, whatever couples them."""

    team: Team | None
    partition: Partition
    blocks: Callable[[Any, Any], Mapping[str, Rows]]
    local: bool = eqx.field(static=True)
    offset: Callable | None
    ridge: jax.Array | None
    method: Any
    adjoint: Any
    on_failure: OnFailure = eqx.field(static=True)
    later: jax.Array | float = 0.0  # by how much the partition is moved in time

    @property
    def size(self) -> int:
        """$N$, the number of functions."""
        functions = self.team.template().dictionary(self.local)
        shape = like_of(functions, [jnp.zeros(())] * self.partition.dimension).shape
        check_functions(shape)
        return shape[0]

    def beginning(self, guess: jax.Array | None) -> jax.Array:
        """Weights to begin with, `(K, N)`."""
        shape = (self.team.count, self.size)
        return jnp.zeros(shape, jnp.result_type(float)) if guess is None else jnp.broadcast_to(guess, shape)

    def noted(self, member: Member) -> dict[str, Noted]:
        """Everything that the blocks of an expert ask of its functions."""
        tables = {}
        for name, block in self.settled(member).items():
            table = features(member.dictionary(self.local), self.offset, block)
            tables[name] = Noted(table.functions, table.offset, block.samples, block.scales(block.weight.dtype))
        return jax.tree.map(_wide, tables)

    def settled(self, member: Member) -> dict[str, Rows]:
        """The blocks of an expert."""
        blocks = self.blocks(member.given, member.box)
        if not isinstance(blocks, Mapping) or not blocks:
            raise TypeError("Experts: `blocks(given, box)` returns a dict of jaxsim.optimize.Rows by name.")
        for name, block in blocks.items():
            if not isinstance(block, Rows):
                raise TypeError(f"Experts: block {name!r} is no jaxsim.optimize.Rows but {type(block).__name__}.")
        return {name: block.settled() for name, block in blocks.items()}

    def rows(self, member: Member, noted: dict[str, Noted], held: Mapping[str, Held], weights: jax.Array) -> Named:
        """The rows of one expert by name, and those of what it is held to."""
        found = {}
        for name, (table, scales) in self._tables(member, noted).items():
            values = table.values(weights)
            found[name] = values * scales.reshape(-1, *([1] * (values.ndim - 1)))
        found |= {name: rows.rows(weights) for name, rows in held.items()}
        return found if self.ridge is None else found | {"ridge": self.ridge * weights}

    def jacobian(self, member: Member, noted: dict[str, Noted], held: Mapping[str, Held], weights: jax.Array) -> Named:
        """Derivatives of `rows` in the weights, along a last axis."""
        found = {}
        for name, (table, scales) in self._tables(member, noted).items():
            matrix = table.jacobian(weights)
            found[name] = matrix * scales.reshape(-1, *([1] * (matrix.ndim - 1)))
        found |= {name: rows.jacobian() for name, rows in held.items()}
        ridge = lambda: {"ridge": self.ridge * jnp.eye(len(weights), dtype=weights.dtype)}
        return found if self.ridge is None else found | ridge()

    def alone(self, member: Member, guess: jax.Array, noted: dict[str, Noted], held: Mapping[str, Held]) -> Solved:
        """The weights of one expert, from its own rows and what it is held to."""
        rest = Member(None, member.given, member.box)
        rows = lambda weights, p: p[0].rows(*p[1:], weights)
        jacobian = lambda weights, p: p[0].jacobian(*p[1:], weights)
        return least_squares(rows, guess, (self.without_team(), rest, noted, held), method=self.method,
                             adjoint=self.adjoint, on_failure=self.on_failure, jacobian=jacobian)  # fmt: skip

    def without_team(self) -> "Work":
        """The rest, as a parameter."""
        return dataclasses.replace(self, team=None)

    def at_faces(self, index: np.ndarray, points: jax.Array | np.ndarray, axis: int | None = None) -> list[jax.Array]:
        """The functions of some experts at points of theirs `(F, P, d)`, and their derivative along an axis.

        **Returns:** arrays of shape `(F, P, N, *components)`.
        """
        dimension = self.partition.dimension
        indices = [(0,) * dimension] + ([] if axis is None else [unit(axis, dimension)])

        def at(member, places):
            functions = member.dictionary(self.local)

            def one(place):
                found = coefficients_of(functions, tuple(place), indices)
                return [found.get(a, jnp.zeros_like(found[indices[0]])) for a in indices]

            return jax.vmap(one)(places)

        points = jnp.asarray(points)
        points = points.at[..., 0].add(self.later)
        return jax.tree.map(_wide, self.team.take(index).map(at, points))

    def _tables(self, member, noted):
        settled = self.settled(member)
        block = lambda name: Rows(settled[name].function, noted[name].samples)
        return {name: (Features(block(name), n.functions, n.offset), n.scales) for name, n in noted.items()}


def sums(functions: jax.Array, weights: jax.Array) -> jax.Array:
    """Sums of functions `(n, N, *components)` with weights `(N,)`."""
    return jnp.einsum("sn...,n->s...", functions, weights, precision=jax.lax.Precision.HIGHEST)


def _wide(leaf: Any) -> Any:
    """Real numbers in the highest precision that is enabled: the condition number is often large."""
    return leaf.astype(jnp.result_type(float)) if eqx.is_inexact_array(leaf) else leaf
