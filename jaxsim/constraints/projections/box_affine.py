"""States that satisfy linear equations and stay between bounds."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import lengths, power_of_two
from ...optimize import OnFailure, Solved, SolveStatus
from ...optimize.solves.varying import alike
from . import _states
from ._douglas_rachford import Splitting
from ._outcome import after, status_of, thawed
from ._states import State
from .affine import _Factors, _nearest, _Rows


class BoxAffineProjection(eqx.Module):
    """The nearest state that satisfies linear equations between bounds.

    $$P y = \\arg\\min_x |x - y|_W^2 \\quad\\text{with}\\quad A x = b, \\quad l \\le x \\le h, \\quad
    l_C \\le C x \\le h_C$$

    Over-relaxed Douglas-Rachford steps on the equilibrated problem find out which bounds are active; after some of
    them, and again after twice as many, the bounds that seem active are taken for equations. If the nearest point of
    those is between all bounds and its multipliers have the right signs it is the solution, to rounding; otherwise
    the signs say which bounds to take instead. Derivatives, of every order and mode, are those of the projection on
    the equations and the active bounds: exact where no active bound has a multiplier of zero, and those of one side
    where one has.

    **Arguments:**

    - `matrix`, `values`: $A$ and $b$, as for `AffineProjection`.
    - `low`, `high`: numbers, infinite or not, or arrays that broadcast against the state.
    - `between`: `(C, l_C, h_C)`, further rows with bounds.
    - `metric`: $W$, as for `AffineProjection`.
    - `tolerance`: of the Douglas-Rachford steps, where the active bounds stay in doubt: the largest violation relative
        to the size of the state, the values and the bounds; a number or a traced array. By default 1e-6, and 1e-4 in
        float32.
    - `steps`: at most so many, a number or a traced array.
    - `relaxation`: $\\alpha$, between 0 and 2.
    - `on_failure`: what happens where there is no solution, or the steps were not enough.

    References: Grontas, Terpin et al., Pinet: optimizing hard-constrained neural networks with orthogonal projection
    layers (arXiv 2508.10480), for the layer; Stellato et al., OSQP, Math. Program. Comput. 12, 637 (2020), section 4,
    for polishing; Hintermüller, Ito and Kunisch, SIAM J. Optim. 13, 865 (2002), for changes of the active set; Magoon
    et al., Differentiation through black-box quadratic programming solvers (arXiv 2410.06324), for derivatives.
    """

    matrix: Any
    values: Any
    low: Any = -jnp.inf
    high: Any = jnp.inf
    between: tuple[Any, Any, Any] | None = None
    metric: Any = None
    tolerance: float | jax.Array | None = None
    steps: int | jax.Array = 2000
    relaxation: float | jax.Array = 1.7
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)

    @property
    def complete(self) -> bool:
        """Whether there are values to be held to."""
        return self.values is not None

    def of(self, state: State) -> "BoxAffineProjection":
        """The same projection, to the values $A u$ that a state has."""
        point, _, _ = _states.flattened(state)
        return dataclasses.replace(self, values=_matrix(self.matrix, point) @ point)

    def __call__(self, state: State) -> State:
        """The projected state.

        **Raises:** `ValueError` where values are missing or shapes do not fit.
        """
        return self.solve(state).value

    def solve(self, state: State, guess: State | None = None) -> Solved:
        """The projected state, with what is known of it.

        **Arguments:**

        - `guess`: a solution nearby, such as that for an earlier state. If the same bounds are active now no
            Douglas-Rachford step is taken.

        **Returns:** a `Solved` whose `residual` is the largest violation relative to the sizes that `tolerance` has,
        `steps` the number of Douglas-Rachford steps, and `rank` and `condition` those of the equations and the active
        bounds. A `status` of `infeasible` is a proof, up to rounding, that there is no solution.
        """
        if self.values is None:
            raise ValueError("BoxAffineProjection: there are no values to hold $A y$ to. Give `values`, or take those "
                             "of a state: `projection.of(u0)(u)`.")  # fmt: skip
        point, rebuild, _ = _states.flattened(state)
        roots = jnp.sqrt(_states.flat_weights(state, thawed(self.metric), "BoxAffineProjection").astype(point.dtype))
        roots = roots / power_of_two(jnp.max(roots, initial=0))
        problem, size = _Problem.of(self, state, point, roots).scaled()
        start = None if guess is None else _states.flattened(guess)[0] * roots / size
        tolerance = (1e-6 if point.dtype == jnp.float64 else 1e-4) if self.tolerance is None else self.tolerance
        search = _Search(alike(lax.stop_gradient(problem), start), tolerance, self.steps, self.relaxation)
        sides, inside, proved, impossible, steps = lax.stop_gradient(search(start))
        solved = problem.nearest(sides)
        # Where the active bounds are in doubt the value is that of the steps, which are close.
        moved = jnp.where(proved, solved.value, inside + solved.value - lax.stop_gradient(solved.value))
        residual = lax.stop_gradient(problem.violation(moved))
        otherwise = SolveStatus.where(impossible, SolveStatus.infeasible, SolveStatus.max_steps)
        status = status_of(proved | (residual <= 10 * tolerance) & ~impossible, jnp.isfinite(residual), otherwise)
        value = after(rebuild(size * moved / roots), status, self.on_failure, _FAILED)
        return Solved(value, status, residual, steps, solved.factors.rank, solved.factors.condition)


_FAILED = ("BoxAffineProjection: no state between the bounds satisfies the equations, or the steps were not enough. "
           "Look at `solve(y).status`, allow more `steps`, or see `on_failure`.")  # fmt: skip


class _Sides(eqx.Module):
    """Which bounds are active: -1 the lower, 1 the upper, 0 none; of the unknowns and of the rows of C."""

    unknowns: jax.Array
    rows: jax.Array


class _Active(eqx.Module):
    """The nearest point on the equations and active bounds, with the multipliers of the bounds."""

    value: jax.Array
    unknowns: jax.Array
    rows: jax.Array
    factors: _Factors


class _Problem(eqx.Module):
    """A projection in unknowns whose metric is 1."""

    point: jax.Array
    matrix: jax.Array
    values: jax.Array
    low: jax.Array
    high: jax.Array
    more: jax.Array
    more_low: jax.Array
    more_high: jax.Array

    @classmethod
    def of(cls, given, state, point, roots):
        matrix = _matrix(given.matrix, point) / roots
        bounds = [_states.flat_like(state, thawed(b), "BoxAffineProjection") for b in (given.low, given.high)]
        infinite = [jnp.isinf(b) for b in bounds]  # times a root its derivative would be NaN
        bounds = [jnp.where(away, b, jnp.where(away, 0, b) * roots) for away, b in zip(infinite, bounds)]
        values = jnp.ravel(jnp.asarray(thawed(given.values), point.dtype))
        if given.between is None:
            more, more_low, more_high = matrix[:0], values[:0], values[:0]
        else:
            more = _matrix(given.between[0], point) / roots
            more_low, more_high = (jnp.broadcast_to(jnp.asarray(thawed(b), point.dtype), (len(more),))
                                   for b in given.between[1:])  # fmt: skip
        if values.shape != (len(matrix),):
            raise ValueError(f"BoxAffineProjection: `values` need {len(matrix)} numbers, one for each row; got "
                             f"{values.size}.")  # fmt: skip
        return cls(point * roots, matrix, values, *bounds, more, more_low, more_high)

    def scaled(self) -> tuple["_Problem", jax.Array]:
        """The same problem with rows of lengths near 1 and a solution of a size near 1, and the unit of the solution.

        Bounds count as far as they move the point: a bound may be there to be large.
        """
        units, more_units = power_of_two(lengths(self.matrix)), power_of_two(lengths(self.more))
        values, low, high = self.values / units, self.more_low / more_units, self.more_high / more_units
        more = self.more / more_units[:, None]
        inside = jnp.clip(self.point, self.low, self.high)
        sizes = [self.point, inside, values, jnp.clip(more @ inside, low, high)]
        size = power_of_two(jnp.max(jnp.abs(jnp.concatenate(sizes)), initial=0))
        return _Problem(self.point / size, self.matrix / units[:, None], values / size, self.low / size,
                        self.high / size, more, low / size, high / size), size  # fmt: skip

    def nearest(self, sides: _Sides) -> _Active:
        """The projection on the equations and active bounds: unknowns at a bound leave, active rows join."""
        free = sides.unknowns == 0
        bound = jnp.where(free, 0, jnp.where(sides.unknowns < 0, self.low, self.high))
        joined = sides.rows != 0
        right = jnp.where(joined, jnp.where(sides.rows < 0, self.more_low, self.more_high), 0)
        matrix = jnp.concatenate([self.matrix, jnp.where(joined[:, None], self.more, 0)])
        right = jnp.concatenate([self.values, right]) - matrix @ bound
        reduced, weights = jnp.where(free, matrix, 0), jnp.ones_like(self.point)
        factors = _Factors.of(reduced, weights)
        given = reduced, jnp.where(free, self.point, 0), right, weights
        moved, multipliers, _ = _nearest(given, rows=_Rows(None), how=factors)
        value = jnp.where(free, moved, bound)
        own = self.point - value - matrix.T @ multipliers
        return _Active(value, jnp.where(free, 0, own), multipliers[len(self.values) :], factors)

    def violation(self, value) -> jax.Array:
        """The largest violation of an equation, with rows of unit length, or a bound, beside 1 plus the size."""
        rows, own, more = self.more @ value, lengths(self.matrix), lengths(self.more)
        own, more = (jnp.maximum(size, jnp.finfo(value.dtype).tiny) for size in (own, more))  # 0 = b for no b but zero
        parts = [jnp.abs(self.matrix @ value - self.values) / own, self.low - value, value - self.high,
                 (self.more_low - rows) / more, (rows - self.more_high) / more]  # fmt: skip
        worst = jnp.max(jnp.concatenate(parts), initial=0)
        worst = jnp.where(jnp.any(jnp.isnan(value)), jnp.nan, worst)
        return worst / (1 + jnp.max(jnp.abs(value)))

    def changed(self, sides: _Sides, active: _Active) -> tuple[_Sides, jax.Array]:
        """The bounds that the solution for some speaks for, and the largest wrong sign or violation."""
        rows = self.more @ active.value

        def judge(side, value, low, high, multiplier):
            side = jnp.where(side * multiplier < 0, 0, side)
            return jnp.where(value < low, -1, jnp.where(value > high, 1, side))

        new = _Sides(judge(sides.unknowns, active.value, self.low, self.high, active.unknowns),
                     judge(sides.rows, rows, self.more_low, self.more_high, active.rows))  # fmt: skip
        wrong = [-sides.unknowns * active.unknowns, -sides.rows * active.rows * lengths(self.more)]
        scale = 1 + jnp.max(jnp.abs(self.point - active.value)) + jnp.max(jnp.abs(active.value))
        return new, jnp.maximum(jnp.max(jnp.concatenate(wrong), initial=0) / scale, self.violation(active.value))


class _Search(eqx.Module):
    """The search for the active bounds."""

    problem: _Problem
    tolerance: Any
    limit: Any
    relaxation: Any

    def __call__(self, guess):
        """Active bounds, the last iterate, whether the bounds are proved right, whether none can be, and steps."""
        p = self.problem
        size, more = len(p.point), len(p.more)
        joint = jnp.block([[p.matrix, jnp.zeros((len(p.matrix), more), p.point.dtype)],
                           [p.more, -jnp.eye(more, dtype=p.point.dtype)]])  # fmt: skip
        right = jnp.concatenate([p.values, jnp.zeros(more, p.point.dtype)])
        low, high = jnp.concatenate([p.low, p.more_low]), jnp.concatenate([p.high, p.more_high])
        point = jnp.concatenate([p.point, p.more @ p.point])
        free = jnp.concatenate([jnp.ones(size, p.point.dtype), jnp.zeros(more, p.point.dtype)])
        splitting = Splitting.of(joint, right, low, high, point, free)

        if guess is None:
            sides, more = self._sides(splitting, splitting.point), 25
        else:  # no steps before the bounds of the guess were tried
            sides, more = _Sides(_at(guess, p.low, p.high), _at(p.more @ guess, p.more_low, p.more_high)), 0

        def going(carry):
            s, change, _, proved, impossible, steps, _, first = carry
            open_ = (splitting.residual(s, change) > self.tolerance) & (steps < self.limit)
            return first | ~proved & ~impossible & open_ & jnp.all(jnp.isfinite(change))

        def round_(carry):
            s, change, sides, _, _, steps, more, first = carry
            s, change, steps = self.split(splitting, s, change, steps, more)
            guessed = first & (more == 0)
            own = jax.tree.map(lambda a, b: jnp.where(guessed, a, b), sides, self._sides(splitting, s))
            better, proved, active = self.settled(own)
            sides = jax.tree.map(lambda a, b: jnp.where(proved, a, b), better, own)
            again = splitting.start(jnp.concatenate([active.value, p.more @ active.value]),
                                    jnp.concatenate([active.unknowns, active.rows]))  # fmt: skip
            s = jnp.where(guessed & jnp.all(jnp.isfinite(again)), again, s)
            change = splitting.change(s)
            impossible = splitting.impossible(change) & ~guessed & ~proved
            more = jnp.where(guessed, 25, 2 * more)
            return alike((s, change, sides, proved, impossible, steps, more, jnp.asarray(False)), p)

        s = splitting.point
        carry = (s, splitting.change(s), sides, jnp.asarray(False), jnp.asarray(False), jnp.asarray(0),
                 jnp.asarray(more), jnp.asarray(True))  # fmt: skip
        s, _, sides, proved, impossible, steps, *_ = lax.while_loop(going, round_, alike(carry, p))
        return sides, (splitting.scales * splitting.clipped(s))[:size], proved, impossible, steps

    def split(self, splitting, s, change, steps, more):
        """Douglas-Rachford steps until the tolerance is met, or so many."""
        last = jnp.minimum(steps + more, self.limit)

        def going(carry):
            s, change, steps = carry
            return (steps < last) & (splitting.residual(s, change) > self.tolerance)

        def step(carry):
            s, change, steps = carry
            s = s + jnp.asarray(self.relaxation, s.dtype) * change
            return s, splitting.change(s), steps + 1

        return lax.while_loop(going, step, (s, change, steps))

    def settled(self, sides: _Sides) -> tuple[_Sides, jax.Array, _Active]:
        """Active bounds after changes that their solutions speak for, and whether these are right."""
        enough = 1e-2 * jnp.finfo(self.problem.point.dtype).eps ** 0.5

        def going(carry):
            sides, new, _, proved, count = carry
            same = jnp.all(new.unknowns == sides.unknowns) & jnp.all(new.rows == sides.rows)
            return ~proved & ((count == 0) | ~same) & (count < 8)

        def step(carry):
            _, sides, _, _, count = carry
            active = self.problem.nearest(sides)
            new, wrong = self.problem.changed(sides, active)
            return alike((sides, new, active, wrong <= enough, count + 1), self.problem)  # also what has no entries

        shapes = jax.eval_shape(self.problem.nearest, sides)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        carry = alike((sides, sides, nothing, jnp.asarray(False), jnp.asarray(0)), self.problem)
        sides, _, active, proved, _ = lax.while_loop(going, step, carry)
        return sides, proved, active

    def _sides(self, splitting, s) -> _Sides:
        size = len(self.problem.point)
        side = jnp.where(s < splitting.low, -1, jnp.where(s > splitting.high, 1, 0))
        return _Sides(side[:size], side[size:])


def _at(value, low, high) -> jax.Array:
    """Which bound a value lies on."""
    near = jnp.finfo(value.dtype).eps ** 0.5
    close = lambda bound: jnp.abs(value - bound) <= near * (1 + jnp.abs(bound))
    return jnp.where(close(low), -1, jnp.where(close(high), 1, 0))


def _matrix(matrix, point) -> jax.Array:
    matrix = jnp.asarray(thawed(matrix), point.dtype)
    if matrix.ndim < 2 or matrix.size != len(matrix) * point.size:
        raise ValueError(f"BoxAffineProjection: matrices need shape (m, {point.size}), one column for each number of "
                         f"the state; got {matrix.shape}.")  # fmt: skip
    return matrix.reshape(len(matrix), point.size)
