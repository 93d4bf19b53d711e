"""What noise there is: forces that are white in time, by their deviation in every mode."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .phi import array_namespace


class AbstractWhiteNoise(eqx.Module):
    """Forcing of a field that is white in time and homogeneous in space, $du = (\\dots)\\,dt + dW$.

    $$W(t, x) = \\sum_j \\sigma_j\\, \\beta_j(t)\\, e_j(x)$$

    The $e_j$ are the modes of the space, eigenfunctions of its Laplacian whose root mean square over the box is one
    ($\\sqrt2 \\cos kx$ and $\\sqrt2 \\sin kx$ on a periodic line), and the $\\beta_j$ independent Brownian motions.
    With Fourier amplitudes, $\\mathrm E |d\\hat W_k|^2 = \\sigma_k^2\\,dt$. So $\\sigma$ has the unit of the field over
    $\\sqrt{\\text{time}}$, and noise puts $\\frac12 \\sum_j \\sigma_j^2$ per time into half of the mean square.

    A subclass gives `deviations`.
    """

    components: eqx.AbstractVar[Any]
    mean: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def deviations(self, wave_number, count) -> Any:
        """$\\sigma$ of every mode.

        **Arguments:**

        - `wave_number`: $|k|$ of the modes, the root of minus the eigenvalues of the Laplacian.
        - `count`: how many waves each mode stands for: conjugates, components with the squares of their factors, and
            less what a constraint takes away.

        **Returns:** an array that broadcasts against `(*components, *modes)`.
        """


class WhiteNoise(AbstractWhiteNoise):
    """White noise with a given deviation in every mode: see `js.integrate.AbstractWhiteNoise`.

    **Arguments:**

    - `deviation`: $\\sigma$, a function of the wave number $|k|$ (a NumPy array of those of all modes; the root of
        minus the eigenvalues of the Laplacian), or an array that broadcasts against `(*components, *modes)`. The
        constant $s / \\sqrt V$ for a box of volume $V$ is noise that is white in space too,
        $\\mathrm E\\, dW(x)\\, dW(y) = s^2 \\delta(x - y)\\, dt$ up to the resolution.
    - `components`: a factor for every component of the field; one for all when left out.
    - `mean`: whether there is noise in the mean over the box, the mode $k = 0$.

    Both numbers and arrays in here can be differentiated.
    """

    deviation: Callable | jax.Array | np.ndarray
    components: Any = 1.0
    mean: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not callable(self.deviation) and not eqx.is_array_like(self.deviation):
            raise TypeError("WhiteNoise: `deviation` is a function of the wave number, or an array over modes.")

    def deviations(self, wave_number, count):
        if not callable(self.deviation):
            return self.deviation
        return self.deviation(wave_number if self.mean else np.where(wave_number > 0, wave_number, 1.0))


class BandNoise(AbstractWhiteNoise):
    """White noise on a band of wave numbers that injects at a given rate: see `js.integrate.AbstractWhiteNoise`.

    $$\\varepsilon = \\tfrac12 \\sum_j w(k_j)\\, \\sigma_j^2, \\qquad k_1 \\le k_j \\le k_2,$$

    where every wave of the band has the same share. With $w = 1$ that is the rate of $\\frac12 \\overline{u^2}$ (the
    energy of a velocity, the enstrophy of a vorticity); with $w = k^{-2}$ that of the energy of a vorticity. By Itô's
    formula it is exact in the mean, whatever the flow does.

    **Arguments:**

    - `low`, `high`: the band $k_1, k_2$, angular wave numbers. Those of finite differences are a little smaller than
        whole numbers.
    - `rate`: $\\varepsilon \\ge 0$, per time and volume.
    - `weight`: $w$, a function of the wave number; 1 when left out.
    - `components`: a factor for every component of the field; one for all when left out.

    **Raises:** `ValueError` for a band without a mode, where it is used.
    """

    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    rate: Any
    weight: Callable | None = None
    components: Any = 1.0
    mean: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not 0 <= self.low <= self.high:
            raise ValueError(f"BandNoise: needs 0 <= low <= high, got {self.low} and {self.high}.")
        if eqx.is_array_like(self.rate) and not isinstance(self.rate, jax.core.Tracer) and not np.all(self.rate >= 0):
            raise ValueError(f"BandNoise: `rate` must not be negative, got {self.rate}.")

    def deviations(self, wave_number, count):
        slack = 1e-9 * self.high
        inside = (wave_number >= self.low - slack) & (wave_number <= self.high + slack)
        inside = inside & (self.mean | (wave_number > 0))
        if not np.any(inside):
            raise ValueError(f"BandNoise: no mode of this space has a wave number between {self.low} and {self.high}.")
        kept = np.where(inside, wave_number, 1.0)
        weights, count, rate = map(on_host, (1.0 if self.weight is None else self.weight(kept), count, self.rate))
        xp = array_namespace(weights, count, rate)
        waves = xp.sum(xp.where(inside, count, 0))
        positive = rate > 0  # the derivative of a root at zero is not finite
        root = xp.where(positive, xp.sqrt(xp.where(positive, rate, 1.0)), 0.0)
        return xp.where(inside, xp.sqrt(2 / (waves * weights)), 0.0) * root


def on_host(numbers) -> Any:
    """In NumPy double precision, unless some are traced."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(numbers)):
        return jnp.asarray(numbers)
    return np.asarray(numbers, np.result_type(np.asarray(numbers), float))
