"""A traced number gives the answer of a known one: spaces and operators, eager, in jit, and as arguments of jit."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

GRID = js.Grid(16, 0.0, 1.5)
PLANE = js.Grid((10, 8), 0.0, 1.5)


def robin(convert):
    return js.Robin(convert(1.3), convert(0.4), convert(0.3))


def on_line(condition, order):
    return lambda convert: js.FiniteDifference(GRID, ((condition(convert), condition(convert)),), order=order)


def known(value):
    return value


CONDITIONS = {
    "dirichlet": lambda convert: js.Dirichlet(convert(0.7)), "neumann": lambda convert: js.Neumann(convert(0.7)),
    "robin": robin, "nothing": lambda convert: js.Dirichlet(convert(0.0)),
}  # fmt: skip
ORDERS = {"dirichlet": (2, 4), "neumann": (2, 6), "robin": (2, 4, 6), "nothing": (2,)}
SPACES = {f"{name} {order}": on_line(CONDITIONS[name], order) for name, orders in ORDERS.items() for order in orders}
SPACES["fourier"] = lambda convert: js.Fourier(js.Grid(16, 0.0, 1.5))
SPACES["mixed"] = lambda convert: js.FiniteDifference(GRID, ((js.Dirichlet(convert(0.2)), robin(convert)),))
SPACES["stretched"] = lambda convert: js.FiniteDifference(
    js.Grid(16, 0.0, 1.0, stretching=js.TanhStretching(2.0)), ((robin(convert), js.Neumann(convert(0.1))),)
)


def some_slow(names):
    """Of the second order all spaces, of the others those that compile fast."""
    slow = lambda name: not name.endswith("2") and name != "fourier"
    return [pytest.param(name, marks=pytest.mark.slow) if slow(name) else name for name in names]


def sine(x):
    return jnp.sin(3 * x) + 0.2


def other(x):
    return jnp.cos(2 * x)


OPERATORS = {
    "laplacian": lambda s: js.laplacian(s.field(sine)).values,
    "slope": lambda s: js.partial(s.field(sine), 0).values,
    "curvature of a slope": lambda s: js.partial(js.partial(s.field(sine), 0), 0).values,
    "sum": lambda s: js.laplacian(s.field(sine) + 2.0 * s.field(other)).values,
    "sum with a number": lambda s: js.laplacian(s.field(sine) + 1.5).values,
    "stack": lambda s: js.laplacian(js.stack([s.field(sine), s.field(other)])[1]).values,
    "sum of stacks": lambda s: js.laplacian(
        js.stack([s.field(sine), s.field(other)]) - js.stack([s.field(other)] * 2)
    ).values,
    "product": lambda s: js.partial(s.field(sine) * s.field(other), 0).values,
    "square": lambda s: js.partial(s.field(sine) ** 2, 0).values,
    "integral": lambda s: js.integral(s.field(sine) + s.field(other)),
    "evaluate": lambda s: (s.field(sine) + s.field(other))(jnp.linspace(0.2, 0.9, 5)),
    "helmholtz": lambda s: js.inverse_helmholtz(s.field(sine), 1.0, 0.1).values,
}


def answers(make, operator):
    """The same numbers in every way that they may be asked for."""
    arrays = make(jnp.asarray)
    leaves, rest = eqx.partition(arrays, eqx.is_array)
    yield "numbers in jit", jax.jit(lambda: operator(make(known)))()
    yield "arrays", operator(arrays)
    yield "simplified", operator(arrays.simplified())
    yield "argument", jax.jit(lambda leaves: operator(eqx.combine(leaves, rest)))(leaves)
    yield "forward", jax.jvp(lambda x: operator(make(lambda v: v + 0 * x)), (1.0,), (1.0,))[0]


@pytest.mark.parametrize("space", some_slow(SPACES))
def test_a_traced_number_gives_the_answer_of_a_known_one(space):
    make, dense = SPACES[space], space in ("robin 4", "robin 6")
    asked = {name: f for name, f in OPERATORS.items() if not (dense and name == "helmholtz")}
    operator = lambda s: {name: f(s) for name, f in asked.items()}
    expected = operator(make(known))
    for way, found in answers(make, operator):
        for name, value in expected.items():
            scale = 1e-11 * max(1.0, float(jnp.max(jnp.abs(value))))
            np.testing.assert_allclose(found[name], value, rtol=0, atol=scale, err_msg=f"{name}, {way}")


PAIRS = {
    "sum": lambda u, v: js.laplacian(u + 2.0 * v).values,
    "difference": lambda u, v: js.laplacian(u - v + 0.5).values,
    "stack": lambda u, v: js.laplacian(js.stack([u, v])).values,
    "sum of sums": lambda u, v: js.laplacian((u + v) + (u - v)).values,
    "integral": lambda u, v: js.integral(u + v),
    "product": lambda u, v: js.partial((u + v) * v, 0).values,
}


@pytest.mark.parametrize("space", some_slow(name for name in SPACES if name not in ("fourier", "nothing 2")))
def test_fields_that_bring_their_own_traced_copy_of_a_condition(space):
    """Under jit two fields of one space no longer share its arrays."""
    made = SPACES[space](jnp.asarray)
    u, v = made.field(sine), made.field(other)
    both = lambda u, v: {name: f(u, v) for name, f in PAIRS.items()}
    expected = both(u, v)
    for found in (jax.jit(both)(u, v), jax.jvp(both, (u, v), (u, v))[0]):
        for name, value in expected.items():
            scale = 1e-11 * max(1.0, float(jnp.max(jnp.abs(value))))
            np.testing.assert_allclose(found[name], value, rtol=0, atol=scale, err_msg=name)


@pytest.mark.parametrize("order", [4])
def test_a_traced_condition_without_a_diagonal_form_is_refused(order):
    make = on_line(robin, order)
    assert make(known).modes() is not None
    with pytest.raises(ValueError, match="no diagonal form"):
        jax.jit(lambda a: js.inverse_helmholtz(make(lambda v: v * a).field(sine), 1.0, 0.1).values)(1.0)
    with pytest.raises(ValueError, match="no diagonal form"):  # and not another solver without a word
        end = lambda u: js.rollout(js.equations.Diffusion(0.1), u, dt=1e-3, steps=1)
        jax.jit(lambda a: end(make(lambda v: v * a).field(sine)))(1.0)


@pytest.mark.parametrize("order", [2, pytest.param(4, marks=pytest.mark.slow), pytest.param(6, marks=pytest.mark.slow)])
@pytest.mark.parametrize("second", [(1.0, 0.5), (1.0, 0.25), (2.0, 0.5)])
def test_fields_whose_robin_conditions_come_apart(order, second):
    """Where two fields differ in their numbers nothing is known of their sum, traced or not."""

    def curvature(numbers, other):
        spaces = [js.FiniteDifference(GRID, ((js.Robin(*n, 0.3),) * 2,), order=order) for n in (numbers, other)]
        u, v = spaces[0].field(sine), spaces[1].field(jnp.cos)
        mixed = u + spaces[0].bind(v.data.values) * 0.0
        return js.laplacian(js.Field(u.space, mixed.data) + js.Field(spaces[1], v.data)).values

    first = (1.0, 0.5)
    expected = curvature(first, second)
    arrays = [tuple(map(jnp.asarray, pair)) for pair in (first, second)]
    np.testing.assert_allclose(curvature(*arrays), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(jax.jit(curvature)(*arrays), expected, rtol=0, atol=1e-9)
    halves = jax.jit(lambda b: curvature(first, (second[0], b)))(jnp.asarray(second[1]))
    np.testing.assert_allclose(halves, expected, rtol=0, atol=1e-9)


class Pair(js.Equation):
    """Two species, whose rates are stacked."""

    rate: jax.Array

    def linear(self, u):
        return self.rate * js.laplacian(u)

    def nonlinear(self, t, u):
        return js.stack([u[1] - u[0], u[0] - u[1]])


def test_a_rollout_of_two_components_with_robin_arrays():
    def end(convert, solver=None):
        s = on_line(robin, 2)(convert)
        u = js.stack([s.field(sine), s.field(other)])
        return js.rollout(Pair(0.05), u, dt=1e-2, steps=20).values

    np.testing.assert_allclose(jax.jit(lambda: end(jnp.asarray))(), end(known), rtol=0, atol=1e-12)
    np.testing.assert_allclose(jax.jit(lambda a: end(lambda v: a * v))(1.0), end(known), rtol=0, atol=1e-12)
    made = on_line(robin, 2)(jnp.asarray)
    stacked = jax.jit(lambda u, v: js.rollout(Pair(0.05), js.stack([u, v]), dt=1e-2, steps=20).values)
    np.testing.assert_allclose(stacked(made.field(sine), made.field(other)), end(known), rtol=0, atol=1e-12)


FLOWS = {
    "walls": lambda g: (js.Periodic(), (js.NoSlip((0.0 * g, 0.0 * g)), js.MovingWall((g, 0.0 * g)))),
    "channel": lambda g: ((js.Inflow((g, 0.0 * g)), js.Outflow()), js.NoSlip()),
    "dirichlet": lambda g: (js.Periodic(), js.Dirichlet(g * jnp.array([1.0, 0.0]))),
}


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("name", ["laplacian", "divergence", "projection", "convection", "means"])
def test_staggered_velocities(flow, name):
    velocity = lambda x, y: (jnp.sin(4 * jnp.pi * y / 3) + 0 * x, 0.1 * jnp.cos(4 * jnp.pi * x / 3) + 0 * y)
    operator = {
        "laplacian": lambda u: js.laplacian(u).values, "divergence": lambda u: js.div(u).values,
        "projection": lambda u: js.project(u + u).values, "convection": lambda u: js.convection(u).values,
        "means": lambda u: (u + 2.0 * u).values,
    }[name]  # fmt: skip
    ask = lambda g: operator(js.Staggered(PLANE, FLOWS[flow](g)).field(velocity))
    expected = ask(0.6)
    np.testing.assert_allclose(jax.jit(ask)(0.6), expected, rtol=0, atol=1e-11)
    field = js.Staggered(PLANE, FLOWS[flow](0.6)).field(velocity)
    np.testing.assert_allclose(jax.jit(operator)(field), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("exponent", [2, 2.0, np.float64(2), np.int32(2), 3])
def test_powers_do_not_hang_on_the_type_of_a_number(exponent):
    u = js.Fourier(GRID).field(lambda x: jnp.sin(2 * jnp.pi * 5 * x / 1.5))
    product = u * u * u if exponent == 3 else u * u
    np.testing.assert_allclose((u**exponent).coefficients, product.coefficients, rtol=0, atol=1e-15)


def test_exponents_that_are_arrays_are_refused_traced_or_not():
    u = js.FiniteDifference(GRID, js.Dirichlet(0.7)).field(lambda x: 1 + x)
    for power in (lambda p: (u**p).values, jax.jit(lambda p: (u**p).values)):
        with pytest.raises(TypeError, match="degree="):
            power(jnp.asarray(2.0))


def test_random_fields_on_traced_coordinates():
    f = js.initial.filtered_noise(jax.random.key(0), peak=3, length=1.5)
    x = js.Fourier(PLANE).coordinates()
    np.testing.assert_allclose(jax.jit(lambda *x: f(*x))(*x), f(*x), rtol=0, atol=1e-13)


class Switch(js.Equation):
    rate: jax.Array
    off: bool = False
    on: bool = True

    def nonlinear(self, t, u):
        return self.rate * u


def test_flags_of_an_equation_stay_flags():
    assert Switch(1).off is False and Switch(1).on is True


def test_a_traced_matrix_that_is_not_tridiagonal():
    from jaxsim.linear import Bands

    full = jnp.ones((4, 4))
    with pytest.raises(ValueError, match="not tridiagonal"):
        Bands.from_matrix(full)
    with pytest.raises(Exception, match="not tridiagonal"):
        eqx.filter_jit(lambda m: Bands.from_matrix(m).diagonal)(full)


# -- zero at the walls is a number like any other ----------------------------------------------------------------------
@pytest.mark.parametrize("order", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [js.Dirichlet, js.Neumann, lambda g: js.Robin(1.0, 0.5, g)])
def test_slope_with_respect_to_wall_data_at_zero(kind, order):
    def end(u):
        return js.integral(js.rollout(js.equations.Burgers(0.1), u, dt=2e-3, steps=20) ** 2)

    u = js.FiniteDifference(GRID, ((kind(0.0), js.Dirichlet()),), order=order).field(lambda x: jnp.sin(2 * x))
    where = lambda u: u.space.boundary[0][0].value
    slope = where(jax.grad(end)(u))
    moved = lambda g: end(eqx.tree_at(where, u, jnp.asarray(g)))
    assert abs(slope) > 1e-4
    np.testing.assert_allclose(slope, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-6)
    assert not u.space.affine and u.space.simplified().boundary[0][0].value is None


def test_slope_with_respect_to_the_velocity_of_a_wall_at_rest():
    def end(u):
        v = js.rollout(js.equations.NavierStokesVelocity(0.1), u, dt=1e-2, steps=5).values
        return jnp.mean(v[0] ** 3)

    velocity = lambda x, y: (jnp.sin(2 * y) + 0 * x, 0 * x)
    u = js.Staggered(PLANE, (js.Periodic(), (js.NoSlip((0.0, 0.0)), js.NoSlip()))).field(velocity)
    where = lambda u: u.space.boundary[1][0].velocity[0]
    slope = where(jax.grad(end)(u))
    moved = lambda g: end(eqx.tree_at(where, u, jnp.asarray(g)))
    assert abs(slope) > 1e-4
    np.testing.assert_allclose(slope, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-6)
    assert not u.space.affine and u.space.simplified().boundary[1][0].velocity is None


def test_a_wall_that_only_moves_along_itself_keeps_a_law_and_a_number():
    mixed = js.NoSlip((lambda t, x: jnp.sin(t) + 0 * x, 0.0)).simplified()
    assert callable(mixed.velocity[0]) and mixed.velocity[1] is None
    assert js.NoSlip(jnp.array([1.0, 0.0])).simplified().velocity[1] is None
    assert js.NoSlip(jnp.zeros(2)).simplified().velocity is None
