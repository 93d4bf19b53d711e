"""Expressions over callables, and their evaluation: each callable once, for just the derivatives that are asked of it.

Every node of an expression is evaluated as a Taylor series. What is asked of a node comes from those above it: a
derivative asks its operand for the derivatives one order up, a linear function asks for what is asked of it, and the
product and chain rules ask for all smaller derivatives too.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..taylor import Index, Series, closure, factorial, ordered, plus, propagate, taylor, unit

Wanted = dict[int, set]
Coefficients = dict[Index, jax.Array]


class AbstractLeaf(eqx.Module):
    """A callable `(t, x, ...)` that finds its own Taylor coefficients."""

    @abc.abstractmethod
    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        """Derivatives over factorials at a point, by multi-index; what is zero everywhere may be absent."""

    @abc.abstractmethod
    def like(self, point: Sequence[jax.Array]) -> jax.ShapeDtypeStruct:
        """Shape and type of the value, without evaluating it."""

    def __call__(self, *point) -> jax.Array:
        dtype, zero = jnp.result_type(float, *point), (0,) * len(point)
        return coefficients_of(self, [jnp.asarray(x, dtype) for x in point], [zero])[zero]


class Apply(eqx.Module):
    """A function of the values of other nodes; linear in all of them together, or not."""

    function: Callable
    children: tuple
    linear: bool = eqx.field(static=True, default=False)

    def __call__(self, *point):
        return evaluate([self], point)[0]


class Derivative(eqx.Module):
    """A derivative along one argument; 0 is time, negative ones count from the last."""

    child: Callable
    argument: int = eqx.field(static=True)
    order: int = eqx.field(static=True)

    def __call__(self, *point):
        return evaluate([self], point)[0]

    def index(self, count: int) -> tuple[int, ...]:
        """The multi-index among `count` arguments."""
        if self.argument != 0:  # an axis of space: how many there are is known here at the latest
            check_axis(self.argument - (self.argument > 0), count - 1)
        return unit(self.argument % count, count, self.order)


def check_axis(axis: int, dimension: int) -> None:
    """Raise where a spatial axis does not exist."""
    if not -dimension <= axis < dimension:
        raise ValueError(f"axis {axis} does not exist: this function has {dimension} spatial axes.")


def evaluate(roots: Sequence[Callable], point: Sequence) -> list[jax.Array]:
    """The values of expressions at one point; callables that they share are evaluated once for all of them."""
    point = [jnp.asarray(x) for x in point]
    nodes = _children_first(roots)
    wanted = _wanted(nodes, roots, len(point))
    found: dict[int, Any] = {}
    for node in nodes:
        indices = ordered(wanted[id(node)])
        if isinstance(node, Derivative):
            found[id(node)] = _differentiate(found[id(node.child)], node.index(len(point)), indices)
        elif isinstance(node, Apply):
            found[id(node)] = _apply(node, [found[id(child)] for child in node.children], indices)
        else:
            found[id(node)] = _leaf(node, point, indices)
    zero = (0,) * len(point)
    return [found[id(root)].coefficient(zero) for root in roots]


def shape_of(node: Callable, point: Sequence) -> jax.ShapeDtypeStruct:
    """Shape and type of the value, without evaluating a derivative."""
    found: dict[int, jax.ShapeDtypeStruct] = {}
    for n in _children_first([node]):
        if isinstance(n, Derivative):
            n.index(len(point))
            found[id(n)] = found[id(n.child)]
        elif isinstance(n, Apply):
            found[id(n)] = eqx.filter_eval_shape(n.function, *(found[id(child)] for child in n.children))
        else:
            found[id(n)] = like_of(n, point)
    return found[id(node)]


def like_of(leaf: Callable, point: Sequence) -> jax.ShapeDtypeStruct:
    """Shape and type of the value of a callable of the coordinates."""
    if isinstance(leaf, AbstractLeaf):
        return leaf.like(point)
    return eqx.filter_eval_shape(lambda *x: jnp.asarray(leaf(*x)), *point)


def coefficients_of(leaf: Callable, point: Sequence, indices: Sequence[Index]) -> Coefficients:
    """The Taylor coefficients of a callable of the coordinates, by multi-index, that of zero among them."""
    zero = (0,) * len(point)
    if isinstance(leaf, AbstractLeaf):
        found = leaf.coefficients(point, indices)
    elif not any(map(any, indices)):
        found = {zero: jnp.asarray(leaf(*point))}
    else:
        found = dict(taylor(leaf, point, indices).items())
    if zero in found:
        return found
    like = like_of(leaf, point)
    return {zero: jnp.zeros(like.shape, like.dtype)} | found


class _Terms:
    """The Taylor coefficients that were asked of a node; those that are zero by structure are absent."""

    def __init__(self, like, coefficients: dict):
        self.like, self.coefficients = like, coefficients

    def coefficient(self, index) -> jax.Array:
        if index in self.coefficients:
            return self.coefficients[index]
        return jnp.zeros(jnp.shape(self.like), jnp.result_type(self.like))


def _leaf(leaf: Callable, point, indices) -> _Terms:
    found = coefficients_of(leaf, point, indices)
    return _Terms(found[(0,) * len(point)], {a: part for a, part in found.items() if a in indices})


def _differentiate(child: _Terms, index, indices) -> _Terms:
    coefficients = {}
    for a in indices:
        above = plus(a, index)
        if above in child.coefficients:
            coefficients[a] = child.coefficients[above] * (factorial(above) // factorial(a))
    return _Terms(child.like, coefficients)


def _apply(node: Apply, children: list[_Terms], indices) -> _Terms:
    zero = (0,) * len(indices[0])
    if node.linear or indices == (zero,):
        there = [a for a in indices if not any(a) or any(a in child.coefficients for child in children)]
        terms = {a: node.function(*(child.coefficient(a) for child in children)) for a in there}
        if terms:
            return _Terms(terms[there[0]], terms)
        return _Terms(eqx.filter_eval_shape(node.function, *(child.like for child in children)), terms)
    inputs = [Series.of({zero: child.coefficient(zero)} | child.coefficients) for child in children]
    series = propagate(node.function, [u if len(u.indices) > 1 else u.value for u in inputs], indices)
    return _Terms(series.value, {a: part for a, part in series.items() if a in indices})


def _wanted(nodes: list, roots, count: int) -> Wanted:
    """The multi-indices that are asked of each node."""
    wanted: Wanted = {id(node): set() for node in nodes}
    for root in roots:
        wanted[id(root)].add((0,) * count)
    for node in reversed(nodes):
        mine = wanted[id(node)]
        if isinstance(node, Derivative):
            index = node.index(count)
            wanted[id(node.child)] |= {plus(a, index) for a in mine}
        elif isinstance(node, Apply):
            if not node.linear:
                mine |= set(closure(frozenset(mine)))
            for child in node.children:
                wanted[id(child)] |= mine
    return wanted


def _children_first(roots) -> list:
    """All nodes below some roots, each once, after everything below it."""
    nodes, met = [], set()
    waiting = [(root, False) for root in reversed(roots)]
    while waiting:
        node, done = waiting.pop()
        if done:
            nodes.append(node)
        elif id(node) not in met:
            met.add(id(node))
            waiting.append((node, True))
            waiting += [(child, False) for child in reversed(_below(node))]
    return nodes


def _below(node) -> tuple:
    if isinstance(node, Apply):
        return node.children
    return (node.child,) if isinstance(node, Derivative) else ()
