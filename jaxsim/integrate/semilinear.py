"""What jaxsim's diffrax solvers share: prepared coefficients, slopes in modal amplitudes, and the one-step frame."""

import abc
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..linear import ModalOperator
from .term import SemilinearTerm, unwrapped


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


class AbstractOneStepSolver(AbstractSemilinearSolver):
    """A Runge-Kutta scheme in modal amplitudes whose last slope begins the next step.

    A subclass gives `coefficients`, which hold at least the operator `generator` $= hL$ for dense output, and
    `advance`.
    """

    @abc.abstractmethod
    def advance(self, term: SemilinearTerm, weights, t0, t1, start, first) -> tuple[Any, Any, Any]:
        """One step from the amplitudes `start` with nonlinear slope `first` (`None` for a linear equation).

        **Returns:** amplitudes at `t1`, the slope there, and the amplitudes of the error estimate or `None`.
        """

    def init(self, terms: SemilinearTerm, t0, t1, y0, args):
        term, t0, _ = unwrapped(terms, t0, t1)
        return modal_slope(term, t0, term.to_modes(y0))

    def step(self, terms: SemilinearTerm, t0, t1, y0, args, solver_state, made_jump):
        term, t0, t1 = unwrapped(terms, t0, t1)
        h = t1 - t0
        weights = self.coefficients(term, h, y0) if self.weights is None else self.weights
        start, first = term.to_modes(y0), solver_state
        if made_jump is not False and first is not None:
            first = jax.lax.cond(made_jump, lambda: modal_slope(term, t0, start), lambda: solver_state)
        end, last, error = self.advance(term, weights, t0, t1, start, first)
        y1 = term.from_modes(end)
        estimate = jax.tree.map(jnp.zeros_like, y0) if error is None else term.from_modes(error)
        k0, k1 = (term.from_modes(full_increment(weights.generator, h, y, n)) for y, n in ((start, first), (end, last)))
        return y1, estimate, dict(y0=y0, y1=y1, k0=k0, k1=k1), last, dfx.RESULTS.successful


def modal_slope(term: SemilinearTerm, t, amplitudes):
    """Amplitudes of the nonlinear part, or `None` for an equation without one."""
    slope = term.nonlinear(t, term.from_modes(amplitudes))
    return None if slope is None else term.to_modes(slope)


def arrival(term: SemilinearTerm, t, amplitudes):
    """The amplitudes at the end of a step, made to satisfy the equation's constraint, and the nonlinear slope there."""
    state = term.from_modes(amplitudes)
    kept = term.kept(t, term.settled(state))
    end = amplitudes if kept is state else term.to_modes(kept)
    return end, modal_slope(term, t, end)


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
