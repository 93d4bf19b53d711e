"""Body forces: without divergence, smooth in time, the same on every grid, with array leaves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim import equations as eq

KEY = jax.random.key(3)


def grid(*shape):
    return js.Fourier(js.Grid(shape, 0.0, 2 * np.pi))


def on_grid(force, space, t=0.3):
    return js.sample(force, t, space.field(lambda *x: 0 * x[0]))


def test_kolmogorov():
    space = grid(12, 16)
    f = on_grid(eq.kolmogorov(3, amplitude=0.7), space)
    _, y = space.coordinates()
    np.testing.assert_allclose(f.values, [0.7 * jnp.sin(3 * y), 0 * y], atol=1e-14)
    solid = on_grid(eq.kolmogorov(2), grid(6, 8, 6))
    assert solid.shape == (3,) and jnp.abs(solid.values[1:]).max() == 0
    assert jnp.abs(js.div(solid).values).max() < 1e-13


@pytest.mark.parametrize("dimension", [2, 3])
def test_band_limited_lies_in_its_band_and_has_no_divergence(dimension):
    space = grid(*(20,) * dimension)
    f = on_grid(eq.band_limited(KEY, 3, 5, dimension=dimension), space)
    assert f.shape == (dimension,)
    scale = jnp.abs(f.values).max()
    assert scale > 0.1
    assert jnp.abs(js.div(f).values).max() < 1e-12 * scale
    number = np.sqrt(sum(np.square(k) for k in space.wave_numbers()))
    outside = (number < 3 - 1e-9) | (number > 5 + 1e-9)
    assert jnp.abs(jnp.where(outside, f.coefficients, 0)).max() < 1e-13
    assert jnp.abs(js.mean(f)).max() < 1e-14


def test_band_limited_is_the_same_on_every_grid_and_in_both_precisions():
    force = eq.band_limited(KEY, 2, 4)
    coarse, fine = on_grid(force, grid(12, 14)), on_grid(force, grid(24, 28))
    np.testing.assert_allclose(coarse.values, fine.values[:, ::2, ::2], atol=1e-13)
    x, y = (c.astype(jnp.float32) for c in coarse.space.coordinates())
    told = eq.band_limited(KEY, 2, 4, length=2 * np.pi)
    assert told(0.3, x, y).dtype == jnp.float32
    np.testing.assert_allclose(told(0.3, x, y), coarse.values, atol=1e-5)
    other = on_grid(eq.band_limited(jax.random.key(4), 2, 4), grid(12, 14))
    assert jnp.abs(other.values - coarse.values).max() > 0.1


def test_band_limited_statistics():
    """Root mean square and correlation in time, over realizations."""
    x, y = (c.ravel()[:64:7] for c in grid(8, 8).coordinates())
    times = jnp.array([0.2, 0.2 + 0.5, 0.2 + 1.0])

    def sample(key):
        force = eq.band_limited(key, 2, 3, amplitude=1.5, correlation_time=0.5, modes=12, length=2 * np.pi)
        return jax.vmap(lambda t: force(t, x, y))(times)

    f = jax.lax.map(sample, jax.random.split(KEY, 600))  # (realizations, times, components, points)
    products = jnp.mean(jnp.sum(f * f[:, :1], 2), -1)  # (realizations, times)
    error = jnp.std(products, 0) / np.sqrt(600)
    wanted = 1.5**2 * np.exp(-0.5 * np.array([0.0, 1.0, 2.0]) ** 2)
    assert jnp.all(jnp.abs(jnp.mean(products, 0) - wanted) < 4 * error)
    assert jnp.all(error < 0.1 * 1.5**2)


def test_band_limited_is_smooth_in_time():
    force = eq.band_limited(KEY, 2, 3, correlation_time=0.5, length=2 * np.pi)
    x, y = jnp.array(0.3), jnp.array(1.2)
    second = lambda t: jax.jvp(lambda t: jax.jvp(lambda t: force(t, x, y), (t,), (1.0,))[1], (t,), (1.0,))[1]
    step = 1e-3
    difference = (force(1 + step, x, y) - 2 * force(1.0, x, y) + force(1 - step, x, y)) / step**2
    np.testing.assert_allclose(difference, second(1.0), rtol=1e-4)


def test_forces_add_and_scale():
    space = grid(8, 8)
    one, two = eq.kolmogorov(1), eq.uniform_force((0.2, -0.3))
    own = lambda t, x, y: (t * jnp.sin(x), 0 * x)
    total = on_grid(2.0 * one + two - one, space)
    np.testing.assert_allclose(total.values, on_grid(one, space).values + on_grid(two, space).values, atol=1e-14)
    np.testing.assert_allclose(js.mean(on_grid(two, space)), [0.2, -0.3], rtol=1e-14)
    mixed = on_grid(one + (lambda t, x, y: jnp.stack(own(t, x, y))), space)
    x, _ = space.coordinates()
    np.testing.assert_allclose(mixed.values[0], on_grid(one, space).values[0] + 0.3 * jnp.sin(x), atol=1e-14)
    with pytest.raises(TypeError):
        one + 3.0


def test_forces_are_array_leaves_and_do_not_trace_again():
    traces = []

    @eqx.filter_jit
    def work(force):
        traces.append(1)
        return jnp.sum(on_grid(force, grid(8, 8)).values ** 2)

    for amplitude in (1.0, 2.0):
        work(eq.kolmogorov(2, amplitude) + 0.5 * eq.band_limited(KEY, 1, 2, amplitude))
    assert len(traces) == 1
    gradient = jax.grad(lambda a: work(eq.kolmogorov(2, a)))(3.0)
    np.testing.assert_allclose(gradient, 2 * work(eq.kolmogorov(2, 3.0)) / 3.0, rtol=1e-12)


def test_bad_forces_raise():
    x = jnp.zeros(3)
    for make in (
        lambda: eq.band_limited(KEY, 3.1, 3.12),
        lambda: eq.band_limited(KEY, 5, 3),
        lambda: eq.band_limited(KEY, -2, 3),
        lambda: eq.band_limited(KEY, dimension=1),
        lambda: eq.band_limited(KEY, modes=0),
        lambda: eq.band_limited(KEY, correlation_time=0.0),
        lambda: eq.uniform_force(1.0),
        lambda: eq.uniform_force((1.0, 2.0))(0.0, x, x, x),
        lambda: eq.kolmogorov(4)(0.0, x),
        lambda: eq.band_limited(KEY)(0.0, x, x, x),
        lambda: eq.band_limited(KEY)(0.0, x, x),
        lambda: eq.band_limited(KEY, length=-1.0),
    ):
        with pytest.raises(ValueError):
            make()


@pytest.mark.parametrize("size", [1e-3, 1.0, (1.0, 3.0)])
def test_forces_take_the_box_of_the_space(size):
    """Whole waves of any box, the same numbers on every square, and no divergence where sides differ."""
    reference = grid(12, 16)
    for space in (js.Fourier(js.Grid((12, 16), 0.0, size)), js.FiniteDifference(js.Grid((12, 16), 0.0, size))):
        shear = on_grid(2.0 * eq.kolmogorov(3) - eq.kolmogorov(3), space)
        np.testing.assert_allclose(shear.values, on_grid(eq.kolmogorov(3), reference).values, atol=1e-13)
        force = eq.kolmogorov(1) + eq.band_limited(KEY, 1, 3)
        f = on_grid(force, space)
        if np.ndim(size) == 0:
            np.testing.assert_allclose(f.values, on_grid(force, reference).values, atol=1e-12)
        told = eq.kolmogorov(1, length=size) + eq.band_limited(KEY, 1, 3, length=size)
        np.testing.assert_array_equal(on_grid(told, space).values, f.values)
        np.testing.assert_allclose(told(0.3, *space.coordinates()), f.values, rtol=0, atol=1e-12)
        if isinstance(space, js.Fourier):
            assert jnp.abs(js.div(f).values).max() * np.min(size) < 1e-11
            longest = jnp.sqrt(jnp.mean(jnp.sum(f.values**2, 0)))
            assert 0.3 < longest < 3


class Gusts(eq.Force):
    """A force of a user's that holds another."""

    force: eq.Force

    def __call__(self, t, *x):
        return jnp.cos(t) * self.force(t, *x)


