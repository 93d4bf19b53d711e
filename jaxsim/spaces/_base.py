"""What every space offers, and the errors of what it does not."""

import abc
import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..field import Field, matched
from ..grid import Grid
from ..norms import root_mean_squares
from .sharding import error_if

MAKES_COMPLEX = (
    "the equation makes complex values of a real state: put the state on a space of complex values, such as "
    "js.Fourier(grid, real=False)."
)


class NoDiagonalForm(ValueError):
    """An operator that the eigenvectors of a space do not diagonalize, though stock solvers can integrate it."""


class Space(eqx.Module):
    """What a field is made of.

    A space gives the arithmetic of its fields (`add`, `scale`, `multiply`, `pointwise`), their derivatives, the
    passage to and from nodal values, and, to time integrators, bare arrays: `state(field)` and `bind(array)`. A space
    that diagonalizes constant-coefficient operators also implements `modes`.
    """

    # -- the box -----------------------------------------------------------------------------------------------------
    @property
    @abc.abstractmethod
    def dimension(self) -> int | None:
        """Number of spatial axes, or `None` where a callable has not said yet."""

    @property
    def volume(self) -> float:
        """Length, area or volume of the box."""
        return self._grid("volume").volume

    def widths(self) -> tuple[np.ndarray, ...]:
        """Widths of the cells around the nodes along each axis, as vectors that broadcast against `factors`."""
        grid = self._grid("widths")
        if grid.uniform:
            return tuple(np.full((1,) * grid.dimension, width) for width in grid.spacing)
        return tuple(_along(grid.widths(axis), axis, grid.dimension) for axis in range(grid.dimension))

    def _grid(self, wish: str) -> Grid:
        grid = getattr(self, "grid", None)
        if grid is None:
            raise self.lacks(wish, "Fourier and FiniteDifference, which have a grid, do")
        return grid

    def lacks(self, operator: str, advice: str) -> TypeError:
        """The error for an operator that this space does not have."""
        return TypeError(f"{type(self).__name__} fields have no `{operator}`: {advice}.")

    # -- making and reading fields -----------------------------------------------------------------------------------
    @abc.abstractmethod
    def field(self, source) -> Field:
        """A field from a callable of the coordinates or from nodal values of shape `(..., *grid.shape)`."""

    @abc.abstractmethod
    def values(self, u: Field) -> jax.Array:
        """Nodal values, `(..., *grid.shape)`."""

    def coefficients(self, u: Field) -> jax.Array:
        """Modal coefficients."""
        raise self.lacks("coefficients", "Fourier fields have them")

    @abc.abstractmethod
    def components(self, u: Field) -> tuple[int, ...]:
        """Shape of the leading component axes."""

    @abc.abstractmethod
    def dtype(self, u: Field) -> np.dtype:
        """Type of the nodal values."""

    def is_vector(self, u: Field) -> bool:
        """Whether a field has one component per axis, in front."""
        return u.shape[:1] == (self.dimension,)

    def evaluate(self, u: Field, *coordinates) -> jax.Array:
        """The field at a point."""
        raise self.lacks("__call__", "use `js.interpolate` for grid fields")

    def sample(self, function: Callable, t) -> Field:
        """The field of `function(t, x, ...)`."""
        return self.field(lambda *x: function(t, *x))

    def in_precision(self, u: Field, like: Field) -> Field:
        """Nodal data in the precision of another field."""
        return self.linear(lambda a: a.astype(like.dtype), u)

    def meet(self, other: "Space") -> "Space":
        """The space of sums and products of fields on this space and another, which differ in their types at most.

        **Raises:** `ValueError` for fields on other nodes, or of another kind.
        """
        if type(other) is not type(self) or getattr(other, "grid", None) != getattr(self, "grid", None):
            raise ValueError(
                f"fields live on different spaces ({_name(self)} and {_name(other)}): "
                "move one with `js.interpolate(u, space)`."
            )
        return self

    def adopt(self, u: Field) -> Field:
        """A field of a space that `meet` has led here, as one that works beside fields on this space."""
        return u

    def of_complex(self) -> "Space":
        """The same space for complex values."""
        return self

    def lift(self, u: Field, other: Any) -> Field:
        """Nodal values or a number as a field that can be added to `u`."""
        return self.field(jnp.broadcast_to(jnp.asarray(other, u.dtype), self._lifted_shape(jnp.shape(other))))

    def _lifted_shape(self, shape):
        return np.broadcast_shapes(shape, self._grid("arithmetic with arrays").shape)

    # -- arithmetic --------------------------------------------------------------------------------------------------
    @abc.abstractmethod
    def linear(self, function: Callable, *fields: Field) -> Field:
        """A linear function of arrays that acts on leading axes only, applied to whatever the fields hold."""

    def add(self, u: Field, v: Field) -> Field:
        """Sum."""
        return self.linear(lambda a, b: a + b, u, v)

    def scale(self, u: Field, factor) -> Field:
        """Product with something uniform over the grid: a number, or an array of components."""
        return self.linear(lambda a: multiply(factor, a), u)

    def index(self, u: Field, index) -> Field:
        """Components picked by a NumPy index."""
        entries = component_index(index, u.shape)
        return self.linear(lambda a: a[entries], u)

    def stack(self, fields) -> Field:
        """Fields as the components of one."""
        return self.linear(lambda *arrays: _stack(arrays), *fields)

    @abc.abstractmethod
    def multiply(self, u: Field, v: Field) -> Field:
        """Product, dealiased where the space aliases."""

    def factors(self, u: Field) -> jax.Array:
        """Values on the nodes where products are taken, which may be finer than those of the grid."""
        return self.values(u)

    @abc.abstractmethod
    def pointwise(self, function: Callable, *fields: Field, degree: int = 2) -> Field:
        """A function of nodal values."""

    # -- calculus ----------------------------------------------------------------------------------------------------
    @abc.abstractmethod
    def partial(self, u: Field, axis: int, order: int) -> Field:
        """Derivative of a given order along one axis."""

    def laplacian(self, u: Field) -> Field:
        """Sum of the second derivatives."""
        second = [self.partial(u, axis, 2) for axis in range(self.dimension or 0)]
        total = second[0]
        for v in second[1:]:
            total = total + v
        return total

    def inverse_laplacian(self, u: Field) -> Field:
        """Inverse of the Laplacian, with the conditions of the space."""
        raise self.lacks("inverse_laplacian", "Fourier and periodic FiniteDifference spaces do")

    def inverse_helmholtz(self, u: Field, shift, diffusivity) -> Field:
        """The field $w$ with the conditions of the space and $\\sigma w - D \\nabla^2 w = u$."""
        modes = self.modes()
        if modes is None:
            raise self.lacks("inverse_helmholtz", "it needs a diagonal form; jaxsim.linear has Krylov solvers")
        symbol = np.real(modes.symbol(self.homogeneous().laplacian(modes.probe((), ()))))
        state = self.state(u)
        if self.affine:
            state = state + jnp.asarray(diffusivity, u.dtype) * self.state(
                self.laplacian(self.bind(jnp.zeros_like(state), getattr(self, "time", None)))
            )
        amplitudes, precision = modes.to_modes(state), real_dtype(u.dtype)
        factor = jnp.asarray(shift, precision) - jnp.asarray(diffusivity, precision) * jnp.asarray(symbol, precision)
        lost = jnp.max(jnp.where(factor == 0, jnp.abs(amplitudes), 0))
        bound = 1e3 * jnp.finfo(precision).eps * jnp.max(jnp.abs(amplitudes))
        amplitudes = jnp.where(factor == 0, 0, amplitudes / jnp.where(factor == 0, 1, factor))
        solution = self.bind(modes.from_modes(amplitudes), getattr(self, "time", None))
        return error_if(solution, lost > bound, "inverse_helmholtz: there is no solution. Where `shift` is zero, on a "
                        "periodic box or between walls that only prescribe slopes, the source and what enters through "
                        "the walls must balance.")  # fmt: skip

    def divergence(self, u: Field) -> Field:
        """Sum over the leading axis of the derivatives of component `a` along axis `a`."""
        total = self.partial(u[0], 0, 1)
        for axis in range(1, len(u)):
            total = total + self.partial(u[axis], axis, 1)
        return total

    def curl(self, u: Field) -> Field:
        """Curl: see `js.curl`."""
        partial = lambda v, axis: self.partial(v, axis, 1)
        if self.dimension == 3:
            return self.stack([partial(u[b], a) - partial(u[a], b) for a, b in ((1, 2), (2, 0), (0, 1))])
        return self.stack([partial(u, 1), -partial(u, 0)]) if u.shape == () else partial(u[1], 0) - partial(u[0], 1)

    def advect(self, velocity: Field, u: Field) -> Field:
        """Convective derivative of each component."""
        velocity, u = matched(velocity, u)
        total = velocity[0] * self.partial(u, 0, 1)
        for axis in range(1, len(velocity)):
            total = total + velocity[axis] * self.partial(u, axis, 1)
        return total

    def convection(self, u: Field) -> Field:
        """Convection of a velocity by itself, up to a gradient: $\\omega \\times u$."""
        return self.pointwise(_lamb_plane if self.dimension == 2 else _lamb_space, u, self.curl(u), degree=2)

    def project(self, u: Field, beside: Field | None = None) -> Field:
        """Leray projection: see `js.project`. Where it commutes with linear operators `beside` has no effect."""
        raise self.lacks("project", "Fourier, Staggered and periodic FiniteDifference spaces do")

    def potential(self, u: Field) -> Field:
        """The scalar whose gradient `project` subtracts."""
        return self.inverse_laplacian(self.divergence(u))

    def directed(self, scalar: Field, direction) -> Field:
        """A scalar times a constant vector, on the nodes of a velocity."""
        self.meet(scalar.space)
        return self.stack([scalar * number for number in direction])

    def integral(self, u: Field) -> jax.Array:
        """Integral over the box."""
        raise self.lacks("integral", "Fourier and FiniteDifference spaces do")

    # -- for integrators ---------------------------------------------------------------------------------------------
    def state(self, u: Field) -> jax.Array:
        """The bare array that an integrator carries."""
        raise self.lacks("state", "time integration needs a Fourier or FiniteDifference space")

    def bind(self, state: jax.Array, t=None) -> Field:
        """The field of a bare array, with boundary values taken at time `t`."""
        raise self.lacks("bind", "time integration needs a Fourier or FiniteDifference space")

    def held(self, u: Field) -> Any:
        """Arrays, and conditions known at walls, of which `restored` makes the same field again; for files."""
        return self.state(u)

    def restored(self, held: Any, t=None) -> Field:
        """The field of what `held` gave, with boundary values taken at time `t`."""
        return self.bind(held, t)

    def settled(self, state: Any) -> Any:
        """The state without what no field of this space has, which rounding brings in; itself where nothing can."""
        return state

    def size(self, state: jax.Array) -> jax.Array:
        """The root mean square over the box of each component of one array of a state, shape `(*components,)`."""
        return root_mean_squares(state, tuple(range(-(self.dimension or 0), 0)))

    def parts(self) -> Any:
        """The spaces of the arrays of a state, structured like it."""
        return self

    def split(self, u: Field) -> Any:
        """Fields on the `parts`."""
        return u

    def join(self, fields: Any) -> Field:
        """The field of fields on the `parts`."""
        return fields

    def for_degree(self, degree: int) -> "Space":
        """The same space, prepared for products of this polynomial degree without aliasing."""
        return self

    def peak(self, u: Field) -> int:
        """Highest polynomial degree of the products that made a field; 1 where the space does not alias."""
        return 1

    def cut_axes(self) -> dict[str, int]:
        """For each array in a field's data, the axis that is cut when the space has a device mesh."""
        return {}

    @property
    def affine(self) -> bool:
        """Whether boundary data that are not zero make linear operators affine."""
        return False

    def homogeneous(self) -> "Space":
        """The same space with zero boundary data, on which linear operators are linear and not affine."""
        return self

    def simplified(self) -> "Space":
        """The same space, in which boundary data that are known to be zero have no array.

        Integrators take their space from here: once it is traced, nobody knows any more that it has zero data.
        """
        return self

    def modes(self) -> "Modes | None":
        """How this space diagonalizes constant-coefficient operators, or `None` where it does not."""
        return None


