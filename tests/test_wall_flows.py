"""Flow between walls in time: orders in space and time, derivatives, batches and precision."""

import functools

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import ETDRK2, IMEXRK2, IMEXRK3, IMEXRK4, Krogstad4

VISCOSITY = 0.05
WAVE = 2 * np.pi


def vortices(t, x, y):
    """Decaying Taylor-Green vortices, an exact solution; free slip at multiples of half a period."""
    size = jnp.exp(-2 * VISCOSITY * WAVE**2 * t)
    return size * jnp.sin(WAVE * x) * jnp.cos(WAVE * y), -size * jnp.cos(WAVE * x) * jnp.sin(WAVE * y)


def beltrami(t, x, y, z, a=np.pi / 2, d=np.pi / 2):
    """A flow in space that is an exact solution: Ethier and Steinman, Int. J. Numer. Meth. Fluids 19, 369 (1994)."""

    def one(x, y, z):
        return -a * (jnp.exp(a * x) * jnp.sin(a * y + d * z) + jnp.exp(a * z) * jnp.cos(a * x + d * y))

    size = jnp.exp(-VISCOSITY * d**2 * t)
    return tuple(size * one(*p) for p in ((x, y, z), (y, z, x), (z, x, y)))


def forcing(velocity, pressure):
    """The force under which a velocity and a pressure, functions of time and position, solve the equations."""

    def at(t, *x):
        point, field = jnp.stack(x), lambda t, z: jnp.stack(velocity(t, *z))
        slopes, curvatures = jax.jacfwd(field, 1)(t, point), jax.jacfwd(jax.jacfwd(field, 1), 1)(t, point)
        rate = jax.jacfwd(field, 0)(t, point) + slopes @ field(t, point)
        push = jax.grad(lambda z: pressure(t, *z))(point)
        return rate + push - VISCOSITY * jnp.trace(curvatures, axis1=1, axis2=2)

    def force(t, *x):
        return jax.vmap(functools.partial(at, t))(*(a.ravel() for a in x)).T.reshape(len(x), *x[0].shape)

    return force


def error(space, velocity, force=None, time=0.1, solver=None):
    """Largest error at the end of a run whose steps are as small as its cells demand."""
    width = min(float(np.min(space.grid.widths(axis))) for axis in range(space.dimension))
    steps = int(np.ceil(time / min(0.2 * width**2 / VISCOSITY, 0.3 * width)))
    equation = js.equations.NavierStokesVelocity(VISCOSITY, forcing=force)

    @jax.jit
    def run():
        u = space.field(lambda *x: velocity(0.0, *x))
        u = js.rollout(equation, u, dt=time / steps, steps=steps, solver=solver or dfx.Heun())
        exact = space.field(lambda *x: velocity(time, *x))
        return jnp.stack([jnp.max(jnp.abs(a.values - b.values)) for a, b in zip(space.split(u), space.split(exact))])

    return np.array(run())


def observed(errors):
    return np.log2(errors[-2] / errors[-1])


# -- space -------------------------------------------------------------------------------------------------------------
def test_order_in_space_of_moving_walls_free_slip_and_periodic_axes():
    """A wall that moves along and across, opposite a plane of symmetry; periodic along the other axis."""
    sides = ((js.NoSlip(vortices), js.FreeSlip()), js.Periodic())
    boxes = [js.Grid((n, 2 * n), (-0.3, 0.0), (0.5, 1.0)) for n in (8, 16)]
    errors = [error(js.Staggered(box, sides), vortices) for box in boxes]
    assert np.all(observed(errors) > 1.8) and np.all(errors[-1] < 0.02)


STRETCHING = js.TanhStretching(1.0), js.SinhStretching(1.5, 0.4)


@pytest.mark.slow
@pytest.mark.parametrize("stretching", [None, STRETCHING])
@pytest.mark.parametrize(
    "sides", [js.NoSlip(vortices), js.FreeSlip(), (js.FreeSlip(), js.NoSlip(vortices))], ids=["walls", "slip", "both"]
)
def test_order_in_space_of_closed_boxes(sides, stretching):
    boxes = [js.Grid((n, n + 2), 0.0, (1.0, 0.5), stretching) for n in (12, 24, 48)]
    errors = [error(js.Staggered(box, sides), vortices) for box in boxes]
    assert np.all(observed(errors) > 1.75)


