"""IMEX Runge-Kutta solvers: order, stiffness, error estimates, adaptive steps and gradients.

On the imaginary spectrum of Korteweg-de Vries the schemes reach their order once a step resolves the fastest wave;
exponential solvers do so long before.
"""

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
    estimate,
    estimated_order,
    gradient_errors,
    kuramoto_sivashinsky,
    observed_order,
    slow,
)

import jaxsim as js
from jaxsim.integrate import IMEXRK2, IMEXRK3, IMEXRK4, IMEXRK5

pytestmark = pytest.mark.filterwarnings("ignore:Complex dtype support")

SCHEMES = [IMEXRK2, IMEXRK3, IMEXRK4, IMEXRK5]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_order(scheme, name):
    assert abs(observed_order(scheme(), name) - scheme().order(None)) < 0.25


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tableau_satisfies_the_low_order_conditions(scheme):
    """Stages at the nodes, weights that sum to one, and an embedded scheme whose weights sum to one as well."""
    tableau = scheme.scheme
    for i, c in enumerate(tableau.nodes[1:]):
        np.testing.assert_allclose(sum(tableau.explicit[i]), c, atol=1e-14)
        np.testing.assert_allclose(sum(tableau.implicit[i]) + tableau.gamma, c, atol=1e-14)
    explicit = np.array([*tableau.explicit[-1], 0.0]) + tableau.end
    np.testing.assert_allclose(explicit.sum(), 1, atol=1e-14)
    np.testing.assert_allclose(explicit @ tableau.nodes, 0.5, atol=1e-14)
    np.testing.assert_allclose([sum(tableau.explicit_error), sum(tableau.implicit_error)], 0, atol=1e-14)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_error_estimate_has_the_order_that_controllers_assume(scheme):
    assert abs(estimated_order(scheme(), burgers(), 0.01) - scheme().error_order(None)) < 0.25


@pytest.mark.parametrize(
    ("scheme", "problem"),
    [(IMEXRK2, burgers), (IMEXRK3, burgers), (IMEXRK4, kuramoto_sivashinsky), (IMEXRK5, kuramoto_sivashinsky)]
    + slow([(IMEXRK2, kuramoto_sivashinsky), (IMEXRK3, kuramoto_sivashinsky), (IMEXRK4, burgers), (IMEXRK5, burgers)]),
)
def test_adaptive_steps_reach_their_tolerance(scheme, problem):
    tolerances = (1e-3, 1e-5) if scheme is IMEXRK2 else (1e-4, 1e-6, 1e-8)
    assert max(adaptive_errors(scheme(), problem(), tolerances)) < 20


@pytest.mark.parametrize("scheme", [IMEXRK3, *slow([IMEXRK2, IMEXRK4, IMEXRK5])])
def test_gradient_of_a_rollout(scheme):
    assert max(gradient_errors(scheme())) < 1e-6


class Decay(js.Equation):
    rate: float | jax.Array

    def linear(self, u):
        return -self.rate * u


class Wave(js.Equation):
    def linear(self, state):
        displacement, velocity = state
        return velocity, js.laplacian(displacement)


@pytest.mark.parametrize("dtype", [jnp.complex64, jnp.complex128])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_stiff_modes_vanish_and_their_estimate_stays_bounded(scheme, dtype):
    """L-stability, with rounding errors that are not amplified."""
    space = js.Fourier(js.Grid(4))
    start = space.state(space.field(lambda x: 1 + 0 * x)).astype(dtype)
    term = js.SemilinearTerm(Decay(1e9), space)
    solver, one = scheme().prepare(term, 1.0, start), jnp.ones((), jnp.finfo(dtype).dtype)
    y, error, _, _, _ = solver.step(term, 0 * one, one, start, None, None, False)
    assert jnp.max(jnp.abs(y)) < 1e-6
    if dtype == jnp.complex128:  # the stages' slopes cancel in the estimate, to about 1e9 times the precision
        assert jnp.max(jnp.abs(error)) < 5


@pytest.mark.parametrize("scheme", [IMEXRK2, IMEXRK4])
def test_coupled_linear_equations(scheme):
    space = js.Fourier(js.Grid(8, 0.0, 2 * np.pi))
    u0 = space.field(lambda x: jnp.stack([jnp.sin(x), 0 * x]))

    def error(steps):
        u = js.rollout(Wave(), u0, dt=1.0 / steps, steps=steps, solver=scheme())
        return np.max(np.abs(u.values[0] - np.cos(1.0) * np.sin(space.coordinates()[0])))

    assert abs(np.log2(error(10) / error(20)) - scheme().order(None)) < 0.25


def test_dense_output_knows_the_slope():
    problem, dt = burgers(), jnp.asarray(0.05)

    @eqx.filter_jit
    def step(t):
        solver = IMEXRK3()
        state = solver.init(problem.term, t, t + dt, problem.start, None)
        y1, _, dense, _, _ = solver.step(problem.term, t, t + dt, problem.start, None, state, False)
        return dense, dt * problem.term.vf(t, problem.start), dt * problem.term.vf(t + dt, y1)

    dense, first, last = step(jnp.asarray(0.3))
    np.testing.assert_allclose(dense["k0"], first, atol=1e-14)
    np.testing.assert_allclose(dense["k1"], last, atol=1e-14)


def test_jumps_discard_the_last_slope():
    problem, dt = burgers(), jnp.asarray(0.01)
    solver = IMEXRK3().prepare(problem.term, 0.01, problem.start)

    @jax.jit
    def step(state, jumped):
        return solver.step(problem.term, 0 * dt, dt, problem.start, None, state, jumped)[0]

    state = solver.init(problem.term, 0 * dt, dt, problem.start, None)
    np.testing.assert_allclose(step(jnp.zeros_like(state), True), step(state, False), rtol=0, atol=1e-15)
    assert distance(step(jnp.zeros_like(state), False), step(state, False)) > 1e-4


def test_coefficients_agree_with_those_of_the_step():
    problem, dt = burgers(), 0.02
    inside = estimate(IMEXRK4(), problem.term, problem.start, jnp.asarray(dt))
    prepared = estimate(
        IMEXRK4().prepare(problem.term, dt, problem.start), problem.term, problem.start, jnp.asarray(dt)
    )
    assert distance(inside, prepared) < 1e-9


def test_single_precision_late_in_time():
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    x = space.coordinates()[0]
    single, double = (
        js.rollout(js.equations.Burgers(0.1), space.field(jnp.asarray(np.sin(x), dtype)), dt=0.01, steps=50,
                   t0=100.0, solver=IMEXRK3()).values
        for dtype in (jnp.float32, jnp.float64)
    )  # fmt: skip
    assert single.dtype == jnp.float32
    assert distance(single, double) < 3e-6
