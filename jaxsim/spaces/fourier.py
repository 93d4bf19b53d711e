"""Fields made of Fourier modes, on periodic boxes."""

import dataclasses
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from ..boxes import placed
from ..field import Field, is_uniform
from ..grid import Grid
from ..norms import root_mean_squares
from . import _sharded, _transforms
from ._base import MAKES_COMPLEX, Modes, Space, complex_dtype, fast_length, nodal_array, nodal_shape_error, real_dtype


class _Parts(eqx.Module):
    """What a Fourier field holds: the sum of up to three parts, so that no transform is made before it is needed.

    `modal` is a compact spectrum; `nodal` are values on the grid as the user gave them; `padded` are values of
    products on the finer grid of the space, polynomials of `degree` in resolved fields. `peak` is the highest degree
    met on the way; integrators read it to choose the padding.
    """

    modal: jax.Array | np.ndarray | None = None
    nodal: jax.Array | None = None
    padded: jax.Array | None = None
    degree: int = eqx.field(static=True, default=1)
    peak: int = eqx.field(static=True, default=1)

    @property
    def arrays(self):
        return self.modal, self.nodal, self.padded


class Fourier(Space):
    """Trigonometric polynomials on a periodic box: the pseudo-spectral space.

    On `n` nodes an axis resolves the wave numbers $|k| \\le K = \\lfloor (n-1)/2 \\rfloor$ (times $2\\pi/L$). Products
    are evaluated on a grid fine enough that no alias of them falls on a resolved mode: with $p$ factors at least
    $(p+1)K + 1$ nodes (Orszag 1971; 3/2 for quadratic, 2 for cubic), and then projected back. Integrators find
    $p$ from the equation; at the user's own desk it is 2, and longer products are projected pair by pair.

    **Arguments:**

    - `grid`: the box. Nodes are `lower + i * spacing`, `upper` is not one.
    - `real`: `False` for complex-valued fields (Schrödinger, Ginzburg-Landau).
    - `dealias`: ratio of the fine grid to the grid, overriding the count above; 1 switches dealiasing off.
    - `mesh`: a `jax.sharding.Mesh` with one axis, over which fields are cut into slabs: nodal values along the first
        spatial axis and spectra along the last, exchanged by all-to-all inside each transform.
    - `degree`: polynomial degree that products may reach before they are projected.

    `coefficients` have shape `(..., 2K_1 + 1, ..., K_d + 1)` (the last axis `2K_d + 1` for complex fields), in the
    order $0, \\dots, K, -K, \\dots, -1$; they are amplitudes, so that the mean of a field is its zeroth coefficient.
    """

    grid: Grid = eqx.field(static=True)
    real: bool = eqx.field(static=True, default=True)
    dealias: float | None = eqx.field(static=True, default=None)
    mesh: Mesh | None = eqx.field(static=True, default=None)
    degree: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        if not isinstance(self.grid, Grid):
            raise TypeError(f"Fourier needs a Grid, as in js.Fourier(js.Grid(64)); got {type(self.grid).__name__}.")
        if not self.grid.uniform:
            raise ValueError("Fourier: waves need equal cells; leave out the stretching, or use FiniteDifference.")
        if min(self.grid.shape) < 3:
            raise ValueError(f"Fourier needs at least 3 nodes on every axis, got {self.grid.shape}.")
        if self.dealias is not None and self.dealias < 1:
            raise ValueError(f"Fourier: `dealias` is a ratio of at least 1 (3/2 for quadratic), got {self.dealias}.")
        if self.degree < 1:
            raise ValueError(f"Fourier: `degree` must be at least 1, got {self.degree}.")
        if self.mesh is not None:
            _sharded.check(self.mesh, self)

    # -- shapes ------------------------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        return self.grid.dimension

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic: all are."""
        return (True,) * self.dimension

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Largest integer wave number on each axis."""
        return _transforms.cutoffs(self.grid.shape)

    @property
    def spectral_shape(self) -> tuple[int, ...]:
        """Shape of the coefficients of a scalar field."""
        return _transforms.spectral_shape(self.grid.shape, self.real)

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """Nodes on which products are evaluated."""
        if self.dealias is not None:
            return tuple(max(n, fast_length(math.ceil(self.dealias * n - 1e-9))) if self.dealias > 1 else n
                         for n in self.grid.shape)  # fmt: skip
        if self.degree == 1:
            return self.grid.shape
        divisor = self.mesh.size if self.mesh is not None else 1
        return tuple(
            _sharded.next_multiple((self.degree + 1) * k + 1, divisor if axis == 0 else 1)
            for axis, k in enumerate(self.cutoffs)
        )

    def wave_numbers(self) -> tuple[np.ndarray, ...]:
        """Angular wave numbers $2\\pi k / L$ of each axis as vectors that broadcast against coefficients (float64)."""
        vectors = []
        for axis, (cutoff, length) in enumerate(zip(self.cutoffs, self.grid.lengths, strict=True)):
            positive = np.arange(cutoff + 1)
            half = self.real and axis == self.dimension - 1
            integers = positive if half else np.concatenate([positive, -positive[:0:-1]])
            shape = [1] * self.dimension
            shape[axis] = len(integers)
            vectors.append((2 * np.pi / length * integers).reshape(shape))
        return tuple(vectors)

    def coordinates(self) -> tuple[jax.Array, ...]:
        """Coordinates of the nodes: one array of the grid's shape per axis."""
        axes = [
            low + width * np.arange(n)
            for low, width, n in zip(self.grid.lower, self.grid.spacing, self.grid.shape, strict=True)
        ]
        return tuple(jnp.asarray(x) for x in np.meshgrid(*axes, indexing="ij"))

    # -- making and reading fields -----------------------------------------------------------------------------------
    def field(self, source) -> Field:
        source = placed(source, self.grid) if callable(source) else source
        values = nodal_array(source, self.coordinates, self.grid.shape)
        if values.shape[-self.dimension :] != self.grid.shape:
            raise nodal_shape_error(self, values.shape, self.grid.shape)
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            values = values.astype(jnp.result_type(float))
        if self.real and jnp.iscomplexobj(values):
            raise TypeError("Fourier: complex values on a space of real fields; use js.Fourier(grid, real=False).")
        if not self.real:
            values = values.astype(complex_dtype(values.dtype))
        return Field(self, _Parts(nodal=values))

    def from_coefficients(self, coefficients: jax.Array) -> Field:
        """A field from coefficients of shape `(..., *spectral_shape)`."""
        if coefficients.shape[coefficients.ndim - self.dimension :] != self.spectral_shape:
            raise ValueError(f"coefficients need shape (..., *{self.spectral_shape}), got {coefficients.shape}.")
        return Field(self, _Parts(modal=coefficients))

    def values(self, u: Field) -> jax.Array:
        if u.data.modal is None and u.data.padded is None:
            return u.data.nodal
        return self._to_nodes(self.coefficients(u), self.grid.shape)

    def coefficients(self, u: Field) -> jax.Array:
        modal, nodal, padded = u.data.arrays
        parts = [] if modal is None else [modal]
        parts += [self._to_spectrum(values) for values in (nodal, padded) if values is not None]
        return parts[0] if len(parts) == 1 else sum(parts[1:], parts[0])

    def components(self, u: Field) -> tuple[int, ...]:
        array = next(a for a in u.data.arrays if a is not None)
        return array.shape[: array.ndim - self.dimension]

    def dtype(self, u: Field) -> np.dtype:
        array = next(a for a in u.data.arrays if a is not None)
        return real_dtype(array.dtype) if self.real else complex_dtype(array.dtype)

    def evaluate(self, u: Field, *coordinates) -> jax.Array:
        """Exact trigonometric interpolation at one point or at arrays of points of one shape.

        **Returns:** values of shape `(*components, *points)`.
        """
        if len(coordinates) != self.dimension:
            raise ValueError(f"a field on {self.grid} is evaluated at {self.dimension} coordinates.")
        coefficients = self.coefficients(u)
        points = jnp.broadcast_arrays(*(jnp.asarray(x, real_dtype(coefficients.dtype)) for x in coordinates))
        shape, points = points[0].shape, [x.ravel() for x in points]
        for axis, (x, k) in enumerate(zip(points, self.wave_numbers(), strict=True)):
            phase = jnp.asarray(k.ravel(), x.dtype) * (x - self.grid.lower[axis])[:, None]
            wave = lax.complex(jnp.cos(phase), jnp.sin(phase))
            if self.real and axis == self.dimension - 1:  # the other half of the spectrum is the conjugate
                wave = wave * jnp.where(jnp.arange(k.size) > 0, 2.0, 1.0).astype(x.dtype)
            before = u.space.dimension - axis
            if axis == 0:
                coefficients = jnp.moveaxis(jnp.tensordot(coefficients, wave, ((-before,), (1,))), -1, 0)
            else:
                coefficients = jnp.einsum("p...k,pk->p...", jnp.moveaxis(coefficients, -before, -1), wave)
        values = jnp.moveaxis(coefficients, 0, -1)
        return (jnp.real(values) if self.real else values).reshape(*values.shape[:-1], *shape)

    def lift(self, u: Field, other) -> Field:
        if not is_uniform(other, self.dimension):
            return super().lift(u, other)
        modal, nodal, padded = u.data.arrays
        shape = np.broadcast_shapes(np.shape(other), (1,) * self.dimension)[: -self.dimension]
        value = jnp.asarray(other, u.dtype).reshape(*shape, *(1,) * self.dimension)
        if padded is not None or nodal is not None:  # a number is the same on every grid
            name, nodes = ("padded", padded) if padded is not None else ("nodal", nodal)
            grid = nodes.shape[nodes.ndim - self.dimension :]
            return Field(self, _Parts(**{name: jnp.broadcast_to(value, (*shape, *grid))}))
        zeroth = np.zeros(self.spectral_shape)
        zeroth[(0,) * self.dimension] = 1.0
        # Not linear in `u`: the peak keeps such a sum out of an equation's linear part (see `FourierModes.symbol`).
        return Field(self, _Parts(modal=jnp.asarray(zeroth, modal.dtype) * value.astype(modal.dtype), peak=2))

    # -- arithmetic --------------------------------------------------------------------------------------------------
    def meet(self, other: Space) -> "Fourier":
        super().meet(other)
        return self if not self.real or other.real else self.of_complex()

    def of_complex(self) -> "Fourier":
        return dataclasses.replace(self, real=False)

    def adopt(self, u: Field) -> Field:
        """The field with the spectrum of this space, and without products on another fine grid than this one's."""
        modal, nodal, padded = u.data.arrays
        if u.space.real == self.real and (padded is None or u.space.padded_shape == self.padded_shape):
            return u
        if padded is not None and u.space.padded_shape != self.padded_shape:
            modal, nodal, padded = u.space.coefficients(u), None, None
        if u.space.real and not self.real:
            if isinstance(modal, np.ndarray):
                raise ValueError(MAKES_COMPLEX)
            modal = modal if modal is None else _transforms.full_of_half(modal, self.dimension)
            nodal, padded = (a if a is None else a.astype(complex_dtype(a.dtype)) for a in (nodal, padded))
        return Field(self, _Parts(modal, nodal, padded, u.data.degree if padded is not None else 1, u.data.peak))

    def linear(self, function: Callable, *fields: Field) -> Field:
        parts = [u.data for u in fields]
        if len(parts) > 1 and function is not _add and any(_layout(p) != _layout(parts[0]) for p in parts):
            parts = [_Parts(modal=self.coefficients(u), peak=u.data.peak) for u in fields]
        arrays = [
            None if all(a is None for a in members) else function(*members)
            for members in zip(*(p.arrays for p in parts), strict=True)
        ]
        degree, peak = max(p.degree for p in parts), max(p.peak for p in parts)
        return Field(self, _Parts(*arrays, degree=degree, peak=peak))

    def add(self, u: Field, v: Field) -> Field:
        if u.shape != v.shape:
            shape = np.broadcast_shapes(u.shape, v.shape)
            u, v = (self.linear(lambda a: _broadcast(a, shape, self.dimension), w) for w in (u, v))
        return self.linear(_add, u, v)

    def multiply(self, u: Field, v: Field) -> Field:
        while u.data.degree + v.data.degree > self.degree and self.dealias is None and max(_degrees(u, v)) > 1:
            u, v = (self._resolved(w) if w.data.degree == max(_degrees(u, v)) else w for w in (u, v))
        degree = sum(_degrees(u, v))
        product = self._padded(u) * self._padded(v)
        return Field(self, _Parts(padded=product, degree=degree, peak=max(degree, u.data.peak, v.data.peak)))

    def factors(self, u: Field) -> jax.Array:
        return self._padded(u)

    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        values = jnp.asarray(function(*(self._padded(u) for u in fields)))
        peak = max(degree, *(u.data.peak for u in fields))
        real = not jnp.iscomplexobj(values)
        space = self if real == self.real else dataclasses.replace(self, real=real)
        return Field(space, _Parts(padded=values, degree=degree, peak=peak))

    def _padded(self, u: Field) -> jax.Array:
        """Values on the fine grid."""
        modal, nodal, padded = u.data.arrays
        resolved = modal if nodal is None else self.coefficients(Field(self, _Parts(modal=modal, nodal=nodal)))
        if resolved is None:
            return padded
        values = self._to_nodes(resolved, self.padded_shape)
        return values if padded is None else values + padded

    def _resolved(self, u: Field) -> Field:
        """The projection of a field on the modes of the space."""
        return Field(self, _Parts(modal=self.coefficients(u), peak=u.data.peak))

    # -- calculus ----------------------------------------------------------------------------------------------------
    def partial(self, u: Field, axis: int, order: int) -> Field:
        wave_number = self.wave_numbers()[self.grid.axis(axis)]
        return self._multiply_modes(u, wave_number**order, order)

    def laplacian(self, u: Field) -> Field:
        return self._multiply_modes(u, self._squares(), 2)

    def inverse_laplacian(self, u: Field) -> Field:
        squares = self._squares()
        return self._multiply_modes(u, np.where(squares == 0, 0.0, 1 / np.where(squares == 0, 1.0, squares)), 2)

    def project(self, u: Field, beside: Field | None = None) -> Field:
        u = self._resolved(u)
        potential = self.inverse_laplacian(_sum(self.partial(u[i], i, 1) for i in range(self.dimension)))
        return u - self.stack([self.partial(potential, i, 1) for i in range(self.dimension)])

    def integral(self, u: Field) -> jax.Array:
        axes = tuple(range(-self.dimension, 0))
        means = [jnp.mean(values, axes) for values in u.data.arrays[1:] if values is not None]
        if u.data.modal is not None:
            zeroth = u.data.modal[(..., *(0,) * self.dimension)]
            means.append(jnp.real(zeroth) if self.real else zeroth)
        return self.volume * sum(means[1:], means[0])

    def _squares(self) -> np.ndarray:
        return sum(np.square(k) for k in self.wave_numbers())

    def _multiply_modes(self, u: Field, symbol: np.ndarray, power: int) -> Field:
        """Every mode times `i**power * symbol`, with a real symbol."""
        modes = self.coefficients(u)
        if isinstance(modes, np.ndarray):
            return Field(self, _Parts(modal=(1j**power) * symbol * modes, peak=u.data.peak))
        symbol = jnp.asarray(symbol, real_dtype(modes.dtype)) * (1 if power % 4 in (0, 1) else -1)
        re, im = jnp.real(modes), jnp.imag(modes)
        product = lax.complex(symbol * re, symbol * im) if power % 2 == 0 else lax.complex(-symbol * im, symbol * re)
        return Field(self, _Parts(modal=product, peak=u.data.peak))

    # -- for integrators ---------------------------------------------------------------------------------------------
    def state(self, u: Field) -> jax.Array:
        return jnp.asarray(self.coefficients(u))

    def bind(self, state: jax.Array, t=None) -> Field:
        return Field(self, _Parts(modal=state))

    def held(self, u: Field) -> dict:
        names = [item.name for item in dataclasses.fields(u.data) if getattr(u.data, item.name) is not None]
        return {name: getattr(u.data, name) for name in names}

    def restored(self, held: dict, t=None) -> Field:
        return Field(self, _Parts(**held))

    def settled(self, state: jax.Array) -> jax.Array:
        """Modes of a real field: where the last wave number is zero, those of $k$ and $-k$ are conjugates.

        Nonlinear terms come from nodal values and never see the difference, so a growing linear part would amplify
        its rounding forever.
        """
        if not self.real or self.dimension == 1:
            return state
        if self.mesh is not None:  # the last axis is cut: no mode leaves its device
            first = jnp.arange(state.shape[-1]) == 0
            return jnp.where(first, 0.5 * (state + self._mirrored(state)), state)
        plane = state[..., :1]
        return jnp.concatenate([0.5 * (plane + self._mirrored(plane)), state[..., 1:]], axis=-1)

    def _mirrored(self, modes: jax.Array) -> jax.Array:
        """The conjugates of the modes of $-k$ along all axes but the last."""
        axes = tuple(range(modes.ndim - self.dimension, modes.ndim - 1))
        return jnp.conj(jnp.roll(jnp.flip(modes, axes), (1,) * len(axes), axes))

    def size(self, state: jax.Array) -> jax.Array:
        axes = tuple(range(-self.dimension, 0))
        if self.real:  # the other half of the spectrum is the conjugate
            twice = np.where(np.arange(self.spectral_shape[-1]) > 0, np.sqrt(2), 1.0)
            state = state * jnp.asarray(twice, real_dtype(state.dtype))
        return math.sqrt(math.prod(self.spectral_shape)) * root_mean_squares(state, axes)  # Parseval's identity

    def for_degree(self, degree: int) -> "Fourier":
        return Fourier(self.grid, self.real, self.dealias, self.mesh, degree)

    def cut_axes(self) -> dict[str, int]:
        return {"modal": -1, "nodal": -self.dimension, "padded": -self.dimension}

    def peak(self, u: Field) -> int:
        return u.data.peak

    def modes(self) -> "FourierModes":
        return FourierModes(self)

    # -- transforms --------------------------------------------------------------------------------------------------
    def _to_nodes(self, spectrum, nodes):
        if self.mesh is None:
            return _transforms.to_nodes(jnp.asarray(spectrum), nodes, self.real)
        return _sharded.to_nodes(self.mesh, jnp.asarray(spectrum), nodes, self.real)

    def _to_spectrum(self, values):
        if self.mesh is None:
            return _transforms.to_spectrum(values, self.cutoffs, self.real)
        return _sharded.to_spectrum(self.mesh, values, self.cutoffs, self.real)


