import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import ETDRK3, Diverged, Krogstad4


class KuramotoSivashinsky(js.Equation):
    def linear(self, u):
        return -js.laplacian(u) - js.partial(u, 0, 4)

    def nonlinear(self, t, u):
        return -0.5 * js.partial(u * u, 0)


class Schrodinger(js.Equation):
    def linear(self, u):
        return 1j * js.laplacian(u)

    def nonlinear(self, t, u):
        return 2j * u * u * u.conj()


@pytest.fixture(scope="module")
def problem():
    space = js.Fourier(js.Grid(32, 0.0, 22.0))
    u0 = space.field(lambda x: jnp.cos(2 * np.pi * x / 22) + 0.3 * jnp.sin(4 * np.pi * x / 22))
    reference = js.rollout(KuramotoSivashinsky(), u0, dt=2e-3, steps=1500)
    return u0, reference


def distance(a, b):
    return float(js.norm(a - b) / js.norm(b))


def test_fixed_steps_land_on_saved_times(problem):
    u0, reference = problem
    solution = js.solve(KuramotoSivashinsky(), u0, t1=3.0, dt=0.02, saveat=[0.0, 1.0, 3.0])
    assert solution.ys.values.shape == (3, 32)
    np.testing.assert_allclose(solution.ys.values[0], u0.values, atol=1e-14)
    rolled = js.rollout(KuramotoSivashinsky(), u0, dt=0.02, steps=150, save_every=50)
    np.testing.assert_allclose(solution.ys.values[1:], rolled.values[jnp.array([0, 2])], atol=1e-9)
    assert distance(solution.ys[-1], reference) < 1e-6
    # Times that are no multiples of the step are reached by shorter steps, not by interpolation.
    uneven = js.solve(KuramotoSivashinsky(), u0, t1=3.0, dt=0.02, saveat=[0.7071, 3.0])
    assert distance(uneven.ys[-1], reference) < 1e-6
    assert uneven.stats["num_accepted_steps"] == 36 + 115


def test_adaptive_steps_hold_their_tolerance(problem):
    u0, reference = problem
    errors, steps = [], []
    for rtol in (1e-4, 1e-6, 1e-8):
        solution = js.solve(KuramotoSivashinsky(), u0, t1=3.0, rtol=rtol)
        errors.append(distance(solution.ys[-1], reference))
        steps.append(int(solution.stats["num_accepted_steps"]))
    assert all(error < 20 * rtol for error, rtol in zip(errors, (1e-4, 1e-6, 1e-8), strict=True))
    assert steps[0] < steps[1] < steps[2] < 400


def test_adaptive_steps_land_on_saved_times_too(problem):
    u0, reference = problem
    solution = js.solve(KuramotoSivashinsky(), u0, t1=3.0, dt=0.05, rtol=1e-8, saveat=jnp.array([1.2345, 3.0]))
    there = js.rollout(KuramotoSivashinsky(), u0, dt=1.2345 / 600, steps=600)
    assert distance(solution.ys[0], there) < 1e-7
    assert distance(solution.ys[-1], reference) < 1e-7


def test_dense_output_is_of_third_order(problem):
    u0, _ = problem
    reference = js.rollout(KuramotoSivashinsky(), u0, dt=1.0 / 1000, steps=1000)
    errors = []
    for dt in (0.08, 0.04):
        solution = js.solve(KuramotoSivashinsky(), u0, t1=2.0, dt=dt, saveat=dfx.SaveAt(dense=True), solver=Krogstad4())
        errors.append(distance(u0.space.bind(solution.evaluate(1.0)), reference))
    assert errors[0] / errors[1] > 2**2.75


def test_gradients_of_adaptive_solves(problem):
    u0, _ = problem
    # With tolerances this tight the derivative at frozen steps and that of the solution agree.
    size = lambda a: js.norm(js.solve(KuramotoSivashinsky(), a * u0, t1=1.0, rtol=1e-9).ys[-1])
    np.testing.assert_allclose(jax.grad(size)(1.0), (size(1 + 1e-4) - size(1 - 1e-4)) / 2e-4, rtol=1e-6)