class Modes(eqx.Module):
    """The diagonal form of a space: where constant-coefficient operators multiply mode by mode.

    `probe(components, component)` is the field whose given component has every mode equal to one, as a NumPy
    complex128 array; applying a linear operator to it and reading `symbol` gives the operator's eigenvalues.
    `to_modes` and `from_modes` take integrator states (of `Space.state`) there and back.
    """

    @abc.abstractmethod
    def probe(self, components: tuple[int, ...], component: tuple[int, ...]) -> Field:
        """Unit modes in one component, zero in the others."""

    @abc.abstractmethod
    def symbol(self, u: Field):
        """The eigenvalues read off the image of a probe, shape `(*components, *modes)`."""

    @abc.abstractmethod
    def to_modes(self, state: jax.Array) -> jax.Array:
        """Integrator state to modal amplitudes."""

    @abc.abstractmethod
    def from_modes(self, amplitudes: jax.Array) -> jax.Array:
        """Modal amplitudes to integrator state."""

    def white(self, key: jax.Array, components: tuple[int, ...], dtype) -> jax.Array:
        """Amplitudes of white noise, `(*components, *modes)`.

        Every wave whose root mean square over the box is one has a standard normal factor, independent of all others.
        Factors of complex waves, and of complex fields, have independent real and imaginary parts, of variance 1/2.
        """
        raise TypeError(f"{type(self).__name__} has no white noise: write its methods `white` and `multiplicity`.")

    def multiplicity(self) -> np.ndarray:
        """For how many such waves each amplitude stands: 2 where the conjugate mode is left out. Broadcasts."""
        raise TypeError(f"{type(self).__name__} has no white noise: write its methods `white` and `multiplicity`.")


