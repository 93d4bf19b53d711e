"""Fields moved between spaces, and evaluated between nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.spaces._windows import windows

BOX = ((0.5, -1.0), (0.5 + np.pi, 1.0))


def fourier(*shape, real=True):
    return js.Fourier(js.Grid(shape, *(b[: len(shape)] for b in BOX)), real=real)


def nodal(*shape, boundary=None, order=4, real=True):
    return js.FiniteDifference(js.Grid(shape, *(b[: len(shape)] for b in BOX)), boundary, order=order, real=real)


def smooth(x, y):
    return jnp.exp(jnp.sin(2 * x)) * jnp.cos(np.pi * y + 0.4)


def band_limited(space, seed=0, components=(2,)):
    u = space.field(jax.random.normal(jax.random.key(seed), (*components, *space.grid.shape)))
    return space.from_coefficients(u.coefficients)


def observed(errors):
    return float(np.log2(errors[-2] / errors[-1]))


# -- from Fourier --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("real", (True, False))
@pytest.mark.parametrize("shape", ((8,), (9,), (8, 7)))
def test_round_trip_through_a_finer_grid(shape, real):
    coarse, fine = fourier(*shape, real=real), fourier(*(2 * n for n in shape), real=real)
    u = band_limited(coarse)
    up = js.interpolate(u, fine)
    np.testing.assert_allclose(js.interpolate(up, coarse).coefficients, u.coefficients, atol=1e-15)
    points = jnp.linspace(0.6, 3, 5), jnp.linspace(-0.9, 0.7, 5)
    np.testing.assert_allclose(up(*points[: len(shape)]), u(*points[: len(shape)]), atol=1e-13)
    assert up.shape == (2,) and up.space is fine


def test_truncation_keeps_the_low_modes():
    u = band_limited(fourier(16, 12))
    down = js.interpolate(u, fourier(6, 5))
    again = js.interpolate(js.interpolate(u, fourier(9, 14)), fourier(6, 5))
    np.testing.assert_allclose(down.coefficients, again.coefficients, atol=1e-15)
    np.testing.assert_allclose(down.coefficients[..., 0, 1], u.coefficients[..., 0, 1], atol=1e-15)


@pytest.mark.parametrize("real", (True, False))
@pytest.mark.parametrize("boundary", (None, js.Dirichlet(), (js.Periodic(), js.Neumann())))
@pytest.mark.parametrize("shape", ((13, 15), (6, 5)))
def test_fourier_to_nodes_is_exact(boundary, shape, real):
    u = band_limited(fourier(9, 8, real=real))
    moved = js.interpolate(u, nodal(*shape, boundary=boundary, real=real))
    np.testing.assert_allclose(moved.values, u(*moved.space.coordinates()), atol=1e-13)


def test_real_to_complex_space():
    u = band_limited(fourier(9, 8))
    moved = js.interpolate(u, fourier(12, 13, real=False))
    assert jnp.iscomplexobj(moved.values)
    np.testing.assert_allclose(moved(1.0, 0.3), u(1.0, 0.3), atol=1e-13)
    with pytest.raises(TypeError, match="real"):
        js.interpolate(moved, fourier(12, 13))


# -- from nodal values ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", (2, 4, 6, 8))
@pytest.mark.parametrize("boundary", (None, js.Dirichlet(), (js.Neumann(), js.Periodic())))
def test_order_of_local_polynomials(order, boundary):
    errors = []
    for n in (32, 64):
        source = nodal(n, n + 4, boundary=boundary, order=order)
        target = fourier(19, 21)
        wave = lambda x, y: jnp.sin(2 * x + 0.2) * jnp.cos(np.pi * y + 0.4)
        moved = js.interpolate(source.field(wave), target)
        errors.append(jnp.abs(moved.values - target.field(wave).values).max())
    assert observed(errors) > order - 0.5


def test_polynomials_are_exact_up_to_the_walls():
    u = nodal(9, 11, boundary=js.Dirichlet(), order=6).field(lambda x, y: x**5 * y**5 - x)
    moved = js.interpolate(u, nodal(14, 10, boundary=js.Neumann(), order=2))
    x, y = moved.space.coordinates()
    np.testing.assert_allclose(moved.values, x**5 * y**5 - x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(u(BOX[1][0], -1.0), -(BOX[1][0] ** 5) - BOX[1][0], rtol=1e-9)


def test_same_nodes_are_kept():
    u = nodal(9, 8, boundary=js.Dirichlet()).field(jax.random.normal(jax.random.key(0), (3, 9, 8)))
    moved = js.interpolate(u, nodal(9, 8, boundary=js.Neumann(), order=2))
    np.testing.assert_allclose(moved.values, u.values, atol=1e-13)


def test_target_conditions_are_taken_at_the_given_time():
    grid = js.Grid(12)
    target = js.FiniteDifference(grid, js.Dirichlet(lambda t, *x: t), order=4)
    for u in (
        js.FiniteDifference(grid, js.Neumann()).field(jnp.ones(12)),
        js.Function(lambda t, x: 1.0 + 0 * x),
    ):
        moved = js.interpolate(u, target, t=1.0)
        np.testing.assert_allclose(js.laplacian(moved).values, 0, atol=1e-11)


# -- evaluation ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", (2, 4, 6))
def test_order_of_evaluation(order):
    x = jnp.array([[0.5, 1.3, 2.0], [2.7, 3.2, 0.5 + np.pi]])
    y = jnp.array([[-1.0, 0.3, 1.0], [0.05, -0.6, 1.0]])
    errors = []
    for n in (40, 80):
        u = nodal(n, n, boundary=(js.Periodic(), js.Dirichlet()), order=order).field(
            lambda x, y: jnp.stack([smooth(x, y), 2 * smooth(x, y)])
        )
        values = jax.jit(lambda u, x, y: u(x, y))(u, x, y)
        assert values.shape == (2, 2, 3)
        errors.append(jnp.abs(values - jnp.stack([smooth(x, y), 2 * smooth(x, y)])).max())
    assert observed(errors) > order - 0.6
    np.testing.assert_allclose(u(1.3, 0.3), values[:, 0, 1], atol=1e-13)
    np.testing.assert_allclose(u(1.3 - np.pi, 0.3), values[:, 0, 1], atol=1e-12)


def test_evaluation_beyond_a_wall():
    u = nodal(8, 8, boundary=(js.Periodic(), js.Dirichlet())).field(smooth)
    with pytest.raises(ValueError, match="beyond a wall"):
        u(1.0, 1.1)
    with pytest.raises(ValueError, match="2 coordinates"):
        u(1.0)
    values = jax.jit(lambda y: u(jnp.ones(3), y))(jnp.array([-1.1, 0.0, 1.1]))
    np.testing.assert_array_equal(jnp.isnan(values), [True, False, True])


def test_evaluation_is_differentiable():
    u = nodal(30, 30, order=6).field(smooth)
    slope = jax.grad(lambda x: u(x, 0.3))(1.234)
    np.testing.assert_allclose(slope, (u(1.234 + 1e-5, 0.3) - u(1.234 - 1e-5, 0.3)) / 2e-5, rtol=1e-7)
    np.testing.assert_allclose(slope, 2 * np.cos(2.468) * smooth(1.234, 0.3), rtol=1e-3)


# -- from callables ------------------------------------------------------------------------------------------
def test_functions_are_sampled():
    u = js.Function(lambda t, x, y: jnp.stack([t * x, jnp.sin(y)]))
    for space in (fourier(9, 8), nodal(9, 10, boundary=js.Dirichlet())):
        moved = js.interpolate(u, space, t=2.0)
        x, y = space.coordinates()
        expected = space.field(jnp.stack([2 * x, jnp.sin(y)]))
        np.testing.assert_allclose(moved.values, expected.values, atol=1e-14)


# -- transformations and errors ------------------------------------------------------------------------------
@pytest.mark.parametrize("source", (fourier(9, 8), nodal(9, 8), nodal(9, 8, boundary=js.Neumann())))
@pytest.mark.parametrize("target", (fourier(12, 7), nodal(7, 12, boundary=js.Dirichlet())))
def test_linear_under_jit_vmap_and_grad(source, target):
    values = jax.random.normal(jax.random.key(2), (3, 9, 8))
    move = jax.jit(lambda a: js.interpolate(source.field(a), target).values)
    np.testing.assert_allclose(jax.vmap(move)(values), move(values), atol=1e-13)
    weights = jax.random.normal(jax.random.key(3), move(values).shape)
    gradient = jax.grad(lambda a: jnp.vdot(weights, move(a)))(values)
    np.testing.assert_allclose(jnp.vdot(gradient, values), jnp.vdot(weights, move(values)), rtol=1e-12)


def test_single_precision():
    values = jax.random.normal(jax.random.key(2), (9, 8), jnp.float32)
    for source in (fourier(9, 8), nodal(9, 8, boundary=js.Neumann())):
        for target in (fourier(12, 7), nodal(7, 12, boundary=js.Dirichlet())):
            move = lambda v, s=source, t=target: js.interpolate(s.field(v), t).values
            assert jax.eval_shape(move, values).dtype == jnp.float32
        assert jax.eval_shape(lambda v, s=source: s.field(v)(1.0, 0.3), values).dtype == jnp.float32


def test_what_cannot_be_moved():
    u = fourier(8, 8).field(smooth)
    with pytest.raises(ValueError, match="same box"):
        js.interpolate(u, js.Fourier(js.Grid((8, 8))))
    with pytest.raises(ValueError, match="same box"):
        js.interpolate(u, fourier(8))
    with pytest.raises(TypeError, match="a field and a space"):
        js.interpolate(u.values, fourier(8, 8))
    with pytest.raises(TypeError, match="no nodes"):
        js.interpolate(u, js.Function(smooth).space)


@pytest.mark.parametrize("width", [2, 4, 6])
def test_windows_are_centered_wherever_walls_let_them(width):
    """As many nodes on either side of a point, also where cells are stretched and across a period."""
    uneven = js.Grid(24, -1.0, 2.0, js.TanhStretching(1.0)).centers(0)
    even = np.linspace(-1.0, 2.0, 25)[:-1]
    points = np.linspace(-0.99, 1.99, 301)
    for nodes, spacing in ((even, even[1] - even[0]), (uneven, None)):
        numbers, weights = windows(points, nodes, spacing, width, periodic=False)
        before = np.searchsorted(nodes, points, side="right")
        assert np.all(np.diff(numbers, axis=1) == 1)
        np.testing.assert_array_equal(numbers[:, 0], np.clip(before - width // 2, 0, 24 - width))
        np.testing.assert_allclose(np.sum(weights * nodes[numbers], 1), points, atol=1e-12)
    numbers, weights = windows(points, even, even[1] - even[0], width, periodic=True)
    away = (even[numbers] - points[:, None] + 1.5) % 3.0 - 1.5  # the nearest image
    assert np.all(np.sum(away <= 0, 1) == width // 2)
    np.testing.assert_allclose(np.sum(weights * away, 1), 0, atol=1e-12)
