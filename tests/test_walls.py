"""Finite-difference fields between walls: closures, moving conditions, what derived fields know at a wall."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

ORDERS = (2, 4, 6, 8)
KINDS = "DNR"


def wave(t, x):
    return jnp.exp(2 * x - t)


def slope(t, x):
    return 2 * jnp.exp(2 * x - t)


def condition(kind, end, value=wave, derivative=slope):
    """The condition of a kind that a function satisfies at the lower (0) or upper (1) end."""
    sign = 2 * end - 1
    if kind == "D":
        return js.Dirichlet(value)
    if kind == "N":
        return js.Neumann(lambda t, x: sign * derivative(t, x))
    return js.Robin(2.0, 0.5, lambda t, x: 2 * value(t, x) + 0.5 * sign * derivative(t, x))


def interval(n, order, kinds, lower=0.2, upper=1.4):
    sides = tuple(condition(kind, end) for end, kind in enumerate(kinds))
    return js.FiniteDifference(js.Grid(n, lower, upper), (sides,), order=order)


def observed(errors):
    return float(np.log2(errors[-2] / errors[-1]))


# -- accuracy ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", (2, 4, 6))
def test_closures_have_the_documented_order(order, kind):
    t, errors = 0.7, {1: [], 2: []}
    for n in (48, 96):
        space = interval(n, order, kind * 2)
        x = space.coordinates()[0]
        first, second = jax.jit(lambda u: (js.partial(u, 0).values, js.laplacian(u).values))(space.bind(wave(t, x), t))
        errors[1].append(jnp.abs(first - slope(t, x)).max())
        errors[2].append(jnp.abs(second - 4 * wave(t, x)).max())
    first, second = (order - 1, order - 2) if kind == "D" else (order, order - 1)
    assert observed(errors[1]) > first - 0.2
    assert observed(errors[2]) > second - 0.2


@pytest.mark.parametrize("kinds", ("DD", "DN", "ND", "RR", "RN"))
@pytest.mark.parametrize("order", ORDERS)
def test_poisson_problem_has_the_full_order(order, kinds):
    sign = -1 if kinds == "ND" else 1  # the mirror image of the problem for DN
    value = lambda t, x: jnp.sin(9 * sign * (x - 0.5) + 5.5) + 0.5
    derivative = lambda t, x: 9 * sign * jnp.cos(9 * sign * (x - 0.5) + 5.5)
    errors = []
    for n in (48, 96):
        sides = tuple(condition(kind, end, value, derivative) for end, kind in enumerate(kinds))
        space = js.FiniteDifference(js.Grid(n), (sides,), order=order)
        x = space.coordinates()[0]
        operator = jax.jit(lambda values, s=space: js.laplacian(s.bind(values)).values)
        rest = operator(jnp.zeros(n))
        matrix = operator(jnp.eye(n)).T - rest[:, None]
        solution = np.linalg.solve(matrix, -81 * (value(0, x) - 0.5) - rest)
        errors.append(np.abs(solution - value(0, x)).max())
    assert order - 0.15 < observed(errors) < order + 0.3


@pytest.mark.parametrize("order", ORDERS)
def test_spectrum_of_the_laplacian_is_stable(order):
    kinds = {"D": js.Dirichlet(), "N": js.Neumann(), "R": js.Robin(1.0, 0.2)}
    for n, pair in itertools.product((order + 1, 24), itertools.combinations_with_replacement(kinds, 2)):
        space = js.FiniteDifference(js.Grid(n), (tuple(kinds[k] for k in pair),), order=order)
        matrix = js.laplacian(space.field(jnp.eye(n))).values.T
        eigenvalues = np.linalg.eigvals(matrix)
        assert eigenvalues.real.max() < 1e-13 * abs(eigenvalues).max(), (n, pair)
        if pair != ("N", "N"):
            assert eigenvalues.real.max() < -0.1


@pytest.mark.parametrize("kinds", ("DD", "NR"))
def test_heat_equation_with_moving_walls(kinds):
    class Heat(js.Equation):
        def linear(self, u):
            return js.laplacian(u)

    value = lambda t, x: jnp.exp(-4 * t) * jnp.cos(2 * x + 0.3) + x
    derivative = lambda t, x: -2 * jnp.exp(-4 * t) * jnp.sin(2 * x + 0.3) + 1
    errors = []
    for n in (10, 20):
        sides = tuple(condition(kind, end, value, derivative) for end, kind in enumerate(kinds))
        space = js.FiniteDifference(js.Grid(n), (sides,), order=4)
        u0 = space.field(lambda x: value(0.0, x))
        final = js.rollout(Heat(), u0, dt=2.5e-4, steps=400)
        errors.append(jnp.abs(final.values - value(0.1, space.coordinates()[0])).max())
    assert 3.5 < observed(errors) and errors[-1] < 1e-5


def plane(n, order=4):
    value = lambda t, x, y: jnp.sin(2 * x + t) * jnp.exp(y)
    along = lambda t, x, y: jnp.sin(2 * x + t) * jnp.exp(y)
    sides = (js.Periodic(), (js.Dirichlet(value), js.Neumann(along)))
    return js.FiniteDifference(js.Grid((n, n + 4), 0.0, (np.pi, 1.0)), sides, order=order), value


def test_plane_with_walls_that_vary():
    @jax.jit
    def derivatives(space, values, t):
        u = space.bind(values, t)
        fields = js.partial(u, 1), js.laplacian(u), js.partial(js.partial(u, 0), 1), js.partial(u * u, 1)
        return [field.values for field in fields]

    errors = []
    for n in (24, 48):
        space, value = plane(n)
        t, (x, y) = 0.4, space.coordinates()
        u = value(t, x, y)
        exact = u, -3 * u, 2 * jnp.cos(2 * x + t) * jnp.exp(y), 2 * u**2
        errors.append([np.abs(a - b).max() for a, b in zip(derivatives(space, u, t), exact)])
    first, laplacian, mixed, square = np.log2(np.divide(*errors))
    assert first > 2.6 and laplacian > 1.6 and mixed > 3.7 and square > 2.6


def test_box_with_walls_on_every_axis():
    value = lambda t, x, y, z: jnp.exp(x - y) * jnp.cos(z)
    space = js.FiniteDifference(js.Grid((12, 14, 10)), js.Dirichlet(value), order=6)
    u = space.field(lambda x, y, z: value(0.0, x, y, z))
    np.testing.assert_allclose(jax.jit(lambda u: js.laplacian(u).values)(u), u.values, atol=2e-5)


# -- what derived fields know --------------------------------------------------------------------------------
def test_products_and_sums_carry_wall_values():
    grid = js.Grid(16)
    ends = lambda a, b: js.FiniteDifference(grid, ((js.Dirichlet(a), js.Dirichlet(b)),), order=4)
    x = ends(0, 0).coordinates()[0]
    u, v = ends(2.0, 3.0).field(jnp.cos(x)), ends(-1.0, 0.5).field(jnp.sin(x))

    def agrees(derived, values, a, b):
        reference = js.partial(ends(a, b).field(values), 0, 2).values
        np.testing.assert_allclose(js.partial(derived, 0, 2).values, reference, atol=1e-10)

    agrees(u * u, jnp.cos(x) ** 2, 4.0, 9.0)
    agrees(u**3, jnp.cos(x) ** 3, 8.0, 27.0)
    agrees(2 * u - v / 4, 2 * jnp.cos(x) - jnp.sin(x) / 4, 4.25, 5.875)
    agrees(1 - u, 1 - jnp.cos(x), -1.0, -2.0)
    agrees(js.stack(u, v)[1], jnp.sin(x), -1.0, 0.5)
    agrees(u * js.stack(v, u)[0], jnp.cos(x) * jnp.sin(x), -2.0, 1.5)
    ramp = js.sample(lambda t, x: 1 + t * x, 2.0, u)
    agrees(ramp * u, (1 + 2 * x) * jnp.cos(x), 2.0, 9.0)


def test_sums_of_other_conditions():
    for lower, upper, combined in (
        (js.Neumann(2.0), js.Robin(1.0, 3.0, 0.5), (js.Neumann(6.0), js.Robin(1.0, 3.0, 1.5 - 4.0))),
        (js.Neumann(-1.0), js.Neumann(0.0), (js.Neumann(-3.0), js.Neumann(0.0))),
    ):
        space = js.FiniteDifference(js.Grid(12), ((lower, upper),), order=4)
        u = space.field(jnp.exp)
        reference = js.FiniteDifference(js.Grid(12), (combined,), order=4).field(3 * u.values - 4)
        np.testing.assert_allclose(js.laplacian(3 * u - 4).values, js.laplacian(reference).values, atol=1e-9)


def test_slope_across_a_neumann_wall_is_a_wall_value():
    sides = ((js.Neumann(1.5), js.Neumann(-0.5)),)
    space = js.FiniteDifference(js.Grid(12), sides, order=4)
    u = space.field(jnp.sin)
    flux = js.partial(u, 0)
    walls = ((js.Dirichlet(-1.5), js.Dirichlet(-0.5)),)
    reference = js.FiniteDifference(js.Grid(12), walls, order=4).field(flux.values)
    np.testing.assert_allclose(js.partial(flux, 0).values, js.partial(reference, 0).values, atol=1e-12)
    walls = ((js.Dirichlet(4.5), js.Dirichlet(0.5)),)
    reference = js.FiniteDifference(js.Grid(12), walls, order=4).field(2 * flux.values**2)
    np.testing.assert_allclose(js.partial(2 * flux * flux, 0).values, js.partial(reference, 0).values, atol=1e-12)


@pytest.mark.parametrize("order", ORDERS)
def test_unknown_walls_are_extrapolated(order):
    """Polynomials of degree `order` are differentiated exactly, whatever the space's condition says."""
    space = js.FiniteDifference(js.Grid(order + 3), js.Dirichlet(100.0), order=order)
    x = space.coordinates()[0]
    u = space.derived(x)
    power = lambda m: js.pointwise(lambda a: a**m, u)
    np.testing.assert_allclose(js.partial(power(order), 0).values, order * x ** (order - 1), atol=1e-10)
    np.testing.assert_allclose(js.partial(x ** (order - 1) * u, 0).values, order * x ** (order - 1), atol=1e-10)
    second = order * (order - 1) * x ** (order - 2)
    np.testing.assert_allclose(js.partial(power(order), 0, 2).values, second, atol=1e-8)
    np.testing.assert_allclose(js.partial(js.partial(power(2), 0), 0).values, 2.0, atol=1e-9)