def component_index(index, components: tuple[int, ...]) -> tuple:
    """A NumPy index of components as one of arrays, whose last axes are those of the space.

    **Raises:** `IndexError` where it reaches beyond the components: into the nodes, or past their number.
    """
    entries = index if isinstance(index, tuple) else (index,)
    if any(isinstance(entry, jax.core.Tracer) for entry in entries):  # known up to its bounds
        entries = tuple(jnp.asarray(e) if isinstance(e, jax.core.Tracer) else e for e in entries)
        shadow = tuple(np.zeros(e.shape, int) if isinstance(e, jax.core.Tracer) else e for e in entries)
    else:
        entries = shadow = tuple(np.asarray(e) if isinstance(e, (list, jax.Array)) else e for e in entries)
    try:
        np.broadcast_to(0, components)[shadow]
    except IndexError as error:
        what = "it has no components" if not components else f"its components have shape {components}"
        raise IndexError(
            f"an index of a field picks components, and {what}; got {index!r} ({error}). Nodal values are "
            "`u.values[...]`, modes `u.coefficients[...]`."
        ) from None
    if not any(entry is Ellipsis for entry in entries):
        return (*entries, ...)
    place = next(i for i, entry in enumerate(entries) if entry is Ellipsis)
    taken = sum(np.ndim(e) if isinstance(e, np.ndarray) and e.dtype.kind == "b" else e is not None for e in entries) - 1
    return (*entries[:place], *(slice(None),) * (len(components) - taken), *entries[place + 1 :], ...)


