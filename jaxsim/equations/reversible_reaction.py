"""A reversible reaction of three species, of which one diffuses."""

from typing import Any

import jax

from ..calculus import laplacian, pointwise, sample
from ..field import Field
from ._base import Equation
from ._checks import as_array, require_components, require_nonnegative


class ReversibleReaction(Equation):
    """Reversible reaction A + B = C with sources and decay, where A diffuses fast and B and C stay where they are.

    $$A_t = D \\nabla^2 A + a_1(x) - b_1 A - r, \\qquad B_t = a_2 - b_2 B - r, \\qquad C_t = a_3 - b_3 C + r,
      \\qquad r = r_1 A B - r_2 C$$

    The state has the three components A, B, C; 2 inverse and 3 forward transforms per right-hand side. Diffusion and
    decay are in `linear`.

    The reaction cancels in two sums, which are exact checks. With equal decay rates $b$, from zero and uniform $a_2$,
    $a_3$: $B + C = (a_2 + a_3)(1 - e^{-bt})/b$ at every node; and where no A passes the walls the mean of $A + C$ is
    $(\\langle a_1\\rangle + a_3)(1 - e^{-bt})/b$, in the quadrature that belongs to the Laplacian.

    **Parameters:** (defaults: a known test of Jacobian sparsity, on $32^2$ nodes of spacing 1 with
    $a_1 = 1$ on the last fifth of one axis; diffusion is then 800 times as fast as the reaction)

    - `source_a`: $a_1$, concentration/time; a number, an array over the nodes, or a callable `(t, x, ...)`.
    - `source_b`, `source_c`: $a_2, a_3$, likewise.
    - `diffusivity`: $D \\ge 0$ of A, length²/time.
    - `decay_a`, `decay_b`, `decay_c`: $b_1, b_2, b_3 \\ge 0$, 1/time.
    - `association`, `dissociation`: $r_1, r_2 \\ge 0$, 1/(time concentration) and 1/time.

    Reference: Gowda, Ma, Cheli, Gwozdz, Shah, Edelman and Rackauckas, High-performance symbolic-numerics via multiple
    dispatch, ACM Commun. Comput. Algebra 55 (2021) 92-96; the example of the tutorials of Symbolics.jl.
    """

    source_a: Any
    source_b: Any = 1.0
    source_c: Any = 1.0
    diffusivity: float | jax.Array = 100.0
    decay_a: float | jax.Array = 1.0
    decay_b: float | jax.Array = 1.0
    decay_c: float | jax.Array = 1.0
    association: float | jax.Array = 1.0
    dissociation: float | jax.Array = 1.0

    def __check_init__(self):
        for name in ("source_a", "source_b", "source_c"):
            value = getattr(self, name)
            if isinstance(value, (list, tuple)) or (hasattr(value, "dtype") and not callable(value)):
                object.__setattr__(self, name, as_array(value))
        require_nonnegative(
            self, "diffusivity", "decay_a", "decay_b", "decay_c", "association", "dissociation"
        )  # fmt: skip

    def linear(self, state: Field):
        require_components(self, state, (3,), "the species A, B and C")
        a, b, c = state
        return self.diffusivity * laplacian(a) - self.decay_a * a, -self.decay_b * b, -self.decay_c * c

    def nonlinear(self, t, state: Field):
        product = pointwise(lambda s: s[0] * s[1], state[:2], degree=2)
        rate = self.association * product - self.dissociation * state[2]
        a, b, c = (_source(s, t, rate) for s in (self.source_a, self.source_b, self.source_c))
        return a - rate, b - rate, c + rate


def _source(source: Any, t, like: Field):
    return sample(source, t, like) if callable(source) else source