class Wind(eqx.Module):
    """The same as any callable."""

    forces: list

    def __call__(self, t, *x):
        return jnp.cos(t) * self.forces[0](t, *x)


@pytest.mark.parametrize("make", [Gusts, lambda force: Wind([force])])
def test_forces_within_others_take_the_box_too(make):
    space = js.Fourier(js.Grid((8, 8)))
    force = eq.kolmogorov(1) + eq.band_limited(KEY, 1, 2)
    wanted = jnp.cos(0.3) * on_grid(force, space).values
    np.testing.assert_allclose(on_grid(make(force), space).values, wanted, atol=1e-14)


def test_forces_of_another_box_are_refused_before_a_run():
    space = js.Fourier(js.Grid((8, 8)))
    w = space.field(lambda x, y: jnp.sin(2 * jnp.pi * x))
    for force, message in (
        (eq.kolmogorov(8 * np.pi), "counts waves per box"),
        (0.5 * eq.kolmogorov(2, length=2 * np.pi), "leave out `length`"),
        (eq.band_limited(KEY, length=(1.0, 2.0)), "leave out `length`"),
    ):
        with pytest.raises(ValueError, match=message):
            js.rollout(eq.NavierStokesVorticity(0.1, forcing=force), w, dt=0.1, steps=1)
    with pytest.raises(ValueError, match="counts waves per box"):
        on_grid(eq.kolmogorov(0.5), js.FiniteDifference(js.Grid((4, 4)), (js.Neumann(), js.Periodic())))
    walls = js.FiniteDifference(js.Grid((4, 4)), (js.Periodic(), js.Neumann()))
    np.testing.assert_allclose(on_grid(eq.kolmogorov(0.5), walls).values[0], jnp.sin(jnp.pi * walls.coordinates()[1]))
