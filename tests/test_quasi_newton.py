"""Quasi-Newton methods: the Broyden family with a dense inverse, and L-BFGS."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax import lax

from jaxsim.optimize import BFGS, LBFGS, SSBFGS, Frozen, Rows, SSBroyden, WolfeSearch
from jaxsim.optimize.lbfgs import Pairs

ROSENBROCK = [Rows(lambda w, s: jnp.stack([10 * (w[1] - w[0] ** 2), 1 - w[0]]), jnp.zeros(1))]
START = jnp.array([-1.2, 1.0])
METHODS = [BFGS(), pytest.param(SSBFGS(), marks=pytest.mark.slow), SSBroyden(), LBFGS()]


def quadratic(eigenvalues, key=0):
    """Rows whose loss has a Hessian of these eigenvalues, and a minimum of 0 at 1."""
    rng = np.random.default_rng(key)
    basis = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))[0]
    matrix = jnp.asarray(np.sqrt(0.5 * np.asarray(eigenvalues))[:, None] * basis)
    return [Rows(to_one, matrix[None])]


def to_one(w, sample):
    return sample @ (w - 1)


@eqx.filter_jit
def run(method, blocks, model, steps):
    """The last state, and all losses, states and models."""
    carry = model, method.init(blocks, model)
    arrays, rest = eqx.partition(carry, eqx.is_array)

    def body(arrays, _):
        model, state = method.step(blocks, *eqx.combine(arrays, rest))
        arrays = eqx.filter((model, state), eqx.is_array)
        return arrays, (state.loss, arrays[1], arrays[0])

    arrays, seen = lax.scan(body, arrays, None, length=steps)
    return eqx.combine(arrays, rest)[1], *seen


@pytest.mark.parametrize("method", METHODS, ids=["BFGS", "SSBFGS", "SSBroyden", "LBFGS"])
def test_rosenbrock_takes_about_as_many_steps_as_scipy_and_the_inverse_stays_positive(method):
    known = scipy.optimize.minimize(scipy.optimize.rosen, START, jac=scipy.optimize.rosen_der, method="BFGS")
    _, losses, states, models = run(method, ROSENBROCK, START, 60)
    assert losses[-1] < 1e-25 and abs(np.argmax(losses < 1e-12) - known.nit) <= 8
    np.testing.assert_allclose(models[-1], 1.0, rtol=1e-10)
    if isinstance(method, LBFGS):
        return
    for k in range(1, 25):
        inverse = np.asarray(states.memory[k])
        np.testing.assert_array_equal(inverse, inverse.T)
        assert np.linalg.eigvalsh(inverse)[0] > 0
        # The secant condition: H knows the last step.
        image = inverse @ (states.gradient[k] - states.gradient[k - 1])
        np.testing.assert_allclose(image, models[k] - models[k - 1], rtol=1e-5)


def test_an_exact_search_solves_a_quadratic_in_as_many_steps_as_parameters():
    blocks = quadratic([1.0, 2.0, 5.0, 9.0, 20.0])
    exact = WolfeSearch(1e-10, 1e-9, 30)
    state, losses, _, _ = run(BFGS(exact), blocks, jnp.zeros(5), 5)
    assert losses[-2] > 1e-6 and losses[-1] < 1e-20
    matrix = np.asarray(blocks[0].samples[0])
    np.testing.assert_allclose(state.memory @ (2 * matrix.T @ matrix), np.eye(5), atol=1e-7)


@pytest.mark.slow
def test_self_scaling_wins_where_curvatures_are_small_and_far_apart():
    blocks = quadratic(np.logspace(-6, 0, 30))
    start = 1 + 10 * np.sign(np.random.default_rng(1).standard_normal(30))
    losses = {type(m): run(m, blocks, jnp.asarray(start), 80)[1] for m in (BFGS(), SSBroyden())}
    assert losses[SSBroyden][-1] < 1e-3 * losses[BFGS][-1]


@pytest.mark.parametrize("method", [BFGS(), pytest.param(LBFGS(3), marks=pytest.mark.slow)], ids=["BFGS", "LBFGS"])
def test_a_spoiled_memory_is_given_up(method):
    state = eqx.filter_jit(method.init)(ROSENBROCK, START)
    step = eqx.filter_jit(method.step)
    for shift in (-2.0, jnp.nan):
        spoiled = jax.tree.map(partial(jnp.add, shift), state.memory)
        _, after = step(ROSENBROCK, START, eqx.tree_at(lambda s: s.memory, state, spoiled))
        assert after.loss < state.loss and np.all(np.isfinite(after.gradient))
        assert -after.gradient @ method.times(after.memory, after.gradient) < 0


def test_a_step_that_finds_nothing_changes_nothing_but_the_memory():
    flat = [Rows(lambda w, s: jnp.where(jnp.abs(w - 1) < 1e-12, 1.0 + w - lax.stop_gradient(w), jnp.nan), jnp.zeros(1))]
    state, losses, states, models = run(BFGS(WolfeSearch(evaluations=4)), flat, jnp.array(1.0), 2)
    assert np.all(models == 1.0) and np.all(losses == 1.0) and np.all(states.length == 0) and state.memory == 1.0


def test_few_pairs_act_as_the_product_of_their_updates():
    method = LBFGS(memory=3)
    changes = np.random.default_rng(0).standard_normal((3, 6))
    differences = changes @ np.diag(np.arange(1.0, 7.0))
    inverses = 1 / np.sum(changes * differences, 1)
    inverse = 0.3 * np.eye(6)
    for s, y, rho in zip(changes, differences, inverses, strict=True):
        left = np.eye(6) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    pairs = Pairs(*map(jnp.asarray, (changes, differences, inverses, 0.3)))
    found = jax.jit(jax.vmap(method.times, (None, 0)))(pairs, jnp.eye(6))
    np.testing.assert_allclose(found, inverse, atol=1e-12)


@pytest.mark.slow
def test_single_precision():
    blocks = [Rows(ROSENBROCK[0].function, jnp.zeros(1, jnp.float32))]
    state, losses, _, models = run(SSBroyden(), blocks, START.astype(jnp.float32), 60)
    assert losses.dtype == models.dtype == state.memory.dtype == jnp.float32
    assert losses[-1] < 1e-9


@pytest.mark.parametrize("method", [SSBroyden(), pytest.param(LBFGS(), marks=pytest.mark.slow)], ids=["dense", "few"])
def test_new_samples_make_loss_and_gradient_new_and_keep_the_memory(method):
    model = dict(trained=jnp.array([0.5, 0.1]), fixed=Frozen(jnp.array(2.0)))
    rows = lambda m, s: m["trained"][0] * jnp.sin(m["trained"][1] * s) - m["fixed"].thawed() * jnp.sin(s)
    blocks, others = ([Rows(rows, jnp.linspace(0, end, 9))] for end in (1.0, 2.0))

    @eqx.filter_jit
    def both(model):
        model, state = method.step(blocks, model, method.init(blocks, model))
        return model, state, method.refresh(others, model, state), method.init(others, model)

    after, state, refreshed, fresh = both(model)
    assert after["fixed"].value == 2.0 and after["trained"][0] != 0.5
    np.testing.assert_allclose(refreshed.loss, fresh.loss, rtol=1e-12)
    np.testing.assert_allclose(refreshed.gradient, fresh.gradient, rtol=1e-12)
    for old, new in zip(jax.tree.leaves(state.memory), jax.tree.leaves(refreshed.memory), strict=True):
        np.testing.assert_array_equal(old, new)


class Energy(eqx.Module):
    """A block with a loss that is no sum of squares."""

    def loss(self, model):
        return jnp.sum(jnp.cosh(model) - model)


@pytest.mark.slow
def test_energies_are_lowered():
    _, _, _, models = run(SSBroyden(), [Energy()], jnp.array([2.0, -1.0]), 20)
    np.testing.assert_allclose(models[-1], np.arcsinh(1.0), rtol=1e-9)


def test_bad_input():
    with pytest.raises(ValueError, match="< 1/2"):
        WolfeSearch(decrease=0.6)
    with pytest.raises(ValueError, match="`memory` is at least 1"):
        LBFGS(0)
    with pytest.raises(ValueError, match="nothing to train"):
        BFGS().init(ROSENBROCK, Frozen(START))
    with pytest.raises(TypeError, match="must be real"):
        BFGS().init(ROSENBROCK, START + 1j)
    with pytest.raises(Exception, match="not finite to begin with"):
        BFGS().init([Rows(lambda w, s: jnp.log(w), jnp.zeros(2))], jnp.array(-1.0))
