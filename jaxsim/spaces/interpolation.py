"""Fields moved from one space to another."""

import jax
import jax.numpy as jnp
import numpy as np

from ..field import Field
from ..grid import Grid
from ._base import Space
from ._transforms import pad_full, truncate_full
from ._windows import apply_matrix, resample
from .finite_difference import FiniteDifference
from .fourier import Fourier


def interpolate(u: Field, space: Space, t: float | jax.Array = 0.0) -> Field:
    """The field on another space that is nearest to $u$.

    - From `Fourier` to `Fourier` spectra are padded with zeros or truncated: nothing is lost on a finer grid.
    - From `Fourier` to other nodes the trigonometric polynomial is evaluated there, exactly.
    - From `FiniteDifference` polynomials through the `order` nearest nodes are evaluated, axis by axis: an
        error of $O(h^p)$ for order $p$. Next to a wall the nodes lie on one side, half a spacing short of the
        wall at most.
    - From `js.Function` the callable is evaluated at the nodes.

    **Arguments:**

    - `u`: any field that can be evaluated.
    - `space`: `Fourier` or `FiniteDifference`, on the same box as $u$.
    - `t`: time at which a `js.Function`, and boundary values that are callables, are taken.

    **Returns:** a field on `space` with the same components, differentiable with respect to $u$.

    **Raises:** `ValueError` for different boxes, `TypeError` for complex values on a space of real fields and
    for spaces that cannot be sampled.
    """
    if not isinstance(u, Field) or not isinstance(space, Space):
        raise TypeError(
            f"interpolate needs a field and a space, as in js.interpolate(u, js.Fourier(grid)); got "
            f"{type(u).__name__} and {type(space).__name__}."
        )
    grid = getattr(space, "grid", None)
    if grid is None:
        raise TypeError(f"interpolate: a {type(space).__name__} space has no nodes to move a field to.")
    source = u.space
    if getattr(source, "grid", None) is None:
        values = _at_nodes(u, space, t)
    else:
        _check_boxes(source.grid, grid)
        if isinstance(source, Fourier) and source.real and not getattr(space, "real", True):
            source = source.of_complex()
            u = source.adopt(u)
        if isinstance(source, Fourier) and isinstance(space, Fourier) and source.real == space.real:
            return space.from_coefficients(_resized(source, space, source.coefficients(u)))
        if isinstance(source, Fourier):
            values = _trigonometric(source, space, source.coefficients(u))
        elif isinstance(source, FiniteDifference):
            values = _piecewise(source, space, source.values(u))
        else:
            raise TypeError(f"interpolate: fields on {type(source).__name__} cannot be moved to other nodes.")
    moved = space.field(values)
    return space.bind(space.state(moved), t) if isinstance(space, FiniteDifference) else moved


def _check_boxes(a: Grid, b: Grid):
    if a.dimension != b.dimension or not np.allclose((a.lower, a.upper), (b.lower, b.upper), rtol=1e-12, atol=0):
        raise ValueError(f"interpolate: both spaces must fill the same box; got {a} and {b}.")


def nodes(space: Space) -> list[np.ndarray]:
    """Coordinates of the nodes along each axis, in float64 on the host."""
    grid = space.grid
    if isinstance(space, Fourier):
        return [low + h * np.arange(n) for low, h, n in zip(grid.lower, grid.spacing, grid.shape)]
    return [space.nodes(axis) for axis in range(grid.dimension)]


def _at_nodes(u: Field, space: Space, t):
    """Values of a callable at every node, `(*components, *grid)`."""
    coordinates = space.coordinates()
    points = jax.vmap(lambda *x: jnp.asarray(u(t, *x)))(*(x.ravel() for x in coordinates))
    return jnp.moveaxis(points, 0, -1).reshape(*points.shape[1:], *coordinates[0].shape)


def _resized(source: Fourier, space: Fourier, spectrum):
    """A compact spectrum with the modes of another grid."""
    for axis, (old, new) in enumerate(zip(source.cutoffs, space.cutoffs)):
        along = spectrum.ndim - source.dimension + axis
        if source.real and axis == source.dimension - 1:
            kept = jax.lax.slice_in_dim(spectrum, 0, min(old, new) + 1, axis=along)
            spectrum = jnp.pad(kept, [(0, 0)] * along + [(0, max(new - old, 0))])
        else:
            spectrum = truncate_full(spectrum, along, new) if new < old else pad_full(spectrum, along, 2 * new + 1)
    return spectrum


def _trigonometric(source: Fourier, space: Space, spectrum):
    """Values of a trigonometric polynomial at the nodes of a space, one matrix per axis."""
    for axis, (x, k) in enumerate(zip(nodes(space), source.wave_numbers())):
        along = spectrum.ndim - source.dimension + axis
        wave = np.exp(1j * np.outer(x - source.grid.lower[axis], k.ravel()))
        if source.real and axis == source.dimension - 1:  # the other half of the spectrum is the conjugate
            wave *= np.where(np.arange(k.size) > 0, 2.0, 1.0)
            real = apply_matrix(wave.real, jnp.real(spectrum), along)
            return real - apply_matrix(wave.imag, jnp.imag(spectrum), along)
        spectrum = apply_matrix(wave, spectrum, along)
    return spectrum


def _piecewise(source: FiniteDifference, space: Space, values):
    """Local polynomials through nodal values at the nodes of a space."""
    for axis, x in enumerate(nodes(space)):
        window = source.windows(x, axis)
        values = resample(values, values.ndim - source.dimension + axis, *window)
    return values
