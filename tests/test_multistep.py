"""Multistep solvers: order with equal and varying steps, start-up, restarts, cost, error estimates and gradients."""

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
    case,
    distance,
    error,
    estimated_order,
    gradient_errors,
    kuramoto_sivashinsky,
    observed_order,
    run,
    slow,
)

import jaxsim as js
from jaxsim.integrate import ETDAB2, ETDAB3, ETDAB4, IMEXRK4, SBDF2, SBDF3, Krogstad4

pytestmark = pytest.mark.filterwarnings("ignore:Complex dtype support")

ADAMS = [ETDAB2, ETDAB3, ETDAB4]
SCHEMES = [*ADAMS, SBDF2, SBDF3]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_order(scheme, name):
    """SBDF3 amplifies waves that its steps resolve badly: its order shows once they resolve all of them."""
    assert abs(observed_order(scheme(), name) - scheme().order(None)) < 0.25


@pytest.mark.parametrize("scheme", ADAMS)
def test_error_estimate_has_the_order_that_controllers_assume(scheme):
    assert abs(estimated_order(scheme(), burgers(), 0.02) - scheme().error_order(None)) < 0.25


@pytest.mark.parametrize(
    ("scheme", "problem"),
    [(ETDAB2, burgers), (ETDAB3, burgers), (ETDAB4, kuramoto_sivashinsky)]
    + slow([(ETDAB2, kuramoto_sivashinsky), (ETDAB3, kuramoto_sivashinsky), (ETDAB4, burgers)]),
)
def test_adaptive_steps_reach_their_tolerance(scheme, problem):
    tolerances = (1e-3, 1e-5) if scheme is ETDAB2 else (1e-4, 1e-6, 1e-8)
    assert max(adaptive_errors(scheme(), problem(), tolerances)) < 20


@pytest.mark.parametrize("scheme", [ETDAB3, SBDF2, *slow([ETDAB2, ETDAB4, SBDF3])])
def test_gradient_of_a_rollout(scheme):
    assert max(gradient_errors(scheme())) < 1e-6


LONGEST = 800


@eqx.filter_jit
def along(solver, term, y, times, count):
    """The state after `count` steps of any sizes."""

    def body(i, carry):
        y, state = carry
        y, _, _, state, _ = solver.step(term, times[i], times[i + 1], y, None, state, made_jump=False)
        return y, state

    state = solver.init(term, times[0], times[1], y, None)
    return jax.lax.fori_loop(0, count, body, (y, state))[0]


def uneven(duration, count):
    """Times whose steps differ by factors of up to three from each to the next."""
    steps = np.random.default_rng(0).uniform(0.5, 1.5, 50)
    times = np.interp(np.linspace(0, 50, count + 1), np.arange(51), np.r_[0, np.cumsum(steps)])
    sizes = np.diff(times) * np.tile([1.0, 0.6, 1.3], count)[:count]
    return duration * np.r_[0, np.cumsum(sizes) / sizes.sum()]


def error_along(solver, times):
    problem = burgers()
    padded = jnp.asarray(np.pad(times, (0, LONGEST + 1 - len(times)), mode="edge"))
    return distance(along(solver, problem.term, problem.start, padded, len(times) - 1), problem.end)


@pytest.mark.parametrize("scheme", ADAMS)
def test_order_with_steps_that_vary(scheme):
    errors = [error_along(scheme(), uneven(burgers().duration, count)) for count in (75, 150)]
    assert abs(np.log2(errors[0] / errors[1]) - scheme().order(None)) < 0.25


@pytest.mark.parametrize("scheme", [SBDF2, SBDF3])
def test_a_changed_step_restarts_sbdf(scheme):
    """Each run of equal steps starts anew, without loss of order."""
    duration = burgers().duration

    def error(count):
        return error_along(scheme(), np.r_[np.linspace(0, 0.3, count)[:-1], np.linspace(0.3, 1, count)] * duration)

    assert abs(np.log2(error(100) / error(200)) - scheme().order(None)) < 0.25


