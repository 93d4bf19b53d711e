"""How experts come to agree where their boxes meet."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ...norms import lengths, norm, power_of_two
from ...optimize import Direct, GaussNewton, Solved, least_squares, number
from ...optimize.solves.affine import is_affine
from ._bordered import Bordered
from ._work import Held, Work, sums
from .partition import Faces


class AbstractCoupling(eqx.Module):
    """A way to solve for the weights of all experts."""

    @abc.abstractmethod
    def solve(self, work: Work, guess: jax.Array | None, held: dict[str, Held]) -> Solved:
        """Weights `(K, N)`, and what is known of each expert's, with a leading axis $K$.

        **Arguments:**

        - `guess`: shape `(N,)` or `(K, N)`.
        - `held`: what experts are held to beside their own rows, with a leading axis $K$.
        """


class Alone(AbstractCoupling):
    """No coupling: each expert solves its own rows."""

    def solve(self, work: Work, guess: jax.Array | None, held: dict[str, Held]) -> Solved:
        one = lambda member, guess, held: work.alone(member, guess, work.noted(member), held)
        return work.team.map(one, work.beginning(guess), held)


class Interface(AbstractCoupling):
    """One least-squares problem for all experts, with rows for what a field does not do where two boxes meet: jump.

    $$\\sum_k |r_k(w_k)|^2 + \\sum_{\\mathrm{faces}} \\frac{1}{P} \\sum_s \\big(c_0 |[u]_s|^2 +
    c_1 |[\\partial_n u]_s|^2\\big)$$

    Across faces of space the normal derivative is continuous too; where time is cut, the value alone counts, as for
    equations of first order in time.

    **Arguments:**

    - `points`: on each face, along each of its axes.
    - `value`, `derivative`: $c_0$ and $c_1$, in units of the other blocks' weights.

    With it `status`, `steps`, `rank` and `condition` are those of the whole, the same for each expert. The residual
    `"interface"` of an expert is the norm of the rows on all of its faces.
    """

    points: int = eqx.field(static=True, default=16)
    value: Any = 400.0
    derivative: Any = 1.0

    def solve(self, work: Work, guess: jax.Array | None, held: dict[str, Held]) -> Solved:
        return joint(work, self, work.beginning(guess), held)

    def jumps(self, work: Work, across: list[Faces]) -> list[list[tuple[jax.Array, jax.Array]]]:
        """What the functions of the lower and the upper expert do on faces: for the value, and in space for the
        derivative, two arrays `(F, P, N, *components)`, with their weights in them."""
        found = []
        for faces in across:
            axis = faces.axis if faces.axis > 0 else None
            lower = work.at_faces(faces.owner, faces.points, axis)
            upper = work.at_faces(faces.other, faces.beyond, axis)
            scales = [jnp.sqrt(number(c, lower[0]) / faces.points.shape[1]) for c in (self.value, self.derivative)]
            found.append([(c * a, c * b) for c, a, b in zip(scales, lower, upper)])
        return found


def joint(work: Work, coupling: Interface, guess: jax.Array, held: dict[str, Held]) -> Solved:
    """All weights at once."""
    noted = work.team.map(work.noted)
    across = work.partition.interfaces(coupling.points)
    jumps = coupling.jumps(work, across)
    count, size = guess.shape
    team = work.team.without_functions()

    def jumps_of(weights, jumps):
        jump = lambda faces, pairs: [_jump(faces, pair, weights) for pair in pairs]
        return [*map(jump, across, jumps)]

    def rows(flat, parameters):
        (work, team, noted, held), jumps = parameters
        weights = flat.reshape(count, size)
        one = lambda *arguments: _flat(work.rows(*arguments))
        return team.map(one, noted, held, weights), jumps_of(weights, jumps)

    def jacobian(flat, parameters):
        (work, team, noted, held), jumps = parameters
        one = lambda *arguments: _flat(work.jacobian(*arguments), size)
        own = _spread(team.map(one, noted, held, flat.reshape(count, size)), np.arange(count), count)
        return own, [[_spread_jump(faces, pair, count) for pair in pairs] for faces, pairs in zip(across, jumps)]

    parameters = (work.without_team(), team, noted, held), jumps
    flat = guess.reshape(-1)
    height = eqx.filter_eval_shape(rows, flat, parameters)[0].shape[1]
    direct = work.method is None and is_affine(lambda w: ravel_pytree(rows(w, parameters))[0], flat)
    method = (Direct() if direct else GaussNewton()) if work.method is None else work.method
    solved = least_squares(rows, flat, parameters, method=Bordered(method, count, height), adjoint=work.adjoint,
                           on_failure=work.on_failure, jacobian=jacobian)  # fmt: skip
    weights = solved.value.reshape(count, size)
    still = jax.lax.stop_gradient(weights)
    own, between = team.map(work.rows, noted, held, still), jumps_of(still, jumps)
    residual = jax.tree.map(lambda block: lengths(block.reshape(count, -1)), own)
    residual, between = jax.lax.stop_gradient((residual, between))
    unit = power_of_two(norm(between))
    squares = jnp.zeros(count, weights.dtype)
    for faces, blocks in zip(across, between):
        here = sum(jnp.sum((block.reshape(len(faces.owner), -1) / unit) ** 2, 1) for block in blocks)
        squares = squares.at[faces.owner].add(here).at[faces.other].add(here)
    for_each = lambda leaf: jnp.broadcast_to(leaf, (count,))
    status, *rest = jax.tree.map(for_each, (solved.status, solved.steps, solved.rank, solved.condition))
    return Solved(weights, status, residual | {"interface": unit * jnp.sqrt(squares)}, *rest)


def _flat(blocks: dict[str, jax.Array], size: int | None = None) -> jax.Array:
    """All rows of an expert `(m,)`, or their derivatives `(m, N)`."""
    return jnp.concatenate([block.reshape(-1, *([] if size is None else [size])) for block in blocks.values()])


def _jump(faces: Faces, pair, weights) -> jax.Array:
    each = jax.vmap(sums)
    return each(pair[0], weights[faces.owner]) - each(pair[1], weights[faces.other])


def _spread_jump(faces: Faces, pair, count: int) -> jax.Array:
    lower, upper = (jnp.moveaxis(part, 2, -1) for part in pair)
    return _spread(lower, faces.owner, count) - _spread(upper, faces.other, count)


def _spread(block: jax.Array, index: np.ndarray, count: int) -> jax.Array:
    """Derivatives in the weights of the experts `index` as those in the weights of all, `(F, ..., N)` to
    `(F, ..., K N)`."""
    chosen = jnp.asarray(np.eye(count)[index].reshape(len(index), *([1] * (block.ndim - 2)), count, 1), block.dtype)
    return (chosen * block[..., None, :]).reshape(*block.shape[:-1], -1)
