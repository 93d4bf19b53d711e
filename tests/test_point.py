"""Ordinary differential equations: equations on a space without axes."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js


class Oscillator(js.Equation):
    """u'' + damping u' + u + cubic u^3 = 0."""

    damping: float | jax.Array = 0.2
    cubic: float | jax.Array = 0.5

    def linear(self, u):
        position, rate = u
        return rate, -position - self.damping * rate

    def nonlinear(self, t, u):
        position, rate = u
        return 0.0 * rate, -self.cubic * position**3


def start():
    return js.Point().field([1.0, 0.0])


def reference(t1, damping=0.2, cubic=0.5):
    def slope(t, y, args):
        return jnp.stack([y[1], -y[0] - damping * y[1] - cubic * y[0] ** 3])

    return dfx.diffeqsolve(dfx.ODETerm(slope), dfx.Dopri8(), 0.0, t1, 0.01, jnp.array([1.0, 0.0]),
                           stepsize_controller=dfx.PIDController(rtol=1e-12, atol=1e-12)).ys[0]  # fmt: skip


@pytest.mark.parametrize("solver", [None, pytest.param(dfx.Kvaerno5(), marks=pytest.mark.slow)])
def test_every_solver_takes_a_system(solver):
    exact = reference(2.0)
    run = js.solve(Oscillator(), start(), t1=2.0, rtol=1e-8, atol=1e-8, solver=solver, saveat=[1.0, 2.0])
    assert run.ys.values.shape == (2, 2)
    np.testing.assert_allclose(run.ys.values[-1], exact, atol=2e-8)
    final = js.rollout(Oscillator(), start(), dt=0.01, steps=200, solver=js.integrate.ETDRK4())
    np.testing.assert_allclose(final.values, exact, atol=1e-8)


def test_the_linear_part_is_exact_under_exponential_steps():
    final = js.rollout(Oscillator(cubic=0.0), start(), dt=2.0, steps=1, solver=js.integrate.ETDRK4())
    np.testing.assert_allclose(final.values, reference(2.0, cubic=0.0), atol=1e-10)


def test_gradient_with_respect_to_a_parameter():
    def end(damping):
        return js.rollout(Oscillator(damping), start(), dt=0.02, steps=100).values[0]

    difference = (end(0.2 + 1e-5) - end(0.2 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(end)(0.2), difference, rtol=1e-7)


def test_residual_of_functions_of_time():
    exact = js.Function(lambda t: jnp.stack([jnp.cos(t), -jnp.sin(t)]))
    r = js.residual(Oscillator(damping=0.0, cubic=0.0), exact)
    np.testing.assert_allclose(jax.vmap(r)(jnp.linspace(0, 3, 7)), 0, atol=1e-14)
    assert np.max(np.abs(js.residual(Oscillator(), exact)(1.0))) > 0.05


def test_fields_are_numbers():
    u = js.Point().field([3, 4])
    assert u.dtype == np.float64 and u.shape == (2,) and float(js.norm(u)) == 5.0
    np.testing.assert_array_equal((2 * u - 1).values, [5, 7])
    np.testing.assert_array_equal((u * jnp.array([1.0, 2.0])).values, [3, 8])
    np.testing.assert_array_equal(js.mean(u), u())


def test_what_a_point_lacks():
    u = start()
    with pytest.raises(TypeError, match="no axes"):
        js.laplacian(u)
    with pytest.raises(TypeError, match="no coordinates"):
        u(0.5)

    class Wrong(js.Equation):
        def linear(self, u):
            return u * u

    with pytest.raises(ValueError, match="move products"):
        js.rollout(Wrong(), u, dt=0.1, steps=1, solver=js.integrate.ETDRK4())
