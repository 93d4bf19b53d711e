"""Fields that satisfy conditions on curved boundaries by construction."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...geometry import quotient
from ...optimize import Frozen
from ._derivatives import as_float
from ._sides import Condition
from .distances import gradient
from .initial import FromInitial


class Piece(eqx.Module):
    """A piece of a boundary by its distance, and what holds there."""

    distance: Frozen
    condition: Condition

    @property
    def power(self) -> int:
        """How fast what is added must vanish there for the condition to stand."""
        return 1 if self.condition.on_value else 2


class OnBoundary(eqx.Module):
    """A field held to conditions on pieces of a boundary that are known by their distances $d_i$.

    On each piece a field $u_i$ satisfies the condition $a u + b\\,\\partial u / \\partial n = g$ with the outward
    normal: $u_i = g / a$ where $b = 0$, and otherwise $u_i = N + d\\,((a N - g) / b - \\nabla d \\cdot \\nabla N)$.
    They are put together with what the conditions leave free,

    $$u = \\sum_i w_i u_i + M \\prod_i d_i^{\\mu_i}, \\qquad
    w_i = \\frac{\\prod_{j \\ne i} d_j^{\\mu_j}}{\\sum_k \\prod_{j \\ne k} d_j^{\\mu_j}},$$

    with $\\mu = 1$ for values and 2 for derivatives.

    **Arguments:**

    - `network`: $N$, a callable of `(t, x, ...)`.
    - `pieces`: pairs of a distance and a condition, `[(Inside(ball), js.Dirichlet(0.0))]`. Distances are callables of
        `(x, ...)`, see `Inside`, `Plane`, `Segment`, `Both`, ...; conditions are `js.Dirichlet`, `js.Neumann` and
        `js.Robin`, whose values are numbers or callables `(t, x, ...)` that are defined in the domain, too. Neither
        distances nor numbers are trained.
    - `interior`: $M$; the network itself by default.

    Initial values go around it, `FromInitial(OnBoundary(network, pieces), u0)` with zeros in the conditions and $u_0$
    that meets those with their values; a `Lift` such as $u_0(x) + g(t, x) - g(t_0, x)$ where values change in time.

    **Where not to put points.** Derivatives of distances grow without bound towards points where pieces meet: the
    second ones, which a Laplacian asks for, like one over the distance from a corner or an end of a segment. Keep
    collocation points a little away from them, and from kinks of a distance itself (centers of balls). Where several
    pieces with conditions of their own meet, weights are 0/0; the field there is the mean of what the pieces ask for,
    without the derivatives of the weights. On boxes use `OnBox`, which has no such points.

    Reference: Sukumar and Srivastava, Exact imposition of boundary conditions with distance functions in
    physics-informed deep neural networks, Comput. Methods Appl. Mech. Eng. 389, 114333 (2022), section 4.
    """

    network: Callable
    pieces: tuple[Piece, ...]
    interior: Callable | None

    def __init__(self, network: Callable, pieces: Sequence[tuple[Callable, Any]], interior: Callable | None = None):
        if not pieces or not all(isinstance(p, (tuple, list)) and len(p) == 2 and callable(p[0]) for p in pieces):
            raise TypeError("OnBoundary: `pieces` are pairs of a distance and a condition, as in "
                            "[(Inside(ball), js.Dirichlet(0.0))].")  # fmt: skip
        if isinstance(network, FromInitial):
            raise ValueError("OnBoundary: it would change initial values. Write FromInitial(OnBoundary(...), ...) with "
                             "zeros in the conditions.")  # fmt: skip
        self.network = network
        self.pieces = tuple(Piece(Frozen(d), Condition.of(condition, "OnBoundary")) for d, condition in pieces)
        self.interior = interior

    @property
    def has_values(self) -> bool:
        """Whether a right-hand side is not known to be zero."""
        return any(piece.condition.value is not None for piece in self.pieces)

    def __call__(self, t, *x) -> jax.Array:
        x = tuple(as_float(value) for value in x)
        value = jnp.asarray(self.network(t, *x))
        free = value if self.interior is None else jnp.asarray(self.interior(t, *x))
        if free.shape != value.shape:
            raise ValueError(f"OnBoundary: `interior` has shape {free.shape}, `network` {value.shape}.")
        distances = [piece.distance(*x) for piece in self.pieces]
        powers = [d**piece.power for d, piece in zip(distances, self.pieces)]
        others = [_product(powers[:i] + powers[i + 1 :], x) for i in range(len(powers))]
        held = [self._on_piece(piece, d, value, t, x) for piece, d in zip(self.pieces, distances)]
        if len(held) > 1:
            total = sum(others)
            meeting = [jnp.where(d == 0, 1.0, 0.0) for d in distances]
            shares = [quotient(other, total, at / sum(meeting)) for other, at in zip(others, meeting)]
            held = [share * u for share, u in zip(shares, held)]
        return sum(held[1:], held[0]) + _product(powers, x) * free

    def _on_piece(self, piece, distance, value, t, x):
        a, b = piece.condition.numbers(value)
        wanted = piece.condition.wanted(value, t, *x)
        if piece.condition.on_value:
            return wanted / a
        normal = tuple(gradient(piece.distance, x))
        inward = jax.jvp(lambda *x: jnp.asarray(self.network(t, *x)), x, normal)[1]
        return value + distance * ((a * value - wanted) / b - inward)


def _product(factors, x):
    total = jnp.ones_like(x[0])
    for factor in factors:
        total = total * factor
    return total
