"""Penalties on the cost of a solve: what is summed, what its gradient is, and what is counted."""

import warnings

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

from jaxsim.neural_de import (
    GlobalError,
    GlobalStiffness,
    LocalError,
    LocalStiffness,
    MonitoredSolver,
    StepCount,
    StepHeuristics,
    effort,
    regularized_solve,
)

PID = dfx.PIDController(rtol=1e-6, atol=1e-6)
Y0 = jnp.array([1.0, 0.5])


def oscillator(t, y, speed):
    return speed * jnp.stack([y[1], (1 - y[0] ** 2) * y[1] * 2 - y[0]])


def solved(regularizer, speed=1.0, controller=PID, solver=None, **options):
    return regularized_solve(
        dfx.ODETerm(oscillator), dfx.Tsit5() if solver is None else solver, 0.0, 3.0, 0.01, Y0, args=speed,
        stepsize_controller=controller, regularizer=regularizer, **options,
    )  # fmt: skip


def test_only_accepted_steps_count():
    rejecting = dfx.PIDController(rtol=1e-6, atol=1e-6, safety=1.0, factormax=20.0)
    monitored = MonitoredSolver(dfx.Tsit5(), 1e-6, 1e-6, optx.rms_norm)
    run = dfx.diffeqsolve(dfx.ODETerm(oscillator), monitored, 0.0, 10.0, 0.01, Y0, args=1.0,
                          stepsize_controller=rejecting, saveat=dfx.SaveAt(t1=True, solver_state=True))  # fmt: skip
    sums = run.solver_state[1]
    assert run.stats["num_rejected_steps"] > 3
    assert sums.accepted == run.stats["num_accepted_steps"]
    assert 0 < sums.error < 10.0  # each scaled error is below one


def test_the_solution_is_that_of_diffrax():
    run, penalty = solved(GlobalError())
    plain = dfx.diffeqsolve(dfx.ODETerm(oscillator), dfx.Tsit5(), 0.0, 3.0, 0.01, Y0, args=1.0, stepsize_controller=PID)
    np.testing.assert_array_equal(run.ys, plain.ys)
    assert run.stats["num_steps"] == plain.stats["num_steps"] and run.solver_state is None and penalty > 0
    squared, mean = solved(GlobalError(power=2))[1], solved(GlobalError(mean=True))[1]
    assert squared < penalty
    np.testing.assert_allclose(mean, penalty / run.stats["num_accepted_steps"])
    count = solved(StepCount())[1]
    assert 0.5 < count / run.stats["num_accepted_steps"] < 1.5
    sums = StepHeuristics(*(jnp.asarray(n) for n in (1.0, 2.0, 6.0, 3.0, 4.0, 5)))
    assert StepCount()(sums, 0.5) == 12  # a controller that aims lower takes more steps


@pytest.mark.slow
@pytest.mark.parametrize("power, order", [(1, 5), (2, 10)])
def test_accumulated_error_has_the_order_of_the_estimate(power, order):
    def penalty(steps):
        monitored = MonitoredSolver(dfx.Tsit5(), 0.0, 1.0, optx.rms_norm)
        run = dfx.diffeqsolve(dfx.ODETerm(oscillator), monitored, 0.0, 1.0, 1.0 / steps, Y0, args=1.0,
                              saveat=dfx.SaveAt(t1=True, solver_state=True))  # fmt: skip
        return GlobalError(power)(run.solver_state[1], 1.0)

    observed = np.log2(penalty(32) / penalty(64))
    assert abs(observed - order) < 0.15 * power


