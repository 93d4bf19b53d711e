"""Steps bounded by a Courant number: their sizes, what limits them, and runs that exceed the bound."""

import re

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import ETDRK1, ETDRK2, SBDF2, Courant, Diverged, TransportRate
from jaxsim.neural_de import Hybrid

PERIOD = 2 * np.pi


def line(n=50):
    return js.Fourier(js.Grid(n, 0.0, 1.0)).field(lambda x: jnp.sin(PERIOD * x))


def plane(n=16):
    space = js.Fourier(js.Grid((n, n), 0.0, PERIOD))
    return space.field(lambda x, y: jnp.sin(2 * x) * jnp.cos(y) + jnp.cos(x + y))


def steps(solution):
    return int(solution.stats["num_accepted_steps"])


def recorded(equation, u0, **options):
    """Ends of all steps, their sizes, and their Courant numbers by the states at their beginnings."""
    run = js.solve(equation, u0, saveat=dfx.SaveAt(t0=True, steps=True), **options)
    count = steps(run)
    sizes = np.diff(run.ts[: count + 1])
    rate = TransportRate(js.SemilinearTerm(equation, u0.space))
    rates = [float(rate(t, u0.space.state(u))) for t, u in zip(run.ts[:count], run.ys, strict=False)]
    return run, sizes, sizes * np.array(rates)


def test_a_known_speed_gives_the_number_of_steps():
    solve = lambda c, u, **more: js.solve(js.equations.Advection(c), u, **more, solver=ETDRK1())
    wind = solve(-2.0, line(), t1=1.0, courant=0.4)
    assert steps(wind) == 250  # 0.4 / (2 * 50)
    both = js.Fourier(js.Grid((10, 20), 0.0, (1.0, 4.0))).field(lambda x, y: jnp.sin(PERIOD * x) + 0 * y)
    assert steps(solve([1.0, -3.0], both, t1=1.0, courant=0.5)) == 50  # 10 + 3 * 5
    saved = solve(2.0, line(), t1=1.0, courant=0.4, saveat=[0.0101, 0.5, 1.0])
    assert steps(saved) == 3 + 123 + 125
    np.testing.assert_allclose(saved.ts, [0.0101, 0.5, 1.0])
    np.testing.assert_allclose(saved.ys.values[1], line().values, atol=1e-12)
    late = solve(-2.0, line(), t0=1e5, t1=1e5 + 1, courant=0.4)
    np.testing.assert_array_equal(late.ys.values, wind.ys.values)


def test_every_step_keeps_the_bound_and_most_reach_it():
    run, sizes, numbers = recorded(js.equations.Burgers(5e-3), 1.5 * line(), t1=0.5, courant=0.5)
    assert np.all(numbers <= 0.5 * (1 + 1e-9))
    np.testing.assert_allclose(numbers[:-1], 0.5, rtol=1e-9)
    assert sizes[-2] > 1.02 * sizes[0]  # the wave decays
    reference = js.rollout(js.equations.Burgers(5e-3), 1.5 * line(), dt=1e-3, steps=500)
    assert js.norm(run.ys[steps(run)] - reference) < 2e-4 * js.norm(reference)


def test_the_shorter_step_wins():
    flow, w0 = js.equations.NavierStokesVorticity(1e-2), plane(8)
    loose, _, numbers = recorded(flow, w0, t1=1.0, courant=0.3, rtol=1e-2)
    assert np.all(numbers <= 0.3 * (1 + 1e-9)) and np.sum(numbers > 0.299) >= 3
    tight, _, numbers = recorded(flow, w0, t1=1.0, courant=0.3, rtol=1e-8)
    assert steps(tight) > 2 * steps(loose) and np.max(numbers) < 0.299
    short, sizes, _ = recorded(js.equations.Burgers(5e-3), 1.5 * line(), t1=0.5, courant=0.5, dt=0.006)
    assert np.max(sizes) <= 0.006 * (1 + 1e-9) and steps(short) >= 84


