"""Velocities on the faces of cells: incompressible flow between walls."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..boxes import placed
from ..field import Field
from ..grid import Grid
from . import _fluxes, _pressure, _walls
from ._balance import balanced
from ._base import Space
from ._compact import Cells, cells_of
from ._fluxes import closed, difference_across
from .body import Body
from .boundary import Boundary, Dirichlet, Neumann, Periodic, per_side
from .finite_difference import FiniteDifference
from .flow_boundary import FlowBoundary, velocity_component


class Staggered(Space):
    """Vector fields with each component on the faces that it crosses: the marker-and-cell grid.

    Component $i$ sits on the faces between cells along axis $i$, in the middle of them; pressures, divergences and
    the scalar fields of `scalar` sit at the centers of cells. All differences are central and compact, of second
    order:

    - `js.div` of such a field is a scalar at the centers, `js.curl` in the plane one at the corners of the cells;
    - `js.laplacian` acts on each component, with the conditions at the walls;
    - `js.project` subtracts the gradient of a pressure, found by fast diagonalization to rounding: `js.div` of the
      result vanishes;
    - `js.convection(u)`, $\\nabla\\cdot(u u)$, and `js.advect(u, c)` of a scalar, $\\nabla\\cdot(u c)$, are
      differences of fluxes through faces. They conserve momentum and, for central means and a velocity free of
      divergence, kinetic energy ($c^2$) exactly.

    A component is a scalar field of a `FiniteDifference` space (`u[0]`, with its own nodes, see `component`).
    `u.values` are means at the centers, shape `(dimension, *grid.shape)`. `space.field` takes a callable of the
    coordinates that returns one array per component, one array per component on its own nodes, or values at the
    centers.

    **Arguments:**

    - `grid`: the box in two or three dimensions, axes between walls possibly stretched.
    - `boundary`: one condition for all sides, or a tuple with one entry per axis, each a condition for both sides
        or a pair `(lower, upper)`: `js.Periodic()`, `js.NoSlip()`, `js.MovingWall(velocity)`, `js.FreeSlip()`,
        `js.Inflow(velocity)`, `js.Outflow()`, `js.ConvectiveOutflow(speed)`; `js.Dirichlet(velocity)` is a wall too.
        Periodic when left out.
    - `scheme`: how the fluxes of convection take values at faces: means when left out, or `js.Central(4)` or
        `js.Upwind(1, 3 or 5)` for equal cells. The carrying velocity is always a mean.
    - `body`: a `js.Body` that nothing passes.
    - `time`: when boundary values that are callables are taken; `bind(state, t)` sets it.

    Values in the conditions are leaves of every field's pytree and can be differentiated.

    **Raises:** `ValueError` in one dimension, for a boundary of the wrong structure, for a box without an open side
    whose walls let in more than they let out, and for a stretched periodic axis.

    References: Harlow and Welch, Phys. Fluids 8, 2182 (1965); Morinishi, Lund, Vasilyev and Moin, J. Comput. Phys.
    143, 90 (1998), section 3.
    """

    grid: Grid = eqx.field(static=True)
    boundary: tuple
    scheme: Any
    body: Body | None
    time: Any

    def __init__(self, grid: Grid, boundary: Any = None, scheme: Any = None, body: Body | None = None,
                 time: Any = None):  # fmt: skip
        if not isinstance(grid, Grid):
            raise TypeError(f"Staggered needs a Grid, as in js.Staggered(js.Grid((64, 64))); got {grid!r}.")
        if grid.dimension < 2:
            raise ValueError("Staggered: velocities need two or three axes.")
        self.grid = grid
        self.boundary = per_side(boundary, grid.dimension)
        self.scheme = scheme
        self.body = body
        self.time = None if time is None else jnp.asarray(time)
        if scheme is not None and not callable(scheme):
            raise TypeError(f"Staggered: `scheme` is an upwind scheme such as js.Upwind(3), got {scheme!r}.")
        if scheme is not None and not grid.uniform:
            raise ValueError("Staggered: schemes are for equal cells; leave out `scheme` or the stretching.")
        for part in self.parts():
            assert len(part.shape) == grid.dimension  # building the parts checks the conditions

    # -- shapes and conditions ---------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        return self.grid.dimension

    @property
    def periodic(self) -> tuple[bool, ...]:
        """Whether each axis is periodic."""
        return tuple(isinstance(lower, Periodic) for lower, _ in self.boundary)

    @property
    def cells(self) -> tuple[Cells, ...]:
        """The cells of each axis."""
        return tuple(cells_of(self.grid, axis, p) for axis, p in enumerate(self.periodic))

    def component(self, index: int) -> FiniteDifference:
        """The space of one velocity component."""
        d = self.dimension
        sides = tuple(
            tuple(_component_condition(c, index, axis == index, d) for c in pair)
            for axis, pair in enumerate(self.boundary)
        )
        return FiniteDifference(self.grid, sides, faces=tuple(a == index for a in range(d)), time=self.time)

    def scalar(self, boundary: Any = None) -> FiniteDifference:
        """A space of scalars at the centers of the cells, such as a temperature, with conditions of its own.

        **Arguments:**

        - `boundary`: as for `js.FiniteDifference`; axes are periodic where those of the velocity are. Without it
            nothing crosses the walls (`js.Neumann()`).
        """
        if boundary is None:
            boundary = tuple(Periodic() if p else Neumann() for p in self.periodic)
        space = FiniteDifference(self.grid, boundary, faces=(False,) * self.dimension, time=self.time)
        if space.periodic != self.periodic:
            raise ValueError("Staggered: a scalar is periodic along the same axes as the velocity.")
        return space

    def coordinates(self) -> tuple[jax.Array, ...]:
        """Coordinates of the centers of the cells, where `values` are: one array of the grid's shape per axis."""
        return self.scalar().coordinates()

    def parts(self) -> tuple[FiniteDifference, ...]:
        return tuple(self.component(i) for i in range(self.dimension))

    def split(self, u: Field) -> tuple[Field, ...]:
        return tuple(Field(part, data) for part, data in zip(self.parts(), u.data))

    def join(self, fields) -> Field:
        return Field(self, tuple(c.data for c in fields))

    # -- making and reading fields -----------------------------------------------------------------------------------
    def field(self, source) -> Field:
        return balanced(self, self._made(source))

    def _made(self, source) -> Field:
        parts, source = self.parts(), placed(source, self.grid, self.periodic)
        if callable(source):
            return self.join(
                part.field(lambda *x, i=i: _pick(source(*x), i, self.dimension, x[0])) for i, part in enumerate(parts)
            )
        if isinstance(source, (tuple, list)) and len(source) == self.dimension:
            return self.join(part.field(values) for part, values in zip(parts, source))
        values = jnp.asarray(source)
        if values.shape[-self.dimension - 1 :] != (self.dimension, *self.grid.shape):
            raise ValueError(
                f"Staggered: a velocity is a callable of the coordinates, one array per component with shapes "
                f"{[part.shape for part in parts]}, or values at the centers of shape "
                f"{(self.dimension, *self.grid.shape)}; got shape {values.shape}."
            )
        return self.join(self._from_centers(values, part, i) for i, part in enumerate(parts))

    def _from_centers(self, values, part: FiniteDifference, i: int) -> Field:
        values = jnp.take(values, i, axis=values.ndim - self.dimension - 1)
        along = values.ndim - self.dimension + i
        first, last = (jnp.take(values, jnp.array([end]), axis=along) for end in (0, -1))
        faces = self.cells[i].mean_at_faces(values, along, (first, last))
        return part.field(_fluxes.to_nodes(faces, along, part.axes[i]))

    def sample(self, function: Callable, t) -> Field:
        fields = []
        for i, part in enumerate(self.parts()):
            sampled = part.sample(lambda t, *x, i=i: _pick(function(t, *x), i, self.dimension, x[0]), t)
            fields.append(_unknown_across(sampled, i))
        return self.join(fields)

    def values(self, u: Field) -> jax.Array:
        """Means at the centers of the cells, shape `(..., dimension, *grid.shape)`."""
        means = [self.cells[i].mean_at_centers(*closed(c, i)) for i, c in enumerate(self.split(u))]
        return jnp.stack(means, -self.dimension - 1)

    def components(self, u: Field) -> tuple[int, ...]:
        return (*self.split(u)[0].shape, self.dimension)

    def is_vector(self, u: Field) -> bool:
        return True  # trajectories too, whose axis of time stands before that of the components

    def dtype(self, u: Field) -> np.dtype:
        return self.split(u)[0].dtype

    def evaluate(self, u: Field, *coordinates) -> jax.Array:
        """The velocity at one point or at arrays of points of one shape: `(..., dimension, *points)`."""
        points = jnp.ndim(jnp.broadcast_arrays(*coordinates)[0])
        return jnp.stack([c(*coordinates) for c in self.split(u)], -points - 1)

    # -- arithmetic --------------------------------------------------------------------------------------------------
    def of_complex(self) -> "Staggered":
        raise self.lacks("complex values", "velocities are real; FiniteDifference and Fourier spaces have real=False")

    def lift(self, u: Field, other: Any) -> Field:
        return self.join(c.space.lift(c, part) for c, part in zip(self.split(u), self._per_component(other)))

    def _per_component(self, number: Any) -> list:
        """A number, or one number per component, as one for each component."""
        if jnp.ndim(number) == 0:
            return [number] * self.dimension
        if jnp.shape(number) != (self.dimension,) + (1,) * self.dimension and jnp.shape(number) != (self.dimension,):
            raise ValueError(
                "Staggered: components have nodes of their own; arithmetic takes fields of the same space, numbers and "
                f"arrays of one number per component, not an array of shape {jnp.shape(number)}."
            )
        return list(jnp.reshape(number, self.dimension))

    def linear(self, function: Callable, *fields: Field) -> Field:
        return self.join(u[0].space.linear(function, *u) for u in _zip(fields))

    def scale(self, u: Field, factor) -> Field:
        return self.join(c.space.scale(c, f) for c, f in zip(self.split(u), self._per_component(factor)))

    def index(self, u: Field, index) -> Field:
        parts = self.split(u)
        leading = len(parts[0].shape)
        entries = index if isinstance(index, tuple) else (index,)
        if len(entries) <= leading:
            return self.join(c[index] for c in parts)
        if len(entries) > leading + 1 or not isinstance(entries[-1], (int, np.integer)):
            raise TypeError("Staggered: pick one component of a velocity at a time, with a whole number.")
        component = parts[entries[-1]]
        return component[entries[:-1]] if leading else component

    def multiply(self, u: Field, v: Field) -> Field:
        return self.join(a * b for a, b in zip(self.split(u), v.space.split(v)))

    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        """A function of nodal values, applied to each component at its own nodes."""
        return self.join(u[0].space.pointwise(function, *u, degree=degree) for u in _zip(fields))

    # -- calculus ----------------------------------------------------------------------------------------------------
    def partial(self, u: Field, axis: int, order: int) -> Field:
        return self.join(c.space.partial(c, axis, order) for c in self.split(u))

    def laplacian(self, u: Field) -> Field:
        return self.join(c.space.laplacian(c) for c in self.split(u))

    def integral(self, u: Field) -> jax.Array:
        return jnp.stack([c.space.integral(c) for c in self.split(u)], -1)

    def divergence(self, u: Field) -> Field:
        """Net flux out of every cell over its volume, a scalar at the centers."""
        total = sum(
            self.cells[i].difference_at_centers(_fluxes.through(self, faces, i), along)
            for i, (faces, along) in enumerate(closed(c, i) for i, c in enumerate(self.split(u)))
        )
        return self.scalar().derived(total)

    def curl(self, u: Field) -> Field:
        """In the plane the vorticity at the corners of the cells; in space at the centers, three components."""
        if self.dimension == 3:
            centers = self.scalar()
            return centers.curl(centers.pointwise(lambda a: a, centers.field(self.values(u))))
        sides = tuple(Periodic() if p else Neumann() for p in self.periodic)
        corners = FiniteDifference(self.grid, sides, faces=(True,) * 2)
        slopes = []
        for i, c in enumerate(self.split(u)):
            slope = difference_across(c, 1 - i)
            slopes.append(_walls.with_walls(slope, slope.ndim - 2 + i, (None, None), 2, c.space.axes[i]))
        return corners.field(slopes[1] - slopes[0])

    def convection(self, u: Field) -> Field:
        """$\\nabla\\cdot(u u)$ in flux form, at the nodes of each component."""
        return self.advect(u, u)

    def advect(self, velocity: Field, u: Field) -> Field:
        """$\\nabla\\cdot(v u)$ in flux form: of each component of a velocity, or of scalars at the centers."""
        self._same_grid("advect", u)
        if isinstance(u.space, Staggered):
            return _fluxes.momentum(self, velocity, u)
        return _fluxes.transport(self, velocity, u)

    def _same_grid(self, name: str, u: Field) -> None:
        if getattr(u.space, "grid", None) != self.grid:
            raise ValueError(f"{name}: velocity and field live on different grids, {self.grid} and {u.space}.")

    def project(self, u: Field, beside: Field | None = None) -> Field:
        return _pressure.project(self, u, beside)

    def potential(self, u: Field) -> Field:
        return self.scalar().derived(_pressure.potential(self, u)[0])

    def directed(self, scalar: Field, direction) -> Field:
        self._same_grid("directed", scalar)
        return _fluxes.directed(self, scalar, direction)

    # -- for integrators ---------------------------------------------------------------------------------------------
    def state(self, u: Field) -> tuple[jax.Array, ...]:
        return tuple(c.space.state(c) for c in self.split(u))

    def bind(self, state, t=None) -> Field:
        space = dataclasses.replace(self, time=t) if t is not None and self.moving else self
        return space.join(part.bind(values, t) for part, values in zip(space.parts(), state))

    def held(self, u: Field) -> tuple:
        return tuple(c.space.held(c) for c in self.split(u))

    def restored(self, held: tuple, t=None) -> Field:
        space = dataclasses.replace(self, time=t) if t is not None and self.moving else self
        return space.join(part.restored(own, t) for part, own in zip(space.parts(), held))

    @property
    def moving(self) -> bool:
        """Whether conditions at the walls vary in time."""
        return any(part.moving for part in self.parts())

    def homogeneous(self) -> "Staggered":
        boundary = tuple(tuple(c.with_value(None) for c in pair) for pair in self.boundary)
        return dataclasses.replace(self, boundary=boundary, time=None)

    def simplified(self) -> "Staggered":
        boundary = tuple(tuple(c.simplified() for c in pair) for pair in self.boundary)
        return dataclasses.replace(self, boundary=boundary)

    @property
    def affine(self) -> bool:
        return any(part.affine for part in self.parts())


