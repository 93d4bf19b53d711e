"""Exponential Runge-Kutta solvers: the linear part exactly, the rest by quadrature.

For $u' = L u + N(t, u)$ a step of size $h$ is

$$U_i = e^{c_i h L} u_n + h \\sum_{j<i} a_{ij}(hL) N(t_n + c_j h, U_j), \\qquad
u_{n+1} = e^{h L} u_n + h \\sum_i b_i(hL) N(t_n + c_i h, U_i),$$

with weights made of $\\varphi_k$ functions (`jaxsim.integrate.phi`). The slope at the end of each step begins the next.

**The error estimate** is the difference to an embedded scheme of one order less. Up to order 3 that scheme uses slopes
that are there. At order 4 slopes at the start, the middle and the end of a step determine one rule of order 3 and no
second one, so an estimate made of them alone is blind to whatever depends on time only: to a force, a moving wall, the
rates of a second-order system. The schemes of order 4 therefore take one more slope at a node between, `PROBE`, when
steps adapt. The embedded scheme is the quadrature that is exact for quadratic polynomials through the start, that node
and the end:

$$\\hat u_{n+1} = e^{hL} u_n + h \\big(\\hat b_0 N_n + \\hat b_c N(t_n + ch, U_c)
+ \\hat b_1 N(t_{n+1}, u_{n+1})\\big).$$

For a slope that depends on time alone, and without a linear part, the estimate is $\\tfrac{2c - 1}{72} h^4 N^{(3)}$.
"""

import abc
import math
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..linear import ModalOperator
from .phi import matrix_phis, phis
from .semilinear import AbstractOneStepSolver, scaled_by
from .term import SemilinearTerm

Phi = Callable[[int, float], ModalOperator]


PROBE = 0.8  # any but 0, 1/2 and 1; the further from the middle, the larger the estimate


class Tableau(eqx.Module):
    """Weights of the stages `a`, of the end `b`, and of the error estimate. Weights that are zero are `None`.

    `error` combines the slopes of the stages, the slope at the end of the step and, where there is a `probe`, the slope
    at `PROBE`; `probe` are the weights of that stage on the slopes before it. `None` for schemes without an estimate.
    """

    a: tuple
    b: tuple
    error: tuple | None
    probe: tuple | None = None


class Weights(eqx.Module):
    """A tableau at one step size, with the step size multiplied in; `error` is `None` for steps that do not adapt."""

    generator: Any
    exponentials: tuple
    a: tuple
    b: tuple
    error: tuple | None
    probe: tuple | None


