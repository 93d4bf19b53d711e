"""Finite differences of fields that are cut over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jaxsim as js

pytestmark = pytest.mark.skipif(jax.device_count() < 4, reason="needs four devices")

BOUNDARIES = {
    "periodic": None,
    "walls across the cut": (
        (js.Dirichlet(lambda t, x, y: jnp.sin(y) + t), js.Robin(1.0, 0.5, 2.0)),
        js.Periodic(),
    ),
    "walls along the cut": (js.Periodic(), (js.Dirichlet(jnp.linspace(0, 1, 24)), js.Neumann(0.3))),
}


def mesh(devices=4, kind=AxisType.Auto):
    return Mesh(np.array(jax.devices()[:devices]), ("slabs",), axis_types=(kind,))


def spaces(boundary, kind=AxisType.Auto, shape=(24, 10), order=4):
    grid = js.Grid(shape, 0.0, (2.0, 1.0)[: len(shape)])
    whole = js.FiniteDifference(grid, boundary, order=order)
    return whole, js.FiniteDifference(grid, boundary, order=order, mesh=mesh(kind=kind))


def right_hand_side(space, values, t=0.3):
    u = space.bind(values, t)
    return (js.laplacian(u) - js.partial(u * u, 0) + js.partial(2 * u - 1, 1, 3)).values


def place(values, kind=AxisType.Auto):
    spec = PartitionSpec(*(None,) * (values.ndim - 2), "slabs", None)
    return jax.device_put(values, NamedSharding(mesh(kind=kind), spec))


@pytest.mark.parametrize("kind", (AxisType.Auto, AxisType.Explicit))
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_values_and_gradients_are_those_of_one_device(boundary, kind):
    whole, cut = spaces(BOUNDARIES[boundary], kind)
    values = jax.random.normal(jax.random.key(0), (2, 24, 10))
    weights = jax.random.normal(jax.random.key(1), (2, 24, 10))

    def loss(space, values, weights):
        return jnp.sum(weights * right_hand_side(space, values))

    expected = jax.jit(right_hand_side)(whole, values)
    result = jax.jit(right_hand_side)(cut, place(values, kind))
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-8)
    assert {shard.data.shape for shard in result.addressable_shards} == {(2, 6, 10)}
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    here = gradient(cut, place(values, kind), place(weights, kind))
    there = gradient(whole, values, weights)
    for a, b in zip(jax.tree.leaves(here), jax.tree.leaves(there)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-7)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_neighbors_exchange_and_nothing_is_gathered(boundary):
    _, cut = spaces(BOUNDARIES[boundary])
    values = place(jax.random.normal(jax.random.key(0), (24, 10)))
    for function in (
        lambda v: right_hand_side(cut, v),
        jax.grad(lambda v: jnp.sum(right_hand_side(cut, v) ** 2)),
    ):
        text = jax.jit(function).lower(values).compile().as_text()
        assert "collective-permute" in text
        assert "all-gather" not in text and "all-to-all" not in text


def test_one_axis_and_batches():
    boundary = js.Neumann(1.0)
    whole, cut = spaces(boundary, shape=(20,))
    values = jax.random.normal(jax.random.key(0), (3, 20))
    curvature = lambda space: jax.jit(jax.vmap(lambda v: js.laplacian(space.bind(v)).values))
    np.testing.assert_allclose(curvature(cut)(values), curvature(whole)(values), rtol=1e-12, atol=1e-9)
    single = js.FiniteDifference(cut.grid, boundary, order=4, mesh=mesh(1))
    np.testing.assert_allclose(curvature(single)(values), curvature(whole)(values), rtol=1e-12, atol=1e-9)


def test_bad_meshes():
    grid = js.Grid((24, 10))
    with pytest.raises(ValueError, match="at least 9 nodes per device"):
        js.FiniteDifference(grid, order=8, mesh=mesh())
    with pytest.raises(ValueError, match="multiple of 4"):
        js.FiniteDifference(js.Grid((22, 10)), mesh=mesh())
    with pytest.raises(ValueError, match="one axis"):
        js.FiniteDifference(grid, mesh=Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("a", "b")))
    with pytest.raises(TypeError, match="jax.sharding.Mesh"):
        js.FiniteDifference(grid, mesh=4)
    u = js.FiniteDifference(grid, mesh=mesh()).field(jnp.ones((2, 24, 10)))
    assert u.space.modes() is None
    with pytest.raises(TypeError, match="no mesh"):
        js.project(u)
    with pytest.raises(ValueError, match="per device"):
        js.partial(u, 0, 13)
