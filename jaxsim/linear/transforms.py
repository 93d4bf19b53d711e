"""Orthonormal sine, cosine and real Fourier transforms along one axis, by FFTs of real sequences.

Every transform here is an orthogonal matrix: its inverse is its transpose. Types I and IV are their own inverse, types
II and III are inverse to each other. The scaling is that of `scipy.fft.dct(..., norm="ortho", orthogonalize=True)`.
JAX itself has only the cosine types II and III.

References: J. Makhoul, "A fast cosine transform in one and two dimensions", IEEE Trans. ASSP 28 (1980) 27-34 (types II
and III by an FFT of the same length); G. Strang, "The discrete cosine transform", SIAM Review 41 (1999) 135-147 (the
eight types and the walls they belong to); S. C. Chan and K. L. Ho, "Direct methods for computing discrete sinusoidal
transforms", IEE Proc. F 137 (1990) 433-442 (type IV of odd length by an FFT of the same length).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def dct(array: jax.Array, type: int = 2, axis: int = -1) -> jax.Array:
    """Discrete cosine transform of type 1, 2, 3 or 4, orthonormal.

    With $w_0 = 1/\\sqrt2$, and for type I also $w_{n-1} = 1/\\sqrt2$, and all other weights 1,

    $$
    \\begin{aligned}
    \\text{I}: \\; & y_k = \\sqrt{2/(n-1)} \\; w_k \\sum_j w_j x_j \\cos\\frac{\\pi j k}{n-1}, &
    \\text{II}: \\; & y_k = \\sqrt{2/n} \\; w_k \\sum_j x_j \\cos\\frac{\\pi (2j+1) k}{2n}, \\\\
    \\text{III}: \\; & y_k = \\sqrt{2/n} \\sum_j w_j x_j \\cos\\frac{\\pi j (2k+1)}{2n}, &
    \\text{IV}: \\; & y_k = \\sqrt{2/n} \\sum_j x_j \\cos\\frac{\\pi (2j+1)(2k+1)}{4n}.
    \\end{aligned}
    $$

    **Arguments:**

    - `array`: real or complex, any shape; complex arrays are transformed by linearity.
    - `type`: 1, 2, 3 or 4. Type 1 needs at least two entries.
    - `axis`: the axis to transform.

    **Returns:** an array of the same shape and dtype.

    **Raises:** `ValueError` for another type or too short an axis, `TypeError` for whole numbers.
    """
    return _along(_COSINE, "cosine", array, type, axis)


def dst(array: jax.Array, type: int = 2, axis: int = -1) -> jax.Array:
    """Discrete sine transform of type 1, 2, 3 or 4, orthonormal.

    With $w_{n-1} = 1/\\sqrt2$ and all other weights 1,

    $$
    \\begin{aligned}
    \\text{I}: \\; & y_k = \\sqrt{2/(n+1)} \\sum_j x_j \\sin\\frac{\\pi (j+1)(k+1)}{n+1}, &
    \\text{II}: \\; & y_k = \\sqrt{2/n} \\; w_k \\sum_j x_j \\sin\\frac{\\pi (2j+1)(k+1)}{2n}, \\\\
    \\text{III}: \\; & y_k = \\sqrt{2/n} \\sum_j w_j x_j \\sin\\frac{\\pi (j+1)(2k+1)}{2n}, &
    \\text{IV}: \\; & y_k = \\sqrt{2/n} \\sum_j x_j \\sin\\frac{\\pi (2j+1)(2k+1)}{4n}.
    \\end{aligned}
    $$

    **Arguments:**

    - `array`: real or complex, any shape; complex arrays are transformed by linearity.
    - `type`: 1, 2, 3 or 4.
    - `axis`: the axis to transform.

    **Returns:** an array of the same shape and dtype.

    **Raises:** `ValueError` for another type, `TypeError` for whole numbers.
    """
    return _along(_SINE, "sine", array, type, axis)


def idct(array: jax.Array, type: int = 2, axis: int = -1) -> jax.Array:
    """Inverse of `dct` of the same type, which is its transpose.

    **Arguments:** as `dct`.

    **Returns:** an array of the same shape and dtype.
    """
    return dct(array, _INVERSE.get(type, type), axis)


def idst(array: jax.Array, type: int = 2, axis: int = -1) -> jax.Array:
    """Inverse of `dst` of the same type, which is its transpose.

    **Arguments:** as `dst`.

    **Returns:** an array of the same shape and dtype.
    """
    return dst(array, _INVERSE.get(type, type), axis)


def real_dft(array: jax.Array, axis: int = -1) -> jax.Array:
    """Orthonormal Fourier transform of a periodic axis in sines and cosines, with as many real amplitudes as nodes.

    The amplitudes are those of $1, \\cos x, \\dots, \\cos \\lfloor n/2 \\rfloor x$, followed by those of
    $-\\sin x, -\\sin 2x, \\dots$, each basis vector of length one; `real_dft_wave_numbers` gives their wave numbers.

    **Arguments:**

    - `array`: real or complex, any shape; complex arrays are transformed by linearity.
    - `axis`: the axis to transform.

    **Returns:** an array of the same shape and dtype.
    """
    return _apply(_real_dft, array, axis)


def inverse_real_dft(array: jax.Array, axis: int = -1) -> jax.Array:
    """Inverse of `real_dft`, which is its transpose.

    **Arguments:** as `real_dft`.

    **Returns:** an array of the same shape and dtype.
    """
    return _apply(_inverse_real_dft, array, axis)


def real_dft_wave_numbers(size: int) -> np.ndarray:
    """Whole wave numbers of the amplitudes of `real_dft`, a NumPy vector."""
    return np.concatenate([np.arange(size // 2 + 1), np.arange(1, (size + 1) // 2)])


# -- the eight types, on the last axis of a real array -----------------------------------------------------------------
def _cosine_1(x):
    n = x.shape[-1]
    if n < 2:
        raise ValueError("a type I cosine transform needs at least two nodes, the two walls.")
    ends = _constant(_ends(n, 0, n - 1), x)
    x = x / ends  # twice the ends' half weights: the even extension holds each end once and the others twice
    extension = jnp.concatenate([x, x[..., -2:0:-1]], axis=-1)
    return _rfft(extension).real * ends * _constant(np.sqrt(0.5 / (n - 1)), x)


def _cosine_2(x):
    n = x.shape[-1]
    modes = _rfft(jnp.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], axis=-1))
    modes = modes * _constant(np.exp(-0.5j * np.pi * np.arange(n // 2 + 1) / n) * np.sqrt(2 / n), modes)
    y = jnp.concatenate([modes.real, -modes.imag[..., 1 : (n + 1) // 2][..., ::-1]], axis=-1)
    return y * _constant(_ends(n, 0), x)


def _cosine_3(x):
    n = x.shape[-1]
    y = x * _constant(_ends(n, 0) * np.sqrt(n / 2) * np.where(np.arange(n) == 0, 2.0, 1.0), x)
    mirrored = jnp.concatenate([jnp.zeros_like(y[..., :1]), y[..., :0:-1]], axis=-1)  # entry n - k in place k
    modes = lax.complex(y[..., : n // 2 + 1], -mirrored[..., : n // 2 + 1])
    v = _irfft(modes * _constant(np.exp(0.5j * np.pi * np.arange(n // 2 + 1) / n), modes), n)
    half = (n + 1) // 2
    return _interleave(v[..., :half], v[..., half:][..., ::-1])


def _cosine_4(x):
    n = x.shape[-1]
    if n % 2:
        return _cosine_4_odd(x)
    phase = np.exp(-1j * np.pi * (np.arange(n // 2) + 0.125) / n)
    z = lax.complex(x[..., ::2], x[..., ::-2])
    z = lax.fft(z * _constant(phase, z), lax.FftType.FFT, (n // 2,)) * _constant(phase * np.sqrt(2 / n), z)
    return _interleave(z.real, -z.imag[..., ::-1])


def _cosine_4_odd(x):
    """Nodes taken in the order a = n + 8p mod 8n, at which cos(2 pi a b / 8n) = cos(2 pi (b / 8 + p b / n))."""
    n = x.shape[-1]
    a = (n + 8 * np.arange(n)) % (8 * n)
    # x continues to all odd a, even about a = 0 and odd about a = 2n
    sign = np.where((a > 2 * n) & (a < 6 * n), -1.0, 1.0)
    node = np.minimum(a % (4 * n), 4 * n - a % (4 * n)) // 2
    b = 2 * np.arange(n) + 1
    mode, conjugate = np.minimum(b % n, n - b % n), np.where(b % n > n // 2, -1.0, 1.0)
    modes = _rfft(x[..., node] * _constant(sign, x))[..., mode]
    cosine, sine = np.cos(0.25 * np.pi * b), np.sin(0.25 * np.pi * b)
    y = modes.real * _constant(cosine, x) + modes.imag * _constant(sine * conjugate, x)
    return y * _constant(np.sqrt(2 / n), x)


def _sine_1(x):
    n = x.shape[-1]
    zero = jnp.zeros_like(x[..., :1])
    extension = jnp.concatenate([zero, x, zero, -x[..., ::-1]], axis=-1)
    return _rfft(extension).imag[..., 1 : n + 1] * _constant(-np.sqrt(0.5 / (n + 1)), x)


def _sine_2(x):
    return _cosine_2(_alternate(x))[..., ::-1]


def _sine_3(x):
    return _alternate(_cosine_3(x[..., ::-1]))


def _sine_4(x):
    return _alternate(_cosine_4(x[..., ::-1]))


def _real_dft(x):
    n = x.shape[-1]
    modes = _rfft(x) * _constant(_lengths(n), x)
    return jnp.concatenate([modes.real, modes.imag[..., 1 : (n + 1) // 2]], axis=-1)


def _inverse_real_dft(x):
    n = x.shape[-1]
    zero = jnp.zeros_like(x[..., :1])
    sines = [zero, x[..., n // 2 + 1 :]] + ([zero] if n % 2 == 0 else [])
    modes = lax.complex(x[..., : n // 2 + 1], jnp.concatenate(sines, axis=-1))
    return _irfft(modes / _constant(_lengths(n), x), n)


_COSINE = {1: _cosine_1, 2: _cosine_2, 3: _cosine_3, 4: _cosine_4}
_SINE = {1: _sine_1, 2: _sine_2, 3: _sine_3, 4: _sine_4}
_INVERSE = {2: 3, 3: 2}


# -- pieces ------------------------------------------------------------------------------------------------------------
def _along(family: dict[int, Callable], name: str, array, type: int, axis: int) -> jax.Array:
    if type not in family:
        raise ValueError(f"{name} transforms have types 1, 2, 3 and 4, got {type!r}.")
    return _apply(family[type], array, axis)


def _apply(transform: Callable, array, axis: int) -> jax.Array:
    """A transform of the last axis of real arrays, along any axis, of real and of complex arrays."""
    array = jnp.asarray(array)
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        raise TypeError(f"transforms act on floating-point arrays, got {array.dtype}: convert with `.astype(float)`.")
    if array.ndim == 0 or array.shape[axis] == 0:
        raise ValueError(f"transforms need an axis with entries, got shape {array.shape}.")
    array = jnp.moveaxis(array, axis, -1)
    if jnp.iscomplexobj(array):
        array = lax.complex(transform(array.real), transform(array.imag))
    else:
        array = transform(array)
    return jnp.moveaxis(array, -1, axis)


def _rfft(x):
    return lax.fft(x, lax.FftType.RFFT, (x.shape[-1],))


def _irfft(modes, n: int):
    return lax.fft(modes, lax.FftType.IRFFT, (n,))


def _constant(value, like) -> jax.Array:
    """Host numbers in the precision of an array."""
    precision = jnp.finfo(like.dtype).dtype
    return jnp.asarray(value, jnp.result_type(precision, jnp.complex64) if np.iscomplexobj(value) else precision)


def _ends(n: int, *ends: int) -> np.ndarray:
    weights = np.ones(n)
    weights[list(ends)] = np.sqrt(0.5)
    return weights


def _lengths(n: int) -> np.ndarray:
    """Scaling of FFT modes to unit basis vectors: pairs of modes share a length, the mean and Nyquist are alone."""
    scale = np.full(n // 2 + 1, np.sqrt(2 / n))
    scale[0] = np.sqrt(1 / n)
    if n % 2 == 0:
        scale[-1] = np.sqrt(1 / n)
    return scale


def _interleave(even, odd):
    """Entries in turn from two arrays, the first as long as the second or one longer."""
    n = even.shape[-1] + odd.shape[-1]
    if odd.shape[-1] < even.shape[-1]:
        odd = jnp.concatenate([odd, jnp.zeros_like(even[..., :1])], axis=-1)
    return jnp.stack([even, odd], axis=-1).reshape(*even.shape[:-1], -1)[..., :n]


def _alternate(x):
    return x * _constant((-1.0) ** np.arange(x.shape[-1]), x)
