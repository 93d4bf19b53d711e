"""Direct solution of systems on a grid: pointwise components first, then block elimination along one axis."""

import functools
import itertools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax

from ..norms import power_of_two
from ._inverse import inverse as dense_inverse
from .coloring import Offset, StencilPattern
from .stencil import StencilOperator, apply, compress, packed, positions, shifted, unpacked

Terms = dict[tuple[int, int, Offset], jax.Array]


class _Factors(eqx.Module):
    """The factors of a matrix, and the matrix itself, for residuals and transposes."""

    matrix: StencilOperator
    pointwise: jax.Array  # the inverse of the block of pointwise components, (p, p, *shape)
    inverses: jax.Array  # of the pivots, (blocks, m, m)
    lower: jax.Array
    upper: jax.Array
    corner: Any  # for periodic axes: what the last block does to the others, and the inverse of its pivot
    faithful: jax.Array  # whether the pattern holds all of the operator


class StencilLU(lx.AbstractLinearSolver[_Factors]):
    """Direct solver for linear systems on a grid whose matrix is sparse, as those of implicit time steps are.

    Takes any lineax operator with entries at most where the pattern has them, among them the Jacobians of diffrax's
    and optimistix's root finders. One product per color gives the entries; components that couple to themselves at
    their own node alone are eliminated node by node; the rest is block tridiagonal along one axis. For $n$ nodes
    along it and $m$ unknowns on a slice the cost is $O(n m^3)$ once and $O(n m^2)$ per right-hand side: for one and
    two dimensions. In three use `FGMRES` with a preconditioner.

    Rows are exchanged within a slice only, which is safe for steps of diffusive systems (block diagonally dominant).
    The residual is computed, and one that is not small is reported, not returned as a solution.

    !!! example

        ```python
        pattern = js.integrate.stencil_pattern(equation, u0)
        finder = dfx.with_stepsize_controller_tols(dfx.VeryChord)(linear_solver=js.linear.StencilLU(pattern))
        js.solve(equation, u0, t1=1.0, rtol=1e-6, atol=1e-6, solver=dfx.Kvaerno5(root_finder=finder))
        ```

    `diffrax.VeryChord` makes one matrix per step, `optimistix.Chord` one per stage; the first costs less, but its test
    of convergence gives up steps for tight tolerances that the second takes.

    Golub and Van Loan, Matrix Computations (2013), section 4.5.1 (block tridiagonal elimination).

    **Arguments:**

    - `pattern`: a [`StencilPattern`][jaxsim.linear.StencilPattern] of the operator.

    **Returns:** from `lineax.linear_solve`, a `lineax.Solution` without statistics. Its `result` is `singular` where
    a row's residual is more than a fraction $\\sqrt\\epsilon$ of $\\|a_i\\|\\|x\\| + |b_i|$, and `breakdown` where the
    operator differs on a random vector from what the pattern says of it.

    **Raises:** `ValueError` where operator and pattern do not fit.
    """

    pattern: StencilPattern

    def init(self, operator: lx.AbstractLinearOperator, options: dict[str, Any]) -> _Factors:
        del options
        structure = operator.in_structure()
        if eqx.tree_equal(structure, operator.out_structure()) is not True:
            raise ValueError("StencilLU needs an operator whose input and output have one structure.")
        if isinstance(operator, StencilOperator):
            return _factor(operator, jnp.asarray(True))
        operator = lx.linearise(operator)
        matrix = compress(operator, structure, self.pattern)
        return _factor(matrix, _faithful(operator, matrix))

    def compute(self, state: _Factors, vector: Any, options: dict[str, Any]):
        del options
        pattern, entries = state.matrix.pattern, state.matrix.entries
        right = packed(vector, pattern)
        solution = _solve(state, right)
        residual = jnp.abs(apply(pattern, entries, solution) - right)
        bound = _row_sizes(state.matrix) * jnp.abs(solution).max() + jnp.abs(right)
        small = jnp.all(residual <= jnp.sqrt(jnp.finfo(residual.dtype).eps) * bound)
        where, results = lx.RESULTS.where, lx.RESULTS
        result = where(small, results.successful, results.singular)
        result = where(state.faithful, result, results.breakdown)
        return unpacked(solution, state.matrix.in_structure()), result, {}

    def transpose(self, state: _Factors, options: dict[str, Any]):
        del options
        return _factor(state.matrix.transpose(), state.faithful), {}

    def conj(self, state: _Factors, options: dict[str, Any]):
        del options
        return jax.tree.map(lambda a: a.conj() if eqx.is_inexact_array(a) else a, state), {}

    def assume_full_rank(self) -> bool:
        return True