def through(t, x, y):
    """Flow through a channel that develops towards its end, where nothing changes along it any more."""
    size = 0.3 * (1 + 0.5 * jnp.sin(3 * t))
    return 6 * y * (1 - y) * (1 + size * (1 - x) ** 3), 3 * size * y**2 * (3 - 2 * y) * (1 - x) ** 2


@pytest.mark.slow
@pytest.mark.parametrize("stretching", [None, STRETCHING])
@pytest.mark.parametrize("mirrored", [False, True])
def test_order_in_space_of_open_boxes(mirrored, stretching):
    """The order grows towards 2 with refinement: 1.4 and 1.6 here, 1.8 from 48 to 96 cells."""
    velocity, pressure = through, lambda t, x, y: (1 - x) * (1 + y * y)
    if mirrored:
        velocity = lambda t, x, y: (lambda u, v: (-u, v))(*through(t, 1 - x, y))
        pressure = lambda t, x, y: x * (1 + y * y)
    ends = js.Inflow(velocity), js.Outflow()
    errors = []
    for n in (12, 24, 48):
        grid = js.Grid((n, n + 2), stretching=stretching)
        space = js.Staggered(grid, (ends[::-1] if mirrored else ends, js.NoSlip(velocity)))
        errors.append(error(space, velocity, forcing(velocity, pressure)))
    assert np.all(observed(errors) > 1.5) and np.all(observed(errors) > observed(errors[:-1]))


@pytest.mark.slow
def test_order_in_three_dimensions():
    errors = []
    for n in (8, 16, 32):
        space = js.Staggered(js.Grid((n, n + 1, n - 1), -0.5, 0.5), js.NoSlip(beltrami))
        errors.append(error(space, beltrami))
    assert np.all(observed(errors) > 1.8)


# -- time --------------------------------------------------------------------------------------------------------------
def stirring(t, x, y):
    """A side through which fluid enters and leaves, and which moves along itself."""
    return 0.5 * jnp.cos(3 * t) + 0 * x, 0.5 * jnp.sin(3 * t) * jnp.cos(np.pi * x)


