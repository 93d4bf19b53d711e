"""Poisson's and Helmholtz's equations solved by eigenvectors, with the conditions of the space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

WAVE = lambda x, y: jnp.sin(1.3 * x + 0.4) * jnp.cos(0.9 * y - 0.2)
SLOPES = (lambda x, y: 1.3 * jnp.cos(1.3 * x + 0.4) * jnp.cos(0.9 * y - 0.2),
          lambda x, y: -0.9 * jnp.sin(1.3 * x + 0.4) * jnp.sin(0.9 * y - 0.2))  # fmt: skip


def condition(kind, axis, end):
    sign = 2 * end - 1
    if kind == "D":
        return js.Dirichlet(lambda t, x, y: WAVE(x, y))
    if kind == "N":
        return js.Neumann(lambda t, x, y: sign * SLOPES[axis](x, y))
    return js.Robin(1.0, 0.5, lambda t, x, y: WAVE(x, y) + 0.5 * sign * SLOPES[axis](x, y))


def plane(kinds, n=12, order=2, faces=None, stretching=None):
    sides = tuple(tuple(condition(k, axis, end) for end, k in enumerate(pair)) for axis, pair in enumerate(kinds))
    return js.FiniteDifference(js.Grid((n, n + 2), stretching=stretching), sides, order=order, faces=faces)


STRETCHED = (js.TanhStretching(0.8), None)
CASES = (
    (("DD", "NN"), {}),
    (("DN", "RD"), {"faces": (True, False)}),
    (("RD", "DN"), {"order": 4, "stretching": STRETCHED}),
    (("NN", "DD"), {"order": 6, "faces": (True, True)}),
)


@pytest.mark.parametrize("kinds, options", CASES)
def test_every_kind_of_side(kinds, options):
    """The discrete equation holds to rounding, whatever the sides, the nodes and the order."""

    @jax.jit
    def residual(space):
        source = space.field(lambda x, y: jnp.exp(x) * jnp.sin(3 * y))
        w = js.inverse_helmholtz(source, 1.5, 0.3)
        return 1.5 * w.values - 0.3 * js.laplacian(w).values - source.values

    np.testing.assert_allclose(residual(plane(kinds, **options)), 0, atol=1e-11)


@pytest.mark.parametrize("order", (2, 4, 6))
def test_poisson_converges_at_the_order_of_the_space(order):
    @jax.jit
    def error(space):
        w = js.inverse_helmholtz(space.field(lambda x, y: -(1.3**2 + 0.9**2) * WAVE(x, y)), 0.0, -1.0)
        return jnp.abs(w.values - WAVE(*space.coordinates())).max()

    errors = [error(plane(("DN", "RD"), n, order)) for n in (12, 24)]
    assert np.log2(errors[0] / errors[1]) > order - 0.4


def test_spectral_solution_and_gradient():
    space = js.Fourier(js.Grid((16, 16), 0.0, 2 * np.pi))
    u = space.field(lambda x, y: jnp.sin(x) * jnp.cos(2 * y))
    np.testing.assert_allclose(js.inverse_helmholtz(u, 0.7, 0.2).values, u.values / 1.7, atol=1e-14)
    f = lambda shift: js.norm(js.inverse_helmholtz(u, shift, 0.2))
    np.testing.assert_allclose(jax.grad(f)(0.7), (f(0.7 + 1e-6) - f(0.7 - 1e-6)) / 2e-6, rtol=1e-8)


def test_problems_without_a_solution():
    space = js.FiniteDifference(js.Grid((8, 8)), js.Neumann())
    balanced = js.inverse_helmholtz(space.field(lambda x, y: x - 0.5), 0.0, -1.0)
    np.testing.assert_allclose(js.laplacian(balanced).values, (balanced.space.coordinates()[0] - 0.5), atol=1e-12)
    np.testing.assert_allclose(js.mean(balanced), 0.0, atol=1e-15)
    with pytest.raises(Exception, match="must balance"):
        js.inverse_helmholtz(space.field(lambda x, y: x), 0.0, -1.0)
    with pytest.raises(TypeError, match="diagonal form"):
        u = js.FiniteDifference(js.Grid(24), js.Neumann(), order=8).field(lambda x: x)
        js.inverse_helmholtz(u, 1.0)
