"""Fields made of one dictionary for each box of a partition."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import AxisType, NamedSharding

from ...integrate import ensemble
from ...spaces import AbstractLeaf, Coefficients, Expansion, coefficients_of, like_of
from ...taylor import Index
from .partition import Partition, Region


class PerExpert(eqx.Module):
    """Marks functions, or what is given, as having one for each expert: all arrays in it have a leading axis $K$.

    !!! example

        ```python
        networks = eqx.filter_vmap(lambda key: MLP(2, 16, 20, 2, key=key))(jax.random.split(key, 4))
        experts(PerExpert(networks), u0)
        ```
    """

    tree: Any


class Local(AbstractLeaf):
    """Functions of the unit box seen from another one, $b\\big((t - a_0) / h_0, (x - a_1) / h_1, \\dots\\big)$."""

    functions: Callable
    lower: jax.Array
    upper: jax.Array

    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        inner, lengths = self._inner(point)
        parts = coefficients_of(self.functions, inner, indices)
        return {a: part / math.prod(h**n for h, n in zip(lengths, a)) for a, part in parts.items()}

    def like(self, point: Sequence[jax.Array]) -> jax.ShapeDtypeStruct:
        return like_of(self.functions, self._inner(point)[0])

    def _inner(self, point):
        point = [jnp.asarray(x, jnp.result_type(float, x)) for x in point]
        ends = [(a.astype(x.dtype), b.astype(x.dtype)) for x, a, b in zip(point, self.lower, self.upper)]
        return [(x - a) / (b - a) for x, (a, b) in zip(point, ends)], [b - a for a, b in ends]


class Member(eqx.Module):
    """What one expert works with; with `axes` of `Team`, all of them."""

    functions: Any
    given: Any
    box: Region

    def dictionary(self, local: bool) -> Callable:
        """The functions, as functions of time and place."""
        return Local(self.functions, self.box.lower, self.box.upper) if local else self.functions


class Team(eqx.Module):
    """The members of a partition; arrays of what is marked as `PerExpert`, and of the boxes, have a leading axis."""

    members: Member
    each: tuple[bool, bool] = eqx.field(static=True)
    mesh: jax.sharding.Mesh | None = eqx.field(static=True, default=None)

    @classmethod
    def of(cls, functions: Any, given: Any, regions: Region, mesh: jax.sharding.Mesh | None) -> "Team":
        """Of functions and of what is given, for all or `PerExpert`."""
        each = (isinstance(functions, PerExpert), isinstance(given, PerExpert))
        count = len(regions.index)
        for name, tree, own in (("functions", functions, each[0]), ("given", given, each[1])):
            shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]
            if own and any(shape[:1] != (count,) for shape in shapes):
                raise ValueError(f"PerExpert: every array of `{name}` has a leading axis of {count} experts; got "
                                 f"shapes {shapes}.")  # fmt: skip
        functions, given = (tree.tree if own else tree for tree, own in zip((functions, given), each))
        if mesh is not None and count % mesh.size:
            raise ValueError(f"{count} experts cannot be cut over {mesh.size} devices: let the number of experts be a "
                             "multiple.")  # fmt: skip
        return cls(Member(functions, given, regions), each, mesh)

    def of_functions(self) -> "Team":
        """The same members without what they are given."""
        return Team(Member(self.members.functions, None, self.members.box), (self.each[0], False), self.mesh)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.members.box.index)

    @property
    def axes(self) -> Member:
        """As the members, with 0 for what has a leading axis."""
        return Member(*(eqx.if_array(0) if own else None for own in self.each), eqx.if_array(0))

    def take(self, index: Any) -> "Team":
        """Some members, by an array of numbers, or a single one, by a number."""
        return self._with(lambda leaf: whole(leaf)[index])

    def template(self) -> Member:
        """A member whose own arrays are zeros, for shapes."""
        return self._with(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype)).members

    def _with(self, pick: Callable) -> "Team":
        own, shared = eqx.partition(self.members, self._own)
        return Team(eqx.combine(jax.tree.map(pick, own), shared), self.each)

    @property
    def _own(self) -> Member:
        """A filter for arrays with a leading axis."""
        return Member(*(eqx.is_array if own else False for own in self.each), eqx.is_array)

    def without_functions(self) -> "Team":
        """The same members, for what does not ask their functions any more."""
        return Team(Member(None, self.members.given, self.members.box), (False, self.each[1]), self.mesh)

    def map(self, function: Callable, *arrays: Any) -> Any:
        """`function(member, *parts)` for every member and its part of arrays with a leading axis, by `jax.vmap`, or
        where there is a mesh by `js.ensemble`, for which no device waits for another."""
        if self.mesh is not None:
            own, shared = eqx.partition(self.members, self._own)
            return ensemble(lambda own, *arrays: function(eqx.combine(own, shared), *arrays), self.mesh)(own, *arrays)
        axes = (self.axes, *(eqx.if_array(0) for _ in arrays))
        return eqx.filter_vmap(lambda member, *parts: function(member, *parts), in_axes=axes)(self.members, *arrays)


class Piecewise(AbstractLeaf):
    """A callable `(t, x, ...)` that asks the expert in whose box a point lies.

    - `team`: the experts and their functions.
    - `weights`: shape `(K, N)`.
    - `partition`: of time and space.
    - `local`: whether functions see coordinates of the unit box.
    - `offset`: what the field is where all weights are zero, a callable of `(t, x, ...)`.

    It has one value everywhere. Where boxes meet, derivatives are those of the upper one.
    """

    team: Team
    weights: jax.Array
    partition: Partition
    local: bool = eqx.field(static=True)
    offset: Callable | None = None

    def expert(self, index: int | jax.Array) -> Expansion:
        """The field of one expert, callable anywhere."""
        return self._expansion(self.team.take(index).members, whole(self.weights)[index])

    def each(self, function: Callable, *arrays: Any) -> Any:
        """`function(u, box, *parts)` for the field and the `Region` of every expert, and its part of arrays with a
        leading axis $K$; where experts are cut over devices, so is this."""
        whole = lambda member, weights, *parts: function(self._expansion(member, weights), member.box, *parts)
        return self.team.map(whole, self.weights, *arrays)

    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        return coefficients_of(self.expert(self.partition.locate(point)), point, indices)

    def like(self, point: Sequence[jax.Array]) -> jax.ShapeDtypeStruct:
        return self._expansion(self.team.template(), jnp.zeros(self.weights.shape[1:], self.weights.dtype)).like(point)

    def _expansion(self, member, weights):
        return Expansion(member.dictionary(self.local), weights, self.offset)


def whole(array: jax.Array) -> jax.Array:
    """An array that may be indexed anywhere: one whose type says that it is cut over devices is copied to all."""
    mesh = jax.typeof(array).sharding.mesh
    if AxisType.Explicit not in mesh.axis_types:
        return array
    return jax.reshard(array, NamedSharding(mesh, jax.P()))
