"""The spaces that the contract is tested on, as hypothesis draws them, with waves that fit each axis exactly.

A space is one entry of `SPACES`: a function that draws how it is made. What comes back is a `Drawn`: the space, and for
each axis the kind of wave that has its conditions. Sizes are odd, even and prime, boxes have sides of 1e-4 to 1e4, and
values are of any size.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

import jaxsim as js

SHAPES = {1: [(16,), (17,), (24,), (31,)], 2: [(11, 16), (13, 10)], 3: [(8, 9, 10)]}
WAVES = {  # values and derivatives on [0, 1], of argument `a s` with the phase 0.3 where there are no walls
    "period": (2 * np.pi, lambda z, m: jnp.cos(z + 0.3 + m * np.pi / 2)),
    "sine": (np.pi, lambda z, m: jnp.sin(z + m * np.pi / 2)),
    "cosine": (np.pi, lambda z, m: jnp.cos(z + m * np.pi / 2)),
}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A space and the waves that have its conditions; derivatives are of an `order`, or exact where it is `None`."""

    space: js.Space
    kinds: tuple[str, ...]
    order: int | None
    size: float
    dtype: type

    def wave(self, number: int = 1, derivatives: tuple[int, ...] | None = None) -> Callable:
        """A product of waves of this number, times the size of the fields, or a derivative of it."""
        grid, orders = self.space.grid, derivatives or (0,) * len(self.kinds)

        def function(*x):
            product = self.size
            for axis, (coordinate, kind, m) in enumerate(zip(x, self.kinds, orders)):
                rate, value = WAVES[kind]
                k = number * rate / grid.lengths[axis]
                product = product * k**m * value(k * (coordinate - grid.lower[axis]), m)
            return product

        return function

    def field(self, number: int = 1) -> js.Field:
        """The wave as a field, in the drawn precision."""
        values = self.wave(number)(*self.space.coordinates())
        return self.space.field(values.astype(self.space.field(values).dtype if self.dtype is None else self.dtype))

    @property
    def wave_numbers(self) -> np.ndarray:
        """Wave numbers of the first wave along each axis."""
        return np.array([WAVES[kind][0] / length for kind, length in zip(self.kinds, self.space.grid.lengths)])

    def tolerance(self, derivative: int, number: int = 1) -> float:
        """Bound on the error of a derivative relative to its size: of rounding, and of the order of the space."""
        nodes = max(self.space.grid.shape)
        rounding = 100 * float(jnp.finfo(self.dtype).eps) * nodes**derivative
        if self.order is None:
            return rounding
        steps = self.wave_numbers * number * np.array(self.space.grid.spacing)
        return rounding + 2 * float(np.max(steps)) ** self.order


def _grid(draw, shape):
    sides = 10.0 ** np.array([draw(st.floats(-4, 4)) for _ in shape])
    lower = [draw(st.sampled_from([0.0, -0.5, 3.0])) * side for side in sides]
    return js.Grid(shape, lower, [a + side for a, side in zip(lower, sides)])


def _common(draw, dimensions):
    shape = draw(st.sampled_from([shape for d in dimensions for shape in SHAPES[d]]))
    size = 10.0 ** draw(st.integers(-3, 3))
    return _grid(draw, shape), size, draw(st.sampled_from([jnp.float64, jnp.float32]))


@st.composite
def fourier(draw, real=True):
    grid, size, dtype = _common(draw, (1, 2, 3))
    return Drawn(js.Fourier(grid, real=real), ("period",) * grid.dimension, None, size, dtype)


@st.composite
def periodic(draw):
    grid, size, dtype = _common(draw, (1, 2, 3))
    order = draw(st.sampled_from([2, 4, 6]))
    return Drawn(js.FiniteDifference(grid, order=order), ("period",) * grid.dimension, order, size, dtype)


@st.composite
def walls(draw):
    grid, size, dtype = _common(draw, (1, 2))
    kinds = tuple(draw(st.sampled_from(["sine", "cosine", "period"])) for _ in grid.shape)
    conditions = {"sine": js.Dirichlet(), "cosine": js.Neumann(), "period": js.Periodic()}
    order = draw(st.sampled_from([2, 4]))
    faces = tuple(draw(st.booleans()) for _ in grid.shape)
    space = js.FiniteDifference(grid, tuple(conditions[kind] for kind in kinds), order=order, faces=faces)
    # next to a wall derivatives are of lower order, where a wave is not as smooth as its continuation
    return Drawn(space, kinds, order if all(kind == "period" for kind in kinds) else 2, size, dtype)


SPACES = {
    "Fourier": fourier(),
    "Fourier, complex": fourier(real=False),
    "FiniteDifference, periodic": periodic(),
    "FiniteDifference, walls": walls(),
}


def values(u: js.Field) -> jax.Array:
    """Nodal values in double precision."""
    return jnp.asarray(u.values, jnp.complex128 if jnp.iscomplexobj(u.values) else jnp.float64)
