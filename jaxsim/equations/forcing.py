"""Body forces: callables of time and position, with their parameters as array leaves.

Forces add and scale: `kolmogorov(4) + 0.5 * band_limited(key)` is a force. They take the box of the space that they act
on, and count waves per box.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..boxes import BoxFunction, Sides, per_axis, sides, with_sides_of
from ._checks import as_array, like


class Force(BoxFunction):
    """A body force per unit mass, called as `force(t, x, y)` or `force(t, x, y, z)`.

    It returns one component per axis, shape `(d, *x.shape)`, in the precision of the coordinates. A force that depends
    on the box writes `on` too; see `jaxsim.boxes.BoxFunction`.
    """

    @abc.abstractmethod
    def __call__(self, t: Any, *x: jax.Array) -> jax.Array:
        """The force at a time and at points."""

    def __add__(self, other: Any) -> "Force":
        return _Sum((self, other)) if callable(other) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other: "Force") -> "Force":
        return self + (-other) if isinstance(other, Force) else NotImplemented

    def __mul__(self, factor: Any) -> "Force":
        return _Scaled(self, factor)

    __rmul__ = __mul__

    def __neg__(self) -> "Force":
        return _Scaled(self, -1.0)


class _Sum(Force):
    forces: tuple

    def __call__(self, t, *x):
        return sum(jnp.asarray(force(t, *x)) for force in self.forces)


class _Scaled(Force):
    force: Force
    factor: jax.Array = eqx.field(converter=as_array)

    def __call__(self, t, *x):
        value = self.force(t, *x)
        return like(self.factor, value) * value


class _Uniform(Force):
    value: jax.Array = eqx.field(converter=as_array)

    def __check_init__(self):
        if jnp.ndim(self.value) != 1:
            raise ValueError(f"uniform_force needs one number per axis, got shape {jnp.shape(self.value)}.")

    def __call__(self, t, *x):
        _require_axes("uniform_force", x, len(self.value))
        point = sum(jnp.zeros_like(c) for c in x)
        return like(self.value, jnp.expand_dims(point, 0)) + point


class _Kolmogorov(Force):
    waves: jax.Array = eqx.field(converter=as_array)
    amplitude: jax.Array = eqx.field(converter=as_array)
    length: Sides | None = eqx.field(static=True, default=None)

    def on(self, grid, periodic=None) -> Force:
        if (periodic is None or all(periodic[1:2])) and not isinstance(self.waves, jax.core.Tracer):
            waves = np.asarray(self.waves)
            if not np.all(np.abs(waves - np.round(waves)) <= 1e-5 * np.maximum(1, np.abs(waves))):
                raise ValueError(
                    f"kolmogorov: `wave_number` counts waves per box, a whole number on a periodic one; got {waves}."
                )
        return with_sides_of(self, grid)

    def __call__(self, t, *x):
        _require_axes("kolmogorov", x, 2, 3)
        y, side = x[1], per_axis(2 * np.pi if self.length is None else self.length, len(x))[1]
        along = like(self.amplitude, y) * jnp.sin(2 * np.pi / side * like(self.waves, y) * y)
        return jnp.stack(jnp.broadcast_arrays(along, *(jnp.zeros_like(c) for c in x))[: len(x)])


class _BandLimited(Force):
    """Waves `direction * Re(a(t) exp(i k.x))` with `k = 2 pi waves / sides`, each `a` a sum of cosines of time."""

    waves: jax.Array  # (modes, d), whole waves per box
    directions: jax.Array  # (modes, d), unit and normal to `waves`; where sides differ the part along k is taken off
    frequencies: jax.Array  # (modes, 2, tones)
    phases: jax.Array  # (modes, 2, tones)
    amplitude: jax.Array = eqx.field(converter=as_array)
    length: Sides | None = eqx.field(static=True, default=None)

    def on(self, grid, periodic=None) -> Force:
        if grid.dimension != self.waves.shape[1]:
            return self  # refused when called
        return with_sides_of(self, grid)

    def __call__(self, t, *x):
        modes, dimension = self.waves.shape
        _require_axes("band_limited", x, dimension)
        if self.length is None:
            raise ValueError(
                "band_limited: nothing says how large the box is: let it force an equation on a grid, which takes the "
                "box of the space, or give `length`, one side or one per axis (2 pi in earlier versions)."
            )
        sides = np.asarray(per_axis(self.length, dimension))
        scaled = self.waves * jnp.asarray(sides[0] / sides, self.waves.dtype)
        along = jnp.sum(scaled * self.directions, 1) / jnp.sum(scaled * scaled, 1)
        directions = self.directions - along[:, None] * scaled
        directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)
        vectors = 2 * np.pi / sides[0] * scaled
        dtype = jnp.result_type(*x)
        tones = self.frequencies.shape[-1]
        angle = self.frequencies.astype(dtype) * jnp.asarray(t, dtype) + self.phases.astype(dtype)
        scale = self.amplitude.astype(dtype) * float(np.sqrt(2 / (modes * tones)))
        cosine, sine = jnp.moveaxis(scale * jnp.sum(jnp.cos(angle), -1), -1, 0)  # (modes,) each
        place = sum(jnp.multiply.outer(k, c) for k, c in zip(vectors.T.astype(dtype), x))
        wave = like(cosine, place) * jnp.cos(place) + like(sine, place) * jnp.sin(place)
        return jnp.tensordot(directions.T.astype(dtype), wave, 1)


def kolmogorov(wave_number: Any = 4.0, amplitude: Any = 1.0, length: Any = None) -> Force:
    """Kolmogorov's shear force, $f = (a \\sin(k y), 0)$ with $k = 2\\pi n/L$, and a zero third component in space.

    **Arguments:**

    - `wave_number`: $n$, waves per box along the second axis; a whole number where that is periodic.
    - `amplitude`: $a$, length/time².
    - `length`: side $L$ of the box, or one per axis. `None` takes that of the space; called by itself or on a
        `js.Function`, where there is no box, it is then $2\\pi$.

    **Raises:** `ValueError` on a space whose sides are not those given, or for waves that do not fit in it.

    **Returns:** a `Force`. With viscosity $\\nu$ and drag $\\mu$ it has the steady flow
    $u = f / (\\nu k^2 + \\mu)$.

    Reference: Meshalkin and Sinai, J. Appl. Math. Mech. 25, 1700 (1961).
    """
    return _Kolmogorov(wave_number, amplitude, sides(length))


def uniform_force(value: Any) -> Force:
    """The same force everywhere and always, such as a mean pressure gradient or gravity.

    **Arguments:**

    - `value`: one number per axis, length/time².

    **Returns:** a `Force`.
    """
    return _Uniform(value)


def band_limited(
    key: jax.Array,
    low: float = 3.0,
    high: float = 5.0,
    amplitude: Any = 1.0,
    correlation_time: float = 1.0,
    modes: int = 16,
    dimension: int = 2,
    length: Any = None,
    tones: int = 8,
) -> Force:
    """A random force without divergence on a band of wave numbers, smooth in time.

    A sum of plane waves whose integer wave vectors are drawn from the shell $k_1 \\le |k| \\le k_2$, each
    along a direction normal to its wave vector. The amplitude of a wave is a sum of cosines of time with
    random phases and normally distributed frequencies, close to a Gaussian process with correlation
    $e^{-s^2/2\\tau^2}$. It is smooth, so integrators keep their order, and a function of time alone, so
    adaptive and reversed runs meet the same force. Evaluation holds `modes` numbers per node.

    **Arguments:**

    - `key`: a `jax.random` key; equal keys give equal forces on every grid.
    - `low`, `high`: the shell $k_1, k_2$, in whole waves per box; an ellipsoid of wave vectors where sides differ.
    - `amplitude`: root mean square of the force over realizations, time and space, length/time².
    - `correlation_time`: $\\tau$, positive.
    - `modes`: number of waves; a wave vector may be drawn twice.
    - `dimension`: 2 or 3.
    - `length`: side of the box, or one per axis. `None` takes those of the space; by itself or on a `js.Function`,
        where there is no box, it must be given.
    - `tones`: cosines per amplitude; more are closer to Gaussian.

    **Returns:** a `Force`.

    **Raises:** `ValueError` for an empty shell, for numbers out of range, and on a space whose sides are not those
    given.

    Reference: Kraichnan, Phys. Fluids 13, 22 (1970), for random Fourier modes.
    """
    if dimension not in (2, 3):
        raise ValueError(f"band_limited: `dimension` is 2 or 3, got {dimension}.")
    if modes < 1 or tones < 1:
        raise ValueError(f"band_limited: `modes` and `tones` must be at least 1, got {modes} and {tones}.")
    if not correlation_time > 0:
        raise ValueError("band_limited: `correlation_time` must be positive.")
    shell = _shell(low, high, dimension)
    choice, frame, frequency, phase = jax.random.split(key, 4)
    # Drawn in single precision, so that a key means one force whatever the precision of a run.
    draw = (modes, 2, tones)
    frequencies = jax.random.normal(frequency, draw, jnp.float32) / correlation_time
    phases = jax.random.uniform(phase, draw, jnp.float32, 0, 2 * np.pi)
    vectors = jnp.asarray(shell)[jax.random.randint(choice, (modes,), 0, len(shell), jnp.int32)]
    if dimension == 2:
        normals = jnp.stack([vectors[:, 1], -vectors[:, 0]], 1)
    else:
        normals = jnp.cross(vectors, jax.random.normal(frame, (modes, 3), jnp.float32).astype(vectors.dtype))
    return _BandLimited(
        waves=vectors,
        directions=normals / jnp.linalg.norm(normals, axis=1, keepdims=True),
        frequencies=frequencies.astype(vectors.dtype),
        phases=phases.astype(vectors.dtype),
        amplitude=amplitude,
        length=sides(length),
    )


def _shell(low: float, high: float, dimension: int) -> np.ndarray:
    """Integer vectors of the shell, one of each pair of opposites."""
    reach = np.arange(-int(high), int(high) + 1)
    vectors = np.stack(np.meshgrid(*[reach] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    norm = np.linalg.norm(vectors, axis=1)
    first = np.array([next((n for n in vector if n), 0) for vector in vectors])
    kept = vectors[(norm >= low) & (norm <= high) & (first > 0)]
    if not len(kept) or low < 0:
        raise ValueError(f"band_limited: no whole wave vector has a length between {low} and {high}.")
    return kept.astype(float)


def _require_axes(name, x, *allowed):
    if len(x) not in allowed:
        raise ValueError(f"{name} is a force in {' or '.join(map(str, allowed))} dimensions, used in {len(x)}.")
