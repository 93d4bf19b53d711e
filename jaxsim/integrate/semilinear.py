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

    implicit: ClassVar[bool] = False  # whether boundary data go with the linear part, or with the rest
    takes_noise: ClassVar[bool] = True  # whether what is added to the end of a step is added once and for all
    term_structure: ClassVar = SemilinearTerm
    interpolation_cls: ClassVar = dfx.ThirdOrderHermitePolynomialInterpolation

    @abc.abstractmethod
    def coefficients(self, term: SemilinearTerm, h, y) -> Any:
        """The coefficients for step size `h`."""

    def prepare(self, term: SemilinearTerm, h, y) -> "AbstractSemilinearSolver":
        """The same solver with its coefficients computed for steps of size `h`, in double precision where it can.

        Steps of one size have no use for an error estimate, and get none.
        """
        return eqx.tree_at(lambda s: s.weights, self, self.coefficients(term, h, y), is_leaf=lambda w: w is None)

    def checked(self, term: SemilinearTerm, y):
        """The state, an error where weights that are computed in each step would be those of another linear part."""
        return term.checked(y) if self.weights is None else y

    def slope(self, term: SemilinearTerm, t, amplitudes):
        """Amplitudes of what the scheme does not take with the linear part; `None` where that is nothing."""
        part = term.nonlinear if self.implicit else term.beside_linear
        return _modal(term, part(t, term.from_modes(amplitudes)))

    def data(self, term: SemilinearTerm, t, amplitudes):
        """Amplitudes of boundary data, where the scheme takes them with the linear part and there are some."""
        return _modal(term, term.affine(t, term.from_modes(amplitudes))) if self.implicit else None

    def arrival(self, term: SemilinearTerm, t, amplitudes):
        """The amplitudes at the end of a step, with its noise and on the equation's constraint, and the slope there."""
        amplitudes = term.kicked(amplitudes)
        state = term.from_modes(amplitudes)
        kept = term.kept(t, term.settled(state))
        end = amplitudes if kept is state else term.to_modes(kept)
        return end, self.slope(term, t, end)

    def full(self, term: SemilinearTerm, generator: ModalOperator, h, t, amplitudes, slope):
        """`h` times the full slope as a state, which dense output interpolates."""
        data = self.data(term, t, amplitudes)
        return term.from_modes(total(generator.mv(amplitudes), h, data, slope))

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
        """One step from the amplitudes `start` with slope `first` (`None` for a linear equation).

        **Returns:** amplitudes at `t1`, the slope there, and the amplitudes of the error estimate or `None`.
        """

    def init(self, terms: SemilinearTerm, t0, t1, y0, args):
        term, t0, _ = unwrapped(terms, t0, t1)
        return self.slope(term, t0, term.to_modes(self.checked(term, y0)))

    def step(self, terms: SemilinearTerm, t0, t1, y0, args, solver_state, made_jump):
        term, t0, t1 = unwrapped(terms, t0, t1)
        h = t1 - t0
        weights = self.coefficients(term, h, y0) if self.weights is None else self.weights
        start, first = term.to_modes(y0), solver_state
        if made_jump is not False and first is not None:
            first = jax.lax.cond(made_jump, lambda: self.slope(term, t0, start), lambda: solver_state)
        end, last, error = self.advance(term, weights, t0, t1, start, first)
        y1 = term.from_modes(end)
        if error is None:  # a linear part alone is solved exactly
            estimate = jax.tree.map(jnp.zeros_like, y0) if last is None else None
        else:
            estimate = term.from_modes(error)
        dense = dict(y0=y0, y1=y1, k0=self.full(term, weights.generator, h, t0, start, first),
                     k1=self.full(term, weights.generator, h, t1, end, last))  # fmt: skip
        return y1, estimate, dense, last, dfx.RESULTS.successful


def _modal(term: SemilinearTerm, slope):
    """Amplitudes of a slope; `None` stays."""
    return None if slope is None else term.to_modes(slope)


def total(start, h, *slopes):
    """`start + h * sum(slopes)`; slopes may be `None`."""
    present = [slope for slope in slopes if slope is not None]

    def one(a, *others):
        return sum((jnp.asarray(h, jnp.finfo(b.dtype).dtype) * b for b in others), a)

    return jax.tree.map(one, start, *present)


def scaled_by(c: float, h, z):
    """`c * h * z`, on the host where everything is known."""
    if isinstance(z, np.ndarray) and not isinstance(h, jax.core.Tracer):
        return np.asarray(c * float(h) * z)
    return c * h * jnp.asarray(z)
