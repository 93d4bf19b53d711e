"""Flow past a cylinder in a channel: Schäfer and Turek's benchmark, by a penalized body on a stretched grid.

Figures: featflow.de, DFG benchmark 2D-1 (drag 5.5795, lift 0.0106, pressure drop 0.1172 to 0.1176, length of the
recirculation 0.0842 to 0.0852) and 2D-2 (Strouhal number 0.295 to 0.305); Schäfer and Turek, Notes on Numerical Fluid
Mechanics 52, 547 (1996).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import IMEXRK3

LENGTH, HEIGHT, CENTER, DIAMETER, VISCOSITY = 2.2, 0.41, 0.2, 0.1, 1e-3


def channel(cells, relaxation, peak):
    """The channel with `cells` across, fine around the cylinder: the flow, its initial state and a step size."""
    stretching = js.SinhStretching(3.5, CENTER / LENGTH), js.SinhStretching(2.0, CENTER / HEIGHT)
    grid = js.Grid((2 * cells, cells), 0.0, (LENGTH, HEIGHT), stretching)
    widths = [grid.widths(axis).min() for axis in (0, 1)]
    profile = lambda x, y: (4 * peak * y * (HEIGHT - y) / HEIGHT**2, 0 * y)
    sides = ((js.Inflow(lambda t, x, y: profile(x, y)), js.Outflow()), js.NoSlip())
    cylinder = js.geometry.Ball((CENTER, CENTER), DIAMETER / 2)
    body = js.equations.Obstacle(cylinder, relaxation, 0.7 * max(widths), viscosity=VISCOSITY)
    flow = js.equations.NavierStokesVelocity(VISCOSITY, obstacle=body)
    return flow, js.Staggered(grid, sides).field(profile), min(relaxation, 0.6 * min(widths) / (1.5 * peak))


def coefficients(flow, u, peak):
    return 2 * flow.obstacle.force(0.0, u) / ((2 * peak / 3) ** 2 * DIAMETER)


def steady_flow(cells, relaxation, time):
    """Drag, lift, pressure drop and length of the recirculation at Reynolds number 20."""
    flow, u0, dt = channel(cells, relaxation, 0.3)
    u = js.rollout(flow, u0, dt=dt, steps=round(time / dt), solver=IMEXRK3())
    assert jnp.abs(js.div(u).values).max() < 1e-11
    drag, lift = coefficients(flow, u, 0.3)
    p = flow.pressure(0.0, u)
    x = jnp.linspace(0.26, 0.4, 141)
    along = u[0](x, jnp.full_like(x, CENTER))
    end = int(jnp.argmax(along > 0))
    length = x[end] - along[end] * (x[end] - x[end - 1]) / (along[end] - along[end - 1]) - 0.25
    return float(drag), float(lift), float(p(0.15, 0.2) - p(0.25, 0.2)), float(length)


@pytest.mark.slow
def test_steady_flow_on_a_coarse_grid():
    drag, _, drop, length = steady_flow(28, 4e-3, 3.0)
    assert abs(drag / 5.5795 - 1) < 0.02 and abs(drop / 0.1174 - 1) < 0.06 and abs(length / 0.0847 - 1) < 0.05


@pytest.mark.slow
def test_steady_flow():
    drag, lift, drop, length = steady_flow(80, 1e-3, 8.0)
    print(f"drag {drag:.4f}, lift {lift:.4f}, pressure drop {drop:.4f}, length {length:.4f}")
    # the pressure at the surface is taken inside the layer that is half solid, which lowers the drop by 3 %
    assert abs(drag / 5.5795 - 1) < 0.01 and abs(lift - 0.0106) < 6e-3
    assert abs(drop / 0.1174 - 1) < 0.045 and abs(length / 0.0847 - 1) < 0.04


@pytest.mark.slow
def test_vortex_street():
    flow, u0, dt = channel(64, 1e-3, 1.5)
    every = 8
    steps = round(5.0 / dt) // every * every
    run = js.rollout(flow, u0, dt=dt, steps=steps, solver=IMEXRK3(), save_every=every)
    force = jax.vmap(lambda state: coefficients(flow, u0.space.bind(state), 1.5))(u0.space.state(run))
    times = dt * every * np.arange(1, len(force) + 1)
    late = times > 3.8
    lift, times = np.asarray(force)[late, 1], times[late]
    lift = lift - lift.mean()
    rise = np.flatnonzero((lift[:-1] < 0) & (lift[1:] >= 0))
    crossings = times[rise] - lift[rise] * dt * every / (lift[rise + 1] - lift[rise])
    strouhal = DIAMETER / np.diff(crossings).mean()
    print(f"Strouhal number {strouhal:.4f}, greatest drag {np.asarray(force)[late, 0].max():.3f}")
    assert 0.29 < strouhal < 0.305