def _faithful(operator, matrix: StencilOperator) -> jax.Array:
    """Whether the compressed matrix is the operator, by a product with a random vector."""
    pattern, structure = matrix.pattern, matrix.in_structure()
    random = np.random.default_rng(0).uniform(0.5, 1.5, (pattern.components, *pattern.shape))
    vector = jnp.asarray(random, matrix.entries.dtype)
    wanted = packed(operator.mv(unpacked(vector, structure)), pattern)
    error = jnp.abs(apply(pattern, matrix.entries, vector) - wanted)
    return jnp.all(error <= jnp.sqrt(jnp.finfo(error.dtype).eps) * _row_sizes(matrix))


def _row_sizes(matrix: StencilOperator) -> jax.Array:
    """The largest entry of each row, `(components, *shape)`: rows have units of their own."""
    found = [jnp.zeros(matrix.pattern.shape, matrix.entries.real.dtype)] * matrix.pattern.components
    for (i, _, _), entry in zip(matrix.pattern.terms, matrix.entries):
        found[i] = jnp.maximum(found[i], jnp.abs(entry))
    return jnp.stack(found)


# -- the plan, from the pattern alone ----------------------------------------------------------------------------------
class _Plan(NamedTuple):
    pointwise: tuple[int, ...]  # components that are eliminated node by node
    rest: tuple[int, ...]
    schur: StencilPattern  # of the rest
    axis: int  # of the elimination
    size: int  # lines in a block
    blocks: int
    cyclic: bool


@functools.lru_cache(maxsize=64)
def _plan(pattern: StencilPattern) -> _Plan:
    here = {(0,) * len(pattern.shape)}
    pointwise: list[int] = []
    for j in range(pattern.components):
        if all(set(pattern.couplings[a][b]) <= here for k in [*pointwise, j] for a, b in ((j, k), (k, j))):
            pointwise.append(j)
    rest = [j for j in range(pattern.components) if j not in pointwise]
    couplings = [[set(pattern.couplings[i][j]) for j in rest] for i in rest]
    for (i, row), (j, column) in itertools.product(enumerate(rest), repeat=2):
        for p, q in itertools.product(pointwise, repeat=2):
            couplings[i][j] |= {
                tuple(a + b for a, b in zip(left, right))
                for left, right in itertools.product(pattern.couplings[row][p], pattern.couplings[q][column])
            }
    schur = StencilPattern(pattern.shape, couplings, pattern.periodic)
    return _Plan(tuple(pointwise), tuple(rest), schur, *_blocking(schur))


