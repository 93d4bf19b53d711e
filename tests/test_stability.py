"""Structure found on stand-ins, kinds of method that nobody chose, steps that no scheme survives."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import IMEXRK3, Diverged, Krogstad4

LINE = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
U0 = LINE.field(jnp.sin)
WALLS = js.FiniteDifference(js.Grid(32), js.Dirichlet(0.0))
V0 = WALLS.field(lambda x: jnp.sin(np.pi * x))


class Switched(js.Equation):
    """A drift, or a coupling of two components, that is there beyond a threshold only."""

    c: float | jax.Array
    beyond: float = eqx.field(static=True)
    coupled: bool = eqx.field(static=True)

    def linear(self, u):
        factor = jnp.maximum(self.c - self.beyond, 0)
        if not self.coupled:
            return factor * js.partial(u, 0) + 0.1 * js.laplacian(u)
        a, b = u
        return 0.1 * js.laplacian(a) + factor * b, 0.1 * js.laplacian(b)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("adaptive", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_coupling_that_vanishes_for_most_numbers_is_seen(coupled, adaptive):
    u0 = LINE.field(lambda x: jnp.stack([jnp.sin(x), jnp.cos(x)])) if coupled else U0

    def value(c):
        equation = Switched(c, 5.0, coupled)
        if adaptive:
            end = js.solve(equation, u0, t1=0.2, rtol=1e-6).ys[-1]
        else:
            end = js.rollout(equation, u0, dt=0.1, steps=2)
        return js.integral((end[0] if coupled else end) * LINE.field(lambda x: jnp.exp(jnp.cos(x))))

    known, (traced, slope) = value(7.0), jax.value_and_grad(value)(7.0)
    np.testing.assert_allclose(traced, known, rtol=1e-12)
    np.testing.assert_allclose(slope, (value(7.0 + 1e-4) - value(7.0 - 1e-4)) / 2e-4, rtol=1e-6)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("adaptive", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_coupling_that_no_stand_in_shows_is_an_error(coupled, adaptive):
    u0 = LINE.field(lambda x: jnp.stack([jnp.sin(x), jnp.cos(x)])) if coupled else U0
    huge = 1e9

    def value(c):
        equation = Switched(c, huge, coupled)
        if adaptive:
            return js.solve(equation, u0, t1=0.2, rtol=1e-3).ys.values
        return js.rollout(equation, u0, dt=0.1, steps=1).values

    np.testing.assert_allclose(jax.jit(value)(huge - 1), value(huge - 1), rtol=1e-12)
    with pytest.raises(Exception, match="only for parameters like these"):
        jax.jit(value)(huge + 3)


class Heat(js.Equation):
    diffusivity: float | jax.Array = 1.0

    def linear(self, u):
        return self.diffusivity * js.laplacian(u)


@pytest.mark.parametrize(
    "space",
    [
        js.FiniteDifference(js.Grid(20, stretching=js.TanhStretching(2.0)), js.Neumann(0.0), order=4),
        js.FiniteDifference(js.Grid(32), js.Dirichlet(0.0), order=8),
        js.FiniteDifference(js.Grid(32), js.Dirichlet(0.0), mesh=jax.make_mesh((1,), ("x",))),
    ],
)
def test_the_kind_of_method_never_changes_without_a_word(space):
    u0 = space.field(lambda x: jnp.cos(3 * x))
    for run in (lambda: js.rollout(Heat(), u0, dt=1e-2, steps=9), lambda: js.solve(Heat(), u0, t1=1.0, rtol=1e-3)):
        with pytest.raises(ValueError, match="no diagonal form, which the default solver needs.*Choose a `solver`"):
            run()
    explicit = js.rollout(Heat(), u0, dt=1e-8, steps=2, solver=dfx.Tsit5())
    assert np.isfinite(explicit.values).all()


def test_without_a_linear_part_the_default_is_explicit_everywhere():
    space = js.FiniteDifference(js.Grid(32), js.Dirichlet(0.0), order=8)

    class Decay(js.Equation):
        def nonlinear(self, t, u):
            return -1.0 * u

    u = js.rollout(Decay(), space.field(lambda x: jnp.sin(np.pi * x)), dt=0.1, steps=10)
    np.testing.assert_allclose(u.values, np.exp(-1) * np.sin(np.pi * space.coordinates()[0]), rtol=1e-6)


@pytest.mark.parametrize("solver", [dfx.Euler(), dfx.Heun(), dfx.Tsit5(), dfx.Dopri8()])
def test_unstable_steps_are_refused_with_the_largest_stable_one(solver):
    run = lambda dt: js.rollout(Heat(), V0, dt=dt, steps=2000, solver=solver)
    with pytest.raises(ValueError, match="unstable for the linear part of Heat: take `dt` below") as failure:
        run(1e-2)
    bound = float(str(failure.value).split("`dt` below ")[1].split(",")[0])
    assert np.isfinite(run(0.98 * bound).values).all()
    with pytest.raises(ValueError, match="unstable"):
        js.solve(Heat(), V0, t1=1.0, dt=1.1 * bound, solver=solver)


def test_the_bound_of_forward_euler_is_two_over_the_largest_eigenvalue():
    with pytest.raises(ValueError, match="`dt` below 0.000488,"):  # 2 / (4 * 32^2)
        js.rollout(Heat(), V0, dt=1e-3, steps=10_000, solver=dfx.Euler())


def test_waves_and_growth_are_not_taken_for_instability():
    wave = LINE.field(lambda x: jnp.stack([jnp.sin(x), 0 * x]))
    js.rollout(js.equations.Wave(), wave, dt=0.05, steps=100, solver=dfx.Tsit5())

    class Growth(js.Equation):
        def linear(self, u):
            return 30.0 * u

    u = js.rollout(Growth(), U0, dt=1e-2, steps=100, solver=dfx.Tsit5())
    np.testing.assert_allclose(u.values, np.exp(30.0) * U0.values, rtol=1e-4, atol=1e-2)


class Runaway(js.Equation):
    """Explicit growth that the linear part does not show."""

    rate: float | jax.Array

    def nonlinear(self, t, u):
        return self.rate * u


@pytest.mark.parametrize("size", [1e-20, 1e20])
def test_growth_beyond_thirty_orders_of_magnitude_ends_a_run(size):
    u0 = size * U0
    with pytest.raises(Diverged, match=r"at t = .*after \d+ steps"):
        js.rollout(Runaway(1e3), u0, dt=0.1, steps=40, solver=Krogstad4())
    with pytest.raises(Diverged, match="after"):
        js.solve(Runaway(1e3), u0, t1=4.0, dt=0.1)
    ending = js.march(Runaway(1e3), u0, dt=0.1, steps=40)
    assert not ending.succeeded and np.abs(ending.value.values).max() <= 1e30 * size
    fine = js.rollout(Runaway(1.0), u0, dt=0.1, steps=40)
    np.testing.assert_allclose(fine.values, np.exp(4.0) * u0.values, rtol=1e-5, atol=1e-14 * size)


def test_unsteady_walls_and_implicit_solvers_are_let_be():
    for solver in (IMEXRK3(), dfx.Kvaerno3(root_finder=dfx.VeryChord(rtol=1e-8, atol=1e-8))):
        assert np.isfinite(js.rollout(Heat(), V0, dt=0.1, steps=3, solver=solver).values).all()
