"""A direct inverse of constant-coefficient diffusion as a preconditioner."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .bases import AxisBasis, axis_basis
from .diffusion import VariableDiffusion
from .helmholtz import separable_solve
from .symmetric import SymmetricOperator


class FastPoisson(SymmetricOperator):
    """A symmetrically scaled direct inverse, $v \\mapsto s\\,L^{-1}(s\\,v)$.

    With $s = a^{-1/2}$ and $L = -\\Delta$ it is close to the inverse of $-\\nabla\\cdot(a\\nabla)$ for smooth $a$,
    because $a^{-1/2}\\,\\nabla\\cdot(a\\nabla(a^{-1/2}w)) = \\Delta w - (\\Delta a^{1/2} / a^{1/2})\\,w$: the variable
    coefficient is left only in a bounded multiplication, and the number of iterations does not depend on the mesh.

    Concus and Golub, SIAM J. Numer. Anal. 10 (1973), section 3.

    **Arguments:**

    - `inverse`: the symmetric positive definite $L^{-1}$, any callable from arrays to arrays.
    - `scale`: $s$, an array in the shape of the vectors. Its gradient is stopped.
    """

    inverse: Callable[[jax.Array], jax.Array]
    scale: jax.Array

    def __init__(self, inverse: Callable[[jax.Array], jax.Array], scale: Any):
        arrays, rest = eqx.partition((inverse, jnp.asarray(scale)), eqx.is_array)
        self.inverse, self.scale = eqx.combine(lax.stop_gradient(arrays), rest)

    def mv(self, vector: jax.Array) -> jax.Array:
        return self.scale * self.inverse(self.scale * vector)

    def in_structure(self):
        return jax.ShapeDtypeStruct(self.scale.shape, self.scale.dtype)


class _ShiftedLaplaceInverse(eqx.Module):
    axes: tuple[AxisBasis, ...]
    shift: Any

    def __call__(self, vector: jax.Array) -> jax.Array:
        return separable_solve(vector, self.axes, shift=self.shift)


def fast_poisson(operator: VariableDiffusion, shift: Any = 0.0, inverse: Callable | None = None) -> FastPoisson:
    """The preconditioner $a^{-1/2} (-\\Delta + \\sigma)^{-1} a^{-1/2}$ of variable diffusion.

    **Arguments:**

    - `operator`: $-\\nabla\\cdot(a\\nabla) + c$; its coefficient, spacing and sides are used.
    - `shift`: $\\sigma \\ge 0$, a number that stands for $c / a$ and $\\Delta a^{1/2} / a^{1/2}$.
    - `inverse`: of $-\\Delta + \\sigma$, any callable; eigenvectors of each axis, by fast transforms where
        axes are long, by default.

    **Returns:** a [`FastPoisson`][jaxsim.linear.FastPoisson], to be given to a solver as
    `options={"preconditioner": ...}`.

    **Raises:** `ValueError` for a negative shift, and for cells with the coefficient zero where values are known.
    """
    if not isinstance(shift, jax.core.Tracer) and not np.all(np.asarray(shift) >= 0):
        raise ValueError(f"fast_poisson: `shift` must not be negative, got {shift}.")
    a = operator.coefficient
    if not isinstance(a, jax.core.Tracer) and not np.all(np.asarray(a) > 0):
        raise ValueError("fast_poisson: the coefficient must be positive; use Multigrid where cells have zero.")
    if inverse is None:
        axes = [axis_basis(n, h, *pair) for n, h, pair in zip(a.shape, operator.spacing, operator.sides)]
        inverse = _ShiftedLaplaceInverse(tuple(axes), shift)
    return FastPoisson(inverse, lax.rsqrt(a))