class AbstractExponentialRungeKutta(AbstractOneStepSolver):
    """Exponential Runge-Kutta: a subclass gives its nodes, and its tableau in terms of $\\varphi_k$."""

    nodes: eqx.AbstractClassVar[tuple[float, ...]]
    highest_phi: ClassVar[int] = 3

    @abc.abstractmethod
    def tableau(self, phi: Phi) -> Tableau:
        """The scheme; `phi(k, c)` is the operator $\\varphi_k(c h L)$."""

    def coefficients(self, term: SemilinearTerm, h, y) -> Weights:
        symbol = term.symbol(y)
        computed: dict[float, list[ModalOperator]] = {}

        def phi(k: int, c: float) -> ModalOperator:
            if c not in computed:
                scaled = symbol.combine(lambda z: scaled_by(c, h, z))
                computed[c] = scaled.functions(
                    lambda z: phis(self.highest_phi, z), lambda z: matrix_phis(self.highest_phi, z)
                )
            return computed[c][k]

        scheme = self.tableau(phi)
        dtype = jnp.result_type(*jax.tree.leaves(y))

        def scaled(operator):
            return None if operator is None else operator.combine(lambda w: scaled_by(1.0, h, w)).rounded(dtype)

        shared: dict[int, Any] = {}

        def once(operator):
            if id(operator) not in shared:
                shared[id(operator)] = scaled(operator)
            return shared[id(operator)]

        nodes = (*self.nodes, 1.0) if scheme.probe is None else (*self.nodes, 1.0, PROBE)
        return Weights(
            generator=scaled(symbol),
            exponentials=tuple(None if c == 0 else phi(0, c).rounded(dtype) for c in nodes),
            a=tuple(tuple(once(w) for w in row) for row in scheme.a),
            b=tuple(once(w) for w in scheme.b),
            error=None if scheme.error is None else tuple(once(w) for w in scheme.error),
            probe=None if scheme.probe is None else tuple(once(w) for w in scheme.probe),
        )

    def prepare(self, term: SemilinearTerm, h, y):
        prepared = super().prepare(term, h, y)
        return eqx.tree_at(lambda s: (s.weights.error, s.weights.probe), prepared, (None, None), is_leaf=_is_none)

    def advance(self, term: SemilinearTerm, weights: Weights, t0, t1, start, first):
        slopes, count = [first], len(self.nodes)
        for c, exponential, row in zip(self.nodes[1:], weights.exponentials[1:count], weights.a, strict=True):
            stage = combine(exponential, start, row, slopes)
            slopes.append(self.slope(term, t0 + c * (t1 - t0), stage))
        end, last = self.arrival(term, t1, combine(weights.exponentials[count], start, weights.b, slopes))
        if first is None or weights.error is None:
            return end, last, None
        slopes.append(last)
        if weights.probe is not None:
            stage = combine(weights.exponentials[-1], start, weights.probe, slopes)
            slopes.append(self.slope(term, t0 + PROBE * (t1 - t0), stage))
        return end, last, combine(None, None, weights.error, slopes)


def combine(operator: ModalOperator | None, start, weights, slopes):
    """`operator @ start + sum(weights @ slopes)`; `None` stands for nothing (and `operator` for the identity)."""
    terms = [] if start is None else [start if operator is None else operator.mv(start)]
    terms += [w.mv(n) for w, n in zip(weights, slopes, strict=False) if w is not None and n is not None]
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms)


class ETDRK1(AbstractExponentialRungeKutta):
    """Exponential Euler, order 1: $u_{n+1} = e^{hL} u_n + h \\varphi_1(hL) N_n$ (Cox and Matthews 2002, eq. 4).

    For fixed steps. Errors of first order add up to far more than a tolerance for one step.
    """

    nodes: ClassVar = (0.0,)
    weights: Weights | None = None

    def order(self, terms):
        return 1

    def tableau(self, phi: Phi) -> Tableau:
        return Tableau((), (phi(1, 1.0),), None)


class ETDRK2(AbstractExponentialRungeKutta):
    """Two stages, order 2 (Cox and Matthews 2002, J. Comput. Phys. 176, eq. 22)."""

    nodes: ClassVar = (0.0, 1.0)
    weights: Weights | None = None

    def order(self, terms):
        return 2

    def tableau(self, phi: Phi) -> Tableau:
        phi1, phi2 = phi(1, 1.0), phi(2, 1.0)
        return Tableau(((phi1,),), (phi1 - phi2, phi2), (-phi2, phi2, None))


class ETDRK3(AbstractExponentialRungeKutta):
    """Three stages, order 3 (Cox and Matthews 2002, eqs. 23-25)."""

    nodes: ClassVar = (0.0, 0.5, 1.0)
    weights: Weights | None = None

    def order(self, terms):
        return 3

    def tableau(self, phi: Phi) -> Tableau:
        phi1, phi2, phi3 = (phi(k, 1.0) for k in (1, 2, 3))
        b = (phi1 - 3 * phi2 + 4 * phi3, 4 * phi2 - 8 * phi3, 4 * phi3 - phi2)
        midpoint = (phi1 - 2 * phi2, 2 * phi2)
        error = (b[0] - midpoint[0], b[1] - midpoint[1], b[2], None)
        return Tableau(((0.5 * phi(1, 0.5),), (-phi1, 2 * phi1)), b, error)


