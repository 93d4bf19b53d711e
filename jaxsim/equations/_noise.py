"""Random fields as Fourier series over fixed whole wave numbers: one key, one field, on every grid."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..boxes import BoxFunction, Sides, per_axis, with_sides_of
from ..norms import power_of_two
from ._checks import as_array

_CHUNK = 4096  # points that are evaluated together, where the points are no grid


class RandomSeries(BoxFunction):
    """A periodic random field: a real Fourier series with normally distributed coefficients.

    It goes into `space.field` and takes the box of the space. Called with coordinates, `series(x)`, `series(x, y)` or
    `series(x, y, z)`, it gives the values there, for networks and functions of one's own; then it must be told its
    `length`. Coefficients depend on the key, the number of axes and the box, not on the points or their precision.

    - `deviation`: standard deviation of the modes as a function of the wave number.
    - `root_mean_square`: of the field; exactly so for each draw where `normalized`, else in the mean.
    - `cutoff`: largest wave number kept, in waves per `length[0]`; a ball, or a cube where `cubic`.
    - `length`: sides of the box, one number or one per axis; `None` for those of the space that it is put on.
    - `solenoidal`: a velocity without divergence, one component per axis, instead of a scalar.
    """

    key: jax.Array
    deviation: Callable
    root_mean_square: jax.Array = eqx.field(converter=as_array)
    cutoff: float = eqx.field(static=True)
    length: Sides | None = eqx.field(static=True)
    normalized: bool = eqx.field(static=True, default=True)
    cubic: bool = eqx.field(static=True, default=False)
    solenoidal: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not self.cutoff >= 1:
            raise ValueError(f"a random series keeps at least wave number 1, got a cutoff of {self.cutoff}.")

    def on(self, grid, periodic=None) -> "RandomSeries":
        return with_sides_of(self, grid)

    def __call__(self, *coordinates: jax.Array) -> jax.Array:
        dimension = len(coordinates)
        if dimension not in ((2, 3) if self.solenoidal else (1, 2, 3)):
            raise ValueError(f"this random field cannot be called with {dimension} coordinates.")
        dtype = jnp.result_type(float(0), *coordinates)
        coordinates = [jnp.asarray(x, dtype) for x in coordinates]
        waves = _waves(self.cutoff, self._lengths(dimension))
        coefficients = self._coefficients(waves).astype(jnp.result_type(dtype, jnp.complex64))
        numbers = [jnp.asarray(2 * np.pi * n / L, dtype) for n, L in zip(waves, self._lengths(dimension))]
        return _evaluate(coefficients, numbers, coordinates)

    def _lengths(self, dimension: int) -> tuple[float, ...]:
        if self.length is None:
            raise ValueError(
                "nothing says how large the box of this random field is: hand it to `space.field` as it is, which "
                "takes the box of the space, or give `length`, one side or one per axis (2 pi in earlier versions)."
            )
        return per_axis(self.length, dimension)

    def _coefficients(self, waves: list[np.ndarray]) -> jax.Array:
        lengths = self._lengths(len(waves))
        grid = np.stack(np.meshgrid(*waves, indexing="ij"))
        scaled = grid * (lengths[0] / np.asarray(lengths)).reshape(-1, *(1,) * len(waves))
        number = np.sqrt(np.sum(scaled**2, 0))
        kept = _half(grid) & (True if self.cubic else number <= self.cutoff + 1e-9)
        deviation = jnp.where(kept, self.deviation(np.where(kept, number, 1.0)), 0.0)
        components = (len(waves),) if self.solenoidal else ()
        # Drawn in single precision, so that a key means one field whatever the precision of a run.
        draws = jax.random.normal(self.key, (2, *components, *number.shape), jnp.float32)
        coefficients = deviation * lax.complex(draws[0], draws[1])
        if self.solenoidal:
            direction = scaled / np.where(number == 0, 1.0, number)
            coefficients = coefficients - direction * jnp.sum(direction * coefficients, 0)
        unit = power_of_two(jnp.max(deviation))  # the deviation has no unit that counts, and its square may have none
        coefficients, deviation = coefficients / unit, deviation / unit
        if self.normalized:
            power = 0.5 * jnp.sum(jnp.abs(coefficients) ** 2)
        else:
            power = jnp.sum(deviation**2) * (len(waves) - 1 if self.solenoidal else 1)
        return coefficients * (self.root_mean_square / jnp.sqrt(power))


class Peaked(eqx.Module):
    """Modes of a field whose energy spectrum is $k^4 e^{-2 (k/p)^2}$, which peaks at $p$."""

    peak: jax.Array = eqx.field(converter=as_array)

    def __call__(self, number: np.ndarray) -> jax.Array:
        shell = number ** (number.ndim - 1)  # a shell of wave numbers has so many modes
        return jnp.sqrt(number**4 * jnp.exp(-2 * (number / self.peak) ** 2) / shell)


class PowerLaw(eqx.Module):
    """Modes of a Matérn field, $(k^2 + \\kappa^2)^{-\\alpha/2}$."""

    exponent: jax.Array = eqx.field(converter=as_array)
    inverse_length: jax.Array = eqx.field(converter=as_array)

    def __call__(self, number: np.ndarray) -> jax.Array:
        return (number**2 + self.inverse_length**2) ** (-self.exponent / 2)


class Flat(eqx.Module):
    """Modes of equal deviation."""

    def __call__(self, number: np.ndarray) -> jax.Array:
        return jnp.ones(number.shape)


def _waves(cutoff: float, lengths: tuple[float, ...]) -> list[np.ndarray]:
    """Whole wave numbers of each axis; the last axis keeps the non-negative ones."""
    reach = [math.floor(cutoff * length / lengths[0] + 1e-9) for length in lengths]
    return [np.arange(0 if axis == len(lengths) - 1 else -n, n + 1) for axis, n in enumerate(reach)]


def _half(grid: np.ndarray) -> np.ndarray:
    """One of each pair of opposite wave vectors, and not the mean: the last non-zero entry is positive."""
    sign = np.zeros(grid.shape[1:])
    for numbers in grid:
        sign = np.where(numbers != 0, np.sign(numbers), sign)
    return sign > 0


def _evaluate(coefficients: jax.Array, numbers: list[jax.Array], coordinates: list[jax.Array]) -> jax.Array:
    """Real part of the series: one axis after the other on a grid, else point by point."""
    axes = _axes_of_grid(coordinates)
    if axes is not None:
        total = coefficients
        for k, x in zip(numbers, axes):
            # The front-most wave axis is summed and its nodes go to the back, so the axes end in their order.
            position = total.ndim - len(numbers)
            total = jnp.tensordot(total, _phases(k, x), ((position,), (0,)))
        return jnp.real(total)
    points = jnp.broadcast_arrays(*coordinates)
    flat = [x.ravel() for x in points]

    def at(point):
        total = coefficients
        for k, x in zip(numbers[::-1], point[::-1]):
            total = total @ _phases(k, x)
        return jnp.real(total)

    values = at([x[0] for x in flat])[None] if flat[0].size == 1 else lax.map(at, flat, batch_size=_CHUNK)
    return jnp.moveaxis(values, 0, -1).reshape(*values.shape[1:], *points[0].shape)


def _phases(k: jax.Array, x: jax.Array) -> jax.Array:
    angle = jnp.multiply.outer(k, x)
    return lax.complex(jnp.cos(angle), jnp.sin(angle))


def _axes_of_grid(coordinates: list[jax.Array]) -> list[jax.Array] | None:
    """The vectors behind the coordinates of a grid, where they are known and are one."""
    dimension = len(coordinates)
    if any(isinstance(x, jax.core.Tracer) or x.ndim != dimension for x in coordinates):
        return None
    axes = []
    for axis, x in enumerate(coordinates):
        line = x[tuple(slice(None) if a == axis else slice(0, 1) for a in range(dimension))]
        if not np.array_equal(np.broadcast_to(np.asarray(line), x.shape), np.asarray(x)):
            return None
        axes.append(line.ravel())
    return axes
