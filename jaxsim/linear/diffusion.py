"""Diffusion with a coefficient that varies, on cells."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from jax import lax

from ..norms import power_of_two
from .bases import Side
from .symmetric import SymmetricOperator

Sides = tuple[tuple[Side, Side], ...]


def per_axis(sides: Any, dimension: int) -> Sides:
    """One side for all, or one side or pair per axis, as one pair per axis.

    A Dirichlet side has the value zero, a Neumann side the flux zero.

    **Raises:** `ValueError` for a wrong number of entries, or an axis that is periodic on one side only.
    """
    entries = (sides,) * dimension if isinstance(sides, Side) else tuple(sides)
    pairs = tuple((entry, entry) if isinstance(entry, Side) else tuple(entry) for entry in entries)
    if len(pairs) != dimension or any(len(p) != 2 or not all(isinstance(s, Side) for s in p) for p in pairs):
        raise ValueError(
            f"`sides` is one Side for all, or one Side or pair (lower, upper) for each of {dimension} axes; "
            f"got {sides!r}."
        )
    for axis, pair in enumerate(pairs):
        if pair.count(Side.PERIODIC) == 1:
            raise ValueError(f"axis {axis} is periodic on one side only; make both sides Side.PERIODIC.")
    return pairs


def harmonic_mean(a: jax.Array, b: jax.Array) -> jax.Array:
    """2ab / (a + b): resistances of two half cells in series; exact in one dimension for jumps on faces."""
    of_a, of_b = power_of_two(jnp.abs(a)), power_of_two(jnp.abs(b))  # the product may leave the range of numbers
    large = jnp.maximum(of_a, of_b)
    total = a / large + b / large
    return 2 * (a / of_a) * (b / of_b) / jnp.where(total == 0, 1, total) * jnp.minimum(of_a, of_b)


def arithmetic_mean(a: jax.Array, b: jax.Array) -> jax.Array:
    """(a + b) / 2."""
    return (a + b) / 2


class VariableDiffusion(SymmetricOperator):
    """Diffusion with a variable coefficient, $u \\mapsto -\\nabla\\cdot(a \\nabla u) + c\\,u$, on the cells of a box.

    Conservative and of second order: the flux through a face is $a_f$ times the difference of its two cells over the
    spacing; a wall with value zero is half a spacing away from its cell. Symmetric and positive semidefinite;
    singular, with the constants as its null space, if no side is `Side.DIRICHLET` and there is no reaction. Then
    solve with a right-hand side whose mean is zero: `CG` gives the solution with mean zero, which another
    preconditioner may shift by a constant. Project both, `b - b.mean()` and `u - u.mean()`, to differentiate through
    such a solve.

    LeVeque, Finite Difference Methods for Ordinary and Partial Differential Equations (2007), section 2.15;
    harmonic means: Patankar, Numerical Heat Transfer and Fluid Flow (1980), section 4.2-3.

    **Arguments:**

    - `coefficient`: $a \\ge 0$ in the cells, an array with one to three axes. A cell with zero lets nothing through
        (with harmonic means), and without a reaction has no equation: the right-hand side must be zero there.
    - `spacing`: cell width, one number for all axes or one per axis.
    - `sides`: a [`Side`][jaxsim.linear.Side] for all, or one or a pair `(lower, upper)` per axis.
    - `reaction`: $c \\ge 0$ in the cells, a number or an array that broadcasts; none by default.
    - `mean`: $a_f$ from the values in two neighbors, `harmonic_mean` or `arithmetic_mean` or another function.

    **Returns:** a lineax operator on arrays shaped like `coefficient`, in units of $a$ per length².

    **Raises:** `ValueError` for a wrong shape, spacing or side, and, where values are known, for a negative
        coefficient or reaction (subtract a `lineax.DiagonalLinearOperator` for an indefinite operator).
    """

    coefficient: jax.Array
    reaction: jax.Array | None
    faces: tuple[jax.Array, ...]  # per axis, a_f / h² on all faces, one more than cells
    spacing: tuple[float, ...] = eqx.field(static=True)
    sides: Sides = eqx.field(static=True)

    def __init__(self, coefficient: Any, spacing: float | Sequence[float], sides: Any = Side.DIRICHLET,
                 reaction: Any = None, mean: Callable = harmonic_mean):  # fmt: skip
        a = jnp.asarray(coefficient)
        a = a if jnp.issubdtype(a.dtype, jnp.inexact) else a.astype(jnp.result_type(float))
        if not 1 <= a.ndim <= 3 or min(a.shape) < 2:
            raise ValueError(f"VariableDiffusion: `coefficient` needs 1 to 3 axes of at least 2 cells, got {a.shape}.")
        widths = np.asarray(spacing, float)
        if widths.shape not in ((), (a.ndim,)) or not np.all((widths > 0) & np.isfinite(widths)):
            raise ValueError(f"VariableDiffusion: `spacing` must be positive, one or {a.ndim} numbers; got {spacing}.")
        if not _all(a, lambda v: v >= 0):
            raise ValueError("VariableDiffusion: `coefficient` must be finite and not negative.")
        if reaction is not None:
            reaction = jnp.broadcast_to(jnp.asarray(reaction, a.dtype), a.shape)
            if not _all(reaction, lambda v: v >= 0):
                raise ValueError("VariableDiffusion: `reaction` must be finite and not negative.")
        self.coefficient, self.reaction = a, reaction
        self.spacing = tuple(float(h) for h in np.broadcast_to(widths, (a.ndim,)))
        self.sides = per_axis(sides, a.ndim)
        self.faces = _all_faces(a, self.sides, self.spacing, mean)

    def mv(self, vector: jax.Array) -> jax.Array:
        if vector.shape != self.coefficient.shape:
            raise ValueError(f"VariableDiffusion acts on arrays of shape {self.coefficient.shape}, got {vector.shape}.")
        return apply(self.faces, self.reaction, self.sides, vector)

    def diagonal(self) -> jax.Array:
        """The diagonal, shaped like the cells."""
        return diagonal(self.faces, self.reaction)

    def in_structure(self):
        return jax.ShapeDtypeStruct(self.coefficient.shape, self.coefficient.dtype)

    @property
    def singular(self) -> bool:
        """Whether constants are mapped to zero."""
        return self.reaction is None and not any(Side.DIRICHLET in pair for pair in self.sides)


@lx.diagonal.register(VariableDiffusion)
def _(operator):
    return operator.diagonal().reshape(-1)


@lx.is_tridiagonal.register(VariableDiffusion)
def _(operator):
    return operator.coefficient.ndim == 1 and operator.sides[0][0] is not Side.PERIODIC


@lx.tridiagonal.register(VariableDiffusion)
def _(operator):
    if operator.coefficient.ndim > 1 or operator.sides[0][0] is Side.PERIODIC:
        raise ValueError("VariableDiffusion is tridiagonal on one axis that is not periodic.")
    beside = -operator.faces[0][1:-1]
    return operator.diagonal(), beside, beside


def apply(faces: tuple[jax.Array, ...], reaction: jax.Array | None, sides: Sides, u: jax.Array) -> jax.Array:
    """Minus the divergence of fluxes `face * difference`, plus `reaction * u`."""
    out = None if reaction is None else reaction * u
    for axis, (face, pair) in enumerate(zip(faces, sides)):
        flux = face * _difference(u, axis, pair)
        n = u.shape[axis]
        loss = lax.slice_in_dim(flux, 0, n, axis=axis) - lax.slice_in_dim(flux, 1, n + 1, axis=axis)
        out = loss if out is None else out + loss
    return out


def diagonal(faces: tuple[jax.Array, ...], reaction: jax.Array | None) -> jax.Array:
    """The diagonal of `apply`."""
    sums = [
        lax.slice_in_dim(face, 0, face.shape[axis] - 1, axis=axis) + lax.slice_in_dim(face, 1, None, axis=axis)
        for axis, face in enumerate(faces)
    ]
    return sum(sums[1:], sums[0] if reaction is None else sums[0] + reaction)


def _difference(u, axis, pair):
    """Differences over all faces; beyond a wall there is zero, and weights of walls are made for that."""
    n = u.shape[axis]
    if pair[0] is Side.PERIODIC:
        u = jnp.concatenate([lax.slice_in_dim(u, n - 1, n, axis=axis), u, lax.slice_in_dim(u, 0, 1, axis=axis)], axis)
    else:
        u = jnp.pad(u, [(1, 1) if k == axis else (0, 0) for k in range(u.ndim)])
    return lax.slice_in_dim(u, 1, n + 2, axis=axis) - lax.slice_in_dim(u, 0, n + 1, axis=axis)


@functools.partial(jax.jit, static_argnames=("sides", "spacing", "mean"))
def _all_faces(a, sides, spacing, mean):
    return tuple(_faces(a, axis, pair, mean) / h**2 for axis, (pair, h) in enumerate(zip(sides, spacing)))


def _faces(a, axis, pair, mean):
    n = a.shape[axis]
    first, last = lax.slice_in_dim(a, 0, 1, axis=axis), lax.slice_in_dim(a, n - 1, n, axis=axis)
    inner = mean(lax.slice_in_dim(a, 0, n - 1, axis=axis), lax.slice_in_dim(a, 1, n, axis=axis))
    # A wall with a value is half a spacing away.
    walls = [
        {Side.DIRICHLET: 2, Side.NEUMANN: 0}[side] * cell if side is not Side.PERIODIC else mean(last, first)
        for side, cell in zip(pair, (first, last))
    ]
    return jnp.concatenate([walls[0], inner, walls[1]], axis)


def _all(values, test):
    return isinstance(values, jax.core.Tracer) or bool(np.all(test(np.asarray(values)) & np.isfinite(values)))
