"""Spectra of fields on periodic boxes, summed over shells of wave numbers."""

from typing import Any

import numpy as np

from ..field import Field
from ..spaces import Fourier
from ._backend import axes


def shell_spectrum(u: Field) -> tuple[np.ndarray, np.ndarray]:
    """Power of a Fourier field in shells of wave numbers.

    $$E(k_n) = \\tfrac12 \\sum_{|k| / k_1 \\in [n - 1/2, n + 1/2)} |\\hat u_k|^2, \\qquad
      \\sum_n E(k_n) = \\tfrac12 \\overline{|u|^2}$$

    with $k_1 = 2\\pi / L$ of the longest side, so that a velocity gives its kinetic energy per unit mass.

    **Arguments:**

    - `u`: a field on a `js.Fourier` space. The power of all its components is summed.

    **Returns:** the wave numbers $k_n = n k_1$ (radians per length) of all shells that the space resolves in every
    direction, from the mean on, and the power in each; two NumPy arrays. The corners of the spectrum, beyond the
    last of these shells, are left out.
    """
    space = u.space
    if not isinstance(space, Fourier):
        raise TypeError("shell_spectrum needs a Fourier field: use `js.interpolate(u, js.Fourier(u.space.grid))`.")
    coefficients = np.asarray(u.coefficients)
    vectors = space.wave_numbers()
    first = 2 * np.pi / max(space.grid.lengths)
    shells = np.rint(np.sqrt(sum(np.square(k) for k in vectors)) / first).astype(int)
    last = int(min(np.abs(k).max() for k in vectors) / first + 1e-9)
    power = 0.5 * np.abs(coefficients.astype(complex)) ** 2
    if space.real:  # the last axis holds half of the modes, and the other half is their conjugate
        power = power * np.where(np.arange(coefficients.shape[-1]) > 0, 2.0, 1.0)
    total = power.reshape(-1, *shells.shape).sum(0)
    summed = np.bincount(shells.ravel(), total.ravel(), minlength=last + 1)
    return first * np.arange(last + 1), summed[: last + 1]


def spectrum(u: Field, ax: Any = None, **options: Any) -> Any:
    """Draw the power of a Fourier field over the wave number, on logarithmic axes, without its mean.

    **Arguments:**

    - `u`: a field, as for `shell_spectrum`; pass a velocity for the energy spectrum.
    - `ax`: matplotlib axes; a new figure when left out.
    - `options`: passed to `Axes.loglog`.

    **Returns:** the matplotlib line.
    """
    wave_numbers, power = shell_spectrum(u)
    ax = axes(ax)
    (line,) = ax.loglog(wave_numbers[1:], power[1:], **options)
    ax.set(xlabel="wave number", ylabel="power")
    return line
