import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js


class Burgers(js.Equation):
    viscosity: float

    def linear(self, u):
        return self.viscosity * js.laplacian(u)

    def nonlinear(self, t, u):
        return -0.5 * js.partial(u * u, 0)


class Exchange(js.Equation):
    """A pair that reads like a textbook: components unpack, and results pack."""

    rate: float

    def linear(self, state):
        u, v = state
        return self.rate * js.laplacian(u), 2 * self.rate * js.laplacian(v) + v

    def nonlinear(self, t, state):
        u, v = state
        return u * v * v, 1 - u**3


def traveling_wave(t, x):
    return 0.5 - 0.5 * jnp.tanh((x - 0.5 * t) / (4 * 0.05))


def test_residual_of_an_exact_solution_vanishes():
    r = js.residual(Burgers(0.05), js.Function(traveling_wave))
    t, x = jnp.meshgrid(jnp.linspace(0, 1, 5), jnp.linspace(-1, 1, 9))
    assert jnp.abs(jax.vmap(r)(t.ravel(), x.ravel())).max() < 1e-13
    wrong = js.residual(Burgers(0.06), js.Function(traveling_wave))
    assert jnp.abs(wrong(0.3, 0.2)) > 1e-3


def test_residual_of_a_system_by_hand():
    u = js.Function(lambda t, x, y: jnp.stack([jnp.sin(x) * t, jnp.cos(y)]))
    r = js.residual(Exchange(0.1), u)(0.3, 0.2, 0.1)
    s, c = jnp.sin(0.2), jnp.cos(0.1)
    expected = [s + 0.03 * s - 0.3 * s * c**2, 0.2 * c - c - 1 + (0.3 * s) ** 3]
    np.testing.assert_allclose(r, expected, atol=1e-14)


def test_gradients_pass_to_a_network_and_to_parameters():
    weights = jnp.array([0.3, -0.2, 0.5])

    def loss(weights, viscosity):
        network = lambda t, x: jnp.tanh(weights[0] * x + weights[1] * t) * weights[2]
        return js.residual(Burgers(viscosity), js.Function(network))(0.4, 0.7) ** 2

    slopes = jax.grad(loss, (0, 1))(weights, 0.05)
    for i in range(3):
        step = jnp.zeros(3).at[i].set(1e-6)
        central = (loss(weights + step, 0.05) - loss(weights - step, 0.05)) / 2e-6
        np.testing.assert_allclose(slopes[0][i], central, rtol=1e-7)
    np.testing.assert_allclose(slopes[1], (loss(weights, 0.05 + 1e-6) - loss(weights, 0.05 - 1e-6)) / 2e-6, rtol=1e-7)


def test_operators_compose_exactly():
    u = js.Function(lambda t, x, y: t * x**3 * y**2, dimension=2)
    np.testing.assert_allclose(js.laplacian(js.laplacian(u))(1.0, 0.5, 2.0), 4 * 6 * 0.5, rtol=1e-13)
    np.testing.assert_allclose(js.grad(u * u)(1.0, 0.5, 2.0), [6 * 0.5**5 * 16, 4 * 0.5**6 * 8], rtol=1e-13)
    np.testing.assert_allclose(js.advect(js.grad(u), u)(1.0, 0.5, 2.0), 3**2 * 0.5**4 * 16 + 0.5**6 * 4 * 4, rtol=1e-13)
    np.testing.assert_allclose(js.partial(u, -1)(1.0, 0.5, 2.0), 2 * 0.125 * 2)


class Poisson(js.Equation):
    def residual(self, t, u):
        return js.laplacian(u) + js.sample(lambda t, x, y: 2 * jnp.sin(x) * jnp.sin(y), t, u)


def test_stationary_residuals_and_grid_fields():
    r = js.residual(Poisson(), js.Function(lambda t, x, y: jnp.sin(x) * jnp.sin(y)))
    assert abs(r(0.0, 0.3, 0.4)) < 1e-14
    space = js.Fourier(js.Grid((8, 8), 0, 2 * np.pi))
    left = js.residual(Poisson(), space.field(lambda x, y: jnp.sin(x) * jnp.sin(y)))(0.0)
    assert jnp.abs(left.values).max() < 1e-14


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda u: u.values, TypeError, "call it at a point"),
        (lambda u: js.inverse_laplacian(u), TypeError, "Fourier"),
        (lambda u: js.laplacian(js.Function(traveling_wave)), ValueError, "dimension"),
        (lambda u: js.partial(u, 1), ValueError, "axis 1 does not exist: this function has 1"),
        (lambda u: js.partial(js.Function(traveling_wave), 1)(0.0, 1.0), ValueError, "axis 1 does not exist"),
        (lambda u: js.partial(js.Function(traveling_wave), -2)(0.0, 1.0), ValueError, "axis -2 does not exist"),
        (lambda u: u(0.0, 1.0, 2.0), ValueError, "is evaluated at"),
        (lambda u: js.Function(3.0), TypeError, "needs a callable"),
        (lambda u: js.residual(Burgers(0.1), traveling_wave), TypeError, "wrap callables"),
        (lambda u: js.residual(js.Equation(), u)(0.0, 1.0), TypeError, "neither"),
        (lambda u: js.residual(Burgers(0.1), u)(0.0), TypeError, "each of 1 axes"),
    ],
)
def test_bad_input_is_refused(action, error, message):
    with pytest.raises(error, match=message):
        action(js.Function(traveling_wave, dimension=1))
