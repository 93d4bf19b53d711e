"""The phi functions against high-precision references, on the host and traced, with their derivatives."""

import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from jaxsim.integrate.phi import array_namespace, matrix_phis, phis

ORDER = 6
RADII = np.concatenate([np.logspace(-12, 6, 80), np.arange(1.0, 7.0), np.arange(1.0, 7.0) * (1 - 1e-12)])
ANGLES = np.random.default_rng(0).uniform(0.5 * np.pi, 1.5 * np.pi, RADII.size)
ARGUMENTS = {
    "zero": np.zeros(1),
    "negative": -RADII,
    "positive": RADII[RADII <= 20],
    "imaginary": 1j * RADII[RADII <= 1e4],
    "left": (RADII * np.exp(1j * ANGLES))[RADII <= 1e4],
}


def series(order, z, derivative=0):
    """Sums (d/dz)^n phi_k(z) = sum_j (j+n)!/j! z^j / (j+n+k)! term by term, in the working precision."""
    values = []
    for k in range(order + 1):
        term = mpmath.mpf(math.factorial(derivative)) / math.factorial(derivative + k)
        total, j = term, 0
        while abs(term) > mpmath.mpf(10) ** -80 and j < 300:
            j += 1
            term = term * z * (j + derivative) / (j * (j + derivative + k))
            total += term
        values.append(total)
    return values


def exact_phis(order, z, derivative=0):
    """Rounds phi_0(z), ..., phi_order(z), or a derivative of them, from a computation with 100 digits."""
    with mpmath.workdps(100):
        z = mpmath.mpmathify(z)
        if abs(z) < 1:
            values = series(order, z, derivative)
        else:
            values = [mpmath.exp(z)]
            for k in range(order + derivative):
                values.append((values[-1] - mpmath.mpf(1) / math.factorial(k)) / z)
            for _ in range(derivative):
                values = [values[k] - k * values[k + 1] for k in range(len(values) - 1)]
        return np.array([complex(value) for value in values])


def relative_error(values, arguments, derivative=0):
    """Gives the largest relative error of a list of arrays; below 1e-300 nothing is compared."""
    exact = np.stack([exact_phis(len(values) - 1, complex(z), derivative) for z in arguments], axis=1)
    # In float32, exp(-90) is a subnormal number and may be flushed to zero.
    floor = 1e-30 if np.asarray(values[0]).dtype in (np.float32, np.complex64) else 1e-290
    size = np.abs(exact)
    return np.max(np.where(size > floor, np.abs(np.stack(values) - exact) / np.maximum(size, floor), 0))


def nth_derivative(function, n):
    for _ in range(n):
        function = lambda z, f=function: jax.jvp(f, (z,), (jnp.ones_like(z),))[1]
    return function


def traced(z):
    return [np.asarray(value) for value in jax.jit(lambda z: phis(ORDER, z))(jnp.asarray(z))]


@pytest.mark.parametrize("region", ARGUMENTS)
def test_scalars_match_the_exact_values(region):
    z = ARGUMENTS[region]
    host = phis(ORDER, z)
    assert all(isinstance(value, np.ndarray) and value.dtype == z.dtype for value in host)
    assert relative_error(host, z) < 5e-15
    assert relative_error(traced(z), z) < 1e-14
    single = z.astype(np.complex64 if np.iscomplexobj(z) else np.float32)
    values = traced(single)
    assert all(value.dtype == single.dtype for value in values)
    assert relative_error(values, single) < 1e-6


def test_orders_agree_and_high_orders_stay_accurate():
    z = np.array([-300.0, -25.0, -12.0, -11.9, -0.3, 0.0, 2.0, 15.0])
    assert relative_error(phis(12, z), z) < 5e-15
    single = [np.asarray(value) for value in phis(12, jnp.asarray(z, jnp.float32))]
    assert relative_error(single, np.float32(z)) < 2e-6
    for order in range(7):
        values = phis(order, z)
        assert len(values) == order + 1
        assert all(np.allclose(a, b, rtol=1e-14, atol=0) for a, b in zip(values, phis(12, z), strict=False))


def test_float32_input_is_computed_in_double_precision_on_the_host():
    z = np.float32([-3.0, 0.1, -1e-3])
    values = phis(4, z)
    assert all(value.dtype == np.float64 for value in values)
    assert relative_error(values, z) < 5e-15
    assert relative_error([value.astype(np.float32) for value in values], z) <= 2.0**-24 * (1 + 1e-6)


