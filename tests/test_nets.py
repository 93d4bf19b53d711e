"""Networks: how they begin, what they are equal to, and what they refuse."""

import math
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.nets import (
    MLP,
    SIREN,
    Chain,
    Dense,
    FactorizedDense,
    FourierFeatures,
    GaussianFeatures,
    Gaussians,
    ModifiedMLP,
    PirateNet,
    Separable,
    centers_by_weight,
    initialized,
    weighted_choice,
)
from jaxsim.optimize import Frozen
from jaxsim.optimize import partition as trained

KEY = jax.random.key(0, impl="unsafe_rbg")  # a generator that compiles fast
POINT = jnp.array([0.3, -0.7])
POINTS = np.random.default_rng(1).uniform(-1, 1, (60, 2))
FAMILIES = {
    "mlp": lambda out, **more: MLP(2, out, 8, 2, **more),
    "modified": lambda out, **more: ModifiedMLP(2, out, 8, 2, **more),
    "pirate": lambda out, **more: PirateNet(2, out, 8, 1, **more),
    "siren": lambda out, **more: SIREN(2, out, 8, 2, **more),
    "gaussians": lambda out, **more: Gaussians(2, out, 9, **more),
    "full": lambda out, **more: Gaussians(2, out, 9, depth=0, full=True, **more),
    "separable": lambda out, **more: Separable(2, out, 3, 8, 1, **more),
}


@pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES.keys())
def test_shapes_and_types(make):
    abstract = lambda out, point=POINT, **more: jax.eval_shape(lambda: make(out, key=KEY, **more)(point))
    assert abstract("scalar").shape == () and abstract(3).shape == (3,)
    assert abstract("scalar").dtype == jnp.float64
    assert abstract("scalar", POINT.astype(jnp.float32), dtype=jnp.float32).dtype == jnp.float32
    leaves = jax.tree.leaves(jax.eval_shape(lambda: trained(make(3, dtype=jnp.float32, key=KEY))[0]))
    assert leaves and all(leaf.dtype == jnp.float32 for leaf in leaves)
    with pytest.raises(ValueError, match="shape"):
        abstract("scalar", jnp.zeros(3))
    with pytest.raises(ValueError, match="whole number"):
        make(0, key=KEY)
    with pytest.raises(TypeError, match="floating-point"):
        make(1, dtype=jnp.int32, key=KEY)


def test_dense_layers_keep_the_size_of_activations():
    layer = Dense(300, 100, key=KEY)
    assert abs(np.var(layer.weight) * 200 - 1) < 0.03 and not np.any(layer.bias)


def test_mlp_is_its_formula():
    net = MLP(2, "scalar", 5, 2, jnp.sin, key=KEY)
    net = eqx.tree_at(lambda n: n.last.bias, net, jnp.full(1, 0.25))
    h = np.asarray(POINT)
    for layer in net.hidden:
        h = np.sin(np.asarray(layer.weight) @ h)
    np.testing.assert_allclose(eqx.filter_jit(net)(POINT), np.asarray(net.last.weight)[0] @ h + 0.25, rtol=1e-12)


def test_factors_change_nothing_at_first_but_are_trained():
    plain = MLP(2, 3, 8, 2, key=KEY)
    factorized = MLP(2, 3, 8, 2, layer=partial(FactorizedDense, mean=0.5), key=KEY)
    logarithms = np.concatenate([layer.logarithm for layer in factorized.hidden])
    assert abs(np.mean(logarithms) - 0.5) < 0.1 and 0.03 < np.std(logarithms) < 0.2
    swap = lambda s: eqx.tree_at(lambda n: n.last.logarithm, factorized, s)(POINT)
    slopes, values = eqx.filter_jit(jax.jacfwd(lambda s: (swap(s),) * 2, has_aux=True))(factorized.last.logarithm)
    expected = np.asarray(eqx.filter_jit(plain)(POINT))
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(slopes, np.diag(expected), rtol=1e-12)


