"""Windows of time, and causality inside the training loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.nets import MLP
from jaxsim.optimize import LevenbergMarquardt, Rows, Status, partition, train
from jaxsim.pinn import Box, Causality, CausalWeights, Delayed, collocation, march, satisfied, trigonometric


def test_a_trigonometric_polynomial_is_itself():
    function = lambda x, y: jnp.stack([jnp.sin(3 * x) * jnp.cos(2 * jnp.pi * y) + 0.5, jnp.cos(2 * x)])
    found = trigonometric(function, (0.0, 1.0), (2 * np.pi, 2.0), 4)
    for point in ((0.3, 1.1), (7.0, -0.4)):
        np.testing.assert_allclose(found(*point), function(*point), atol=1e-13)
    assert not trigonometric(lambda x: -jnp.sin(x), (0.0,), (2 * np.pi,), 2).value.coefficients.weak_type


def test_windows_meet_and_hold_their_own_field():
    edges, calls = [0.0, 0.5, 2.0], []

    def solve(t0, t1, initial, previous):
        calls.append((t0, t1, previous is None))
        rate = jnp.asarray(1.0 + t0)
        return FromInitial(Rate(rate), trigonometric(initial, (0.0,), (1.0,), 2), jnp.asarray(t0))

    field = march(solve, edges, lambda x: jnp.cos(2 * jnp.pi * x))
    assert calls == [(0.0, 0.5, True), (0.5, 2.0, False)]
    expected = lambda t, x: jnp.cos(2 * jnp.pi * x) + (t if t < 0.5 else 0.5 + 1.5 * (t - 0.5))
    for t in (0.0, 0.3, 0.5, 1.4, 3.0):
        np.testing.assert_allclose(field(t, 0.2), expected(t, 0.2), atol=1e-12)
    rate = js.residual(js.equations.Advection(0.0), js.Function(field))
    np.testing.assert_allclose([rate(0.3, 0.2), rate(1.4, 0.2)], [1.0, 1.5], atol=1e-12)


class Rate(eqx.Module):
    """A number."""

    value: jax.Array

    def __call__(self, t, x):
        return self.value


def test_windows_are_checked():
    with pytest.raises(ValueError, match="rising"):
        march(lambda *_: None, [0.0, 0.0], jnp.sin)
    with pytest.raises(TypeError, match="same structure"):
        march(lambda t0, t1, u0, _: FromInitial(Rate(jnp.ones(())), u0, jnp.asarray(t0)), [0.0, 1.0, 2.0], jnp.sin)
    with pytest.raises(ValueError, match="needs 1 coordinates"):
        trigonometric(jnp.sin, (0.0,), (1.0,), 2)(0.1, 0.2)


def test_a_delayed_field_knows_the_time_since_its_start():
    field = Delayed(lambda t, x: t * x, 2.0)
    np.testing.assert_allclose(field(5.0, 2.0), 6.0)
    assert not jax.tree.leaves(eqx.filter(partition(field)[0], eqx.is_array))


def decay(epsilon, model, steps, **options):
    points = jnp.linspace(0, 4, 32)[:, None]
    blocks = [Rows(lambda m, s: m(s[0]) * 1.0 + jax.grad(m)(s[0]), points)]
    rules = [Causality(CausalWeights(epsilon, 8))]
    return train(blocks, model, LevenbergMarquardt(), steps, rules=rules, every=5, **options)


class Start(eqx.Module):
    """Starts at one."""

    network: eqx.Module

    def __call__(self, t):
        return 1 + t * self.network(t[None] / 2 - 1)


@pytest.mark.slow
def test_causal_weights_follow_the_training_until_they_certify_it():
    model = Start(MLP(1, "scalar", 8, 1, key=jax.random.key(0)))
    first = decay(5.0, model, 5)
    weights = np.asarray(first.blocks[0].weight)
    assert weights[0] == 1 and np.all(np.diff(weights) <= 0)
    done = decay(100.0, first.model, 200, until=satisfied)
    assert done.status is Status.MET and np.min(done.blocks[0].weight) > 0.99
    np.testing.assert_allclose(done.model(jnp.array(2.0)), np.exp(-2), rtol=1e-2)


@pytest.mark.slow
def test_advection_is_solved_in_windows():
    network = Embedded(MLP(3, "scalar", 16, 2, key=jax.random.key(0)), (0.0, 0.25), (0.0,), (1.0,), (True,))
    box, speed = Box((0.0, 0.25), (0.0,), (1.0,)), 4.0
    local = box.sobol(512, jax.random.key(1))

    def solve(t0, t1, initial, previous):
        start = network if previous is None else previous.network.function
        field = FromInitial(Delayed(start, t0), trigonometric(initial, (0.0,), (1.0,), 8), jnp.asarray(t0))
        rows = collocation(js.equations.Advection(speed), local + jnp.array([t0, 0.0]))
        return train([rows], field, LevenbergMarquardt(), 60, every=20, target=1e-8).model

    field = march(solve, [0.0, 0.25, 0.5], lambda x: jnp.sin(2 * jnp.pi * x))
    x = jnp.linspace(0, 1, 9)
    for t in (0.2, 0.5):
        found = jax.vmap(lambda x: field(t, x))(x)  # noqa: B023
        np.testing.assert_allclose(found, jnp.sin(2 * jnp.pi * (x - speed * t)), atol=4e-4)
