"""Fourier transforms of fields that are cut into slabs over a device mesh."""


def next_multiple(minimum: int, divisor: int) -> int:
    """The least FFT-friendly length of at least `minimum` that `divisor` divides."""
    from ._base import fast_length

    length = fast_length(minimum)
    while length % divisor:
        length = fast_length(length + 1)
    return length


def check(mesh, shape, padded_shape, spectral_shape):
    raise ValueError


def over(mesh):
    raise ValueError