def _lamb_plane(u, vorticity):
    return jnp.stack([-u[1] * vorticity, u[0] * vorticity])


def _lamb_space(u, vorticity):
    return jnp.cross(vorticity, u, axis=0)


def multiply(factor, array):
    """`factor * array` in the array's own precision; stays in NumPy when both can."""
    if isinstance(factor, (int, float, complex)):
        return factor * array
    if isinstance(array, np.ndarray) and not isinstance(factor, jax.core.Tracer):
        return np.asarray(factor) * array
    factor, array = jnp.asarray(factor), jnp.asarray(array)
    dtype = complex_dtype(array.dtype) if jnp.iscomplexobj(factor) else array.dtype
    return factor.astype(dtype) * array.astype(dtype)


def _along(vector, axis: int, dimension: int):
    """A vector as an array that broadcasts along all axes but one."""
    return np.reshape(vector, [-1 if a == axis else 1 for a in range(dimension)])


def _stack(arrays):
    return np.stack(arrays) if all(isinstance(a, np.ndarray) for a in arrays) else jnp.stack(arrays)


def _name(space) -> str:
    grid = getattr(space, "grid", None)
    return f"{type(space).__name__}({grid})" if grid is not None else type(space).__name__


def fast_length(minimum: int) -> int:
    """The least even whole number of at least `minimum` that has no prime factor above 7, which FFTs like."""
    length = max(2, minimum + minimum % 2)
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def real_dtype(dtype) -> np.dtype:
    """float32 for float32 and complex64, float64 for float64 and complex128."""
    return np.dtype(jnp.finfo(dtype).dtype)


