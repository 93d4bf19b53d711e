"""Norms of very small, very large and vanishing things."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.norms import (
    lengths,
    norm,
    power_of_two,
    quotient,
    root_mean_square,
    root_mean_squares,
    sizes_of_rows,
    unit_of,
    units_of,
)


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


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e25])
def test_norms_along_axes_have_a_scale_for_each(size):
    x = jnp.array([[3, 0, 4], [6e-3, 8e-3, 0]], jnp.float32) * jnp.float32(size)
    np.testing.assert_allclose(lengths(x) / np.float32(size), [5, 1e-2], rtol=1e-6)
    np.testing.assert_allclose(lengths(x, 0)[2] / np.float32(size), 4, rtol=1e-6)
    np.testing.assert_allclose(root_mean_squares(x, (1,)) / np.float32(size), [5 / 3**0.5, 1e-2 / 3**0.5], rtol=1e-6)
    mean = root_mean_squares(1j * x, (0, 1)) / np.float32(size)
    np.testing.assert_allclose(mean, ((25 + 1e-4) / 6) ** 0.5, rtol=1e-6)
    assert lengths(jnp.zeros((4, 0))).tolist() == [0] * 4


@pytest.mark.parametrize("size", [1e-30, -3.0, 1e30])
def test_quotients_and_their_slopes_stay_in_range(size):
    a, b = jnp.float32(6 * size), jnp.float32(size)
    value, slopes = jax.value_and_grad(quotient, (0, 1))(a, b)
    np.testing.assert_allclose([value, slopes[0] * b, slopes[1] * b], [6, 1, -6], rtol=1e-6)
    assert np.isinf(quotient(jnp.float32(1), jnp.float32(0)))


def test_units_leave_alone_what_is_ordinary():
    """Within 2⁸ of the largest, in steps of 2¹⁶; for parts that are smaller by a third of the digits a unit below."""
    np.testing.assert_array_equal(units_of(jnp.array([1.0, 100.0, 0.02, 0.0])), 1)
    for exponent in (-700, -9, 9, 60, 700):
        units = np.log2(units_of(2.0 ** jnp.array([exponent, exponent - 16, exponent - 17, exponent - 34])))
        assert units[0] % 16 == 0 and abs(units[0] - exponent - 1) <= 8
        np.testing.assert_array_equal(units - units[0], [0, 0, -17, -34])
        assert np.log2(unit_of(jnp.asarray(2.0**exponent))) == units[0]
    np.testing.assert_array_equal(units_of(jnp.array([0.0, jnp.nan])), 1)


def test_sizes_of_rows_are_right_within_a_small_factor():
    matrix = jax.random.normal(jax.random.key(0), (30, 20)) * 10.0 ** jnp.linspace(-6, 6, 30)[:, None]
    found = sizes_of_rows(lambda v: matrix @ v, jnp.ones(20))
    ratio = np.asarray(found / jnp.linalg.norm(matrix, axis=1))
    assert 0.15 < ratio.min() and ratio.max() < 3