def test_a_flow_at_rest_is_bounded_by_what_else_there_is():
    rest = 0 * line()
    assert steps(js.solve(js.equations.Burgers(0.1), rest, t1=1.0, courant=0.5)) == 1
    assert steps(js.solve(js.equations.Burgers(0.1), rest, t1=1.0, dt=0.25, courant=0.5)) == 4
    assert js.rollout(js.equations.Burgers(0.1), rest, dt=0.25, steps=4, courant=0.5) is not None


@pytest.mark.parametrize("solver", [SBDF2(), dfx.Euler(), dfx.Midpoint()])
def test_solvers_without_an_error_estimate_adapt(solver):
    run = js.solve(js.equations.Burgers(2e-3), line(), t1=0.1, courant=0.1, solver=solver)
    reference = js.rollout(js.equations.Burgers(2e-3), line(), dt=1e-3, steps=100)
    assert steps(run) in (50, 51)
    assert js.norm(run.ys[-1] - reference) < 3e-2 * js.norm(reference)


def test_a_rollout_ends_before_the_step_that_is_too_long():
    equation, u0 = js.equations.Burgers(1e-2), line()
    with pytest.raises(Diverged, match=r"Courant number 1\.25 exceeds the bound 0\.5 at t = 3; take dt <= 0\.00498,"):
        js.rollout(js.equations.Advection(2.0), u0, dt=0.0125, steps=10, t0=3.0, courant=0.5)
    exact = js.rollout(js.equations.Advection(2.0), u0, dt=0.005, steps=10, courant=0.5)
    np.testing.assert_array_equal(exact.values, js.rollout(js.equations.Advection(2.0), u0, dt=0.005, steps=10).values)

    class Accelerated(js.Equation):
        """Transport at the speed t."""

        def nonlinear(self, t, u):
            return -t * js.partial(u, 0)

        def signal_speeds(self, t, u):
            return [t]

    # dt * t / dx = 0.5 t, which first exceeds the bound at t = 0.27
    ending = js.march(Accelerated(), line(50), dt=0.01, steps=40, courant=0.131)
    assert not ending.succeeded and ending.steps == 27
    np.testing.assert_allclose([ending.time, ending.courant], [0.27, 0.135], rtol=1e-12)
    same = js.rollout(Accelerated(), line(50), dt=0.01, steps=27, courant=0.131)  # no step begins at t = 0.27
    np.testing.assert_array_equal(ending.value.values, same.values)
    fine = js.march(equation, u0, dt=0.005, steps=10, courant=0.5)
    assert fine.succeeded and 0.24 < fine.courant <= 0.251
    with pytest.raises(eqx.EquinoxRuntimeError, match="exceeds the bound on its Courant number"):
        eqx.filter_jit(lambda u: js.rollout(equation, u, dt=0.05, steps=4, courant=0.5))(u0)


def test_gradients_and_precision():
    equation, u0 = js.equations.Burgers(1e-2), line()
    size = lambda a, **more: js.norm(js.rollout(equation, a * u0, dt=0.005, steps=8, solver=ETDRK2(), **more))
    assert jax.grad(size)(1.1) == jax.grad(lambda a: size(a, courant=0.5))(1.1)
    low = jax.tree.map(lambda a: a.astype(jnp.float32), u0)
    run = js.solve(js.equations.Advection(-2.0), low, t1=1.0, courant=0.4, solver=ETDRK1())
    assert run.ys.values.dtype == jnp.float32 and steps(run) in (250, 251)
    assert js.march(equation, low, dt=0.005, steps=8, solver=ETDRK2(), courant=0.5).courant.dtype == jnp.float32


@pytest.mark.slow
def test_gradients_of_steps_that_a_bound_chose():
    equation, u0 = js.equations.Burgers(1e-2), line()
    size = lambda a: js.norm(js.rollout(equation, a * u0, dt=0.005, steps=8, solver=ETDRK2()))
    end = lambda a: js.norm(js.solve(equation, a * u0, t1=0.04, courant=0.25, solver=dfx.Heun()).ys[-1])
    np.testing.assert_allclose(jax.grad(end)(1.1), jax.grad(size)(1.1), rtol=1e-3)


