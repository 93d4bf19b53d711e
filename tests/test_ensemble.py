"""Ensembles over four devices: equal to `jax.vmap`, without communication."""

import re

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxsim as js
from jaxsim.integrate.ensemble import ensemble

MESH = jax.make_mesh((4,), ("members",), axis_types=(AxisType.Auto,))
SPACE = js.Fourier(js.Grid((16, 16), 0.0, 2 * np.pi))
STARTS = SPACE.field(np.random.default_rng(0).normal(size=(8, 16, 16)))
NUMBERS = jnp.linspace(0.5, 1.5, 8)


def has_collectives(function, *arguments):
    text = jax.jit(function).lower(*arguments).compile().as_text()
    return bool(re.search(r" (all-\w+|collective-\w+|reduce-scatter)(-start)?\(", text))


def diffuse(u, viscosity=0.05):
    """Ten Euler steps of a Burgers-like equation."""

    def step(w, _):
        field = SPACE.bind(w)
        return w + 1e-2 * SPACE.state(viscosity * js.laplacian(field) - js.partial(field * field, 0)), None

    return SPACE.bind(jax.lax.scan(step, SPACE.state(u), None, length=10)[0])


def newton_root(a):
    """A loop whose length depends on the member."""
    done = lambda state: jnp.abs(state[0] ** 2 - a) > 1e-12
    return jax.lax.while_loop(done, lambda state: (0.5 * (state[0] + a / state[0]), state[1] + 1), (1.0 + 0 * a, 0))


def adaptive(y):
    term = dfx.ODETerm(lambda t, y, _: -(y**2))
    controller = dfx.PIDController(rtol=1e-6, atol=1e-6)
    return dfx.diffeqsolve(term, dfx.Tsit5(), 0.0, 1.0, 0.01, y, stepsize_controller=controller).ys[0]


def linear_solve(b):
    return lx.linear_solve(lx.MatrixLinearOperator(b * (jnp.eye(3) + 1.0)), b**2 * jnp.ones(3)).value.sum()


def root(a):
    return optx.root_find(lambda y, _: y**2 - a, optx.Newton(1e-10, 1e-10), a).value


def test_fields_equal_vmap_without_communication():
    run = ensemble(diffuse, MESH)
    result, expected = jax.jit(run)(STARTS), jax.vmap(diffuse)(STARTS)
    assert isinstance(result, js.Field) and result.space == SPACE
    assert result.data.modal.sharding.spec == PartitionSpec("members")
    np.testing.assert_allclose(result.values, expected.values, rtol=0, atol=1e-15)
    assert not has_collectives(run, STARTS)


def test_gradients_equal_vmap_without_communication():
    energy = lambda u, viscosity: jnp.mean(diffuse(u, viscosity).values ** 2)
    pullback = lambda run: lambda u, viscosity: jax.vjp(run, u, viscosity)[1](jnp.ones(8))
    viscosities = NUMBERS * 0.05
    expected = pullback(jax.vmap(energy))(STARTS, viscosities)
    gradients = jax.jit(pullback(ensemble(energy, MESH)))(STARTS, viscosities)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), gradients, expected)
    assert not has_collectives(pullback(ensemble(energy, MESH)), STARTS, viscosities)


def test_shared_parameters_are_summed_over_devices():
    loss = lambda spread: lambda viscosity: jnp.mean(spread(lambda u: diffuse(u, viscosity))(STARTS).values ** 2)
    expected = jax.grad(loss(jax.vmap))(0.05)
    np.testing.assert_allclose(jax.jit(jax.grad(loss(lambda f: ensemble(f, MESH))))(0.05), expected, rtol=1e-12)


def test_loops_of_different_lengths():
    numbers = jnp.array([1.0, 1.1, 2.0, 3.0, 10.0, 20.0, 1e4, 1e6])
    roots, counts = ensemble(newton_root, MESH)(numbers)
    np.testing.assert_allclose(roots, jnp.sqrt(numbers), rtol=1e-12)
    np.testing.assert_array_equal(counts, jax.vmap(newton_root)(numbers)[1])
    assert not has_collectives(ensemble(newton_root, MESH), numbers)


