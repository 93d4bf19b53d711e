"""Geometric multigrid for diffusion on cells."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..norms import power_of_two
from .bases import Side
from .diffusion import Sides, VariableDiffusion, apply, diagonal
from .symmetric import SymmetricOperator

# Unknowns of the coarsest grid, whose matrix is inverted: it has to be small beside the finest grid's work.
COARSEST = 1024


class Multigrid(SymmetricOperator):
    """One V-cycle of geometric multigrid for variable diffusion, as a preconditioner.

    Pairs of cells are merged along the axes with the closest cells (all, where cells are about square). Corrections
    are interpolated linearly between cells, $P$, and residuals restricted by $R = P^T / 2^d$; coarse operators keep
    the resistance of the fine grid between neighbors, in series along the axis and in parallel across it. Before and
    after, a Chebyshev polynomial of the fourth kind in $D^{-1}A$, whose eigenvalues are at most 2, smooths the error;
    the coarsest matrix is inverted. The cycle is symmetric and positive definite, so that [`CG`][jaxsim.linear.CG]
    may use it, and the number of its iterations hardly depends on the mesh.

    Cell-centered multigrid: Wesseling, An Introduction to Multigrid Methods (1992), chapter 5. Smoother: Lottes, Numer.
    Linear Algebra Appl. 30 (2023), e2518, equation 3.

    **Arguments:**

    - `operator`: a [`VariableDiffusion`][jaxsim.linear.VariableDiffusion]. Gradients of its parameters are stopped.
    - `degree`: of the smoothing polynomial, before and after: products with the operator on each grid.

    **Returns:** a lineax operator on arrays shaped like the cells.

    **Raises:** `ValueError` for a `degree` less than 1, or a coarsest grid of more than 1024 cells, which happens
    where the numbers of cells have too few factors of two.
    """

    levels: "tuple[_Level, ...]"
    coarsest: jax.Array  # an inverse matrix
    shape: tuple[int, ...] = eqx.field(static=True)  # of the coarsest grid
    degree: int = eqx.field(static=True)

    def __init__(self, operator: VariableDiffusion, degree: int = 2):
        if degree < 1:
            raise ValueError(f"Multigrid: `degree` must be at least 1, got {degree}.")
        faces, reaction = lax.stop_gradient((operator.faces, operator.reaction))
        self.levels, self.coarsest = _hierarchy(faces, reaction, operator.sides, operator.spacing)
        self.shape, self.degree = self.levels[-1].coarse_shape if self.levels else operator.coefficient.shape, degree

    def mv(self, vector: jax.Array) -> jax.Array:
        return self._cycle(0, vector)

    def _cycle(self, number: int, b: jax.Array) -> jax.Array:
        if number == len(self.levels):
            return jnp.matmul(self.coarsest, b.reshape(-1), precision=lax.Precision.HIGHEST).reshape(b.shape)
        level = self.levels[number]
        u, r = level.smooth(None, b, self.degree)
        u = level.stored(u + level.prolong(self._cycle(number + 1, level.restrict(r))))
        return level.smooth(u, level.stored(b - level.mv(u)), self.degree, last=True)[0]

    def in_structure(self):
        shape = self.levels[0].inverse_diagonal.shape if self.levels else self.shape
        return jax.ShapeDtypeStruct(shape, self.coarsest.dtype)


class _Level(eqx.Module):
    faces: tuple[jax.Array, ...]
    reaction: jax.Array | None
    inverse_diagonal: jax.Array
    healthy: jax.Array  # a boolean
    sides: Sides = eqx.field(static=True)
    axes: tuple[int, ...] = eqx.field(static=True)  # along which cells are merged

    def __init__(self, faces: tuple[jax.Array, ...], reaction: jax.Array | None, sides: Sides, axes: tuple[int, ...]):
        self.faces, self.reaction, self.sides, self.axes = faces, reaction, sides, axes
        self.inverse_diagonal = 1 / diagonal(faces, reaction)
        self.healthy = jnp.isfinite(jnp.sum(self.inverse_diagonal))

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        return tuple(n // 2 if axis in self.axes else n for axis, n in enumerate(self.inverse_diagonal.shape))

    def stored(self, a: jax.Array) -> jax.Array:
        return _stored(self.healthy, a)

    def mv(self, u: jax.Array) -> jax.Array:
        return apply(self.faces, self.reaction, self.sides, u)

    def smooth(self, u: Any, r: jax.Array, degree: int, last: bool = False) -> tuple[jax.Array, jax.Array]:
        """Iterate and residual after `degree` steps; with `last` without the last residual."""
        # 4 / (3 rho), where rho = 2 by Gershgorin's theorem
        step = (2 / 3) * self.inverse_diagonal * r
        u = step if u is None else u + step
        for k in range(2, degree + 1):
            r = self.stored(r - self.mv(step))
            step = (2 * k - 3) / (2 * k + 1) * step + (4 * k - 2) / (2 * k + 1) * self.inverse_diagonal * r
            u = u + step
        return u, r if last else self.stored(r - self.mv(step))

    def prolong(self, u: jax.Array) -> jax.Array:
        for axis in self.axes:
            before, after = _neighbors(u, axis, self.sides[axis])
            pairs = jnp.stack([0.75 * u + 0.25 * before, 0.75 * u + 0.25 * after], axis + 1)
            u = self.stored(pairs.reshape(*(2 * n if k == axis else n for k, n in enumerate(u.shape))))
        return u

    def restrict(self, r: jax.Array) -> jax.Array:
        """The transpose of `prolong` over the number of cells that are merged."""
        for axis in self.axes:
            even, odd = _even(r, axis), _odd(r, axis)
            inside = 0.75 * (even + odd)
            pair = self.sides[axis]
            # Coarse cell i reaches the odd cell of i - 1 and the even one of i + 1; at a wall its own, mirrored.
            below, above = _shifted(odd, axis, pair, 1), _shifted(even, axis, pair, -1)
            mirror = _ends(even, odd, axis, pair)
            r = self.stored(0.5 * (inside + 0.25 * (below + above + mirror)))
        return r


@functools.partial(jax.jit, static_argnames=("sides", "spacing"))  # one by one its small steps compile ten times longer
def _hierarchy(faces, reaction, sides: Sides, spacing: tuple[float, ...]):
    """The levels that are smoothed, and the inverse of the coarsest matrix."""
    finest, levels = _cells(faces), []
    shape = finest
    while axes := _coarsened(shape, spacing):
        levels.append(_Level(faces, reaction, sides, axes))
        faces, reaction = _coarse_faces(faces, sides, axes), _average(reaction, axes)
        shape = tuple(n // 2 if axis in axes else n for axis, n in enumerate(shape))
        spacing = tuple(2 * h if axis in axes else h for axis, h in enumerate(spacing))
    if int(np.prod(shape)) > COARSEST:
        raise ValueError(
            f"Multigrid: {finest} cells can be halved only down to {shape}, more than {COARSEST} cells. Choose numbers "
            "of cells with more factors of two, such as 96 or 128, or use fast_poisson."
        )
    return tuple(levels), _inverse(faces, reaction, sides, shape)


def _cells(faces) -> tuple[int, ...]:
    return tuple(n - 1 if axis == 0 else n for axis, n in enumerate(faces[0].shape))


def _stored(healthy: jax.Array, a: jax.Array) -> jax.Array:
    """The same array, written to memory; NaN where the cycle has no inverse.

    XLA fuses stencils into each other and computes the inner one once per neighbor, which made a cycle on 512² cells
    ten times slower. No fusion crosses a branch whose condition is known at run time only, and unlike a loop
    it has a transpose.
    """
    return lax.cond(healthy, lambda a: a, lambda a: jnp.full_like(a, jnp.nan), a)


def _coarsened(shape, spacing) -> tuple[int, ...]:
    """Axes whose cells can be merged and are among the narrowest of those; none once the grid is small."""
    if np.prod(shape) <= 16:
        return ()
    even = [axis for axis, n in enumerate(shape) if n % 2 == 0 and n >= 4]
    narrowest = min((spacing[axis] for axis in even), default=0.0)
    return tuple(axis for axis in even if spacing[axis] < 1.5 * narrowest)


def _even(a, axis):
    return lax.slice_in_dim(a, 0, None, 2, axis)


def _odd(a, axis):
    return lax.slice_in_dim(a, 1, None, 2, axis)


def _average(a, axes):
    for axis in axes if a is not None else ():
        a = (_even(a, axis) + _odd(a, axis)) / 2
    return a


def _coarse_faces(faces, sides, axes):
    """Weights of the faces between merged cells."""
    out = []
    for axis, face in enumerate(faces):
        for other in axes:
            face = face if other == axis else (_even(face, other) + _odd(face, other)) / 2
        if axis in axes:
            # Twice the distance: from the middle of one pair to the next lie half a face, a face, half a face. In
            # units of the fine grid the conductance is c, and over (2h)² instead of h² the weight c / 2.
            whole, half = _even(face, axis), 2 * _odd(face, axis)
            above, below = half, half
            if sides[axis][0] is Side.PERIODIC:
                below = jnp.concatenate([lax.slice_in_dim(half, half.shape[axis] - 1, None, axis=axis), half], axis)
                above = jnp.concatenate([half, lax.slice_in_dim(half, 0, 1, axis=axis)], axis)
            else:
                infinite = jnp.full_like(lax.slice_in_dim(half, 0, 1, axis=axis), jnp.inf)
                below = jnp.concatenate([infinite, half], axis)
                above = jnp.concatenate([half, infinite], axis)
            safe = jnp.where(whole > 0, whole, 1)
            face = jnp.where(whole > 0, 0.5 / (1 / safe + 1 / below + 1 / above), 0)
        out.append(face)
    return tuple(out)


def _neighbors(u, axis, pair):
    """Values in the cells before and after, with mirrored ones beyond walls."""
    before, after = _shifted(u, axis, pair, 1), _shifted(u, axis, pair, -1)
    return before + _mirror(u, axis, pair, 0), after + _mirror(u, axis, pair, 1)


def _shifted(u, axis, pair, by):
    if pair[0] is Side.PERIODIC:
        return jnp.roll(u, by, axis)
    low, high = max(by, 0), max(-by, 0)
    padded = jnp.pad(u, [(low, high) if k == axis else (0, 0) for k in range(u.ndim)])
    return lax.slice_in_dim(padded, high, high + u.shape[axis], axis=axis)


def _mirror(u, axis, pair, end):
    """At one end what lies beyond the wall: minus the last cell where the value is zero, plus where the flux is."""
    if pair[end] is Side.PERIODIC:
        return jnp.zeros_like(u)
    sign = -1 if pair[end] is Side.DIRICHLET else 1
    n = u.shape[axis]
    edge = lax.slice_in_dim(u, 0, 1, axis=axis) if end == 0 else lax.slice_in_dim(u, n - 1, n, axis=axis)
    width = (0, n - 1) if end == 0 else (n - 1, 0)
    return sign * jnp.pad(edge, [width if k == axis else (0, 0) for k in range(u.ndim)])


def _ends(even, odd, axis, pair):
    return _mirror(even, axis, pair, 0) + _mirror(odd, axis, pair, 1)


def _inverse(faces, reaction, sides, shape):
    """The inverse of the coarsest matrix; where it is singular constants are divided by the least other eigenvalue."""
    size = int(np.prod(shape))
    basis = jnp.eye(size, dtype=faces[0].dtype).reshape(size, *shape)
    matrix = jax.vmap(lambda u: apply(faces, reaction, sides, u))(basis).reshape(size, size)
    unit = power_of_two(jnp.max(jnp.abs(matrix)))  # eigenvalues are found by squares
    values, vectors = jnp.linalg.eigh((matrix + matrix.T) / 2 / unit)
    zero = values <= size * jnp.finfo(values.dtype).eps * values[-1]
    least = jnp.min(jnp.where(zero, values[-1], values))
    return (vectors / jnp.where(zero, least, values)) @ vectors.T / unit