def test_the_controller_works_in_diffrax():
    term = dfx.ODETerm(lambda t, y, args: -y)
    rate = lambda t, y: jnp.sum(jnp.abs(y)) + t
    y0 = jnp.array([1.0, 2.0])
    for inner in (None, dfx.PIDController(rtol=1e-2, atol=1e-3)):
        out = dfx.diffeqsolve(
            term, dfx.Heun(), 0.0, 1.0, 0.5, y0, stepsize_controller=Courant(0.2, rate, inner),
            saveat=dfx.SaveAt(t0=True, steps=True),
        )  # fmt: skip
        count = int(out.stats["num_accepted_steps"])
        numbers = np.diff(out.ts[: count + 1]) * [float(rate(t, y)) for t, y in zip(out.ts[:count], out.ys)]
        assert np.all(numbers <= 0.2 * (1 + 1e-12)) and np.all(numbers[1:-1] > 0.1)
    back = dfx.diffeqsolve(
        term, dfx.Heun(), 1.0, 0.0, -0.5, y0, stepsize_controller=Courant(0.05, lambda t, y: 1.0 + t),
        saveat=dfx.SaveAt(t0=True, steps=True),
    )  # fmt: skip
    count = int(back.stats["num_accepted_steps"])
    np.testing.assert_allclose(-np.diff(back.ts[: count + 1])[:-1], 0.05 / (1 + back.ts[: count - 1]), rtol=1e-12)
    given = js.solve(
        js.equations.Advection(1.0), line(), t1=1.0, stepsize_controller=Courant(0.5, lambda t, y: jnp.asarray(50.0))
    )
    assert steps(given) == 100


def test_a_check_in_a_rollout_shares_the_transforms_of_the_step():
    flow, w0 = js.equations.NavierStokesVorticity(1e-2), plane()

    def transforms(bound):
        run = jax.jit(lambda w: js.march(flow, w, dt=1e-3, steps=6, courant=bound).value.coefficients)
        return len(re.findall(r" fft\(", run.lower(w0).compile().as_text()))

    assert transforms(0.5) <= transforms(None) + 1  # of the first state


# -- speeds -----------------------------------------------------------------------------------------------------------
def rate_of(equation, state, t=0.0):
    fields = jax.tree.leaves(state, is_leaf=lambda f: isinstance(f, js.Field))
    spaces = jax.tree.map(lambda f: f.space, state, is_leaf=lambda f: isinstance(f, js.Field))
    bare = jax.tree.map(lambda f: f.space.state(f), state, is_leaf=lambda f: isinstance(f, js.Field))
    assert fields
    return float(TransportRate(js.SemilinearTerm(equation, spaces))(t, bare))


