"""Norms of very small, very large and vanishing things."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.norms import norm, power_of_two, root_mean_square


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-30, 1e-20, 1.0, 1e20, 1e30, 2e38])
def test_float32_norms_do_not_leave_the_range(size):
    size = np.float32(size)
    x = jnp.array([3, 0, 0, 4], jnp.float32) * (size / 4)
    expected = np.linalg.norm(np.asarray(x, np.float64))
    assert norm(x).dtype == jnp.float32
    np.testing.assert_allclose(float(norm(x)), expected, rtol=1e-6)
    np.testing.assert_allclose(float(root_mean_square(x)), expected / 2, rtol=1e-6, atol=1e-45)


def test_norms_have_the_bits_of_the_plain_formula():
    x = jax.random.normal(jax.random.key(0), (1000,))
    assert norm(x) == jnp.sqrt(jnp.sum(x**2))
    assert root_mean_square(1j * x) == jnp.sqrt(jnp.sum(x**2) / 1000)


def test_norms_of_trees_and_of_nothing():
    assert norm({"a": jnp.array([3.0]), "b": (jnp.array([[4j]]), jnp.zeros((0, 2)))}) == 5.0
    assert norm({}) == 0.0 and root_mean_square(jnp.zeros(3)) == 0.0
    assert not np.isfinite(norm(jnp.array([1.0, jnp.nan]))) and not np.isfinite(norm(jnp.array([1.0, jnp.inf])))


def test_norms_differentiate_to_second_order():
    x = jnp.array([1e-3, -2e-3, 5e-4])
    np.testing.assert_allclose(jax.grad(norm)(x), x / np.linalg.norm(x), rtol=1e-14)
    hessian = (np.eye(3) - np.outer(x, x) / np.dot(x, x)) / np.linalg.norm(x)
    np.testing.assert_allclose(jax.hessian(norm)(x), hessian, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(jax.grad(norm)(jnp.zeros(3)), 0)


def test_powers_of_two_are_exact_and_bounded():
    sizes = jnp.array([1e-45, 1e-30, 0.75, 1.0, 3e38, 0.0, jnp.inf, jnp.nan], jnp.float32)
    powers = np.asarray(power_of_two(sizes))
    assert (np.log2(powers) == np.round(np.log2(powers))).all() and np.isfinite(powers).all() and (powers > 0).all()
    np.testing.assert_array_equal(powers[5:], 1)
    assert powers[2] == 1.0 and powers[3] == 2.0
