"""Dictionaries whose weights make equations hold."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import Chebyshev, ConstraintLayer, FourierSeries, TensorProduct, satisfy
from jaxsim.constraints.layers.features import features
from jaxsim.nets import MLP
from jaxsim.optimize import OnFailure, Rows
from jaxsim.pinn import collocation

CODE = TensorProduct([Chebyshev(4), FourierSeries(5)])


class Network(eqx.Module):
    """Functions of `(t, x)` made by a network of numbers."""

    net: eqx.Module

    def __call__(self, t, x):
        return self.net(4 * jnp.stack([t, x]) - 2)


def points(count, seed=3):
    return jax.random.uniform(jax.random.PRNGKey(seed), (count, 2))[:, ::-1]


def value_and_slope_jump(u, t):
    slope = js.partial(js.Function(u, 1), 0)
    return jnp.stack([u(t, 0.0) - u(t, 1.0), slope(t, 0.0) - slope(t, 1.0)])


def at_start(values, count=100):
    x = jnp.linspace(0, 1, count)
    return Rows(lambda u, s: u(0.0, s[0]) - s[1], (x, values(x)), weight=400 * 100 / 600)


def test_a_dictionary_is_a_field_with_exact_derivatives():
    waves = lambda t, x: jnp.exp(-t) * jnp.stack([jnp.sin(x), jnp.cos(2 * x)])
    u = js.Dictionary(waves, jnp.array([2.0, 3.0]), offset=lambda t, x: t * x**2, dimension=1)
    t, x = 0.3, 0.7
    expected = -np.exp(-t) * (2 * np.sin(x) + 12 * np.cos(2 * x)) + 2 * t
    np.testing.assert_allclose(js.laplacian(u)(t, x), expected, rtol=1e-13)
    rate = js.residual(js.equations.Diffusion(1.0), u)(t, x)
    np.testing.assert_allclose(rate, -np.exp(-t) * (2 * np.sin(x) + 3 * np.cos(2 * x)) + x**2 - expected, rtol=1e-12)
    assert (u * u)(t, x) == u(t, x) ** 2
    with pytest.raises(ValueError, match="one weight for each"):
        js.Dictionary(waves, jnp.ones((2, 2)))
    with pytest.raises(ValueError, match="shape \\(3, "):
        js.Dictionary(waves, jnp.ones(3), dimension=1)(t, x)


@pytest.mark.parametrize("functions", [CODE, Network(MLP(2, 7, 5, 1, key=jax.random.key(0)))], ids=["fixed", "network"])
def test_rows_from_noted_features_are_the_rows_of_the_field(functions):
    offset = lambda t, x: jnp.sin(x) + t

    @eqx.filter_jit
    def both(functions, block, weights):
        noted = features(functions, offset, block)
        plain = lambda w: block.values(js.Dictionary(functions, w, offset).data)
        expected = plain(weights), jax.jacfwd(plain)(weights)
        return (noted.values(weights), noted.jacobian(weights)), expected

    count = len(functions(jnp.array(0.1), jnp.array(0.2)))
    weights = jax.random.normal(jax.random.key(1), (count,))
    for block in [collocation(js.equations.Burgers(0.1), points(6)), Rows(value_and_slope_jump, jnp.linspace(0, 1, 4))]:
        for found, expected in zip(*both(functions, block, weights)):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@eqx.filter_jit
def burgers(functions, viscosity, amplitude, **how):
    initial = lambda x: amplitude * jnp.sin(2 * jnp.pi * x) + 0.05 * jnp.cos(4 * jnp.pi * x)
    blocks = {
        "interior": collocation(js.equations.Burgers(viscosity), points(600)),
        "initial": at_start(initial),
        "periodic": Rows(value_and_slope_jump, jnp.linspace(0, 1, 101), weight=101 / 600),
    }
    return satisfy(functions, blocks, **how)


def test_burgers_by_waves_and_polynomials_and_its_gradients():
    """The numbers are those of a spectral solver with 256 modes."""
    functions = TensorProduct([Chebyshev(8), FourierSeries(15)])
    at = lambda nu, a: burgers(functions, nu, a).value(jnp.array(1.0), jnp.array(0.25))
    nu, a = jnp.array(0.01), jnp.array(0.1)
    solved = burgers(functions, nu, a)
    assert solved.succeeded and solved.condition < 100
    np.testing.assert_allclose(solved.value(1.0, 0.25), 0.05639968, atol=3e-5)
    slopes = jax.grad(at, (0, 1))(nu, a)
    h = 1e-6
    differences = [(at(nu + h, a) - at(nu - h, a)) / (2 * h), (at(nu, a + h) - at(nu, a - h)) / (2 * h)]
    np.testing.assert_allclose(slopes, differences, rtol=1e-6)


@pytest.mark.slow
def test_the_fixed_dictionary_on_smooth_burgers():
    """The baseline of all learned dictionaries: 1.2e-4 to 2.5e-4 for different points."""
    solved = burgers(TensorProduct([Chebyshev(8), FourierSeries(15)]), jnp.array(0.01), jnp.array(0.1))
    space = js.Fourier(js.Grid(256, 0.0, 1.0))
    u0 = space.field(lambda x: 0.1 * jnp.sin(2 * jnp.pi * x) + 0.05 * jnp.cos(4 * jnp.pi * x))
    exact = js.rollout(js.equations.Burgers(0.01), u0, dt=1e-3, steps=1000, save_every=10).values
    (x,) = space.coordinates()
    found = jax.jit(jax.vmap(lambda t: jax.vmap(lambda x: solved.value(t, x))(x)))(jnp.linspace(0.01, 1, 100))
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert error < 1.3e-4


@eqx.filter_jit
def diffusion(functions, initial, **how):
    blocks = {"interior": collocation(js.equations.Diffusion(0.02), points(60)), "initial": at_start(initial, 20)}
    return satisfy(functions, blocks, **how)


def test_a_linear_equation_takes_one_solve_and_a_network_learns_through_it():
    network = Network(MLP(2, 6, 8, 1, key=jax.random.key(0)))
    initial = lambda x: jnp.cos(2 * jnp.pi * x)

    def loss(network, move):
        network = eqx.tree_at(lambda n: n.net.last.bias, network, network.net.last.bias + move)
        return diffusion(network, initial).value(jnp.array(0.5), jnp.array(0.3))

    loss = eqx.filter_jit(loss)
    assert diffusion(CODE, initial).steps == 1
    slope = jax.jacrev(loss, 1)(network, jnp.zeros(6))
    h = 1e-5
    difference = [(loss(network, h * e) - loss(network, -h * e)) / (2 * h) for e in jnp.eye(6)[:2]]
    np.testing.assert_allclose(slope[:2], difference, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(jax.jvp(lambda m: loss(network, m), (jnp.zeros(6),), (jnp.ones(6),))[1], slope.sum(),
                               rtol=1e-7)  # fmt: skip


def test_a_layer_serves_a_batch_and_flags_what_failed():
    traced = []

    def blocks(u0):
        traced.append(u0)
        interior = collocation(js.equations.Diffusion(0.02), points(60))
        return {"initial": at_start(lambda x: u0 * jnp.cos(2 * jnp.pi * x), 20), "interior": interior}

    layer = ConstraintLayer(blocks, on_failure=OnFailure.STOP)
    solve = jax.jit(jax.vmap(lambda a: (lambda s: (s.value.weights, s.succeeded))(layer(CODE, a))))
    weights, succeeded = solve(jnp.array([1.0, 2.0, jnp.nan]))
    np.testing.assert_array_equal(succeeded, [True, True, False])
    solve(jnp.array([3.0, 2.0, 1.0]))
    assert len(traced) == 1  # new values compile nothing
    np.testing.assert_allclose(2 * weights[0], weights[1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layer(CODE, 1.0).value.weights, weights[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("wide", [True, False])
def test_single_precision_in_and_out(wide):
    with jax.enable_x64(wide):
        x, single = jnp.linspace(0, 1, 20, dtype=np.float32), np.float32
        start = Rows(lambda u, s: u(single(0.0), s[0]) - s[1], (x, jnp.cos(2 * single(np.pi) * x)))
        interior = collocation(js.equations.Diffusion(single(0.02)), points(60).astype(single))
        solved = satisfy(CODE, {"start": start, "interior": interior})
        value = solved.value(single(0.5), single(0.3))
    assert value.dtype == single and solved.value.weights.dtype == (float if wide else single)
    exact = np.exp(-0.02 * 4 * np.pi**2 * 0.5) * np.cos(0.6 * np.pi)
    np.testing.assert_allclose(value, exact, rtol=1e-2)


def test_what_cannot_be_solved_is_named():
    with pytest.raises(TypeError, match="js.partial"):
        satisfy(CODE, {"a": Rows(lambda u, t: jax.grad(u)(t, t), jnp.linspace(0, 1, 3))})
    with pytest.raises(ValueError, match="does not look at the field"):
        satisfy(CODE, {"a": Rows(lambda u, t: t, jnp.linspace(0, 1, 3))})
    with pytest.raises(TypeError, match="'a'"):
        satisfy(CODE, {"a": lambda u: u})
    with pytest.raises(ValueError, match="each of 20 functions"):
        satisfy(CODE, {"a": Rows(lambda u, t: u(t, t), jnp.linspace(0, 1, 3))}, guess=jnp.zeros(3))
    with pytest.raises(ValueError, match="odd"):
        FourierSeries(4)


@pytest.mark.slow
def test_instances_on_devices_do_not_wait_for_each_other():
    layer = ConstraintLayer(lambda u0: {"initial": at_start(lambda x: u0 * jnp.cos(2 * jnp.pi * x), 20),
                                        "interior": collocation(js.equations.Burgers(0.02), points(60))},
                            on_failure=OnFailure.STOP)  # fmt: skip
    values = jax.vmap(lambda a: layer(CODE, a).value(0.5, 0.3))
    slopes = jax.grad(lambda a: values(a).sum())
    mesh, cut = jax.sharding.Mesh(np.array(jax.devices()), ("devices",)), jax.P("devices")
    amplitudes = jax.device_put(jnp.linspace(0.1, 1, 8), jax.NamedSharding(mesh, cut))
    for function in (values, slopes):
        compiled = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=cut, out_specs=cut)).lower(amplitudes).compile()
        np.testing.assert_allclose(compiled(amplitudes), function(jnp.linspace(0.1, 1, 8)), rtol=1e-12)
        assert not re.search("all-reduce|all-gather|all-to-all|collective-permute", compiled.as_text())
