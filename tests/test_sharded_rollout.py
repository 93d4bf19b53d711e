"""A run over four (virtual) devices is the run on one: values, gradients, and what travels between them."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import Diverged


@pytest.fixture(scope="module")
def spaces():
    mesh = jax.make_mesh((4,), ("slabs",), axis_types=(jax.sharding.AxisType.Auto,))
    grid = js.Grid((32, 32), 0.0, 2 * np.pi)
    return js.Fourier(grid), js.Fourier(grid, mesh=mesh)


def start(space):
    return space.field(lambda x, y: jnp.sin(2 * x) * jnp.cos(y) + jnp.cos(x + 3 * y))


def final(viscosity, w0):
    return js.rollout(js.equations.NavierStokesVorticity(viscosity), w0, dt=1e-2, steps=12)


def size(viscosity, w0):
    return js.norm(final(viscosity, w0))


def test_values_and_gradients_are_those_of_one_device(spaces):
    one, many = spaces
    w0, cut = start(one), js.shard(start(many))
    np.testing.assert_allclose(final(1e-2, cut).values, final(1e-2, w0).values, atol=1e-13)
    assert len(final(1e-2, cut).coefficients.sharding.device_set) == 4
    expected, slopes = (jax.grad(size, (0, 1))(1e-2, w) for w in (w0, cut))
    np.testing.assert_allclose(slopes[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(slopes[1].data.nodal, expected[1].data.nodal, atol=1e-15)


def test_fields_are_exchanged_and_never_gathered(spaces):
    program = jax.jit(jax.value_and_grad(lambda w: size(1e-2, w))).lower(js.shard(start(spaces[1])))
    text = program.compile().as_text()
    assert len(re.findall(r" all-to-all(?:-start)?\(", text)) >= 16
    assert " all-gather" not in text
    reduced = re.findall(r"= (\w+\[[\d,]*\])[^=]* all-reduce\(", text)
    assert all(shape.endswith("[]") for shape in reduced), reduced


def test_a_run_that_blows_up_raises_on_every_device(spaces):
    wild = 1e5 * js.shard(start(spaces[1]))
    with pytest.raises(Diverged, match="after"):
        js.rollout(js.equations.NavierStokesVorticity(1e-3), wild, dt=1.0, steps=8)
    with pytest.raises(eqx.EquinoxRuntimeError, match="not finite"):
        eqx.filter_jit(lambda w: js.rollout(js.equations.NavierStokesVorticity(1e-3), w, dt=1.0, steps=8))(wild)
