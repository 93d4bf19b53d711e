"""Diagonal forms of finite differences between walls: exponential and IMEX solvers, and the inverse Laplacian."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import ETDRK4, IMEXRK3, Krogstad4

KINDS = "DNR"
STRETCHED = js.TanhStretching(1.0)


class Heat(js.Equation):
    diffusivity: float | jax.Array

    def linear(self, u):
        return self.diffusivity * js.laplacian(u)


def value(t, x):
    return jnp.exp(-0.4 * t) * jnp.cos(2 * x + 0.3) + x


def slope(t, x):
    return -2 * jnp.exp(-0.4 * t) * jnp.sin(2 * x + 0.3) + 1


def sides(kinds, value=value, slope=slope):
    """The conditions that a function satisfies."""
    found = []
    for sign, kind in zip((-1, 1), kinds):
        law = {
            "D": js.Dirichlet(value),
            "N": js.Neumann(lambda t, x, sign=sign: sign * slope(t, x)),
            "R": js.Robin(2.0, 0.5, lambda t, x, sign=sign: 2 * value(t, x) + 0.5 * sign * slope(t, x)),
        }
        found.append(law[kind])
    return (tuple(found),)


def homogeneous(kinds):
    return (tuple({"D": js.Dirichlet(), "N": js.Neumann(), "R": js.Robin(2.0, 0.5)}[kind] for kind in kinds),)


@pytest.mark.parametrize("order", (2, 4, 6))
@pytest.mark.parametrize("grid", [js.Grid(14), js.Grid(14, stretching=STRETCHED)], ids=["equal", "stretched"])
def test_eigenvectors_of_the_laplacian(grid, order):
    """To modes, times the eigenvalues, and back is the Laplacian, wherever there is a diagonal form."""
    found = 0
    for kinds, faces in itertools.product(itertools.product(KINDS, repeat=2), (False, True)):
        space = js.FiniteDifference(grid, homogeneous(kinds), order=order, faces=(faces,))
        modes = space.modes()
        if modes is None:
            assert order > 2  # complex eigenvalues or nearly dependent eigenvectors
            continue
        found += 1
        u = np.random.default_rng(0).standard_normal(space.shape)
        amplitudes = modes.to_modes(jnp.asarray(u))
        eigenvalues = np.asarray(modes.eigenvalues(0, 2))
        assert np.all(eigenvalues <= 0)
        np.testing.assert_allclose(modes.from_modes(amplitudes), u, atol=1e-11)
        expected = js.laplacian(space.field(u)).values
        tolerance = 1e-10 * np.abs(eigenvalues).max()
        np.testing.assert_allclose(modes.from_modes(eigenvalues * amplitudes), expected, atol=tolerance)
    assert found == 18 if order == 2 else found >= 4


def errors(kinds, order, stretching, solver, cells, steps=16):
    """Distances to the solution of the heat equation with walls that vary in time."""
    found = []
    for n in cells:
        space = js.FiniteDifference(js.Grid(n, 0.1, 1.3, stretching), sides(kinds), order=order)
        u = space.field(lambda x: value(0.0, x))
        final = js.rollout(Heat(0.1), u, dt=0.25 / steps, steps=steps, solver=solver)
        found.append(float(jnp.max(jnp.abs(final.values - value(0.25, space.coordinates()[0])))))
    return np.array(found)


@pytest.mark.parametrize("order, kinds, solver", [(2, "DN", IMEXRK3()), (4, "DD", Krogstad4())])
def test_heat_equation_with_walls_that_vary(order, kinds, solver):
    found = errors(kinds, order, None, solver, (10, 20))
    assert np.log2(found[0] / found[1]) > order - 0.4


@pytest.mark.slow
@pytest.mark.parametrize("stretching", [None, js.TanhStretching(0.7)], ids=["equal", "stretched"])
@pytest.mark.parametrize("solver", [ETDRK4(), IMEXRK3()], ids=["ETDRK4", "IMEXRK3"])
@pytest.mark.parametrize("order, kinds", [(2, "DD"), (2, "ND"), (2, "RN"), (4, "DD"), (4, "DN"), (4, "NR"), (6, "DD")])
def test_order_of_the_heat_equation(order, kinds, solver, stretching):
    cells = (12, 24) if order == 6 else (16, 32)
    if js.FiniteDifference(js.Grid(cells[-1], 0.1, 1.3, stretching), sides(kinds), order=order).modes() is None:
        pytest.skip("no diagonal form")
    found = errors(kinds, order, stretching, solver, cells, steps=256)
    if order > 2 and isinstance(solver, IMEXRK3):  # its order in time falls to 2.5 where walls vary
        assert found[-1] < 1e-5
    else:
        assert np.log2(found[0] / found[1]) > order - 0.8


@pytest.mark.parametrize("order", (2, 4))
def test_inverse_laplacian_between_walls(order):
    """The Laplacian of the inverse is the field itself, without its mean where no wall holds a value."""
    grid = js.Grid((8, 9), stretching=(None, STRETCHED) if order == 2 else None)
    held, free = js.Dirichlet(), js.Neumann()
    for boundary in ((held, free), (js.Periodic(), (free, held)), (free, free), (js.Robin(1.0, 0.3), free)):
        space = js.FiniteDifference(grid, boundary, order=order)
        if space.modes() is None:
            continue
        u = space.field(np.random.default_rng(1).standard_normal((8, 9)))
        again = jax.jit(lambda u: js.laplacian(js.inverse_laplacian(u)).values)(u)
        singular = boundary == (free, free)
        lost = np.asarray(u.values - again)
        if singular:  # a constant, the mode that the Laplacian annihilates
            np.testing.assert_allclose(lost, np.mean(lost), atol=1e-10)
        else:
            np.testing.assert_allclose(lost, 0.0, atol=1e-10)


def robin_walls(a):
    return js.FiniteDifference(js.Grid(8), ((js.Robin(a, 0.5, 1.0), js.Dirichlet()),))


def test_traced_numbers_of_walls():
    """As they are in a field that is an argument of a compiled function."""
    found = jax.jit(lambda a: js.SemilinearTerm(Heat(0.1), robin_walls(a)).symbol(jnp.zeros(8)).entries)(2.0)
    expected = js.SemilinearTerm(Heat(0.1), robin_walls(2.0)).symbol(jnp.zeros(8)).entries
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.slow
def test_numbers_of_walls_are_differentiable_through_the_modes():
    @jax.jit
    def final(a):
        u = robin_walls(a).field(lambda x: 0 * x)
        return js.integral(js.rollout(Heat(0.1), u, dt=0.1, steps=4, solver=IMEXRK3()))

    difference = (final(2.0 + 1e-5) - final(2.0 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(final)(2.0), difference, rtol=1e-8)


def test_varying_parts_are_refused():
    class Varying(js.Equation):
        def linear(self, u):
            x = u.space.coordinates()[0]
            return x * js.laplacian(u)

    space = js.FiniteDifference(js.Grid(8), js.Dirichlet())
    with pytest.raises(ValueError, match="constant coefficients"):
        js.rollout(Varying(), space.field(lambda x: x), dt=0.1, steps=1, solver=IMEXRK3())