def test_modified_mlp_lies_between_its_encoders():
    net = ModifiedMLP(2, "scalar", 6, 1, key=KEY)
    u, v, z = (np.tanh(np.asarray(layer.weight) @ POINT) for layer in (*net.encoders, net.hidden[0]))
    np.testing.assert_allclose(eqx.filter_jit(net.features)(POINT), z * u + (1 - z) * v, rtol=1e-12)


def test_pirate_net_begins_linear_in_its_embedding_at_any_depth():
    net = PirateNet(2, "scalar", 16, 3, scale=2.0, key=KEY)

    def look(alpha):
        deep = eqx.tree_at(lambda n: [block.alpha for block in n.blocks], net, [alpha] * 3)
        return deep(POINT), (deep.features(POINT), deep.embedding(POINT))

    (value, (features, embedded)), slope = eqx.filter_jit(jax.value_and_grad(look, has_aux=True))(jnp.zeros(()))
    np.testing.assert_array_equal(features, embedded)
    np.testing.assert_allclose(value, (np.asarray(net.last.weight) @ embedded)[0], rtol=1e-13)
    assert abs(slope) > 1e-3  # and leaves that state as it is trained


@pytest.mark.slow
def test_least_squares_initialization_reproduces_what_the_embedding_can():
    net = PirateNet(2, 2, 10, 1, layer=FactorizedDense, key=KEY)

    @eqx.filter_jit
    def fit(net):
        waves = net.embedding.waves
        exact = lambda x: jnp.stack([3 * jnp.cos(waves[1] @ x) - 0.5, jnp.sin(waves[4] @ x)])
        fitted = initialized(net, POINTS, jax.vmap(exact)(POINTS))
        return fitted, fitted(POINT), exact(POINT)

    fitted, *pair = fit(net)
    np.testing.assert_allclose(*pair, atol=1e-8)
    kept = jax.tree.leaves((net.blocks, net.embedding, net.encoders))
    for before, after in zip(kept, jax.tree.leaves((fitted.blocks, fitted.embedding, fitted.encoders))):
        np.testing.assert_array_equal(before, after)


def test_least_squares_initialization_is_the_best_linear_fit():
    net = MLP(2, "scalar", 6, 1, key=KEY)
    values = np.exp(POINTS[:, 0]) * POINTS[:, 1]

    @eqx.filter_jit
    def fit(net):
        fitted = initialized(net, POINTS, values)
        return jax.vmap(net.features)(POINTS), jax.vmap(fitted)(POINTS)

    features, found = map(np.asarray, fit(net))
    wrong = found - values
    np.testing.assert_allclose(features.T @ wrong, 0, atol=1e-10)
    assert abs(np.sum(wrong)) < 1e-10 and np.sum(wrong**2) > 1e-6
    with pytest.raises(ValueError, match="a value for each input"):
        initialized(net, POINTS, values[:, None])
    with pytest.raises(ValueError, match="inputs have shape"):
        initialized(net, POINTS[:, :1], values)


@pytest.mark.slow
def test_sines_keep_their_size_at_any_depth():
    net = SIREN(1, 4, 300, 6, key=KEY)
    h, omega = np.linspace(-1, 1, 200)[:, None], net.first_omega
    for k, layer in enumerate(net.hidden):
        arguments = omega * (h @ np.asarray(layer.weight).T + np.asarray(layer.bias))
        h, omega = np.sin(arguments), net.omega
        assert abs(np.mean(h**2) - (0.5 if k == 0 else 0.4)) < 0.05
        assert k == 0 or abs(np.var(arguments) - 0.85) < 0.2
    expected = (h @ np.asarray(net.last.weight).T + net.last.bias)[-1]
    np.testing.assert_allclose(eqx.filter_jit(net)(jnp.ones(1)), expected, atol=1e-12)


