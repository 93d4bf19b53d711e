"""Levenberg-Marquardt steps on a least-squares loss."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..norms import norm
from .linearization import AbstractSystem, require_rows, scaled_rows
from .method import AbstractMethod
from .normal_equations import NormalEquations
from .problem import finite_loss, flattened
from .rows import Rows, total_loss


class LevenbergMarquardtState(eqx.Module):
    """Where a run stands.

    - `damping`: $\\lambda$.
    - `loss`: of the model that the last step returned.
    - `gain`: the actual decrease of the last step over the predicted one, negative where no trial was better.
    """

    damping: jax.Array
    loss: jax.Array
    gain: jax.Array


class LevenbergMarquardt(AbstractMethod):
    """Damped Gauss-Newton steps, $(J^T J + \\lambda I)\\, d = -J^T r$.

    Several dampings are tried at once, each by a linear solve and an evaluation of the loss, and the lowest loss is
    taken, if it is lower than before. The next $\\lambda$ follows from the ratio $\\rho$ of the actual
    decrease to the predicted one, $\\lambda \\leftarrow \\lambda \\max(\\tfrac13, 1 - (2\\rho - 1)^3)$.

    A step follows the curved path of the model: half of the geodesic acceleration $a$ is added to it,
    $(J^T J + \\lambda I)\\, a = -J^T r''(d, d)$ with the second derivative of the residuals along $d$, where that is no
    longer than $d$. It costs a few evaluations of the residuals, and networks learn several times faster with it.

    Meant for models with up to a few thousand parameters, in float64.

    **Arguments:**

    - `system`: how the linear systems are made and solved: `NormalEquations`, `SampleSpace` for fewer rows than
        parameters, or `DenseQR` for the last digits.
    - `damping`: the first $\\lambda$, in units of the mean of the diagonal of $J^T J$.
    - `trials`: how many dampings are tried.
    - `ratio`: between neighboring trials.
    - `accelerated`: whether steps are curved.

    References: Marquardt, SIAM J. Appl. Math. 11, 431 (1963); Nielsen, Damping parameter in Marquardt's method, report
    IMM-REP-1999-05, Technical University of Denmark (1999), eq. 2.5; Transtrum and Sethna, Improvements to the
    Levenberg-Marquardt algorithm for nonlinear least-squares minimization, arXiv 1201.5885 (2012), section 4.
    """

    system: AbstractSystem = NormalEquations()
    damping: float = 1e-3
    trials: int = eqx.field(static=True, default=4)
    ratio: float = eqx.field(static=True, default=4.0)
    accelerated: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.trials < 1 or self.ratio <= 1:
            raise ValueError("LevenbergMarquardt: `trials` is at least 1, and `ratio` is above 1.")

    def init(self, blocks: Sequence[Rows], model: Any) -> LevenbergMarquardtState:
        """The state before the first step; the damping is negative until the first matrix is known.

        **Raises:** an equinox run-time error where the loss is not finite, and a `TypeError` where a block has a loss
        but no rows.
        """
        require_rows(blocks, "LevenbergMarquardt", "FirstOrder, LBFGS or SSBroyden")
        loss = finite_loss(blocks, model, "LevenbergMarquardt")
        return LevenbergMarquardtState(jnp.full_like(loss, -1), loss, jnp.zeros_like(loss))

    def step(self, blocks: Sequence[Rows], model: Any, state: LevenbergMarquardtState
             ) -> tuple[Any, LevenbergMarquardtState]:  # fmt: skip
        """One step. A model that no trial improves is returned as it is, with a larger damping."""
        flat, whole = flattened(model)
        problem = self.system.linearize(blocks, whole, flat)
        rows = lambda flat: scaled_rows(blocks, whole(flat), flat.dtype)
        scale = jnp.mean(problem.diagonal)
        center = jnp.where(state.damping < 0, self.damping * scale, state.damping)
        dampings = center * self.ratio ** (jnp.arange(self.trials, dtype=flat.dtype) - (self.trials - 1) // 2)

        def attempt(damping):
            straight, again = problem.solve(damping)
            change = straight
            if self.accelerated:
                change = straight + _bend(rows, flat, again, straight)
            loss = total_loss(blocks, whole(flat + change))
            return change, jnp.where(jnp.isfinite(loss), loss, jnp.inf), problem.predicted(damping, straight)

        changes, losses, predicted = lax.map(attempt, dampings)
        best = jnp.argmin(losses)
        better = losses[best] < problem.loss
        gain = jnp.where(better, (problem.loss - losses[best]) / predicted[best], -1)
        shrink = jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
        damping = jnp.where(better, dampings[best] * shrink, center * self.ratio**self.trials)
        damping = jnp.maximum(damping, jnp.finfo(flat.dtype).eps * 1e-4 * scale)
        flat = jnp.where(better, flat + changes[best], flat)
        return whole(flat), LevenbergMarquardtState(damping, jnp.where(better, losses[best], problem.loss), gain)


def _bend(rows, flat, again, change) -> jax.Array:
    """Half of the geodesic acceleration along a change, or zero where it is too long to be believed."""
    rate = lambda flat: jax.jvp(rows, (flat,), (change,))[1]
    curvature = jax.jvp(rate, (flat,), (change,))[1]
    _, transposed = jax.vjp(rows, flat)
    bend = again(curvature, transposed(curvature)[0]) / 2
    believed = norm(bend) <= norm(change) / 2
    return jnp.where(believed, bend, 0)