def test_the_speeds_of_the_catalog():
    space = js.Fourier(js.Grid((16, 8), 0.0, PERIOD), dealias=1)  # products on the nodes of the grid
    dx, dy = PERIOD / 16, PERIOD / 8
    field, eq = space.field, js.equations
    shear = field(lambda x, y: -3 * jnp.cos(y) + 0 * x)  # of the velocity (3 sin y, 0)
    still = field(lambda x, y: 0 * x)
    close = lambda found, expected: np.testing.assert_allclose(found, expected, rtol=1e-12)
    close(rate_of(eq.NavierStokesVorticity(0.1), shear), 3 / dx)
    drifting = eq.NavierStokesVorticity(0.1, drag=0.5, mean_flow=[1.0, -2.0])
    close(rate_of(drifting, shear, t=2.0), (3 + np.exp(-1)) / dx + 2 * np.exp(-1) / dy)
    close(rate_of(eq.NavierStokesVorticity(0.1), (shear, field(lambda x, y: jnp.stack([1 + 0 * x, 0 * x])))), 4 / dx)
    pair = field(lambda x, y: jnp.stack([-3 * jnp.cos(y), 9.0 + 0 * x]))
    close(rate_of(eq.PassiveScalar(eq.NavierStokesVorticity(0.1), 0.1), pair), 3 / dx)
    close(rate_of(eq.Boussinesq(0.1, 0.1), pair), 3 / dx)
    charged = field(lambda x, y: jnp.stack([-3 * jnp.cos(y), 2 * jnp.sin(y) + 0 * x]))  # B = (2 cos y, 0)
    close(rate_of(eq.Magnetohydrodynamics(0.1, 0.1), charged), (3 + 2) * np.sqrt(0.5) / dx)
    close(rate_of(eq.Magnetohydrodynamics(0.1, 0.1, mean_field=[0.0, 5.0]), still_pair(space)), 5 / dy)
    water = field(lambda x, y: jnp.stack([0.21 + 0 * x, 0.5 + 0 * x, -0.25 + 0 * x]))
    wave = np.sqrt(9.81 * 1.21)
    close(rate_of(eq.ShallowWater(1.0, 9.81), water), (0.5 + wave) / dx + (0.25 + wave) / dy)
    flow = field(lambda x, y: jnp.stack([3 * jnp.sin(y), 0 * x]))
    close(rate_of(eq.NavierStokesVelocity(0.1), flow), 3 / dx)
    close(rate_of(eq.Burgers(0.1), flow), 3 / dx)
    close(rate_of(eq.ThermalConvection(0.1, 0.1), (flow, still)), 3 / dx)
    close(rate_of(eq.Wave(2.0), still_pair(space)), 2 / dx + 2 / dy)
    close(rate_of(eq.AdvectionDiffusion([1.0, -2.0], 0.1), still), 1 / dx + 2 / dy)
    close(rate_of(eq.KuramotoSivashinskyIntegral(), field(lambda x, y: jnp.sin(2 * x) + 0 * y)), 2 / dx)
    close(rate_of(eq.KortewegDeVries(), line(16)), 6 * 16)
    learned = Hybrid(eq.Burgers(0.1), lambda t, u: 0 * u)
    close(rate_of(learned, flow), 3 / dx)


def still_pair(space):
    return space.field(lambda x, y: jnp.stack([0 * x, 0 * x]))


def test_small_cells_count():
    grid = js.Grid(16, 0.0, 1.0, js.TanhStretching(1.5))
    space = js.FiniteDifference(grid, js.Dirichlet())
    near = space.field(lambda x: jnp.where(x < 0.05, 1.0, 0.0))
    gap = np.diff(space.nodes(0))[0]
    np.testing.assert_allclose(rate_of(js.equations.Burgers(0.1), near), 1 / gap)
    assert gap < 0.5 / 16
    walls = js.Staggered(js.Grid((4, 8), 0.0, (1.0, 1.0), (None, js.TanhStretching(1.0))), js.FreeSlip())
    u = walls.field(lambda x, y: (jnp.sin(np.pi * x), 0 * y + 0.5))
    widths = walls.grid.widths(1)
    rate = rate_of(js.equations.NavierStokesVelocity(0.1), u)
    assert 0.25 / widths[0] < rate < 4 + 0.5 / widths[0]


def test_what_is_refused():
    class Silent(js.Equation):
        def nonlinear(self, t, u):
            return -u

    class Forgetful(Silent):
        def signal_speeds(self, t, u):
            u * 1.0

    class Short(Silent):
        def signal_speeds(self, t, u):
            return [u, u]

    for equation, message in ((Silent(), "write its method"), (Forgetful(), "`return` missing"), (Short(), "per axis")):
        with pytest.raises(TypeError, match=message):
            js.solve(equation, line(), t1=1.0, courant=0.5)
    with pytest.raises(TypeError, match="write its method"):
        js.rollout(Silent(), line(), dt=0.1, steps=2, courant=0.5)
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="positive"):
            js.rollout(js.equations.Burgers(0.1), line(), dt=0.1, steps=2, courant=bad)
        with pytest.raises(ValueError, match="positive"):
            js.solve(js.equations.Burgers(0.1), line(), t1=1.0, courant=bad)
    with pytest.raises(ValueError, match="leave out the controller"):
        constant = dict(dt=0.1, stepsize_controller=dfx.ConstantStepSize())
        js.solve(js.equations.Burgers(0.1), line(), t1=1.0, courant=0.5, **constant)
