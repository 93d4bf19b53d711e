"""Boundary data that move in time, in every scheme: the error may not grow with resolution, and its order stays."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import (
    ETDAB3,
    IMEXRK2,
    IMEXRK3,
    IMEXRK4,
    IMEXRK5,
    SBDF2,
    SBDF3,
    Krogstad4,
)  # fmt: skip

SCHEMES = (IMEXRK2, IMEXRK3, IMEXRK4, IMEXRK5, SBDF2, SBDF3, Krogstad4, ETDAB3)


class Heat(js.Equation):
    """Solved by sin(x + t)."""

    def linear(self, u):
        return js.laplacian(u)

    def nonlinear(self, t, u):
        return js.sample(lambda t, x: jnp.cos(x + t) + jnp.sin(x + t), t, u)


def moving(side):
    if side is js.Dirichlet:
        return js.Dirichlet(lambda t, x: jnp.sin(x + t)), js.Dirichlet(lambda t, x: jnp.sin(x + t))
    if side is js.Neumann:
        return js.Neumann(lambda t, x: -jnp.cos(x + t)), js.Neumann(lambda t, x: jnp.cos(x + t))
    flux = lambda sign: lambda t, x: 2 * jnp.sin(x + t) + sign * jnp.cos(x + t)
    return js.Robin(2.0, 1.0, flux(-1)), js.Robin(2.0, 1.0, flux(1))


def error(scheme, nodes, dt, side=js.Dirichlet, order=2):
    space = js.FiniteDifference(js.Grid(nodes, 0.2, 1.7), (moving(side),), order=order)
    u = js.rollout(Heat(), space.field(jnp.sin), dt=dt, steps=round(1 / dt), solver=scheme())
    return float(abs(u.values - jnp.sin(space.coordinates()[0] + 1.0)).max())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_errors_are_small_at_high_resolution(scheme):
    """Taken explicitly, the data make errors of 10 here."""
    assert error(scheme, 160, 0.05) < 2e-3


@pytest.mark.parametrize(("scheme", "side"), [(SBDF2, js.Neumann), (IMEXRK3, js.Robin)])
def test_other_conditions_move_too(scheme, side):
    assert error(scheme, 160, 0.05, side) < 3e-3


@pytest.mark.parametrize(("scheme", "order"), [(IMEXRK3, 2.1), (SBDF3, 2.6)])
def test_orders_with_moving_data(scheme, order):
    """On few nodes of high order, so that the error in time is seen; of order 3 a Runge-Kutta stage leaves 2."""
    coarse, fine = (error(scheme, 12, dt, order=6) for dt in (0.1, 0.05))
    assert np.log2(coarse / fine) > order


def test_a_moving_lid_does_not_diverge():
    """Stokes flow above a plate that moves as sin(t), of a fluid that begins with the exact profile."""
    viscosity, steps = 0.05, 40
    decay = np.sqrt(1 / (2 * viscosity))
    profile = lambda t, y: jnp.exp(-decay * y) * jnp.sin(t - decay * y)
    wall = js.MovingWall(lambda t, x, y: (jnp.sin(t) + 0 * x, 0 * x))
    far = js.MovingWall(lambda t, x, y: (profile(t, 2.0) + 0 * x, 0 * x))
    space = js.Staggered(js.Grid((4, 64), (0.0, 0.0), (1.0, 2.0)), (js.Periodic(), (wall, far)))
    u0 = space.field(lambda x, y: (profile(0.0, y) + 0 * x, 0 * x))
    u = js.rollout(js.equations.NavierStokesVelocity(viscosity), u0, dt=1 / steps, steps=steps, solver=IMEXRK3())
    y = space.component(0).coordinates()[1]
    assert float(abs(u[0].values - profile(1.0, y)).max()) < 4e-3