def test_integration_backward_in_time_returns():
    space = js.Fourier(js.Grid(48, -12.0, 12.0), real=False)
    u0 = space.field(lambda x: jnp.exp(0.5j * x) / jnp.cosh(x))
    term = js.SemilinearTerm(Schrodinger(), space)
    out = dfx.diffeqsolve(term, Krogstad4(), 0.0, 0.5, 2e-3, u0.coefficients)
    back = dfx.diffeqsolve(term, Krogstad4(), 0.5, 0.0, -2e-3, out.ys[-1])
    np.testing.assert_allclose(back.ys[-1], u0.coefficients, atol=1e-9)


def test_divergence_raises_with_its_time_or_ends_with_a_status(problem):
    u0, _ = problem
    with pytest.raises(Diverged, match=r"at t = .* after \d+ steps"):
        js.solve(KuramotoSivashinsky(), 1e6 * u0, t1=20.0, dt=0.5)
    silent = js.solve(KuramotoSivashinsky(), 1e6 * u0, t1=20.0, dt=0.5, throw=False)
    assert silent.result == dfx.RESULTS.event_occurred


def test_progress_is_shown(problem, capfd):
    js.solve(KuramotoSivashinsky(), problem[0], t1=1.0, rtol=1e-4, progress=True)
    captured = capfd.readouterr()
    assert "100" in captured.out + captured.err


def test_a_diffrax_controller_may_be_given(problem):
    u0, reference = problem
    controller = dfx.PIDController(rtol=1e-7, atol=1e-9, pcoeff=0.3, icoeff=0.4)
    solution = js.solve(KuramotoSivashinsky(), u0, t1=3.0, dt=0.01, stepsize_controller=controller, solver=ETDRK3())
    assert distance(solution.ys[-1], reference) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(), "give a step size"),
        (dict(dt=0.0), "`dt` > 0"),
        (dict(dt=0.1, t1=-1.0), "`t1` > `t0`"),
        (dict(dt=0.1, saveat=[0.5, 0.2]), "ascending"),
        (dict(dt=0.1, saveat=[0.5, 2.0]), "outside"),
        (dict(dt=0.1, adjoint=dfx.BacksolveAdjoint()), "BacksolveAdjoint hides"),
    ],
)
def test_bad_input_is_refused(problem, arguments, message):
    with pytest.raises(ValueError, match=message):
        js.solve(KuramotoSivashinsky(), problem[0], **{"t1": 1.0, **arguments})


@pytest.mark.slow
def test_constrained_steps_take_every_adjoint():
    space = js.Staggered(js.Grid((6, 6)), js.NoSlip())
    u0 = space.field(lambda x, y: (jnp.sin(3 * y), 0 * y))

    def size(viscosity, adjoint):
        flow = js.equations.NavierStokesVelocity(viscosity)
        run = js.solve(flow, u0, t1=0.02, dt=0.01, solver=dfx.Heun(), adjoint=adjoint)
        return js.norm(run.ys)

    checkpointed = jax.grad(size)(0.1, dfx.RecursiveCheckpointAdjoint())
    _, forward = jax.jvp(lambda viscosity: size(viscosity, dfx.ForwardMode()), (0.1,), (1.0,))
    np.testing.assert_allclose(forward, checkpointed, rtol=1e-10)


DIFFUSION = js.equations.Diffusion(0.5)


def two_waves():
    return js.Fourier(js.Grid(32, 0.0, 2 * np.pi)).field(lambda x: jnp.sin(x) + 0.5 * jnp.sin(9 * x))


CONSTANT = {"dt": 0.1, "stepsize_controller": dfx.ConstantStepSize()}
SAVING = [lambda ts: ts, lambda ts: dfx.SaveAt(ts=ts), lambda ts: dfx.SaveAt(subs=[dfx.SubSaveAt(ts=ts)])]


