"""Windows of time, one after the other."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import Solved, SolveStatus, number
from ._work import Held, Work, sums
from .coupling import AbstractCoupling, Alone
from .partition import Partition
from .piecewise import Member, Team


class Marching(AbstractCoupling):
    """Experts solve in the order of time, each from the values at the end of the window before,
    $|r_k(w_k)|^2 + \\frac{c}{P} \\sum_s |u_k - u_{k-1}|^2_s$ at $t = t_k$.

    It is a `jax.lax.scan`, and its derivative goes through all windows. Blocks of initial values have a weight of zero
    but in the first, such as `weight=400.0 * box.first[0]`. Windows after one that failed have its status.

    **Arguments:**

    - `points`: where initial values of a window are held, along each axis of space.
    - `value`: $c$, in units of the other blocks' weights.
    - `within`: what couples the boxes of one window: nothing, `Interface()` or `Schwarz()`.

    Without a guess each window begins with the weights of the one before.
    """

    points: int = eqx.field(static=True, default=16)
    value: Any = 400.0
    within: AbstractCoupling | None = None

    def __check_init__(self):
        if isinstance(self.within, Marching) or not isinstance(self.within, AbstractCoupling | None):
            raise TypeError(f"Marching: `within` is None, Interface() or Schwarz(), got {self.within!r}.")

    def solve(self, work: Work, guess: jax.Array | None, held: dict[str, Held]) -> Solved:
        partition = work.partition
        if partition.overlaps[0] > 0 and partition.counts[0] > 1:
            raise ValueError("Marching: windows do not overlap in time; give an overlap for each axis, such as "
                             "Partition(..., overlap=(0.0, 0.2)).")  # fmt: skip
        within = Alone() if self.within is None else self.within
        windows, length = partition.counts[0], (partition.upper[0] - partition.lower[0]) / partition.counts[0]
        cut = lambda tree: jax.tree.map(lambda leaf: leaf.reshape(windows, -1, *leaf.shape[1:]), tree)
        faces = partition.faces(0, False, self.points)
        ours, before = (work.at_faces(index, faces.points)[0] for index in (faces.owner, faces.other))
        scale = jnp.sqrt(number(self.value, ours) / faces.points.shape[1]) * jnp.asarray(faces.inside)
        begin = None if guess is None else cut(work.beginning(guess))
        members, still = eqx.partition(_own(work.team), eqx.is_array)
        numbers = jnp.arange(windows)

        def window(carry, each):
            last, worst = carry
            members, held, ours, before, scale, begin, number = each
            start = jax.vmap(Held)(ours, jax.vmap(sums)(before, last), scale)
            part = _of_window(work, eqx.combine(members, still), number * length)
            solved = within.solve(part, last if begin is None else begin, held | {"start": start})
            status = _joined(worst, solved.status)
            solved = eqx.tree_at(lambda s: s.status, solved, status)
            return (solved.value, status), solved

        zero = jnp.zeros((partition.count // windows, work.size), ours.dtype)
        fine = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, zero.shape[:1]), SolveStatus.converged)
        each = (cut(members), cut(held), cut(ours), cut(before), cut(scale), begin, numbers)
        _, solved = jax.lax.scan(window, (zero, fine), each)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), solved)


def _own(team: Team) -> Member:
    """What each member has for itself."""
    keep = lambda tree, own: tree if own else None
    members = team.members
    return Member(keep(members.functions, team.each[0]), keep(members.given, team.each[1]), members.box)


def _of_window(work: Work, own: Member, later: jax.Array) -> Work:
    """The work of one window."""
    shared, each, whole = work.team.members, work.team.each, work.partition
    functions = own.functions if each[0] else shared.functions
    given = own.given if each[1] else shared.given
    end = whole.lower[0] + (whole.upper[0] - whole.lower[0]) / whole.counts[0]
    partition = Partition(whole.lower, (end, *whole.upper[1:]), (1, *whole.counts[1:]), whole.overlap, whole.periodic)
    team = Team(Member(functions, given, own.box), each)
    return Work(team, partition, work.blocks, work.local, work.offset, work.ridge, work.method, work.adjoint,
                work.on_failure, later)  # fmt: skip


def _joined(before: SolveStatus, status: SolveStatus) -> SolveStatus:
    """The status of a window, and that of the one before where it failed."""
    fine = (before == SolveStatus.converged) | (before == SolveStatus.rank_deficient)
    return jax.vmap(lambda ok, a, b: SolveStatus.where(ok, a, b))(fine, status, before)
