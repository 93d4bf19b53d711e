"""Steps in pseudo-time, and a horizon that moves on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxsim.optimize import LevenbergMarquardt, Rows, train
from jaxsim.pinn import Horizon, PseudoTimeStep, pseudo_time


def model(w):
    return jax.tree_util.Partial(lambda w, x: w[0] + w[1] * x, jnp.asarray(w))


def test_a_step_in_pseudo_time_is_that_of_implicit_euler():
    points = jnp.linspace(0, 1, 5)[:, None]
    block = Rows(lambda m, p: 3.0 * (m(p[0]) - p[0]), points)  # u -> x at rate 3
    start = model([1.0, 1.0])
    rows = pseudo_time(block, start, rate=2.0)
    done = train([rows], start, LevenbergMarquardt(damping=1e-12), 30, every=30)
    np.testing.assert_allclose(done.model(0.5) - 0.5, 1.0 * 2 / (2 + 3), rtol=1e-6)  # e / (1 + 3 tau)


def test_the_rate_follows_the_slope_and_steps_reach_the_steady_state():
    points = jnp.linspace(0, 1, 5)[:, None]
    start = model([1.0, 1.0])
    rows = pseudo_time(Rows(lambda m, p: 3.0 * (m(p[0]) - p[0]), points), start, rate=2.0)
    rule = PseudoTimeStep(every=5, memory=0.5)
    done = train([rows], start, LevenbergMarquardt(damping=1e-9), 60, rules=[rule], every=60)
    np.testing.assert_allclose(done.blocks[0].function.rate, 3.0, rtol=1e-2)
    np.testing.assert_allclose(done.model(0.5), 0.5, atol=1e-3)
    with pytest.raises(TypeError, match="was not made by"):
        rule([Rows(lambda m, p: m(p[0]), points)], start, 0, jax.random.key(0))
    with pytest.raises(ValueError, match="memory"):
        PseudoTimeStep(memory=1.0)


def test_a_horizon_moves_on():
    points = jnp.linspace(0, 1, 5)[:, None]
    rule = Horizon(optax.linear_schedule(0.3, 1.0, 4))
    weights = [rule([Rows(None, points)], None, jnp.asarray(k), None)[0].weight for k in (0, 2, 4)]
    np.testing.assert_array_equal(weights, [[1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    with pytest.raises(ValueError, match="Horizon: there is no block 1 among 1"):
        Horizon(lambda step: 1.0, block=1)([Rows(None, points)], None, jnp.asarray(0), None)
    with pytest.raises(TypeError, match="Horizon: samples must be points"):
        rule([Rows(None, (points, points))], None, jnp.asarray(0), None)
