"""Multigrid whose interpolation follows the coefficient, for diffusion on cells."""

import functools
import itertools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..norms import power_of_two
from .bases import Side
from .coloring import Offset, StencilPattern, block_coloring
from .diffusion import VariableDiffusion
from .symmetric import SymmetricOperator

COARSEST = 64  # cells of a grid whose matrix is inverted
UNROLLED = 8  # terms of a sum over neighbors; longer sums are loops, which compile in a tenth of the time


class Multigrid(SymmetricOperator):
    """One V-cycle of multigrid for variable diffusion, as a preconditioner.

    Every second cell along the axes with the closest cells (all, where cells are about square) stays on the coarser
    grid. The others are interpolated by their own equation, $P$: of a cell between two that stay, what its equation
    has beside that line is added to the line, and cells between four or eight take theirs whole. So corrections are
    smooth where the coefficient is, and break where it jumps. Coarse operators are $P^T A P$. Before and after,
    a Chebyshev polynomial of the fourth kind in $D^{-1}A$, with the absolute row sums of $A$ for $D$, smooths the
    error; the coarsest matrix is inverted. The cycle is symmetric and positive definite, so that
    [`CG`][jaxsim.linear.CG] may use it, and the number of its iterations depends little on the mesh and on jumps of
    the coefficient (in float32 up to about 1e5), whatever the numbers of cells. A coefficient that jumps from cell to
    cell at random, by many orders of magnitude, is the exception: no grid of every second cell holds its paths.

    Interpolation: Alcouffe, Brandt, Dendy and Painter, SIAM J. Sci. Stat. Comput. 2 (1981) 430-454; Dendy, J. Comput.
    Phys. 48 (1982) 366-386. Smoother: Lottes, Numer. Linear Algebra Appl. 30 (2023), e2518, equation 3.

    **Arguments:**

    - `operator`: a [`VariableDiffusion`][jaxsim.linear.VariableDiffusion]. Gradients of its parameters are stopped.
    - `degree`: of the smoothing polynomial, before and after: products with the operator on each grid.

    **Returns:** a lineax operator on arrays shaped like the cells.

    **Raises:** `ValueError` for a `degree` less than 1.
    """

    levels: "tuple[_Level, ...]"
    coarsest: jax.Array  # an inverse matrix
    shape: tuple[int, ...] = eqx.field(static=True)  # of the finest grid
    degree: int = eqx.field(static=True)

    def __init__(self, operator: VariableDiffusion, degree: int = 2):
        if degree < 1:
            raise ValueError(f"Multigrid: `degree` must be at least 1, got {degree}.")
        faces, reaction = lax.stop_gradient((operator.faces, operator.reaction))
        self.shape, self.degree = operator.coefficient.shape, degree
        self.levels, self.coarsest = _hierarchy(faces, reaction, operator.sides, operator.spacing)

    def mv(self, vector: jax.Array) -> jax.Array:
        return self._cycle(0, vector)

    def _cycle(self, number: int, b: jax.Array) -> jax.Array:
        if number == len(self.levels):
            return jnp.matmul(self.coarsest, b.reshape(-1), precision=lax.Precision.HIGHEST).reshape(b.shape)
        level = self.levels[number]
        u, r = level.smooth(None, b, self.degree)
        u = level.stored(u + level.interpolation.prolong(self._cycle(number + 1, level.interpolation.restrict(r))))
        return level.smooth(u, level.stored(b - level.matrix.mv(u)), self.degree, last=True)[0]

    def in_structure(self):
        return jax.ShapeDtypeStruct(self.shape, self.coarsest.dtype)


class _Bonds(eqx.Module):
    """A symmetric matrix by its bonds, $(Au)(x) = l(x)\\,u(x) + \\sum_o k_o(x)\\,(u(x) - u(x + o))$.

    Differences, so that constants are seen to be lost by $l$ alone, however large the bonds are in low precision.
    """

    bonds: jax.Array  # of every offset; zero beyond walls
    loss: jax.Array
    offsets: tuple[Offset, ...] = eqx.field(static=True)
    periodic: tuple[bool, ...] = eqx.field(static=True)

    @classmethod
    def of_half(cls, bonds: dict[Offset, jax.Array], loss: jax.Array, periodic: tuple[bool, ...]) -> "_Bonds":
        """From one of each two opposite offsets, so that the matrix is symmetric to the last bit."""
        back = {tuple(-o for o in offset): _widened(bond, periodic) for offset, bond in bonds.items()}
        both = bonds | {offset: _seen(bond, offset) for offset, bond in back.items()}
        return cls(jnp.stack(list(both.values())), loss, tuple(both), periodic)

    def mv(self, u: jax.Array) -> jax.Array:
        out, wide = self.loss * u, _widened(u, self.periodic)
        if len(self.offsets) <= UNROLLED:
            for bond, offset in zip(self.bonds, self.offsets):
                out = out + bond * (u - _seen(wide, offset))
            return out

        def add(out, one):
            bond, start = one
            return out + bond * (u - lax.dynamic_slice(wide, start, u.shape)), None

        return lax.scan(add, out, (self.bonds, jnp.asarray(self.offsets) + 1))[0]

    def row_sums(self) -> jax.Array:
        """Of absolute values, which times the identity bound the matrix from above."""
        return jnp.abs(self.loss + jnp.sum(self.bonds, 0)) + jnp.sum(jnp.abs(self.bonds), 0)


