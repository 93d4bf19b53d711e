"""Rules that balance blocks and rows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim.optimize import FirstOrder, GradientNorm, LevenbergMarquardt, NeuralTangentKernel, RowAttention, Rows, train

SAMPLES = jnp.asarray(np.random.default_rng(0).standard_normal((10, 2)))
MODEL = jnp.array([0.3, -0.2])
KEY = jax.random.key(0)


def blocks_of(scale, weight=1.0):
    """Two blocks with different minima, one of them scaled."""
    return [Rows(lambda w, s: s @ w - 1.0, SAMPLES, weight), Rows(lambda w, s: scale * (s @ w + 1.0), SAMPLES)]


def factors(rule, blocks, step=0):
    blocks = [block.settled() for block in blocks]
    changed = eqx.filter_jit(lambda blocks, model: [b.factor for b in rule(blocks, model, jnp.asarray(step), KEY)])
    return np.asarray(changed(blocks, MODEL))


def test_gradients_get_the_same_length():
    weight = jnp.linspace(0.5, 2, 10)
    blocks = blocks_of(1000.0, weight)
    lengths = np.array([np.linalg.norm(jax.grad(block.loss)(MODEL)) for block in blocks])
    found = factors(GradientNorm(), blocks)
    np.testing.assert_allclose(found, lengths.mean() / lengths, rtol=1e-12)
    np.testing.assert_allclose(found[0] / found[1], lengths[1] / lengths[0], rtol=1e-12)
    # What factors a block had before makes no difference to the measure.
    scaled = [Rows(block.function, block.samples, block.weight, 7.0) for block in blocks]
    np.testing.assert_allclose(factors(GradientNorm(), scaled), found, rtol=1e-12)
    np.testing.assert_allclose(factors(GradientNorm(momentum=0.75), scaled, 5), 0.75 * 7 + 0.25 * found, rtol=1e-12)


def test_kernels_get_the_same_trace():
    weight = jnp.linspace(0.5, 2, 10)
    traces = np.array([np.mean(weight[:, None] * SAMPLES**2) * 2, 1e6 * np.mean(SAMPLES**2) * 2])
    found = factors(NeuralTangentKernel(chunk=4), blocks_of(1000.0, weight))
    np.testing.assert_allclose(found, traces.mean() / traces, rtol=1e-12)


def test_a_block_without_a_gradient_gets_a_large_factor_and_all_zero_gets_one():
    still = [Rows(lambda w, s: 0 * w[0], SAMPLES), Rows(lambda w, s: s @ w, SAMPLES)]
    np.testing.assert_allclose(factors(GradientNorm(), still), [1e5, 0.5])
    np.testing.assert_allclose(factors(NeuralTangentKernel(), [still[0], still[0]]), 1.0)


def test_no_gradient_passes_through_factors_or_weights():
    blocks = [block.settled() for block in blocks_of(3.0)]
    for rule in (GradientNorm(), NeuralTangentKernel(), RowAttention()):

        def out(model, rule=rule):
            return sum(jnp.sum(b.factor * b.weight) for b in rule(blocks, model, jnp.asarray(0), KEY))

        assert np.all(jax.jit(jax.grad(out))(MODEL) == 0)


def test_a_balanced_problem_ends_between_both_minima():
    # (w - 1)^2 and 10^6 (w + 1)^2: the traces balance to equal parts, whose minimum is 0.
    blocks = [Rows(lambda w, s: w - 1, jnp.zeros(1)), Rows(lambda w, s: 1000 * (w + 1), jnp.zeros(1))]
    # Without a rule it is near -1.
    both = train(
        blocks,
        jnp.array(0.5),
        LevenbergMarquardt(trials=1, accelerated=False),
        10,
        every=10,
        rules=[NeuralTangentKernel(every=3)],
    )
    np.testing.assert_allclose(both.model, 0.0, atol=1e-9)
    assert both.losses.shape == (10,) and float(both.blocks[0].factor) > 1e5


def test_attention_goes_to_rows_that_stay_large():
    rows = Rows(lambda w, s: jnp.stack([s[0] * w[0], s[1] * w[1]]), SAMPLES).settled()
    sizes = np.linalg.norm(np.asarray(SAMPLES * MODEL), axis=1)
    rule = RowAttention(rate=0.1, decay=0.9, blocks=(1,))
    first, second = eqx.filter_jit(lambda b, m: rule(b, m, jnp.asarray(0), KEY))([rows, rows], MODEL)
    np.testing.assert_array_equal(first.weight, rows.weight)
    np.testing.assert_allclose(second.weight, (0.9 + 0.1 * sizes / sizes.max()) ** 2, rtol=1e-12)
    settled = train([rows], MODEL, FirstOrder(optax.sgd(0.0)), 200, every=200, rules=[RowAttention(0.1, 0.9)])
    np.testing.assert_allclose(settled.blocks[0].weight, (sizes / sizes.max()) ** 2, rtol=1e-6)


def test_bad_input():
    for bad in (lambda: GradientNorm(0), lambda: NeuralTangentKernel(momentum=1.0)):
        with pytest.raises(ValueError, match="`every` is at least 1, and `momentum`"):
            bad()
    with pytest.raises(ValueError, match="`chunk`"):
        NeuralTangentKernel(chunk=0)
    with pytest.raises(ValueError, match="`rate` positive"):
        RowAttention(rate=0.0)
    with pytest.raises(TypeError, match="object has none"):
        RowAttention()([object()], MODEL, jnp.asarray(0), KEY)  # pyright: ignore[reportArgumentType]
