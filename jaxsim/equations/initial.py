"""Initial conditions: functions of the coordinates, for `space.field`, `js.Function` and forces.

Handed to `space.field` as they are, they take the box of the space: they have its periods, and count waves per box.
Random fields are the same on every grid for the same key. Exact solutions are `Profile`s that also know later
times. Values come in the precision of the coordinates.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..boxes import BoxFunction, Sides, per_axis, sides, with_sides_of
from ..grid import Grid
from ._checks import as_array
from ._noise import Flat, Peaked, PowerLaw, RandomSeries

__all__ = [
    "Profile",
    "abc_flow",
    "burgers_wave",
    "filtered_noise",
    "fisher_wave",
    "gaussian_bump",
    "gaussian_random_field",
    "gray_scott_patch",
    "kdv_soliton",
    "kdv_two_solitons",
    "nls_soliton",
    "shear_layer",
    "shear_layer_vorticity",
    "solenoidal_noise",
    "tanh_front",
    "taylor_green",
    "taylor_green_vorticity",
    "truncated_series",
]

class Profile(BoxFunction):
    """A formula: `profile(x, ...)` is the field at time zero, `profile.solution(t, x, ...)` the field later.

    `space.field(profile)` and `js.sample(profile.solution, t, u)` are the profile on the box of the space, which
    `profile.on(grid)` makes: waves have its periods, and distances are those to the nearest image.
    `js.Function(profile.solution)` is the exact solution as a field. Where no solution is known, `solution` raises.
    """

    formula: Callable = eqx.field(static=True)
    parameters: tuple
    solved: bool = eqx.field(static=True, default=True)
    length: Sides | None = eqx.field(static=True, default=None)
    grid: Grid | None = eqx.field(static=True, default=None)
    periodic: tuple[bool, ...] = eqx.field(static=True, default=())

    def on(self, grid, periodic=None) -> "Profile":
        periodic = (True,) * grid.dimension if periodic is None else tuple(periodic)
        if self.formula in (_burgers_wave, _fisher_wave, _tanh_front) and periodic[0]:
            raise ValueError(
                f"{self.formula.__name__.strip('_')} is a front, which would jump where the first axis closes: put "
                "walls there, as in js.FiniteDifference(grid, js.Neumann())."
            )
        return dataclasses.replace(with_sides_of(self, grid), grid=grid, periodic=periodic)

    def sides(self, dimension: int, default: float = 2 * np.pi) -> tuple[float, ...]:
        """The sides of the box: those of the space, those given, or the default."""
        return per_axis(default if self.length is None else self.length, dimension)

    def away(self, axis: int, offset: jax.Array) -> jax.Array:
        """An offset along an axis, from the nearest image where the axis is known to be periodic."""
        if not (self.periodic and self.periodic[axis]):
            return offset
        side = self.grid.lengths[axis]
        return offset - side * jnp.round(offset / side)

    def __call__(self, *x: jax.Array) -> jax.Array:
        return self._at(0.0, *x)

    def solution(self, t: Any, *x: jax.Array) -> jax.Array:
        """The exact solution at a time and at points."""
        if not self.solved:
            raise ValueError(f"{self.formula.__name__.strip('_')}: no closed solution is known, only the initial data.")
        return self._at(jnp.asarray(t, jnp.result_type(float(0), *x)), *x)

    def _at(self, t, *x):
        dtype = jnp.result_type(float(0), *x)
        parameters = (None if p is None else jnp.asarray(p).astype(dtype) for p in self.parameters)
        return self.formula(self, *parameters, t, *(jnp.asarray(c, dtype) for c in x))


def _profile(formula: Callable, *parameters: Any, solved: bool = True, length: Any = None) -> Profile:
    return Profile(formula, tuple(as_array(p) for p in parameters), solved, sides(length))


# -- random fields -------------------------------------------------------------------------------------------
def filtered_noise(
    key: jax.Array, peak: float = 4.0, root_mean_square: Any = 1.0, length: Any = None
) -> RandomSeries:
    """A random scalar, such as a vorticity, with the energy spectrum $E(k) \\propto k^4 e^{-2 (k/p)^2}$.

    **Arguments:**

    - `key`: a `jax.random` key.
    - `peak`: $p$, where the spectrum has its maximum, in waves per box; modes up to $2.5 p$ are kept.
    - `root_mean_square`: of the field, exactly.
    - `length`: side of the box, or one per axis: the period of the field. `None` takes that of the space whose `field`
        it is handed to; where it is called by itself it must be given. `peak` counts waves along the first axis.

    **Returns:** a callable of one to three coordinates.

    **Raises:** `ValueError` on a space whose sides are not those given.
    """
    return RandomSeries(key, Peaked(peak), root_mean_square, _reach(peak), sides(length))


def solenoidal_noise(
    key: jax.Array, peak: float = 4.0, root_mean_square: Any = 1.0, length: Any = None
) -> RandomSeries:
    """A random velocity without divergence or mean, with the spectrum of `filtered_noise`.

    **Arguments:** those of `filtered_noise`; `root_mean_square` is that of the speed.

    **Returns:** a callable of two or three coordinates, one component per axis.
    """
    return RandomSeries(key, Peaked(peak), root_mean_square, _reach(peak), sides(length), solenoidal=True)


def gaussian_random_field(
    key: jax.Array,
    exponent: Any = 2.5,
    inverse_length: Any = 3.0,
    root_mean_square: Any = 1.0,
    cutoff: int = 32,
    length: Any = None,
) -> RandomSeries:
    """A Gaussian random field of Matérn type, $(-\\nabla^2 + \\kappa^2)^{-\\alpha/2}$ applied to white noise.

    **Arguments:**

    - `key`: a `jax.random` key.
    - `exponent`: $\\alpha$; modes decay like $k^{-\\alpha}$.
    - `inverse_length`: $\\kappa$, in waves per box.
    - `root_mean_square`: its expectation; a draw differs, as Gaussian fields do.
    - `cutoff`: largest wave number kept.
    - `length`: side of the box, or one per axis; as in `filtered_noise`.

    **Returns:** a callable of one to three coordinates, with zero mean.

    Reference: Li et al., Fourier neural operator, ICLR 2021 ($\\alpha = 2.5$, $\\kappa = 7/2\\pi$ on the unit
    square).
    """
    deviation = PowerLaw(exponent, inverse_length)
    return RandomSeries(key, deviation, root_mean_square, float(cutoff), sides(length), normalized=False)


def truncated_series(
    key: jax.Array, cutoff: int = 5, root_mean_square: Any = 1.0, length: Any = None
) -> RandomSeries:
    """A random field of few modes: independent normal coefficients for all whole wave numbers up to a cutoff.

    **Arguments:**

    - `key`: a `jax.random` key.
    - `cutoff`: largest wave number on each axis.
    - `root_mean_square`: of the field, exactly; its mean is zero.
    - `length`: side of the box, or one per axis; as in `filtered_noise`.

    **Returns:** a callable of one to three coordinates.
    """
    return RandomSeries(key, Flat(), root_mean_square, float(cutoff), sides(length), cubic=True)


def _reach(peak: float) -> float:
    if isinstance(peak, jax.core.Tracer) or not peak > 0:
        raise ValueError(f"`peak` must be a positive number, known when the field is made; got {peak}.")
    return max(1.0, 2.5 * float(peak))


# -- flows ---------------------------------------------------------------------------------------------------
def taylor_green(amplitude: Any = 1.0, viscosity: Any = 0.0, length: Any = None) -> Profile:
    """Velocity of the Taylor-Green vortex, $(\\cos x \\sin y, -\\sin x \\cos y)$ or in space
    $(\\sin x \\cos y \\cos z, -\\cos x \\sin y \\cos z, 0)$.

    On a box of other sides than $2\\pi$ coordinates are scaled by $k_i = 2\\pi/L_i$, and where sides differ the second
    component by $k_x/k_y$, so that there is no divergence.

    **Arguments:**

    - `amplitude`: $a$, a factor.
    - `viscosity`: in the plane the solution decays as $e^{-\\nu (k_x^2 + k_y^2) t}$; in space `solution` raises.
    - `length`: side of the box, or one per axis. `None` takes those of the space; called by itself, $2\\pi$.

    **Returns:** a `Profile` of two or three coordinates.

    **Raises:** `ValueError` on a space whose sides are not those given.

    Reference: Taylor and Green, Proc. R. Soc. A 158, 499 (1937).
    """
    return _profile(_taylor_green, amplitude, viscosity, length=length)


def _taylor_green(profile, amplitude, viscosity, t, *x):
    if len(x) not in (2, 3):
        raise ValueError(f"taylor_green is a flow in two or three dimensions, used in {len(x)}.")
    k = _wave_numbers(profile, len(x))
    x, aspect = [number * c for number, c in zip(k, x)], k[0] / k[1]
    if len(x) == 2:
        flow = jnp.stack([jnp.cos(x[0]) * jnp.sin(x[1]), -aspect * jnp.sin(x[0]) * jnp.cos(x[1])])
        return amplitude * jnp.exp(-(k[0] ** 2 + k[1] ** 2) * viscosity * t) * flow
    if not isinstance(t, float):
        raise ValueError("taylor_green: no closed solution is known in three dimensions, only the initial data.")
    u = jnp.sin(x[0]) * jnp.cos(x[1]) * jnp.cos(x[2])
    v = -aspect * jnp.cos(x[0]) * jnp.sin(x[1]) * jnp.cos(x[2])
    return amplitude * jnp.stack(jnp.broadcast_arrays(u, v, jnp.zeros_like(u)))


def _wave_numbers(profile: Profile, dimension: int) -> list[float]:
    """Those of one wave per box."""
    return [2 * np.pi / side for side in profile.sides(dimension)]


def taylor_green_vorticity(amplitude: Any = 1.0, viscosity: Any = 0.0, length: Any = None) -> Profile:
    """Vorticity of the Taylor-Green vortex in the plane, on a box of side $2\\pi$
    $-2 a \\cos x \\cos y\\, e^{-2\\nu t}$.

    **Arguments:** those of `taylor_green`.

    **Returns:** a `Profile` of two coordinates.
    """
    return _profile(_taylor_green_vorticity, amplitude, viscosity, length=length)


def _taylor_green_vorticity(profile, amplitude, viscosity, t, x, y):
    k, m = _wave_numbers(profile, 2)
    decay = jnp.exp(-(k**2 + m**2) * viscosity * t)
    return -(k**2 + m**2) / m * amplitude * decay * jnp.cos(k * x) * jnp.cos(m * y)


def abc_flow(a: Any = 1.0, b: Any = 1.0, c: Any = 1.0, viscosity: Any = 0.0, length: Any = None) -> Profile:
    """Arnold-Beltrami-Childress flow, whose vorticity is $k$ times its velocity; it decays as $e^{-\\nu k^2 t}$.

    $$u = (a \\sin kz + c \\cos ky,\\; b \\sin kx + a \\cos kz,\\; c \\sin ky + b \\cos kx), \\qquad k = 2\\pi/L$$

    **Arguments:**

    - `a`, `b`, `c`: amplitudes.
    - `viscosity`: $\\nu$.
    - `length`: side $L$ of the cube. `None` takes that of the space; called by itself, $2\\pi$.

    **Returns:** a `Profile` of three coordinates.

    **Raises:** `ValueError` on a space whose sides are not those given, or are not equal.

    Reference: Dombre et al., J. Fluid Mech. 167, 353 (1986).
    """
    return _profile(_abc_flow, a, b, c, viscosity, length=length)


def _abc_flow(profile, a, b, c, viscosity, t, x, y, z):
    k, *others = _wave_numbers(profile, 3)
    if not np.allclose(others, k, rtol=1e-6):
        raise ValueError(f"abc_flow is a flow in a cube; this box has the sides {profile.sides(3)}.")
    x, y, z = k * x, k * y, k * z
    flow = (
        a * jnp.sin(z) + c * jnp.cos(y),
        b * jnp.sin(x) + a * jnp.cos(z),
        c * jnp.sin(y) + b * jnp.cos(x),
    )
    return jnp.exp(-(k**2) * viscosity * t) * jnp.stack(jnp.broadcast_arrays(*flow))


def shear_layer(sharpness: Any = 30.0, perturbation: Any = 0.05, length: Any = None) -> Profile:
    """Velocity of the double shear layer, which rolls up into two vortices.

    $u = \\tanh \\rho (\\frac14 - |\\frac12 - y|)$ and $v = \\delta \\sin 2\\pi x$ on the unit square.

    **Arguments:**

    - `sharpness`: $\\rho$; layers are about $1/\\rho$ of the box thick (30 thick, 80 or more thin).
    - `perturbation`: $\\delta$.
    - `length`: side of the box, or one per axis. `None` takes those of the space; called by itself, 1.

    **Returns:** a `Profile` of two coordinates.

    **Raises:** `ValueError` on a space whose sides are not those given.

    Reference: Brown and Minion, J. Comput. Phys. 122, 165 (1995).
    """
    return _profile(_shear_layer, sharpness, perturbation, solved=False, length=length)


def _shear_layer(profile, sharpness, perturbation, t, x, y):
    width, height = profile.sides(2, 1.0)
    u = jnp.tanh(sharpness * (0.25 - jnp.abs(0.5 - y / height % 1)))
    v = perturbation * jnp.sin(2 * jnp.pi * x / width)
    return jnp.stack(jnp.broadcast_arrays(u, v))


def shear_layer_vorticity(sharpness: Any = 30.0, perturbation: Any = 0.05, length: Any = None) -> Profile:
    """Vorticity of the double shear layer.

    **Arguments:** those of `shear_layer`.

    **Returns:** a `Profile` of two coordinates.
    """
    return _profile(_shear_layer_vorticity, sharpness, perturbation, solved=False, length=length)


def _shear_layer_vorticity(profile, sharpness, perturbation, t, x, y):
    width, height = profile.sides(2, 1.0)
    offset = 0.5 - y / height % 1
    slope = jnp.sign(offset) * sharpness / jnp.cosh(sharpness * (0.25 - jnp.abs(offset))) ** 2
    return 2 * jnp.pi * perturbation * jnp.cos(2 * jnp.pi * x / width) / width - slope / height


# -- waves and fronts on a line ------------------------------------------------------------------------------
def kdv_soliton(speed: Any = 4.0, center: Any = 0.0) -> Profile:
    """Soliton of the Korteweg-de Vries equation $u_t + 6 u u_x + u_{xxx} = 0$.

    $$u = \\frac c2 \\operatorname{sech}^2 \\frac{\\sqrt c}{2} (x - x_0 - c t)$$

    **Arguments:**

    - `speed`: $c > 0$.
    - `center`: $x_0$. On a periodic box the nearest image counts; the others are $2c\\,e^{-\\sqrt c\\, d}$ at the
        distance $d$.

    **Returns:** a `Profile` of one coordinate.
    """
    return _profile(_kdv_soliton, speed, center)


def _kdv_soliton(profile, speed, center, t, x):
    return 0.5 * speed * _sech(0.5 * jnp.sqrt(speed) * profile.away(0, x - center - speed * t)) ** 2


def kdv_two_solitons(fast: Any = 16.0, slow: Any = 4.0, fast_center: Any = -4.0, slow_center: Any = 0.0) -> Profile:
    """Two solitons of $u_t + 6 u u_x + u_{xxx} = 0$ and their collision.

    $u = 2 (\\ln F)_{xx}$ with
    $F = 1 + e^{\\theta_1} + e^{\\theta_2} + (\\frac{k_1-k_2}{k_1+k_2})^2 e^{\\theta_1+\\theta_2}$,
    $\\theta_i = k_i (x - x_i) - k_i^3 t$, $k_i = \\sqrt{c_i}$. The fast one leaves
    $\\frac{2}{k_1} \\ln\\frac{k_1+k_2}{k_1-k_2}$ ahead of, and the slow one
    $\\frac{2}{k_2} \\ln\\frac{k_1+k_2}{k_1-k_2}$ behind, where it would be alone.

    **Arguments:**

    - `fast`, `slow`: speeds $c_1 > c_2 > 0$.
    - `fast_center`, `slow_center`: the phases $x_1, x_2$: long before the collision the fast soliton is at
        $x_1 + c_1 t$, long after it the slow one is at $x_2 + c_2 t$.

    **Returns:** a `Profile` of one coordinate.

    Reference: Hirota, Phys. Rev. Lett. 27, 1192 (1971).
    """
    return _profile(_kdv_two_solitons, fast, slow, fast_center, slow_center)


def _kdv_two_solitons(profile, fast, slow, fast_center, slow_center, t, x):
    k, m = jnp.sqrt(fast), jnp.sqrt(slow)
    one, two = k * (x - fast_center - fast * t), m * (x - slow_center - slow * t)
    exponents = jnp.stack([jnp.zeros_like(one), one, two, one + two + 2 * jnp.log(jnp.abs((k - m) / (k + m)))])
    weights = jax.nn.softmax(exponents, axis=0)
    slopes = jnp.stack([jnp.zeros_like(k), k, m, k + m]).reshape(4, *(1,) * jnp.ndim(one))
    first = jnp.sum(weights * slopes, 0)
    # The second derivative of the logarithm of a sum of exponentials is the variance of their slopes.
    return 2 * jnp.sum(weights * (slopes - first) ** 2, 0)


def nls_soliton(amplitude: Any = 1.0, velocity: Any = 0.0, center: Any = 0.0) -> Profile:
    """Bright soliton of $i\\psi_t + \\frac12 \\psi_{xx} + |\\psi|^2\\psi = 0$.

    $$\\psi = a\\operatorname{sech} a (x - x_0 - v t)\\; e^{i v (x - x_0) + i (a^2 - v^2) t / 2}$$

    **Arguments:**

    - `amplitude`: $a$, also the inverse width.
    - `velocity`: $v$; on a periodic box of length $L$ a multiple of $2\\pi/L$.
    - `center`: $x_0$.

    **Returns:** a `Profile` of one coordinate, with complex values.
    """
    return _profile(_nls_soliton, amplitude, velocity, center)


def _nls_soliton(profile, amplitude, velocity, center, t, x):
    offset = profile.away(0, x - center - velocity * t)
    phase = velocity * offset + 0.5 * (amplitude**2 + velocity**2) * t
    envelope = amplitude * _sech(amplitude * offset)
    return jax.lax.complex(envelope * jnp.cos(phase), envelope * jnp.sin(phase))


def burgers_wave(viscosity: Any, left: Any = 1.0, right: Any = 0.0, center: Any = 0.0) -> Profile:
    """Travelling shock of Burgers' equation.

    $$u = s - \\frac{\\Delta}{2} \\tanh \\frac{\\Delta (x - x_0 - s t)}{4 \\nu}$$

    **Arguments:**

    - `viscosity`: $\\nu > 0$.
    - `left`, `right`: speeds far away; $s$ is their mean, $\\Delta$ their difference.
    - `center`: $x_0$.

    **Returns:** a `Profile` of one coordinate; on a periodic axis it raises a `ValueError`.
    """
    return _profile(_burgers_wave, viscosity, left, right, center)


def _burgers_wave(profile, viscosity, left, right, center, t, x):
    speed, jump = 0.5 * (left + right), left - right
    return speed - 0.5 * jump * jnp.tanh(jump * (x - center - speed * t) / (4 * viscosity))


def fisher_wave(diffusivity: Any = 1.0, rate: Any = 1.0, center: Any = 0.0) -> Profile:
    """Exact front of the Fisher-KPP equation, $u = (1 + e^{\\zeta/\\sqrt 6})^{-2}$.

    $\\zeta = \\sqrt{r/D}\\,(x - x_0) - \\frac{5}{\\sqrt 6} r t$: it is faster than the front of compact data,
    $2\\sqrt{rD}$.

    **Arguments:**

    - `diffusivity`, `rate`: $D, r > 0$.
    - `center`: $x_0$.

    **Returns:** a `Profile` of one coordinate; on a periodic axis it raises a `ValueError`.

    Reference: Ablowitz and Zeppetella, Bull. Math. Biol. 41, 835 (1979).
    """
    return _profile(_fisher_wave, diffusivity, rate, center)


def _fisher_wave(profile, diffusivity, rate, center, t, x):
    zeta = jnp.sqrt(rate / diffusivity) * (x - center) - 5 / np.sqrt(6) * rate * t
    return jax.nn.sigmoid(-zeta / np.sqrt(6)) ** 2


def tanh_front(width: Any = 1.0, center: Any = 0.0, low: Any = -1.0, high: Any = 1.0) -> Profile:
    """A smooth step along the first axis from `low` to `high`, $\\tanh((x - x_0)/w)$ scaled.

    From -1 to 1 with $w = \\sqrt{2D/r}$ it is a steady wall of the Allen-Cahn equation.

    **Arguments:**

    - `width`: $w$.
    - `center`: $x_0$.
    - `low`, `high`: values far away.

    **Returns:** a `Profile` of any number of coordinates; where the first axis is periodic it raises a `ValueError`.
    """
    return _profile(_tanh_front, width, center, low, high, solved=False)


def _tanh_front(profile, width, center, low, high, t, x, *others):
    front = jnp.tanh((x - center) / width) + sum(jnp.zeros_like(c) for c in others)
    return 0.5 * (high + low) + 0.5 * (high - low) * front


# -- blobs ---------------------------------------------------------------------------------------------------
def gaussian_bump(center: Any = 0.0, width: Any = 1.0, amplitude: Any = 1.0) -> Profile:
    """A Gaussian, $a\\,e^{-|x - x_0|^2 / 2 w^2}$.

    **Arguments:**

    - `center`: $x_0$, one number or one per axis. On a periodic box the nearest image counts.
    - `width`: standard deviation $w$.
    - `amplitude`: $a$.

    **Returns:** a `Profile` of any number of coordinates.
    """
    return _profile(_gaussian_bump, center, width, amplitude, solved=False)


def _gaussian_bump(profile, center, width, amplitude, t, *x):
    if jnp.shape(center) not in ((), (len(x),)):
        raise ValueError(f"gaussian_bump: `center` has shape {jnp.shape(center)}, but there are {len(x)} coordinates.")
    centers = jnp.broadcast_to(center, (len(x),))
    square = sum(profile.away(i, c - centers[i]) ** 2 for i, c in enumerate(x))
    return amplitude * jnp.exp(-0.5 * square / width**2)


def gray_scott_patch(center: Any = None, half_width: Any = 0.1, edge: Any = 0.02) -> Profile:
    """A square patch $(u, v) = (\\frac12, \\frac14)$ in the trivial state $(1, 0)$, with smooth edges.

    **Arguments:**

    - `center`: one number or one per axis. `None` takes the middle of the box of the space; called by itself, 1.25, the
        middle of the box of the reference.
    - `half_width`: half the side of the patch.
    - `edge`: width of the smooth edge, at least the spacing of the grid for a spectral space.

    **Returns:** a `Profile` of any number of coordinates with two components. It is symmetric: add some
    `filtered_noise` for patterns that are not.

    Reference: Pearson, Science 261, 189 (1993).
    """
    return _profile(_gray_scott_patch, center, half_width, edge, solved=False)


def _gray_scott_patch(profile, center, half_width, edge, t, *x):
    grid = profile.grid
    if center is None:
        center = 1.25 if grid is None else np.add(grid.lower, grid.upper).astype(x[0].dtype) / 2
    centers = jnp.broadcast_to(center, (len(x),))
    inside = 1.0
    for i, c in enumerate(x):
        inside = inside * 0.5 * (1 - jnp.tanh((jnp.abs(profile.away(i, c - centers[i])) - half_width) / edge))
    return jnp.stack([1 - 0.5 * inside, 0.25 * inside])


def _sech(x):
    decayed = jnp.exp(-jnp.abs(x))
    return 2 * decayed / (1 + decayed * decayed)