def _blocking(schur: StencilPattern) -> tuple[int, int, int, bool]:
    """The axis along which elimination costs least, lines per block, number of blocks, and whether they form a ring."""
    total, plans = schur.components * int(np.prod(schur.shape)), []
    for axis, (count, ring) in enumerate(zip(schur.shape, schur.periodic)):
        reach = max([abs(offset[axis]) for *_, offset in schur.terms], default=0)
        size = max(reach, 1)
        while ring and count % size:
            size += 1
        blocks = -(-count // size)
        if ring and reach and blocks < 4:
            size, blocks, ring = count, 1, False
        cyclic = ring and reach > 0
        unknowns = total // count * size
        plans.append((blocks * unknowns**3 * (3 if cyclic else 1), axis, size, blocks, cyclic))
    return min(plans)[1:]


@functools.lru_cache(maxsize=64)
def _scatter(pattern: StencilPattern):
    """Where every entry of the Schur complement goes: which diagonal, block, row and column, and whether it exists."""
    plan = _plan(pattern)
    schur, axis = plan.schur, plan.axis
    rows, columns, valid = positions(schur)
    shape = (schur.components, *schur.shape)
    width = int(np.prod(shape)) // shape[1 + axis]

    def place(flat):
        index = list(np.unravel_index(flat, shape))
        line = index.pop(1 + axis)
        across = np.ravel_multi_index(index, shape[: 1 + axis] + shape[2 + axis :])
        return line // plan.size, line % plan.size * width + across

    (block, row), (other, column) = place(rows), place(columns)
    diagonal = other - block
    if plan.cyclic:
        diagonal = (diagonal + 1) % plan.blocks - 1
    valid = valid & (np.abs(diagonal) <= 1)
    return np.where(valid, diagonal + 1, 3), block, row, column


# -- elimination -------------------------------------------------------------------------------------------------------
def _factor(matrix: StencilOperator, faithful: jax.Array) -> _Factors:
    pattern, plan = matrix.pattern, _plan(matrix.pattern)
    terms: Terms = dict(zip(pattern.terms, matrix.entries))
    pointwise = _pointwise_inverse(terms, plan, pattern, matrix.entries.dtype)
    empty = jnp.zeros((0, 0, 0), matrix.entries.dtype)
    if not plan.rest:
        return _Factors(matrix, pointwise, empty, empty, empty, None, faithful)
    lower, diagonal, upper = _block_diagonals(_schur_complement(terms, pointwise, plan, pattern), pattern)
    if not plan.cyclic:
        return _Factors(matrix, pointwise, _pivots(lower, diagonal, upper), lower, upper, None, faithful)
    # A ring: the others are a chain once the last block is given.
    inverses = _pivots(lower[:-1], diagonal[:-1], upper[:-1])
    width = diagonal.shape[-1]
    right = jnp.zeros((plan.blocks - 1, width, width), diagonal.dtype)
    right = right.at[0].add(lower[0]).at[-1].add(upper[-2])
    spread = _sweep(inverses, lower[:-1], upper[:-1], right)
    last = diagonal[-1] - lower[-1] @ spread[-1] - upper[-1] @ spread[0]
    return _Factors(matrix, pointwise, inverses, lower, upper, (spread, dense_inverse(last)), faithful)


def _pointwise_inverse(terms: Terms, plan: _Plan, pattern: StencilPattern, dtype) -> jax.Array:
    """The inverse, at every node, of the block of pointwise components."""
    here, zero = (0,) * len(pattern.shape), jnp.zeros(pattern.shape, dtype)
    p = plan.pointwise
    block = [[terms.get((i, j, here), zero) for j in p] for i in p]
    if len(p) == 0:
        return jnp.zeros((0, 0, *pattern.shape), dtype)
    if len(p) == 1:
        return (1 / block[0][0])[None, None]
    if len(p) == 2:
        # Each component and each equation in a unit of its own, so that the determinant stays in the range of numbers.
        array = jnp.array(block)
        rows = power_of_two(jnp.max(jnp.abs(array), 1))
        columns = power_of_two(jnp.max(jnp.abs(array / rows[:, None]), 0))
        (a, b), (c, d) = array / rows[:, None] / columns
        return jnp.array([[d, -b], [-c, a]]) / (a * d - b * c) / columns[:, None] / rows
    array = jnp.moveaxis(jnp.array(block), (0, 1), (-2, -1))
    return jnp.moveaxis(jnp.linalg.inv(array), (-2, -1), (0, 1))


def _schur_complement(terms: Terms, pointwise: jax.Array, plan: _Plan, pattern: StencilPattern) -> jax.Array:
    """Entries of the system that is left for the other components, in the order of its pattern's terms."""
    found: Terms = {}

    def add(i, j, offset, value):
        key = (i, j, plan.schur.wrapped(offset))
        found[key] = found[key] + value if key in found else value

    for (i, j, offset), value in terms.items():
        if i in plan.rest and j in plan.rest:
            add(plan.rest.index(i), plan.rest.index(j), offset, value)
    for (i, p, left), first in terms.items():
        if i in plan.rest and p in plan.pointwise:
            for (q, j, right), second in terms.items():
                if q in plan.pointwise and j in plan.rest:
                    middle = pointwise[plan.pointwise.index(p), plan.pointwise.index(q)] * second
                    offset = tuple(a + b for a, b in zip(left, right))
                    value = -first * shifted(middle, left, pattern)
                    add(plan.rest.index(i), plan.rest.index(j), offset, value)
    zero = jnp.zeros(pattern.shape, pointwise.dtype)
    return jnp.stack([found.get(term, zero) for term in plan.schur.terms])


def _block_diagonals(entries: jax.Array, pattern: StencilPattern):
    """Dense blocks below, on and above the diagonal, each `(blocks, m, m)`; rows beyond the grid are the identity."""
    plan = _plan(pattern)
    which, block, row, column = _scatter(pattern)
    count, lines = plan.schur.shape[plan.axis], plan.schur.components * int(np.prod(plan.schur.shape))
    width = lines // count * plan.size
    dense = jnp.zeros((3, plan.blocks, width, width), entries.dtype)
    dense = dense.at[which, block, row, column].add(entries, mode="drop")
    padded = np.arange(width) >= (count - (plan.blocks - 1) * plan.size) * (lines // count)
    dense = dense.at[1, -1].add(jnp.asarray(np.diag(padded), entries.dtype))
    return dense[0], dense[1], dense[2]


def _pivots(lower, diagonal, upper) -> jax.Array:
    """Inverses of the pivots of block elimination from the first block to the last."""

    def step(product, blocks):
        below, middle, above = blocks
        inverse = dense_inverse(middle - below @ product)
        return inverse @ above, inverse

    return lax.scan(step, jnp.zeros_like(diagonal[0]), (lower, diagonal, upper))[1]


def _sweep(inverses, lower, upper, right):
    """Forward and back substitution on right-hand sides `(blocks, m)` or `(blocks, m, columns)`."""

    def forward(before, blocks):
        inverse, below, b = blocks
        y = inverse @ (b - below @ before)
        return y, y

    def backward(after, blocks):
        inverse, above, y = blocks
        x = y - inverse @ (above @ after)
        return x, x

    zero = jnp.zeros_like(right[0])
    # The first block has nothing below it and the last nothing above, but for the ends of a ring.
    _, y = lax.scan(forward, zero, (inverses, lower, right))
    return lax.scan(backward, zero, (inverses, upper, y), reverse=True)[1]


def _solve(state: _Factors, right: jax.Array) -> jax.Array:
    pattern, plan = state.matrix.pattern, _plan(state.matrix.pattern)
    terms: Terms = dict(zip(pattern.terms, state.matrix.entries))
    pointwise, rest = list(plan.pointwise), list(plan.rest)
    if not rest:
        return jnp.einsum("pq...,q...->p...", state.pointwise, right)
    if pointwise:
        local = jnp.einsum("pq...,q...->p...", state.pointwise, right[np.array(pointwise)])
        right_rest = right[np.array(rest)] - _couple(terms, rest, pointwise, local, pattern)
    else:
        local, right_rest = None, right
    x = _solve_blocks(state, right_rest, plan)
    if local is None:
        return x
    back = _couple(terms, pointwise, rest, x, pattern)
    y = local - jnp.einsum("pq...,q...->p...", state.pointwise, back)
    order = np.argsort(np.array(rest + pointwise))
    return jnp.concatenate([x, y])[order]


def _couple(terms: Terms, rows: list[int], columns: list[int], vector: jax.Array, pattern: StencilPattern):
    """The product of one part of the components with another."""
    out = [jnp.zeros(pattern.shape, vector.dtype) for _ in rows]
    for (i, j, offset), entry in terms.items():
        if i in rows and j in columns:
            k = rows.index(i)
            out[k] = out[k] + entry * shifted(vector[columns.index(j)], offset, pattern)
    return jnp.stack(out)


def _solve_blocks(state: _Factors, right: jax.Array, plan: _Plan) -> jax.Array:
    """Solve for the components that are not pointwise, `(components, *shape)`."""
    lines = jnp.moveaxis(right, 1 + plan.axis, 0)
    count = lines.shape[0]
    flat = jnp.pad(lines.reshape(count, -1), ((0, plan.blocks * plan.size - count), (0, 0)))
    flat = flat.reshape(plan.blocks, -1)
    if plan.cyclic:
        spread, last = state.corner
        y = _sweep(state.inverses, state.lower[:-1], state.upper[:-1], flat[:-1])
        end = last @ (flat[-1] - state.lower[-1] @ y[-1] - state.upper[-1] @ y[0])
        x = jnp.concatenate([y - spread @ end, end[None]])
    else:
        x = _sweep(state.inverses, state.lower, state.upper, flat)
    return jnp.moveaxis(x.reshape(plan.blocks * plan.size, -1)[:count].reshape(lines.shape), 0, 1 + plan.axis)
