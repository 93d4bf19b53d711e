"""Fourier transforms of fields that are cut into slabs over a device mesh.

Nodal values are cut along the first spatial axis and compact spectra along the last, so that every one-dimensional
transform finds its axis whole on one device. One all-to-all in between turns the one cut into the other (the transpose
method, Pelz 1991, J. Comput. Phys. 92:296); what travels is compact: the axes that stay on a device during the
transform of the first axis are padded after the exchange and truncated before it.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import AxisType, Mesh

from ._base import fast_length
from ._transforms import pad_full, pad_half, truncate_full
from .sharding import axis_type, map_shards, slab_spec


def next_multiple(minimum: int, divisor: int) -> int:
    """The least even length of at least `minimum` that is `divisor` times a number without prime factors above 7."""
    step = math.lcm(2, divisor)
    return step * (fast_length(2 * -(-minimum // step)) // 2)


def check(mesh: Mesh, space) -> None:
    """Errors for a Fourier space whose fields a mesh cannot cut into equal slabs."""
    if not isinstance(mesh, Mesh):
        raise TypeError(f"Fourier: `mesh` must be a jax.sharding.Mesh, got {type(mesh).__name__}.")
    devices, shape = mesh.size, space.grid.shape
    if len(mesh.axis_names) != 1:
        raise ValueError(
            f"Fourier: `mesh` must have one axis, over which fields are cut into slabs; got axes {mesh.axis_names}. "
            f"Use jax.make_mesh(({devices},), ('slabs',))."
        )
    if len(shape) < 2:
        raise ValueError(
            "Fourier: a mesh cuts fields of two or three dimensions; on one axis leave out `mesh`, or spread "
            "ensemble members over the devices with js.ensemble."
        )
    if shape[0] % devices:
        raise ValueError(
            f"Fourier: {devices} devices cannot share the {shape[0]} nodes of the first axis equally; choose a "
            f"multiple of {devices}, such as {next_multiple(shape[0], devices)}."
        )
    if space.padded_shape[0] % devices:
        raise ValueError(
            f"Fourier: `dealias` asks for {space.padded_shape[0]} padded nodes on the first axis, which {devices} "
            "devices cannot share equally; leave out `dealias`, or change the nodes of the first axis."
        )
    if space.spectral_shape[-1] % devices:
        raise ValueError(_last_axis_advice(space, devices))


def _last_axis_advice(space, devices: int) -> str:
    modes = space.spectral_shape[-1]
    if space.real:
        return (
            f"Fourier: {devices} devices cannot share the {modes} modes of the last axis equally; choose there an even "
            f"number of nodes whose half is a multiple of {devices}, such as {2 * devices * -(-modes // devices)}."
        )
    return (
        f"Fourier: the last axis of a complex field has an odd number of modes ({modes} here), which {devices} devices "
        "cannot share equally; keep the real and imaginary parts as two components of a real field, or leave out "
        "`mesh`."
    )


def to_nodes(mesh: Mesh, spectrum: jax.Array, nodes: tuple[int, ...], real: bool) -> jax.Array:
    """As `_transforms.to_nodes`, from spectra cut along the last axis to values cut along the first spatial axis."""
    return _inverse(mesh, spectrum.ndim, tuple(nodes), real)(_checked(spectrum))


def to_spectrum(mesh: Mesh, values: jax.Array, cutoff: tuple[int, ...], real: bool) -> jax.Array:
    """As `_transforms.to_spectrum`, from values cut along the first spatial axis to spectra cut along the last."""
    return _forward(mesh, values.ndim, tuple(cutoff), real)(_checked(values))


@functools.cache
def _inverse(mesh: Mesh, ndim: int, nodes: tuple[int, ...], real: bool) -> Callable:
    first, last = -len(nodes), -1

    def transform(slab):
        slab = slab * math.prod(nodes)
        slab = _along(slab, first, lambda a: lax.fft(pad_full(a, a.ndim - 1, nodes[0]), lax.FftType.IFFT, nodes[:1]))
        slab = _exchange(slab, mesh, split=first, join=last)
        for axis in range(first + 1, last if real else 0):
            slab = pad_full(slab, axis % slab.ndim, nodes[axis])
        if real:
            return lax.fft(pad_half(slab, nodes[-1]), lax.FftType.IRFFT, nodes[1:])
        return lax.fft(slab, lax.FftType.IFFT, nodes[1:])

    return _over_slabs(transform, mesh, ndim, cut=last, result_cut=first)


@functools.cache
def _forward(mesh: Mesh, ndim: int, cutoff: tuple[int, ...], real: bool) -> Callable:
    first, last = -len(cutoff), -1

    def transform(slab):
        whole = slab.shape[first + 1 :]
        slab = lax.fft(slab, lax.FftType.RFFT if real else lax.FftType.FFT, whole)
        if real:
            slab = lax.slice_in_dim(slab, 0, cutoff[-1] + 1, axis=slab.ndim - 1)
        for axis in range(first + 1, last if real else 0):
            slab = truncate_full(slab, axis % slab.ndim, cutoff[axis])
        slab = _exchange(slab, mesh, split=last, join=first)
        nodes = (slab.shape[first], *whole)
        full = _along(slab, first, lambda a: lax.fft(a, lax.FftType.FFT, nodes[:1]))
        slab = truncate_full(full, first % full.ndim, cutoff[0])
        return slab * (1 / math.prod(nodes))

    return _over_slabs(transform, mesh, ndim, cut=first, result_cut=last)


def _over_slabs(transform: Callable, mesh: Mesh, ndim: int, cut: int, result_cut: int) -> Callable:
    before, after = (slab_spec(mesh, ndim, axis) for axis in (cut, result_cut))
    # Compiled and cached, because outside of `jax.jit` a `shard_map` runs its operations one by one on every device.
    return jax.jit(map_shards(transform, mesh, (before,), after), inline=True)


def _checked(array: jax.Array) -> jax.Array:
    if axis_type(array) is AxisType.Explicit:
        raise ValueError(
            "Fourier: this array lives on a mesh with Explicit axes, which fields cannot compute with. Place fields "
            "with js.shard(field), or make the mesh with jax.make_mesh(..., axis_types=(jax.sharding.AxisType.Auto,))."
        )
    return array


def _exchange(slab, mesh: Mesh, split: int, join: int):
    """Cuts the whole axis `split` and joins the pieces of the axis `join`."""
    return lax.all_to_all(slab, mesh.axis_names[0], split % slab.ndim, join % slab.ndim, tiled=True)


def _along(slab, axis: int, transform: Callable):
    """A transform of the last axis applied to another: XLA's FFTs act on trailing axes."""
    return jnp.moveaxis(transform(jnp.moveaxis(slab, axis, -1)), -1, axis)