def _component_condition(condition: Boundary, index: int, normal: bool, dimension: int) -> Boundary:
    """The condition on one component that follows from one on the velocity."""
    if isinstance(condition, FlowBoundary):
        return condition.component(index, normal, dimension)
    if isinstance(condition, (Periodic, Neumann)):
        return condition
    if isinstance(condition, Dirichlet):
        return Dirichlet(velocity_component(condition.value, index, dimension))
    raise ValueError(
        f"Staggered: {type(condition).__name__} is no condition on a velocity; take js.NoSlip(), js.FreeSlip(), "
        "js.Inflow(...), js.Outflow() and their like."
    )


def _unknown_across(u: Field, axis: int) -> Field:
    """The field without what is known of it at the walls across one axis: a force has no say in what passes them."""
    if u.data.traces is None:
        return u
    traces = tuple((None, None) if a == axis and not u.space.periodic[a] else t for a, t in enumerate(u.data.traces))
    return Field(u.space, dataclasses.replace(u.data, traces=traces))


def _pick(components, index: int, dimension: int, like):
    """One component of what a function of the coordinates returned."""
    if len(components) != dimension:
        raise ValueError(f"a velocity has one component per axis ({dimension}); the function gave {len(components)}.")
    return jnp.broadcast_to(components[index], like.shape)


def _zip(fields):
    return zip(*(f.space.split(f) for f in fields))
