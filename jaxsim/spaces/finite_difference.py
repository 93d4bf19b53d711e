"""Fields made of values on a grid, differentiated by finite differences."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ..boxes import placed
from ..field import Field, is_uniform
from ..grid import Grid
from . import _differences, _halo, _quadrature, _stencils, _walls
from ._axis import Axis, axis_of
from ._base import MAKES_COMPLEX, Space, complex_dtype, nodal_array, nodal_shape_error, real_dtype
from ._bases import axis_basis
from ._modes import FiniteDifferenceModes, Nodal, modal_partial, over_total, varying_error
from ._walls import Trace, Traces
from ._windows import at_points, windows
from .boundary import Periodic, is_concrete, is_zero, per_side

_ORDERS = (2, 4, 6, 8)


class FiniteDifference(Space):
    """Values on a grid with central differences of order 2, 4, 6 or 8, between walls or on periodic boxes.

    The nodes of a periodic axis are `lower + i * spacing`, as in `Fourier`; those of an axis between walls
    are the centers of its cells, `lower + (i + 1/2) * spacing`, and the walls lie half a spacing outside the
    last nodes. `faces` chooses otherwise: nodes on the faces of the cells, among them a wall itself unless a
    `Dirichlet` condition says what is there; or the centers of the cells of a periodic axis. `space.shape`
    counts them. Stretched axes (see `js.Grid`) are for axes between walls.

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
    - functions and products of fields with known wall values (`Dirichlet`, or a function given to `js.sample`)
      have known values, $f(g)$; those of fields with known slopes (`Neumann`, `Robin`) have known slopes, $f'(u)
      u_n$; a product with one known value has a value, and with a known zero it is zero;
    - the first derivative across a `Neumann` wall has the value $\\pm g$ there, as a flux;
    - even derivatives across a wall, and all along it, have the condition of the field where its data are zero:
      the even continuation of a field with `Neumann()` walls, and the odd one of a field with `Dirichlet()`
      walls, are taken to be smooth. So the Laplacian of a Laplacian has two conditions at each wall. `Clamped`
      is the other pair of conditions of fourth order, value and slope zero.

    Of any other field (other derivatives, products with nodal values) nothing is known, and its ghost nodes
    extrapolate the $p + 1$ nearest nodes: order $p$ for first derivatives, $p - 1$ for second. A fourth
    derivative made of two such second ones is refused: it would be ill-posed. Periodic axes know no such
    distinctions.

    **Arguments:**

    - `grid`: the box.
    - `boundary`: one condition for all sides, or a tuple with one entry per axis, each a condition for both
        sides or a pair `(lower, upper)`; conditions are `js.Periodic()`, `js.Dirichlet(value)`,
        `js.Neumann(value)`, `js.Robin(a, b, value)` and `js.Clamped()`. Periodic when left out.
    - `order`: 2, 4, 6 or 8. Every axis needs at least `order + 1` nodes.
    - `faces`: for each axis, whether its nodes lie on the faces of the cells; those of periodic axes when left
        out.
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
    faces: tuple[bool, ...] = eqx.field(static=True)
    time: Any

    def __init__(self, grid: Grid, boundary: Any = None, order: int = 2, real: bool = True,
                 mesh: Mesh | None = None, faces: Sequence[bool] | None = None, time: Any = None):  # fmt: skip
        if not isinstance(grid, Grid):
            raise TypeError(f"FiniteDifference needs a Grid, as in js.FiniteDifference(js.Grid(64)); got {grid!r}.")
        if order not in _ORDERS:
            raise ValueError(f"FiniteDifference: `order` is 2, 4, 6 or 8, got {order}.")
        self.grid = grid
        self.boundary = per_side(boundary, grid.dimension)
        self.order = order
        self.real = real
        self.mesh = mesh
        self.faces = self.periodic if faces is None else tuple(bool(f) for f in faces)
        self.time = None if time is None else jnp.asarray(time)
        if len(self.faces) != grid.dimension:
            raise ValueError(f"FiniteDifference: `faces` needs one entry per axis ({grid.dimension}), got {faces}.")
        if any(p and s is not None for p, s in zip(self.periodic, grid.stretching)):
            raise ValueError("FiniteDifference: a periodic axis has equal cells; stretch axes between walls.")
        if min(self.shape) < order + 1:
            raise ValueError(
                f"FiniteDifference: order {order} needs {order + 1} nodes on every axis, got {self.shape}."
            )
        if mesh is not None:
            _halo.check(mesh, self.shape, order)

    # -- shapes ----------------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        return self.grid.dimension

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic."""
        return tuple(isinstance(lower, Periodic) for lower, _ in self.boundary)

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Where the nodes of each axis lie."""
        return tuple(axis_of(self.grid, a, self.boundary[a], self.faces[a]) for a in range(self.dimension))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of nodes along each axis: `grid.shape`, except for axes between walls with nodes on faces."""
        return tuple(axis.count for axis in self.axes)

    def nodes(self, axis: int) -> np.ndarray:
        """Coordinates of the nodes along one axis, in float64 on the host."""
        return self.grid.lower[axis] + self.grid.spacing[axis] * self.axes[axis].nodes()

    def widths(self) -> tuple[np.ndarray, ...]:
        """Distances of the nodes from the nearer of their neighbors along each axis, as vectors that broadcast."""
        vectors = []
        for axis, nodes in enumerate(self.axes):
            gaps = np.full(1, 1.0) if nodes.positions is None else np.diff(nodes.nodes())
            if nodes.positions is not None:
                gaps = np.minimum(np.append(gaps, gaps[-1]), np.append(gaps[0], gaps))
            shape = [-1 if a == axis else 1 for a in range(self.dimension)]
            vectors.append((self.grid.spacing[axis] * gaps).reshape(shape))
        return tuple(vectors)

    def coordinates(self) -> tuple[jax.Array, ...]:
        """Coordinates of the nodes: one array of the space's shape per axis."""
        axes = [self.nodes(axis) for axis in range(self.dimension)]
        return tuple(jnp.asarray(x) for x in np.meshgrid(*axes, indexing="ij"))

    # -- making and reading fields ---------------------------------------------------------------------------
    def field(self, source) -> Field:
        source = placed(source, self.grid, self.periodic) if callable(source) else source
        values = nodal_array(source, self.coordinates, self.shape)
        self._check_nodal(values)
        return Field(self, Nodal(self._inexact(values)))

    def sample(self, function: Callable, t) -> Field:
        u = self.field(lambda *x: function(t, *x))
        if all(self.periodic):
            return u
        faces = _walls.map_walls(
            lambda axis, end: _walls.face_values(
                lambda *x: self._inexact(_components(function(t, *x), _walls.face_shape(self.shape, axis))),
                _walls.face_coordinates(self, axis, end),
                u.shape,
                _walls.face_shape(self.shape, axis),
            ),
            self.periodic,
        )
        return Field(self, Nodal(u.data.values, faces))

    def values(self, u: Field) -> jax.Array:
        if u.data.modal:
            raise varying_error()
        return u.data.values

    def components(self, u: Field) -> tuple[int, ...]:
        return u.data.values.shape[: u.data.values.ndim - self.dimension]

    def dtype(self, u: Field) -> np.dtype:
        return real_dtype(u.data.values.dtype) if self.real else complex_dtype(u.data.values.dtype)

    def lift(self, u: Field, other: Any) -> Field:
        array = self._inexact(jnp.asarray(other)).astype(u.dtype)
        values = jnp.broadcast_to(array, np.broadcast_shapes(array.shape, self.shape))
        if not is_uniform(array, self.dimension):
            return Field(self, Nodal(values, _walls.unknown(self.periodic)))
        known = None if all(self.periodic) else _walls.constant(array, values.shape, self._traces(u))
        return Field(self, Nodal(values, known))

    def _check_nodal(self, values):
        if values.shape[max(values.ndim - self.dimension, 0) :] != self.shape:
            raise nodal_shape_error(self, values.shape, self.shape)

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
        spacing = None if self.axes[axis].positions else self.grid.spacing[axis]
        return windows(points, self.nodes(axis), spacing, self.order, self.periodic[axis])

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
    def meet(self, other: Space) -> "FiniteDifference":
        super().meet(other)
        if other.axes != self.axes:
            raise ValueError("fields live on different nodes: move one with `js.interpolate(u, space)`.")
        return self if not self.real or other.real else self.of_complex()

    def of_complex(self) -> "FiniteDifference":
        return dataclasses.replace(self, real=False)

    def adopt(self, u: Field) -> Field:
        """The field, of complex values where this space has these; what it knows of the walls is its own affair."""
        if self.real or not u.space.real:
            return u
        if u.data.modal:
            raise ValueError(MAKES_COMPLEX)
        cast = lambda a: a.astype(complex_dtype(a.dtype))
        traces = None if u.data.traces is None else _walls.combine(cast, [u.data.traces])
        return Field(u.space.of_complex(), Nodal(cast(u.data.values), traces))

    def linear(self, function: Callable, *fields: Field) -> Field:
        modal = fields[0].data.modal
        if any(u.data.modal != modal for u in fields):
            raise varying_error()
        values = function(*(u.data.values for u in fields))
        if all(self.periodic):
            return Field(self, Nodal(values, modal=modal))
        if modal:
            known = all(u.data.traces is None for u in fields)
            return Field(self, Nodal(values, None if known else _walls.unknown(self.periodic), modal=True))
        known = _walls.combine(function, [self._traces(u) for u in fields])
        return Field(self, Nodal(values, known, taken=_taken(fields)))

    def multiply(self, u: Field, v: Field) -> Field:
        values = self.values(u) * self.values(v)
        known = self._at_walls(_walls.product, values, u, v)
        return Field(self, Nodal(values, known, taken=_taken((u, v))))

    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        values = jnp.asarray(function(*(self.values(u) for u in fields)))
        real = not jnp.iscomplexobj(values)
        space = self if real == self.real else dataclasses.replace(self, real=real)
        known = self._at_walls(lambda walls, shape: _walls.function_of(function, walls, shape), values, *fields)
        return Field(space, Nodal(values, known, taken=_taken(fields)))

    def _at_walls(self, rule: Callable, values, *fields: Field) -> Traces | None:
        """What is known of nodal `values` made of fields, by a rule for these fields at one wall."""

        def one(axis, end):
            walls = [
                _walls.at_wall(self.trace(u, axis, end), self._next_to(u.data.values, axis, end),
                               u.data.values.ndim - self.dimension + axis, self.order, self.axes[axis], end,
                               u.data.taken[axis] if u.data.taken else 0)
                for u in fields
            ]  # fmt: skip
            components = values.shape[: values.ndim - self.dimension]
            return rule(walls, (*components, *_walls.face_shape(self.shape, axis)))

        return None if all(self.periodic) else _walls.map_walls(one, self.periodic)

    # -- calculus --------------------------------------------------------------------------------------------
    def partial(self, u: Field, axis: int, order: int) -> Field:
        axis = self.grid.axis(axis)
        width = _stencils.half_width(order, self.order)
        if self.shape[axis] < 2 * width + 1:
            raise ValueError(
                f"partial: derivative {order} of order {self.order} needs {2 * width + 1} nodes on its axis; "
                f"got {self.shape[axis]}."
            )
        if u.data.modal:
            return Field(self, modal_partial(u, axis, order))
        values, sides = u.data.values, (self.trace(u, axis, 0), self.trace(u, axis, 1))
        taken = u.data.taken[axis] + order if u.data.taken else order
        if taken > 3 and order < taken:
            values = _walls.two_conditions(values, axis, sides)
        known = self._known_of_derivative(u, axis, order, sides)
        if known is not None:
            taken = tuple(taken if a == axis else n for a, n in enumerate(u.data.taken or (0,) * self.dimension))
        return Field(self, Nodal(self._difference(values, axis, order, sides), known, taken=known and taken))

    def _known_of_derivative(self, u: Field, axis: int, order: int, sides: tuple[Trace, Trace]) -> Traces | None:
        def one(a, end):
            if a == axis:
                return across[end]
            return _walls.derived(self.trace(u, a, end))

        values = u.data.values
        across = (None, None) if self.periodic[axis] else _walls.across(
            sides, values, values.ndim - self.dimension + axis, order, self.order, self.axes[axis])  # fmt: skip
        return None if all(self.periodic) else _walls.map_walls(one, self.periodic)

    def inverse_laplacian(self, u: Field) -> Field:
        modes = self.modes()
        if modes is None:
            raise self.lacks("inverse_laplacian", "these sides have no diagonal form; jaxsim.linear has Krylov solvers")
        symbols = [modes.eigenvalues(axis, 2) for axis in range(self.dimension)]
        if not self.affine:
            return self._through_modes(lambda amplitudes: over_total(amplitudes, symbols), u)
        values = self.values(u)
        data = self.laplacian(self.bind(jnp.zeros_like(values), self.time))
        return self.bind(modes.from_modes(over_total(modes.to_modes(values - data.data.values), symbols)), self.time)

    def project(self, u: Field, beside: Field | None = None) -> Field:
        modes = self.modes()
        if modes is None or not all(self.periodic):
            raise self.lacks("project", "it needs a periodic box and no mesh; flows between walls live on js.Staggered")
        symbols = [modes.eigenvalues(axis, 1).imag for axis in range(self.dimension)]

        def project(amplitudes):
            waves = [jnp.asarray(s, real_dtype(amplitudes.dtype)) for s in symbols]
            divergence = sum(k * amplitudes[i] for i, k in enumerate(waves))
            potential = over_total(divergence, [k * k for k in waves])
            return amplitudes - jnp.stack([k * potential for k in waves])

        return self._through_modes(project, u)

    def integral(self, u: Field) -> jax.Array:
        """Sum over the nodes times the volumes of their cells.

        On periodic axes that is the trapezoidal rule, spectrally accurate for smooth fields; between walls
        the midpoint rule (nodes at centers) or the trapezoidal rule (nodes on faces, with what is known at the
        walls), of second order whatever the order of the space.
        """
        known = None if all(self.periodic) else self._traces(u)
        total = _quadrature.integral(self.values(u), known, self.axes, self.grid.spacing, self.order)
        return total.reshape(u.shape)

    def _difference(self, values, axis: int, derivative: int, sides: tuple[Trace, Trace]):
        nodes = self.axes[axis]
        if self.mesh is not None:
            return _halo.difference(self.mesh, values, axis, self.dimension, derivative, self.order, nodes, sides)
        along = values.ndim - self.dimension + axis
        return _differences.difference(values, along, derivative, self.order, nodes, sides)

    def _next_to(self, values, axis: int, end: int) -> Callable:
        """The nodes next to one wall, by their number."""
        if self.mesh is not None and axis == 0:
            return _halo.next_to(self.mesh, values, self.dimension, end)
        return _walls.next_to(values, values.ndim - self.dimension + axis, end)

    def trace(self, u: Field, axis: int, end: int) -> Trace:
        """What is known of a field at one wall, 0 the lower; `None` where nothing is."""
        if u.data.traces is not None:
            return u.data.traces[axis][end]
        values = u.data.values
        near, along = self._next_to(values, axis, end), values.ndim - self.dimension + axis
        on_wall = lambda: _walls.at_wall(None, near, along, self.order, self.axes[axis], end).value()
        return _walls.resolve(u.space, axis, end, values.shape, values.dtype, on_wall)

    def derived(self, values: jax.Array, taken: tuple[int, ...] | None = None) -> Field:
        """A field of nodal values of which nothing is known at the walls; see `Nodal` for `taken`."""
        return Field(self, Nodal(values, _walls.unknown(self.periodic), taken=taken))

    def _traces(self, u: Field) -> Traces:
        """What is known of a field at each wall; for a field that has the conditions of its space, those."""
        return _walls.map_walls(lambda axis, end: self.trace(u, axis, end), self.periodic)

    # -- for integrators -------------------------------------------------------------------------------------
    def state(self, u: Field) -> jax.Array:
        return jnp.asarray(self.values(u))

    def bind(self, state: jax.Array, t=None) -> Field:
        """The field of nodal values, with boundary values taken at time `t`.

        A trajectory with a leading time axis goes with an array of as many times.
        """
        self._check_nodal(state)
        space = dataclasses.replace(self, time=t) if self.moving and t is not None else self
        return Field(space, Nodal(state))

    def held(self, u: Field) -> dict:
        if u.data.modal:
            raise varying_error()
        return {item.name: getattr(u.data, item.name) for item in dataclasses.fields(u.data)}

    def restored(self, held: dict, t=None) -> Field:
        return Field(self.bind(held["values"], t).space, Nodal(**held))

    def cut_axes(self) -> dict[str, int]:
        return {"values": -self.dimension}

    def homogeneous(self) -> "FiniteDifference":
        boundary = tuple(tuple(c.with_value(None) for c in pair) for pair in self.boundary)
        return dataclasses.replace(self, boundary=boundary, time=None)

    def simplified(self) -> "FiniteDifference":
        boundary = tuple(tuple(c.simplified() for c in pair) for pair in self.boundary)
        return dataclasses.replace(self, boundary=boundary)

    def modes(self) -> "FiniteDifferenceModes | None":
        if self.mesh is not None:
            return None
        bases = tuple(axis_basis(axis, sides, self.order) for axis, sides in zip(self.axes, self.boundary))
        return None if any(basis is False for basis in bases) else FiniteDifferenceModes(self, bases)

    @property
    def moving(self) -> bool:
        """Whether conditions at the walls vary in time."""
        return any(callable(c.value) for pair in self.boundary for c in pair if not isinstance(c, Periodic))

    @property
    def affine(self) -> bool:
        return any(not is_zero(c.value) for pair in self.boundary for c in pair if not isinstance(c, Periodic))

    def _through_modes(self, function: Callable, u: Field) -> Field:
        """A function of modal amplitudes; the result satisfies the conditions of the space with zero data."""
        if u.data.modal:
            return Field(self, Nodal(function(u.data.values), modal=True))
        modes = self.modes()
        return Field(self.homogeneous(), Nodal(modes.from_modes(function(modes.to_modes(u.data.values)))))


def _taken(fields) -> tuple[int, ...] | None:
    """The most derivatives across the walls of each axis that any of the fields was made with."""
    counts = [u.data.taken for u in fields if u.data.taken is not None]
    return tuple(map(max, zip(*counts))) if counts else None


def _components(values: Any, shape: tuple[int, ...]) -> jax.Array:
    """An array from what a function of the coordinates of a side returns: an array, or a sequence of components."""
    if isinstance(values, (list, tuple)):
        values = jnp.stack([jnp.broadcast_to(v, shape) for v in values])
    return jnp.asarray(values)
