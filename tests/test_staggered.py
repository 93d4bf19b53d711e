"""Velocities on faces: projection, convection in flux form, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

WALL, SLIP, PERIODIC, OPEN = js.NoSlip(), js.FreeSlip(), js.Periodic(), js.Outflow()
LID = js.MovingWall((1.0, 0.0))
INFLOW = js.Inflow(lambda t, *x: (1 + 0.3 * jnp.sin(3 * x[1]), *(0.2 * jnp.ones_like(x[0]) for _ in x[1:])))
STRETCHED = js.TanhStretching(1.2), js.SinhStretching(2.0, 0.3)

BOXES = {
    "cavity": (js.Grid((8, 9)), (WALL, (WALL, LID))),
    "stretched cavity": (js.Grid((8, 9), 0.0, (1.0, 1.3), STRETCHED), (WALL, (WALL, LID))),
    "channel": (js.Grid((8, 7), 0.0, (2.0, 1.0), (None, STRETCHED[0])), (PERIODIC, (WALL, LID))),
    "inflow and outflow": (js.Grid((9, 8), stretching=STRETCHED), ((INFLOW, OPEN), (WALL, SLIP))),
    "open on two sides": (js.Grid((8, 9)), ((INFLOW, OPEN), (SLIP, OPEN))),
    "open below": (js.Grid((8, 9)), ((OPEN, INFLOW), PERIODIC)),
    "space": (js.Grid((6, 5, 7), 0.0, (1.0, 1.3, 0.7)), (WALL, PERIODIC, (SLIP, OPEN))),
    "stretched space": (js.Grid((6, 5, 7), stretching=(None, *STRETCHED)), ((WALL, SLIP), WALL, WALL)),
}


def volumes(space, component):
    """Volumes of the cells around the nodes of a component, an array of its shape."""
    total = np.ones(())
    part = space.component(component)
    for number, axis in enumerate(part.axes):
        widths = axis.volumes() * space.grid.spacing[number]
        if part.faces[number] and not axis.periodic:  # cells around walls that carry no node
            widths = widths[int(axis.gaps[0]) : len(widths) - int(axis.gaps[1])]
        total = np.multiply.outer(total, widths)
    return total


def inner(u, v):
    """Sum over the nodes of products and volumes; nodes on walls that say what is there do not count."""
    space = u.space
    parts = zip(space.split(u), space.split(v))
    return sum(jnp.sum(a.values * b.values * volumes(space, i)) for i, (a, b) in enumerate(parts))


def largest(u):
    """Largest number of all components."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(c.values)) for c in u.space.split(u)]))


def noise(space, seed):
    random = np.random.default_rng(seed)
    return space.field([random.standard_normal(part.shape) for part in space.parts()])


@pytest.mark.parametrize("name", BOXES)
def test_projection(name):
    """Free of divergence, idempotent and, with zero data at the walls, orthogonal."""
    space = js.Staggered(*BOXES[name])

    @jax.jit
    def results(u, a, b):
        once = js.project(u)
        twice, pa, pb = js.project(once), js.project(a), js.project(b)
        moved = largest(once - twice)
        products = inner(pa, b), inner(a, pb), inner(pa, pa), inner(pa, a), inner(a, a)
        return jnp.max(jnp.abs(js.div(once).values)), jnp.max(jnp.abs(js.div(u).values)), moved, products

    rest = space.homogeneous()
    left, before, moved, (one, other, kept, part, energy) = results(noise(space, 0), noise(rest, 1), noise(rest, 2))
    assert left < 2e-14 * before and moved < 1e-13
    np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(kept, part, rtol=1e-11)
    assert 0.1 * energy < kept < energy


@pytest.mark.parametrize("name", ["cavity", "stretched cavity", "channel", "stretched space"])
def test_convection_conserves(name):
    """Kinetic energy in closed boxes, momentum along axes without walls, and scalars and their squares."""
    space = js.Staggered(*BOXES[name])

    @jax.jit
    def rates(u, c):
        u = js.project(u)
        rate, transported = js.convection(u), js.advect(u, c)
        cells = np.ones(())
        for axis in range(space.dimension):
            cells = np.multiply.outer(cells, space.grid.widths(axis))
        momenta = [jnp.sum(a.values * volumes(space, i)) for i, a in enumerate(space.split(rate))]
        scalars = jnp.sum(transported.values * cells), jnp.sum(transported.values * c.values * cells)
        return inner(u, rate), momenta, scalars, jnp.sqrt(inner(rate, rate))

    c = space.scalar().field(np.random.default_rng(3).standard_normal(space.grid.shape))
    energy, momenta, scalars, size = rates(noise(space, 0), c)
    assert size > 1 and abs(energy) < 1e-14 * size
    assert max(map(abs, scalars)) < 1e-14 * size
    along = [m for m, periodic in zip(momenta, space.periodic) if periodic]
    assert all(abs(m) < 1e-14 * size for m in along)


