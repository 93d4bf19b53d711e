"""Lyapunov spectra of chaotic systems and of Kuramoto-Sivashinsky against published ones, and exact facts of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim import equations as eq
from jaxsim.integrate import kaplan_yorke_dimension, lyapunov_spectrum

RUNS = 16


def ensemble(system, start=None, **options):
    """The mean spectrum of runs that begin next to each other, and its standard error."""
    start = system.initial() if start is None else start
    noise = 1e-3 * jax.random.normal(jax.random.key(1), (RUNS, *start.values.shape))
    noise = noise - jnp.mean(noise, -1, keepdims=True) if start.space.dimension else noise

    def one(values):
        result = lyapunov_spectrum(system, start.space.field(values), throw=False, **options)
        return result.exponents, result.succeeded

    spectra, fine = jax.jit(jax.vmap(one))(start.values + noise)
    assert np.all(fine)
    return np.mean(spectra, 0), np.std(spectra, 0, ddof=1) / np.sqrt(RUNS)


def near(measured, error, published, resolution):
    """Within three standard errors of our own, and one unit of the published resolution."""
    assert np.all(np.abs(measured - published) < 3 * error + resolution), (measured, error, published)


@pytest.mark.slow
def test_lorenz():
    """0.9056, 0, -14.5723; dimension 2.06215 (Sprott, Common Chaotic Systems, 2004)."""
    exponents, error = ensemble(eq.Lorenz63(), dt=0.01, steps=20000, transient=2000)
    assert error[0] < 0.01
    near(exponents, error, np.array([0.9056, 0, -14.5723]), 1e-3)
    np.testing.assert_allclose(np.sum(exponents), -41 / 3, rtol=1e-6)
    np.testing.assert_allclose(kaplan_yorke_dimension(exponents), 2.06215, atol=2e-3)


@pytest.mark.slow
def test_rossler():
    """0.0714, 0, -5.3943; dimension 2.0132 (Sprott, Common Chaotic Systems, 2004)."""
    exponents, error = ensemble(eq.Rossler(), dt=0.02, steps=40000, transient=4000)
    assert error[0] < 0.005
    near(exponents, error, np.array([0.0714, 0, -5.3943]), 1e-3)
    np.testing.assert_allclose(kaplan_yorke_dimension(exponents), 2.0132, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "dt", "published", "total"),
    [(eq.Chen(), 0.003, 2.0272, -10.0), (eq.Halvorsen(), 0.005, 0.7899, -3.81), (eq.Thomas(), 0.1, 0.0349, -0.54)],
    ids=["Chen", "Halvorsen", "Thomas"],
)
def test_systems_of_constant_divergence(system, dt, published, total):
    """Largest exponents after Sprott, Chaos and Time-Series Analysis (2003)."""
    exponents, error = ensemble(system, dt=dt, steps=40000, transient=4000)
    assert error[0] < 0.05 * published
    near(exponents[:2], error[:2], np.array([published, 0]), 0.002)
    np.testing.assert_allclose(np.sum(exponents), total, rtol=1e-4)


@pytest.mark.slow
def test_two_directions_grow_in_hyperchaos():
    exponents, error = ensemble(eq.HyperchaoticRossler(), dt=0.01, steps=40000, transient=4000)
    assert exponents[1] > 5 * error[1] and abs(exponents[2]) < 0.1 * exponents[1] and exponents[3] < -10
    assert 3 < kaplan_yorke_dimension(exponents) < 3.1


@pytest.mark.slow
def test_spectra_of_conservative_motion_are_symmetric():
    for system, steps in ((eq.HenonHeiles(), 100000), (eq.NoseHoover(), 200000)):
        exponents, error = ensemble(system, dt=0.05, steps=steps, transient=1000, every=20)
        np.testing.assert_allclose(exponents, -exponents[::-1], atol=2e-3)
        assert exponents[0] > 5 * error[0] and np.all(np.abs(exponents[1:-1]) < 0.1 * exponents[0])
    near(exponents, error, np.array([0.014, 0, -0.014]), 1e-3)  # Sprott, Phys. Rev. E 50, R647 (1994), case A


def wave(length):
    space = js.Fourier(js.Grid(2 * round(0.75 * length), 0.0, length))
    return space.field(lambda x, k=2 * np.pi / length: jnp.cos(k * x) * (1 + jnp.sin(k * x)))


@pytest.mark.slow
def test_kuramoto_sivashinsky_on_a_short_box():
    """L = 22: a largest exponent of 0.043 to 0.048 in the literature, and one zero for each of three symmetries.

    These are translations in time and space and, with the mean, Galilean boosts.
    """
    exponents, error = ensemble(
        eq.KuramotoSivashinsky(), wave(22.0), dt=0.1, steps=20000, transient=5000, alignment=5000, count=8
    )
    assert error[0] < 0.003 and 0.043 - 3 * error[0] < exponents[0] < 0.048 + 3 * error[0]
    assert np.all(np.abs(exponents[1:4]) < 0.006) and exponents[4] < -0.001
    without, error_without = ensemble(
        eq.KuramotoSivashinsky(), wave(22.0), dt=0.1, steps=20000, transient=5000, alignment=5000, count=8,
        subspace=lambda v: v - js.mean(v),
    )  # fmt: skip
    near(np.delete(exponents, 2)[:5], np.hypot(error, error_without)[:5], without[:5], 1e-3)


@pytest.mark.slow
def test_kuramoto_sivashinsky_is_extensive():
    """The dimension grows by 0.226 per unit of length (Edson, Bunder, Mattner and Roberts, ANZIAM J. 61, 2019)."""
    dimensions = []
    for length in (36.0, 60.0):
        exponents, _ = ensemble(
            eq.KuramotoSivashinsky(), wave(length), dt=0.1, steps=10000, transient=3000,
            count=round(0.226 * length) + 5, subspace=lambda v: v - js.mean(v),
        )  # fmt: skip
        dimensions.append(float(kaplan_yorke_dimension(exponents)))
    np.testing.assert_allclose((dimensions[1] - dimensions[0]) / 24, 0.226, rtol=0.05)


@pytest.mark.slow
def test_single_precision_gives_the_same_spectrum():
    start = js.Point().field(eq.Lorenz63().initial().values.astype(jnp.float32))
    result = lyapunov_spectrum(eq.Lorenz63(), start, dt=0.01, steps=40000, transient=1000)
    assert result.exponents.dtype == jnp.float32
    near(np.asarray(result.exponents), np.asarray(result.standard_error), np.array([0.9056, 0, -14.5723]), 1e-2)
