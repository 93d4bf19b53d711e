"""States held to equations that are not linear."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from projections import check_batch, check_derivatives, check_sharded, traces

import jaxsim as js
from jaxsim.constraints import IntegralProjection, Keeping, NonlinearProjection, Projected, Quadrature
from jaxsim.integrate import ETDRK4
from jaxsim.optimize import OnFailure, ProjectedNewton

X = np.linspace(0, 1, 9)
TRAPEZOID = Quadrature.trapezoid(X)
Y = jnp.asarray(np.random.default_rng(0).standard_normal(9))


def mass_and_energy(y):
    return TRAPEZOID(y), TRAPEZOID(y * y)


@pytest.fixture(scope="module")
def held():
    return NonlinearProjection(mass_and_energy, (0.5, 2.0), TRAPEZOID)


def test_it_agrees_with_the_closed_form_for_one_norm(held):
    solved = eqx.filter_jit(held.solve)(Y)
    closed = IntegralProjection(TRAPEZOID, 0.5, lambda y: TRAPEZOID(y * y), 2.0, TRAPEZOID)
    assert solved.succeeded and solved.rank == 2
    np.testing.assert_allclose(solved.value, eqx.filter_jit(closed)(Y), atol=1e-10)
    np.testing.assert_allclose(mass_and_energy(solved.value), (0.5, 2.0), rtol=1e-12)


@pytest.mark.slow
def test_derivatives_in_states_values_and_what_quantities_close_over():
    def project(y, values, power):
        quantities = lambda y: jnp.stack([TRAPEZOID(y), TRAPEZOID(jnp.abs(y) ** power)])
        method = ProjectedNewton(1e-13)
        return NonlinearProjection(quantities, values, TRAPEZOID, method, OnFailure.KEEP)(y)

    check_derivatives(project, Y, jnp.array([0.5, 2.0]), jnp.array(4.0))


@pytest.mark.slow
def test_what_cannot_be_met_is_flagged_and_stays_alone():
    def solve(level):
        return NonlinearProjection(lambda y: y @ y, level, on_failure=OnFailure.STOP).solve(Y)

    levels = jnp.array([2.0, -1.0])
    loss = lambda levels: jnp.sum(jax.vmap(solve)(levels).value[:, 0] ** 2)
    solved = jax.jit(jax.vmap(solve))(levels)
    np.testing.assert_array_equal(solved.succeeded, [True, False])
    slope = jax.jit(jax.grad(loss))(levels)
    assert slope[1] == 0 and slope[0] != 0 and np.all(np.isfinite(solved.value))
    np.testing.assert_allclose(solved.value[0], Y * np.sqrt(2 / (Y @ Y)), rtol=1e-9)


@pytest.mark.slow
def test_batches_devices_and_errors():
    project = NonlinearProjection(lambda y: y[:3] @ y[:3] * y[3], 1.0, on_failure=OnFailure.STOP)
    batch = 1 + 0.1 * jnp.asarray(np.random.default_rng(1).standard_normal((4, 6)))
    check_batch(jax.jit(lambda y: project(y)), batch)
    check_sharded(lambda y: project(y), batch)
    with pytest.raises(eqx.EquinoxRuntimeError, match="did not converge"):
        eqx.filter_jit(NonlinearProjection(lambda y: y @ y, -1.0))(Y)
    with pytest.raises(ValueError, match="must be like"):
        NonlinearProjection(mass_and_energy, (1.0,))(Y)
    with pytest.raises(ValueError, match="no values"):
        NonlinearProjection(mass_and_energy, None)(Y)


@pytest.mark.slow
def test_a_flow_without_viscosity_keeps_energy_and_enstrophy_at_once():
    space = js.Fourier(js.Grid((16, 16), 0.0, 2 * np.pi))
    start = space.field(lambda x, y: jnp.cos(x) * jnp.sin(2 * y) + jnp.sin(x + y) + jnp.cos(3 * x))
    both = lambda w: (js.inner(w, w), -js.inner(w, js.inverse_laplacian(w)))
    flow = js.equations.NavierStokesVorticity(viscosity=0.0)
    keep = NonlinearProjection(both, method=ProjectedNewton(1e-12)).of(start)
    free, held = (eqx.filter_jit(js.rollout)(e, start, dt=0.1, steps=10, solver=ETDRK4()) for e in
                  (flow, Keeping(flow, keep)))  # fmt: skip
    assert abs(both(free)[0] / both(start)[0] - 1) > 1e-8
    np.testing.assert_allclose(both(held), both(start), rtol=1e-13)
    np.testing.assert_allclose(held.values, free.values, atol=1e-4)


@pytest.mark.slow
def test_a_model_on_the_law_of_a_gas_in_single_precision_compiled_once():
    law = lambda state: state["pressure"] * state["volume"] - state["temperature"]
    names = "pressure", "volume", "temperature"
    network = lambda scale: {name: scale * jnp.float32(1 + 0.1 * k) for k, name in enumerate(names)}
    model = Projected(network, NonlinearProjection(law, on_failure=OnFailure.KEEP))
    run, seen = traces(lambda model, scale: model(scale))
    for scale in (1.0, 2.0):
        result = run(model, jnp.float32(scale))
        assert result["volume"].dtype == jnp.float32
        np.testing.assert_allclose(law(result), 0, atol=1e-5)
    assert len(seen) == 1