def _widened(u, periodic):
    """With one more cell at every end, zero beyond walls."""
    u = jnp.pad(u, [(0, 0) if p else (1, 1) for p in periodic])
    for axis, closed in enumerate(periodic):
        if closed:
            ends = lax.slice_in_dim(u, -1, None, axis=axis), lax.slice_in_dim(u, 0, 1, axis=axis)
            u = jnp.concatenate([ends[0], u, ends[1]], axis)
    return u


def _seen(wide, offset):
    """The values at an offset."""
    return wide[tuple(slice(1 + o, n - 1 + o) for o, n in zip(offset, wide.shape))]


class _Interpolation(eqx.Module):
    """From every second cell to all, by classes of cells: which coordinates are odd, in units of cells."""

    weights: dict[Offset, jax.Array]  # of a class, one for each offset to cells with fewer odd coordinates
    offsets: dict[Offset, tuple[Offset, ...]] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)  # of the finer grid
    axes: tuple[int, ...] = eqx.field(static=True)  # along which it is coarser

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        return tuple((n + 1) // 2 if axis in self.axes else n for axis, n in enumerate(self.shape))

    def prolong(self, u: jax.Array, sources: dict[Offset, jax.Array] | None = None) -> jax.Array:
        none = (0,) * u.ndim
        values, wide = {none: u}, {none: self._extended(u, none)}
        for odd, offsets in self.offsets.items():
            total = None if sources is None else sources[odd]
            for offset, weight in zip(offsets, self.weights[odd]):
                source = wide[tuple(p * (o == 0) for p, o in zip(odd, offset))]
                later = tuple(slice(o == 1, n + (o == 1)) for o, n in zip(offset, u.shape))
                term = weight * source[later]
                total = term if total is None else total + term
            values[odd], wide[odd] = total, self._extended(total, odd)
        return self._interleaved(values)

    def restrict(self, r: jax.Array) -> jax.Array:
        """The transpose of `prolong`."""
        return jax.linear_transpose(self.prolong, jax.ShapeDtypeStruct(self.coarse_shape, r.dtype))(r)[0]

    def _extended(self, u, odd):
        """With the first cells again after the last ones: where there is a wall, their weight is zero."""
        for axis in self.axes:
            if not odd[axis]:
                u = jnp.concatenate([u, lax.slice_in_dim(u, 0, 1, axis=axis)], axis)
        return u

    def _interleaved(self, values):
        for axis in reversed(self.axes):
            pairs = [odd for odd in values if not odd[axis]]
            values = {odd: self._pair(values[odd], values[_marked(odd, axis)], axis) for odd in pairs}
        return values[(0,) * len(self.shape)]

    def _pair(self, even, odd, axis):
        both = jnp.stack([even, odd], axis + 1)
        both = both.reshape(*even.shape[:axis], -1, *even.shape[axis + 1 :])
        return lax.slice_in_dim(both, 0, self.shape[axis], axis=axis)


class _Level(eqx.Module):
    matrix: _Bonds
    inverse_sums: jax.Array
    interpolation: _Interpolation
    healthy: jax.Array  # a boolean

    def __init__(self, matrix: _Bonds, interpolation: _Interpolation):
        sums = matrix.row_sums()
        lonely = sums == 0  # no equation: a cell that conducts nothing
        self.matrix, self.interpolation = matrix, interpolation
        self.inverse_sums = 1 / jnp.where(lonely, jnp.maximum(jnp.max(sums), jnp.finfo(sums.dtype).tiny), sums)
        self.healthy = jnp.isfinite(jnp.sum(self.inverse_sums))

    def stored(self, a: jax.Array) -> jax.Array:
        return _stored(self.healthy, a)

    def smooth(self, u: Any, r: jax.Array, degree: int, last: bool = False) -> tuple[jax.Array, jax.Array]:
        """Iterate and residual after `degree` steps; with `last` without the last residual."""
        step = (4 / 3) * self.inverse_sums * r  # 4 / (3 rho), where rho = 1 by Gershgorin's theorem
        u = step if u is None else u + step
        for k in range(2, degree + 1):
            r = self.stored(r - self.matrix.mv(step))
            step = (2 * k - 3) / (2 * k + 1) * step + (8 * k - 4) / (2 * k + 1) * self.inverse_sums * r
            u = u + step
        return u, r if last else self.stored(r - self.matrix.mv(step))


@functools.partial(jax.jit, static_argnames=("sides", "spacing"))  # one by one its small steps compile ten times longer
def _hierarchy(faces, reaction, sides, spacing: tuple[float, ...]):
    """The levels that are smoothed, and the inverse of the coarsest matrix."""
    matrix, levels = _finest(faces, reaction, sides), []
    while axes := _coarsened(matrix.loss.shape, spacing):
        interpolation, lost = _interpolation(matrix, axes)
        level = _Level(matrix, interpolation)
        levels.append(level)
        matrix = _coarse(level, lost)
        spacing = tuple(2 * h if axis in axes else h for axis, h in enumerate(spacing))
    return tuple(levels), _inverse(matrix)


def _finest(faces, reaction, sides) -> _Bonds:
    """Weights of faces are bonds between cells, those of walls are lost."""
    loss = 0 if reaction is None else reaction
    bonds, shape = {}, tuple(n - (axis == 0) for axis, n in enumerate(faces[0].shape))
    for axis, (face, pair) in enumerate(zip(faces, sides)):
        n, cut = shape[axis], functools.partial(lax.slice_in_dim, face, axis=axis)
        above = cut(1, n + 1)
        if pair[0] is not Side.PERIODIC:
            end = lambda wall, before, after, axis=axis: jnp.pad(
                wall, [(before, after) if k == axis else (0, 0) for k in range(len(shape))]
            )
            loss = loss + end(cut(0, 1), 0, n - 1) + end(cut(n, n + 1), n - 1, 0)
            above = end(cut(1, n), 0, 1)
        bonds[_marked((0,) * len(shape), axis)] = above
    loss = jnp.zeros(shape, faces[0].dtype) + loss
    return _Bonds.of_half(bonds, loss, tuple(pair[0] is Side.PERIODIC for pair in sides))


def _coarsened(shape, spacing) -> tuple[int, ...]:
    """Axes along which cells are left out: those with the closest cells; none once the grid is small."""
    if np.prod(shape) <= COARSEST:
        return ()
    long = [axis for axis, n in enumerate(shape) if n > 2]
    closest = min(spacing[axis] for axis in long)
    return tuple(axis for axis in long if spacing[axis] < 1.5 * closest)


def _interpolation(matrix: _Bonds, axes):
    """Interpolation by the equations of the cells that are left out, and what part of a constant they lose."""
    weights, offsets, lost = {}, {}, {}
    classes = itertools.product(*((0, 1) if axis in axes else (0,) for axis in range(matrix.loss.ndim)))
    for odd in sorted(classes, key=sum):
        if not any(odd):
            continue
        # Bonds to the side are added to those along the line, the plane or the diagonal.
        kept = [tuple(o * p for o, p in zip(offset, odd)) for offset in matrix.offsets]
        offsets[odd] = tuple(sorted(set(kept) - {(0,) * len(odd)}))
        where = jnp.asarray([[float(k == offset) for k in kept] for offset in offsets[odd]], matrix.loss.dtype)
        bonds = jnp.maximum(_class(matrix.bonds, odd, axes), 0)
        found = jnp.tensordot(where, bonds, 1, precision=lax.Precision.HIGHEST)
        loss = jnp.maximum(_class(matrix.loss, odd, axes), 0)
        total = loss + jnp.sum(found, 0)
        scale = 1 / jnp.where(total > 0, total, 1)
        weights[odd], lost[odd] = found * scale, loss * scale
    return _Interpolation(weights, offsets, matrix.loss.shape, axes), lost


def _class(a, odd, axes):
    """The cells of one class; none of it at the end is zero."""
    ahead = a.ndim - len(odd)
    cut, missing = [slice(None)] * a.ndim, [(0, 0)] * a.ndim
    for axis in axes:
        cut[ahead + axis] = slice(odd[axis], None, 2)
        missing[ahead + axis] = (0, odd[axis] * (a.shape[ahead + axis] % 2))
    return jnp.pad(a[tuple(cut)], missing)


def _coarse(level: _Level, lost) -> _Bonds:
    """$P^T A P$: its bonds from products with vectors of far cells, its loss from what constants lose."""
    fine, interpolation = level.matrix, level.interpolation
    shape, dtype, periodic = interpolation.coarse_shape, fine.loss.dtype, fine.periodic

    def product(u):
        return interpolation.restrict(level.stored(fine.mv(level.stored(interpolation.prolong(u)))))

    colors = [block_coloring([3], [n], [p]) for n, p in zip(shape, periodic)]
    strides = np.cumprod([1, *(int(c.max()) + 1 for c in colors)])
    numbers = [c * s for c, s in zip(colors, strides)]
    here = _outer([c[None] for c in numbers], jnp.add)[0]
    images = lax.map(lambda k: product((here == k).astype(dtype)), jnp.arange(strides[-1]), batch_size=9)
    offsets, halves = _half(StencilPattern(shape, [[itertools.product((-1, 0, 1), repeat=len(shape))]], periodic))
    along = list(zip(*offsets))
    there = _outer([np.stack([np.roll(c, -o) for o in os]) for c, os in zip(numbers, along)], jnp.add)
    within = [np.stack([_inside(n, o, p) for o in os]) for n, os, p in zip(shape, along, periodic)]
    inside = _outer(within, jnp.logical_and)
    entries = jnp.where(inside, -jnp.take_along_axis(images, there, 0), 0)
    bonds = {offset: half * entry for offset, half, entry in zip(offsets, halves, entries)}
    # P 1 = 1 - d with d zero, free of rounding, where nothing is lost; so P^T A P 1 = P^T (l - A d).
    short = interpolation.prolong(jnp.zeros(shape, dtype), lost)
    return _Bonds.of_half(bonds, interpolation.restrict(fine.loss - fine.mv(short)), periodic)


def _half(pattern: StencilPattern) -> tuple[list[Offset], list[float]]:
    """One of each two opposite offsets, and the part of an entry that is its bond."""
    found: list[Offset] = []
    halves = []
    for _, _, offset in pattern.terms:
        back = pattern.wrapped(tuple(-o for o in offset))
        if any(offset) and back not in found:
            found.append(offset)
            # Around a ring of two cells both ways lead to the same one, and each has half of the bond.
            halves.append(0.5 if back == offset else 1.0)
    return found, halves


def _inside(n, offset, periodic):
    there = np.arange(n) + offset
    return np.full(n, True) if periodic else (there >= 0) & (there < n)


def _outer(parts, operator):
    """Numbers `(m, n)` along each axis put together on the grid, when it runs: no constant is as large as the grid."""
    shapes = [(len(part), *(-1 if k == axis else 1 for k in range(len(parts)))) for axis, part in enumerate(parts)]
    return functools.reduce(operator, [jnp.asarray(part).reshape(shape) for part, shape in zip(parts, shapes)])


def _marked(odd, axis):
    return tuple(1 if k == axis else p for k, p in enumerate(odd))


def _stored(healthy: jax.Array, a: jax.Array) -> jax.Array:
    """The same array, written to memory; NaN where the cycle has no inverse.

    XLA fuses stencils into each other and computes the inner one once per neighbor, which made a cycle on 512² cells
    ten times slower. No fusion crosses a branch whose condition is known at run time only, and unlike a loop
    it has a transpose.
    """
    return lax.cond(healthy, lambda a: a, lambda a: jnp.full_like(a, jnp.nan), a)


def _inverse(matrix: _Bonds):
    """The inverse of the coarsest matrix; where it is singular, as the least other eigenvalue has it."""
    shape = matrix.loss.shape
    size = int(np.prod(shape))
    basis = jnp.eye(size, dtype=matrix.loss.dtype).reshape(size, *shape)
    dense = jax.vmap(matrix.mv)(basis).reshape(size, size)
    unit = power_of_two(jnp.max(jnp.abs(dense)))  # eigenvalues are found by squares
    dense = (dense + dense.T) / 2 / unit
    # With a diagonal of ones, what conducts little is not lost beside what conducts well.
    diagonal = jnp.diag(dense)
    scale = 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1))
    values, vectors = jnp.linalg.eigh(scale[:, None] * dense * scale)
    zero = values <= size * jnp.finfo(values.dtype).eps * values[-1]
    least = jnp.min(jnp.where(zero, values[-1], values))
    vectors = scale[:, None] * vectors
    return (vectors / jnp.where(zero, jnp.where(least > 0, least, 1), values)) @ vectors.T / unit
