"""The gas chromatograph against its exact solution."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import jaxsim as js
from jaxsim.equations import GasChromatograph, InletPulse
from jaxsim.spaces.conservation import Upwind

COLUMN = GasChromatograph(adsorption=0.8, desorption=1.3, storage=0.1)
exact = eqx.filter_jit(lambda equation, inlet, t, x: equation.solution(inlet, t, x))


def between(inlet, nodes, length, order):
    sides = (js.Dirichlet(inlet), js.Neumann())
    return js.FiniteDifference(js.Grid(nodes, 0.0, length), boundary=(sides,), order=order)


def convolution(inlet, x, t):
    """Both concentrations by mpmath, as convolutions in time."""
    a, kd, late = mpmath.mpf(0.8) * x, mpmath.mpf(1.3), mpmath.mpf(t) - mpmath.mpf(0.1) * x
    g = lambda s: 0.7 * mpmath.sin(mpmath.pi * s / 3) ** inlet.power if 0 < s < 3 else mpmath.mpf(0)
    gas = lambda s: mpmath.exp(-a - kd * s) * mpmath.sqrt(a * kd / s) * mpmath.besseli(1, 2 * mpmath.sqrt(a * kd * s))
    wall = lambda s: mpmath.exp(-a - kd * s) * 0.8 * mpmath.besseli(0, 2 * mpmath.sqrt(a * kd * s))
    ends = sorted({max(mpmath.mpf(0), late - 3), late})
    c = mpmath.exp(-a) * g(late) + mpmath.quad(lambda s: gas(s) * g(late - s), ends)
    return float(c), float(mpmath.quad(lambda s: wall(s) * g(late - s), ends))


@pytest.mark.parametrize("power", [0, 4])
def test_exact_solution_against_the_convolution(power):
    inlet, x, t = InletPulse(3.0, 0.7, power), np.array([2.0, 2.0, 40.0]), np.array([1.5, 5.0, 70.0])
    expected = np.transpose([convolution(inlet, *point) for point in zip(x, t)])
    np.testing.assert_allclose(exact(COLUMN, inlet, t, x), expected, rtol=1e-12)


def test_exact_solution_far_early_and_at_the_inlet():
    inlet = InletPulse(3.0, power=4)
    x = np.array([2.275e7, 1e2, 0.0])
    (far, early, at_inlet), (_, none, _) = exact(COLUMN, inlet, np.array([1.625e7, 2.0, 1.0]), x)
    assert np.isfinite(far) and far > 0 and early == none == 0.0
    np.testing.assert_allclose(at_inlet, inlet(1.0), rtol=1e-12)


def test_exact_solution_leaves_no_residual():
    inlet = InletPulse(3.0, power=4)
    residual = js.residual(COLUMN, js.Function(lambda t, x: COLUMN.solution(inlet, t, x)))
    left = jax.jit(jax.vmap(residual))(jnp.array([2.0, 4.0]), jnp.array([1.5, 3.0]))
    np.testing.assert_allclose(left, 0.0, atol=1e-13)


def test_exact_solution_is_differentiable():
    def outlet(parameters):
        ka, kd, storage, t, x, duration = parameters
        return GasChromatograph(ka, kd, storage).solution(InletPulse(duration), t, x)

    point = jnp.array([0.8, 1.3, 0.1, 5.0, 2.0, 3.0])
    jacobian, direction = jax.jit(jax.jacrev(outlet)), jnp.array([0.3, -0.5, 0.2, 0.4, 0.6, -0.7])
    change, shift = jax.jit(outlet), 1e-5 * direction
    expected = (change(point + shift) - change(point - shift)) / 2e-5
    np.testing.assert_allclose(jacobian(point) @ direction, expected, rtol=1e-8)
    for early in (-1.0, 0.1):  # before the pulse, and before the gas has come
        np.testing.assert_array_equal(jacobian(point.at[3].set(early)), 0.0)


@pytest.mark.parametrize("order, scheme", [pytest.param(4, Upwind(3), marks=pytest.mark.slow), (6, Upwind(5))], ids=str)
def test_finite_differences_converge(order, scheme):
    inlet, end = InletPulse(3.0, power=4), 4.0
    equation = GasChromatograph(0.8, 1.3, 0.1, scheme=scheme)

    def error(nodes):
        space = between(inlet, nodes, 6.0, order)
        start = space.field(jnp.zeros((2, nodes)))
        u = js.rollout(equation, start, dt=end / 600, steps=600, solver=dfx.Tsit5())
        return float(jnp.abs(u.values - exact(COLUMN, inlet, end, *space.coordinates())).mean())

    assert abs(np.log2(error(40) / error(80)) - scheme.order) < 0.15


def test_exponential_integrators_take_the_exchange_exactly():
    inlet, space = InletPulse(3.0, power=4), between(InletPulse(3.0, power=4), 40, 6.0, 4)
    stiff = GasChromatograph(20.0, 30.0, 0.1)  # explicit steps would be at most 0.01
    u = js.rollout(stiff, space.field(jnp.zeros((2, 40))), dt=0.02, steps=200)
    truth = exact(stiff, inlet, 4.0, *space.coordinates())
    assert float(jnp.abs(u.values - truth).max()) < 0.01 * float(jnp.abs(truth).max())


def test_nothing_is_lost_in_the_column():
    space = between(InletPulse(0.5), 40, 6.0, 2)
    equation = GasChromatograph(0.8, 1.3, 0.2)
    # Every step begins while the pulse is on, and the gas is then half way.
    u = js.rollout(equation, space.field(jnp.zeros((2, 40))), dt=0.5 / 200, steps=200, solver=dfx.Euler())
    np.testing.assert_allclose(js.integral(0.2 * u[0] + u[1]), 0.5, rtol=1e-6)


def test_refusals():
    for bad in (dict(adsorption=0.0), dict(desorption=-1.0), dict(storage=0.0), dict(inverse_peclet=-0.1)):
        with pytest.raises(ValueError):
            GasChromatograph(**bad)
    with pytest.raises(ValueError, match="without diffusion"):
        GasChromatograph(inverse_peclet=0.1).solution(InletPulse(1.0), 1.0, 1.0)
    with pytest.raises(ValueError, match="even"):
        InletPulse(1.0, power=3)


@pytest.mark.slow
def test_toluene_in_the_published_column():
    """Toluene in a column of 20 m, in units of o-xylene: Da = 0.0633, L = 10683, a pulse of 4 s (arXiv:2501.00001)."""
    length, inlet = 10683.0, InletPulse(4.0 * 14.291)
    toluene = GasChromatograph(0.2953 / 1.0168, 11.502 / 14.291, 0.0633)
    kept = 50

    def error(nodes):
        # Steps are stable, and one ends just after the pulse does: none of its stages looks beyond the switch.
        step = 1 / (6.0 / 2.2 + nodes / (1.1 * 0.0633 * length))
        step = float(inlet.duration) / (np.ceil(float(inlet.duration) / step) - 1e-6)
        steps = kept * int(np.ceil(5200.0 / step / kept))
        end = steps * step
        space = between(inlet, nodes, length, 4)
        start = space.field(jnp.zeros((2, nodes)))
        history = js.rollout(toluene, start, dt=step, steps=steps, save_every=steps // kept, solver=dfx.Bosh3())
        times, last = end / kept * np.arange(1, kept + 1), space.nodes(0)[-1]
        truth = exact(toluene, inlet, times, last)[0]
        return float(jnp.abs(history.values[:, 0, -1] - truth).max() / truth.max())

    errors = [error(nodes) for nodes in (256, 512, 1024)]
    assert errors[-1] < 1e-3 and errors[1] < 0.01
    assert np.log2(errors[1] / errors[2]) > 2.6
