"""Derivatives of what makes a sum of squares stationary."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ...linear.batches import solve_triangle, solve_triangle_back
from ...norms import lengths
from .thin_qr import PseudoInverse, ThinQR, product, removable_part
from .varying import alike


def tall_solve(rows: Callable[[jax.Array], jax.Array], unknowns: jax.Array, p: jax.Array, g: jax.Array,
               solve: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]],
               weight: Callable[[jax.Array], jax.Array] | None = None) -> jax.Array:  # fmt: skip
    """The $x$ with $(J^T J + S) x = -(J^T p + g)$, differentiable in everything but `solve`.

    As one symmetric system without a product of $J$ with itself,

    $$\\begin{pmatrix} I & -J \\\\ -J^T & -S \\end{pmatrix} \\begin{pmatrix} s \\\\ x \\end{pmatrix} =
      \\begin{pmatrix} p \\\\ g \\end{pmatrix},$$

    whose products are derivatives of `rows`; they are only computed where a solve itself is differentiated.

    **Arguments:**

    - `rows`, `unknowns`: where $J$ is taken.
    - `p`, `g`: right-hand sides `(m,)` and `(n,)`.
    - `solve`: gives `(s, x)`.
    - `weight`: gives $S x$; nothing by default.
    """

    count = len(p)

    def matvec(both):
        s, x = both[:count], both[count:]
        across, back = jax.jvp(rows, (unknowns,), (x,))[1], jax.vjp(rows, unknowns)[1](s)[0]
        return jnp.concatenate([s - across, -back if weight is None else -(back + weight(x))])

    by = lambda _, both: alike(jnp.concatenate(solve(both[:count], both[count:])), both)
    # One array, since a transpose asks that all of a right-hand side depends on the tangents.
    right = alike(jnp.concatenate([p, g]), unknowns)
    return lax.custom_linear_solve(matvec, right, by, by, symmetric=True)[count:]


def stationary_change(rows: Callable[[Any, jax.Array], jax.Array], arrays: Any, moved: Any, unknowns: jax.Array,
                      inverse: PseudoInverse, fine: jax.Array, curvature: bool) -> jax.Array:  # fmt: skip
    """How the unknowns change with the arrays, so that $J^T r = 0$ stays true.

    $$\\dot w = -(J^T J + S)^{-1} (J^T \\dot r + \\dot J^T r), \\quad S = \\sum_i r_i \\nabla^2 r_i$$

    **Arguments:**

    - `rows`: $r$, a function of the arrays and of the unknowns.
    - `arrays`, `moved`: the arrays and their tangents.
    - `unknowns`: where $J^T r = 0$.
    - `inverse`: made of the factors of $J$ there.
    - `fine`: whether the rest is a number; otherwise the change is zero, forward and backward.
    - `curvature`: whether $S$ counts.
    """
    moved = jax.tree.map(lambda leaf: jnp.where(fine, leaf, 0), moved)
    right, right_moved = jax.jvp(lambda arrays: rows(arrays, unknowns), (arrays,), (moved,))
    gradient = lambda arrays, w: jax.vjp(lambda w: rows(arrays, w), w)[1](right)[0]
    _, gradient_moved = jax.jvp(lambda arrays: gradient(arrays, unknowns), (arrays,), (moved,))
    bent, weight = None, None
    if curvature:
        weight = lambda x: jax.jvp(lambda w: gradient(arrays, w), (unknowns,), (x,))[1]
        second = lax.stop_gradient(jax.vmap(weight, out_axes=1)(jnp.eye(unknowns.size, dtype=unknowns.dtype)))
        bent = inverse.bent(jnp.where(fine & jnp.all(jnp.isfinite(second)), second, 0))
    change = tall_solve(lambda w: rows(arrays, w), unknowns, right_moved, gradient_moved,
                        lambda p, g: inverse.solve(p, g, bent), weight)  # fmt: skip
    return jnp.where(fine, change, 0)


def damped_step(rows: Callable[[jax.Array], jax.Array], unknowns: jax.Array, right: jax.Array, factors: ThinQR,
                damping: jax.Array) -> jax.Array:  # fmt: skip
    """The `d` of the least $|r + J d|^2 + \\lambda |D d|^2$, differentiable; $\\lambda$ and $D$ count as constant."""
    triangle = factors.triangle
    weight = lax.stop_gradient(damping * column_norms(triangle) ** 2)

    def solve(p, g):
        # The normal equations' g is J^T (a residual), once more from the triangle with the damping below.
        whole = jnp.concatenate([triangle, jnp.diag(jnp.sqrt(weight))])
        reduced, part = removable_part(whole, jnp.pad(factors.down(p), (0, len(weight))))
        back = solve_triangle_back(reduced, g)
        x = -solve_triangle(reduced, part + back)
        return p + factors.up(product(triangle, x)), x

    return tall_solve(rows, unknowns, right, jnp.zeros_like(unknowns), solve, lambda x: weight * x)


def column_norms(triangle: jax.Array) -> jax.Array:
    """Norms of the columns, one for a column of zeros."""
    norms = lengths(triangle, 0)
    return jnp.where(norms > 0, norms, 1)