def complex_dtype(dtype) -> np.dtype:
    """complex64 for float32 and complex64, complex128 for float64 and complex128."""
    return np.dtype(np.complex64 if real_dtype(dtype) == np.float32 else np.complex128)


def check_precision(dtype) -> None:
    """`TypeError` for numbers of half precision, which transforms and solvers do not take."""
    if jnp.issubdtype(dtype, jnp.inexact) and jnp.finfo(dtype).bits < 32:
        raise TypeError(f"fields are of single or double precision; got values of type {dtype}.")


def nodal_array(source: Any, coordinates: Callable[[], tuple], shape: tuple[int, ...]) -> jax.Array:
    """Nodal values, shape `(..., *shape)`, from what a user gives: a callable of the coordinates, an array, a sequence.

    A sequence holds components, each with nodal values or one number for all nodes. Nothing but numbers, or rows of
    them, are components where a function returns them, and nodal values where they stand alone.
    """
    called = callable(source)
    values = source(*coordinates()) if called else source
    if isinstance(values, (list, tuple)):
        shapes = {np.shape(v) for v in values}
        whole = (len(values), *shapes.pop()) if len(shapes) == 1 else ()
        nodal = len(whole) >= len(shape) and whole[len(whole) - len(shape) :] == shape
        if called or not (nodal or len(whole) == 1):
            values = [jnp.broadcast_to(jnp.asarray(v), shape) for v in values]
        values = jnp.stack([jnp.asarray(v) for v in values])
    values = jnp.asarray(values)
    check_precision(values.dtype)
    if called and values.shape[max(values.ndim - len(shape), 0) :] != shape:
        values = jnp.broadcast_to(values, np.broadcast_shapes(values.shape, shape))
    return values


def nodal_shape_error(space: Space, shape, nodes: tuple[int, ...]) -> ValueError:
    """The error for nodal values that do not end in the shape of the nodes."""
    return ValueError(
        f"{type(space).__name__}: nodal values need shape (..., {', '.join(map(str, nodes))}), "
        f"got {tuple(shape)}; one value per node, {math.prod(nodes)} in all."
    )