def test_conditions_of_different_kinds_do_not_add():
    walled = lambda c: js.FiniteDifference(js.Grid(12), c, order=4)
    u, v = walled(js.Dirichlet(5.0)).field(jnp.zeros(12)), walled(js.Neumann(5.0)).field(jnp.ones(12))
    np.testing.assert_allclose(js.laplacian(u + v).values, 0.0, atol=1e-10)
    assert jnp.abs(js.laplacian(u).values).max() > 1


def test_homogeneous_space_splits_the_affine_operator():
    space, value = plane(12)
    t, x = 0.3, space.coordinates()[0]
    rng = jax.random.normal(jax.random.key(0), x.shape)
    full = lambda s, values: js.laplacian(s.bind(values, t)).values
    linear = full(space.homogeneous(), rng)
    np.testing.assert_allclose(full(space, rng), linear + full(space, jnp.zeros_like(x)), atol=1e-9)
    np.testing.assert_allclose(full(space.homogeneous(), 3 * rng), 3 * linear, atol=1e-9)
    assert jnp.all(full(space.homogeneous(), jnp.zeros_like(x)) == 0)


# -- transformations -----------------------------------------------------------------------------------------
def test_gradients_with_respect_to_boundary_data():
    x = js.FiniteDifference(js.Grid(12), js.Dirichlet()).coordinates()[0]

    @jax.jit
    def energy(parameters):
        g, a, b = parameters
        sides = ((js.Dirichlet(lambda t, *x: g * jnp.cos(t)), js.Robin(a, b, g**2)),)
        space = js.FiniteDifference(js.Grid(12), sides, order=4)
        u = space.bind(jnp.cos(2 * x), 0.4)
        return js.integral(js.laplacian(u) * u + js.partial(u * u, 0))

    def direct(g):
        space = js.FiniteDifference(js.Grid(12), js.Dirichlet(g), order=6)
        return js.norm(js.laplacian(space.field(x)))

    point = jnp.array([0.8, 1.5, 0.7])
    numerical = [(energy(point + 1e-5 * e) - energy(point - 1e-5 * e)) / 2e-5 for e in jnp.eye(3)]
    np.testing.assert_allclose(np.asarray(jax.grad(energy)(point)), np.array(numerical), rtol=1e-6)
    numerical = (direct(0.8 + 1e-5) - direct(0.8 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(direct)(0.8), numerical, rtol=1e-7)


def test_boundary_values_are_leaves_of_a_jitted_argument():
    count = 0

    @jax.jit
    def curvature(u):
        nonlocal count
        count += 1
        return js.laplacian(u).values

    for g in (1.0, 2.0):
        space = js.FiniteDifference(js.Grid(12), js.Dirichlet(g))
        np.testing.assert_allclose(curvature(space.field(jnp.zeros(12)))[0], 2 * g * 144)
    assert count == 1


def test_time_is_traced_and_trajectories_have_their_own_times():
    space = interval(16, 4, "DR")
    x = space.coordinates()[0]
    times = jnp.array([0.0, 0.5, 2.0])
    states = jnp.stack([jnp.stack([wave(t, x), wave(t, x)]) for t in times])
    one = jax.jit(lambda y, t: js.laplacian(space.bind(y, t)).values)
    expected = jnp.stack([one(y, t) for y, t in zip(states, times)])
    np.testing.assert_allclose(js.laplacian(space.bind(states, times)).values, expected, atol=1e-9)
    np.testing.assert_allclose(jax.vmap(one)(states, times), expected, atol=1e-9)


def test_components_may_have_their_own_values():
    space = js.FiniteDifference(js.Grid((9, 8)), js.Dirichlet(jnp.array([[1.0], [-2.0]])))
    curvature = js.laplacian(space.field(jnp.zeros((2, 9, 8)))).values
    np.testing.assert_allclose(curvature[1], -2 * curvature[0])
    one = js.FiniteDifference(js.Grid((9, 8)), js.Dirichlet(1.0)).field(jnp.zeros((9, 8)))
    np.testing.assert_allclose(curvature[0], js.laplacian(one).values)
    profile = js.FiniteDifference(js.Grid((9, 8)), (js.Dirichlet(jnp.arange(8.0)), js.Dirichlet(0.0)))
    np.testing.assert_allclose(js.partial(profile.field(jnp.zeros((9, 8))), 0).values[0], -9.0 * jnp.arange(8.0))


def test_batches_share_the_conditions():
    space = js.FiniteDifference(js.Grid(12), js.Robin(1.0, 2.0, 0.5), order=4)
    batch = space.field(jax.random.normal(jax.random.key(1), (3, 12)))
    mapped = jax.vmap(lambda u: js.laplacian(u).values, in_axes=(js.Field(None, 0),))(batch)
    np.testing.assert_allclose(mapped, js.laplacian(batch).values, atol=1e-12)


def test_single_precision_and_complex_values():
    sides = ((js.Dirichlet(lambda t, *x: jnp.cos(t)), js.Robin(1.0, 2.0, 0.5)),)
    space = js.FiniteDifference(js.Grid(12), sides, order=4)
    u = space.bind(jnp.linspace(0, 1, 12, dtype=jnp.float32), jnp.float32(0.3))

    @jax.jit
    def everything(space, values):
        v = space.bind(values, jnp.float32(0.3))
        return [w.values for w in (js.laplacian(v), js.partial(v * v - 2 * v, 0), js.partial(1 - js.partial(v, 0), 0))]

    assert all(w.dtype == jnp.float32 for w in everything(space, u.values))
    with jax.numpy_dtype_promotion("strict"):
        assert js.laplacian(u).values.dtype == jnp.float32
    amplitude = 2 - 1j
    wall = js.FiniteDifference(js.Grid(12), js.Dirichlet(amplitude), order=4, real=False)
    real = js.FiniteDifference(js.Grid(12), js.Dirichlet(1.0), order=4).field(jnp.exp)
    scaled = js.laplacian(wall.field(lambda x: amplitude * jnp.exp(x))).values
    np.testing.assert_allclose(scaled, amplitude * js.laplacian(real).values, atol=1e-9)


def test_stencils_are_slices():
    space = interval(16, 8, "DN")
    text = str(jax.make_jaxpr(lambda v: js.laplacian(space.bind(v, 0.2)).values)(jnp.ones(16)))
    assert "gather" not in text and "dynamic_slice" not in text and "slice" in text


# -- errors --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(order=3), "2, 4, 6 or 8"),
        (dict(order=8, grid=js.Grid(8)), "order 8 needs 9 nodes"),
        (dict(boundary=((js.Periodic(), js.Dirichlet()),)), "one side only"),
        (dict(boundary=(js.Dirichlet(), js.Neumann())), r"\(\(lower, upper\),\)"),
        (dict(boundary=(js.Dirichlet(), js.Neumann()), grid=js.Grid((9, 9, 9))), "one entry per axis"),
        (dict(boundary=0.0), "one condition for all sides"),
        (dict(boundary=((js.Dirichlet(), 0.0),)), "such as js.Dirichlet"),
        (dict(boundary=((js.Dirichlet(),) * 3,)), "pair"),
    ],
)
def test_bad_spaces(arguments, message):
    with pytest.raises(ValueError, match=message):
        js.FiniteDifference(**{"grid": js.Grid(16), **arguments})