@pytest.mark.parametrize("function", [pytest.param(adaptive, marks=pytest.mark.slow), linear_solve, root])
def test_libraries_that_compare_shapes_differentiate_inside(function):
    both = jax.value_and_grad(function)
    result = jax.jit(ensemble(both, MESH))(NUMBERS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), result, jax.vmap(both)(NUMBERS))


def test_rollouts():
    equation = js.equations.Burgers(0.05)
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    starts = space.field(np.sin(space.grid.spacing[0] * np.arange(32)) * np.linspace(0.5, 1.5, 8)[:, None])
    run = lambda u: js.rollout(equation, u, dt=1e-2, steps=6)
    np.testing.assert_allclose(ensemble(run, MESH)(starts).values, jax.vmap(run)(starts).values, rtol=0, atol=1e-14)


class Model(eqx.Module):
    weight: jax.Array
    activation: object = jax.nn.softplus

    def __call__(self, x):
        return self.activation(self.weight * x)


def test_pytrees_with_parts_that_are_no_arrays():
    model = Model(NUMBERS)
    same, value, number, nothing, text = ensemble(lambda m, x: (m, m(x), 3.0, None, "text"), MESH)(model, NUMBERS)
    np.testing.assert_allclose(value, jax.nn.softplus(NUMBERS**2), rtol=1e-15)
    np.testing.assert_array_equal(number, np.full(8, 3.0))
    assert same.activation is jax.nn.softplus and nothing is None and text == "text"


def test_random_keys_forward_mode_and_vmap():
    keys = jax.random.split(jax.random.key(0), 8)
    draw = lambda key: jax.random.normal(key, (3,))
    np.testing.assert_array_equal(ensemble(draw, MESH)(keys), jax.vmap(draw)(keys))
    tangent = jax.jvp(ensemble(jnp.sin, MESH), (NUMBERS,), (NUMBERS,))[1]
    np.testing.assert_allclose(tangent, jnp.cos(NUMBERS) * NUMBERS, rtol=1e-15)
    np.testing.assert_allclose(jax.vmap(ensemble(jnp.sin, MESH))(NUMBERS.reshape(2, 4)), jnp.sin(NUMBERS.reshape(2, 4)))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_meshes_of_both_kinds_and_of_two_axes(kind):
    mesh = jax.make_mesh((2, 2), ("a", "b"), axis_types=(kind, kind))
    placed = jax.device_put(NUMBERS, NamedSharding(mesh, PartitionSpec(("a", "b"))))
    for numbers in (NUMBERS, placed):
        np.testing.assert_allclose(ensemble(jnp.sin, mesh)(numbers), jnp.sin(NUMBERS), rtol=1e-15)


CUT = js.Fourier(SPACE.grid, mesh=MESH)


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (jnp.sin, (NUMBERS[:6],), "4 devices cannot share 6 members"),
        (jnp.sin, (NUMBERS[:0],), "cannot share 0 members"),
        (jnp.add, (NUMBERS, NUMBERS[:4]), "disagree on the number of members"),
        (jnp.add, (NUMBERS, 1.0), "a single number; close over"),
        (lambda: 1.0, (), "no arrays"),
        (ensemble(jnp.sin, MESH), (jnp.ones((4, 4)),), "do not nest"),
        (js.laplacian, (CUT.field(jnp.ones((4, 16, 16))),), "cut over a mesh themselves"),
        (lambda v: CUT.field(v).coefficients, (jnp.ones((4, 16, 16)),), "without `mesh=`"),
    ],
)
def test_members_that_cannot_be_spread(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        ensemble(function, MESH)(*arguments)


def test_mesh_must_be_a_mesh():
    with pytest.raises(TypeError, match="jax.sharding.Mesh"):
        ensemble(jnp.sin, 4)
