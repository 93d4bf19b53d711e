"""A least-squares problem whose residual is affine in the unknowns, solved at once."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import norm
from .gauss_newton import Rows, TallState
from .solved import SolveStatus
from .stationary import tall_solve
from .thin_qr import PseudoInverse, ThinQR


class Direct(eqx.Module):
    """One QR factorization of $J$ and the singular values of its $R$, for a residual that is affine in the unknowns.

    Of all solutions it gives the shortest, so that the guess does not matter. A residual that is not affine after all
    ends as `stalled`.
    """

    def start(self, rows: Rows, jacobian: Rows, guess: jax.Array) -> TallState:
        """The state at zero."""
        one = jnp.ones((), guess.dtype)
        return self.resume(rows, jacobian, (jnp.zeros_like(guess), one, jnp.asarray(0), one))

    def resume(self, rows: Rows, jacobian: Rows, brief: tuple) -> TallState:
        """The state of which `brief(state)` was kept."""
        unknowns, left, steps, size = brief
        right, factors = rows(unknowns), ThinQR.of(jacobian(unknowns))
        return TallState(unknowns, right, factors, factors.down(lax.stop_gradient(right)), left, steps, size)

    def brief(self, state: TallState) -> tuple:
        """What must be kept of a state; no array as long as the residual."""
        return state.unknowns, state.damping, state.steps, state.size

    def going(self, state: TallState) -> jax.Array:
        """Whether the step is still due."""
        return state.steps < 1

    def step(self, rows: Rows, jacobian: Rows, state: TallState, differentiable: bool = False) -> TallState:
        """The solution."""
        inverse = PseudoInverse.of(state.factors)
        none = jnp.zeros_like(state.unknowns)
        if differentiable:
            change = tall_solve(rows, state.unknowns, state.right, none, inverse.solve)
        else:
            change = inverse.solve(state.right, none)[1]
        unknowns = state.unknowns + change
        right = rows(unknowns)
        # What another step could still remove, in units of what rounding leaves, is kept where a damping would be.
        size = norm(state.right) + inverse.values[0] * norm(change)
        part = state.factors.down(lax.stop_gradient(right))
        left = norm(part) / jnp.where(size > 0, size, 1)
        return TallState(unknowns, right, state.factors, part, left, state.steps + 1, state.size)

    def status(self, state: TallState) -> SolveStatus:
        """How it ended; never `rank_deficient`, which is found later."""
        met = state.damping <= jnp.finfo(state.right.dtype).eps ** 0.5
        status = SolveStatus.where(met, SolveStatus.converged, SolveStatus.stalled)
        return SolveStatus.where(jnp.all(jnp.isfinite(state.right)), status, SolveStatus.nonfinite)
