"""Points of physics-informed networks: how evenly they lie, and where residuals draw them."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import qmc

import jaxsim as js
from jaxsim.optimize import FirstOrder, Rows, train
from jaxsim.pinn import Box, Resample, ResidualAdaptive, RetainResample, Sobol, Uniform, sobol

KEY = jax.random.key(0)
FAST = jax.random.key(0, impl="unsafe_rbg")  # compiles fast
BOX = Box((0.0, 2.0), (-1.0, 3.0), (1.0, 4.0))


@pytest.fixture(scope="module")
def scrambled():
    """256 points in 5 dimensions for each of 40 keys, compiled once."""
    return np.asarray(jax.jit(jax.vmap(lambda k: sobol(256, 5, k)))(jax.random.split(KEY, 40)))


def test_sobol_is_the_sequence_that_scipy_has():
    found = np.asarray(jax.jit(lambda: sobol(300, 12))())
    np.testing.assert_array_equal(found, qmc.Sobol(12, scramble=False).random_base2(9)[:300])


def test_scrambled_sobol_keeps_its_nets(scrambled):
    for points in scrambled[:3]:
        slices = np.sort(np.floor(points * 256).astype(int), 0)
        np.testing.assert_array_equal(slices, np.tile(np.arange(256)[:, None], (1, 5)))  # one in each slice
        for wide in range(9):  # of the first two axes, one in every box of sides 2^-wide and 2^(wide - 8)
            cells = np.floor(points[:, :2] * [2**wide, 2 ** (8 - wide)]).astype(int)
            assert len({tuple(cell) for cell in cells}) == 256


def test_scrambled_points_are_uniform_and_independent_of_other_keys(scrambled):
    single = scrambled[:, 7]  # one point of the sequence, over keys
    assert np.all(np.abs(single.mean(0) - 0.5) < 4 * (1 / 12 / 40) ** 0.5)
    assert np.all(np.abs(single.var(0) * 12 - 1) < 0.5)
    assert np.max(np.abs(np.corrcoef(single.T) - np.eye(5))) < 0.6
    assert len(np.unique(single)) == single.size


def test_sobol_is_more_even_than_random_points(scrambled):
    random = [qmc.discrepancy(np.random.default_rng(k).random((256, 5))) for k in range(5)]
    assert max(qmc.discrepancy(points) for points in scrambled[:5]) < min(random) / 4
    smooth = lambda x: np.prod(1 + 0.5 * (x - 0.5), -1)  # of mean 1
    assert np.std(smooth(scrambled).mean(1)) < 0.05 * np.std(smooth(scrambled)) / 16


def test_box_has_its_points_inside_and_knows_others():
    low, high = BOX.corners
    draw = jax.jit(lambda k: (BOX.uniform(64, k), BOX.sobol(64, k), BOX.latin_hypercube(64, k)))
    drawn = [np.asarray(points) for points in draw(FAST)]
    for points in drawn:
        assert points.shape == (64, 3) and BOX.check(points) is not None
        assert np.all(points.min(0) < low + 0.2 * (high - low)) and np.all(points.max(0) > high - 0.2 * (high - low))
    for points in drawn[1:]:
        slices = np.sort(np.floor((points - low) / (high - low) * 64), 0)
        np.testing.assert_array_equal(slices, np.tile(np.arange(64.0)[:, None], (1, 3)))
    assert BOX.volume == 4.0 and BOX.shrunk((0.5, 0, 0.25)) == Box((0.5, 1.5), (-1, 3.25), (1, 3.75))
    steady = Box(None, (0.0, 1.0, 2.0), (1.0, 3.0, 5.0)).shrunk((0.25, 0.5, 1.0))
    assert steady == Box(None, (0.25, 1.5, 3.0), (0.75, 2.5, 4.0)) and steady.size == 3  # no axis is taken for time
    assert Box((0, 1)).shrunk(0.25) == Box((0.25, 0.75))
    assert Box.of(js.Grid(8, -1.0, 2.0), (0, 1)) == Box((0.0, 1.0), (-1.0,), (2.0,))
    assert Box((0, 1), (2.0,), (2.0,)).uniform(3, KEY).tolist()[2][1] == 2.0
    single = jax.eval_shape(lambda: (sobol(4, 2, KEY, jnp.float32), BOX.latin_hypercube(4, KEY, jnp.float32)))
    assert {leaf.dtype for leaf in single} == {jnp.dtype("float32")}


def test_points_outside_of_the_box_are_refused():
    with pytest.raises(ValueError, match="1 of 2 points lie outside"):
        BOX.check(jnp.array([[0.5, 0.0, 3.5], [0.5, 0.0, 4.5]]))
    with pytest.raises(ValueError, match=r"shape \(n, 3\)"):
        BOX.check(jnp.zeros((5, 2)))
    with pytest.raises(Exception, match="points lie outside"):
        jax.block_until_ready(eqx.filter_jit(BOX.check)(jnp.array([[0.5, 0.0, 4.5]])))
    for wrong in [((1.0, 0.0), (0.0,), (1.0,)), ((0.0, 1.0), (0.0,), (np.inf,)), (None, (1.0,), (1.0,)), (None,)]:
        with pytest.raises(ValueError, match="Box: intervals"):
            Box(*wrong)
    with pytest.raises(ValueError, match="one number per axis"):
        Box((0.0, 1.0), (0.0, 1.0), (1.0,))
    with pytest.raises(ValueError, match="nothing is left"):
        BOX.shrunk(0.8)


LINE = Box(None, (0.0,), (1.0,))
BLOCK = Rows(lambda model, p: jnp.stack([3 * model * p[0] ** 2, 4 * model * p[0] ** 2]),
             np.linspace(0.05, 0.95, 50)[:, None]).settled()  # fmt: skip


def test_density_of_residual_adaptive_points_is_its_definition():
    sampler, pool = ResidualAdaptive(LINE, 256, power=1.5, floor=0.5), np.linspace(0, 1, 256)[:, None]
    exact = (5 * pool[:, 0] ** 2) ** 1.5
    density = jax.jit(lambda model: sampler.density(BLOCK, model, jnp.asarray(pool)))
    np.testing.assert_allclose(density(1.0), exact / exact.mean() + 0.5, rtol=1e-12)
    np.testing.assert_allclose(density(0.0), 1.5)  # even where nothing is left over


@pytest.mark.slow
def test_residual_adaptive_points_follow_their_density():
    sampler = ResidualAdaptive(LINE, 256, power=1.5, floor=0.5)
    few = dataclasses.replace(BLOCK, samples=BLOCK.samples[:4])
    draws = jax.jit(lambda: jax.vmap(lambda k: sampler(few, 1.0, k))(jax.random.split(KEY, 1000)))()
    x = np.asarray(draws)[..., 0]
    assert all(len(np.unique(row)) == 4 for row in x)
    found = np.histogram(x, 8, (0, 1))[0] / x.size
    edges = np.linspace(0, 1, 9)
    expected = np.diff(edges**4 + 0.5 * edges) / 1.5  # x^3 over its mean, 1/4
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_points_with_residuals_above_the_mean_are_retained():
    fresh = np.asarray(jax.jit(lambda: RetainResample(LINE)(BLOCK, 2.0, FAST))())
    residuals = 10 * np.asarray(BLOCK.samples[:, 0]) ** 2
    keep = residuals > residuals.mean()
    np.testing.assert_array_equal(fresh[keep], BLOCK.samples[keep])
    assert 0 < keep.sum() < 50 and not np.any(np.isin(fresh[~keep], BLOCK.samples))
    assert np.all((fresh >= 0) & (fresh <= 1))


def test_points_change_inside_a_compiled_training():
    block = Rows(lambda model, p: model["a"] + model["b"] * p[0] - jnp.exp(p[0]), LINE.sobol(16, KEY))
    start = {"a": jnp.zeros(()), "b": jnp.zeros(())}
    method, rules = FirstOrder(optax.sgd(0.1)), [Resample(Sobol(LINE), every=2)]
    run = lambda key: train([block], start, method, 4, rules=rules, key=jax.random.fold_in(FAST, key), every=4)
    first, again, other = (np.asarray(run(k).blocks[0].samples) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other) and np.all(first != block.samples)


@pytest.mark.parametrize("sampler", [Uniform(LINE), Sobol(LINE), ResidualAdaptive(LINE, 64), RetainResample(LINE)])
def test_rules_keep_shapes_and_compile_once(sampler):
    once = eqx.debug.assert_max_traces(lambda blocks, k: Resample(sampler, 1)(blocks, 1.0, 0, k), max_traces=1)
    blocks = [BLOCK, dataclasses.replace(BLOCK, samples=BLOCK.samples.astype(jnp.float32), weight=2.0)]
    rule = eqx.filter_jit(once)
    after = [rule(blocks, jax.random.fold_in(FAST, k)) for k in (0, 1)]
    np.testing.assert_array_equal(after[0][0].samples, BLOCK.samples)
    assert after[0][1].samples.dtype == jnp.float32 and after[0][1].samples.shape == (50, 1)
    assert after[0][1].weight == 2.0 and np.any(after[0][1].samples != after[1][1].samples)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`dimension`"):
        sobol(4, 13)
    with pytest.raises(ValueError, match="`count`"):
        sobol(0, 2)
    with pytest.raises(ValueError, match="`every`"):
        Resample(Uniform(LINE), every=0)
    with pytest.raises(ValueError, match="no block 2"):
        Resample(Uniform(LINE), 2)([BLOCK], 1.0, 0, KEY)
    with pytest.raises(ValueError, match="points of their box"):
        Uniform(BOX)(BLOCK, 1.0, KEY)
    with pytest.raises(ValueError, match="more candidates"):
        ResidualAdaptive(LINE, 8)(BLOCK, 1.0, KEY)
    with pytest.raises(ValueError, match="must not be negative"):
        ResidualAdaptive(LINE, 8, floor=-1.0)
