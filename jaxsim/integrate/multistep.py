"""Multistep solvers: one evaluation of the nonlinear part per step.

Exponential Adams-Bashforth schemes integrate the polynomial through the last $m$ slopes exactly against
$e^{(1-s)hL}$; SBDF schemes combine backward differences of the state with extrapolated slopes. Both begin
with a Runge-Kutta scheme of their own order: a ramp of lower orders would leave the global order at two.
"""

import abc
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp

from ..linear import ModalOperator
from .exponential import ETDRK2, ETDRK3, Krogstad4, combine
from .imex import IMEXRK2, IMEXRK3
from .phi import matrix_phis, phis
from .semilinear import AbstractSemilinearSolver, scaled_by, total
from .term import SemilinearTerm, unwrapped


class History(eqx.Module):
    """What a multistep solver remembers, as modal amplitudes with the newest first.

    - `slopes`: the nonlinear part at the start of the step and at the times before it.
    - `states`: states at the times before it, where the scheme needs them.
    - `ages`: how long before the start of the step these times are, one fewer than the order. Differences, because
        times late in a run are rounded.
    - `count`: how many of them are true and not placeholders.
    """

    slopes: tuple
    states: tuple
    ages: tuple
    count: jax.Array


class MultistepWeights(eqx.Module):
    """$h$ itself, $hL$, the scheme's coefficients, and those of its starter, at one step size."""

    size: jax.Array
    generator: ModalOperator
    scheme: Any
    starter: Any


class AbstractMultistep(AbstractSemilinearSolver):
    """A linear multistep scheme with a Runge-Kutta scheme that starts it.

    A step evaluates the nonlinear part once, at its end, where a four-stage scheme does so four times; the
    `starter` adds its own stages in the first `starts` steps and after each discontinuity. Rejected steps
    leave the history as it was.
    """

    starter: eqx.AbstractClassVar[type[AbstractSemilinearSolver]]
    starts: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def scheme(self, symbol: ModalOperator, h, positions: Sequence, dtype) -> Any:
        """Coefficients for a step of size `h`, with the past times at its start plus `h * positions`."""

    @abc.abstractmethod
    def advance(self, scheme: Any, size, start, history: History, data) -> tuple[Any, Any]:
        """The amplitudes at the end of the step, and of its error estimate where there is one.

        `data` are the boundary data at the end, where the scheme takes them with the linear part and there are some.
        """

    def known(self, history: History, t0, t1):
        """How many of the past times serve a step from `t0` to `t1`."""
        return history.count

    def coefficients(self, term: SemilinearTerm, h, y) -> MultistepWeights:
        symbol, dtype = term.symbol(y), jnp.result_type(*jax.tree.leaves(y))
        equidistant = tuple(-float(j) for j in range(1, self.starts + 1))
        return MultistepWeights(
            size=jnp.asarray(h, jnp.finfo(dtype).dtype),
            generator=_generator(symbol, h, dtype),
            scheme=self.scheme(symbol, h, equidistant, dtype),
            starter=self.starter().prepare(term, h, y).weights,
        )

    def init(self, terms: SemilinearTerm, t0, t1, y0, args) -> History:
        term, t0, t1 = unwrapped(terms, t0, t1)
        return self._beginning(term, t0, t1, term.to_modes(self.checked(term, y0)))

    def step(self, terms: SemilinearTerm, t0, t1, y0, args, solver_state, made_jump):
        term, t0, t1 = unwrapped(terms, t0, t1)
        start, h, dtype = term.to_modes(y0), t1 - t0, jnp.result_type(*jax.tree.leaves(y0))
        history = solver_state
        if made_jump is not False:
            history = jax.lax.cond(made_jump, lambda: self._beginning(term, t0, t1, start), lambda: solver_state)
        if self.weights is None:
            symbol, size = term.symbol(y0), jnp.asarray(h, jnp.finfo(dtype).dtype)
            generator = _generator(symbol, h, dtype)
            scheme = self.scheme(symbol, h, tuple(-age / h for age in history.ages), dtype)
        else:
            size, generator, scheme = self.weights.size, self.weights.generator, self.weights.scheme
        end, error = self.advance(scheme, size, start, history, self.data(term, t1, start))
        adapts = self.weights is None and error is not None
        estimate = term.from_modes(error) if adapts else None
        end, last = self.arrival(term, t1, end)
        multistep = end, estimate, last

        # Without the checkpoint the reverse pass would keep room for the starter's stages in every step.
        @jax.checkpoint
        def begin(first):
            starter = self.starter(None if self.weights is None else self.weights.starter)
            y1, error, _, last, _ = starter.step(term, t0, t1, y0, args, first, made_jump=False)
            return term.to_modes(y1), None if estimate is None else error, last

        def choose():
            return jax.tree.map(lambda a, b: jnp.where(ready, a, b), multistep, begin(history.slopes[0]))

        # Under vmap the starter runs while any member needs it, and not in every step.
        known = self.known(history, t0, t1)
        ready = known >= self.starts
        end, error, last = jax.lax.cond(eqxi.unvmap_all(ready), lambda: multistep, choose)
        y1 = term.from_modes(end)
        ends = ((t0, start, history.slopes[0]), (t1, end, last))
        k0, k1 = (self.full(term, generator, size, *values) for values in ends)
        following = History(
            slopes=(last, *history.slopes[:-1]),
            states=(start, *history.states)[: len(history.states)],
            ages=(h, *(age + h for age in history.ages[:-1])),
            count=jnp.minimum(known + 1, self.starts),
        )
        return y1, error, dict(y0=y0, y1=y1, k0=k0, k1=k1), following, dfx.RESULTS.successful

    def _beginning(self, term: SemilinearTerm, t0, t1, start) -> History:
        """A history of placeholders, at distinct times so that nothing computed from it is infinite."""
        first = self.slope(term, t0, start)
        return History(
            slopes=(first,) * (self.starts + 1),
            states=self.remembered(start),
            ages=tuple(j * (t1 - t0) for j in range(1, self.starts + 1)),
            count=jnp.zeros((), jnp.int32),
        )

    def remembered(self, start) -> tuple:
        """Placeholders of the past states that the scheme needs."""
        return ()