def test_fourier_features_are_waves_of_the_wanted_lengths():
    features = FourierFeatures(2, 2000, (1.0, 5.0), key=KEY)
    np.testing.assert_allclose(np.std(features.waves, 0), [1, 5], rtol=0.1)
    phases = np.asarray(features.waves) @ POINT
    np.testing.assert_allclose(
        eqx.filter_jit(features)(POINT), np.concatenate([np.cos(phases), np.sin(phases)]), atol=1e-13
    )


def test_frozen_features_are_not_trained():
    features, net, more = (FourierFeatures(2, 6, key=KEY), MLP(6, "scalar", 5, 1, key=KEY),
                                         PirateNet(2, "scalar", 6, 1, key=KEY))  # fmt: skip
    number = lambda tree: len(jax.tree.leaves(trained(tree)[0]))
    free, fixed = Chain(features, net), Chain(Frozen(features), net)
    assert number(free) == number(net) + 1 and number(fixed) == number(net)
    np.testing.assert_allclose(*eqx.filter_jit(lambda: (fixed(POINT), net(features(POINT))))(), rtol=1e-12)
    pirate = PirateNet(2, "scalar", 6, 1, embedding=Frozen(features), key=KEY)
    assert number(pirate) == number(more) - 1


def test_separable_on_a_grid_is_separable_at_points_and_so_are_derivatives():
    circle = lambda x: jnp.stack([jnp.cos(x), jnp.sin(x)])
    net = Separable(3, 2, 4, 5, 1, embeddings=(None, circle, None), key=KEY)
    axes = jnp.linspace(-1, 1, 2), jnp.linspace(0, 1, 3), jnp.array([0.2])
    grid = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)

    @eqx.filter_jit
    def both(net):
        along = lambda f, axis: lambda p: jax.jvp(f, (p,), (jnp.eye(3)[axis],))[1]
        mixed = along(along(along(net, 0), 1), 1)
        pairs = [(net.on_grid(*axes), jax.vmap(net)(grid)),
                 (net.on_grid(*axes, orders=(1, 2, 0)), jax.vmap(mixed)(grid))]  # fmt: skip
        return pairs, (net(0.1, 0.2, 0.3), net(jnp.array([0.1, 0.2 + 2 * jnp.pi, 0.3])))

    pairs, (here, around) = both(net)
    for grids, points in pairs:
        np.testing.assert_allclose(grids.reshape(-1, 2), points, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(here, around, rtol=1e-10)


def test_separable_refuses_what_it_cannot_read():
    net = Separable(2, "scalar", 3, 5, 1, key=KEY)
    assert jax.eval_shape(net.on_grid, jnp.zeros(4), jnp.zeros(2)).shape == (4, 2)
    with pytest.raises(ValueError, match="per coordinate"):
        net.on_grid(jnp.zeros(4))
    with pytest.raises(ValueError, match="whole numbers"):
        net.on_grid(jnp.zeros(4), jnp.zeros(2), orders=(0, -1))
    with pytest.raises(ValueError, match="points along an axis"):
        net.on_grid(jnp.zeros((4, 2)), jnp.zeros(2))
    with pytest.raises(ValueError, match="one point"):
        net(jnp.zeros(4), jnp.zeros(4))
    with pytest.raises(ValueError, match="one embedding"):
        Separable(2, "scalar", 3, 5, 1, embeddings=(None,), key=KEY)


@pytest.mark.parametrize("full", [False, True])
def test_gaussians_have_the_gradient_of_gaussians(full):
    features = GaussianFeatures(2, 5, width=(0.4, 0.9), full=full, key=KEY)
    skewed = np.asarray(features.shape) + 0.3 * np.random.default_rng(0).normal(size=features.shape.shape)
    features = eqx.tree_at(lambda f: f.shape, features, jnp.asarray(skewed))
    found = eqx.filter_jit(lambda x: (features.precisions, features(x), jax.jacfwd(features)(x)))(POINT)
    precisions, values, gradient = map(np.asarray, found)
    inverse = np.einsum("nki,nkj->nij", skewed, skewed) if full else np.exp(-2 * skewed)[..., None] * np.eye(2)
    np.testing.assert_allclose(precisions, inverse, rtol=1e-12, atol=1e-14)
    away = np.asarray(POINT - features.centers)
    np.testing.assert_allclose(values, np.exp(-0.5 * np.einsum("ni,nij,nj->n", away, inverse, away)), rtol=1e-12)
    np.testing.assert_allclose(gradient, -np.einsum("nij,nj->ni", inverse, away) * values[:, None], rtol=1e-11)


@pytest.mark.slow
def test_gaussians_begin_with_sums_of_size_one():
    net = Gaussians(2, "scalar", 400, mixed=300, spread=0.3, key=KEY)
    inner = 0.5 * POINTS[:50]
    sums = eqx.filter_jit(jax.vmap(lambda x: net.mixing @ net.gaussians(x)))(inner)
    assert 0.7 < jnp.mean(sums**2) < 1.4


def test_centers_go_where_weights_are():
    candidates = np.linspace(-1, 1, 400)[:, None]
    weights = np.exp(-50 * (candidates[:, 0] - 0.5) ** 2)
    centers = centers_by_weight(KEY, candidates, weights, 30)
    assert centers.shape == (30, 1) and len(np.unique(centers)) == 30
    assert np.all(np.abs(np.asarray(centers) - 0.5) < 0.45)
    net = Gaussians(1, "scalar", 30, centers=centers, key=KEY)
    np.testing.assert_array_equal(net.gaussians.centers, centers)
    with pytest.raises(ValueError, match="n weights"):
        centers_by_weight(KEY, candidates, weights[1:], 3)


@pytest.mark.slow
def test_choice_follows_its_weights_without_repetition():
    weights = jnp.array([1.0, 2.0, 5.0, 0.0])
    keys = jax.random.split(jax.random.key(0), 20000)
    first = np.asarray(jax.jit(jax.vmap(lambda k: weighted_choice(k, weights, 3)))(keys))
    np.testing.assert_allclose(np.bincount(first[:, 0], minlength=4) / 20000, [1 / 8, 2 / 8, 5 / 8, 0], atol=0.012)
    second = np.mean(np.all(first[:, :2] == [2, 1], 1))
    assert abs(second - 5 / 8 * 2 / 3) < 0.012 and not np.any(first == 3)
    assert 1 in weighted_choice(KEY, jnp.array([1e9, jnp.nan, 1e9]), 1)
    with pytest.raises(ValueError, match="negative"):
        weighted_choice(KEY, -weights, 2)
    with pytest.raises(ValueError, match="different items"):
        weighted_choice(KEY, weights, 5)


def test_bad_arguments():
    with pytest.raises(ValueError, match="even"):
        FourierFeatures(2, 5, key=KEY)
    with pytest.raises(ValueError, match="one per input"):
        FourierFeatures(2, 4, (1.0, 2.0, 3.0), key=KEY)
    with pytest.raises(ValueError, match="the embedding must have shape"):
        PirateNet(2, 1, 8, 1, embedding=FourierFeatures(2, 6, key=KEY), key=KEY)
    with pytest.raises(ValueError, match="must be positive"):
        SIREN(2, 1, 8, 1, first_omega=-1.0, key=KEY)
    with pytest.raises(ValueError, match="`depth`"):
        MLP(2, 1, 8, 0, key=KEY)
    with pytest.raises(ValueError, match="`deviation`"):
        FactorizedDense(2, 2, deviation=-math.inf, key=KEY)
    with pytest.raises(ValueError, match="centers have shape"):
        Gaussians(2, 1, 5, centers=jnp.zeros((5, 1)), key=KEY)
    with pytest.raises(ValueError, match="`width` must be positive"):
        Gaussians(2, 1, 5, spread=0.0, key=KEY)
    with pytest.raises(TypeError, match="callables"):
        Chain()
