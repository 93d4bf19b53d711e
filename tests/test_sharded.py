"""Fields cut over four devices: equal to whole ones, and never gathered."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jaxsim as js
from jaxsim.spaces import _sharded
from jaxsim.spaces._base import fast_length
from jaxsim.spaces.sharding import error_if, map_shards, shard

MESH = Mesh(np.array(jax.devices()[:4]), ("slabs",))
PLANE = js.Grid((32, 32), 0.0, 2 * np.pi)
WHOLE, CUT = js.Fourier(PLANE), js.Fourier(PLANE, mesh=MESH)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def collectives(function, *arguments):
    """Name and largest number of elements of every collective in the compiled function."""
    text = jax.jit(function).lower(*arguments).compile().as_text()
    pattern = r" = (.*?) (all-to-all|all-gather|all-reduce|collective-permute|reduce-scatter)(?:-start)?\("
    found = []
    for result, name in re.findall(pattern, text):
        shapes = re.findall(r"\[([\d,]*)\]", result)
        found.append((name, max(int(np.prod([int(n) for n in s.split(",") if n])) for s in shapes)))
    return found


def assert_never_gathered(function, *arguments, exchanges=True):
    found = collectives(function, *arguments)
    assert ("all-to-all" in {name for name, _ in found}) == exchanges
    # Beside the exchanges only single numbers travel: health checks, means, and losses.
    assert all(size == 1 for name, size in found if name != "all-to-all"), found
    assert all(name in ("all-to-all", "all-reduce") for name, _ in found), found


def vorticity_rate(space):
    """Basdevant's four-transform form of the vorticity equation, on coefficients."""

    def rate(coefficients):
        w = space.from_coefficients(coefficients)
        u = js.curl(-js.inverse_laplacian(w))
        shear, stretch = u[0] * u[1], u[0] * u[0] - u[1] * u[1]
        mixed = js.partial(js.partial(stretch, 0), 1) + js.partial(shear, 1, 2) - js.partial(shear, 0, 2)
        return space.state(0.01 * js.laplacian(w) + mixed)

    return rate


