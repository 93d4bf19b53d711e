"""Exponential Runge-Kutta solvers: the linear part exactly, the rest by quadrature.

For $u' = L u + N(t, u)$ a step of size $h$ is

$$U_i = e^{c_i h L} u_n + h \\sum_{j<i} a_{ij}(hL) N(t_n + c_j h, U_j), \\qquad
u_{n+1} = e^{h L} u_n + h \\sum_i b_i(hL) N(t_n + c_i h, U_i),$$

with weights made of $\\varphi_k$ functions (`jaxsim.integrate.phi`). The slope at the end of each step begins the next,
and comparing it with the scheme's own last stage gives an error estimate at no cost (Whalen, Brio and Moloney 2015,
J. Comput. Phys. 280, 579-601).
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..linear import ModalOperator
from .phi import matrix_phis, phis
from .term import SemilinearTerm, unwrapped

Phi = Callable[[int, float], ModalOperator]


class Tableau(eqx.Module):
    """Weights of the stages `a`, of the end `b`, and of the error estimate.

    `error` combines the stages and, last, the slope at the end of the step. Weights that are zero are `None`.
    """

    a: tuple
    b: tuple
    error: tuple


class Weights(eqx.Module):
    """A tableau at one step size, with the step size multiplied in."""

    generator: Any
    exponentials: tuple
    a: tuple
    b: tuple
    error: tuple


class AbstractSemilinearSolver(dfx.AbstractAdaptiveSolver):
    """A diffrax solver that uses the split of a `js.SemilinearTerm`.

    `weights` holds coefficients prepared for one step size (see `prepare`); without them they are computed in each
    step, from whatever step size the controller chose.
    """

    weights: eqx.AbstractVar[Any]

    term_structure: ClassVar = SemilinearTerm
    interpolation_cls: ClassVar = dfx.ThirdOrderHermitePolynomialInterpolation

    @abc.abstractmethod
    def coefficients(self, term: SemilinearTerm, h, y) -> Any:
        """The coefficients for step size `h`."""

    def prepare(self, term: SemilinearTerm, h, y) -> "AbstractSemilinearSolver":
        """The same solver with its coefficients computed for steps of size `h`, in double precision where it can."""
        return eqx.tree_at(lambda s: s.weights, self, self.coefficients(term, h, y), is_leaf=lambda w: w is None)

    def strong_order(self, terms):
        return None

    def func(self, terms: SemilinearTerm, t0, y0, args):
        return terms.vf(t0, y0, args)


class AbstractExponentialRungeKutta(AbstractSemilinearSolver):
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

        return Weights(
            generator=scaled(symbol),
            exponentials=tuple(None if c == 0 else phi(0, c).rounded(dtype) for c in (*self.nodes, 1.0)),
            a=tuple(tuple(once(w) for w in row) for row in scheme.a),
            b=tuple(once(w) for w in scheme.b),
            error=tuple(once(w) for w in scheme.error),
        )

    def init(self, terms: SemilinearTerm, t0, t1, y0, args):
        term, t0, _ = unwrapped(terms, t0, t1)
        return modal_slope(term, t0, term.to_modes(y0))

    def step(self, terms: SemilinearTerm, t0, t1, y0, args, solver_state, made_jump):
        term, t0, t1 = unwrapped(terms, t0, t1)
        h = t1 - t0
        weights = self.coefficients(term, h, y0) if self.weights is None else self.weights
        start = term.to_modes(y0)
        first = solver_state
        if made_jump is not False and first is not None:
            first = jax.lax.cond(made_jump, lambda: modal_slope(term, t0, start), lambda: solver_state)
        slopes = [first]
        for c, exponential, row in zip(self.nodes[1:], weights.exponentials[1:-1], weights.a, strict=True):
            stage = combine(exponential, start, row, slopes)
            slopes.append(modal_slope(term, t0 + c * h, stage))
        end = combine(weights.exponentials[-1], start, weights.b, slopes)
        last = modal_slope(term, t1, end)
        y1 = term.from_modes(end)
        if first is None:
            error = jax.tree.map(jnp.zeros_like, y0)
        else:
            error = term.from_modes(combine(None, None, weights.error, [*slopes, last]))
        k0, k1 = (term.from_modes(full_increment(weights.generator, h, y, n)) for y, n in ((start, first), (end, last)))
        dense = dict(y0=y0, y1=y1, k0=k0, k1=k1)
        return y1, error, dense, last, dfx.RESULTS.successful


def combine(operator: ModalOperator | None, start, weights, slopes):
    """`operator @ start + sum(weights @ slopes)`; `None` stands for nothing (and `operator` for the identity)."""
    terms = [] if start is None else [start if operator is None else operator.mv(start)]
    terms += [w.mv(n) for w, n in zip(weights, slopes, strict=False) if w is not None and n is not None]
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms)


def modal_slope(term: SemilinearTerm, t, amplitudes):
    """Amplitudes of the nonlinear part, or `None` for an equation without one."""
    slope = term.nonlinear(t, term.from_modes(amplitudes))
    return None if slope is None else term.to_modes(slope)


def full_increment(generator: ModalOperator, h, amplitudes, slope):
    """`h` times the full slope, which dense output interpolates."""
    linear = generator.mv(amplitudes)
    if slope is None:
        return linear
    return jax.tree.map(lambda a, b: a + jnp.asarray(h, jnp.finfo(b.dtype).dtype) * b, linear, slope)


def scaled_by(c: float, h, z):
    """`c * h * z`, on the host where everything is known."""
    if isinstance(z, np.ndarray) and not isinstance(h, jax.core.Tracer):
        return np.asarray(c * float(h) * z)
    return c * h * jnp.asarray(z)


class ETDRK1(AbstractExponentialRungeKutta):
    """Exponential Euler, order 1: $u_{n+1} = e^{hL} u_n + h \\varphi_1(hL) N_n$ (Cox and Matthews 2002, eq. 4)."""

    nodes: ClassVar = (0.0,)
    weights: Weights | None = None

    def order(self, terms):
        return 1

    def error_order(self, terms):
        return 2  # the estimate compares with the scheme of second order that ends the step with its slope there

    def tableau(self, phi: Phi) -> Tableau:
        return Tableau((), (phi(1, 1.0),), (-phi(2, 1.0), phi(2, 1.0)))


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
        return Tableau(((to_middle,), (None, to_middle), third), b, _last_stage(b))


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
        return Tableau(a, b, _last_stage(b))


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
        error = (None, None, None, b[3], None, -b[3])
        return Tableau(a, b, error)


def _cox_matthews(phi: Phi):
    phi1, phi2, phi3 = (phi(k, 1.0) for k in (1, 2, 3))
    middle = 2 * phi2 - 4 * phi3
    return phi1 - 3 * phi2 + 4 * phi3, middle, middle, 4 * phi3 - phi2


def _last_stage(b):
    """Difference to the third-order scheme that takes the slope at the end of the step for the last stage's."""
    return (None, None, None, b[-1], -b[-1])
