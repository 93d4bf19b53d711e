"""Products with all digits."""

from functools import partial

import jax.numpy as jnp
from jax import lax

# Graphics processors multiply numbers of single precision with three digits (TF32) unless told otherwise: too few for
# a matrix that is to be factorized, and for a basis that is to stay orthogonal.
product = partial(jnp.matmul, precision=lax.Precision.HIGHEST)