def healthy_run(space, steps=10, dt=1e-3):
    """Euler steps in a doubly checkpointed scan, each taken only while the state is finite."""
    rate = vorticity_rate(space)

    @jax.checkpoint
    def step(w, _):
        healthy = jnp.isfinite(w).all()
        return jax.lax.cond(healthy, lambda w: w + dt * rate(w), lambda w: w, w), healthy

    @jax.checkpoint
    def block(w, _):
        return jax.lax.scan(step, w, None, length=2)

    def run(w):
        return jax.lax.scan(block, w, None, length=steps // 2)

    return run


def energy(space):
    def loss(w):
        final, _ = healthy_run(space)(w)
        return jnp.mean(space.from_coefficients(final).values ** 2)

    return loss


def start(scale=1.0):
    """Coefficients of a rough field, whole and cut."""
    w = scale * WHOLE.field(noise(32, 32)).coefficients
    return w, shard(CUT.from_coefficients(w)).coefficients


# -- transforms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(32, 48), (16, 16, 16), (12, 10, 16), (32, 31)])
@pytest.mark.parametrize("components", [(), (2,), (2, 3)])
def test_transforms_equal_those_of_one_device(shape, components):
    grid = js.Grid(shape)
    whole, cut = js.Fourier(grid), js.Fourier(grid, mesh=MESH)
    values = noise(*components, *shape)
    expected, spectrum = (jax.jit(space._to_spectrum)(jnp.asarray(values)) for space in (whole, cut))
    assert spectrum.sharding.spec == PartitionSpec(*[None] * (values.ndim - 1), "slabs")
    np.testing.assert_allclose(spectrum, expected, rtol=0, atol=1e-15)
    for nodes in (grid.shape, cut.padded_shape):
        nodal = jax.jit(lambda s, nodes=nodes: cut._to_nodes(s, nodes))(spectrum)
        assert nodal.sharding.spec[len(components)] == "slabs"
        np.testing.assert_allclose(nodal, whole._to_nodes(expected, nodes), rtol=0, atol=1e-13)


def test_complex_fields_on_an_odd_number_of_devices():
    three = Mesh(np.array(jax.devices()[:3]), ("slabs",))
    grid = js.Grid((12, 10))  # nine modes on the last axis
    whole, cut = js.Fourier(grid, real=False), js.Fourier(grid, real=False, mesh=three)
    values = noise(12, 10) + 1j * noise(12, 10, seed=1)
    np.testing.assert_allclose(cut.field(values).coefficients, whole.field(values).coefficients, rtol=0, atol=1e-15)
    products = [(f * f).values for f in (whole.field(values), cut.field(values))]
    np.testing.assert_allclose(products[1], products[0], rtol=0, atol=1e-13)


def test_single_precision_stays_single():
    field = CUT.field(noise(32, 32).astype(np.float32))
    assert field.coefficients.dtype == jnp.complex64 and (field * field).values.dtype == jnp.float32


def test_transforms_are_linear_maps_with_the_right_transposes():
    u, v = jnp.asarray(noise(2, 32, 32)), jnp.asarray(noise(2, 32, 32, seed=1))
    for function in (lambda x: jnp.real(CUT._to_spectrum(x)), lambda x: CUT._to_nodes(CUT._to_spectrum(x), (48, 48))):
        out, vjp = jax.vjp(function, u)
        tangent = jax.jvp(function, (u,), (v,))[1]
        np.testing.assert_allclose(jnp.vdot(out, tangent), jnp.vdot(vjp(out)[0], v), rtol=1e-12)


# -- calculus ------------------------------------------------------------------------------------------------

WORDS = {
    "laplacian": js.laplacian,
    "advect": lambda u: js.advect(u, u),
    "project": js.project,
    "product": lambda u: u * u,
    "curl": js.curl,
    "array": lambda u: u * jnp.cos(jnp.arange(u.space.grid.shape[-1])) + 1.0,
}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("shape", [(32, 24), (16, 12, 16)])
def test_calculus_equals_that_of_whole_fields(word, shape):
    grid = js.Grid(shape, 0.0, 2 * np.pi)
    values = noise(len(shape), *shape)
    whole, cut = js.Fourier(grid).field(values), shard(js.Fourier(grid, mesh=MESH).field(values))
    function = lambda u: WORDS[word](u).values
    expected = function(whole)
    np.testing.assert_allclose(jax.jit(function)(cut), expected, rtol=0, atol=1e-13 * float(jnp.abs(expected).max()))
    assert_never_gathered(function, cut)


def test_numbers_read_off_cut_fields():
    whole, cut = WHOLE.field(noise(2, 32, 32)), shard(CUT.field(noise(2, 32, 32)))
    modal = lambda u: u.space.from_coefficients(u.coefficients)
    for read in (js.mean, js.norm, lambda u: js.mean(modal(u)), lambda u: modal(u)(0.3, 1.2)):
        np.testing.assert_allclose(jax.jit(read)(cut), read(whole), rtol=1e-12, atol=1e-15)


def test_vmap_equals_a_loop():
    batch = jnp.stack([start(scale)[0] for scale in (0.5, 1.0, 2.0)])
    rates = jax.jit(jax.vmap(vorticity_rate(CUT)))(batch)
    np.testing.assert_allclose(rates, jnp.stack([vorticity_rate(WHOLE)(w) for w in batch]), rtol=0, atol=1e-13)
    assert_never_gathered(jax.vmap(vorticity_rate(CUT)), batch)


# -- runs and gradients --------------------------------------------------------------------------------------


def test_a_right_hand_side_has_four_exchanges_and_nothing_else():
    whole, cut = start()
    np.testing.assert_allclose(jax.jit(vorticity_rate(CUT))(cut), vorticity_rate(WHOLE)(whole), rtol=0, atol=1e-14)
    found = collectives(vorticity_rate(CUT), cut)
    assert [name for name, _ in found] == ["all-to-all"] * 4
    # An exchange moves the compact axes: each piece is one of padded nodes, 48 over 4, times modes, 16 over 4.
    assert max(size for _, size in found) == 12 * 4


def test_gradient_of_a_checkpointed_run():
    whole, cut = start()
    value, gradient = jax.jit(jax.value_and_grad(energy(WHOLE)))(whole)
    cut_value, cut_gradient = jax.jit(jax.value_and_grad(energy(CUT)))(cut)
    np.testing.assert_allclose(cut_value, value, rtol=1e-13)
    np.testing.assert_allclose(cut_gradient, gradient, rtol=0, atol=1e-13 * float(jnp.abs(gradient).max()))
    assert cut_gradient.sharding.spec == PartitionSpec(None, "slabs")
    assert_never_gathered(jax.grad(energy(CUT)), cut)


def test_gradient_against_finite_differences():
    w = start()[1]
    direction = CUT.field(noise(32, 32, seed=2)).coefficients
    loss = jax.jit(energy(CUT))
    slope = (loss(w + 1e-5 * direction) - loss(w - 1e-5 * direction)) / 2e-5
    # JAX's gradient of a real function of complex numbers is the conjugate of the steepest direction.
    np.testing.assert_allclose(jnp.real(jnp.sum(jax.grad(loss)(w) * direction)), slope, rtol=1e-7)


def test_health_check_stops_a_cut_run():
    cut = start()[1]
    run = jax.jit(healthy_run(CUT))
    assert run(cut)[1].all()
    final, healthy = run(cut.at[3, 3].set(jnp.nan))
    assert not healthy.any() and jnp.isnan(final).sum() == 1


# -- raising -------------------------------------------------------------------------------------------------


def checked_run(field):
    final = field.space.from_coefficients(healthy_run(field.space)(field.coefficients)[0])
    return error_if(final, ~jnp.isfinite(final.coefficients).all(), "the run is not finite")


def checked_steps(field):
    def step(w, _):
        w = field.space.from_coefficients(w + 1e-3 * vorticity_rate(field.space)(w))
        return error_if(w, ~jnp.isfinite(w.coefficients).all(), "the run is not finite").coefficients, None

    return field.space.from_coefficients(jax.lax.scan(jax.checkpoint(step), field.coefficients, None, length=4)[0])


@pytest.mark.parametrize("checked", [checked_run, checked_steps])
def test_all_devices_raise_and_live_on(checked):
    good = shard(CUT.field(noise(32, 32)))
    bad = shard(CUT.field(np.where(np.arange(32) == 3, np.nan, noise(32, 32))))
    function = eqx.filter_jit(lambda u: checked(u).values)
    gradient = eqx.filter_jit(eqx.filter_grad(lambda u: jnp.mean(checked(u).values ** 2)))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="the run is not finite"):
            jax.block_until_ready(function(bad))
        with pytest.raises(RuntimeError, match="the run is not finite"):
            jax.block_until_ready(gradient(bad))
        assert jnp.isfinite(function(good)).all() and jnp.isfinite(gradient(good).data.nodal).all()
    assert_never_gathered(lambda u: checked(u).values, good)