@pytest.mark.parametrize("directions", [[-1.0, 1.0], [1j, np.exp(2.5j)]], ids=["real", "complex"])
@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_no_jump_where_the_formulas_switch(directions, derivative):
    switches = np.outer(directions, np.arange(1.0, 5.0))
    below, above = (jnp.asarray(switches * (1 + side * 1e-12)) for side in (-1, 1))
    function = nth_derivative(lambda z: phis(4, z), derivative)
    function, slope = jax.jit(function), jax.jit(nth_derivative(function, 1))
    for low, high, rate in zip(function(below), function(above), slope(below)):
        # What is left beside the change over the step itself is rounding, a digit more in every derivative.
        jump = high - low - rate * (above - below)
        assert np.max(np.abs(jump) / np.abs(low)) < 5e-15 * 10**derivative


def test_derivative_identities():
    # phi_k' = phi_k - k phi_{k+1} = (phi_{k-1} - k phi_k) / z, against the differentiated series.
    with mpmath.workdps(60):
        for z in (mpmath.mpf("0.7"), mpmath.mpf(-9), mpmath.mpc(2, 1.5)):
            phi, slope = series(5, z), series(4, z, derivative=1)
            for k in range(1, 5):
                assert abs(slope[k] - (phi[k] - k * phi[k + 1])) < 1e-50
                assert abs(slope[k] - (phi[k - 1] - k * phi[k]) / z) < 1e-50


@pytest.mark.parametrize(("derivative", "tolerance"), [(1, 3e-14), (2, 3e-13), (3, 3e-12)])
def test_derivatives_match_the_exact_values(derivative, tolerance):
    real = np.array([0.0, -1e-9, 1e-3, -0.5, -1.0, 1.0, -2.0, 3.0, -4.0, 6.0, 15.0, -30.0, -1e3, -1e5])
    for z in (real, 1j * real[:-2], np.array([-1 + 1j, -3 + 5j, 1e-8 - 1e-8j, -200 + 900j])):
        values = jax.jit(nth_derivative(lambda z: phis(3, z), derivative))(jnp.asarray(z))
        assert relative_error([np.asarray(value) for value in values], z, derivative) < tolerance


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_reverse_mode_is_finite_and_agrees_with_forward_mode(dtype):
    z = jnp.asarray([0.0, -1e-20, 1.0, -1.0, -4.0, 4.0, -80.0, -1e5, -1e30], dtype)
    for n in range(3):
        function = nth_derivative(lambda z: jnp.stack(phis(4, z)), n)
        forward = jnp.sum(nth_derivative(function, 1)(z), axis=0)
        reverse = jax.jit(jax.grad(lambda z, f=function: jnp.sum(f(z))))(z)
        assert jnp.all(jnp.isfinite(reverse))
        np.testing.assert_allclose(reverse, forward, rtol=1e-6 if dtype == jnp.float64 else 1e-3)
    third = jax.grad(jax.grad(jax.grad(lambda z: phis(3, z)[3])))(dtype(0))
    assert third == pytest.approx(6 / math.factorial(6), rel=1e-12 if dtype == jnp.float64 else 1e-5)


def test_gradient_of_a_frequency_through_complex_arguments():
    def real_part(frequency):
        return jnp.real(phis(2, -0.1 + 1j * frequency)[2])

    for frequency in (0.0, 1.0, 2.0, 300.0):
        slope = exact_phis(2, -0.1 + 1j * frequency, derivative=1)[2]
        np.testing.assert_allclose(jax.grad(real_part)(frequency), (1j * slope).real, rtol=1e-12)


def test_reverse_mode_keeps_one_array_per_function():
    residuals = jax.vjp(lambda z: phis(4, z), jnp.linspace(-5.0, 5.0, 1000))[1]
    assert sum(leaf.size == 1000 for leaf in jax.tree.leaves(residuals)) <= 5


def test_transformations_shapes_and_types():
    z = jnp.linspace(-9.0, 3.0, 12).reshape(3, 4)
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        direct = phis(3, z)
        mapped = jax.jit(jax.vmap(jax.vmap(lambda z: phis(3, z))))(z)
        jax.jit(jax.grad(lambda z: phis(3, z)[3].sum()))(z.astype(jnp.float32))
    for a, b in zip(direct, mapped):
        assert a.shape == (3, 4)
        np.testing.assert_allclose(a, b, rtol=1e-14)
    assert [value.shape for value in phis(2, 0)] == [()] * 3
    assert [float(value) for value in phis(3, 0)] == [1 / math.factorial(k) for k in range(4)]
    assert phis(1, 1j)[1].dtype == np.complex128
    assert phis(1, jnp.asarray(2))[1].dtype == jnp.float64
    assert phis(1, jnp.asarray(2, jnp.bfloat16))[1].dtype == jnp.bfloat16
    assert all(np.all(value == 0) for value in phis(3, np.array([-np.inf])))
    assert all(np.all(value == 0) for value in phis(3, jnp.asarray([-jnp.inf])))
    assert array_namespace(1.0, np.zeros(2)) is np and array_namespace(1.0, jnp.zeros(2)) is jnp