def test_values_at_centers_and_back():
    space = js.Staggered(js.Grid((8, 9), stretching=STRETCHED), (WALL, (WALL, LID)))

    @jax.jit
    def results():
        u = space.field(lambda x, y: (x * (1 - x), 0 * x + 0.3))
        again = space.field(jnp.broadcast_to(jnp.array([2.0, -1.0])[:, None, None], (2, 8, 9)))
        return u.data, u.values, u[1](0.4, 0.6), again[0].values

    parts, centers, at, again = results()
    assert centers.shape == (2, 8, 9) and parts[0].values.shape == (7, 9) and parts[1].values.shape == (8, 8)
    np.testing.assert_allclose(at, 0.3)
    np.testing.assert_allclose(again, 2.0)
    x = space.component(0).nodes(0)
    np.testing.assert_allclose(parts[0].values, np.broadcast_to((x * (1 - x))[:, None], (7, 9)))
    np.testing.assert_allclose(centers[0, 0], 0.5 * parts[0].values[0])


def test_vorticity_of_rotation_and_shear():
    """Exact for linear velocities, also at the corners next to walls that move along."""
    solid = js.NoSlip(lambda t, x, y: (-2.0 * y, 2.0 * x))
    for grid in (js.Grid((6, 7)), js.Grid((6, 7), stretching=STRETCHED)):
        space = js.Staggered(grid, solid)
        curl = jax.jit(lambda space=space: js.curl(space.field(lambda x, y: (-2 * y, 2 * x))).values)
        np.testing.assert_allclose(curl(), 4.0, rtol=1e-12)


def residual(viscosity, u):
    return largest(js.residual(js.equations.NavierStokesVelocity(viscosity), u)())


def test_linear_shear_is_steady():
    """Couette flow is an exact discrete solution for any stretching: nothing changes."""
    for grid in (js.Grid((5, 8)), js.Grid((5, 8), stretching=(None, STRETCHED[0]))):
        space = js.Staggered(grid, (PERIODIC, (WALL, LID)))
        rate = jax.jit(lambda space=space: residual(0.3, space.field(lambda x, y: (y, 0 * x))))
        assert rate() < 1e-12


def test_developed_flow_through_a_channel_is_steady():
    """Poiseuille flow between inflow and outflow, up to a shift of order 2 next to the walls, which is exact here.

    The parabola $u = y (1 - y) + h^2 / 4$ meets the mirror image at the walls, and drives a linear pressure.
    """
    n = 8
    profile = lambda y: y * (1 - y) + 0.25 / n**2
    sides = ((js.Inflow(lambda t, x, y: (profile(y), 0 * y)), OPEN), WALL)
    space = js.Staggered(js.Grid((6, n)), sides)
    assert jax.jit(lambda: residual(0.2, space.field(lambda x, y: (profile(y), 0 * x))))() < 1e-12


def test_time_derivative_of_moving_sides_enters_the_projection():
    """The rate of a flow that follows its walls is free of divergence together with the rate of the walls."""
    sides = js.Inflow(lambda t, x, y: (jnp.sin(2 * t) * jnp.ones_like(x), jnp.cos(t) * jnp.ones_like(x)))
    space = js.Staggered(js.Grid((6, 5)), sides)

    @jax.jit
    def rate():
        u = space.bind((jnp.zeros((5, 5)), jnp.zeros((6, 4))), 0.0)
        return js.project(js.sample(lambda t, x, y: jnp.stack([x * y, y**2]), 0.0, u)).data

    across, along = (component.values for component in rate())
    np.testing.assert_allclose(across.mean(axis=1), 2.0)  # the same flux through every cut
    np.testing.assert_allclose(along.mean(axis=0), 0.0, atol=1e-14)


@pytest.mark.parametrize(
    "grid, sides, message",
    [
        (js.Grid(8), WALL, "two or three axes"),
        (js.Grid((8, 8)), ((PERIODIC, WALL), WALL), "one side only"),
        (js.Grid((8, 8)), js.Robin(1.0, 1.0), "no condition on a velocity"),
        (js.Grid((8, 8)), js.NoSlip((1.0, 0.0, 0.0)), "one entry per axis"),
        (js.Grid((8, 8), stretching=STRETCHED), (PERIODIC, WALL), "equal cells"),
        (js.Grid((3, 8)), WALL, "3 nodes"),
    ],
)
def test_bad_boxes(grid, sides, message):
    with pytest.raises(ValueError, match=message):
        js.Staggered(grid, sides)


def test_bad_walls():
    with pytest.raises(ValueError, match="one entry per axis"):
        js.NoSlip(1.0)
    with pytest.raises(ValueError, match="positive"):
        js.ConvectiveOutflow(-1.0)
    with pytest.raises(TypeError, match="js.Staggered"):
        js.laplacian(js.FiniteDifference(js.Grid(8), WALL).field(jnp.ones(8)))
    with pytest.raises(ValueError, match="the function gave 1"):
        js.Staggered(js.Grid((8, 8)), js.NoSlip(lambda t, x, y: (x,))).field(lambda x, y: (x, y))
    with pytest.raises(ValueError, match="does not broadcast"):
        side = js.NoSlip((jnp.ones(5), 0.0))
        js.laplacian(js.Staggered(js.Grid((8, 8)), (WALL, side)).field(lambda x, y: (x, y)))