def test_bad_conditions():
    with pytest.raises(ValueError, match="both zero"):
        js.Robin(0.0, 0, 1.0)
    with pytest.raises(ValueError, match="numbers or arrays over the side"):
        js.Robin(lambda t, x: x, 1.0)
    u = js.FiniteDifference(js.Grid((8, 9)), js.Dirichlet(jnp.ones(5))).field(jnp.ones((8, 9)))
    with pytest.raises(ValueError, match="does not broadcast"):
        js.laplacian(u)
    with pytest.raises(TypeError, match="complex boundary value"):
        js.laplacian(js.FiniteDifference(js.Grid(8), js.Dirichlet(1j)).field(jnp.ones(8)))


def test_bad_uses():
    with pytest.raises(TypeError, match="needs a Grid"):
        js.FiniteDifference(16)
    space = js.FiniteDifference(js.Grid(8), js.Dirichlet(), order=4)
    u = space.field(jnp.ones(8))
    with pytest.raises(TypeError, match="periodic box"):
        js.project(js.stack(u))
    with pytest.raises(TypeError, match="diagonal form"):
        js.inverse_laplacian(js.FiniteDifference(js.Grid(24), js.Neumann(), order=8).field(jnp.ones(24)))
    with pytest.raises(ValueError, match="shape"):
        space.field(jnp.ones(9))
    with pytest.raises(ValueError, match="shape"):
        space.bind(jnp.ones(()))
    with pytest.raises(TypeError, match="real=False"):
        space.field(1j * jnp.ones(8))
    with pytest.raises(ValueError, match="11 nodes"):
        js.partial(u, 0, 7)
    with pytest.raises(ValueError, match="axis 1"):
        js.partial(u, 1)
    with pytest.raises(ValueError, match="different nodes"):
        u + js.FiniteDifference(js.Grid(8)).field(jnp.ones(8))
    with pytest.raises(ValueError, match="different spaces"):
        u + js.FiniteDifference(js.Grid(10)).field(jnp.ones(10))
