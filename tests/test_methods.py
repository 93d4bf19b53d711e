"""First-order methods: transformations of optax, and SOAP."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from jaxsim.optimize import FirstOrder, Frozen, Rows, soap, total_loss, train

SAMPLES = jnp.asarray(np.random.default_rng(0).standard_normal((12, 3)))
WANTED = jnp.array([1.0, -2.0, 0.5])
LINEAR = [Rows(lambda w, s: s @ w - s @ WANTED, SAMPLES)]


def needs_loss(factor):
    """Steps along the sign of the gradient, as long as the loss is high."""

    def update(updates, state, params=None, *, value, value_fn, **_):
        here = value_fn(params)
        return jax.tree.map(lambda g: -factor * value * jnp.sign(g) * (here == value), updates), state

    return optax.GradientTransformationExtraArgs(lambda _: optax.EmptyState(), update)


TRANSFORMATIONS = {
    "chain": optax.chain(optax.clip_by_global_norm(0.3), optax.adam(optax.cosine_decay_schedule(0.1, 10))),
    "loss": needs_loss(0.01),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_steps_are_those_of_optax(name):
    optimizer, method = TRANSFORMATIONS[name], FirstOrder(TRANSFORMATIONS[name])
    loss = lambda w: total_loss(LINEAR, w)

    @jax.jit
    def plain(w):
        def body(carry, _):
            w, state = carry
            value, gradient = jax.value_and_grad(loss)(w)
            extra = dict(value=value, grad=gradient, value_fn=loss)
            updates, state = optax.with_extra_args_support(optimizer).update(gradient, state, w, **extra)
            return (optax.apply_updates(w, updates), state), value

        (w, _), losses = lax.scan(body, (w, optimizer.init(w)), None, length=8)
        return w, losses

    expected, losses = plain(jnp.zeros(3))
    training = train(LINEAR, jnp.zeros(3), method, 8, every=8)
    np.testing.assert_allclose(training.model, expected, rtol=1e-13)
    np.testing.assert_allclose(training.losses, losses, rtol=1e-13)
    assert losses[-1] < losses[0]


def test_frozen_parts_stay_and_a_spoiled_step_is_seen_in_the_loss():
    rows = lambda m, s: m["fixed"](s) * m["trained"] - 3.0
    model = dict(trained=jnp.array(0.0), fixed=Frozen(eqx.nn.Linear(3, "scalar", key=jax.random.key(0))))
    method = FirstOrder(optax.sgd(0.1))
    state = method.init([Rows(rows, SAMPLES)], model)
    after, state = eqx.filter_jit(method.step)([Rows(rows, SAMPLES)], model, state)
    assert after["trained"] != 0 and np.isfinite(state.loss)
    np.testing.assert_array_equal(after["fixed"].value.weight, model["fixed"].value.weight)
    steep = [Rows(lambda w, s: jnp.sqrt(w - 1) + 1, jnp.zeros(1))]
    assert np.isnan(eqx.filter_jit(method.step)(steep, jnp.array(1.0), method.init(steep, jnp.array(1.0)))[1].loss)


def matrices(rotation):
    """A problem in a matrix and a vector, whose matrix is seen through rotations of its rows and columns."""
    left, right = rotation
    rng = np.random.default_rng(2)
    inputs, outputs = jnp.asarray(rng.standard_normal((20, 3))), jnp.asarray(rng.standard_normal((20, 4)))
    rows = lambda m, s: jnp.tanh(left.T @ m["matrix"] @ right.T @ s[0] + m["vector"]) - 0.3 * s[1]
    start = jnp.asarray(rng.standard_normal((4, 3)))
    return [Rows(rows, (inputs, outputs))], dict(matrix=left @ start @ right, vector=jnp.zeros(4))


def orthogonal(size, seed):
    return jnp.asarray(np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0])


@eqx.filter_jit
def optimize(optimizer, rotation, steps):
    method, (blocks, model) = FirstOrder(optimizer), matrices(rotation)

    def body(carry, _):
        carry = method.step(blocks, *carry)
        return carry, carry[1].loss

    carry, losses = lax.scan(body, (model, method.init(blocks, model)), None, length=steps)
    return *carry, losses


def test_soap_does_not_know_rotations_of_a_matrix():
    optimizer = soap(0.02)
    straight = optimize(optimizer, (jnp.eye(4), jnp.eye(3)), 60)
    turns = orthogonal(4, 0), orthogonal(3, 1)
    turned = optimize(optimizer, turns, 60)
    np.testing.assert_allclose(turned[2], straight[2], rtol=1e-8)
    np.testing.assert_allclose(turned[0]["matrix"], turns[0] @ straight[0]["matrix"] @ turns[1], rtol=1e-6)
    assert straight[2][-1] < 0.5 * straight[2][0]
    for pair in straight[1].optimizer[0].bases:
        for basis in jax.tree.leaves(pair):
            np.testing.assert_allclose(basis.T @ basis, np.eye(len(basis)), atol=1e-13)


def test_soap_is_adam_in_the_basis_of_the_first_gradient_while_that_is_kept():
    gradients = np.random.default_rng(3).standard_normal((4, 5, 2))
    optimizer = soap(0.1, 0.9, 0.8, frequency=1000)
    update = jax.jit(optimizer.update)
    state: Any = optimizer.init(jnp.zeros((5, 2)))
    first, state = update(jnp.asarray(gradients[0]), state)
    assert np.all(first == 0)
    left, right = (np.linalg.eigh(m)[1] for m in (gradients[0] @ gradients[0].T, gradients[0].T @ gradients[0]))
    mean = square = 0.0
    for k, gradient in enumerate(gradients[1:], 1):
        step, state = update(jnp.asarray(gradient), state)
        turned = left.T @ gradient @ right
        mean, square = 0.9 * mean + 0.1 * turned, 0.8 * square + 0.2 * turned**2
        expected = mean / (1 - 0.9**k) / (np.sqrt(square / (1 - 0.8**k)) + 1e-8)
        np.testing.assert_allclose(step, -0.1 * left @ expected @ right.T, rtol=1e-8)


def test_power_iterations_find_the_eigenvectors_and_take_the_squares_along():
    rng = np.random.default_rng(4)
    left, right = orthogonal(4, 5), orthogonal(3, 6)
    sizes = np.outer([8.0, 4.0, 2.0, 1.0], [9.0, 3.0, 1.0])
    optimizer = soap(0.1, 0.9, 0.99, frequency=1)

    @jax.jit
    def last(noise):
        body = lambda state, noise: (optimizer.update(left @ (noise * sizes) @ right.T, state)[1], None)
        end: Any = lax.scan(body, optimizer.init(jnp.zeros((4, 3))), noise)[0]
        return end[0]

    state = last(jnp.asarray(rng.choice([-1.0, 1.0], (400, 4, 3))))
    ((rows, columns),) = state.bases
    for basis, exact, covariance in ((rows, left, state.covariances[0][0]), (columns, right, state.covariances[0][1])):
        image = basis.T @ covariance @ basis
        np.testing.assert_allclose(image, np.diag(np.diag(image)), atol=1e-2 * image[0, 0])
        assert np.all(np.abs(np.sum(basis * exact, 0)) > 0.98)
    np.testing.assert_allclose(np.sqrt(state.square), sizes, rtol=0.3)


def test_soap_leaves_long_sides_and_vectors_to_adam():
    optimizer = soap(0.1, largest=4)
    state: Any = optimizer.init(dict(long=jnp.zeros((6, 3)), vector=jnp.zeros(3), number=jnp.zeros((), jnp.float32)))
    (rows, columns), *others = state[0].bases
    assert rows is None and columns.shape == (3, 3) and others == [(None, None), (None, None)]
    update, ones = jax.jit(optimizer.update), jax.tree.map(jnp.ones_like, state[0].mean)
    _, state = update(ones, state)
    updates: Any = update(ones, state)[0]
    np.testing.assert_allclose(updates["vector"], -0.1, rtol=1e-6)
    assert updates["number"].dtype == jnp.float32


def test_bad_input():
    with pytest.raises(TypeError, match="optax.adam"):
        FirstOrder(0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`frequency`"):
        soap(0.1, frequency=0)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        soap(0.1, b1=1.0)