def test_net_inflow_is_refused():
    grid, rest = js.Grid((8, 8)), lambda x, y: (0 * x, 0 * y)
    enters, leaves = js.Inflow(lambda t, x, y: (6 * y * (1 - y), 0 * y)), js.Inflow((1.0, 0.0))
    js.Staggered(grid, ((enters, leaves), WALL)).field(rest)
    js.Staggered(grid, ((enters, OPEN), WALL)).field(rest)
    js.Staggered(grid, ((enters, js.ConvectiveOutflow(1.0)), WALL)).field(rest)
    with pytest.raises(ValueError, match="Net inflow: 1"):
        js.Staggered(grid, ((enters, WALL), WALL)).field(rest)
    with pytest.raises(ValueError, match="balance"):
        js.Staggered(grid, (WALL, (WALL, js.MovingWall((0.0, 1.0))))).field(rest)
    traced = jax.jit(lambda speed: js.Staggered(grid, ((js.Inflow((speed, 0.0)), leaves), WALL)).field(rest).data)
    traced(1.0)
    with pytest.raises(Exception, match="balance"):
        jax.block_until_ready(traced(0.5))


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_a_box_balances_within_a_few_percent_in_any_unit(unit):
    """What a quadrature over 16 cells may leave is let pass, 2/16² and 1 %; more is not."""
    grid = js.Grid((16, 16), 0.0, unit)

    def field(excess):
        leaves = js.Inflow((unit * (1 + excess), 0.0))
        return js.Staggered(grid, ((js.Inflow((unit, 0.0)), leaves), SLIP)).field(lambda x, y: (0 * x, 0 * y))

    field(0.03), field(-0.03)
    for excess in (0.06, -0.06):
        with pytest.raises(ValueError, match="Net inflow: -?[0-9.e-]+"):
            field(excess)


@pytest.mark.parametrize("end", [0, 1])
def test_a_convective_outflow_carries_the_flow_out_at_either_side(end):
    grid = js.Grid((5, 4), 0.0, (2.0, 1.0), (js.SinhStretching(1.0, 0.3), None))
    sides = [js.Inflow(((1.0, -1.0)[end], 0.0))] * 2
    sides[end] = js.ConvectiveOutflow(3.0)
    space = js.Staggered(grid, (tuple(sides), SLIP))
    u = space.field(lambda x, y: (x**2 * (1 + y), 0 * y))
    wall, inner = (grid.faces(0)[k] for k in ((0, 1), (-1, -2))[end])
    slope = (wall**2 - inner**2) / abs(wall - inner) * (1 + grid.centers(1))
    rate = space.split(js.convection(u))[0].values[-end]
    np.testing.assert_allclose(rate, 3.0 * slope, rtol=1e-12)


def test_bad_fields():
    space = js.Staggered(js.Grid((8, 8)), WALL)
    u = space.field(lambda x, y: (x, y))
    with pytest.raises(ValueError, match="one component per axis"):
        space.field(lambda x, y: (x,))
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\)"):
        space.field(np.ones((3, 8, 8)))
    with pytest.raises(ValueError, match="nodes of their own"):
        u * jnp.ones((8, 8))
    with pytest.raises(ValueError, match="different spaces"):
        u + js.Staggered(js.Grid((8, 9)), WALL).field(lambda x, y: (x, y))
    with pytest.raises(ValueError, match="scalar field"):
        js.rollout(js.equations.NavierStokesVorticity(0.1), u, dt=0.1, steps=2)
    with pytest.raises(ValueError, match="equal cells"):
        js.Fourier(js.Grid(8, stretching=js.TanhStretching(1.0)))
    with pytest.raises(TypeError, match="upwind scheme"):
        js.Staggered(js.Grid((8, 8)), WALL, scheme=3)


def test_trajectories_keep_their_axis_of_time():
    inflow = js.Inflow(lambda t, x, y: (jnp.sin(t) + 0 * y, 0 * y))
    space = js.Staggered(js.Grid((6, 5)), ((inflow, js.Outflow()), js.NoSlip()))
    times = jnp.array([0.3, 0.7, 1.1])
    keys = jax.random.split(jax.random.key(0), 2)
    state = tuple(jax.random.normal(key, (3, *part.shape)) for key, part in zip(keys, space.parts()))
    run = space.bind(state, times)
    assert run.shape == (3, 2) and run[:, 0].values.shape == (3, 6, 5)
    for operator in (js.div, js.curl, js.project, js.convection):
        together = jax.jit(lambda a, t, operator=operator: operator(space.bind(a, t)).values)
        for i in range(2):
            alone = together(tuple(a[i] for a in state), times[i])
            np.testing.assert_allclose(together(state, times)[i], alone, atol=1e-12)
