"""Fields that meet: real ones and complex ones, those of other boxes and other nodes, and indices of components."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

SHAPES = [(9,), (8, 7), (5, 6, 4)]
OPERATIONS = {
    "sum": operator.add,
    "difference": operator.sub,
    "product": operator.mul,
    "quotient": operator.truediv,
    "stack": lambda a, b: js.stack(a, b),
    "pointwise": lambda a, b: js.pointwise(lambda x, y: x * y**2, a, b),
}


def waves(*x):
    return jnp.cos(x[0] + 0.3) + 2.5 + sum(jnp.sin((i + 1) * y) for i, y in enumerate(x)) / 3


def spaces(kind, shape, scale=1.0):
    grid = js.Grid(shape, 0.0, 2 * np.pi * scale)
    if kind == "walls":
        walls = js.Dirichlet(lambda t, *x: waves(*x))
        return [js.FiniteDifference(grid, walls, real=real) for real in (True, False)]
    make = js.Fourier if kind == "Fourier" else js.FiniteDifference
    return [make(grid, real=real) for real in (True, False)]


@pytest.mark.parametrize("kind", ["Fourier", "periodic", "walls"])
@pytest.mark.parametrize("shape", SHAPES)
def test_real_fields_beside_complex_ones(kind, shape):
    real, cplx = spaces(kind, shape)
    x = real.coordinates()
    values, others = 1e3 * waves(*x), jnp.exp(1j * sum(x)) + 2
    for u in (real.field(values), real.field(values) * 1.0, js.pointwise(lambda a: a, real.field(values))):
        promoted, v = cplx.field(u.values), cplx.field(others)
        for name, operation in OPERATIONS.items():
            for left, right in (((u, v), (promoted, v)), ((v, u), (v, promoted))):
                got, wanted = operation(*left), operation(*right)
                assert not got.space.real
                np.testing.assert_allclose(got.values, wanted.values, rtol=1e-12, atol=1e-9, err_msg=name)
    # a real field made by a derivative has a spectrum with half of the modes
    u = js.partial(real.field(values), 0)
    np.testing.assert_allclose((u * v).values, (cplx.field(u.values) * v).values, atol=1e-9)
    if kind != "walls":  # there the sum of a derivative and a field with conditions knows less than its terms
        summed = js.partial(u, 0).values + js.partial(v, 0).values
        np.testing.assert_allclose(js.partial(u + v, 0).values, summed, atol=1e-8)


@pytest.mark.parametrize("kind", ["Fourier", "periodic", "walls"])
def test_complex_numbers_and_functions_make_complex_fields(kind):
    real, _ = spaces(kind, (9,))
    u = real.field(waves)
    for made, values in (
        (1j * u, 1j * u.values), (u + 2j, u.values + 2j), (u - 1j, u.values - 1j), (u / 2j, u.values / 2j),
        (1j * js.partial(u, 0), 1j * js.partial(u, 0).values), ((1 + 1j) * u * u, (1 + 1j) * (u * u).values),
        (js.pointwise(lambda a: a + 1j, u), u.values + 1j),
    ):  # fmt: skip
        assert jnp.iscomplexobj(made.values) and not made.space.real
        np.testing.assert_allclose(made.values, values, atol=1e-13)
    made = 3j * u + u
    for back, values in ((made.real, u.values), (made.imag, 3 * u.values), (abs(3j * u), 3 * u.values)):
        assert back.space.real and not jnp.iscomplexobj(back.values)
        np.testing.assert_allclose(back.values, values, atol=1e-12)


@pytest.mark.parametrize("shape", [(16,), (9, 8)])
def test_a_real_field_on_a_coarser_complex_grid_is_the_truncated_one(shape):
    coarse = tuple(n // 2 + 1 for n in shape)
    u = js.Fourier(js.Grid(shape)).field(jax.random.normal(jax.random.key(0), shape))
    real, cplx = (js.interpolate(u, js.Fourier(js.Grid(coarse), real=real)) for real in (True, False))
    np.testing.assert_allclose(cplx.values, real.values, atol=1e-14)
    with pytest.raises(TypeError, match="real=False"):
        js.interpolate(cplx, real.space)


class Zakharov(js.Equation):
    """$i E_t = -E_{xx} + n E$ and a density that follows, $n_t = \\partial_x |E|^2$."""

    forget: bool = False

    def nonlinear(self, t, s):
        density = abs(s["E"]) ** 2
        return {
            "E": 1j * js.laplacian(s["E"]) - 1j * (s["E"] * s["n"]),
            "n": js.partial(density + 0 * s["E"] if self.forget else density, 0),
        }


def test_states_that_hold_both():
    real, cplx = spaces("Fourier", (32,))
    state = {"E": cplx.field(lambda x: jnp.exp(jnp.cos(x)) + 0j), "n": real.field(jnp.cos)}
    both = {"E": state["E"], "n": cplx.field(state["n"].values)}
    run = lambda equation, s: js.rollout(equation, s, dt=1e-3, steps=20, solver=js.integrate.ETDRK4())
    got, wanted = run(Zakharov(), state), run(Zakharov(), both)
    assert not jnp.iscomplexobj(got["n"].values)
    for name in state:
        np.testing.assert_allclose(got[name].values, wanted[name].values, atol=1e-13)
    with pytest.raises(TypeError, match="complex values for a real state"):
        run(Zakharov(forget=True), state)


def test_a_linear_part_that_makes_complex_values_of_a_real_state_is_refused():
    class Schrodinger(js.Equation):
        def linear(self, u):
            return 1j * js.laplacian(u)

    for kind in ("Fourier", "periodic"):
        real, _ = spaces(kind, (16,))
        with pytest.raises((TypeError, ValueError), match="real=False"):
            js.rollout(Schrodinger(), real.field(waves), dt=1e-3, steps=1)


@pytest.mark.parametrize("kind", ["Fourier", "periodic", "walls"])
def test_fields_of_other_boxes_are_refused(kind):
    u, v = (spaces(kind, (8, 8), scale)[0].field(waves) for scale in (1.0, 2.0))
    vector = js.stack(v, v)
    for operation in [*OPERATIONS.values(), lambda a, b: js.advect(vector, a), lambda a, b: js.diffuse(b, a),
                      lambda a, b: js.inner(a, b), lambda a, b: js.transport(vector, a),
                      lambda a, b: js.directed(a, (0.0, 1.0), like=vector)]:  # fmt: skip
        with pytest.raises(ValueError, match="different"):
            operation(u, v)


def test_scalars_beside_a_staggered_velocity_of_another_box():
    velocity = js.Staggered(js.Grid((8, 8))).field(lambda x, y: (jnp.sin(y), 0 * x))
    scalar = js.Staggered(js.Grid((8, 8), 0.0, 2.0)).scalar().field(lambda x, y: x * y)
    for operation in (lambda: js.advect(velocity, scalar), lambda: js.directed(scalar, (0, 1), like=velocity)):
        with pytest.raises(ValueError, match="different grids"):
            operation()


def test_an_equation_that_leaves_the_space_of_its_state():
    class Coarse(js.Equation):
        def nonlinear(self, t, u):
            return js.Fourier(js.Grid(16, 0.0, 3.0)).field(u.values)

    with pytest.raises(TypeError, match="another space"):
        js.rollout(Coarse(), js.Fourier(js.Grid(16)).field(waves), dt=1e-3, steps=1)


@pytest.mark.parametrize("make", [js.Fourier, js.FiniteDifference])
def test_an_index_picks_components(make):
    space = make(js.Grid((4, 4)))
    values = jax.random.normal(jax.random.key(1), (2, 3, 4, 4))
    for v in (space.field(values), js.partial(space.field(values), 0)):
        for index in (0, -1, (0, 1), (slice(None), 2), (..., 0), (0, ...), slice(1, None), [1, 0], None,
                      np.array([True, False]), (slice(None), None, 1), (1, [0, 2])):  # fmt: skip
            places = np.arange(6).reshape(2, 3)[index]
            wanted = np.asarray(v.values).reshape(6, 4, 4)[places]
            np.testing.assert_allclose(v[index].values, wanted, atol=1e-15)
        np.testing.assert_allclose(jax.jit(lambda i, v=v: v[i, i].values)(1), v[1, 1].values, atol=1e-15)
        for index in ((0, 0, slice(None, None, 2)), (slice(None), slice(None), slice(4)), 2, (0, 3), (0, 0, 0)):
            with pytest.raises(IndexError, match=r"u\.values"):
                v[index]
    with pytest.raises(IndexError, match="no components"):
        space.field(values[0, 0])[0]


@pytest.mark.parametrize("make", [js.Fourier, js.FiniteDifference])
def test_lists_are_nodal_values_or_components(make):
    line, plane = make(js.Grid(4)), make(js.Grid((4, 4)))
    numbers = [1.0, 2.0, 3.0, 5.0]
    assert line.field(numbers).shape == () and line.field(numbers).values.tolist() == numbers
    assert line.field([numbers, numbers]).shape == (2,)
    assert plane.field([numbers] * 4).shape == ()
    assert plane.field([jnp.ones((4, 4)), 2.0]).shape == (2,)
    assert line.field(lambda x: [x, 1.0]).values[1].tolist() == [1.0] * 4
    assert line.field(lambda x: [1.0, 2.0, 3.0, 4.0]).shape == (4,)
    for space in (line, plane):
        with pytest.raises(ValueError, match="nodal values need shape"):
            space.field([1.0, 2.0, 3.0])


@pytest.mark.parametrize("make", [js.Fourier, js.FiniteDifference])
def test_parameters_that_are_products(make):
    class Driven(js.Equation):
        potential: js.Field

        def nonlinear(self, t, u):
            return self.potential * u - u * u * u + (self.potential - u * u)

    space = make(js.Grid(16, 0.0, 2 * np.pi))
    a = space.field(lambda x: 1 + 0.3 * jnp.cos(2 * x))
    runs = [js.rollout(Driven(p), space.field(jnp.sin), dt=0.05, steps=3) for p in (a * a, space.field((a * a).values))]
    np.testing.assert_allclose(runs[0].values, runs[1].values, atol=1e-14)
