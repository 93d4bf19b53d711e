import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

SHAPES = [(16,), (17,), (16, 12), (15, 18), (8, 10, 12)]


def box(shape):
    return js.Grid(shape, 0.3, tuple(0.3 + 2 * np.pi * (i + 1) for i in range(len(shape))))


def wave(*x):
    """One resolved wave per axis and a mean."""
    return 0.7 + sum(jnp.sin(xi / (i + 1) + 0.3 * i) for i, xi in enumerate(x))


def random_field(space, components=(), seed=0):
    """All resolved modes."""
    values = jax.random.normal(jax.random.key(seed), (*components, *space.grid.shape))
    if not space.real:
        values = values + 1j * jax.random.normal(jax.random.key(seed + 1), values.shape)
    return space.from_coefficients(space.field(values).coefficients)


@pytest.mark.parametrize("real", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_coefficients_are_one_field(shape, real):
    space = js.Fourier(box(shape), real=real)
    u = random_field(space, (2,))
    again = space.field(u.values)
    assert u.coefficients.shape == (2, *space.spectral_shape)
    np.testing.assert_allclose(again.coefficients, u.coefficients, atol=1e-14)
    np.testing.assert_allclose(js.mean(again), u.coefficients[(..., *(0,) * len(shape))], atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_derivatives_are_exact(shape):
    space = js.Fourier(box(shape))
    u = space.field(wave)
    for axis in range(len(shape)):
        def along(x, axis=axis, order=1):
            f = lambda s: wave(*x[:axis], s, *x[axis + 1 :])
            for _ in range(order):
                f = jax.grad(f)
            return f(x[axis])

        points = jnp.stack([x.ravel() for x in space.coordinates()], -1)
        for order in (1, 2, 3):
            exact = jax.vmap(lambda p, axis=axis, order=order: along(tuple(p), axis, order))(points).reshape(shape)
            np.testing.assert_allclose(js.partial(u, axis, order).values, exact, atol=1e-11)
    np.testing.assert_allclose(js.laplacian(js.inverse_laplacian(u)).values, (u - js.mean(u)).values, atol=1e-12)


def test_evaluation_is_exact_everywhere():
    space = js.Fourier(box((8, 10, 12)))
    u = js.stack(space.field(wave), 2 * space.field(wave))
    points = [np.linspace(0, 3, 6).reshape(2, 3) + i for i in range(3)]
    assert u(*points).shape == (2, 2, 3)
    np.testing.assert_allclose(u(*points)[1], 2 * wave(*map(jnp.asarray, points)), atol=1e-13)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_products_have_no_aliases(degree):
    """The projection of a product equals that of the same product on a grid fine enough for anything."""
    coarse, fine = js.Fourier(js.Grid((12, 9))), js.Fourier(js.Grid((96, 72)))
    u = random_field(coarse)
    modes = jnp.zeros(fine.spectral_shape, complex)
    rows = jnp.r_[0:6, -5:0]
    modes = modes.at[rows[:, None], jnp.arange(5)].set(u.coefficients)
    product = fine.field(fine.from_coefficients(modes).values ** degree).coefficients[rows[:, None], jnp.arange(5)]
    prepared = coarse.for_degree(degree).from_coefficients(u.coefficients)
    np.testing.assert_allclose((prepared**degree).coefficients, product, atol=1e-13)
    aliased = js.Fourier(coarse.grid, dealias=1.0).from_coefficients(u.coefficients)
    assert jnp.abs((aliased**degree).coefficients - product).max() > 1e-3


def test_longer_products_are_projected_pair_by_pair():
    u = random_field(js.Fourier(js.Grid(16)))
    square = u.space.from_coefficients((u * u).coefficients)
    np.testing.assert_allclose((u * u * u).coefficients, (square * u).coefficients, atol=1e-14)


def test_arithmetic_reads_like_mathematics():
    space = js.Fourier(box((16, 12)))
    x, y = space.coordinates()
    u, v = space.field(jnp.sin(x)), space.field(jnp.cos(y / 2))
    expected = 2 - jnp.sin(x) / 4 + 3 * jnp.cos(y / 2) * jnp.sin(x)
    np.testing.assert_allclose((2 - u / 4 + 3 * v * u - x * 0).values, expected, atol=1e-13)
    np.testing.assert_allclose((1 / (2 + u)).values[0, 0], 1 / (2 + jnp.sin(x[0, 0])), atol=1e-3)
    w = js.stack(u, v)
    a, b = w
    assert len(w) == 2 and w.shape == (2,)
    np.testing.assert_allclose((a * b).values, (w[0] * w[1]).values)
    np.testing.assert_allclose(js.inner(u, u), space.volume / 2, rtol=1e-13)
    np.testing.assert_allclose((np.float64(2) * u).values, 2 * u.values)
    np.testing.assert_allclose(js.dot(w, w).values, (u * u + v * v).values, atol=1e-13)


@pytest.mark.parametrize("shape", [(16, 12), (8, 10, 12)])
def test_projection_is_idempotent_and_solenoidal(shape):
    space = js.Fourier(box(shape))
    u = random_field(space, (len(shape),))
    once = js.project(u)
    np.testing.assert_allclose(js.project(once).coefficients, once.coefficients, atol=1e-15)
    assert jnp.abs(js.div(once).coefficients).max() < 1e-14
    np.testing.assert_allclose(js.mean(once), js.mean(u), atol=1e-15)
    potential = random_field(space, seed=5)
    assert jnp.abs((js.project(js.grad(potential))).coefficients).max() < 1e-14


def test_curl_and_cross_identities():
    space = js.Fourier(box((8, 10, 12)))
    u = random_field(space, (3,))
    assert jnp.abs(js.div(js.curl(u)).coefficients).max() < 1e-13
    np.testing.assert_allclose(js.dot(u, js.cross(u, u)).values, 0.0, atol=1e-12)
    plane = js.Fourier(box((16, 12)))
    psi = random_field(plane)
    np.testing.assert_allclose(js.curl(js.curl(psi)).coefficients, -js.laplacian(psi).coefficients, atol=1e-12)


@pytest.mark.parametrize("real", [True, False])
def test_precision_follows_the_values(real):
    space = js.Fourier(js.Grid((8, 8)), real=real)
    u = space.field(jnp.ones((8, 8), jnp.float32))
    v = js.laplacian(u * u) + jnp.asarray(0.5) * js.partial(u, 0)  # a strong float64 parameter
    assert v.coefficients.dtype == jnp.complex64
    assert v.values.dtype == (jnp.float32 if real else jnp.complex64)


def test_fields_are_pytrees():
    space = js.Fourier(js.Grid((8, 8)))
    u = random_field(space, (3,))
    squares = jax.jit(jax.vmap(lambda f: f * f))(u)
    np.testing.assert_allclose(squares.values, (u * u).values, atol=1e-15)
    slope = jax.grad(lambda f: js.integral(f * f * 0.5)[()])(u[0])
    np.testing.assert_allclose(slope.data.modal.shape, u[0].coefficients.shape)


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda s: s.field(jnp.ones((8, 7))), ValueError, "one value per node"),
        (lambda s: s.field(jnp.ones((8, 8)) * 1j), TypeError, "real=False"),
        (lambda s: s.field(lambda x, y: x) * js.Fourier(js.Grid((8, 8), 0, 2)).field(lambda x, y: x), ValueError,
         "different spaces"),
        (lambda s: js.partial(s.field(lambda x, y: x), 2), ValueError, "axis 2 does not exist"),
        (lambda s: js.partial(s.field(lambda x, y: x), 0, -1), ValueError, "at least 0"),
        (lambda s: js.div(s.field(lambda x, y: x)), ValueError, "2 leading components"),
        (lambda s: s.field(lambda x, y: x)[0], IndexError, "no components"),
        (lambda s: js.laplacian(jnp.ones((8, 8))), TypeError, "expected a Field"),
        (lambda s: s.field(lambda x, y: x)(0.5), ValueError, "evaluated at 2 coordinates"),
        (lambda s: js.Fourier(s.grid, dealias=0.5), ValueError, "at least 1"),
        (lambda s: js.Fourier(js.Grid((2, 8))), ValueError, "at least 3 nodes"),
        (lambda s: js.Fourier((8, 8)), TypeError, "needs a Grid"),
        (lambda s: s.from_coefficients(jnp.ones((8, 8), complex)), ValueError, "coefficients need shape"),
        (lambda s: js.curl(js.Fourier(js.Grid(8)).field(lambda x: x)), ValueError, "two or three dimensions"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(action, error, message):
    with pytest.raises(error, match=message):
        action(js.Fourier(js.Grid((8, 8))))


@pytest.mark.parametrize("solver", [None, dfx.Tsit5()])
def test_rounding_that_is_no_real_field_does_not_grow(solver):
    class Growth(js.Equation):
        def linear(self, u):
            return u

        def nonlinear(self, t, u):
            return -u * u * u

    space = js.Fourier(js.Grid((8, 8), 0.0, 2 * jnp.pi))
    spectrum = space.field(lambda x, y: jnp.cos(x)).coefficients.at[1, 0].add(1e-3j).at[-1, 0].add(1e-3j)
    end = js.rollout(Growth(), space.from_coefficients(spectrum), dt=0.25, steps=20, solver=solver).coefficients
    mirrored = jnp.conj(jnp.roll(end[::-1, 0], 1))
    assert jnp.max(jnp.abs(end[:, 0] - mirrored)) < 2.1e-3  # it would be exp(5) times as large