class ETDRK4(AbstractExponentialRungeKutta):
    """Four stages, order 4 (Cox and Matthews 2002, eqs. 26-29). On stiff problems the order may fall to 2."""

    nodes: ClassVar = (0.0, 0.5, 0.5, 1.0)
    weights: Weights | None = None

    def order(self, terms):
        return 4

    def tableau(self, phi: Phi) -> Tableau:
        half = phi(1, 0.5)
        to_middle = 0.5 * half
        third = (0.5 * half @ (phi(0, 0.5) - half.identity()), None, half)
        b = _cox_matthews(phi)
        return _probed(phi, ((to_middle,), (None, to_middle), third), b, middle=(1, 2))


class Krogstad4(AbstractExponentialRungeKutta):
    """Four stages, order 4, stiff order 3 (Krogstad 2005, J. Comput. Phys. 203, eq. 51): the default."""

    nodes: ClassVar = (0.0, 0.5, 0.5, 1.0)
    weights: Weights | None = None

    def order(self, terms):
        return 4

    def tableau(self, phi: Phi) -> Tableau:
        half1, half2, phi1, phi2 = phi(1, 0.5), phi(2, 0.5), phi(1, 1.0), phi(2, 1.0)
        a = ((0.5 * half1,), (0.5 * half1 - half2, half2), (phi1 - 2 * phi2, None, 2 * phi2))
        b = _cox_matthews(phi)
        return _probed(phi, a, b, middle=(1, 2))


class HochbruckOstermann4(AbstractExponentialRungeKutta):
    """Five stages, order 4 also when stiff (Hochbruck and Ostermann 2005, SIAM J. Numer. Anal. 43, eq. 5.19)."""

    nodes: ClassVar = (0.0, 0.5, 0.5, 1.0, 0.5)
    weights: Weights | None = None

    def order(self, terms):
        return 4

    def tableau(self, phi: Phi) -> Tableau:
        half1, half2, half3 = (phi(k, 0.5) for k in (1, 2, 3))
        phi1, phi2, phi3 = (phi(k, 1.0) for k in (1, 2, 3))
        a52 = 0.5 * half2 - phi3 + 0.25 * phi2 - 0.5 * half3
        a54 = 0.25 * half2 - a52
        a = (
            (0.5 * half1,),
            (0.5 * half1 - half2, half2),
            (phi1 - 2 * phi2, phi2, phi2),
            (0.5 * half1 - 2 * a52 - a54, a52, a52, a54),
        )
        b = (phi1 - 3 * phi2 + 4 * phi3, None, None, 4 * phi3 - phi2, 4 * phi2 - 8 * phi3)
        return _probed(phi, a, b, middle=(4,))


def _cox_matthews(phi: Phi):
    phi1, phi2, phi3 = (phi(k, 1.0) for k in (1, 2, 3))
    middle = 2 * phi2 - 4 * phi3
    return phi1 - 3 * phi2 + 4 * phi3, middle, middle, 4 * phi3 - phi2


def _probed(phi: Phi, a, b, middle: tuple[int, ...]) -> Tableau:
    """A tableau of order 4 with a further stage at `PROBE`; `middle` are its stages in the middle of the step."""
    c = PROBE
    until = [math.factorial(q) * c ** (q + 1) * phi(q + 1, c) for q in range(3)]  # weights of 1, s, s^2 up to the node
    whole = [math.factorial(q) * phi(q + 1, 1.0) for q in range(3)]
    between = [None] * len(b)
    between[0] = until[0] - 3 * until[1] + 2 * until[2]
    for stage in middle:
        between[stage] = (4 / len(middle)) * (until[1] - until[2])
    probe = (*between, 2 * until[2] - until[1])
    first = (whole[2] - (1 + c) * whole[1] + c * whole[0]) / c
    error = (b[0] - first, *b[1:], (c * whole[1] - whole[2]) / (1 - c), (whole[1] - whole[2]) / (c * c - c))
    return Tableau(a, b, error, probe)


def _is_none(node) -> bool:
    return node is None
