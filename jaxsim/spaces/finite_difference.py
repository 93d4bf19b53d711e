"""Fields made of values on a grid, differentiated by finite differences."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from ..field import Field, is_uniform
from ..grid import Grid
from . import _differences, _halo, _stencils, _walls
from ._base import Modes, Space, complex_dtype, nodal_shape_error, real_dtype
from ._walls import Trace, Traces
from ._windows import at_points, windows
from .boundary import Dirichlet, Neumann, Periodic, is_concrete, per_side

_ORDERS = (2, 4, 6, 8)


class _Nodal(eqx.Module):
    """What a finite-difference field holds.

    `values` are nodal values, `(*components, *grid.shape)`; or, in a probe of `FiniteDifferenceModes`
    (`modal`), Fourier amplitudes. `traces` is what is known of the field at each wall, `None` for the
    conditions of the space.
    """

    values: jax.Array | np.ndarray
    traces: Traces | None = None
    modal: bool = eqx.field(static=True, default=False)


class FiniteDifference(Space):
    """Values on a grid with central differences of order 2, 4, 6 or 8, between walls or on periodic boxes.

    The nodes of a periodic axis are `lower + i * spacing`, as in `Fourier`; those of an axis between walls
    are the centers of its cells, `lower + (i + 1/2) * spacing`. Either way there are `grid.shape` of them,
    and the walls lie half a spacing outside the last nodes.

    Derivatives of any order are central differences (Fornberg 1988) of order $p$ = `order`. At a wall they
    reach for ghost nodes, on the polynomial through the nearest nodes that satisfies the condition at the
    wall: $p - 1$ nodes for `Dirichlet` and $p$ for `Neumann` and `Robin` (one for $p = 2$, the mirror image).
    Next to a wall the second derivative is therefore locally of order $p - 2$ (Dirichlet) or $p - 1$, and the
    first of one order more, while solutions of elliptic and parabolic problems keep order $p$ throughout; the
    eigenvalues of the Laplacian have no positive real part.

    **Conditions and derived fields.** The conditions hold for fields made by `field` and `bind`. What follows
    from them at a wall is kept for fields made from those, and differentiating again uses it:

    - sums, components, stacks and uniform multiples of fields that know the same kind of condition satisfy it
      with the same sum of right-hand sides; numbers satisfy every condition;
    - products of fields with known wall values (`Dirichlet`, or a function given to `js.sample`) have the
      product there, so that `js.partial(u * u, 0)` takes $g^2$ at the wall;
    - the first derivative across a `Neumann` wall has the value $\\pm g$ there, as a flux.

    Of any other field (other derivatives, products with nodal values, `js.pointwise`) nothing is known, and
    its ghost nodes extrapolate the $p + 1$ nearest nodes: order $p$ for first derivatives, $p - 1$ for
    second. Periodic axes know no such distinctions.

    **Arguments:**

    - `grid`: the box.
    - `boundary`: one condition for all sides, or a tuple with one entry per axis, each a condition for both
        sides or a pair `(lower, upper)`; conditions are `js.Periodic()`, `js.Dirichlet(value)`,
        `js.Neumann(value)` and `js.Robin(a, b, value)`. Periodic when left out.
    - `order`: 2, 4, 6 or 8. Every axis needs at least `order + 1` nodes.
    - `real`: `False` for complex-valued fields.
    - `mesh`: a `jax.sharding.Mesh` with one axis, over which nodal values are cut into slabs along the first
        spatial axis; neighbors exchange the nodes that a stencil reaches. Such a space has no diagonal form.
    - `time`: when boundary values that are callables are taken; `bind(state, t)` sets it.

    Numbers and arrays in the conditions are leaves of every field's pytree and can be differentiated. To map
    over a batch of fields that share them: `jax.vmap(f, in_axes=(js.Field(None, 0),))`.

    **Raises:** `ValueError` for another order, too few nodes, and a boundary of the wrong structure.
    """

    grid: Grid = eqx.field(static=True)
    boundary: tuple
    order: int = eqx.field(static=True)
    real: bool = eqx.field(static=True)
    mesh: Mesh | None = eqx.field(static=True)
    time: Any

    def __init__(self, grid: Grid, boundary: Any = None, order: int = 2, real: bool = True,
                 mesh: Mesh | None = None, time: Any = None):  # fmt: skip
        if not isinstance(grid, Grid):
            raise TypeError(f"FiniteDifference needs a Grid, as in js.FiniteDifference(js.Grid(64)); got {grid!r}.")
        if order not in _ORDERS:
            raise ValueError(f"FiniteDifference: `order` is 2, 4, 6 or 8, got {order}.")
        if min(grid.shape) < order + 1:
            raise ValueError(
                f"FiniteDifference: order {order} needs {order + 1} nodes on every axis, got {grid.shape}."
            )
        if mesh is not None:
            _halo.check(mesh, grid.shape, order)
        self.grid = grid
        self.boundary = per_side(boundary, grid.dimension)
        self.order = order
        self.real = real
        self.mesh = mesh
        self.time = None if time is None else jnp.asarray(time)

    # -- shapes ----------------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        return self.grid.dimension

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic."""
        return tuple(isinstance(lower, Periodic) for lower, _ in self.boundary)

    def nodes(self, axis: int) -> np.ndarray:
        """Coordinates of the nodes along one axis, in float64 on the host."""
        offset = 0.0 if self.periodic[axis] else 0.5
        return self.grid.lower[axis] + (np.arange(self.grid.shape[axis]) + offset) * self.grid.spacing[axis]

    def coordinates(self) -> tuple[jax.Array, ...]:
        """Coordinates of the nodes: one array of the grid's shape per axis."""
        axes = [self.nodes(axis) for axis in range(self.dimension)]
        return tuple(jnp.asarray(x) for x in np.meshgrid(*axes, indexing="ij"))

    # -- making and reading fields ---------------------------------------------------------------------------
    def field(self, source) -> Field:
        values = _assemble(source(*self.coordinates()) if callable(source) else source, self.grid.shape)
        if callable(source) and values.shape[-self.dimension :] != self.grid.shape:
            values = jnp.broadcast_to(values, np.broadcast_shapes(values.shape, self.grid.shape))
        self._check_nodal(values)
        return Field(self, _Nodal(self._inexact(values)))

    def sample(self, function: Callable, t) -> Field:
        u = self.field(lambda *x: function(t, *x))
        if all(self.periodic):
            return u
        faces = _walls.map_walls(
            lambda axis, end: _walls.face_values(
                lambda *x: self._inexact(_assemble(function(t, *x), _walls.face_shape(self.grid, axis))),
                _walls.face_coordinates(self, axis, end),
                u.shape,
                _walls.face_shape(self.grid, axis),
            ),
            self.periodic,
        )
        return Field(self, _Nodal(u.data.values, faces))

    def values(self, u: Field) -> jax.Array:
        if u.data.modal:
            raise _varying_error()
        return u.data.values

    def components(self, u: Field) -> tuple[int, ...]:
        return u.data.values.shape[: u.data.values.ndim - self.dimension]

    def dtype(self, u: Field) -> np.dtype:
        return real_dtype(u.data.values.dtype) if self.real else complex_dtype(u.data.values.dtype)

    def lift(self, u: Field, other: Any) -> Field:
        if isinstance(other, Field):
            super().lift(u, other)
            if other.space.periodic != self.periodic:
                raise ValueError(
                    "fields live on different nodes, one periodic and one walled on some axis: move one "
                    "with `js.interpolate(u, space)`."
                )
            return other
        array = self._inexact(jnp.asarray(other)).astype(u.dtype)
        values = jnp.broadcast_to(array, np.broadcast_shapes(array.shape, self.grid.shape))
        if not is_uniform(array, self.dimension):
            return Field(self, _Nodal(values, self._unknown()))
        known = None if all(self.periodic) else _walls.constant(array, values.shape, self._traces(u))
        return Field(self, _Nodal(values, known))

    def _check_nodal(self, values):
        if values.shape[max(values.ndim - self.dimension, 0) :] != self.grid.shape:
            raise nodal_shape_error(self, values.shape, self.grid)

    def _inexact(self, values: jax.Array) -> jax.Array:
        if not jnp.issubdtype(values.dtype, jnp.inexact):
            values = values.astype(jnp.result_type(float))
        if self.real and jnp.iscomplexobj(values):
            raise TypeError("FiniteDifference: complex values on a space of real fields; use real=False.")
        return values if self.real else values.astype(complex_dtype(values.dtype))

    def evaluate(self, u: Field, *coordinates) -> jax.Array:
        """Local polynomial interpolation at one point or at arrays of points of one shape.

        Polynomials go through the `order` nearest nodes of each axis, which leaves an error of order `order`;
        next to a wall the nodes lie on one side, and the condition there is not used. Periodic axes wrap
        around.

        **Returns:** values of shape `(*components, *points)`.

        **Raises:** `ValueError` for points beyond a wall; where coordinates are traced the value there is
        NaN.
        """
        if len(coordinates) != self.dimension:
            raise ValueError(f"a field on {self.grid} takes {self.dimension} coordinates, got {len(coordinates)}.")
        values = self.values(u)
        points = jnp.broadcast_arrays(*(jnp.asarray(x, real_dtype(values.dtype)) for x in coordinates))
        outside = self._outside(points)
        found = [self.windows(x.ravel(), axis) for axis, x in enumerate(points)]
        result = at_points(values, [n for n, _ in found], [w for _, w in found])
        result = result.reshape(*result.shape[:-1], *points[0].shape)
        return result if outside is False else jnp.where(outside, jnp.nan, result)

    def windows(self, points, axis: int):
        """Nodes near points of one axis and their interpolation weights, both `(points, order)`."""
        first, count = float(self.nodes(axis)[0]), self.grid.shape[axis]
        return windows(points, first, self.grid.spacing[axis], count, self.order, self.periodic[axis])

    def _outside(self, points):
        outside = False
        for axis, x in enumerate(points):
            if not self.periodic[axis]:
                lower, upper = self.grid.lower[axis], self.grid.upper[axis]
                slack = 8 * float(jnp.finfo(x.dtype).eps) * max(abs(lower), abs(upper))
                outside = outside | (x < lower - slack) | (x > upper + slack)
        if is_concrete(outside) and np.any(outside):
            raise ValueError(f"a field on {self.grid} was evaluated at a point beyond a wall.")
        return outside

    # -- arithmetic ------------------------------------------------------------------------------------------
    def linear(self, function: Callable, *fields: Field) -> Field:
        modal = fields[0].data.modal
        if any(u.data.modal != modal for u in fields):
            raise _varying_error()
        values = function(*(u.data.values for u in fields))
        if all(self.periodic):
            return Field(self, _Nodal(values, modal=modal))
        return Field(self, _Nodal(values, _walls.combine(function, [self._traces(u) for u in fields])))

    def multiply(self, u: Field, v: Field) -> Field:
        values = self.values(u) * self.values(v)
        known = None if all(self.periodic) else _walls.product(self._traces(u), self._traces(v))
        return Field(self, _Nodal(values, known))

    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        return Field(self, _Nodal(function(*(self.values(u) for u in fields)), self._unknown()))

    # -- calculus --------------------------------------------------------------------------------------------
    def partial(self, u: Field, axis: int, order: int) -> Field:
        axis = self.grid.axis(axis)
        width = _stencils.half_width(order, self.order)
        if self.grid.shape[axis] < 2 * width + 1:
            raise ValueError(
                f"partial: derivative {order} of order {self.order} needs {2 * width + 1} nodes on its axis; "
                f"got {self.grid.shape[axis]}."
            )
        if u.data.modal:
            return Field(self, _Nodal(_times(u.data.values, self._symbol(axis, order)), modal=True))
        sides = _trace(u, axis, 0), _trace(u, axis, 1)
        return Field(
            self,
            _Nodal(self._difference(u.data.values, axis, order, sides), self._slopes(sides, axis, order)),
        )

    def laplacian(self, u: Field) -> Field:
        return (
            super().laplacian(u)
            if u.data.modal
            else Field(
                self,
                _Nodal(
                    sum(self.partial(u, axis, 2).data.values for axis in range(self.dimension)),
                    self._unknown(),
                ),
            )
        )

    def inverse_laplacian(self, u: Field) -> Field:
        self._needs_periodic("inverse_laplacian")
        squares = [self._symbol(axis, 2) for axis in range(self.dimension)]

        def solve(modes):
            xp, dtype = _home(modes), real_dtype(modes.dtype)
            total = sum(xp.asarray(s, dtype) for s in squares)
            return modes * xp.where(total == 0, 0, 1 / xp.where(total == 0, 1, total))

        return self._through_modes(solve, u)

    def project(self, u: Field) -> Field:
        self._needs_periodic("project")
        symbols = [self._symbol(axis, 1).imag for axis in range(self.dimension)]

        def project(modes):
            xp, dtype = _home(modes), real_dtype(modes.dtype)
            waves = [xp.asarray(s, dtype) for s in symbols]
            total = sum(k * k for k in waves)
            divergence = sum(k * modes[i] for i, k in enumerate(waves))
            potential = xp.where(total == 0, 0, 1 / xp.where(total == 0, 1, total)) * divergence
            return modes - xp.stack([k * potential for k in waves])

        return self._through_modes(project, u)

    def integral(self, u: Field) -> jax.Array:
        """Sum over the nodes times the volume of a cell.

        On periodic axes that is the trapezoidal rule, spectrally accurate for smooth fields; between walls
        the midpoint rule, of second order whatever the order of the space.
        """
        return math.prod(self.grid.spacing) * jnp.sum(self.values(u), tuple(range(-self.dimension, 0)))

    def _difference(self, values, axis: int, derivative: int, sides: tuple[Trace, Trace]):
        spacing = self.grid.spacing[axis]
        if self.mesh is not None:
            return _halo.difference(self.mesh, values, axis, self.dimension, derivative, self.order, spacing, sides)
        along = values.ndim - self.dimension + axis
        return _differences.difference(values, along, derivative, self.order, spacing, sides)

    def _traces(self, u: Field) -> Traces:
        """What is known of a field at each wall; for a field that has the conditions of its space, those."""
        return _walls.map_walls(lambda axis, end: _trace(u, axis, end), self.periodic)

    def _slopes(self, sides: tuple[Trace, Trace], axis: int, order: int) -> Traces | None:
        """What is known of a derivative: its values at Neumann walls that it crosses."""

        def slope(condition, sign):
            return Dirichlet(sign * condition.value) if isinstance(condition, Neumann) and order == 1 else None

        known = slope(sides[0], -1), slope(sides[1], 1)
        unknown = self._unknown()
        return unknown and tuple(known if a == axis and not p else unknown[a] for a, p in enumerate(self.periodic))

    def _unknown(self) -> Traces | None:
        return None if all(self.periodic) else _walls.map_walls(lambda axis, end: None, self.periodic)

    # -- for integrators -------------------------------------------------------------------------------------
    def state(self, u: Field) -> jax.Array:
        return jnp.asarray(self.values(u))

    def bind(self, state: jax.Array, t=None) -> Field:
        """The field of nodal values, with boundary values taken at time `t`.

        A trajectory with a leading time axis goes with an array of as many times.
        """
        self._check_nodal(state)
        moving = any(callable(c.value) for pair in self.boundary for c in pair if not isinstance(c, Periodic))
        space = dataclasses.replace(self, time=t) if moving and t is not None else self
        return Field(space, _Nodal(state))

    def cut_axes(self) -> dict[str, int]:
        return {"values": -self.dimension}

    def homogeneous(self) -> "FiniteDifference":
        boundary = tuple(tuple(c.with_value(0.0) for c in pair) for pair in self.boundary)
        return dataclasses.replace(self, boundary=boundary, time=None)

    def modes(self) -> "FiniteDifferenceModes | None":
        return FiniteDifferenceModes(self) if all(self.periodic) and self.mesh is None else None

    # -- discrete Fourier transforms of periodic boxes -------------------------------------------------------
    def _needs_periodic(self, operator: str):
        if not all(self.periodic) or self.mesh is not None:
            raise self.lacks(operator, "it needs axes that are all periodic and no mesh, or a Fourier space")

    def _symbol(self, axis: int, derivative: int) -> np.ndarray:
        """Eigenvalues of a derivative as a vector that broadcasts against modes."""
        n = self.grid.shape[axis]
        eigenvalues = _stencils.symbol(derivative, self.order, n, self.grid.spacing[axis])
        if self.real and axis == self.dimension - 1:
            eigenvalues = eigenvalues[: n // 2 + 1]
        shape = [1] * self.dimension
        shape[axis] = len(eigenvalues)
        return eigenvalues.reshape(shape)

    def _through_modes(self, function: Callable, u: Field) -> Field:
        if u.data.modal:
            return Field(self, _Nodal(function(u.data.values), modal=True))
        modes = FiniteDifferenceModes(self)
        return Field(self, _Nodal(modes.from_modes(function(modes.to_modes(u.data.values)))))


class FiniteDifferenceModes(Modes):
    """Constant-coefficient operators on a periodic box multiply the modes of the discrete Fourier transform.

    Amplitudes are `rfftn` of the nodal values over the grid axes (`fftn` for complex fields), without a
    factor. A probe holds amplitudes, and derivatives multiply them by the exact eigenvalues of their
    stencils, so that small eigenvalues are as accurate as large ones in every precision.
    """

    space: FiniteDifference

    def probe(self, components: tuple[int, ...], component: tuple[int, ...]) -> Field:
        shape = self.space.grid.shape
        amplitudes = np.zeros((*components, *shape[:-1], shape[-1] // 2 + 1 if self.space.real else shape[-1]), complex)
        amplitudes[component] = 1.0
        return Field(self.space, _Nodal(amplitudes, modal=True))

    def symbol(self, u: Field):
        if not u.data.modal:
            raise _varying_error()
        return u.data.values

    def to_modes(self, state: jax.Array) -> jax.Array:
        return lax.fft(state, lax.FftType.RFFT if self.space.real else lax.FftType.FFT, self.space.grid.shape)

    def from_modes(self, amplitudes: jax.Array) -> jax.Array:
        return lax.fft(amplitudes, lax.FftType.IRFFT if self.space.real else lax.FftType.IFFT, self.space.grid.shape)


def _trace(u: Field, axis: int, end: int) -> Trace:
    """What is known of a field at one wall, 0 the lower."""
    if u.data.traces is not None:
        return u.data.traces[axis][end]
    return _walls.resolve(u.space, axis, end, u.data.values.shape, u.data.values.dtype)


def _varying_error() -> ValueError:
    return ValueError(
        "`linear` must be linear with constant coefficients: it multiplied or added something that varies in "
        "space. Move that part to `nonlinear`."
    )


def _assemble(values: Any, shape: tuple[int, ...]) -> jax.Array:
    """An array from what a function of coordinates returns: an array, or a sequence of components."""
    if isinstance(values, (list, tuple)):
        values = jnp.stack([jnp.broadcast_to(v, shape) for v in values])
    return jnp.asarray(values)


def _home(array):
    return np if isinstance(array, np.ndarray) else jnp


def _times(modes, symbol: np.ndarray):
    if isinstance(modes, np.ndarray):
        return symbol * modes
    dtype = modes.dtype if np.iscomplexobj(symbol) else real_dtype(modes.dtype)
    return jnp.asarray(symbol, dtype) * modes
