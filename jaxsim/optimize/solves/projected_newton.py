"""Newton's method for the point of a surface that is nearest to a given one."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import lengths, norm, power_of_two, quotient
from .solved import SolveStatus
from .thin_qr import PseudoInverse, ThinQR
from .varying import alike

Function = Callable[[jax.Array], jax.Array]


class SurfaceState(NamedTuple):
    """An iterate: the point `(n,)`, the constraint there `(m,)`, factors of the transposed Jacobian, the norm of the
    part of the distance that lies in the surface, the penalty, whether no step helps, the number of steps, and what one
    is in the units of the point and of the constraint."""

    point: jax.Array
    violation: jax.Array
    inverse: PseudoInverse
    along: jax.Array
    penalty: jax.Array
    stuck: jax.Array
    steps: jax.Array
    one: tuple[jax.Array, jax.Array]


class ProjectedNewton(eqx.Module):
    """Steps toward the surface and along it, for $\\min \\frac12 |y - p|^2$ under $c(y) = 0$.

    The step toward the surface is the shortest that makes $c + J d = 0$. The step along it solves Newton's system with
    the curvature of the constraint, $I + \\sum_i \\lambda_i \\nabla^2 c_i$, on the null space of $J$ by conjugate
    gradients, which stop at a direction of negative curvature. Both are halved until $\\frac12 |y - p|^2 + \\mu |c|$
    falls. $J$ is factorized by reflections, never multiplied with itself. It ends where $|c|$ is at most `tolerance`,
    or the rounding of $J y$, and the part of $y - p$ along the surface at most `tolerance` $(1 + |y - p|)$. Where the
    point is smaller than 1 its size takes the place of the 1, and so does that of $J_i y$ for a constraint $c_i$.

    **Arguments:**

    - `tolerance`: a number or a traced array; by default the square root of the precision over 100, 1.5e-10 in float64.
    - `steps`: at most so many, a number or a traced array.

    Reference: Nocedal and Wright, Numerical Optimization (2006), sections 16.3, 18.3 and 18.5.
    """

    tolerance: float | jax.Array | None = None
    steps: int | jax.Array = 50

    def start(self, constraint: Function, target: jax.Array, guess: jax.Array,
              one: tuple[jax.Array, jax.Array]) -> SurfaceState:  # fmt: skip
        """The state at a guess; `one` is what it is in the units of the point and of each constraint."""
        violation, inverse = constraint(guess), surface(constraint, guess)
        along = norm(inverse.across(lax.stop_gradient(guess - target)))
        none = jnp.zeros((), guess.dtype)
        return SurfaceState(guess, violation, inverse, along, none, jnp.asarray(False), jnp.asarray(0), one)

    def going(self, state: SurfaceState, target: jax.Array) -> jax.Array:
        """Whether another step is due."""
        end = self._met(state, target) | state.stuck | (state.steps >= self.steps)
        return ~end & jnp.all(jnp.isfinite(state.violation))

    def step(self, constraint: Function, target: jax.Array, state: SurfaceState, affine: bool) -> SurfaceState:
        """One step, halved where needed."""
        point, violation, inverse = state.point, state.violation, state.inverse
        multipliers = inverse.solve(point - target, jnp.zeros_like(violation))[1]
        bend = None if affine else curvature_of(constraint, point, multipliers)
        change, multipliers, _ = kkt_solve(inverse, bend, target - point, -violation)
        penalty = jnp.maximum(state.penalty, 2 * norm(multipliers))

        here = _merit(point, target, violation, penalty)
        slope = jnp.minimum((point - target) @ change - penalty * norm(violation), 0)
        slack = 8 * jnp.finfo(point.dtype).eps * here

        def trial(length):
            ahead = point + length * change
            reached = constraint(ahead)
            # Else back to where the linear model led, so that a curved surface does not spoil a good step.
            corrected = ahead - inverse.least(reached - (1 - length) * violation)
            plain = enough(length, ahead, reached)
            ahead = jnp.where(plain, ahead, corrected)
            reached = jnp.where(plain, reached, constraint(corrected))
            return length, ahead, reached, plain | enough(length, ahead, reached)

        enough = lambda length, ahead, reached: (
            _merit(ahead, target, reached, penalty) <= here + 1e-4 * length * slope + slack
        )
        bad = lambda carry: ~carry[3] & (carry[0] > 1e-9)
        start = trial(jnp.ones((), point.dtype))
        found = lax.while_loop(bad, lambda carry: trial(carry[0] / 2), alike(start, point, violation, penalty))
        _, ahead, reached, taken = found
        point, violation = jnp.where(taken, ahead, point), jnp.where(taken, reached, violation)
        # A step of no length, where more is wanted, will be followed by others.
        stuck = ~taken | (norm(change) <= jnp.finfo(point.dtype).eps * norm(point))
        inverse = surface(constraint, point)
        along = norm(inverse.across(point - target))
        return SurfaceState(point, violation, inverse, along, penalty, stuck, state.steps + 1, state.one)

    def status(self, state: SurfaceState, target: jax.Array) -> SolveStatus:
        """How it ended."""
        rank = state.inverse.rank < state.violation.size
        done = SolveStatus.where(rank, SolveStatus.rank_deficient, SolveStatus.converged)
        status = SolveStatus.where(state.stuck, SolveStatus.stalled, SolveStatus.max_steps)
        status = SolveStatus.where(self._met(state, target), done, status)
        return SolveStatus.where(jnp.all(jnp.isfinite(state.violation)), status, SolveStatus.nonfinite)

    def _met(self, state, target):
        tolerance = 1e-2 * jnp.finfo(target.dtype).eps ** 0.5 if self.tolerance is None else self.tolerance
        size = jnp.maximum(norm(target), norm(state.point))
        near = state.along <= tolerance * (jnp.minimum(state.one[0], size) + norm(state.point - target))
        rounding = jnp.finfo(target.dtype).eps * norm(state.inverse.values) * norm(state.point)
        least = jnp.minimum(state.one[1], size * lengths(state.inverse.factors.triangle, 0))
        relative = quotient(state.violation, jnp.where(least > 0, least, 1))
        small = norm(jnp.where(least > 0, relative, jnp.where(state.violation == 0, 0, jnp.inf))) <= tolerance
        return near & (small | (norm(state.violation) <= 8 * rounding))


def surface(constraint: Function, point: jax.Array) -> PseudoInverse:
    """Factors of the transposed Jacobian of a constraint, without gradient."""
    return PseudoInverse.of(ThinQR.of(jax.jacrev(constraint)(lax.stop_gradient(point)).T))


def curvature_of(constraint: Function, point: jax.Array, multipliers: jax.Array) -> Function:
    """Products with $\\sum_i \\lambda_i \\nabla^2 c_i$."""
    gradient = lambda y: jax.vjp(constraint, y)[1](multipliers)[0]
    return lambda x: jax.jvp(gradient, (point,), (x,))[1]


def kkt_solve(inverse: PseudoInverse, bend: Function | None, b: jax.Array, c: jax.Array
              ) -> tuple[jax.Array, jax.Array, jax.Array]:  # fmt: skip
    """The $x, \\lambda$ with $(I + H) x + J^T \\lambda = b$ and $J x = c$, and whether that was a minimum along the
    surface; $H$ is given by its products, zero for `None`."""
    x = inverse.least(c)
    ok = jnp.asarray(True)
    if bend is None:
        x, bent = x + inverse.across(b - x), jnp.zeros_like(x)
    else:
        along, ok = _along(bend, inverse, b - x - bend(x))
        x = x + along
        bent = bend(x)
    return x, inverse.solve(-(b - x - bent), jnp.zeros_like(c))[1], ok


def _along(bend, inverse, whole):
    """$x$ in the null space with $P (I + H) x = P b$ by conjugate gradients."""
    unit = power_of_two(norm(whole))
    right = inverse.across(whole / unit)
    # What is left of a vector across the surface is rounding and has no direction.
    target = 4 * jnp.finfo(right.dtype).eps * norm(whole / unit)

    def going(carry):
        _, left, _, bad, steps = carry
        return (norm(left) > target) & ~bad & (steps < 10 * len(right))

    def advance(carry):
        x, left, direction, _, steps = carry
        image = inverse.across(direction + bend(direction))
        curved, square = direction @ image, left @ left
        bad = ~(curved > 0)
        length = square / jnp.where(bad, 1, curved)
        # At a direction that the function is not convex in, what there is so far; at first the steepest one.
        length = jnp.where(bad, jnp.where(steps == 0, 1, 0), length)
        ahead = left - length * image
        # A residual that is below rounding does not fall any more.
        small = norm(ahead) <= 4 * target
        ahead = jnp.where(small, 0, inverse.across(ahead))
        weight = (ahead @ ahead) / jnp.where(square > 0, square, 1)
        return x + length * direction, ahead, ahead + weight * direction, bad, steps + 1

    start = (jnp.zeros_like(right), right, right, jnp.asarray(False), jnp.asarray(0))
    x, left, _, bad, _ = lax.while_loop(going, advance, alike(start, right, bend(right), inverse))
    return unit * x, ~bad & (norm(left) <= target)


def _merit(point, target, violation, penalty):
    return jnp.sum((point - target) ** 2) / 2 + penalty * norm(violation)
