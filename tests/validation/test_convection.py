"""Flow between walls against exact solutions, the onset of convection, and a published benchmark of a heated cavity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.sparse.linalg import eigs

import jaxsim as js
from jaxsim.equations import NavierStokesVelocity, ThermalConvection

# -- the onset of convection between plates ----------------------------------------------------------------------------
CRITICAL_RAYLEIGH, CRITICAL_WAVE_NUMBER = 1707.762, 3.117  # Chandrasekhar (1961), section II.15, table III


def critical_rayleigh(cells) -> float:
    """Rayleigh number at which the first disturbance of the conducting state neither grows nor decays.

    Half a wave between planes of symmetry; the Jacobian is linear in the Rayleigh number.
    """
    flow = js.Staggered(js.Grid(cells, 0.0, (np.pi / CRITICAL_WAVE_NUMBER, 1.0)), (js.FreeSlip(), js.NoSlip()))
    heat = flow.scalar((js.Neumann(), (js.Dirichlet(1.0), js.Dirichlet(0.0))))
    rest = flow.state(flow.field(lambda x, y: (0 * x, 0 * y))), heat.state(heat.field(lambda x, y: 1 - y))
    start, unravel = ravel_pytree(rest)

    @jax.jit
    def jacobian(rayleigh):
        term = js.SemilinearTerm(ThermalConvection(1.0, 1.0, rayleigh), (flow, heat))
        return jax.jacfwd(lambda y: ravel_pytree(term.vf(0.0, unravel(y)))[0])(start)

    without, some = (np.asarray(jacobian(rayleigh)) for rayleigh in (0.0, 1000.0))

    def growth(rayleigh):  # the shift lies above zero, where all steady and gradient modes are, and far below others
        matrix = without + (some - without) * rayleigh / 1000.0
        found = eigs(matrix, k=3, sigma=1.0, v0=np.ones(len(start)), return_eigenvectors=False)
        leading = found[np.argmax(found.real)]
        assert abs(leading.imag) < 1e-6  # exchange of stabilities
        return leading.real

    # Below the onset the largest rate is the zero of disturbances that the projection removes: start above.
    slope = (growth(1850.0) - growth(1800.0)) / 50.0
    guess = 1800.0 - growth(1800.0) / slope
    low, high = guess + 2.0, guess + 12.0
    rates = growth(low), growth(high)
    return low - rates[0] * (high - low) / (rates[1] - rates[0])


def test_convection_sets_in_at_the_critical_rayleigh_number():
    assert abs(critical_rayleigh((8, 20)) / CRITICAL_RAYLEIGH - 1) < 0.02


@pytest.mark.slow
def test_the_critical_rayleigh_number_is_of_second_order():
    coarse, fine = (critical_rayleigh(cells) / CRITICAL_RAYLEIGH - 1 for cells in ((5, 15), (10, 30)))
    assert abs(fine) < 0.01 and 3.6 < coarse / fine < 4.4 and abs((4 * fine - coarse) / 3) < 5e-4


# -- a cavity heated from the side -------------------------------------------------------------------------------------
# De Vahl Davis, Int. J. Numer. Meth. Fluids 3, 249 (1983), as tabulated in the validation of Cardinal:
# https://cardinal.cels.anl.gov/vv/square_cavity_natural_convection.html, table 2, columns "Benchmark".
# Largest horizontal velocity on the vertical center line, vertical one on the horizontal line, mean Nusselt number.
BENCHMARK = {1e3: (3.649, 3.697, 1.118), 1e4: (16.178, 19.617, 2.243), 1e5: (34.73, 68.59, 4.519)}


def peak(values: np.ndarray, nodes: np.ndarray) -> float:
    """Maximum of the polynomial through the five nodes around the largest value."""
    i = int(np.clip(np.argmax(values), 2, len(values) - 3))
    near = slice(i - 2, i + 3)
    fit = np.polynomial.Polynomial.fit(nodes[near], values[near], 4)
    return float(np.max(fit(np.linspace(nodes[i - 1], nodes[i + 1], 2001))))


def heated_cavity(rayleigh: float, cells: int, dt: float, time: float, stretching: float | None = None):
    """The benchmark's numbers for the flow at a time, and their largest relative change in the last fifth before it."""
    spread = None if stretching is None else js.TanhStretching(stretching)
    flow = js.Staggered(js.Grid((cells, cells), stretching=(spread, spread)), js.NoSlip())
    heat = flow.scalar(((js.Dirichlet(1.0), js.Dirichlet(0.0)), js.Neumann()))
    state = flow.field(lambda x, y: (0 * x, 0 * y)), heat.field(lambda x, y: 1 - x)
    steps = 5 * round(time / dt / 5)
    equation = ThermalConvection(0.71, 1.0, 0.71 * rayleigh)
    history = js.rollout(equation, state, dt=dt, steps=steps, save_every=steps // 5, solver=js.integrate.IMEXRK3())
    middle, heights = cells // 2, flow.grid.widths(1)
    numbers = []
    for k in (-2, -1):
        u, temperature = history[0][k], np.asarray(history[1][k].values)
        across, along = np.asarray(u[0].values)[middle - 1], np.asarray(u[1].values)[:, middle - 1]
        left, right = temperature[middle - 1], temperature[middle]
        slope = (right - left) / flow.grid.widths(0)[middle]
        nusselt = np.sum(heights * (across * (left + right) / 2 - slope))  # what crosses the middle crosses the walls
        numbers.append((peak(across, u[0].space.nodes(1)), peak(along, u[1].space.nodes(0)), nusselt))
    before, after = np.array(numbers)
    return after, float(np.max(np.abs(after / before - 1)))


@pytest.mark.slow
def test_heated_cavity_on_a_coarse_grid():
    numbers, change = heated_cavity(1e3, 20, dt=0.01, time=0.8)
    assert change < 1e-3
    np.testing.assert_allclose(numbers, BENCHMARK[1e3], rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rayleigh", "cells", "dt", "time", "stretching", "tolerance"),
    [
        (1e3, 32, 5e-3, 1.0, None, 0.004),
        (1e4, 40, 1e-3, 0.6, None, 0.008),
        (1e5, 48, 3e-4, 0.4, 1.0, 0.01),
    ],
)
def test_heated_cavity(rayleigh, cells, dt, time, stretching, tolerance):
    numbers, change = heated_cavity(rayleigh, cells, dt, time, stretching)
    assert change < 1e-3
    np.testing.assert_allclose(numbers, BENCHMARK[rayleigh], rtol=tolerance)


# -- exact solutions ---------------------------------------------------------------------------------------------------
def of_second_order(error, largest: float):
    """Whether the error on 16 cells is at most `largest`, and a quarter of that on 8."""
    coarse, fine = error(8), error(16)
    return fine < largest and 1.8 < np.log2(coarse / fine) < 2.2


@pytest.mark.slow
def test_vortices_between_walls_without_friction_decay():
    viscosity, time = 0.02, 1.0

    def exact(t, x, y):
        decay = np.exp(-2 * np.pi**2 * viscosity * t)
        sx, sy = jnp.sin(np.pi * x), jnp.sin(np.pi * y)
        return decay * sx * jnp.cos(np.pi * y), -decay * jnp.cos(np.pi * x) * sy

    def error(cells):
        space = js.Staggered(js.Grid((cells, cells)), js.FreeSlip())
        start = space.field(lambda x, y: exact(0.0, x, y))
        u = js.rollout(NavierStokesVelocity(viscosity), start, dt=time / 40, steps=40)
        assert float(jnp.max(jnp.abs(js.div(u).values))) < 1e-12
        return max(float(jnp.max(jnp.abs(a))) for a in space.state(u - space.field(lambda x, y: exact(time, x, y))))

    assert of_second_order(error, 0.01)


@pytest.mark.slow
def test_a_plate_drags_the_fluid_along():
    # What viscosity does to a shear flow is linear and exact in time for exponential solvers: one step.
    viscosity, time = 0.1, 0.7
    n = np.arange(1, 60)[:, None]

    def error(cells):
        space = js.Staggered(js.Grid((4, cells)), (js.Periodic(), (js.NoSlip(), js.MovingWall((1.0, 0.0)))))
        rest = space.field(lambda x, y: (0 * x, 0 * y))
        u = js.rollout(NavierStokesVelocity(viscosity), rest, dt=time, steps=1)
        y = u[0].space.nodes(1)
        series = 2 * (-1.0) ** n / (n * np.pi) * np.exp(-((n * np.pi) ** 2) * viscosity * time) * np.sin(n * np.pi * y)
        return np.max(np.abs(np.asarray(u[0].values) - (y + series.sum(0))))

    assert of_second_order(error, 2e-3)


@pytest.mark.slow
def test_flow_through_a_square_duct():
    viscosity, push = 0.5, 3.0
    n = np.arange(1, 40, 2)[:, None, None]

    def exact(y, z):  # White, Viscous Fluid Flow (1991), eq. 3-48, for a duct of unit side
        across = 1 - np.cosh(n * np.pi * (z - 0.5)) / np.cosh(n * np.pi / 2)
        return np.sum(4 * push / (viscosity * np.pi**3) / n**3 * across * np.sin(n * np.pi * y), axis=0)

    def error(cells):
        space = js.Staggered(js.Grid((4, cells, cells)), (js.Periodic(), js.NoSlip(), js.NoSlip()))
        rest = space.field(lambda x, y, z: (0 * x, 0 * y, 0 * z))
        equation = NavierStokesVelocity(viscosity, forcing=lambda t, x, y, z: (push + 0 * x, 0 * y, 0 * z))
        u = js.rollout(equation, rest, dt=20.0, steps=1)[0]
        line = u.space.nodes(1)
        return np.max(np.abs(np.asarray(u.values) - exact(line[:, None], line[None, :])))

    largest = float(exact(np.array([[0.5]]), np.array([[0.5]]))[0, 0])
    assert of_second_order(error, 0.01 * largest)
