"""Finite-difference fields: orders, closures at walls, what derived fields know there, diagonal form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

ORDERS = (2, 4, 6, 8)


def observed(errors) -> float:
    """Order between the last two of a sequence of errors, each at twice the resolution of the one before."""
    return float(np.log2(errors[-2] / errors[-1]))


# -- periodic boxes ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("derivative", (1, 2, 3, 4))
def test_order_on_a_period(order, derivative):
    errors = []
    for n in (16, 32):
        space = js.FiniteDifference(js.Grid(n, 0.0, 2 * np.pi), order=order)
        exact = jnp.sin(space.coordinates()[0] + derivative * np.pi / 2)
        errors.append(jnp.abs(js.partial(space.field(jnp.sin), 0, derivative).values - exact).max())
    assert order - 0.15 < observed(errors) < order + 0.15


def test_two_axes_of_different_length():
    errors = []
    for n in (16, 32):
        space = js.FiniteDifference(js.Grid((n, n + 2), (0.0, 1.0), (2 * np.pi, 3.0)), order=4)
        u = space.field(lambda x, y: jnp.sin(x) * jnp.cos(np.pi * y))
        errors.append(jnp.abs(js.laplacian(u).values + (1 + np.pi**2) * u.values).max())
    assert 3.7 < observed(errors)


def box(real=True, order=4):
    return js.FiniteDifference(js.Grid((16, 15), (0.0, -1.0), (2 * np.pi, 1.0)), order=order, real=real)


def noise(shape, seed=0, dtype=float):
    return jax.random.normal(jax.random.key(seed), shape, dtype)


@pytest.mark.parametrize("real, order", [(True, 2), (True, 6), (False, 4), (False, 8)])
def test_projection_is_exact_and_idempotent(real, order):
    space = box(real, order)
    u = space.field(noise((2, 16, 15), dtype=float if real else complex))
    projected = js.project(u)
    assert jnp.abs(js.div(projected).values).max() < 1e-13
    assert jnp.abs((js.project(projected) - projected).values).max() < 1e-14
    assert jnp.abs(js.div(u).values).max() > 1
    np.testing.assert_allclose(js.mean(projected), js.mean(u), atol=1e-14)


@pytest.mark.parametrize("shape", ((16,), (15,), (8, 10)))
def test_inverse_laplacian_inverts(shape):
    space = js.FiniteDifference(js.Grid(shape), order=6) if min(shape) > 8 else js.FiniteDifference(js.Grid(shape))
    u = space.field(noise((3, *shape)))
    axes = tuple(range(1, 1 + len(shape)))
    fluctuation = u.values - u.values.mean(axes, keepdims=True)
    np.testing.assert_allclose(js.inverse_laplacian(js.laplacian(u)).values, fluctuation, atol=1e-13)
    np.testing.assert_allclose(js.laplacian(js.inverse_laplacian(u)).values, fluctuation, atol=1e-12)


@pytest.mark.parametrize("real", (True, False))
def test_symbols_are_the_operators(real):
    space = box(real)
    modes = space.modes()
    dispersion = 2.0 if real else 2.0 + 0.5j

    def operator(u):
        mixed = js.partial(js.inverse_laplacian(u), 0) - 0.1 * js.partial(u, 1, 3)
        return 0.3 * js.laplacian(u) + dispersion * mixed - u / 4

    symbol = modes.symbol(operator(modes.probe((), ())))
    assert isinstance(symbol, np.ndarray) and symbol.dtype == complex
    state = noise((16, 15), dtype=float if real else complex)
    applied = modes.from_modes(symbol * modes.to_modes(state))
    np.testing.assert_allclose(applied, operator(space.field(state)).values, rtol=1e-12, atol=1e-11)


def test_symbol_of_a_coupled_operator_and_of_projection():
    space = box()
    modes = space.modes()
    state = noise((2, 16, 15))
    for operator in (js.project, lambda u: js.stack(u[1], js.laplacian(u[0]))):
        columns = [modes.symbol(operator(modes.probe((2,), (i,)))) for i in range(2)]
        amplitudes = sum(column * modes.to_modes(state[i]) for i, column in enumerate(columns))
        np.testing.assert_allclose(modes.from_modes(amplitudes), operator(space.field(state)).values, atol=1e-11)


def test_symbols_have_no_dust():
    space = js.FiniteDifference(js.Grid(16, 0.0, 1.0), order=8)
    probe = space.modes().probe((), ())
    first = space.modes().symbol(js.partial(probe, 0))
    second = space.modes().symbol(js.laplacian(probe))
    assert np.all(first.real == 0) and first[0] == 0 and first[-1] == 0 and np.all(first[1:-1].imag > 0)
    assert np.all(second.imag == 0) and second[0] == 0 and np.all(second[1:].real < 0)


def test_symbol_refuses_what_varies():
    space = box()
    probe = space.modes().probe((), ())
    ramp = space.coordinates()[0]
    for operator in (
        lambda u: ramp * u,
        lambda u: u * u,
        lambda u: js.laplacian(u) + 1.0,
        lambda u: u * js.sample(lambda t, x, y: jnp.sin(x), 0.0, u),
        lambda u: js.sample(lambda t, x, y: x, 0.0, u),
    ):
        with pytest.raises(ValueError, match="constant coefficients"):
            space.modes().symbol(operator(probe))


def test_symbol_with_a_traced_parameter_is_differentiable():
    space = box()
    modes = space.modes()
    total = lambda nu: jnp.sum(modes.symbol(nu * js.laplacian(modes.probe((), ()))).real)
    reference = np.sum(modes.symbol(js.laplacian(modes.probe((), ()))).real)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(0.3), reference, rtol=1e-14)


def test_integral_and_single_precision():
    space = js.FiniteDifference(js.Grid((12, 16), 0.0, 2 * np.pi), order=4)
    u = space.field(lambda x, y: 1 + jnp.exp(jnp.sin(x)) * jnp.cos(y) ** 2)
    np.testing.assert_allclose(js.integral(u), 4 * np.pi**2 * (1 + 1.2660658777520084 / 2), rtol=1e-8)
    v = space.field(u.values.astype(jnp.float32))
    for w in (
        js.laplacian(v),
        js.inverse_laplacian(v),
        v * v,
        2.0 * v - 1,
        js.project(js.stack(v, v)),
        js.curl(v),
    ):
        assert w.values.dtype == jnp.float32
    assert jnp.all(js.laplacian(space.field(jnp.full((12, 16), 0.1, jnp.float32))).values == 0)