@pytest.mark.parametrize("solver", [dfx.Tsit5(), pytest.param(dfx.Dopri5(), marks=pytest.mark.slow)])
def test_stiffness_of_decay_is_its_rate(solver):
    run, greatest = regularized_solve(
        dfx.ODETerm(lambda t, y, a: -7.0 * y), solver, 0.0, 1.0, 0.01, Y0, stepsize_controller=PID,
        regularizer=GlobalStiffness(stability=1.0, greatest=True),
    )  # fmt: skip
    np.testing.assert_allclose(greatest, 7.0, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", [GlobalError(), StepCount(), GlobalStiffness()])
def test_gradient_is_that_of_the_steps_held_fixed(regularizer):
    speed, shift = 1.0, 1e-5
    mesh = dfx.diffeqsolve(dfx.ODETerm(oscillator), dfx.Tsit5(), 0.0, 3.0, 0.01, Y0, args=speed,
                           stepsize_controller=PID, saveat=dfx.SaveAt(t0=True, steps=True))  # fmt: skip
    times = mesh.ts[jnp.isfinite(mesh.ts)]

    def on_mesh(speed):
        monitored = MonitoredSolver(dfx.Tsit5(), PID.rtol, PID.atol, PID.norm)
        run = dfx.diffeqsolve(dfx.ODETerm(oscillator), monitored, 0.0, 3.0, None, Y0, args=speed,
                              stepsize_controller=dfx.StepTo(times),
                              saveat=dfx.SaveAt(t1=True, solver_state=True))  # fmt: skip
        return regularizer(run.solver_state[1], PID.safety)

    difference = (on_mesh(speed + shift) - on_mesh(speed - shift)) / (2 * shift)
    gradient = jax.grad(lambda s: solved(regularizer, s)[1])(speed)
    np.testing.assert_allclose(gradient, difference, rtol=1e-3)


@pytest.mark.slow
def test_adjoints_agree_or_refuse():
    reference = jax.grad(lambda s: solved(GlobalError(), s)[1])(1.0)
    direct = jax.grad(lambda s: solved(GlobalError(), s, adjoint=dfx.DirectAdjoint())[1])(1.0)
    forward = jax.jvp(lambda s: solved(GlobalError(), s, adjoint=dfx.ForwardMode())[1], (1.0,), (1.0,))[1]
    np.testing.assert_allclose([direct, forward], reference, rtol=1e-9)
    for regularizer in (GlobalError(), StepCount(), GlobalStiffness()):
        with pytest.raises(ValueError, match="zero without a word"):
            solved(regularizer, adjoint=dfx.BacksolveAdjoint())


@pytest.mark.slow
def test_local_error_under_every_adjoint():
    key = jax.random.key(3)

    def penalty(speed, adjoint, accepted=False):
        return solved(LocalError(accepted, samples=2), speed, key=key, adjoint=adjoint)[1]

    for accepted in (False, True):
        reference = jax.grad(penalty)(1.0, dfx.RecursiveCheckpointAdjoint(), accepted)
        assert jnp.isfinite(reference) and reference != 0
        backward = jax.grad(penalty)(1.0, dfx.BacksolveAdjoint(), accepted)
        np.testing.assert_allclose(backward, reference, rtol=1e-4)
        ahead = jax.jvp(lambda s, accepted=accepted: penalty(s, dfx.ForwardMode(), accepted), (1.0,), (1.0,))[1]
        np.testing.assert_allclose(ahead, reference, rtol=1e-9)


@pytest.mark.slow
def test_what_is_saved_is_what_was_asked_for():
    run, penalty = solved(LocalError(), key=jax.random.key(3), saveat=dfx.SaveAt(ts=jnp.array([1.0, 2.0, 3.0])))
    plain, _ = solved(GlobalError(), saveat=dfx.SaveAt(ts=jnp.array([1.0, 2.0, 3.0])))
    np.testing.assert_allclose(run.ys, plain.ys, rtol=1e-12)
    np.testing.assert_array_equal(run.ts, plain.ts)
    first = dfx.SaveAt(ts=jnp.array([1.0, 2.0, 3.0]), fn=lambda t, y, args: y[0])
    part, same = solved(LocalError(), key=jax.random.key(3), saveat=first)
    np.testing.assert_array_equal(part.ys, run.ys[:, 0])
    np.testing.assert_allclose(same, penalty)


@pytest.mark.parametrize("accepted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_local_stiffness_of_decay_is_its_rate(accepted):
    _, stiffness = regularized_solve(
        dfx.ODETerm(lambda t, y, a: -7.0 * y), dfx.Tsit5(), 0.0, 1.0, 0.01, Y0, stepsize_controller=PID,
        regularizer=LocalStiffness(accepted, stability=1.0), key=jax.random.key(0),
    )  # fmt: skip
    np.testing.assert_allclose(stiffness, 7.0, rtol=1e-6)


@pytest.mark.slow
def test_every_member_of_a_batch_has_its_own_penalty():
    speeds = jnp.array([0.3, 1.0, 2.0])
    batch = jax.vmap(lambda s: solved(GlobalError(), s)[1])(speeds)
    np.testing.assert_allclose(batch, [solved(GlobalError(), s)[1] for s in speeds], rtol=1e-8)


def noisy(scale, solver, regularizer=None, count=None, levy=dfx.SpaceTimeLevyArea):
    def drift(t, y, args):
        if count is not None:
            jax.debug.callback(lambda: count.append(1))
        return -y

    path = dfx.VirtualBrownianTree(0.0, 1.0, 1e-3, (2,), jax.random.key(0), levy_area=levy)
    terms = dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(lambda t, y, a: jnp.diag(scale * jnp.ones(2)), path))
    loose = dfx.PIDController(rtol=1e-2, atol=1e-2, pcoeff=0.1, icoeff=0.3, dtmin=2e-3)
    problem = terms, solver, 0.0, 1.0, 0.05, Y0
    if regularizer is None:
        return dfx.diffeqsolve(*problem, stepsize_controller=loose)
    return regularized_solve(*problem, stepsize_controller=loose, regularizer=regularizer)


@pytest.mark.slow
def test_implicit_and_stochastic_solvers():
    stiff = dfx.PIDController(rtol=1e-5, atol=1e-5)
    run, penalty = solved(GlobalError(), controller=stiff, solver=dfx.Kvaerno3())
    assert penalty > 0 and effort(dfx.Kvaerno3(), run).evaluations is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # diffrax warns where it cannot tell Ito from Stratonovich
        for solver in (dfx.SPaRK(), dfx.HalfSolver(dfx.EulerHeun())):
            gradient = jax.grad(lambda scale, solver=solver: noisy(scale, solver, GlobalError())[1])(0.3)
            assert jnp.isfinite(gradient) and gradient > 0


SLOW = [pytest.param(s, marks=pytest.mark.slow) for s in (dfx.Dopri8(), dfx.Heun(), dfx.HalfSolver(dfx.Midpoint()))]


@pytest.mark.parametrize("solver", [dfx.Tsit5(), dfx.HalfSolver(dfx.Tsit5()), *SLOW])
def test_evaluations_are_those_that_happen(solver):
    count = []

    def counting(t, y, args):
        jax.debug.callback(lambda: count.append(1))
        return oscillator(t, y, 1.0)

    loose = dfx.PIDController(rtol=1e-3, atol=1e-3)
    run = dfx.diffeqsolve(dfx.ODETerm(counting), solver, 0.0, 3.0, 0.01, Y0, stepsize_controller=loose)
    jax.block_until_ready(run.ys)
    jax.effects_barrier()
    assert effort(solver, run).evaluations == len(count)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [dfx.SPaRK(), dfx.ShARK(), dfx.SRA1(), dfx.Heun(), dfx.HalfSolver(dfx.EulerHeun())])
