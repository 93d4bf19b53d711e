"""Values on the faces between cells from values in them, along one axis of an array.

Linear schemes of polynomial reconstruction: the coefficients reproduce the point value at a face of every polynomial
of degree below the order from its averages over cells. Differences of neighboring faces of a flux that is
reconstructed so are derivatives of that order of its nodal values.

References: C.-W. Shu, "Essentially non-oscillatory and weighted essentially non-oscillatory schemes for hyperbolic
conservation laws", in Lecture Notes in Mathematics 1697, Springer 1998, section 2.2 and table 2.1 (ICASE Report 97-65);
for the upwind-biased schemes of odd order also B. van Leer, "Upwind-difference methods for aerodynamic problems
governed by the Euler equations", Lectures in Applied Mathematics 22 (1985) 327-336.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

_CENTRAL = {2: (1 / 2, 1 / 2), 4: (-1 / 12, 7 / 12, 7 / 12, -1 / 12)}
_UPWIND = {  # for flow to the right; the last cell but `reach - 1` is the one to the left of the face
    1: (1.0,),
    3: (-1 / 6, 5 / 6, 2 / 6),
    5: (2 / 60, -13 / 60, 47 / 60, 27 / 60, -3 / 60),
}


class Reconstruction(eqx.Module):
    """A rule that gives values on faces: a pure function of an array padded with ghosts.

    Calling it, `scheme(padded, velocity, along)`, takes

    - `padded`: `n + 2 * reach` values along one axis, those of `n` cells between `reach` ghosts on either side;
    - `velocity`: through the `n + 1` faces, of a shape that broadcasts against the result; its sign says which side is
      upwind;
    - `along`: the axis;

    and returns the `n + 1` values on the faces, from the lower end of the first cell to the upper end of the last.
    """

    order: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def reach(self) -> int:
        """Ghosts that are needed on either side."""

    @abc.abstractmethod
    def __call__(self, padded: jax.Array, velocity: jax.Array | float, along: int) -> jax.Array:
        """Values on the faces."""


class Central(Reconstruction):
    """The mean of both sides, without dissipation.

    Order 2: $(u_{i} + u_{i+1}) / 2$. Order 4: $(-u_{i-1} + 7 u_{i} + 7 u_{i+1} - u_{i+2}) / 12$.

    **Arguments:**

    - `order`: 2 or 4.

    **Raises:** `ValueError` for another order.
    """

    order: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        _check("Central", self.order, _CENTRAL)

    @property
    def reach(self) -> int:
        return self.order // 2

    def __call__(self, padded: jax.Array, velocity: jax.Array | float, along: int) -> jax.Array:
        return _weighted(padded, _CENTRAL[self.order], 0, _faces(padded, self.reach, along), along)


class Upwind(Reconstruction):
    """A polynomial through one more cell on the side that the flow comes from, dissipative in its leading error.

    For flow to the right, order 1: $u_i$; 3: $(-u_{i-1} + 5 u_i + 2 u_{i+1}) / 6$; 5: $(2 u_{i-2} - 13 u_{i-1} +
    47 u_i + 27 u_{i+1} - 3 u_{i+2}) / 60$; mirrored for flow to the left. Linear, so that orders above 1 overshoot at
    jumps.

    **Arguments:**

    - `order`: 1, 3 or 5.

    **Raises:** `ValueError` for another order.
    """

    order: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        _check("Upwind", self.order, _UPWIND)

    @property
    def reach(self) -> int:
        return (self.order + 1) // 2

    def __call__(self, padded: jax.Array, velocity: jax.Array | float, along: int) -> jax.Array:
        weights, faces = _UPWIND[self.order], _faces(padded, self.reach, along)
        from_left = _weighted(padded, weights, 0, faces, along)
        from_right = _weighted(padded, weights[::-1], 1, faces, along)
        return jnp.where(jnp.asarray(velocity) >= 0, from_left, from_right)


def _faces(padded, reach: int, along: int) -> int:
    cells = padded.shape[along] - 2 * reach
    if cells < 1:
        raise ValueError(f"a reconstruction that reaches {reach} cells needs more than {2 * reach} padded values.")
    return cells + 1


def _weighted(padded, weights, first: int, count: int, along: int):
    """Sum of shifted slices: face i takes the padded values from i + first on."""
    total = None
    for shift, weight in enumerate(weights, start=first):
        term = weight * lax.slice_in_dim(padded, shift, shift + count, axis=along)
        total = term if total is None else total + term
    return total


def _check(name: str, order: int, table: dict):
    if order not in table:
        raise ValueError(f"{name}: `order` is {', '.join(map(str, table))}; got {order!r}.")