@pytest.mark.parametrize("scheme", [ETDAB3, SBDF3])
def test_coefficients_agree_with_those_of_the_step(scheme):
    problem, count = burgers(), 60
    inside = error_along(scheme(), np.linspace(0, problem.duration, count + 1))
    y = run(scheme(), problem.term, problem.start, problem.duration, count)
    np.testing.assert_allclose(inside, distance(y, problem.end), rtol=1e-6)


def test_step_to_gives_the_same_steps():
    problem = burgers()
    times = uneven(problem.duration, 40)
    solution = dfx.diffeqsolve(problem.term, ETDAB3(), 0.0, times[-1], None, problem.start,
                               stepsize_controller=dfx.StepTo(jnp.asarray(times)), max_steps=64)  # fmt: skip
    np.testing.assert_allclose(distance(solution.ys[0], problem.end), error_along(ETDAB3(), times), rtol=1e-8)


def test_adaptive_controllers_refuse_sbdf():
    problem = burgers()
    with pytest.raises(RuntimeError, match="error estimate"):
        dfx.diffeqsolve(problem.term, SBDF2(), 0.0, 0.1, 0.01, problem.start,
                        stepsize_controller=dfx.PIDController(rtol=1e-3, atol=1e-3))  # fmt: skip


@pytest.mark.parametrize("scheme", [ETDAB3, SBDF3])
def test_jumps_discard_the_history(scheme):
    problem, dt = burgers(), jnp.asarray(0.01)
    solver = scheme().prepare(problem.term, 0.01, problem.start)

    @jax.jit
    def step(state, jumped):
        y, _, _, state, _ = solver.step(problem.term, 3 * dt, 4 * dt, problem.start, None, state, jumped)
        return y, state.count

    fresh = solver.init(problem.term, 3 * dt, 4 * dt, problem.start, None)
    wrong = jax.tree.map(lambda a: jnp.full_like(a, 3), fresh)
    after, count = step(wrong, True)
    np.testing.assert_allclose(after, step(fresh, False)[0], rtol=0, atol=1e-15)
    assert count == 1
    assert distance(step(wrong, False)[0], after) > 1e-3


class Counted(js.Equation):
    """Burgers' equation that reports each evaluation of its nonlinear part."""

    report: object = eqx.field(static=True)

    def linear(self, u):
        return 0.1 * js.laplacian(u)

    def nonlinear(self, t, u):
        jax.debug.callback(self.report)
        return -0.5 * js.partial(u * u, 0)


@pytest.mark.parametrize(("scheme", "stages"), [(ETDAB4, 4), (SBDF2, 2)])
def test_one_evaluation_per_step(scheme, stages):
    calls = []
    space = js.Fourier(js.Grid(8, 0.0, 2 * np.pi))
    u0 = space.field(jnp.sin)
    jax.block_until_ready(js.rollout(Counted(lambda: calls.append(1)), u0, dt=0.01, steps=20, solver=scheme()).values)
    jax.effects_barrier()
    assert len(calls) == 1 + 20 + stages * scheme.starts


class AdvectionDiffusion(js.Equation):
    speed: float | jax.Array
    diffusivity: float | jax.Array

    def linear(self, u):
        return self.diffusivity * js.laplacian(u) - self.speed * js.partial(u, 0)


@pytest.mark.parametrize(("scheme", "tolerance"), [(ETDAB3, 1e-13), (SBDF3, 2e-4)])
def test_linear_equations(scheme, tolerance):
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
    u = js.rollout(AdvectionDiffusion(1.3, 0.07), space.field(jnp.sin), dt=0.05, steps=20, solver=scheme())
    np.testing.assert_allclose(u.values, np.exp(-0.07) * np.sin(space.coordinates()[0] - 1.3), atol=tolerance)