@pytest.mark.parametrize(
    ("how", "wrap"),
    [({"dt": 0.1}, SAVING[0]), ({"dt": 0.1}, SAVING[2]), ({"rtol": 1e-5}, SAVING[1]), (CONSTANT, SAVING[0])],
)
def test_saved_times_that_are_traced_are_stepped_to(how, wrap):
    def run(u0, ts):
        ys = js.solve(DIFFUSION, u0, t1=0.5, saveat=wrap(ts), **how).ys
        return u0.space.bind(ys[0]).values if isinstance(ys, list) else ys.values

    times = jnp.linspace(0, 0.5, 8)
    x = np.arange(32) * 2 * np.pi / 32
    exact = [np.exp(-t / 2) * np.sin(x) + np.exp(-81 * t / 2) * np.sin(9 * x) / 2 for t in times]
    np.testing.assert_allclose(jax.jit(run)(two_waves(), times), exact, atol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda u: run(u, jnp.linspace(0, 0.5, 8)))(two_waves()), exact, atol=1e-12)


def test_a_traced_step_size_takes_the_steps_of_a_known_one():
    equation, u0 = js.equations.Burgers(0.1), two_waves()
    run = lambda dt, t1: js.solve(equation, u0, t1=t1, dt=dt, max_steps=50).ys.values
    np.testing.assert_allclose(jax.jit(run)(0.03, 0.5), run(0.03, 0.5), atol=1e-12)
    with pytest.raises(ValueError, match="give `max_steps`"):
        jax.jit(lambda dt: js.solve(equation, u0, t1=0.5, dt=dt).ys.values)(0.03)
    with pytest.raises(Exception, match="maximum number of"):
        jax.jit(run)(-0.03, 0.5)


def test_steps_that_miss_saved_times_are_refused():
    u0 = two_waves()
    steps = dfx.StepTo(jnp.linspace(0, 0.5, 11))
    run = js.solve(DIFFUSION, u0, t1=0.5, saveat=[0.25, 0.5], stepsize_controller=steps)
    assert run.ys.values.shape == (2, 32)
    with pytest.raises(ValueError, match="must be among those of diffrax.StepTo"):
        js.solve(DIFFUSION, u0, t1=0.5, saveat=[0.27, 0.5], stepsize_controller=steps)


def test_saved_functions_are_not_taken_for_fields():
    """An oscillator's energy has the structure of its state, and is none."""

    class Oscillator(js.Equation):
        def nonlinear(self, t, state):
            return state[1], -state[0]

    u0 = js.Point().field([1.0, 0.0])
    energies = js.solve(Oscillator(), u0, t1=1.0, dt=0.1, saveat=dfx.SaveAt(ts=[0.5, 1.0], fn=lambda t, y, args: y**2))
    assert isinstance(energies.ys, jax.Array)
    np.testing.assert_allclose(jnp.sum(energies.ys, -1), 1.0, rtol=1e-6)
    walls = js.FiniteDifference(js.Grid(16), js.Dirichlet(1.0))
    start = walls.field(lambda x: 1 + jnp.sin(np.pi * x))
    doubled = js.solve(DIFFUSION, start, t1=0.1, dt=0.1, saveat=dfx.SaveAt(t1=True, fn=lambda t, y, args: 2 * y)).ys
    np.testing.assert_allclose(doubled, 2 * js.solve(DIFFUSION, start, t1=0.1, dt=0.1).ys.values)


@pytest.mark.parametrize("how", [{"rtol": 1e-8}, pytest.param({"dt": 0.01}, marks=pytest.mark.slow)])
def test_derivatives_at_a_zero_state_in_every_mode(how):
    wave = two_waves()
    value = lambda a: js.solve(js.equations.FisherKPP(0.1), a * wave, t1=0.1, **how).ys.values[-1, 2]
    slope = (value(1e-4) - value(-1e-4)) / 2e-4
    curvature = (value(1e-3) - 2 * value(0.0) + value(-1e-3)) / 1e-6
    np.testing.assert_allclose(jax.grad(value)(0.0), slope, rtol=1e-6)
    np.testing.assert_allclose(jax.jvp(value, (0.0,), (1.0,))[1], slope, rtol=1e-6)
    np.testing.assert_allclose(jax.hessian(value)(0.0), curvature, rtol=1e-3)
