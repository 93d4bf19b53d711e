"""Flows have no divergence, whatever they begin with; and what has no meaning between walls is refused."""

import diffrax as dfx
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim import equations as eq

GRID = js.Grid((8, 6), 0.0, (2.0, 1.0))
WALLS = js.Staggered(GRID, ((js.NoSlip(), js.FreeSlip()), js.NoSlip()))
SPACES = {
    "Fourier": js.Fourier(GRID),
    "finite differences": js.FiniteDifference(GRID),
    "periodic cells": js.Staggered(GRID, js.Periodic()),
    "walls": WALLS,
    "channel": js.Staggered(GRID, (js.Periodic(), js.NoSlip())),
}


def compressed(x, y):
    """A velocity with much divergence, which the equations would keep."""
    return 1e3 * jnp.stack([jnp.sin(np.pi * x) ** 2 + 0.3 * y, jnp.sin(np.pi * x) * jnp.sin(2 * np.pi * y)])


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow if name in ("finite differences", "channel") else ()) for name in SPACES
])  # fmt: skip
def test_a_run_begins_with_a_flow_and_keeps_one(name):
    """Whatever divergence the initial state has; a mean stays where it can."""
    space, dt = SPACES[name], 1e-6
    u = space.field(compressed)
    heat = (space.scalar() if isinstance(space, js.Staggered) else space).field(lambda x, y: jnp.cos(np.pi * x) * y)
    plain, warm = eq.NavierStokesVelocity(0.1), eq.ThermalConvection(0.1, 0.1)
    if name == "Fourier":
        flow = js.rollout(plain, u, dt=dt, steps=2)
    else:
        flow, _ = js.rollout(warm, (u, heat), dt=dt, steps=2, solver=dfx.Midpoint())
    solenoidal = js.project(u)
    assert jnp.abs(js.div(flow).values).max() < 1e-12 * jnp.abs(js.div(u).values).max()
    np.testing.assert_allclose(flow.values, solenoidal.values, atol=0.05 * 1e3)  # little happens in two steps
    for kept in (plain.constrain(u), warm.constrain((u, heat))[0], plain.constrain(solenoidal)):
        np.testing.assert_allclose(kept.values, solenoidal.values, atol=1e-10)
    assert plain.drifts(u) == warm.drifts((u, heat)) == (name in ("walls", "channel"))


def test_the_mean_of_a_velocity_is_no_divergence():
    u = SPACES["Fourier"].field(compressed)
    np.testing.assert_allclose(js.mean(eq.NavierStokesVelocity(0.1).constrain(u)), js.mean(u), rtol=1e-13)


@pytest.mark.parametrize("sides", [js.Dirichlet(), js.Neumann(), (js.Periodic(), js.Dirichlet())])
def test_vorticity_between_walls_is_refused(sides):
    space = js.FiniteDifference(GRID, sides)
    w = space.field(lambda x, y: jnp.sin(np.pi * x) * jnp.sin(np.pi * y))
    flow = eq.NavierStokesVorticity(0.1)
    for equation, state in (
        (flow, w),
        (eq.PassiveScalar(flow, 0.1), js.stack(w, w)),
        (eq.Boussinesq(0.1, 0.1), js.stack(w, w)),
        (eq.Magnetohydrodynamics(0.1, 0.1), js.stack(w, w)),
    ):
        with pytest.raises(ValueError, match="Staggered"):
            js.rollout(equation, state, dt=1e-3, steps=1, solver=dfx.Midpoint())
