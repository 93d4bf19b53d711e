"""Conservative diffusion: values, order, what it conserves, and implicit steps of it."""

import itertools

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import jaxsim as js
from jaxsim.linear import Side, StencilLU, VariableDiffusion, harmonic_mean

STRETCHED = js.TanhStretching(0.8)


@pytest.mark.parametrize("shape", [(9,), (3, 4, 5)])
@pytest.mark.parametrize("side", [Side.NEUMANN, Side.DIRICHLET, Side.PERIODIC])
def test_values_are_those_of_the_operator_of_the_linear_room(shape, side):
    wall = {Side.NEUMANN: js.Neumann(), Side.DIRICHLET: js.Dirichlet(), Side.PERIODIC: js.Periodic()}[side]
    keys = jax.random.split(jax.random.key(0))
    D, u = 1e3 ** jax.random.normal(keys[0], shape), jax.random.normal(keys[1], (2, *shape))
    space = js.FiniteDifference(js.Grid(shape, 0.0, 1e-3), wall, faces=(False,) * len(shape))
    operator = VariableDiffusion(D, [1e-3 / n for n in shape], side, mean=harmonic_mean)
    wanted = -jax.vmap(operator.mv)(u)
    for given in (D, space.field(D)):
        found = jax.jit(lambda v, given=given: js.diffuse(given, space.bind(v), mean=harmonic_mean).values)(u)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9 * jnp.abs(wanted).max())


def value(x, y):
    return jnp.sin(x) * jnp.cos(y)


def slope(axis, x, y):
    return jnp.cos(x) * jnp.cos(y) if axis == 0 else -jnp.sin(x) * jnp.sin(y)


def coefficient(tensor, x, y):
    if tensor:
        return jnp.stack([jnp.stack([2 + x, y / 2]), jnp.stack([x / 3, 1.5 + y / 5])])
    return 2 + x * y


def rate(tensor, x, y):
    """$\\nabla\\cdot(D\\nabla u)$, by hand."""
    u, mixed, along_x, along_y = value(x, y), -jnp.cos(x) * jnp.sin(y), slope(0, x, y), slope(1, x, y)
    if tensor:
        return along_x - (2 + x) * u + (y / 2 + x / 3) * mixed + along_y / 5 - (1.5 + y / 5) * u
    return -2 * (2 + x * y) * u + y * along_x + x * along_y


def wall(kind, axis, end):
    normal = lambda t, x, y: (2 * end - 1) * slope(axis, x, y)
    if kind == "R":
        return js.Robin(2.0, 0.5, lambda t, x, y: 2 * value(x, y) + 0.5 * normal(t, x, y))
    return js.Dirichlet(lambda t, x, y: value(x, y)) if kind == "D" else js.Neumann(normal)


@pytest.mark.parametrize(("kind", "faces", "tensor"), [
    ("D", False, False), ("N", True, True), ("R", False, True),
    *(pytest.param(*c, marks=pytest.mark.slow) for c in itertools.product("DNR", (False, True), (False, True))),
])  # fmt: skip
def test_steady_problems_have_second_order(kind, faces, tensor):
    """$\\nabla\\cdot(D\\nabla u) - u = f$: the solution has second order, the operator next to walls less."""
    errors = []
    for n in (8, 16):
        grid = js.Grid((n, n + 1), 0.1, (1.3, 1.0), stretching=(STRETCHED, None))
        sides = tuple((wall(kind, a, 0), wall(kind, a, 1)) for a in (0, 1))
        space = js.FiniteDifference(grid, sides, faces=(faces, faces))
        shape, size = space.shape, int(np.prod(space.shape))

        @jax.jit
        def system(values, space=space, shape=shape):
            x = space.coordinates()

            def operator(values):
                u = space.bind(values)
                return js.diffuse(js.sample(lambda t, *x: coefficient(tensor, *x), 0.0, u), u).values - values

            rest, push = jax.linearize(operator, jnp.zeros(shape))
            return jax.vmap(push)(values), rate(tensor, *x) - value(*x) - rest, value(*x)

        matrix, right, exact = map(np.asarray, system(jnp.eye(size).reshape(size, *shape)))
        found = np.linalg.solve(matrix.reshape(size, size).T, right.ravel())
        errors.append(np.abs(found - exact.ravel()).max())
    assert np.log2(errors[0] / errors[1]) > 1.7 and errors[1] < 6e-3


@pytest.mark.parametrize(("kind", "stretching", "faces"), [
    ("line", None, False), ("line", STRETCHED, True), ("plane", STRETCHED, False), ("scalar", None, False),
])  # fmt: skip
def test_nothing_is_lost_without_flux(kind, stretching, faces):
    shape = (20,) if kind == "line" else (9, 8)
    spread = stretching if kind == "line" else (stretching, None)
    grid = js.Grid(shape, 0.0, 1e-3, stretching=spread)
    space = js.FiniteDifference(grid, js.Neumann(0.0), faces=(faces,) * len(shape))
    if kind == "scalar":
        space = js.Staggered(grid, js.NoSlip()).scalar()
    u = space.field(lambda *x: 1e3 * jnp.exp(-30 * (1e3 * x[0] - 0.2) ** 2))
    size = jnp.ones(space.shape)
    array = 1 + 1e6 * space.coordinates()[0] ** 2
    for D in (3.0, array, space.field(array), js.sample(lambda t, *x: 1 + 1e6 * x[0] ** 2, 0.0, u), lambda a: 1 + a * a,
              u * u, js.pointwise(lambda a: a * size, u)):  # fmt: skip
        rate = js.diffuse(D, u)
        assert abs(js.integral(rate)) < 1e-12 * js.integral(abs(rate))
        moved = u + (0.1 / jnp.abs(rate.values).max()) * rate
        np.testing.assert_allclose(js.integral(moved), js.integral(u), rtol=1e-13)