def test_error_if_of_mixed_and_whole_values():
    cut, whole = shard(CUT.field(noise(2, 32, 32))), WHOLE.field(noise(32, 32))
    value = {"field": cut, "number": jnp.asarray(2.0), "whole": whole}
    guard = eqx.filter_jit(lambda v, bound: error_if(v, value["number"] < bound, "too small"))
    for part in (whole, value):
        with pytest.raises(RuntimeError, match="too small"):
            jax.block_until_ready(guard(part, 3.0))
        assert jax.tree.all(jax.tree.map(jnp.array_equal, guard(part, 1.0), part))


# -- placing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_meshes_of_both_kinds(kind):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,))
    space = js.Fourier(PLANE, mesh=mesh)
    field = shard(space.field(noise(32, 32)) * 2.0 + 1.0)
    assert field.data.nodal.sharding.spec == PartitionSpec("x", None)
    product = shard(field * field)
    assert product.data.padded.sharding.spec == PartitionSpec("x", None)
    modal = jax.jit(lambda u: shard(space.from_coefficients(u.coefficients)))(product)
    assert modal.data.modal.sharding.spec == PartitionSpec(None, "x")
    whole = WHOLE.field(noise(32, 32)) * 2.0 + 1.0
    np.testing.assert_allclose(modal.values, (whole * whole).values, rtol=0, atol=1e-13)


def test_explicit_arrays_need_placing():
    mesh = jax.make_mesh((4,), ("x",), axis_types=(AxisType.Explicit,))
    values = jax.device_put(noise(32, 32), NamedSharding(mesh, PartitionSpec("x", None)))
    field = js.Fourier(PLANE, mesh=mesh).field(values)
    with pytest.raises(ValueError, match="js.shard"):
        _ = field.coefficients
    np.testing.assert_allclose(shard(field).coefficients, WHOLE.field(noise(32, 32)).coefficients, rtol=0, atol=1e-15)


def test_shard_refuses_what_it_cannot_place():
    with pytest.raises(TypeError, match="Field"):
        shard(jnp.ones((32, 32)))
    with pytest.raises(ValueError, match="no mesh"):
        shard(WHOLE.field(noise(32, 32)))


def test_transforms_refuse_to_run_inside_shard_map():
    spec = PartitionSpec("slabs")
    with pytest.raises(ValueError, match="inside `shard_map`"):
        map_shards(lambda v: CUT.field(jnp.ones((32, 32))).coefficients * v.sum(), MESH, (spec,), spec)(jnp.ones(4))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(grid=js.Grid((32, 32)), mesh=Mesh(np.array(jax.devices()[:4]).reshape(2, 2), ("a", "b"))), "one axis"),
        (dict(grid=js.Grid(32), mesh=MESH), "two or three dimensions"),
        (dict(grid=js.Grid((30, 32)), mesh=MESH), "multiple of 4, such as 32"),
        (dict(grid=js.Grid((32, 36)), mesh=MESH), "half is a multiple of 4, such as 40"),
        (dict(grid=js.Grid((32, 32)), mesh=MESH, real=False), "complex field"),
        (dict(grid=js.Grid((28, 32)), mesh=MESH, dealias=1.5), "padded nodes"),
    ],
)
def test_meshes_that_do_not_fit(arguments, message):
    with pytest.raises(ValueError, match=message):
        js.Fourier(**arguments)


def test_mesh_must_be_a_mesh():
    with pytest.raises(TypeError, match="jax.sharding.Mesh"):
        js.Fourier(PLANE, mesh=4)


def test_next_multiple():
    assert [_sharded.next_multiple(n, 1) for n in (1, 33, 97)] == [fast_length(n) for n in (1, 33, 97)]
    assert [_sharded.next_multiple(n, 4) for n in (45, 46, 49, 97)] == [48, 48, 56, 100]
    assert [_sharded.next_multiple(n, 11) for n in (1, 23, 100)] == [22, 44, 110]  # a prime that FFTs do not like
    assert _sharded.next_multiple(50, 3) == 54
