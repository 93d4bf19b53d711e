"""The training loop."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.optimize import AbstractRule, Diverged, Frozen, LevenbergMarquardt, Rows, Status, train

METHOD = LevenbergMarquardt()


def wave(model, t):
    return model["amplitude"] * jnp.sin(model["rate"] * t) - 2 * jnp.sin(1.5 * t)


def blocks():
    return [Rows(wave, jnp.linspace(0, 2, 21))]


def model():
    return dict(amplitude=jnp.array(1.0), rate=jnp.array(1.0))


class Redraw(AbstractRule):
    """New samples."""

    every: int = eqx.field(static=True, default=3)
    random = True

    def __call__(self, blocks, model, step, key):
        samples = jax.random.uniform(key, blocks[0].samples.shape, maxval=2.0)
        return [dataclasses.replace(blocks[0], samples=samples)]


def test_a_training_finds_its_parameters_and_stops_at_the_target():
    done = train(blocks(), model(), METHOD, 100, every=5, target=1e-20, monitor=lambda m: {"rate": m["rate"]})
    assert done.status is Status.TARGET and done.steps < 30 and done.steps % 5 == 0
    np.testing.assert_allclose([done.model["amplitude"], done.model["rate"]], [2.0, 1.5], rtol=1e-9)
    np.testing.assert_allclose(done.monitored["rate"][-1], done.model["rate"])
    assert np.all(np.diff(done.losses) <= 0)


def test_rules_are_applied_when_due_and_by_key():
    run = lambda key: train(blocks(), model(), METHOD, 5, rules=[Redraw()], key=jax.random.key(key), every=4)
    first, again, other = run(0), run(0), run(1)
    np.testing.assert_array_equal(first.losses, again.losses)
    assert np.any(first.blocks[0].samples != other.blocks[0].samples)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 3), 0)
    np.testing.assert_array_equal(first.blocks[0].samples, jax.random.uniform(key, (21,), maxval=2.0))


def test_a_stopped_training_goes_on_with_the_same_bits(tmp_path):
    run = lambda steps, path: train(blocks(), model(), METHOD, steps, rules=[Redraw()], key=jax.random.key(0), every=2,
                                    monitor=lambda m: m["rate"], checkpoint=path)  # fmt: skip
    whole = run(8, tmp_path / "whole")
    run(4, tmp_path / "parts")
    parts = run(8, tmp_path / "parts")
    np.testing.assert_array_equal(whole.losses, parts.losses)
    np.testing.assert_array_equal(whole.monitored, parts.monitored)
    jax.tree.map(np.testing.assert_array_equal, whole.model, parts.model)
    with pytest.raises(ValueError, match="not a checkpoint of this model"):
        train(blocks(), dict(model(), more=jnp.zeros(3)), METHOD, 8, checkpoint=tmp_path / "parts")


def test_a_training_that_had_ended_takes_no_further_step(tmp_path):
    run = lambda: train(blocks(), model(), METHOD, 100, every=5, target=1e-20, checkpoint=tmp_path / "run")
    first, again = run(), run()
    assert first.status is again.status is Status.TARGET
    np.testing.assert_array_equal(first.losses, again.losses)


def test_what_is_frozen_stays():
    frozen = dict(amplitude=Frozen(jnp.array(2.0)), rate=jnp.array(1.0))
    rows = Rows(lambda m, t: wave(dict(m, amplitude=m["amplitude"].thawed()), t), jnp.linspace(0, 2, 21))
    done = train([rows], frozen, METHOD, 20, every=20)
    assert done.model["amplitude"].value == 2.0
    np.testing.assert_allclose(done.model["rate"], 1.5, rtol=1e-9)


def test_a_loss_that_falls_no_more_ends_the_training():
    rows = Rows(lambda m, t: m["rate"] - t, jnp.array([0.0, 1.0]))
    done = train([rows], dict(rate=jnp.array(3.0)), METHOD, 200, every=10, patience=2)
    assert done.status is Status.STALLED and done.steps <= 40
    np.testing.assert_allclose(done.losses[-1], 0.25)
    done = train([rows], dict(rate=jnp.array(3.0)), METHOD, 200, every=10, until=lambda b, m: b[0].loss(m) < 0.26)
    assert done.status is Status.MET and done.steps == 10


class Lost(AbstractRule):
    """Weights that are not finite from step 4 on."""

    every: int = eqx.field(static=True, default=1)
    random = False

    def __call__(self, blocks, model, step, key):
        weight = jnp.where(step >= 4, jnp.nan, jnp.ones_like(blocks[0].weight))
        return [dataclasses.replace(blocks[0], weight=weight)]


def test_a_loss_that_is_not_finite_raises_or_is_told():
    with pytest.raises(Diverged, match="after step 4"):
        train(blocks(), model(), METHOD, 10, rules=[Lost()], every=2)
    done = train(blocks(), model(), METHOD, 10, rules=[Lost()], every=2, throw=False)
    assert done.status is Status.DIVERGED and done.steps == 4 and np.isfinite(done.model["rate"])


def test_bad_input():
    with pytest.raises(ValueError, match="at least 1"):
        train(blocks(), model(), METHOD, 0)
    with pytest.raises(ValueError, match="pass `key`"):
        train(blocks(), model(), METHOD, 1, rules=[Redraw()])
    with pytest.raises(ValueError, match="one leading axis"):
        train([Rows(wave, (jnp.zeros(3), jnp.zeros(4)))], model(), METHOD, 1)
    with pytest.raises(ValueError, match="one for each of 21"):
        train([dataclasses.replace(blocks()[0], weight=jnp.ones(3))], model(), METHOD, 1)
    with pytest.raises(ValueError, match="`every` of a rule, are at least 1"):
        train(blocks(), model(), METHOD, 1, rules=[Lost(every=0)])
    with pytest.raises(ValueError, match="`patience`"):
        train(blocks(), model(), METHOD, 1, patience=0)
    for wrong in (blocks()[0], []):
        with pytest.raises(TypeError, match="list of at least one block"):
            train(wrong, model(), METHOD, 1)