@pytest.mark.parametrize("scheme", [ETDAB3, SBDF2])
def test_single_precision_late_in_time(scheme):
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    x = space.coordinates()[0]
    single, double = (
        js.rollout(js.equations.Burgers(0.1), space.field(jnp.asarray(np.sin(x), dtype)), dt=0.01, steps=50,
                   t0=100.0, solver=scheme()).values
        for dtype in (jnp.float32, jnp.float64)
    )  # fmt: skip
    assert single.dtype == jnp.float32
    assert distance(single, double) < 3e-6


class KleinGordon(js.Equation):
    """A cubic field and its rate, coupled by one matrix per mode."""

    def linear(self, state):
        field, rate = state
        return rate, js.laplacian(field) - field

    def nonlinear(self, t, state):
        cubed = js.pointwise(lambda a: a**3, state[0], degree=3)
        return 0 * cubed, -cubed


@pytest.mark.parametrize("scheme", [ETDAB4, SBDF3, Krogstad4, IMEXRK4])
def test_order_for_coupled_components(scheme):
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
    problem = case(KleinGordon(), space, lambda x: jnp.stack([1 + jnp.sin(x), jnp.cos(x)]), 1.0)
    errors = [error(scheme(), problem, count) for count in (100, 200)]
    assert abs(np.log2(errors[0] / errors[1]) - scheme().order(None)) < 0.25


def test_vmap_over_a_parameter_keeps_the_starter_out_of_the_loop():
    """One member's history is complete when all are, so the batched step still branches instead of doing both."""
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))

    def final(viscosity):
        u0 = space.field(jnp.sin)
        return js.rollout(js.equations.Burgers(viscosity), u0, dt=0.02, steps=10, solver=ETDAB3()).values

    viscosities = jnp.array([0.1, 0.4])
    np.testing.assert_allclose(jax.vmap(final)(viscosities), [final(0.1), final(0.4)], atol=1e-13)

    problem, dt, solver = burgers(), jnp.asarray(0.01), ETDAB4()
    state = solver.init(problem.term, 0 * dt, dt, problem.start, None)

    def step(y, state):
        return solver.step(problem.term, 0 * dt, dt, y, None, state, made_jump=False)[0]

    batch = jax.tree.map(lambda a: jnp.stack([a, a]), (problem.start, state))
    jaxpr = jax.make_jaxpr(jax.vmap(step))(*batch)
    assert any(equation.primitive.name == "cond" for equation in jaxpr.eqns)


class Square(js.Equation):
    """u_t = -u + c (t + t²/2), which c t²/2 solves and exponential schemes of order 3 integrate exactly."""

    size: float

    def linear(self, u):
        return -u

    def nonlinear(self, t, u):
        return js.sample(lambda t, x: self.size * (t + t**2 / 2) + 0 * x, t, u)


def test_dense_output_is_exact_where_the_steps_are():
    """In the starter's steps and after them: values and slopes at both ends of a step are those of the solution."""
    u0 = js.Fourier(js.Grid(4)).field(lambda x: 1e3 * 0.3**2 / 2 + 0 * x)
    run = js.solve(Square(1e3), u0, t0=0.3, t1=1.1, dt=0.1, solver=ETDAB3(), saveat=dfx.SaveAt(dense=True))
    for t in (0.33, 0.47, 0.75, 1.02, 1.08):
        np.testing.assert_allclose(u0.space.bind(run.evaluate(t)).values, 1e3 * t**2 / 2, rtol=1e-11)


def test_dense_output_of_implicit_schemes_has_the_walls_of_both_ends_of_a_step():
    """u = x² + 2 D t between walls that follow it, linear in time: the scheme and all between its steps are exact."""
    exact = lambda t, x: 1e3 * (x**2 + 0.2 * t)
    u0 = js.FiniteDifference(js.Grid(8), js.Dirichlet(exact), order=4).field(lambda x: exact(0.0, x))
    run = js.solve(js.equations.Diffusion(0.1), u0, t1=0.5, dt=0.1, solver=SBDF2(), saveat=dfx.SaveAt(dense=True))
    for t in (0.03, 0.27, 0.45):
        np.testing.assert_allclose(run.evaluate(t), exact(t, u0.space.coordinates()[0]), rtol=1e-10)
