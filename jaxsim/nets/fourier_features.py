"""Random waves as an embedding."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ._sizes import check_input, check_sizes, floating
from .dense import multiply


class FourierFeatures(eqx.Module):
    """Waves with random wave numbers, $x \\mapsto (\\cos B x, \\sin B x)$ with $B_{ij} \\sim N(0, s_j^2)$.

    They let a network begin with functions that vary over a length of about $1/s$. The wave numbers are trained;
    `jaxsim.optimize.Frozen(FourierFeatures(...))` keeps them as they are.

    **Arguments:**

    - `in_size`: numbers in, of size about one.
    - `out_size`: numbers out, even.
    - `scale`: $s$, a number or one per input; in radians per unit of the input.
    - `dtype`: of the wave numbers.
    - `key`: for the wave numbers.

    Reference: Tancik et al., Fourier features let networks learn high frequency functions in low dimensional domains,
    NeurIPS 2020 (arXiv 2006.10739), with a factor $2\\pi$ in $B$; Wang, Wang and Perdikaris, Comput. Methods Appl.
    Mech. Eng. 384, 113938 (2021).
    """

    waves: jax.Array

    def __init__(self, in_size: int, out_size: int, scale=1.0, *, dtype=None, key: jax.Array):
        in_size, out_size = check_sizes(self, in_size=in_size, out_size=out_size)
        if out_size % 2:
            raise ValueError(f"FourierFeatures: `out_size` must be even, a cosine and a sine per wave; got {out_size}.")
        scales = jnp.asarray(scale, floating(dtype))
        if scales.shape not in ((), (in_size,)):
            raise ValueError(f"FourierFeatures: `scale` needs one number, or one per input; got shape {scales.shape}.")
        self.waves = scales * jax.random.normal(key, (out_size // 2, in_size), floating(dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Shape `(in_size,)` to `(out_size,)`."""
        check_input(self, x, self.waves.shape[1])
        phases = multiply(self.waves, x)
        return jnp.concatenate([jnp.cos(phases), jnp.sin(phases)])