class FourierModes(Modes):
    """Constant-coefficient operators multiply Fourier modes; the integrator's state is the modes themselves."""

    space: Fourier

    def probe(self, components: tuple[int, ...], component: tuple[int, ...]) -> Field:
        modal = np.zeros((*components, *self.space.spectral_shape), complex)
        modal[component] = 1.0
        return Field(self.space, _Parts(modal=modal))

    def symbol(self, u: Field):
        if u.data.peak > 1 or u.data.nodal is not None or u.data.padded is not None:
            raise ValueError(
                "`linear` must be linear with constant coefficients: it multiplied or added something that varies in "
                "space. Move that part to `nonlinear`."
            )
        return u.data.modal

    def to_modes(self, state: jax.Array) -> jax.Array:
        return state

    def from_modes(self, amplitudes: jax.Array) -> jax.Array:
        return amplitudes

    def white(self, key: jax.Array, components: tuple[int, ...], dtype) -> jax.Array:
        space = self.space
        # Drawn in single precision, so that a key means one noise whatever the precision of a run.
        draws = jax.random.normal(key, (*components, *space.spectral_shape), jnp.complex64)
        draws = draws.astype(complex_dtype(dtype))
        if not space.real:
            return draws
        # Where the last wave number is zero modes come with their conjugates: the mean of two has half the variance.
        first = np.arange(space.spectral_shape[-1]) == 0
        draws = draws * jnp.asarray(np.where(first, np.sqrt(2), 1.0), real_dtype(dtype))
        return jnp.where(first, jnp.real(draws), draws) if space.dimension == 1 else space.settled(draws)

    def multiplicity(self) -> np.ndarray:
        half = np.where(np.arange(self.space.spectral_shape[-1]) > 0, 2.0, 1.0)
        return half if self.space.real else np.ones_like(half)


def _add(*arrays):
    present = [a for a in arrays if a is not None]
    return sum(present[1:], present[0])


def _sum(fields):
    first, *rest = fields
    return sum(rest, first)


def _layout(parts: _Parts) -> tuple[bool, ...]:
    return tuple(a is not None for a in parts.arrays)


def _degrees(*fields: Field) -> tuple[int, ...]:
    return tuple(u.data.degree for u in fields)


def _broadcast(array, components, dimension):
    grid_shape = array.shape[array.ndim - dimension :]
    return jnp.broadcast_to(array, (*components, *grid_shape))
