"""Truncated Taylor series in several variables, and their algebra."""

import operator
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from .indices import Index, factorial, ordered, products


class Series:
    """A Taylor polynomial $\\sum_a u_a s^a$ with arrays of one shape as coefficients, $u_a = \\partial^a u / a!$.

    Coefficients that are zero by the structure of a computation are absent; that of the value never is.
    """

    def __init__(self, indices: Sequence[Index], parts: Sequence[jax.Array]):
        self.indices = tuple(indices)
        self.parts = list(parts)

    @classmethod
    def of(cls, coefficients: Mapping[Index, jax.Array]) -> "Series":
        """From coefficients by multi-index."""
        indices = ordered(coefficients)
        return cls(indices, [coefficients[a] for a in indices])

    @property
    def value(self) -> jax.Array:
        """The coefficient of the multi-index zero."""
        return self.parts[0]

    def items(self):
        """Pairs of a multi-index and its coefficient."""
        return zip(self.indices, self.parts)

    def coefficient(self, index: Index) -> jax.Array:
        """One coefficient, zeros where it is absent."""
        if index in self.indices:
            return self.parts[self.indices.index(index)]
        return jnp.zeros_like(self.value)

    def derivative(self, index: Index) -> jax.Array:
        """One derivative, zeros where it is absent."""
        return self.coefficient(index) * factorial(index)

    def map(self, function: Callable[[jax.Array], jax.Array]) -> "Series":
        """A linear function of each coefficient."""
        return Series(self.indices, [function(part) for part in self.parts])


def variable(value: jax.Array, index: Index) -> Series:
    """A coordinate: its value, and one along its own direction."""
    return Series((tuple(0 for _ in index), index), [value, jnp.ones_like(value)])


def multiply(u: Series, v: Series, kept: tuple[Index, ...], times: Callable = operator.mul) -> Series:
    """The Cauchy product, truncated to the kept multi-indices; `times` is any bilinear function."""
    symmetric = u is v and times is operator.mul
    total = {}
    for a, pairs in products(u.indices, v.indices, kept):
        if symmetric:
            twice = [u.parts[i] * u.parts[j] for i, j in pairs if i < j]
            once = [u.parts[i] * u.parts[i] for i, j in pairs if i == j]
            terms = [2 * add_up(twice), *once] if twice else once
        else:
            terms = [times(u.parts[i], v.parts[j]) for i, j in pairs]
        total[a] = add_up(terms)
    return Series.of(total)


def divide(u: Series, v: Series, kept: tuple[Index, ...]) -> Series:
    """The truncated quotient $q = u / v$, from $v_0 q_a = u_a - \\sum_{b \\neq 0} v_b q_{a-b}$."""
    numerator, quotient, v0 = dict(u.items()), {}, v.value
    for a in kept:
        terms = [] if a not in numerator else [numerator[a]]
        for b, part in v.items():
            rest = tuple(m - n for m, n in zip(a, b))
            if any(b) and rest in quotient:
                terms.append(-part * quotient[rest])
        if terms:
            quotient[a] = add_up(terms) / v0
    return Series.of(quotient)


def compose(coefficients: Sequence[jax.Array], u: Series, kept: tuple[Index, ...]) -> Series:
    """A function of a series, from the function's own Taylor coefficients at the value of the series.

    $f(u) = \\sum_k c_k (u - u_0)^k$, which is Faa di Bruno's formula: powers of what has no value begin at order $k$.
    """
    terms: dict[Index, list[jax.Array]] = {u.indices[0]: [coefficients[0]]}
    rest = Series(u.indices[1:], u.parts[1:])
    power = rest
    for k, coefficient in enumerate(coefficients[1:], 1):
        if k == 2:
            power = multiply(rest, rest, kept)
        elif k > 2:
            power = multiply(power, rest, kept)
        if not power.indices:
            break
        for a, part in power.items():
            terms.setdefault(a, []).append(coefficient * part)
    return Series.of({a: add_up(parts) for a, parts in terms.items()})


def reachable(series: Sequence[Series], kept: tuple[Index, ...]) -> tuple[Index, ...]:
    """The kept multi-indices that a function of some series may have: those along the coordinates they depend on."""
    axes = {i for u in series for a in u.indices for i, n in enumerate(a) if n}
    return tuple(a for a in kept if all(i in axes for i, n in enumerate(a) if n))


def add_up(terms: Sequence[jax.Array]) -> jax.Array:
    """Sum of one or more arrays."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
