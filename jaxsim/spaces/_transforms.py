"""Fourier transforms between nodal values and compact spectra.

A compact spectrum keeps the modes $|k| \\le K$, $K = \\lfloor (N-1)/2 \\rfloor$, of each axis in the order
$0, 1, \\dots, K, -K, \\dots, -1$; the last axis of a real field keeps $0, \\dots, K$ only. There is no Nyquist mode, so
odd derivatives, projections and products need no special case. Coefficients are amplitudes,
$u(x) = \\sum_k \\hat u_k e^{i k x}$, whatever the number of nodes.
"""

import math

import jax.numpy as jnp
from jax import lax


def cutoffs(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Largest wave number kept on each axis, `(n - 1) // 2`."""
    return tuple((n - 1) // 2 for n in shape)


def spectral_shape(shape: tuple[int, ...], real: bool) -> tuple[int, ...]:
    """Shape of the compact spectrum of a grid."""
    full = tuple(2 * k + 1 for k in cutoffs(shape))
    return (*full[:-1], cutoffs(shape)[-1] + 1) if real else full


def pad_full(spectrum, axis: int, nodes: int):
    """Zeros between the positive and negative wave numbers of one axis, up to `nodes` entries."""
    count = spectrum.shape[axis]
    positive = lax.slice_in_dim(spectrum, 0, count // 2 + 1, axis=axis)
    negative = lax.slice_in_dim(spectrum, count // 2 + 1, count, axis=axis)
    gap = list(spectrum.shape)
    gap[axis] = nodes - count
    return jnp.concatenate([positive, jnp.zeros(gap, spectrum.dtype), negative], axis)


def truncate_full(spectrum, axis: int, cutoff: int):
    """The inverse of `pad_full`: the wave numbers up to `cutoff` of one axis."""
    count = spectrum.shape[axis]
    positive = lax.slice_in_dim(spectrum, 0, cutoff + 1, axis=axis)
    negative = lax.slice_in_dim(spectrum, count - cutoff, count, axis=axis)
    return jnp.concatenate([positive, negative], axis)


def pad_half(spectrum, nodes: int):
    """Zeros behind the last axis of a real field's spectrum, up to `nodes // 2 + 1` entries."""
    widths = [(0, 0)] * (spectrum.ndim - 1) + [(0, nodes // 2 + 1 - spectrum.shape[-1])]
    return jnp.pad(spectrum, widths)


def to_nodes(spectrum, nodes: tuple[int, ...], real: bool):
    """Values at `nodes` equidistant points per axis, at least as many as the spectrum resolves."""
    dimension = len(nodes)
    spectrum = spectrum * math.prod(nodes)
    for axis in range(-dimension, -1 if real else 0):
        spectrum = pad_full(spectrum, axis % spectrum.ndim, nodes[axis])
    if real:
        return lax.fft(pad_half(spectrum, nodes[-1]), lax.FftType.IRFFT, nodes)
    return lax.fft(spectrum, lax.FftType.IFFT, nodes)


def full_of_half(spectrum, dimension: int):
    """The compact spectrum of a real field with the modes that are conjugates of those it holds."""
    positive = lax.slice_in_dim(spectrum, 1, spectrum.shape[-1], axis=spectrum.ndim - 1)
    mirrored = jnp.conj(jnp.flip(positive, tuple(range(-dimension, 0))))
    for axis in range(spectrum.ndim - dimension, spectrum.ndim - 1):  # zero stays in front
        mirrored = jnp.roll(mirrored, 1, axis)
    return jnp.concatenate([spectrum, mirrored], -1)


def to_spectrum(values, cutoff: tuple[int, ...], real: bool):
    """Compact spectrum of nodal values, truncated at `cutoff`."""
    dimension = len(cutoff)
    nodes = values.shape[values.ndim - dimension :]
    spectrum = lax.fft(values, lax.FftType.RFFT if real else lax.FftType.FFT, nodes)
    if real:
        spectrum = lax.slice_in_dim(spectrum, 0, cutoff[-1] + 1, axis=spectrum.ndim - 1)
    for axis in range(-dimension, -1 if real else 0):
        spectrum = truncate_full(spectrum, axis % spectrum.ndim, cutoff[axis])
    return spectrum * (1 / math.prod(nodes))
