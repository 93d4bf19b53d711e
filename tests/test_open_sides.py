"""Sources at points, sponges, and conditions that vary along a side or depend on the state there."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

BOX = ((12, 9), (-1.0, 0.0), (1.0, 1e-3))
SPACES = {
    "Fourier": js.Fourier(js.Grid(*BOX)),
    "periodic": js.FiniteDifference(js.Grid(*BOX), order=4),
    "walls": js.FiniteDifference(
        js.Grid(*BOX, (js.TanhStretching(1.0), None)), (js.Dirichlet(2.0), js.Neumann()), order=4
    ),
    "faces": js.FiniteDifference(js.Grid(*BOX), js.Neumann(3.0), faces=(True, True)),
}


@pytest.mark.parametrize("name", SPACES)
def test_sources_are_the_adjoint_of_receivers(name):
    space = SPACES[name]
    u = space.field(jnp.ones(space.coordinates()[0].shape))
    points, strengths = (jnp.array([-0.31, 0.62]), jnp.array([2.3e-4, 8e-4])), jnp.array([1e3, -2e2])
    v = space.homogeneous().field(jax.random.normal(jax.random.key(0), space.coordinates()[0].shape))

    @jax.jit
    def numbers(strengths, points):
        s = js.point_sources(strengths, points, u)
        return js.inner(s, v), js.integral(s), s.values

    product, total, _ = numbers(strengths, points)
    np.testing.assert_allclose(product, strengths @ v(*points), rtol=1e-9)
    np.testing.assert_allclose(total, 800.0, rtol=1e-9)
    # the derivative with respect to the place is that of what is received
    moved = jax.jacobian(lambda x: numbers(strengths, (x, points[1]))[0])(points[0])
    received = jax.jacobian(lambda x: strengths @ v(x, points[1]))(points[0])
    np.testing.assert_allclose(moved, received, rtol=1e-8, atol=1e-8)


def test_where_sources_cannot_be():
    walls = SPACES["walls"].field(jnp.ones((12, 9)))
    with pytest.raises(ValueError, match="beyond a wall"):
        js.point_sources(1.0, (1.2, 0.0), walls)
    velocity = js.Staggered(js.Grid((8, 8))).field(lambda x, y: (x, y))
    for u in (velocity, js.Function(lambda t, x: x, 1, ())):
        with pytest.raises(TypeError, match="point_sources"):
            js.point_sources(1.0, (0.5, 0.5), u)
    assert js.point_sources(1.0, (0.5, 0.5), velocity[0]).shape == ()


class Sound(js.Equation):
    sponge: js.equations.AbsorbingLayer
    speed: float | jax.Array = 1.0

    def nonlinear(self, t, s):
        p, v = s
        damping = js.sample(self.sponge, t, p)
        return -self.speed * js.partial(v, 0) - damping * p, -self.speed * js.partial(p, 0) - damping * v


@pytest.mark.parametrize(("scale", "walls"), [pytest.param(1.0, False, marks=pytest.mark.slow), (1e-3, True)])
def test_waves_leave_through_a_sponge(scale, walls):
    grid = js.Grid(128, -scale, 3 * scale)
    space = js.FiniteDifference(grid, js.Neumann(), order=4) if walls else js.Fourier(grid)
    bump = lambda x: jnp.exp(-(((x / scale - 1) / 0.15) ** 2))
    layer = js.equations.AbsorbingLayer(width=0.6 * scale, rate=4 * 4 / (0.6 * scale))
    start = space.field(lambda x: [bump(x), 0 * x])
    end = js.solve(Sound(layer), start, t1=4 * scale, rtol=1e-5, solver=dfx.Tsit5()).ys.values[-1]
    assert jnp.abs(end).max() < 3e-3  # half of the pulse came back at this time without the layer
    x = jnp.array([-scale, -0.7 * scale, 0.0, 2.7 * scale])
    rates = layer.on(grid)(0.0, x) / layer.rate
    np.testing.assert_allclose(rates, [1.0, 0.125, 0.0, 0.125], atol=1e-6)
    with pytest.raises(ValueError, match="js.sample"):
        layer(0.0, x)


@pytest.mark.parametrize("order", [2, 4])
def test_a_condition_whose_kind_varies_along_a_side(order):
    """$\\nabla^2 u = f$ with the value on one part of a side and a mixture on the other."""
    u = lambda x, y: jnp.sin(x + 0.3) * jnp.exp(y)
    errors = []
    for n in (8, 16):
        grid = js.Grid((n, n))
        x = np.asarray(grid.centers(0))
        a, b = np.where(x < 0.5, 1.0, 2.0 * x), np.where(x < 0.5, 0.0, 1.0 + x)
        lower, upper = (js.Robin(a, b, (a + sign * b) * u(x, end)) for end, sign in ((0.0, -1), (1.0, 1)))
        space = js.FiniteDifference(grid, (js.Dirichlet(lambda t, x, y: u(x, y)), (lower, upper)), order=order)
        assert space.modes() is None

        @jax.jit
        def system(eye, space=space, n=n):
            operator = lambda v: js.laplacian(space.bind(v)).values
            rest, push = jax.linearize(operator, jnp.zeros((n, n)))
            exact = u(*space.coordinates())
            return jax.vmap(push)(eye), 0 * exact - rest, exact

        matrix, right, exact = map(np.asarray, system(jnp.eye(n * n).reshape(n * n, n, n)))
        assert np.linalg.eigvals(matrix.reshape(n * n, n * n)).real.max() < 0
        found = np.linalg.solve(matrix.reshape(n * n, n * n).T, right.ravel())
        errors.append(np.abs(found - exact.ravel()).max())
    assert np.log2(errors[0] / errors[1]) > order - 0.4 and errors[1] < 2e-3


def test_uniform_arrays_are_numbers():
    values = jax.random.normal(jax.random.key(0), (2, 8, 9))
    wraps = (lambda c, n: c), (lambda c, n: jnp.full(n, c))
    spaces = [
        js.FiniteDifference(
            js.Grid((8, 9)), (js.Robin(w(2.0, 9), w(0.3, 9), 1.0), js.Robin(w(1.0, 8), w(0.5, 8))), order=4
        )
        for w in wraps
    ]
    operators = js.laplacian, lambda u: js.laplacian(3 * u - 1), lambda u: js.partial(u * u, 0), js.grad
    numbers, arrays = (
        jax.jit(lambda v, space=space: [f(space.bind(v)).values for f in operators])(values) for space in spaces
    )
    for wanted, found in zip(numbers, arrays):
        np.testing.assert_allclose(found, wanted, atol=1e-9)
    with pytest.raises(ValueError, match="do not broadcast"):
        js.laplacian(js.FiniteDifference(js.Grid((8, 9)), js.Robin(jnp.ones(5), 1.0)).bind(values))
    with pytest.raises(ValueError, match="no condition"):
        js.Robin(jnp.array([1.0, 0.0]), jnp.array([1.0, 0.0]))


class Heat(js.Equation):
    def nonlinear(self, t, u):
        return js.laplacian(u)


@pytest.mark.parametrize(("order", "faces"), [pytest.param(2, False, marks=pytest.mark.slow), (4, True)])
def test_radiation_from_a_wall(order, faces):
    """A bar that is held at 1 and radiates, $u_n = -2 u^4$: the steady slope obeys $s = 2 (1 - s)^4$."""
    walls = js.Dirichlet(1.0), js.WallFlux(lambda t, u, x: -2.0 * x * u**4)
    space = js.FiniteDifference(js.Grid(12), (walls,), order=order, faces=(faces,))
    steady = js.solve(Heat(), space.field(jnp.ones(space.shape)), t1=6.0, rtol=1e-8, solver=dfx.Kvaerno5()).ys[-1]
    slope = 0.5
    for _ in range(50):
        slope -= (slope - 2 * (1 - slope) ** 4) / (1 + 8 * (1 - slope) ** 3)
    np.testing.assert_allclose(steady.values, 1 - slope * space.coordinates()[0], atol=1e-6)
    moved = js.FiniteDifference(js.Grid(12), ((js.Dirichlet(1.0), js.Neumann(-slope)),), order=order, faces=(faces,))
    np.testing.assert_allclose(js.laplacian(steady).values, js.laplacian(moved.field(steady.values)).values, atol=1e-4)

    class Linear(js.Equation):
        def linear(self, u):
            return js.laplacian(u)

    with pytest.raises(ValueError, match="no diagonal form"):
        js.rollout(Linear(), space.field(jnp.ones(space.shape)), dt=1e-3, steps=1)
