"""Functions between the nodes of a grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import OnGrid, satisfy
from jaxsim.optimize import Rows
from jaxsim.pinn import collocation


def sampled(function, shape, periodic=(False, False), degree=4, **how):
    t = np.linspace(0, 2, shape[0], endpoint=not periodic[0])
    x = np.linspace(-1, 1, shape[1], endpoint=not periodic[1])
    return OnGrid(jnp.asarray(function(t[:, None], x[None])), (0.0, -1.0), (2.0, 1.0), periodic, degree, **how)


def test_polynomials_are_reproduced_with_their_derivatives():
    function = lambda t, x: np.stack([t**4 * x**3 + 1.0, (t - x) ** 2 * t])
    u = js.Function(sampled(function, (6, 7)), dimension=1)
    for t, x in [(0.0, -1.0), (2.0, 1.0), (0.83, 0.29), (1.2, -0.99)]:
        np.testing.assert_allclose(u(t, x), function(t, x), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(js.partial(u, 0, 2)(t, x), [6 * t**4 * x, 2 * t], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            u.space.rate(js.partial(u, 0))(t, x), [12 * t**3 * x**2, 2 * x - 4 * t], rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("degree", [2, 4])
def test_order_of_convergence_and_periodicity(degree):
    function = lambda t, x: np.sin(np.pi * (x - t))
    errors = []
    for count in (24, 48):
        u = js.Function(sampled(function, (count, count), (True, True), degree), dimension=1)
        places = jax.random.uniform(jax.random.key(0), (200, 2)) * 2 - jnp.array([0.0, 1.0])
        value = jax.vmap(lambda s, u=u: u(*s) - jnp.sin(np.pi * (s[1] - s[0])))(places)
        slope = jax.vmap(lambda s, u=u: js.partial(u, 0)(*s) - np.pi * jnp.cos(np.pi * (s[1] - s[0])))(places)
        errors.append([np.linalg.norm(value), np.linalg.norm(slope)])
    orders = np.log2(np.divide(*errors))
    np.testing.assert_allclose(orders, [degree + 1, degree], atol=0.6)


def test_a_layer_on_functions_of_a_grid():
    waves = lambda t, x: np.stack([np.exp(-0.1 * k**2 * t) * np.cos(k * np.pi * x) for k in (1, 2)])
    points = jax.random.uniform(jax.random.key(0), (40, 2)) * 2 - jnp.array([0.0, 1.0])
    x = jnp.linspace(-1, 1, 9)
    start = Rows(lambda u, s: u(0.0, s[0]) - s[1], (x, 3 * jnp.cos(2 * np.pi * x)), weight=100.0)

    @jax.jit
    def weights(values):
        functions = OnGrid(values, (0.0, -1.0), (2.0, 1.0), (False, True))
        diffusion = js.equations.Diffusion(0.1 / np.pi**2)
        return satisfy(functions, {"interior": collocation(diffusion, points), "start": start}).value.weights

    values = sampled(waves, (24, 24), (False, True)).values
    np.testing.assert_allclose(weights(values), [0.0, 3.0], atol=2e-3)
    direction = jax.random.normal(jax.random.key(1), values.shape)
    moved = jax.jvp(weights, (values,), (direction,))[1]
    pulled = jax.vjp(weights, values)[1](jnp.ones(2))[0]
    np.testing.assert_allclose(moved.sum(), jnp.vdot(pulled, direction), rtol=1e-9)
    h = 1e-6
    difference = (weights(values + h * direction) - weights(values - h * direction)) / (2 * h)
    np.testing.assert_allclose(moved, difference, rtol=1e-6, atol=1e-9)


def test_what_does_not_fit_is_named():
    values = jnp.zeros((2, 6, 6))
    with pytest.raises(ValueError, match="more than 6 nodes"):
        OnGrid(values, (0.0, 0.0), (1.0, 1.0), degree=6)
    with pytest.raises(ValueError, match="one entry per axis"):
        OnGrid(values, (0.0, 1.0), (1.0, 1.0))
    with pytest.raises(ValueError, match="order 5"):
        js.partial(js.Function(OnGrid(values, (0.0, 0.0), (1.0, 1.0)), 1), 0, 5)(0.0, 0.0)
