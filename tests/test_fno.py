"""Fourier neural operators: what they are equal to, what they commute with, and what they refuse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.nets import FNO, SpectralConvolution

KEY = jax.random.key(0, impl="unsafe_rbg")  # a generator that compiles fast
RANDOM = np.random.default_rng(3)


def waves(grid):
    """Two smooth functions with few wave numbers, on the nodes of a periodic grid."""
    axes = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in grid), indexing="ij")
    phase = sum((a + 1) * x for a, x in enumerate(axes))
    return jnp.asarray(np.stack([np.sin(phase) + 0.3 * np.cos(axes[-1]), np.cos(axes[0] - 0.4) - 0.2]))


def by_fast_transforms(layer, x, periods):
    """The layer by complex transforms of all modes, with zeros appended up to whole periods."""
    d, x = len(periods), np.asarray(x)
    padded = np.pad(x, [(0, 0), *((0, p - n) for p, n in zip(periods, x.shape[1:]))])
    modes = np.fft.fftn(padded, axes=range(1, d + 1))
    out = np.zeros((layer.real.shape[0], *periods), complex)
    matrices = np.asarray(layer.real) + 1j * np.asarray(layer.imaginary)
    lowest = [1 - m for m in layer.modes[:-1]] + [0]
    for index in np.ndindex(*matrices.shape[2:]):
        k = tuple(i + low for i, low in zip(index, lowest))
        out[(slice(None), *k)] += (2 if k[-1] else 1) * matrices[(..., *index)] @ modes[(slice(None), *k)]
    crop = tuple(slice(n) for n in x.shape[1:])
    return np.fft.ifftn(out, axes=range(1, d + 1)).real[(slice(None), *crop)]


@pytest.mark.parametrize(
    ("grid", "modes", "padding", "periods"),
    [
        ((16,), 5, 0.0, (16,)),
        ((7,), (4,), 0.0, (7,)),
        ((9, 8), (3, 4), (0.0, 0.25), (9, 10)),
        ((5, 6, 8), (2, 3, 4), (0.2, 0.0, 0.5), (6, 6, 12)),
    ],
)
def test_a_spectral_convolution_is_a_product_of_few_modes(grid, modes, padding, periods):
    layer = SpectralConvolution(2, 3, modes, padding=padding, key=KEY)
    x = RANDOM.normal(size=(2, *grid))
    np.testing.assert_allclose(layer(x), by_fast_transforms(layer, x, periods), atol=1e-13)


def test_zeros_beyond_an_end_keep_it_from_the_other():
    layer = SpectralConvolution(1, 1, 9, padding=1.0, key=KEY)
    impulse = jnp.zeros((1, 16)).at[0, 0].set(1.0)
    kernel, late = layer(impulse)[0], layer(impulse[:, ::-1])[0]
    back = by_fast_transforms(layer, impulse, (32,))[0]
    np.testing.assert_allclose(kernel, back, atol=1e-14)
    longer = np.pad(np.asarray(impulse), [(0, 0), (0, 16)])
    whole = by_fast_transforms(layer, longer, (32,))[0]  # the kernel at all distances, of both signs
    np.testing.assert_allclose(late, whole[(np.arange(16) - 15) % 32], atol=1e-14)


def test_a_finer_grid_gives_the_same_function():
    layer = SpectralConvolution(2, 2, (3, 4), padding=(0.0, 0.0), key=KEY)
    coarse, fine = layer(waves((8, 10))), layer(waves((24, 30)))
    np.testing.assert_allclose(fine[:, ::3, ::3], coarse, atol=1e-14)

    net = FNO(2, 1, 6, 2, 5, key=KEY)
    many = eqx.filter_jit(lambda net: [net(waves((n,))) for n in (12, 24, 96)])
    values = [np.asarray(v) for v in many(net)]
    errors = [np.abs(v - values[2][:, :: 96 // v.shape[1]]).max() for v in values[:2]]
    assert errors[1] < 1e-6 * np.ptp(values[2]) and errors[1] < 1e-2 * errors[0]


def test_translations_pass_through():
    x = RANDOM.normal(size=(2, 9, 8))

    @eqx.filter_jit
    def both(coordinates):
        net = FNO(2, 3, 5, 1, (3, 4), coordinates=coordinates, key=KEY)
        moved = lambda x: jnp.roll(x, (2, -3), (1, 2))
        return net(moved(x)), moved(net(x))

    first, second = map(np.asarray, both(False))
    np.testing.assert_allclose(first, second, atol=1e-13)
    assert np.ptp(first) > 1e-3
    first, second = map(np.asarray, both(True))
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("coordinates", [False, True])
def test_number_and_type_of_parameters(coordinates):
    make = lambda: FNO(2, 3, 6, 4, (3, 4), coordinates=coordinates, projection=7, dtype=jnp.float32, key=KEY)
    net = eqx.filter_eval_shape(make)
    leaves = jax.tree.leaves(eqx.filter(net, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)))
    spectral, pointwise = 2 * 6 * 6 * 5 * 4, 6 * 6 + 6
    ends = (4 if coordinates else 2) * 6 + 6 + 6 * 7 + 7 + 7 * 3 + 3
    assert sum(leaf.size for leaf in leaves) == 4 * (spectral + pointwise) + ends
    assert all(leaf.dtype == jnp.float32 for leaf in leaves)
    assert (net.in_channels, net.out_channels, net.modes) == (2, 3, (3, 4))
    out = eqx.filter_eval_shape(lambda net, x: net(x), net, jax.ShapeDtypeStruct((2, 6, 9), jnp.float32))
    assert out.shape == (3, 6, 9) and out.dtype == jnp.float32


def test_one_layer_inverts_the_laplacian():
    grid = js.Grid((12, 16), 0.0, (1.0, 2.0))
    k = np.meshgrid(2 * np.pi * np.arange(-4, 5), np.pi * np.arange(5), indexing="ij")
    square = k[0] ** 2 + k[1] ** 2
    symbol = -np.where(square == 0, 0.0, 1 / np.where(square == 0, 1.0, square))
    layer = SpectralConvolution(1, 1, (5, 5), key=KEY)
    weights = jnp.asarray(symbol[None, None])
    exact = eqx.tree_at(lambda s: (s.real, s.imaginary), layer, (weights, jnp.zeros_like(weights)))
    source = waves(grid.shape)[:1]
    source = source - jnp.mean(source)
    expected = js.inverse_laplacian(js.Fourier(grid).field(source[0])).values
    np.testing.assert_allclose(eqx.filter_jit(exact)(source)[0], expected, atol=1e-14)


def test_one_layer_learns_an_operator_from_pairs():
    layer = SpectralConvolution(1, 1, 5, key=KEY)
    pairs = jnp.asarray(RANDOM.normal(size=(6, 9)))
    space = js.Fourier(js.Grid(9, 0.0, 1.0))
    operator = jax.vmap(lambda u: js.partial(space.field(u), 0).values + 2 * u)

    @jax.jit
    def fitted(u, new):
        start, unravel = jax.flatten_util.ravel_pytree(layer)
        outputs = lambda flat: jax.vmap(unravel(flat))(u[:, None]).ravel()
        flat = jnp.linalg.lstsq(jax.jacfwd(outputs)(start), operator(u).ravel())[0]
        return unravel(flat)(new[None])[0]

    new = jnp.cos(2 * jnp.pi * space.coordinates()[0]) + 0.1 * pairs[0]
    np.testing.assert_allclose(fitted(pairs, new), operator(new[None])[0], atol=1e-10)


def test_gradients():
    net = eqx.filter_jit(lambda: FNO(1, 1, 3, 1, (2, 3), padding=(0.0, 0.5), coordinates=True, key=KEY))()
    arrays, rest = eqx.partition(net, eqx.is_inexact_array)
    start, unravel = jax.flatten_util.ravel_pytree(arrays)
    x, along = jnp.asarray(RANDOM.normal(size=(1, 4, 6))), jnp.asarray(RANDOM.normal(size=start.shape))

    @jax.jit
    def slopes(flat, x):
        loss = lambda flat: jnp.sum(eqx.combine(jax.tree.map(lambda a: a.astype(x.dtype), unravel(flat)), rest)(x) ** 2)
        return jax.value_and_grad(loss)(flat)

    _, gradient = slopes(start, x)
    difference = (slopes(start + 1e-5 * along, x)[0] - slopes(start - 1e-5 * along, x)[0]) / 2e-5
    assert np.all(np.isfinite(gradient))
    np.testing.assert_allclose(gradient @ along, difference, rtol=1e-6)
    assert all(np.any(leaf) for leaf in jax.tree.leaves(unravel(gradient)))
    value, single = slopes(start, x.astype(jnp.float32))
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(single, gradient, atol=1e-4 * np.abs(gradient).max())


def test_a_factorization_may_follow_in_one_program():
    x = jnp.asarray(RANDOM.normal(size=(1, 24)))

    @eqx.filter_jit
    def fit(x):
        def weights(net):
            features = net(x).T
            q, r = jnp.linalg.qr(features)
            found = jnp.linalg.solve(r, q.T @ jnp.cos(jnp.arange(24.0)))
            return jnp.sum(found**2), (found, features)

        return eqx.filter_value_and_grad(weights, has_aux=True)(FNO(1, 4, 4, 1, 5, key=KEY))

    (_, (weights, features)), gradient = fit(x)
    expected = np.linalg.lstsq(features, np.cos(np.arange(24.0)))[0]
    np.testing.assert_allclose(features @ weights, features @ expected, atol=1e-10)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


def test_bad_input_is_refused():
    net = FNO(2, 1, 4, 1, (3, 3), key=KEY)
    call = lambda shape, dtype=float: jax.eval_shape(net, jax.ShapeDtypeStruct(shape, dtype))
    with pytest.raises(ValueError, match=r"shape \(2, x, y\)"):
        call((2, 8))
    with pytest.raises(ValueError, match="channels and then the grid"):
        call((1, 8, 8))
    with pytest.raises(ValueError, match="at least 5 points"):
        call((2, 8, 4))
    with pytest.raises(TypeError, match="real"):
        call((2, 8, 8), complex)
    make = lambda modes=4, width=4, **more: jax.eval_shape(lambda: FNO(1, 1, width, 1, modes, key=KEY, **more))
    with pytest.raises(ValueError, match="1, 2 or 3"):
        make((2, 2, 2, 2))
    with pytest.raises(ValueError, match="`modes` must be a whole number"):
        make((2, 0))
    with pytest.raises(ValueError, match="`width` must be a whole number"):
        make(width=0)
    with pytest.raises(ValueError, match="`padding` needs"):
        make((2, 2), padding=(0.1,))
    with pytest.raises(ValueError, match="`padding` needs"):
        make(padding=-0.1)
    with pytest.raises(TypeError, match="floating-point"):
        make(dtype=jnp.int32)
