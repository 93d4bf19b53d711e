"""States held to given integrals: mass, momentum, energy."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import lengths, power_of_two, quotient
from ...optimize import OnFailure, Solved, SolveStatus
from ...optimize.solves.varying import alike
from . import _states
from ._outcome import after, status_of, thawed
from ._states import State
from .quadrature import Quadrature


class IntegralProjection(eqx.Module):
    """The nearest state with given integrals, such as those of mass and momentum, and a given energy.

    Linear integrals $I_k(u) = \\int g_k u = b_k$ are met by a multiple of the integrands, the least change in the norm
    of the quadrature,

    $$P u = u + \\sum_k \\lambda_k g_k, \\qquad \\sum_l \\lambda_l \\int g_k g_l = b_k - I_k(u)$$

    For mass it is a constant. A quadratic integral $q(u) = e$ as well is met by scaling the fluctuation about the
    shortest state $m$ that has the linear integrals, $u' = m + s\\,(P u - m)$, with the root $s$ of $q(u') = e$ nearest
    to 1: the nearest state where $q$ is the norm of the quadrature, such as $\\int u^2$, and next to it otherwise. All
    hold to rounding. For several quadratic integrals see `NonlinearProjection`.

    **Arguments:**

    - `integrals`: a function of the state, linear in it (or affine), that returns the integrals, a pytree of real
        numbers; that of every component by default. `lambda u: ()` for none. The integrands $g_k$ are its derivatives.
    - `values`: $b$, like what `integrals` returns. Gradients flow to arrays given here; put them in
        `jaxsim.optimize.Frozen` to keep them from being trained. Without them the projection is not complete: see `of`.
    - `quadratic`: $q$, a function of the state that returns a number, a polynomial of second degree.
    - `level`: $e$, its value.
    - `quadrature`: for states that are plain arrays, their `Quadrature`. Fields bring their own.
    - `on_failure`: what happens where integrals contradict each other or no state has the level: a `Solved.status` of
        `infeasible`.

    States are `js.Field`s, arrays, or pytrees of them; batches go through `jax.vmap`.

    Reference: Hairer, Lubich and Wanner, Geometric Numerical Integration (2006), section IV.4; for a scaled
    fluctuation, Calvo, Hernández-Abreu, Montijano and Rández, SIAM J. Sci. Comput. 28, 868 (2006).

    !!! example

        ```python
        keep = IntegralProjection(quadratic=lambda u: js.inner(u, u)).of(u0)    # mass and momentum of a wave
        u1 = keep(network(u0))
        ```
    """

    integrals: Callable | None = None
    values: Any = None
    quadratic: Callable | None = None
    level: Any = None
    quadrature: Quadrature | None = None
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)

    def __check_init__(self):
        if self.level is not None and self.quadratic is None:
            raise ValueError("IntegralProjection: `level` is the value of a `quadratic` integral; give that as well.")

    @property
    def complete(self) -> bool:
        """Whether the integrals have values to be held to."""
        return self.values is not None and (self.quadratic is None or self.level is not None)

    def measured(self, state: State) -> tuple[Any, jax.Array | None]:
        """The integrals of a state, and its quadratic integral if there is one."""
        if self.integrals is None:
            linear = _states.integrals_of(state, self.quadrature, "IntegralProjection")
        else:
            linear = self.integrals(state)
        return linear, None if self.quadratic is None else self.quadratic(state)

    def of(self, state: State) -> "IntegralProjection":
        """The same projection, to the integrals that a state has."""
        values, level = self.measured(state)
        return dataclasses.replace(self, values=values, level=level)

    def __call__(self, state: State) -> State:
        """The projected state.

        **Raises:** `ValueError` where values are missing or of another structure than the integrals.
        """
        return self.solve(state).value

    def solve(self, state: State) -> Solved:
        """The projected state, with what is known of it.

        **Returns:** a `Solved` whose `residual` is the largest violation, relative to the integral of absolute values;
        `rank` and `condition` are those of the integrands.
        """
        if not self.complete:
            raise ValueError("IntegralProjection: there are no values to hold the integrals to. Give `values` (and "
                             "`level`), or take those of a state: `projection.of(u0)(u)`.")  # fmt: skip
        problem = _Problem.at(self, state)
        moved, (rank, condition) = problem.met(problem.start)
        violation = problem.violation(moved)
        if self.quadratic is not None:
            moved, excess = problem.leveled(moved)
            violation = jnp.maximum(violation, excess)
        finite = jnp.isfinite(violation) & jnp.all(jnp.isfinite(_states.real_vector(moved)))
        met = violation <= 1e3 * jnp.finfo(violation.dtype).eps
        status = status_of(met, finite, SolveStatus.infeasible)
        value = after(_states.rebuilt(state, moved), status, self.on_failure, _FAILED)
        steps = jnp.asarray(1)
        return Solved(value, status, *lax.stop_gradient((violation, steps, rank, condition)))


_FAILED = ("IntegralProjection: no state has these integrals. They contradict each other, are not linear, or the level "
           "of the quadratic one lies beyond what the linear ones admit; see `solve` and `on_failure`.")  # fmt: skip


class _Problem(eqx.Module):
    """A projection at a state, in nodal values."""

    projection: IntegralProjection
    state: State
    start: Any
    weights: Any
    wanted: jax.Array

    @classmethod
    def at(cls, projection, state):
        start = _states.nodal(state)
        weights = _states.weights(state, projection.quadrature, "IntegralProjection")
        values, level = thawed(projection.values), thawed(projection.level)
        linear = jax.eval_shape(lambda v: projection.measured(_states.rebuilt(state, v))[0], start)
        dtype = jnp.finfo(jnp.result_type(*jax.tree.leaves(start))).dtype
        try:
            wanted = jax.tree.map(lambda like, b: jnp.broadcast_to(jnp.asarray(b), like.shape), linear, values)
        except ValueError as error:
            raise ValueError(f"IntegralProjection: `values` must be like what `integrals` returns, {linear}; got "
                             f"{eqx.tree_pformat(values)}.") from error  # fmt: skip
        projection = dataclasses.replace(projection, values=values, level=level)
        return cls(projection, state, start, weights, _states.real_vector(wanted).astype(dtype))

    def linear(self, values) -> jax.Array:
        state = _states.rebuilt(self.state, values)
        return _states.real_vector(self.projection.measured(state)[0]).astype(self.wanted.dtype)

    def level_of(self, values) -> jax.Array:
        _, level = self.projection.measured(_states.rebuilt(self.state, values))
        level = jnp.asarray(level)
        if level.shape or jnp.iscomplexobj(level):
            raise TypeError(f"IntegralProjection: `quadratic` must return one real number, got {level.dtype} of shape "
                            f"{level.shape}.")  # fmt: skip
        return level.astype(self.wanted.dtype)

    def integrands(self):
        """$g_k$ as changes of the nodal values, with a leading axis, and the derivatives that they come from."""
        found, back = jax.vjp(self.linear, self.start)
        units = alike(jnp.eye(self.wanted.size, dtype=self.wanted.dtype), found)
        slopes = jax.vmap(lambda unit: back(unit)[0])(units)
        return jax.tree.map(lambda g, w: jnp.conj(g) / w, slopes, self.weights), slopes

    def met(self, start):
        """Values next to some with the linear integrals, and the rank and condition of the integrands."""
        size = self.wanted.size
        if size == 0:
            return start, (jnp.asarray(0), jnp.ones((), self.wanted.dtype))
        changes, slopes = self.integrands()
        # Every integral in a unit of its own, since the products of integrands are squares.
        units = power_of_two(self._sizes(slopes))
        changes, slopes = jax.tree.map(lambda g: g / units.reshape(-1, *[1] * (g.ndim - 1)), (changes, slopes))
        gram = sum(_gram(a, b, size) for a, b in zip(jax.tree.leaves(slopes), jax.tree.leaves(changes)))
        inverse, rank, condition = _pseudo_inverse(lax.stop_gradient(gram))

        def solve(matvec, right):
            found = inverse @ right
            return alike(found + inverse @ (right - matvec(found)), right)

        multipliers = jnp.zeros_like(self.wanted)
        for _ in range(2):  # the second removes rounding
            missing = (self.wanted - self.linear(_changed(start, multipliers, changes))) / units
            missing = alike(missing, gram)
            multipliers += lax.custom_linear_solve(lambda v: gram @ v, missing, solve, solve, symmetric=True)
        return _changed(start, multipliers, changes), (rank, condition)

    def _sizes(self, slopes) -> jax.Array:
        """Norms of the integrands in the metric."""
        parts = jax.tree.map(lambda g, w: lengths((g / jnp.sqrt(w)).reshape(len(g), -1)), slopes, self.weights)
        return lengths(jnp.stack(jax.tree.leaves(lax.stop_gradient(parts))), 0)

    def violation(self, values) -> jax.Array:
        """The largest deviation of a linear integral, relative to the integral of absolute values."""
        if self.wanted.size == 0:
            return jnp.zeros((), self.wanted.dtype)
        _, slopes = self.integrands()
        bulk = lambda g, v: jnp.sum(jnp.abs(g) * jnp.abs(v), tuple(range(1, g.ndim)))
        scale = _states.total(jax.tree.map(bulk, slopes, values)) + jnp.abs(self.wanted)
        return jnp.max(jnp.abs(self.wanted - self.linear(values)) / jnp.where(scale > 0, scale, 1))

    def leveled(self, values):
        """Values whose fluctuation is scaled to the level, and the relative deviation that is left."""
        shortest, _ = self.met(jax.tree.map(jnp.zeros_like, values))
        fluctuation = jax.tree.map(lambda a, b: a - b, values, shortest)
        at = lambda s: jax.tree.map(lambda m, f: m + s * f, shortest, fluctuation)
        q = lambda s: self.level_of(at(s))
        ones = jnp.asarray([0.0, 1.0, -1.0], self.wanted.dtype)
        rest, ahead, behind = jax.vmap(q)(ones)
        level = jnp.asarray(self.projection.level, self.wanted.dtype)
        curve, slope = (ahead + behind) / 2 - rest, (ahead - behind) / 2
        scale = _nearest_root(curve, slope, rest - level)
        rate = 2 * curve * scale + slope
        scale = scale - quotient(q(scale) - level, jnp.where(rate == 0, 1, rate))  # to rounding
        size = jnp.abs(level) + jnp.abs(curve) + jnp.abs(rest)
        left = jnp.abs(q(scale) - level) / jnp.where(size > 0, size, 1)
        return at(scale), left


def _nearest_root(a, b, c):
    """The root of $a s^2 + b s + c$ nearest to 1, or the extremum where there is none."""
    unit = power_of_two(jnp.max(jnp.abs(jnp.stack([a, b, c]))))
    a, b, c = a / unit, b / unit, c / unit
    square = b * b - 4 * a * c
    root = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
    sum_ = -(b + jnp.where(b < 0, -root, root)) / 2
    first = jnp.where(a == 0, jnp.inf, sum_ / jnp.where(a == 0, 1, a))
    second = jnp.where(sum_ == 0, first, c / jnp.where(sum_ == 0, 1, sum_))
    scale = jnp.where(jnp.abs(first - 1) <= jnp.abs(second - 1), first, second)
    return jnp.where(jnp.isfinite(scale), scale, 1)


def _gram(slopes, changes, size) -> jax.Array:
    return jnp.real(slopes.reshape(size, -1) @ changes.reshape(size, -1).T)


def _pseudo_inverse(gram) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of a positive semidefinite matrix with unit diagonal after scaling, its rank, and the condition of the rows."""
    norms = jnp.sqrt(jnp.diagonal(gram))
    norms = jnp.where(norms > 0, norms, 1)
    values, vectors = jnp.linalg.eigh(gram / norms / norms[:, None])
    kept = values > 10 * len(norms) * jnp.finfo(gram.dtype).eps * jnp.max(values)
    inverse = (vectors * jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)) @ vectors.T / norms / norms[:, None]
    condition = jnp.sqrt(jnp.max(values) / jnp.min(jnp.where(kept, values, jnp.inf)))
    return inverse, jnp.sum(kept), jnp.where(jnp.all(kept), condition, jnp.inf)


def _changed(start, multipliers, changes):
    return jax.tree.map(
        lambda v, h: v + jnp.tensordot(multipliers.astype(h.dtype), h, 1).astype(v.dtype), start, changes
    )