def test_evaluations_of_the_drift_are_those_that_happen(solver):
    count = []
    run = noisy(0.3, solver, count=count)
    jax.block_until_ready(run.ys)
    jax.effects_barrier()
    assert effort(solver, run).evaluations == len(count)


def test_a_regularizer_adds_its_own_evaluations():
    run, _ = solved(GlobalError())
    plain = effort(MonitoredSolver(dfx.Tsit5(), 1e-6, 1e-6, optx.rms_norm), run).evaluations
    of = lambda regularizer: effort(dfx.Tsit5(), run, regularizer=regularizer).evaluations
    assert of(GlobalError()) == plain == 6 * run.stats["num_steps"] + 1
    assert of(LocalError(samples=2)) == plain + 14
    assert of(LocalError(accepted=True)) == 2 * plain + 7


def test_bad_requests():
    with pytest.raises(ValueError, match="no tolerances"):
        solved(GlobalError(), controller=dfx.ConstantStepSize())
    with pytest.raises(ValueError, match="give a `key`"):
        solved(LocalError())
    with pytest.raises(ValueError, match="no estimate of stiffness"):
        solved(GlobalStiffness(), solver=dfx.Heun())
    with pytest.raises(ValueError, match="HalfSolver"):
        solved(GlobalError(), solver=dfx.Euler())
    with pytest.raises(ValueError, match="no estimate of stiffness"):
        solved(LocalStiffness(), solver=dfx.Heun(), key=jax.random.key(0))
    with pytest.raises(ValueError, match="takes SaveAt"):
        solved(LocalError(), key=jax.random.key(0), saveat=dfx.SaveAt(steps=True))
    with pytest.raises(ValueError, match="1 or 2"):
        GlobalError(power=3)
    with pytest.raises(TypeError, match="no regularizer"):
        solved(3.0)
    with pytest.raises(ValueError, match="at least 1"):
        LocalStiffness(samples=0)
