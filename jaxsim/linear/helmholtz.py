"""Direct solvers of Poisson and Helmholtz problems on a box whose operator is a sum of one matrix per axis."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .bases import AxisBasis, symmetric_weights


class Bands(eqx.Module):
    """A tridiagonal second-derivative matrix along one axis, solved by elimination rather than by its eigenvectors.

    Row $j$ reads $(D u)_j = \\mathrm{lower}_j u_{j-1} + \\mathrm{diagonal}_j u_j + \\mathrm{upper}_j u_{j+1}$, in
    1 / length^2, so `lower[0]` and `upper[-1]` are not used. Cheaper than a `DenseBasis` on a long stretched axis.

    **Arguments:**

    - `lower`, `diagonal`, `upper`: shape `(n,)` each; NumPy or jax arrays.
    """

    lower: Any
    diagonal: Any
    upper: Any

    @staticmethod
    def from_matrix(matrix) -> "Bands":
        """The bands of a tridiagonal matrix of shape `(n, n)`.

        **Raises:** `ValueError` when a matrix has entries beside its three diagonals, a run-time error if it is traced.
        """
        message = "this matrix is not tridiagonal: use `DenseBasis.from_matrix`."
        if isinstance(matrix, jax.core.Tracer):
            beside = jnp.any(jnp.triu(matrix, 2) != 0) | jnp.any(jnp.tril(matrix, -2) != 0)
            matrix = eqx.error_if(matrix, beside, message)
        else:
            matrix = np.asarray(matrix, np.float64)
            if np.any(np.triu(matrix, 2)) or np.any(np.tril(matrix, -2)):
                raise ValueError(message)
        numpy = np if isinstance(matrix, np.ndarray) else jnp
        below, above = numpy.diagonal(matrix, -1), numpy.diagonal(matrix, 1)
        return Bands(numpy.pad(below, (1, 0)), numpy.diagonal(matrix), numpy.pad(above, (0, 1)))

    @property
    def size(self) -> int:
        """Number of unknowns along the axis."""
        return len(self.diagonal)


def separable_solve(
    rhs: jax.Array, axes: Sequence[AxisBasis | Bands], *, coefficients: Sequence | None = None, shift: Any = 0.0
) -> jax.Array:
    """Solves $(s - \\sum_a c_a D_a) u = f$ on a box, with one second-derivative matrix $D_a$ per axis.

    Every axis with a basis is transformed to amplitudes; what remains is a division, or, along one axis given as
    `Bands`, a tridiagonal system per mode. The Poisson problem $-\\Delta u = f$ has `shift=0`, a backward Euler step of
    diffusion has `shift=1` and coefficients $\\nu \\Delta t$.

    A mode on which the operator is exactly zero (the constant, when all ends are Neumann or periodic and the shift is
    zero) is pinned to zero: its part of `rhs` is dropped, and the solution has zero mean in the axes' weights. This
    changes no other mode.

    **Arguments:**

    - `rhs`: shape `(..., *sizes)`, real or complex; leading axes are solved alike.
    - `axes`: an `AxisBasis` for each of the last axes, or `Bands` for one of them.
    - `coefficients`: a number per axis, 1 by default; may be traced.
    - `shift`: a number; may be traced, and complex where no axis is given as `Bands`.

    **Returns:** the solution, of the shape of `rhs`.

    **Raises:** `ValueError` when sizes and shape disagree, or for more than one axis given as `Bands`; `TypeError` for
    whole numbers, or axes that are neither.

    **Reference:** R. E. Lynch, J. R. Rice and D. H. Thomas, Numer. Math. 6 (1964) 185-199; the tridiagonal variant is
    that of U. Schumann and R. A. Sweet, J. Comput. Phys. 75 (1988) 123-137.
    """
    rhs = jnp.asarray(rhs)
    dimension = len(axes)
    coefficients = [1.0] * dimension if coefficients is None else list(coefficients)
    _check(rhs, axes, coefficients, shift)
    banded = [axis for axis, each in enumerate(axes) if isinstance(each, Bands)]
    if banded and (jnp.iscomplexobj(rhs) or jnp.iscomplexobj(shift)):
        if jnp.iscomplexobj(shift):
            raise ValueError("a complex shift needs a basis on every axis: use `DenseBasis.from_matrix` for `Bands`.")
        real = separable_solve(rhs.real, axes, coefficients=coefficients, shift=shift)
        return lax.complex(real, separable_solve(rhs.imag, axes, coefficients=coefficients, shift=shift))

    dtype = jnp.finfo(rhs.dtype).dtype
    amplitudes, symbol = rhs, _number(shift, dtype).reshape([1] * dimension)
    for axis, (each, coefficient) in enumerate(zip(axes, coefficients)):
        if axis in banded:
            continue
        amplitudes = each.forward(amplitudes, axis - dimension)
        shape = [1] * dimension
        shape[axis] = each.size
        symbol = symbol - _number(coefficient, dtype) * jnp.asarray(each.eigenvalues, dtype).reshape(shape)
    if banded:
        axis = banded[0]
        amplitudes = _solve_bands(amplitudes, symbol, axes[axis], _number(coefficients[axis], dtype), axis)
    else:
        null = symbol == 0
        amplitudes = jnp.where(null, 0.0, amplitudes / jnp.where(null, 1.0, symbol))
    for axis, each in enumerate(axes):
        if axis not in banded:
            amplitudes = each.backward(amplitudes, axis - dimension)
    return amplitudes


def _solve_bands(amplitudes, symbol, bands: Bands, coefficient, axis: int):
    """A tridiagonal system per mode of the other axes; leading axes of the amplitudes become right-hand sides."""
    columns = amplitudes.reshape(-1, *amplitudes.shape[amplitudes.ndim - symbol.ndim :])
    columns = jnp.moveaxis(columns, (1 + axis, 0), (-2, -1))  # (*modes, n, columns)
    symbol = jnp.moveaxis(symbol, axis, -1)

    lower, diagonal, upper, weights, singular = _prepared(bands, amplitudes.dtype)
    lower, upper = (jnp.broadcast_to(-coefficient * band, columns.shape[:-1]) for band in (lower, upper))
    diagonal = jnp.broadcast_to(symbol - coefficient * diagonal, columns.shape[:-1])
    null = (symbol == 0) & singular
    # The singular mode: without the left null vector's part of the data the first row follows from the others, so it
    # may hold u_0 = 0 instead; the mean is taken off at the end.
    weights = weights[:, None]
    consistent = columns - jnp.sum(weights * columns, axis=-2, keepdims=True)
    first = jnp.arange(bands.size) == 0
    lower, upper = jnp.where(null & first, 0.0, lower), jnp.where(null & first, 0.0, upper)
    diagonal = jnp.where(null & first, 1.0, diagonal)
    data = jnp.where(null[..., None], jnp.where(first[:, None], 0.0, consistent), columns)
    solution = lax.linalg.tridiagonal_solve(lower, diagonal, upper, data)
    solution = jnp.where(null[..., None], solution - jnp.sum(weights * solution, axis=-2, keepdims=True), solution)
    solution = jnp.moveaxis(solution, (-2, -1), (1 + axis, 0))
    return solution.reshape(amplitudes.shape)


def _prepared(bands: Bands, dtype):
    """Bands with zeros at the unused ends, normalized weights that make them symmetric, and whether D 1 = 0."""
    concrete = not any(isinstance(band, jax.core.Tracer) for band in (bands.lower, bands.diagonal, bands.upper))
    numpy, precision = (np, np.float64) if concrete else (jnp, dtype)
    lower, diagonal, upper = (numpy.asarray(band, precision) for band in (bands.lower, bands.diagonal, bands.upper))
    inside = np.arange(bands.size) > 0
    lower, upper = numpy.where(inside, lower, 0.0), numpy.where(inside[::-1], upper, 0.0)
    weights = symmetric_weights(lower[1:], upper[:-1])
    rounding = 100 * np.finfo(np.dtype(precision)).eps * numpy.abs(diagonal).max()
    singular = numpy.abs(lower + diagonal + upper).max() <= rounding
    weights = weights / weights.sum()
    return *(jnp.asarray(each, dtype) for each in (lower, diagonal, upper, weights)), jnp.asarray(singular)


def _number(value, dtype):
    if jnp.iscomplexobj(value):
        dtype = jnp.result_type(dtype, jnp.complex64)
    return jnp.asarray(value, dtype)


def _check(rhs, axes, coefficients, shift):
    if not jnp.issubdtype(rhs.dtype, jnp.inexact):
        raise TypeError(f"a right-hand side is made of floating-point numbers, got {rhs.dtype}.")
    if not axes or any(not isinstance(each, (AxisBasis, Bands)) for each in axes):
        raise TypeError("`axes` holds an `AxisBasis` (or, once, `Bands`) for each of the last axes of `rhs`.")
    sizes = tuple(each.size for each in axes)
    if rhs.shape[-len(sizes) :] != sizes:
        raise ValueError(f"a right-hand side of shape (..., {', '.join(map(str, sizes))}) is needed, got {rhs.shape}.")
    if len(coefficients) != len(axes):
        raise ValueError(f"{len(axes)} axes need as many coefficients, got {len(coefficients)}.")
    if any(jnp.ndim(number) for number in (*coefficients, shift)):
        raise ValueError("coefficients and shift are numbers: use `jax.vmap` for several.")
    if sum(isinstance(each, Bands) for each in axes) > 1:
        raise ValueError("one axis may be given as `Bands`; give the others a basis, e.g. `DenseBasis.from_matrix`.")
