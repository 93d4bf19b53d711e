"""Sobol sequences inside compiled programs."""

import jax
import jax.numpy as jnp
import numpy as np

# Degree, inner coefficients of the primitive polynomial over the field of two elements, and first direction integers
# of dimensions 2 to 12: the set new-joe-kuo-6 of Joe and Kuo (2008).
_POLYNOMIALS = (
    (1, 0, (1,)),
    (2, 1, (1, 3)),
    (3, 1, (1, 3, 1)),
    (3, 2, (1, 1, 1)),
    (4, 1, (1, 1, 3, 3)),
    (4, 4, (1, 3, 5, 13)),
    (5, 2, (1, 1, 5, 5, 17)),
    (5, 4, (1, 1, 5, 5, 5)),
    (5, 7, (1, 1, 7, 11, 19)),
    (5, 11, (1, 1, 5, 1, 1)),
    (5, 13, (1, 1, 1, 3, 11)),
)
_BITS = 32
MAX_DIMENSION = len(_POLYNOMIALS) + 1


def sobol(count: int, dimension: int, key: jax.Array | None = None, dtype=None) -> jax.Array:
    """The first points of a Sobol sequence, evenly spread over the unit cube.

    With a key, digits are scrambled as Owen does, by a hash of all digits before them: each point is uniform in the
    cube, and the points together are as evenly spread as before, in every box whose sides are powers of 1/2. Another
    key gives an independent set. A power of two is the best number of points.

    **Arguments:**

    - `count`: how many points, at most $2^{30}$.
    - `dimension`: 1 to 12.
    - `key`: for scrambling. The sequence itself, which begins at the origin, without one.
    - `dtype`: of the points; the default floating-point type unless given.

    **Returns:** shape `(count, dimension)`, in $[0, 1)$.

    References: Sobol, USSR Comput. Math. Math. Phys. 7, 86 (1967); Joe and Kuo, SIAM J. Sci. Comput. 30, 2635 (2008),
    for the direction numbers; Burley, Practical hash-based Owen scrambling, J. Comput. Graph. Tech. 9(4), 1 (2020),
    for the scrambling.
    """
    if not 1 <= dimension <= MAX_DIMENSION:
        raise ValueError(f"sobol: `dimension` is between 1 and {MAX_DIMENSION}, got {dimension}.")
    if not 1 <= count <= 2**30:
        raise ValueError(f"sobol: `count` is between 1 and 2**30, got {count}.")
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    index = jnp.arange(count, dtype=jnp.uint32)
    gray = index ^ (index >> 1)
    directions = _directions(dimension)
    digits = jnp.zeros((count, dimension), jnp.uint32)
    for bit in range((count - 1).bit_length()):
        chosen = (gray >> bit) & 1
        digits = digits ^ (chosen[:, None] * directions[:, bit])
    if key is not None:
        digits = _scrambled(digits, jax.random.bits(key, (dimension,), jnp.uint32))
    kept = min(_BITS, jnp.finfo(dtype).nmant + 1)  # more would round up to 1
    return (digits >> (_BITS - kept)).astype(dtype) * dtype.type(2.0**-kept)


def _directions(dimension: int) -> np.ndarray:
    """Direction numbers as 32-bit integers, shape `(dimension, 32)`, by the recurrence of each polynomial."""
    table = np.zeros((dimension, _BITS), np.uint64)
    table[0] = [1 << (_BITS - 1 - k) for k in range(_BITS)]
    for row, (degree, inner, first) in zip(table[1:], _POLYNOMIALS):
        numbers = [m << (_BITS - 1 - k) for k, m in enumerate(first)]
        for k in range(degree, _BITS):
            number = numbers[k - degree] ^ (numbers[k - degree] >> degree)
            for j in range(1, degree):
                if (inner >> (degree - 1 - j)) & 1:
                    number ^= numbers[k - j]
            numbers.append(number)
        row[:] = numbers
    return table.astype(np.uint32)


def _scrambled(digits: jax.Array, seeds: jax.Array) -> jax.Array:
    """Nested uniform scrambling: a hash in which bits depend on lower bits alone, of the digits read backward."""
    x = _reversed(digits) + seeds
    for factor in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        x = x ^ (x * jnp.uint32(factor))
    return _reversed(x)


def _reversed(x: jax.Array) -> jax.Array:
    """The 32 bits in the opposite order."""
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        mask = jnp.uint32(mask)
        x = ((x >> shift) & mask) | ((x & mask) << shift)
    return (x >> 16) | (x << 16)