def test_what_enters_through_a_wall_is_the_flux():
    flux = js.FiniteDifference(js.Grid(16), ((js.Neumann(2.0), js.Neumann(0.5)),)).field(lambda x: x * x)
    np.testing.assert_allclose(js.integral(js.diffuse(lambda a: 3.0 + 0 * a, flux)), 3 * 2.5, rtol=1e-12)


def test_fourier_fields_and_functions():
    u, D = lambda x, y: jnp.sin(x) * jnp.cos(2 * y), lambda x, y: 2 + jnp.cos(x + y)
    space = js.Fourier(js.Grid((12, 12), 0.0, 2 * np.pi))
    x, y = space.coordinates()
    g = jax.vmap(jax.vmap(lambda a, b: jnp.trace(jnp.stack(jax.jacfwd(
        lambda a, b: D(a, b) * jnp.stack(jax.grad(u, (0, 1))(a, b)), (0, 1))(a, b)))))  # fmt: skip
    for given in (space.field(D), space.field(D).values, jnp.eye(2)[:, :, None, None] * D(x, y)):
        found = js.diffuse(given, space.field(u))
        np.testing.assert_allclose(found.values, g(x, y), atol=1e-12)
    field = js.Function(lambda t, x, y: u(x, y), 2, ())
    found = js.diffuse(js.Function(lambda t, x, y: D(x, y), 2, ()), field)
    np.testing.assert_allclose(found(0.0, 0.3, 0.7), g(jnp.full((1, 1), 0.3), jnp.full((1, 1), 0.7))[0, 0], rtol=1e-12)
    tensor = js.diffuse(jnp.array([[1.0, 0.5], [0.5, 2.0]]), field)
    wanted = js.partial(field, 0, 2) + 2 * js.partial(field, 1, 2) + js.partial(js.partial(field, 0), 1)
    np.testing.assert_allclose(tensor(0.0, 0.3, 0.7), wanted(0.0, 0.3, 0.7), rtol=1e-12)


class Groundwater(js.Equation):
    conductivity: js.Field

    def nonlinear(self, t, u):
        return js.diffuse(self.conductivity, u)


def test_implicit_steps_with_a_sparse_factorization():
    """A disk that conducts a thousand times better, with the stencil solver of `linear` in an implicit step."""
    space = js.FiniteDifference(js.Grid((6, 7)), (js.Neumann(), (js.Dirichlet(1.0), js.Dirichlet(0.0))))
    D = space.field(lambda x, y: jnp.where((x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.09, 1e3, 1.0))
    u0 = space.field(lambda x, y: 1 - y)
    linear = StencilLU(js.integrate.stencil_pattern(Groundwater(D), u0))
    solver = dfx.ImplicitEuler(root_finder=optx.Newton(1e-9, 1e-9, linear_solver=linear))

    @jax.jit
    def run(k):
        return js.solve(Groundwater(k * D), u0, t1=0.2, dt=0.1, solver=solver).ys.values[-1]

    @jax.jit
    def dense(k):
        operator = lambda v: js.diffuse(k * D, space.bind(v)).values
        rest, push = jax.linearize(operator, jnp.zeros(space.shape))
        matrix = jnp.eye(42) - 0.1 * jax.vmap(push)(jnp.eye(42).reshape(42, 6, 7)).reshape(42, 42).T
        u = u0.values.ravel()
        for _ in range(2):
            u = jnp.linalg.solve(matrix, u + 0.1 * rest.ravel())
        return u.reshape(6, 7)

    np.testing.assert_allclose(run(1.0), dense(1.0), atol=1e-7)
    slopes = [jax.jit(jax.grad(lambda k, f=f: f(k)[2, 3]))(1.0) for f in (run, dense)]
    np.testing.assert_allclose(*slopes, rtol=1e-5)


def test_bad_input():
    space = js.FiniteDifference(js.Grid((6, 6)), js.Neumann())
    u = space.field(lambda x, y: x)
    with pytest.raises(ValueError, match="is a tensor"):
        js.diffuse(js.stack(u, u, u), u)
    with pytest.raises((ValueError, TypeError)):
        js.diffuse(jnp.ones((5, 5)), u)

    class Varying(js.Equation):
        def linear(self, u):
            return js.diffuse(u.space.coordinates()[0], u)

    with pytest.raises(ValueError, match="constant coefficients"):
        js.rollout(Varying(), u, dt=1e-3, steps=1)