def _generator(symbol: ModalOperator, h, dtype) -> ModalOperator:
    return symbol.combine(lambda z: scaled_by(1.0, h, z)).rounded(dtype)


class AdamsWeights(eqx.Module):
    """Exponential Adams-Bashforth at one step size and spacing: $u_{n+1} = e^{hL} u_n + \\sum_j b_j N_{n-j}$.

    The error estimate is `error` applied to the divided difference `sum(difference * slopes)`.
    """

    exponential: ModalOperator
    b: tuple
    error: ModalOperator
    difference: tuple


class AbstractExponentialAdams(AbstractMultistep):
    """Exponential Adams-Bashforth of order $m$, for steps that may vary.

    The weights $b_j = h c_j$ integrate the polynomial through the last $m$ slopes exactly: with past times
    $t_n + h x_j$ they solve $\\sum_j c_j x_j^q = q!\\,\\varphi_{q+1}(hL)$, $q = 0, \\dots, m-1$. The error
    estimate is the difference to order $m - 1$. Without a linear part these are the Adams-Bashforth schemes.

    Reference: Hochbruck and Ostermann 2010, Acta Numerica 19, section 2.5; Cox and Matthews 2002, J. Comput.
    Phys. 176, section 2.1 (equal steps).
    """

    caution: eqx.AbstractClassVar[float]  # how many times the error estimate counts, see tests/test_tolerances.py

    def order(self, terms):
        return self.starts + 1

    def scheme(self, symbol: ModalOperator, h, positions: Sequence, dtype) -> AdamsWeights:
        order, nodes = self.starts + 1, (0.0, *positions)
        scaled = symbol.combine(lambda z: scaled_by(1.0, h, z))
        phi = scaled.functions(lambda z: phis(order, z), lambda z: matrix_phis(order, z))
        moments = [math.factorial(q) * phi[q + 1] for q in range(order)]

        def integral(polynomial) -> ModalOperator:
            terms = [moment * c for c, moment in zip(polynomial, moments, strict=False)]
            return sum(terms[1:], terms[0]).combine(lambda w: scaled_by(1.0, h, w)).rounded(dtype)

        others = [(*nodes[:j], *nodes[j + 1 :]) for j in range(order)]
        differences = [1 / math.prod(x - y for y in rest) for x, rest in zip(nodes, others, strict=True)]
        cardinals = [[d * c for c in _monic(rest)] for d, rest in zip(differences, others, strict=True)]
        return AdamsWeights(
            exponential=phi[0].rounded(dtype),
            b=tuple(integral(cardinal) for cardinal in cardinals),
            error=integral([self.caution * c for c in _monic(nodes[:-1])]),
            difference=tuple(jnp.asarray(d, jnp.finfo(dtype).dtype) for d in differences),
        )

    def advance(self, scheme: AdamsWeights, size, start, history: History, data):
        end = combine(scheme.exponential, start, scheme.b, history.slopes)
        if history.slopes[0] is None:
            return end, jax.tree.map(jnp.zeros_like, start)
        difference = jax.tree.map(
            lambda *slopes: sum(d * n for d, n in zip(scheme.difference, slopes, strict=True)),
            *history.slopes,
        )
        return end, scheme.error.mv(difference)


