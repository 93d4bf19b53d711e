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
from .stencil import shifted
from .symmetric import SymmetricOperator

COARSEST = 64  # cells of a grid whose matrix is inverted


class Multigrid(SymmetricOperator):
    """One V-cycle of multigrid for variable diffusion, as a preconditioner.

    Every second cell along the axes with the closest cells (all, where cells are about square) stays on the coarser
    grid. The others are interpolated by their own equation, $P$: of a cell between two that stay, what its equation
    has beside that line is added to the line, and cells between four or eight take theirs whole. So corrections are
    smooth where the coefficient is, and break where it jumps. Coarse operators are $P^T A P$. Before and after,
    a Chebyshev polynomial of the fourth kind in $D^{-1}A$, with the absolute row sums of $A$ for $D$, smooths the
    error; the coarsest matrix is inverted. The cycle is symmetric and positive definite, so that
    [`CG`][jaxsim.linear.CG] may use it, and the number of its iterations depends little on the mesh and on jumps of
    the coefficient, whatever the numbers of cells. A coefficient that jumps from cell to cell at random, by many
    orders of magnitude, is the exception: no grid of every second cell holds its paths.

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
    """A symmetric matrix, $(Au)(x) = l(x)\\,u(x) + \\sum_o k_o(x)\\,(u(x) - u(x + o))$ and the same bonds from $x + o$.

    Differences, so that constants are seen to be lost by $l$ alone, however large the bonds are in low precision.
    """

    bonds: dict[Offset, jax.Array]  # for one of each two opposite offsets; zero beyond walls
    loss: jax.Array
    pattern: StencilPattern = eqx.field(static=True)  # of its neighbors

    def mv(self, u: jax.Array) -> jax.Array:
        out = self.loss * u
        for offset, bond in self.around():
            out = out + bond * (u - shifted(u, offset, self.pattern))
        return out

    def around(self):
        """Every offset with the bonds in its direction."""
        for offset, bond in self.bonds.items():
            back = tuple(-o for o in offset)
            yield offset, bond
            yield back, shifted(bond, back, self.pattern)

    def row_sums(self) -> jax.Array:
        """Of absolute values, which times the identity bound the matrix from above."""
        bonds = [bond for _, bond in self.around()]
        return jnp.abs(sum(bonds, self.loss)) + sum(map(jnp.abs, bonds), jnp.zeros_like(self.loss))


class _Interpolation(eqx.Module):
    """From every second cell to all, by classes of cells: which coordinates are odd, in units of cells."""

    weights: dict[Offset, dict[Offset, jax.Array]]  # of a class, by offsets to cells with fewer odd coordinates
    shape: tuple[int, ...] = eqx.field(static=True)  # of the finer grid
    axes: tuple[int, ...] = eqx.field(static=True)  # along which it is coarser

    @property
    def coarse_shape(self) -> tuple[int, ...]:
        return tuple((n + 1) // 2 if axis in self.axes else n for axis, n in enumerate(self.shape))

    def prolong(self, u: jax.Array, sources: dict[Offset, jax.Array] | None = None) -> jax.Array:
        values = {(0,) * u.ndim: u}
        for odd, weights in self.weights.items():
            total = None if sources is None else sources[odd]
            for offset, weight in weights.items():
                source = values[tuple(p * (o == 0) for p, o in zip(odd, offset))]
                later = tuple(axis for axis, o in enumerate(offset) if o == 1)
                # What comes around from the other end has the weight zero where there is a wall.
                term = weight * jnp.roll(source, (-1,) * len(later), later) if later else weight * source
                total = term if total is None else total + term
            values[odd] = total
        return self._interleaved(values)

    def restrict(self, r: jax.Array) -> jax.Array:
        """The transpose of `prolong`."""
        return jax.linear_transpose(self.prolong, jax.ShapeDtypeStruct(self.coarse_shape, r.dtype))(r)[0]

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
    periodic = tuple(pair[0] is Side.PERIODIC for pair in sides)
    return _Bonds(bonds, loss, StencilPattern(shape, [[()]], periodic))


def _coarsened(shape, spacing) -> tuple[int, ...]:
    """Axes along which cells are left out: those with the closest cells; none once the grid is small."""
    if np.prod(shape) <= COARSEST:
        return ()
    long = [axis for axis, n in enumerate(shape) if n > 2]
    closest = min(spacing[axis] for axis in long)
    return tuple(axis for axis in long if spacing[axis] < 1.5 * closest)


def _interpolation(matrix: _Bonds, axes):
    """Interpolation by the equations of the cells that are left out, and what part of a constant they lose."""
    shape, around = matrix.loss.shape, list(matrix.around())
    weights, lost = {}, {}
    for odd in sorted(itertools.product(*((0, 1) if axis in axes else (0,) for axis in range(len(shape)))), key=sum):
        if not any(odd):
            continue
        found: dict[Offset, jax.Array] = {}
        for offset, bond in around:
            kept = tuple(o * p for o, p in zip(offset, odd))  # others are added to the line, the plane or the diagonal
            if any(kept):
                part = jnp.maximum(_class(bond, odd, axes), 0)
                found[kept] = found[kept] + part if kept in found else part
        loss = jnp.maximum(_class(matrix.loss, odd, axes), 0)
        total = sum(found.values(), loss)
        scale = 1 / jnp.where(total > 0, total, 1)
        weights[odd], lost[odd] = {offset: part * scale for offset, part in found.items()}, loss * scale
    return _Interpolation(weights, shape, axes), lost


def _class(a, odd, axes):
    """The cells of one class; none of it at the end is zero."""
    for axis in axes:
        n = a.shape[axis]
        a = lax.slice_in_dim(a, odd[axis], n, 2, axis)
        if odd[axis] and n % 2:
            a = jnp.pad(a, [(0, 1) if k == axis else (0, 0) for k in range(a.ndim)])
    return a


def _coarse(level: _Level, lost) -> _Bonds:
    """$P^T A P$: its bonds from products with vectors of far cells, its loss from what constants lose."""
    fine, interpolation = level.matrix, level.interpolation
    shape, dtype = interpolation.coarse_shape, fine.loss.dtype
    periodic = fine.pattern.periodic

    def product(u):
        return interpolation.restrict(level.stored(fine.mv(level.stored(interpolation.prolong(u)))))

    colors = [block_coloring([3], [n], [p]) for n, p in zip(shape, periodic)]
    strides = np.cumprod([1, *(int(c.max()) + 1 for c in colors)])
    number = functools.partial(_outer, operator=jnp.add)
    numbers = [c * s for c, s in zip(colors, strides)]
    here = number(numbers)
    images = lax.map(lambda k: product((here == k).astype(dtype)), jnp.arange(strides[-1]), batch_size=9)
    bonds: dict[Offset, jax.Array] = {}
    pattern = StencilPattern(shape, [[itertools.product((-1, 0, 1), repeat=len(shape))]], periodic)
    for _, _, offset in pattern.terms:
        back = pattern.wrapped(tuple(-o for o in offset))
        if not any(offset) or back in bonds:
            continue
        there = number([np.roll(c, -o) for c, o in zip(numbers, offset)])
        inside = _outer([_inside(n, o, p) for n, o, p in zip(shape, offset, periodic)], jnp.logical_and)
        entry = jnp.take_along_axis(images, there[None], 0)[0]
        # Around a ring of two cells both ways lead to the same one, and each has half of the bond.
        bonds[offset] = jnp.where(inside, -entry, 0) * (0.5 if back == offset else 1)
    # P 1 = 1 - d with d zero, free of rounding, where nothing is lost; so P^T A P 1 = P^T (l - A d).
    short = interpolation.prolong(jnp.zeros(shape, dtype), lost)
    return _Bonds(bonds, interpolation.restrict(fine.loss - fine.mv(short)), StencilPattern(shape, [[()]], periodic))


def _inside(n, offset, periodic):
    there = np.arange(n) + offset
    return np.full(n, True) if periodic else (there >= 0) & (there < n)


def _outer(parts, operator):
    """Numbers along each axis put together on the grid, when it runs: no constant is as large as the grid."""
    shaped = [
        jnp.asarray(part).reshape([-1 if k == axis else 1 for k in range(len(parts))])
        for axis, part in enumerate(parts)
    ]
    return functools.reduce(operator, shaped)


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
