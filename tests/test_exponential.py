"""Exponential Runge-Kutta solvers: order, error estimates, adaptive steps, gradients, and how they meet diffrax."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from time_stepping import (
    CASES,
    adaptive_errors,
    burgers,
    distance,
    estimated_order,
    gradient_errors,
    kuramoto_sivashinsky,
    observed_order,
    run,
    schrodinger,
    slow,
)

import jaxsim as js
from jaxsim.integrate import ETDRK1, ETDRK2, ETDRK3, ETDRK4, HochbruckOstermann4, Krogstad4

pytestmark = pytest.mark.filterwarnings("ignore:Complex dtype support")

SCHEMES = [ETDRK1, ETDRK2, ETDRK3, ETDRK4, Krogstad4, HochbruckOstermann4]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_order(scheme, name):
    assert abs(observed_order(scheme(), name) - scheme().order(None)) < 0.25


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s is not ETDRK1])
def test_error_estimate_has_the_order_that_controllers_assume(scheme):
    assert abs(estimated_order(scheme(), burgers(), 0.02) - scheme().error_order(None)) < 0.25


@pytest.mark.parametrize(
    ("scheme", "problem"),
    [(s, burgers) for s in (ETDRK2, ETDRK3)]
    + [(s, kuramoto_sivashinsky) for s in (ETDRK4, Krogstad4, HochbruckOstermann4)]
    + slow([(s, kuramoto_sivashinsky) for s in (ETDRK2, ETDRK3)]),
)
def test_adaptive_steps_reach_their_tolerance(scheme, problem):
    tolerances = (1e-3, 1e-5) if scheme is ETDRK2 else (1e-4, 1e-6, 1e-8)
    assert max(adaptive_errors(scheme(), problem(), tolerances)) < 20


def test_exponential_euler_does_not_adapt():
    problem = burgers()
    with pytest.raises(RuntimeError, match="error estimates"):
        adaptive_errors(ETDRK1(), problem, (1e-2,))


@pytest.mark.parametrize("scheme", [Krogstad4, *slow([ETDRK1, ETDRK2, ETDRK3, ETDRK4, HochbruckOstermann4])])
def test_gradient_of_a_rollout(scheme):
    assert max(gradient_errors(scheme())) < 1e-6


def test_dense_output_knows_the_slope():
    problem = burgers()

    @eqx.filter_jit
    def step(t, dt):
        solver = Krogstad4()
        state = solver.init(problem.term, t, t + dt, problem.start, None)
        y1, _, dense, _, _ = solver.step(problem.term, t, t + dt, problem.start, None, state, False)
        middle = solver.interpolation_cls(t0=t, t1=t + dt, **dense).evaluate(t + dt / 2)
        return dense, [dt * problem.term.vf(t, problem.start), dt * problem.term.vf(t + dt, y1)], middle

    dt = 0.05
    dense, slopes, middle = step(jnp.asarray(0.3), jnp.asarray(dt))
    np.testing.assert_allclose(dense["k0"], slopes[0], atol=1e-14)
    np.testing.assert_allclose(dense["k1"], slopes[1], atol=1e-14)
    exact = run(HochbruckOstermann4(), problem.term, problem.start, dt / 2, 50)
    assert distance(middle, exact) < 1e-5


def test_stock_solver_on_the_same_term():
    problem = burgers()
    controller = dfx.PIDController(rtol=1e-10, atol=1e-11)
    stock = dfx.diffeqsolve(problem.term, dfx.Tsit5(), 0.0, problem.duration, 1e-3, problem.start,
                            stepsize_controller=controller, max_steps=None)  # fmt: skip
    assert distance(stock.ys[0], run(ETDRK4(), problem.term, problem.start, problem.duration, 400)) < 1e-9


def test_backward_in_time():
    problem = schrodinger()
    controller = dfx.PIDController(rtol=1e-9, atol=1e-10)
    back = dfx.diffeqsolve(problem.term, Krogstad4(), problem.duration, 0.0, None, problem.end,
                           stepsize_controller=controller)  # fmt: skip
    assert distance(back.ys[0], problem.start) < 1e-7


class AdvectionDiffusion(js.Equation):
    speed: float | jax.Array
    diffusivity: float | jax.Array

    def linear(self, u):
        return self.diffusivity * js.laplacian(u) - self.speed * js.partial(u, 0)


class Wave(js.Equation):
    """Displacement and velocity, coupled in every mode."""

    speed: float | jax.Array

    def linear(self, state):
        displacement, velocity = state
        return velocity, self.speed**2 * js.laplacian(displacement)


@pytest.mark.parametrize("scheme", [ETDRK1, Krogstad4])
def test_linear_equations_are_solved_exactly(scheme):
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    u0 = space.field(lambda x: jnp.sin(x) + jnp.cos(5 * x))
    u = js.rollout(AdvectionDiffusion(1.3, 0.07), u0, dt=0.25, steps=4, solver=scheme())
    x = space.coordinates()[0] - 1.3
    np.testing.assert_allclose(u.values, np.exp(-0.07) * np.sin(x) + np.exp(-0.07 * 25) * np.cos(5 * x), atol=1e-13)


@pytest.mark.parametrize("scheme", [ETDRK1, Krogstad4])
def test_coupled_linear_equations_are_solved_exactly(scheme):
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    u0 = space.field(lambda x: jnp.stack([jnp.sin(3 * x), 0 * x]))
    u = js.rollout(Wave(2.0), u0, dt=0.1, steps=10, solver=scheme())
    x = space.coordinates()[0]
    np.testing.assert_allclose(u.values[0], np.cos(6.0) * np.sin(3 * x), atol=1e-13)
    np.testing.assert_allclose(u.values[1], -6 * np.sin(6.0) * np.sin(3 * x), atol=1e-12)


def test_linear_equations_step_adaptively():
    """Nothing is left to estimate: the controller only grows its steps."""
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
    start = space.state(space.field(jnp.sin))
    term = js.SemilinearTerm(AdvectionDiffusion(0.5, 0.1), space)
    solution = dfx.diffeqsolve(term, Krogstad4(), 0.0, 1.0, 0.01, start,
                               stepsize_controller=dfx.PIDController(rtol=1e-6, atol=1e-6))  # fmt: skip
    np.testing.assert_allclose(solution.ys[0], start * np.exp(-0.1 - 0.5j), atol=1e-13)
    assert solution.stats["num_steps"] < 6


@pytest.mark.parametrize("scheme", [ETDRK2, Krogstad4])
def test_jumps_discard_the_last_slope(scheme):
    problem, dt = burgers(), jnp.asarray(0.01)
    solver = scheme().prepare(problem.term, 0.01, problem.start)

    @jax.jit
    def step(state, jumped):
        return solver.step(problem.term, 0 * dt, dt, problem.start, None, state, jumped)[0]

    state = solver.init(problem.term, 0 * dt, dt, problem.start, None)
    wrong = jax.tree.map(jnp.zeros_like, state)
    np.testing.assert_allclose(step(wrong, True), step(state, False), rtol=0, atol=1e-15)
    assert distance(step(wrong, False), step(state, False)) > 1e-4


def test_single_precision_stays_single_and_loses_no_more():
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    x = space.coordinates()[0]
    values = np.sin(x) + 0.5 * np.cos(2 * x)
    runs = [
        js.rollout(js.equations.Burgers(0.1), space.field(jnp.asarray(values, dtype)), dt=0.01, steps=50)
        for dtype in (jnp.float32, jnp.float64)
    ]
    assert runs[0].values.dtype == jnp.float32
    assert distance(runs[0].values, runs[1].values) < 1e-6


def test_adaptive_steps_in_single_precision():
    problem = burgers()
    solution = dfx.diffeqsolve(
        problem.term, Krogstad4(), np.float32(0), np.float32(problem.duration), None,
        problem.start.astype(jnp.complex64), stepsize_controller=dfx.PIDController(rtol=1e-4, atol=1e-5),
    )  # fmt: skip
    assert solution.ys.dtype == jnp.complex64
    assert distance(solution.ys[0], problem.end) < 1e-4


def rollout_of(viscosity):
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
    return js.rollout(js.equations.Burgers(viscosity), space.field(jnp.sin), dt=0.02, steps=10).values


def test_vmap_over_a_parameter():
    viscosities = jnp.array([0.1, 0.2, 0.4])
    together = jax.vmap(rollout_of)(viscosities)
    np.testing.assert_allclose(together, [rollout_of(float(nu)) for nu in viscosities], atol=1e-13)


def test_a_sweep_compiles_once(monkeypatch):
    traced, step = [], Krogstad4.step

    def counted(self, *args, **kwargs):
        traced.append(1)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(Krogstad4, "step", counted)
    space = js.Fourier(js.Grid(18, 0.0, 2 * np.pi))
    counts = []
    for viscosity, dt in ((0.1, 0.02), (0.15, 0.02), (0.2, 0.01)):
        js.rollout(js.equations.Burgers(viscosity), space.field(jnp.sin), dt=dt, steps=7)
        counts.append(len(traced))
    assert counts[0] > 0 and counts == [counts[0]] * 3


def test_other_terms_are_refused():
    term = dfx.ODETerm(lambda t, y, args: -y)
    with pytest.raises(ValueError, match="not compatible"):
        dfx.diffeqsolve(term, Krogstad4(), 0.0, 1.0, 0.1, jnp.ones(3))