def _monic(roots: Sequence) -> list:
    """Coefficients, lowest first, of the polynomial with leading coefficient one and these roots."""
    coefficients = [1.0]
    for root in roots:
        shifted, scaled = [0.0, *coefficients], [*(root * c for c in coefficients), 0.0]
        coefficients = [a - b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients


class ETDAB2(AbstractExponentialAdams):
    """Exponential Adams-Bashforth of order 2, started by `ETDRK2`."""

    starter: ClassVar[type[AbstractSemilinearSolver]] = ETDRK2
    starts: ClassVar[int] = 1
    caution: ClassVar[float] = 6.0
    weights: Any = None


class ETDAB3(AbstractExponentialAdams):
    """Exponential Adams-Bashforth of order 3, started by `ETDRK3`."""

    starter: ClassVar[type[AbstractSemilinearSolver]] = ETDRK3
    starts: ClassVar[int] = 2
    caution: ClassVar[float] = 4.0
    weights: Any = None


class ETDAB4(AbstractExponentialAdams):
    """Exponential Adams-Bashforth of order 4, started by `Krogstad4`."""

    starter: ClassVar[type[AbstractSemilinearSolver]] = Krogstad4
    starts: ClassVar[int] = 3
    caution: ClassVar[float] = 2.0
    weights: Any = None


class AbstractSBDF(AbstractMultistep):
    """Semi-implicit backward differentiation, for steps that do not vary.

    $$\\alpha u_{n+1} = \\sum_j a_j u_{n-j} + h (L u_{n+1} + g(t_{n+1})) + h \\sum_j b_j N_{n-j}$$

    with $g$ what boundary data add to the linear part.

    Strongly damps stiff modes; the third-order scheme amplifies some of those that oscillate without decay,
    so it is not for dispersive equations. A step of another size than the last restarts the scheme (unless it
    was prepared for equal ones); there is no error estimate, so adaptive controllers refuse it.

    Reference: Ascher, Ruuth and Wetton 1995, SIAM J. Numer. Anal. 32, 797-823, section 3.
    """

    leading: eqx.AbstractClassVar[float]
    backward: eqx.AbstractClassVar[tuple[float, ...]]
    forward: eqx.AbstractClassVar[tuple[float, ...]]
    implicit: ClassVar[bool] = True
    takes_noise: ClassVar[bool] = False  # differences of past states would count an increment again

    def order(self, terms):
        return self.starts + 1

    def known(self, history: History, t0, t1):
        if self.weights is not None:
            return history.count  # prepared for equal steps
        rounding = 8 * jnp.finfo(jnp.result_type(t0)).eps * jnp.maximum(jnp.abs(t0), jnp.abs(t1))
        change = jnp.abs((t1 - t0) - history.ages[0])
        return jnp.where(change <= 1e-6 * jnp.abs(t1 - t0) + rounding, history.count, 0)

    def remembered(self, start) -> tuple:
        return (start,) * self.starts

    def scheme(self, symbol: ModalOperator, h, positions: Sequence, dtype) -> ModalOperator:
        scaled = symbol.combine(lambda z: scaled_by(1.0, h, z))
        return (self.leading * scaled.identity() - scaled).inverse().rounded(dtype)

    def advance(self, scheme: ModalOperator, size, start, history: History, data):
        terms = [jax.tree.map(lambda u, a=a: a * u, u) for a, u in zip(self.backward, (start, *history.states))]
        if history.slopes[0] is not None:
            terms += [
                jax.tree.map(lambda n, b=b: (b * size) * n, n)
                for b, n in zip(self.forward, history.slopes, strict=True)
            ]
        return scheme.mv(total(jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms), size, data)), None


class SBDF2(AbstractSBDF):
    """Semi-implicit backward differentiation of order 2, started by `IMEXRK2`."""

    starter: ClassVar[type[AbstractSemilinearSolver]] = IMEXRK2
    starts: ClassVar[int] = 1
    leading: ClassVar[float] = 3 / 2
    backward: ClassVar[tuple[float, ...]] = (2.0, -1 / 2)
    forward: ClassVar[tuple[float, ...]] = (2.0, -1.0)
    weights: Any = None


class SBDF3(AbstractSBDF):
    """Semi-implicit backward differentiation of order 3, started by `IMEXRK3`."""

    starter: ClassVar[type[AbstractSemilinearSolver]] = IMEXRK3
    starts: ClassVar[int] = 2
    leading: ClassVar[float] = 11 / 6
    backward: ClassVar[tuple[float, ...]] = (3.0, -3 / 2, 1 / 3)
    forward: ClassVar[tuple[float, ...]] = (3.0, -3.0, 1.0)
    weights: Any = None
