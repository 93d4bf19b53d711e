"""Multi-indices: which derivatives of a function are wanted, and which of them make up those of a product."""

import functools
import itertools
import math
from collections.abc import Iterable

Index = tuple[int, ...]


@functools.lru_cache(maxsize=512)
def closure(indices: frozenset[Index]) -> tuple[Index, ...]:
    """The least set that holds, with each multi-index, all smaller ones; sorted by total order, zero first.

    The coefficients of a product or of a composition on such a set follow from those of its parts on the same set.
    """
    below = {b for a in indices for b in itertools.product(*(range(n + 1) for n in a))}
    return ordered(below)


def ordered(indices: Iterable[Index]) -> tuple[Index, ...]:
    """Sorted by total order; of equal ones, derivatives along the first coordinate come first."""
    return tuple(sorted(indices, key=lambda a: (sum(a), tuple(-n for n in a))))


def unit(axis: int, count: int, order: int = 1) -> Index:
    """The multi-index of a derivative along one of `count` coordinates."""
    return tuple(order if i == axis else 0 for i in range(count))


def plus(a: Index, b: Index) -> Index:
    """Sum of multi-indices."""
    return tuple(m + n for m, n in zip(a, b))


def factorial(a: Index) -> int:
    """Product of the factorials, which makes a derivative of a Taylor coefficient."""
    return math.prod(math.factorial(n) for n in a)


@functools.lru_cache(maxsize=4096)
def products(left: tuple[Index, ...], right: tuple[Index, ...], kept: tuple[Index, ...]):
    """For each kept multi-index that a product reaches, the pairs of positions whose multi-indices add up to it."""
    where = {a: i for i, a in enumerate(kept)}
    pairs: dict[Index, list[tuple[int, int]]] = {}
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            total = plus(a, b)
            if total in where:
                pairs.setdefault(total, []).append((i, j))
    return tuple((a, tuple(pairs[a])) for a in sorted(pairs, key=where.__getitem__))