def test_without_double_precision_the_host_still_has_it():
    with jax.enable_x64(False):
        z = np.array([-2.5, 1e-4])
        assert relative_error(phis(3, z), z) < 5e-15
        values = phis(3, jnp.asarray(z))
        assert values[3].dtype == jnp.float32
        blocks = matrix_phis(2, jnp.asarray([[0.0, 1.0], [-4.0, 0.0]]))
        assert blocks[0].dtype == jnp.float32
        np.testing.assert_allclose(blocks[0][0, 0], math.cos(2.0), rtol=2e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 0"):
        phis(-1, 0.0)
    with pytest.raises(TypeError, match="integer"):
        phis(1.5, 0.0)
    with pytest.raises(TypeError, match="real or complex"):
        phis(1, "a")
    with pytest.raises(TypeError, match="real or complex"):
        phis(1, jax.random.key(0))
    for shape in ((3,), (2, 3), (0, 0)):
        with pytest.raises(ValueError, match="square"):
            matrix_phis(1, np.zeros(shape))
        with pytest.raises(ValueError, match="square"):
            matrix_phis(1, jnp.zeros(shape))
    with pytest.raises(ValueError, match="infinite or NaN"):
        matrix_phis(1, np.array([[np.nan]]))
    with pytest.raises(ValueError, match="overflows"):
        matrix_phis(1, np.array([[1e3, 1.0], [0.0, 2.0]]))
    # Nothing can be raised under tracing, so a norm beyond the limit is marked, and only that matrix.
    (value,) = matrix_phis(0, jnp.asarray([[[-1e10]], [[-1.0]]]))
    assert jnp.isnan(value[0, 0, 0]) and value[1, 0, 0] == pytest.approx(math.exp(-1))


def rotation(w):
    return np.array([[0.0, 1.0], [-w * w, 0.0]])


RANDOM = np.random.default_rng(1)
ORTHOGONAL = np.linalg.qr(RANDOM.standard_normal((3, 3)))[0]
MATRICES = {
    "zero": np.zeros((2, 2)),
    "nilpotent": np.array([[0.0, 1.0], [0.0, 0.0]]),
    "tiny": 1e-9 * RANDOM.standard_normal((3, 3)),
    "slow rotation": rotation(1e-3),
    "rotation": rotation(30.0),
    "fast rotation": rotation(1e3),
    "damped rotation": np.array([[0.0, 1.0], [-1e6, -20.0]]),
    "Schroedinger": 500 * np.array([[0, 1j], [1j, 0]]),
    "stiff": np.diag([-1e4, -1.0, -0.01]) + RANDOM.standard_normal((3, 3)),
    "very stiff": np.diag([-1e6, -7.0]),
    "stiff and oscillating": np.array([[-5e3 + 300j, 1.0], [2.0, -4 + 1e3j]]),
    "rotated stiff": ORTHOGONAL @ np.diag([-1e4, -1.0, 0.0]) @ ORTHOGONAL.T,
    "triangular": np.array([[-1.0, 1e6], [0.0, -2.0]]),
    "dense": RANDOM.standard_normal((3, 3)),
    "graded": np.diag([1e-4, 1.0, 1e3]) @ RANDOM.standard_normal((3, 3)) @ np.diag([1e4, 1.0, 1e-3]),
}


@jax.jit
def traced_matrices(a):
    return matrix_phis(3, a)


def exact_matrix_phis(order, a):
    """Reads the phi functions off the exponential of [[A, I, 0], [0, 0, I], [0, 0, 0]] and the like."""
    m = a.shape[-1]
    augmented = np.zeros(((order + 1) * m, (order + 1) * m), a.dtype)
    augmented[:m, :m] = a
    augmented[np.arange(order * m), np.arange(order * m) + m] = 1
    with mpmath.workdps(80):
        exponential = mpmath.expm(mpmath.matrix(augmented.tolist()), method="taylor")
        entries = [[complex(exponential[i, j]) for j in range((order + 1) * m)] for i in range(m)]
    return np.split(np.array(entries), order + 1, axis=1)


def matrix_error(values, exact):
    """Gives the largest error relative to the largest entry, over the functions."""
    return max(np.max(np.abs(v - e)) / max(np.max(np.abs(e)), 1e-290) for v, e in zip(values, exact))


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_match_the_exact_values(name):
    a = MATRICES[name]
    exact = exact_matrix_phis(3, a)
    host = matrix_phis(3, a)
    assert all(isinstance(value, np.ndarray) and value.dtype == a.dtype for value in host)
    # Rotation angles and rotated stiff directions are known to no better than eps times the norm.
    assert matrix_error(host, exact) < 2e-12
    assert matrix_error(traced_matrices(jnp.asarray(a)), exact) < 2e-12
    single = a.astype(np.complex64 if np.iscomplexobj(a) else np.float32)
    values = traced_matrices(jnp.asarray(single))
    assert all(value.dtype == single.dtype for value in values)
    assert matrix_error(values, exact_matrix_phis(3, single.astype(a.dtype))) < 5e-4


@pytest.mark.parametrize("w", [1e-3, 1.0, 30.0, 1e3])
def test_rotations_entry_by_entry(w):
    weight = np.array([[1.0, 1 / w], [w, 1.0]])
    for value, exact in zip(matrix_phis(4, rotation(w)), exact_matrix_phis(4, rotation(w)), strict=True):
        assert np.max(np.abs(value - exact) / weight) < 2e-16 * (8 + 2 * w)


def test_nilpotent_is_exact():
    n = np.array([[0.0, 1.0], [0.0, 0.0]])
    for k, value in enumerate(matrix_phis(5, n)):
        np.testing.assert_allclose(
            value, np.eye(2) / math.factorial(k) + n / math.factorial(k + 1), rtol=1e-15, atol=0
        )


def test_blocks_of_size_one_are_scalars():
    z = np.concatenate([-np.logspace(-8, 6, 40), [0.0, 3.0, 10.0]])
    for matrix, scalar in zip(matrix_phis(4, z[:, None, None]), phis(4, z), strict=True):
        np.testing.assert_allclose(matrix[:, 0, 0], scalar, rtol=1e-12, atol=1e-300)


def test_every_entry_of_a_batch_has_its_own_scaling():
    scales = np.logspace(-6, 4, 11)
    batch = scales[:, None, None] * np.array([[-1.0, 0.5], [0.2, -0.8]])
    host = matrix_phis(3, batch.reshape(11, 1, 2, 2))
    for k, value in enumerate(host):
        assert value.shape == (11, 1, 2, 2)
        for i in range(11):
            np.testing.assert_array_equal(value[i, 0], matrix_phis(3, batch[i])[k])
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        whole = traced_matrices(jnp.asarray(batch))
        mapped = jax.vmap(traced_matrices)(jnp.asarray(batch))
        jax.jit(jax.grad(lambda a: matrix_phis(3, a)[3].sum()))(jnp.asarray(batch, jnp.complex64).real)
    for k in range(4):
        scale = np.max(np.abs(host[k]), axis=(1, 2, 3))[:, None, None] + 1e-300
        np.testing.assert_allclose(whole[k] / scale, host[k][:, 0] / scale, rtol=0, atol=1e-12)
        np.testing.assert_allclose(mapped[k] / scale, whole[k] / scale, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["zero", "nilpotent", "rotation", "fast rotation", "Schroedinger", "stiff", "triangular", "dense"]
)
def test_matrix_derivatives(name):
    # phi_k([[A, B], [0, A]]) holds the derivative at A in direction B in its corner.
    a, m = MATRICES[name], MATRICES[name].shape[0]
    random = np.random.default_rng(2)
    b = (random.standard_normal((m, m)) * (1 + np.abs(a))).astype(a.dtype)
    exact = [value[:m, m:] for value in matrix_phis(3, np.block([[a, b], [np.zeros_like(a), a]]))]
    forward = jax.jvp(traced_matrices, (jnp.asarray(a),), (jnp.asarray(b),))[1]
    assert matrix_error(forward, exact) < 1e-12

    cotangents = [jnp.asarray(random.standard_normal((m, m)).astype(a.dtype)) for _ in exact]
    (reverse,) = jax.vjp(traced_matrices, jnp.asarray(a))[1](cotangents)
    inner = sum(np.sum(np.asarray(c) * e) for c, e in zip(cotangents, exact))
    size = sum(np.sum(np.abs(np.asarray(c) * e)) for c, e in zip(cotangents, exact))
    assert abs(np.sum(reverse * b) - inner) < 1e-12 * size


def test_matrix_second_derivatives_match_differences():
    a = jnp.asarray(MATRICES["stiff"])
    b = jnp.asarray(RANDOM.standard_normal((3, 3)))

    @jax.jit
    def slope(t):
        return jax.jvp(lambda t: jnp.stack(matrix_phis(3, a + t * b)), (t,), (1.0,))[1]

    second = jax.jit(jax.jacfwd(slope))(0.0)
    difference = (slope(1e-3) - slope(-1e-3)) / 2e-3
    assert np.max(np.abs(second - difference)) < 1e-5 * np.max(np.abs(second))
    zero = jax.jit(jax.hessian(lambda t: matrix_phis(2, t * jnp.eye(2))[2].sum()))(0.0)
    assert zero == pytest.approx(2 * 2 / math.factorial(4))
