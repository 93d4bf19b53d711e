"""A step is `dt`, whatever the clock says: float32 runs that begin late, and stages that look at the time."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import ETDAB3, IMEXRK3, SBDF2, SDE, Krogstad4, since, solve_sde

SINGLE = jnp.float32
LATE = 1e5  # where float32 knows times to 0.008


class Oscillator(js.Equation):
    def nonlinear(self, t, state):
        x, v = state
        return v, -x


def oscillator():
    return Oscillator(), js.Point().field(jnp.array([1.0, 0.0], SINGLE))


def burgers():
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
    return js.equations.Burgers(0.1), space.field(jnp.sin(space.coordinates()[0]).astype(SINGLE))


def heat():
    space = js.FiniteDifference(js.Grid(16), js.Dirichlet(0.0))
    return js.equations.Diffusion(0.1), space.field(jnp.sin(np.pi * space.coordinates()[0]).astype(SINGLE))


CASES = [(oscillator, dfx.Tsit5()), (oscillator, dfx.Heun()), (burgers, Krogstad4()),
         (burgers, ETDAB3()), (burgers, SBDF2()), (burgers, dfx.Tsit5()), (heat, IMEXRK3())]  # fmt: skip


@pytest.mark.parametrize(("problem", "solver"), CASES)
def test_a_rollout_does_not_depend_on_when_it_begins(problem, solver):
    equation, u0 = problem()
    early, late = (js.rollout(equation, u0, dt=1e-3, steps=20, t0=t0, solver=solver) for t0 in (0.0, LATE))
    np.testing.assert_array_equal(early.values, late.values)
    assert not np.array_equal(early.values, u0.values)


@pytest.mark.parametrize(("problem", "solver"), [CASES[0], CASES[2], CASES[6]])
def test_an_adaptive_solve_does_not_depend_on_when_it_begins(problem, solver):
    equation, u0 = problem()
    early, late = (
        js.solve(equation, u0, t0=t0, t1=t0 + 0.02, rtol=1e-3, saveat=[t0 + 0.01, t0 + 0.02], solver=solver)
        for t0 in (0.0, LATE)
    )
    np.testing.assert_array_equal(early.ys.values, late.ys.values)
    np.testing.assert_allclose(late.ts, LATE + np.array([0.01, 0.02]), rtol=1e-7)


def test_fixed_steps_of_solve_do_not_depend_on_when_they_begin():
    equation, u0 = oscillator()
    early, late = (js.solve(equation, u0, t0=t0, t1=t0 + 1.0, dt=1e-3) for t0 in (0.0, LATE))
    np.testing.assert_allclose(early.ys.values[-1], [np.cos(1), -np.sin(1)], atol=1e-5)
    np.testing.assert_array_equal(early.ys.values, late.ys.values)


def test_steps_that_float32_cannot_tell_apart_are_refused():
    equation, u0 = oscillator()
    with pytest.raises(ValueError, match="cannot tell apart"):
        js.solve(equation, u0, t1=1e4, dt=1e-4)


def test_a_long_float32_run_keeps_its_phase():
    equation, u0 = oscillator()
    x, v = js.rollout(equation, u0, dt=1e-3, steps=100_000).values
    assert abs(np.angle((x - 1j * v) * np.exp(-100j))) < 1e-4


def test_lyapunov_exponents_do_not_depend_on_when_they_are_measured():
    equation = js.equations.Lorenz63()
    u0 = js.Point().field(jnp.asarray(equation.initial().values, SINGLE))
    early, late = (js.integrate.lyapunov_spectrum(equation, u0, dt=1e-3, steps=100, t0=t0) for t0 in (0.0, LATE))
    np.testing.assert_array_equal(early.exponents, late.exponents)


def test_stochastic_steps_do_not_depend_on_when_they_begin():
    sde = SDE(lambda t, y, args: -y, lambda t, y, args: 0.5 * jnp.ones((1, 1), SINGLE))
    early, late = (
        solve_sde(sde, jnp.ones(1, SINGLE), t0 + np.array([0.0, 0.05, 0.1]), key=jax.random.key(0), steps=20,
                  solver=dfx.Heun()).ys
        for t0 in (0.0, LATE)
    )  # fmt: skip
    np.testing.assert_array_equal(early, late)


def test_time_is_that_of_the_clock():
    """Stages, saved functions, walls and dense output see true times."""

    class Ramp(js.Equation):
        def nonlinear(self, t, u):
            return js.sample(lambda t: 2 * t, t, u)

    u0 = js.Point().field(9.0)
    np.testing.assert_allclose(js.rollout(Ramp(), u0, dt=0.1, steps=10, t0=3.0).values, 16.0, rtol=1e-14)
    saving = dfx.SaveAt(ts=[3.5, 4.0], fn=lambda t, y, args: (t, y), dense=True)
    run = js.solve(Ramp(), u0, t0=3.0, t1=4.0, dt=0.1, saveat=saving)
    np.testing.assert_allclose(run.ys[0], [3.5, 4.0], rtol=1e-14)
    np.testing.assert_allclose(run.ys[1], np.square([3.5, 4.0]), rtol=1e-14)
    np.testing.assert_allclose(run.evaluate(3.25), 3.25**2, rtol=1e-14)
    assert (run.t0, run.t1) == (3.0, 4.0)


def test_terms_since_a_time():
    term = since(dfx.ODETerm(lambda t, y, args: t * y), 2.0)
    assert term.vf(1.0, 5.0, None) == 15.0 and term.contr(1.0, 1.5) == 0.5
    path = dfx.VirtualBrownianTree(0.0, 4.0, 1e-3, (), jax.random.key(0), dfx.SpaceTimeLevyArea)
    noise = dfx.ControlTerm(lambda t, y, args: t, path)
    later = since(dfx.MultiTerm(dfx.ODETerm(lambda t, y, args: y), noise), 2.0)
    assert later.vf(1.0, 1.0, None) == (1.0, 3.0)
    found, wanted = later.contr(0.5, 1.0, use_levy=True)[1], noise.contr(2.5, 3.0, use_levy=True)
    assert found.W == wanted.W and found.H == wanted.H
