"""Experts that take turns: each solves with the values that its neighbors have on its boundary."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...optimize import AbstractAdjoint, Anderson, OnFailure, Picard, Solved, SolveStatus, fixed_point, number
from ..projections._outcome import after
from ._work import Held, Work, sums
from .coupling import AbstractCoupling
from .partition import Faces

Sides = dict[str, tuple[jax.Array, jax.Array]]


class Schwarz(AbstractCoupling):
    """Overlapping subdomains, $w_k = \\arg\\min |r_k(w_k)|^2 + \\frac{c}{P} \\sum_s |u_k - u_j|_s^2$ with the values of
    neighbors $u_j$ at the ends of box $k$ that lie inside of theirs.

    The values there are the fixed point of a sweep in which all experts solve at once. The derivative is that of the
    fixed point, by the implicit function theorem: of the weights for which every expert's problem is solved with its
    neighbors' values. These are not the weights of one joint problem, unless all rows can be met.

    In time an expert looks at its past alone. In space boxes need an overlap, the more the faster it converges.

    **Arguments:**

    - `points`: on each face, along each of its axes.
    - `value`: $c$, in units of the other blocks' weights.
    - `method`: how the fixed point is found, `Anderson()` by default, which needs fewer sweeps, or `Picard()`, plain
        sweeps; both with `steps`, the number of sweeps at most, and `tolerance`.
    - `adjoint`: of the fixed point, `jaxsim.optimize.Implicit()` by default; `Unrolled(steps)` is the derivative of so
        many sweeps instead.

    With it `steps` are sweeps. An expert whose own problem is solved has the status `max_steps` where sweeps were too
    few.

    Reference: Gander, Schwarz methods over the course of time, Electron. Trans. Numer. Anal. 31, 228 (2008), section 3,
    for the parallel method.
    """

    points: int = eqx.field(static=True, default=16)
    value: Any = 400.0
    method: Picard | Anderson | None = None
    adjoint: AbstractAdjoint | None = None

    def solve(self, work: Work, guess: jax.Array | None, held: dict[str, Held]) -> Solved:
        faces = self._faces(work)
        inner = OnFailure.KEEP if work.on_failure is OnFailure.KEEP else OnFailure.STOP
        quiet = dataclasses.replace(work, on_failure=inner)
        guess, noted = quiet.beginning(guess), work.team.map(work.noted)
        own = {name: work.at_faces(face.owner, face.points)[0] for name, face in faces.items()}
        others = {name: work.at_faces(face.other, face.beyond)[0] for name, face in faces.items()}
        scales = {name: jnp.sqrt(number(self.value, own[name]) / face.points.shape[1]) * jnp.asarray(face.inside)
                  for name, face in faces.items()}  # fmt: skip
        everything = (quiet.without_team(), work.team.without_functions(), guess, noted, held, own, scales)

        def solved(values, everything):
            work, team, guess, noted, held, own, scales = everything
            sides = {name: jax.vmap(Held)(own[name], values[name], scales[name]) for name in own}
            return team.map(work.alone, guess, noted, held | sides)

        def sweep(values, parameters):
            everything, others = parameters
            weights = solved(values, everything).value
            seen = {name: jax.vmap(sums)(others[name], weights[face.other]) for name, face in faces.items()}
            return {name: _masked(face, seen[name]) for name, face in faces.items()}

        begin = {name: _masked(face, jax.vmap(sums)(others[name], guess[face.other])) for name, face in faces.items()}
        if not faces:
            return team_outcome(solved({}, everything), work.on_failure)
        fixed = fixed_point(sweep, begin, (everything, others), method=self.method, adjoint=self.adjoint,
                            on_failure=inner)  # fmt: skip
        last = solved(fixed.value, everything)
        merged = lambda own: SolveStatus.where(succeeded(own) & ~fixed.succeeded, fixed.status, own)
        status = jax.vmap(merged)(last.status)
        steps = jnp.broadcast_to(fixed.steps, last.steps.shape)
        found = Solved(last.value, status, last.residual, steps, last.rank, last.condition)
        return team_outcome(found, work.on_failure)

    def _faces(self, work: Work) -> dict[str, Faces]:
        partition = work.partition
        if any(axis > 0 and partition.overlaps[axis] == 0 for axis in partition.cuts):
            raise ValueError("Schwarz: boxes need an overlap along the axes of space that are cut: "
                             "Partition(..., overlap=0.2).")  # fmt: skip
        sides = [(axis, upper) for axis in partition.cuts for upper in (False, True) if axis > 0 or not upper]
        names = lambda axis, upper: f"{'upper' if upper else 'lower'} neighbor, axis {axis}"
        return {names(*side): partition.faces(*side, self.points) for side in sides}


def team_outcome(solved: Solved, on_failure: OnFailure) -> Solved:
    """Of each expert, with a leading axis, what is done where it failed."""
    message = "experts did not converge: see `on_failure` and `Solved.status`."
    value = jax.vmap(lambda value, status: after(value, status, on_failure, message))(solved.value, solved.status)
    return eqx.tree_at(lambda s: s.value, solved, value)


def succeeded(status: SolveStatus) -> jax.Array:
    """Whether it is one of a solution."""
    return (status == SolveStatus.converged) | (status == SolveStatus.rank_deficient)


def _masked(faces: Faces, values: jax.Array) -> jax.Array:
    inside = np.asarray(faces.inside).reshape(-1, *([1] * (values.ndim - 1)))
    return jnp.where(inside, values, 0)