@pytest.mark.slow
@pytest.mark.parametrize(
    "solver, steps, order",
    [(IMEXRK2(), 80, 2), (ETDRK2(), 80, 2), (IMEXRK3(), 80, 3), (IMEXRK4(), 80, 4), (Krogstad4(), 80, 4),
     (dfx.Tsit5(), 40, 5)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_order_in_time_between_moving_walls(solver, steps, order):
    """The full order where steps resolve the slow viscous modes; a tenth or two less for the stiff ones' sake."""
    space = js.Staggered(js.Grid((10, 10)), (js.NoSlip(), (js.NoSlip(), js.Inflow(stirring))))
    start = lambda x, y: (
        jnp.sin(np.pi * x) ** 2 * jnp.sin(2 * np.pi * y), -jnp.sin(2 * np.pi * x) * jnp.sin(np.pi * y) ** 2
    )  # fmt: skip
    u, flow = space.field(start), js.equations.NavierStokesVelocity(0.2 if order < 5 else 0.02)
    run = lambda solver, n: space.state(js.rollout(flow, u, dt=0.5 / n, steps=n, solver=solver))
    reference = run(dfx.Dopri8(), 640)
    distance = lambda y: max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(y, reference))
    errors = [distance(run(solver, n)) for n in (steps, 2 * steps)]
    assert order - 0.25 < observed(errors) < order + 0.8


# -- derivatives, batches and precision --------------------------------------------------------------------------------
def flow_through(parameters, solver):
    """Kinetic energy at the centers after some steps, by the speed of a lid, the viscosity and the inflow."""
    speed, viscosity, amplitude = parameters
    inflow = js.Inflow(lambda t, x, y: (amplitude * y * (1 - y) * (1 + jnp.sin(5 * t)), 0 * y))
    sides = ((inflow, js.Outflow()), (js.NoSlip(), js.MovingWall((speed, 0.0))))
    space = js.Staggered(js.Grid((6, 5)), sides)
    u = space.field(lambda x, y: (0 * x, 0 * y))
    u = js.rollout(js.equations.NavierStokesVelocity(viscosity), u, dt=0.01, steps=8, solver=solver)
    return jnp.mean(jnp.square(u.values))


SLOW = pytest.mark.slow


@pytest.mark.parametrize("solver", [dfx.Euler(), *(pytest.param(s, marks=SLOW) for s in (IMEXRK2(), Krogstad4()))])
def test_gradients_by_lid_viscosity_and_inflow(solver):
    point, flow = jnp.array([0.8, 0.1, 1.5]), functools.partial(flow_through, solver=solver)
    shifts = 1e-4 * jnp.concatenate([jnp.eye(3), -jnp.eye(3), 2 * jnp.eye(3), -2 * jnp.eye(3)]) * point
    values = jax.jit(jax.vmap(flow))(point + shifts).reshape(4, 3)
    differences = (8 * (values[0] - values[1]) - (values[2] - values[3])) / (12e-4 * point)
    np.testing.assert_allclose(jax.jit(jax.grad(flow))(point), differences, rtol=1e-7)


def lid_flow(speed, dtype=jnp.float64, solver=None):
    space = js.Staggered(js.Grid((6, 5)), (js.NoSlip(), (js.NoSlip(), js.MovingWall((speed, 0.0)))))
    u = space.field([jnp.zeros(part.shape, dtype) for part in space.parts()])
    u = js.rollout(js.equations.NavierStokesVelocity(0.05), u, dt=0.02, steps=4, solver=solver)
    return u.values, js.div(u).values


def test_batches_of_lids():
    """Slow flows are linear in the speed, and each flow of a batch is the one alone."""
    speeds, flow = jnp.array([1e-5, 2e-5, 1.0]), functools.partial(lid_flow, solver=dfx.Euler())
    batch, divergence = jax.jit(jax.vmap(flow))(speeds)
    np.testing.assert_allclose(2 * batch[0], batch[1], atol=1e-11)
    np.testing.assert_allclose(jax.jit(flow)(speeds[2])[0], batch[2], atol=1e-13)
    assert jnp.max(jnp.abs(divergence)) < 1e-13 and jnp.max(jnp.abs(batch[2])) > 0.1


@pytest.mark.parametrize("solver", [None, IMEXRK2(), dfx.Heun()], ids=["Krogstad4", "IMEXRK2", "Heun"])
def test_single_precision_is_kept(solver):
    shapes = jax.eval_shape(lambda: lid_flow(jnp.float32(1.0), jnp.float32, solver))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes))


def test_unstable_steps_end_with_a_status():
    space = js.Staggered(js.Grid((8, 8)), (js.NoSlip(), (js.NoSlip(), js.MovingWall((100.0, 0.0)))))
    u = space.field(lambda x, y: (0 * x, 0 * y))
    flow = js.equations.NavierStokesVelocity(1e-3)
    with pytest.raises(js.integrate.Diverged, match="not finite"):
        js.rollout(flow, u, dt=0.5, steps=100, solver=dfx.Euler())


@pytest.mark.slow
@pytest.mark.parametrize("solver", [IMEXRK2(), IMEXRK3(), IMEXRK4(), Krogstad4()])
def test_viscous_steps_of_any_size_are_stable_between_walls(solver):
    """Steps of 20 h^2 / nu, whose explicit part contains the pressure of the viscous term, reach the steady flow."""
    space = js.Staggered(js.Grid((16, 16)), (js.NoSlip(), (js.NoSlip(), js.MovingWall((1.0, 0.0)))))
    flow, rest = js.equations.NavierStokesVelocity(1.0), space.field(lambda x, y: (0 * x, 0 * y))
    u = js.rollout(flow, rest, dt=20 / 16**2, steps=200, solver=solver)
    assert js.norm(flow.right_hand_side(0.0, u)) < 1e-8 and jnp.abs(js.div(u).values).max() < 1e-11
    assert 0.1 < js.norm(u) < 1
