"""Runs whose steps end with a projection."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import IntegralProjection, Keeping, Projected, ProjectedSteps, Quadrature
from jaxsim.integrate import ETDRK4, IMEXRK3
from jaxsim.optimize import OnFailure

LINE = js.Fourier(js.Grid(32, -10.0, 10.0))
WAVE = LINE.field(lambda x: 1.0 + 2 / jnp.cosh(x / 2) ** 2)
KDV = js.equations.KortewegDeVries()


def square(u):
    return js.inner(u, u)


def drifts(u, start):
    return js.integral(u) - js.integral(start), square(u) - square(start)


def kept(start=WAVE):
    return Keeping(KDV, IntegralProjection(quadratic=square).of(start))


def ran(equation, steps, solver, t1=0.2, u0=WAVE, **how):
    return eqx.filter_jit(js.rollout)(equation, u0, dt=t1 / steps, steps=steps, solver=solver, **how)


@pytest.mark.slow
@pytest.mark.parametrize("solver, steps, order", [
    (ETDRK4(), 20, 4),
    (IMEXRK3(), 40, 3),
    (dfx.Tsit5(), 16, 5),
])  # fmt: skip
def test_a_wave_keeps_mass_and_momentum_at_the_order_of_its_solver(solver, steps, order):
    exact = ran(KDV, 1000, ETDRK4())
    error = lambda u: np.max(np.abs(u.values - exact.values))
    coarse, fine = (ran(kept(), n, solver) for n in (steps, 2 * steps))
    free = ran(KDV, steps, solver)
    assert np.log2(error(coarse) / error(fine)) > order - 0.5
    assert error(coarse) < 1.5 * error(free)
    assert abs(drifts(free, WAVE)[1]) > 1e3 * abs(drifts(coarse, WAVE)[1])
    np.testing.assert_allclose(drifts(coarse, WAVE), 0, atol=1e-13)


def test_a_short_run_keeps_what_it_has_and_otherwise_does_not():
    held, free = (ran(e, 20, ETDRK4()) for e in (kept(), KDV))
    np.testing.assert_allclose(drifts(held, WAVE), 0, atol=1e-13)
    assert abs(drifts(free, WAVE)[1]) > 1e-8


@pytest.mark.slow
def test_a_long_run_does_not_drift():
    run = eqx.filter_jit(lambda e: js.rollout(e, WAVE, dt=0.01, steps=100_000, save_every=1000, solver=ETDRK4()))
    along = jax.vmap(lambda values: jnp.stack(drifts(LINE.field(values), WAVE)))
    mass, momentum = along(run(kept()).values).T
    assert np.max(np.abs(mass)) < 1e-14 * js.integral(WAVE) and np.max(np.abs(momentum)) < 1e-14 * square(WAVE)
    assert np.max(np.abs(along(run(KDV).values)[:, 1])) > 1e-9 * square(WAVE)


@pytest.mark.slow
def test_adaptive_steps_and_gradients_through_them():
    equation = kept()
    u = js.solve(equation, WAVE, 0.1, rtol=1e-4, solver=ETDRK4()).ys
    np.testing.assert_allclose(drifts(LINE.field(u.values[-1]), WAVE), 0, atol=1e-13)

    def momentum(scale):
        start = scale * WAVE
        return square(ran(kept(start), 4, ETDRK4(), u0=start))

    np.testing.assert_allclose(jax.grad(momentum)(jnp.array(1.0)), 2 * square(WAVE), rtol=1e-12)


def energy(u):
    """Of a two-dimensional flow, from its vorticity."""
    return -0.5 * js.inner(u, js.inverse_laplacian(u))


@pytest.mark.slow
@pytest.mark.parametrize("quadratic", [energy, square])
def test_a_flow_without_viscosity_keeps_energy_or_enstrophy(quadratic):
    space = js.Fourier(js.Grid((16, 16), 0.0, 2 * np.pi))
    start = space.field(lambda x, y: jnp.cos(x) * jnp.sin(2 * y) + jnp.sin(x + y) + jnp.cos(3 * x))
    flow = js.equations.NavierStokesVorticity(viscosity=0.0)
    keep = IntegralProjection(quadratic=quadratic).of(start)
    free, held = (ran(e, 20, dfx.Heun(), 1.0, start) for e in (flow, Keeping(flow, keep)))
    assert abs(quadratic(free) - quadratic(start)) > 1e-6
    np.testing.assert_allclose(quadratic(held), quadratic(start), rtol=1e-14)
    np.testing.assert_allclose(held.values, free.values, atol=1e-2)


@pytest.mark.slow
def test_flow_between_walls_keeps_energy_and_stays_free_of_divergence():
    space = js.Staggered(js.Grid((8, 6), 0.0, (2.0, 1.0)), js.FreeSlip())
    start = js.project(space.field(lambda x, y: (jnp.sin(jnp.pi * x) * jnp.cos(3 * y), jnp.cos(x) * y)))
    flow = js.equations.NavierStokesVelocity(viscosity=0.0)
    keep = IntegralProjection(lambda u: (), (), square).of(start)
    end = ran(Keeping(flow, keep), 10, dfx.Heun(), 0.5, start)
    np.testing.assert_allclose(square(end), square(start), rtol=1e-14)
    assert np.max(np.abs(js.div(end).values)) < 1e-13


@pytest.mark.slow
def test_water_that_loses_mass_by_its_scheme_does_not():
    space = js.FiniteDifference(js.Grid(16, 0.0, 1.0), js.Neumann(0.0))

    class Spreading(js.Equation):
        """Diffusion with a varying coefficient, not in the form of a flux."""

        def nonlinear(self, t, u):
            return u * js.laplacian(u) + js.partial(u, 0) * js.partial(u, 0)

    start = space.field(lambda x: 1 + 0.5 * jnp.cos(jnp.pi * x))
    free, held = (ran(e, 20, dfx.Tsit5(), 0.01, start) for e in
                  (Spreading(), Keeping(Spreading(), IntegralProjection().of(start))))  # fmt: skip
    assert abs(js.integral(free) - js.integral(start)) > 1e-6
    np.testing.assert_allclose(js.integral(held), js.integral(start), rtol=1e-15)


@pytest.mark.slow
def test_a_run_that_cannot_be_kept_ends_as_diverged():
    equation = Keeping(KDV, IntegralProjection(values=3.0, quadratic=square, level=0.1))
    march = js.march(equation, WAVE, dt=0.01, steps=2, solver=ETDRK4())
    assert not march.succeeded


TOP = Quadrature(jnp.ones(3))
SPHERE = IntegralProjection(lambda y: (), (), lambda y: TOP(y * y), 1.0, TOP)


def turning(t, y, moments):
    return jnp.cross(y, y / moments)


@pytest.mark.slow
def test_a_diffrax_solver_on_arrays_stays_on_the_sphere():
    y0, moments = jnp.array([0.6, 0.0, 0.8]), jnp.array([1.0, 2.0, 3.0])

    @eqx.filter_jit
    def end(solver):
        controller = dfx.PIDController(rtol=1e-4, atol=1e-4)
        return dfx.diffeqsolve(dfx.ODETerm(turning), solver, 0.0, 20.0, 0.1, y0, moments,
                               stepsize_controller=controller).ys  # fmt: skip

    free, held = end(dfx.Tsit5()), end(ProjectedSteps(dfx.Tsit5(), SPHERE))
    assert abs(free[-1] @ free[-1] - 1) > 1e-5
    assert abs(held[-1] @ held[-1] - 1) < 1e-14
    np.testing.assert_allclose(held, free, atol=1e-2)


def test_the_loop_of_a_network_conserves_over_a_thousand_steps():
    keep = IntegralProjection(quadrature=Quadrature.periodic((16,), (1.0,)), on_failure=OnFailure.NAN)
    step = Projected(lambda u: u + 0.1 * jnp.sin(3 * jnp.roll(u, 1)), keep)
    start = jnp.asarray(np.random.default_rng(0).standard_normal(16))
    end, _ = jax.jit(lambda u: jax.lax.scan(lambda u, _: (step(u), None), u, None, 1000))(start)
    np.testing.assert_allclose(jnp.mean(end), jnp.mean(start), atol=1e-14)
    held = Projected(step.module, keep.of(start))
    end, _ = jax.jit(lambda u: jax.lax.scan(lambda u, _: (held(u), None), u, None, 1000))(start)
    np.testing.assert_allclose(jnp.mean(end), jnp.mean(start), atol=1e-15)


def test_bad_arguments():
    with pytest.raises(ValueError, match="no values to keep"):
        Keeping(KDV, IntegralProjection())
    with pytest.raises(TypeError, match="js.Equation"):
        Keeping(lambda u: u, SPHERE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callable"):
        ProjectedSteps(dfx.Tsit5(), 1.0)  # type: ignore[arg-type]
