"""A tolerance is a promise: the error of an adaptive run is of its size, whatever moves the solution.

The whole table, every solver on every problem, is in `tests/validation`.
"""

import diffrax as dfx
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import PROBLEMS, ratios

import jaxsim as js
from jaxsim.integrate import ETDAB3, ETDRK2, IMEXRK3, IMEXRK5, HochbruckOstermann4, Krogstad4, Tolerance

FACTOR = 30


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_default_solver_keeps_its_tolerance(name):
    assert max(ratios(name, Krogstad4())) < FACTOR


@pytest.mark.parametrize("scheme", [HochbruckOstermann4, ETDRK2, ETDAB3, IMEXRK3, IMEXRK5, dfx.Tsit5])
def test_other_solvers_keep_their_tolerance_under_a_force(scheme):
    found = ratios("heat, forced", scheme())
    assert max(found) < FACTOR
    assert min(found) > 1e-3  # and wastes no steps


class Driven(js.Equation):
    """u_t = -u + a cos(3 t), and a second component that is a millionth of it in another unit."""

    size: float

    def nonlinear(self, t, state):
        u, v = state
        force = js.sample(lambda t: jnp.cos(3 * t), t, u)
        return self.size * force - u, 1e-6 * self.size * force - v


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
@pytest.mark.parametrize("solver", [None, dfx.Kvaerno5()])
def test_the_unit_of_a_component_does_not_matter(size, solver):
    """From rest, where nothing says yet how large anything is."""
    run = js.solve(Driven(size), js.Point().field([0.0, 0.0]), t1=1.5, rtol=1e-6, solver=solver)
    exact = (np.cos(4.5) + 3 * np.sin(4.5) - np.exp(-1.5)) / 10
    np.testing.assert_allclose(run.ys[-1].values / size, [exact, 1e-6 * exact], rtol=3e-5)


def test_a_wave_that_vanishes_for_a_moment_does_not_stop_the_clock():
    line = js.Fourier(js.Grid(8, 0.0, 2 * np.pi))
    start = line.field(lambda x: jnp.stack([jnp.cos(x), 0 * x]))
    run = js.solve(js.equations.Wave(), start, t1=20.0, rtol=1e-6, solver=dfx.Tsit5())
    np.testing.assert_allclose(run.ys[-1].values[0], np.cos(20.0) * np.cos(line.coordinates()[0]), atol=3e-5)
    assert run.stats["num_steps"] < 400


def test_an_absolute_tolerance_is_one():
    equation, start = js.equations.LotkaVolterra(1.0, 1.0, 1.0, 1.0), js.Point().field([1.0, 0.1])
    loose, tight = (js.solve(equation, start, t1=1.0, rtol=0.0, atol=a).stats["num_steps"] for a in (1e-2, 1e-10))
    assert tight > 3 * loose


def test_tolerances_refuse_what_cannot_adapt():
    line = js.Fourier(js.Grid(8, 0.0, 2 * np.pi))
    for solver in (js.integrate.ETDRK1(), js.integrate.SBDF2(), js.integrate.SBDF3()):
        with pytest.raises(ValueError, match="cannot adapt"):
            js.solve(js.equations.Burgers(0.1), line.field(jnp.sin), t1=1.0, rtol=1e-4, solver=solver)


def test_a_tolerance_in_diffrax():
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    u0 = space.field(jnp.sin)
    term, y0 = js.SemilinearTerm(js.equations.Burgers(0.1), space).for_state(space.state(u0)), space.state(u0)
    run = dfx.diffeqsolve(term, Krogstad4(), 0.0, 1.0, None, y0,
                          stepsize_controller=Tolerance(1e-6, None, space, y0))  # fmt: skip
    same = js.solve(js.equations.Burgers(0.1), u0, t1=1.0, rtol=1e-6)
    np.testing.assert_allclose(space.bind(run.ys[-1]).values, same.ys[-1].values, atol=1e-12)


@pytest.mark.parametrize("size", [1e-20, 1e3])
def test_defaults_are_in_the_unit_of_the_field(size):
    """Newton's method in implicit solvers is told what is small: a part of the largest component, not of one."""
    space = js.Fourier(js.Grid(8, 0.0, 2 * np.pi))
    y0 = space.state(space.field(lambda x: size * jnp.stack([jnp.sin(x), 3 * jnp.cos(x)])))
    np.testing.assert_allclose(Tolerance(1e-4, None, space, y0).atol, 1e-4 * 3 * size / np.sqrt(2), rtol=1e-12)
    assert Tolerance(1e-4, 0.5 * size, space, y0).atol == 0.5 * size
    assert Tolerance(1e-4, None, space, 0 * y0).atol == 1e-4


def test_a_run_with_an_absolute_tolerance_has_the_default_relative_one():
    equation, start = js.equations.LotkaVolterra(1.0, 1.0, 1.0, 1.0), js.Point().field([1e3, 1e2])
    run = lambda **given: js.solve(equation, start / 1e2, t1=1.0, atol=0.0, **given).stats["num_steps"]
    assert run() == run(rtol=1e-5) != run(rtol=1e-4)


@pytest.mark.parametrize("size", [1e-20, 1e3])
def test_the_first_step_is_a_hundredth_of_the_shortest_time_in_which_something_changes(size):
    space = js.Point()
    y0 = size * jnp.array([1.0, 1e-3])
    rate = lambda terms, t, y, args: jnp.array([-2.0, 50.0]) * y
    for length, step in ((1.0, 0.01 / 50), (1e-3, 1e-5)):  # of the run where that is shorter
        end, _ = Tolerance(1e-4, None, space, y0).init(None, 0.0, length, y0, None, None, rate, 5)
        np.testing.assert_allclose(end, step, rtol=1e-12)
    end, _ = Tolerance(1e-4, None, space, y0).init(None, 0.0, 1.0, y0, 0.25, None, rate, 5)
    assert end == 0.25
