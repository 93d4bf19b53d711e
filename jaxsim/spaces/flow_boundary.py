"""Conditions on a velocity at the sides of a box, as conditions on its components."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .boundary import Boundary, Dirichlet, Neumann, _leaf, is_concrete, is_zero


class FlowBoundary(Boundary):
    """A condition on a velocity at one side, for `js.Staggered`.

    `component` gives the condition of each velocity component there, and `open` says whether fluid may pass as the
    pressure demands: the pressure then vanishes at the side, and has no condition elsewhere.
    """

    open: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def component(self, index: int, normal: bool, dimension: int) -> Boundary:
        """The condition of one component, which is `normal` to the side or tangential."""

    def coefficients(self):
        raise TypeError(f"{type(self).__name__} is a condition on a velocity: use it in js.Staggered.")

    def with_value(self, value):
        return self


def velocity_component(value: Any, index: int, dimension: int) -> Any:
    """The right-hand side for one component of a velocity given as one number, as components or as a callable."""
    if value is None:
        return None
    if callable(value):
        return _Component(value, index, dimension)
    if (isinstance(value, tuple) or jnp.ndim(value)) and len(value) != dimension:
        raise ValueError(f"a velocity at a wall has one entry per axis ({dimension}); got {len(value)}.")
    return value[index] if isinstance(value, tuple) or jnp.ndim(value) else value


class _Component(eqx.Module):
    """One component of a velocity that is a function of time and position."""

    function: Any
    index: int = eqx.field(static=True)
    dimension: int = eqx.field(static=True)

    def __call__(self, t, *x):
        velocity = self.function(t, *x)
        if len(velocity) != self.dimension:
            raise ValueError(
                f"a velocity at a wall has one entry per axis ({self.dimension}); the function gave {len(velocity)}."
            )
        value = velocity[self.index]
        return jnp.broadcast_to(value, jnp.broadcast_shapes(jnp.shape(value), jnp.shape(x[0])))  # times go in front


class NoSlip(FlowBoundary):
    """A wall that the fluid sticks to, at rest or moving: $u = g$.

    **Arguments:**

    - `velocity`: velocity of the wall; zero when left out. One entry per axis (numbers, or arrays over the side), or a
        callable `(t, *x)` that returns one array per axis. Traced values can be differentiated: the speed of a lid.
    """

    velocity: Any = eqx.field(default=None, converter=lambda v: _velocity(v))
    open = False

    @property
    def value(self):
        return self.velocity

    def component(self, index, normal, dimension):
        return Dirichlet(velocity_component(self.velocity, index, dimension))

    def with_value(self, value):
        return type(self)(value)

    def simplified(self):
        if is_zero(self.velocity):
            return self.with_value(None)
        if callable(self.velocity):
            return self
        return self.with_value(tuple(None if is_zero(v) else v for v in self.velocity))


class MovingWall(NoSlip):
    """A wall that moves along itself, such as the lid of a cavity: `js.MovingWall((1.0, 0.0))`. See `NoSlip`."""


class Inflow(NoSlip):
    """Fluid that enters (or leaves) with a given velocity, $u = g(t, x)$: `js.Inflow(lambda t, x, y: (profile(y), 0))`.

    See `NoSlip` for the forms of `velocity`. What enters must leave: a box without an open side needs inflow and
    outflow that balance at all times.
    """


class FreeSlip(FlowBoundary):
    """A wall without friction: $u_n = 0$ and $\\partial u_t / \\partial n = 0$; also a plane of symmetry."""

    open = False
    value = None

    def component(self, index, normal, dimension):
        return Dirichlet() if normal else Neumann()


class Outflow(FlowBoundary):
    """An open end without traction: $p = 0$ and $\\partial u / \\partial n = 0$, the "do-nothing" condition.

    Exact for developed flow; vortices leave it with little reflection while the flow points outward.

    Reference: Heywood, Rannacher and Turek, Int. J. Numer. Meth. Fluids 22, 325 (1996), section 2.
    """

    open = True
    value = None

    def component(self, index, normal, dimension):
        return Neumann()


class ConvectiveOutflow(FlowBoundary):
    """An open end that carries the flow out with a given speed, $\\partial_t u + U\\,\\partial u / \\partial n = 0$.

    For the normal component; the tangential ones have no normal derivative. The outflow is shifted uniformly so that as
    much leaves as enters.

    **Arguments:**

    - `speed`: $U > 0$, about the mean velocity there.

    Reference: Orlanski, J. Comput. Phys. 21, 251 (1976), with a constant speed.
    """

    speed: Any = eqx.field(converter=jnp.asarray)
    open = False
    value = None

    def __check_init__(self):
        if jnp.ndim(self.speed) or (is_concrete(self.speed) and not self.speed > 0):
            raise ValueError(f"ConvectiveOutflow: `speed` must be one positive number, got {self.speed}.")

    def component(self, index, normal, dimension):
        return Neumann()


def _velocity(value: Any) -> Any:
    if value is None or callable(value):
        return _leaf(value)
    if isinstance(value, (tuple, list)):
        return tuple(_leaf(v) for v in value)
    array = jnp.asarray(value)
    if array.ndim == 0:
        raise ValueError("the velocity of a wall has one entry per axis, e.g. js.NoSlip((1.0, 0.0)).")
    return array
