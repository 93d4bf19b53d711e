"""Reconstruction on faces, and transport in conservative form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.spaces.conservation import Central, Upwind, transport

SCHEMES = [Central(2), Central(4), Upwind(1), Upwind(3), Upwind(5)]
TWO_PI = 2 * np.pi


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_polynomials_are_reconstructed_from_their_averages(scheme):
    cells, reach = 6, scheme.reach
    edges = np.arange(-reach, cells + reach + 1)
    faces = edges[reach : reach + cells + 1]
    for degree in range(scheme.order):
        averages = np.diff(edges ** (degree + 1.0)) / (degree + 1)
        for velocity in (1.0, -1.0):
            found = scheme(jnp.asarray(np.stack([averages, 2 * averages])), velocity, 1)
            np.testing.assert_allclose(found[1], 2.0 * faces.astype(float) ** degree, rtol=1e-12, atol=1e-9)
    degree = scheme.order
    averages = np.diff(edges ** (degree + 1.0)) / (degree + 1)
    assert np.abs(scheme(jnp.asarray(averages), 1.0, 0) - faces.astype(float) ** degree).min() > 0.1


def test_upwind_side_follows_the_sign_on_each_face():
    padded, wind = jnp.array([1.0, 2.0, 4.0, 8.0]), jnp.array([1.0, -1.0, 1.0])
    np.testing.assert_array_equal(Upwind(1)(padded, wind, 0), [1.0, 4.0, 4.0])


def velocity(x, y):
    return jnp.stack([1.3 + jnp.cos(x + y), jnp.sin(x) * jnp.cos(2 * y)])


def concentration(x, y):
    return jnp.exp(jnp.sin(x - y))


def exact_divergence(x, y):
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    flux = lambda x, y: velocity(x, y) * concentration(x, y)
    return jax.jvp(flux, (x, y), (one, zero))[1][0] + jax.jvp(flux, (x, y), (zero, one))[1][1]


third_order = jax.jit(transport)


@jax.jit
def results(v, u):
    return [transport(v, u, scheme).values for scheme in SCHEMES]


@pytest.mark.parametrize("shift", [0.3, 0.0])
def test_order_with_a_velocity_that_changes_sign(shift):
    """Everywhere, also at the cells where it does, which may lie on a node (no shift) or between two."""

    def errors(nodes):
        space = js.FiniteDifference(js.Grid(nodes, 0.0, TWO_PI))
        (x,), wave = space.coordinates(), lambda x: 1e3 * jnp.exp(jnp.sin(x))
        wind = lambda x: jnp.sin(x + shift)
        found = np.asarray(results(space.field(lambda x: wind(x)[None]), space.field(wave)))
        assert np.abs(found.sum(1)).max() < 1e-9 * nodes  # what leaves a cell enters its neighbor
        return np.abs(found - jax.jvp(lambda x: wind(x) * wave(x), (x,), (jnp.ones_like(x),))[1]).max(1)

    coarse, fine = errors(64), errors(128)
    for scheme, order in zip(SCHEMES, np.log2(coarse / fine)):
        assert scheme.order - 0.4 < order < scheme.order + 0.6, (scheme, order)
    assert np.all(fine < [6.0, 0.03, 100.0, 0.2, 1e-3])


def test_the_first_order_keeps_positive_what_is_positive():
    """Off the diagonal nothing adds to the rate of loss, with winds that vary as they like from node to node."""
    space = js.FiniteDifference(js.Grid(16, 0.0, 1e-3))
    wind = space.field(1e3 * jax.random.normal(jax.random.key(0), (1, 16)))
    rates = np.asarray(transport(wind, space.field(jnp.eye(16)), Upwind(1)).values)
    np.testing.assert_allclose(rates.sum(1), 0, atol=1e-9 * np.abs(rates).max())
    assert np.all(rates[~np.eye(16, dtype=bool)] <= 0)


def test_two_dimensions():
    space = js.FiniteDifference(js.Grid((64, 64), 0.0, TWO_PI))
    result = third_order(space.field(velocity), space.field(concentration))
    error = jnp.abs(result.values - jax.jit(exact_divergence)(*space.coordinates()))
    assert error.mean() < 4e-3 and abs(result.values.sum()) < 1e-9


def test_other_spaces_differentiate_the_product():
    fourier = js.Fourier(js.Grid((32, 32), 0.0, TWO_PI))
    result = third_order(fourier.field(velocity), fourier.field(concentration))
    np.testing.assert_allclose(result.values, jax.jit(exact_divergence)(*fourier.coordinates()), atol=1e-6)
    function = transport((0.5, -2.0), js.Function(lambda t, x, y: t * x * x * y))
    np.testing.assert_allclose(function(2.0, 3.0, 5.0), 0.5 * 60 - 2.0 * 18)


def column(nodes=12, order=2, inlet=2.0):
    grid = js.Grid(nodes, 0.0, 3.0)
    return js.FiniteDifference(grid, boundary=((js.Dirichlet(inlet), js.Neumann()),), order=order)


def test_what_comes_in_is_what_the_inlet_says():
    space = column()
    u = space.field(lambda x: jnp.stack([2 + x**2, 2 - x]))
    h = space.grid.spacing[0]
    for scheme, rate in zip(SCHEMES, results(1.5, u)):
        total = h * rate.sum(-1)
        np.testing.assert_allclose(total, [1.5 * 9.0, -1.5 * 3.0], atol=1.2 if scheme.order == 1 else 0.03)
    np.testing.assert_allclose(results(1.5, u)[3][1], -1.5, atol=1e-12)  # straight lines are exact


@pytest.mark.parametrize("order", [2, 4])
def test_transport_between_walls_is_stable(order):
    space = column(16, order, inlet=0.0)
    for scheme, operator in zip(SCHEMES, results(1.0, space.field(jnp.eye(16)))):  # its transpose
        assert np.linalg.eigvals(-operator).real.max() < 1e-10, scheme


def test_wind_from_the_right_mirrors_wind_from_the_left():
    left = column(order=4)
    right = js.FiniteDifference(left.grid, boundary=((js.Neumann(), js.Dirichlet(2.0)),), order=4)
    values = jnp.cos(left.coordinates()[0])
    for forward, backward in zip(results(1.5, left.field(values)), results(-1.5, right.field(values[::-1]))):
        np.testing.assert_allclose(backward[::-1], forward, atol=1e-12)


def test_single_precision_and_refusals():
    space = column()
    assert third_order(1.5, space.field(jnp.ones(12, jnp.float32))).dtype == jnp.float32
    with pytest.raises(ValueError, match="1, 3, 5"):
        Upwind(2)
    with pytest.raises(ValueError, match="2, 4"):
        Central(3)
    with pytest.raises(ValueError, match="one number per axis"):
        transport((1.0, 2.0), space.field(jnp.ones(12)))
    with pytest.raises(ValueError, match="more than 4 padded"):
        Upwind(3)(jnp.ones(4), 1.0, 0)
