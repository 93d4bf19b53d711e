"""Experts and instances cut over four virtual devices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding

import jaxsim as js
from jaxsim.constraints import Chebyshev, Experts, Interface, Partition, PerExpert, TensorProduct
from jaxsim.optimize import OnFailure, Rows

POLYNOMIALS = TensorProduct([Chebyshev(3), Chebyshev(4)])
UNIT = jax.random.uniform(jax.random.PRNGKey(3), (30, 2))
MESH = jax.make_mesh((4,), ("experts",))
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")


def rows(given, box):
    """Rows that are not linear and take a different number of steps with what is given."""
    wave = lambda s: given * jnp.cos(s[0] + 2 * s[1])
    return {"values": Rows(lambda u, s: u(s[0], s[1]) + u(s[0], s[1]) ** 3 - wave(s), box.at(UNIT))}


def experts(mesh=None):
    return Experts(Partition((0.0, 0.0), (1.0, 1.0), (1, 4)), rows, on_failure=OnFailure.STOP, mesh=mesh)


def parts(experts, given, functions=POLYNOMIALS):
    """Something of each expert's own."""
    solved = experts(functions, PerExpert(given))
    values = solved.value.each(lambda u, box: u(box.lower[0], box.upper[1]) ** 2)
    return values, (solved.steps, solved.succeeded, solved.residual["values"])


def test_no_device_waits_for_another_in_values_or_gradients():
    given = jnp.array([0.1, 1.0, 3.0, 10.0])
    slope = lambda experts: jax.grad(lambda given: jnp.sum(parts(experts, given)[0]))
    both = lambda experts: jax.jit(lambda given: (parts(experts, given), slope(experts)(given)))
    compiled = both(experts(MESH)).lower(jax.device_put(given, NamedSharding(MESH, jax.P("experts")))).compile()
    text = str(compiled.as_text())
    assert "while" in text and not [name for name in COLLECTIVES if name in text]
    (values, told), slopes = compiled(jax.device_put(given, NamedSharding(MESH, jax.P("experts"))))
    (expected, told_then), slopes_then = both(experts())(given)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slopes, slopes_then, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(told[0], told_then[0])
    assert len(set(np.asarray(told[0]).tolist())) > 1 and jnp.all(told[1])
    assert values.sharding.is_equivalent_to(NamedSharding(MESH, jax.P("experts")), 1)


@pytest.mark.slow
def test_coupled_experts_serve_instances_cut_over_devices():
    coupled = Experts(Partition((0.0, 0.0), (1.0, 1.0), (1, 2)), rows, Interface(4), on_failure=OnFailure.STOP)
    at = lambda given: coupled(POLYNOMIALS, given).value(jnp.array(0.3), jnp.array(0.4))
    both = jax.value_and_grad(at)
    given = jax.device_put(jnp.linspace(0.5, 2.0, 8), NamedSharding(MESH, jax.P("experts")))
    cut = jax.jit(js.ensemble(both, MESH))
    text = str(cut.lower(given).compile().as_text())
    assert not [name for name in COLLECTIVES if name in text]
    for found, expected in zip(cut(given), jax.jit(jax.vmap(both))(jnp.linspace(0.5, 2.0, 8))):
        np.testing.assert_allclose(found, expected, rtol=1e-11)


class Shared(eqx.Module):
    """Polynomials with numbers that all experts share."""

    scale: jax.Array

    def __call__(self, t, x):
        return POLYNOMIALS(t, x) * jnp.exp(self.scale * t)


@pytest.mark.slow
def test_a_gradient_in_what_all_share_is_one_sum_over_devices():
    given = jnp.array([0.1, 1.0, 3.0, 10.0])
    loss = lambda experts: jax.jit(jax.grad(lambda s: jnp.sum(parts(experts, given, Shared(s))[0])))
    compiled = loss(experts(MESH)).lower(jnp.array(0.9)).compile()
    assert str(compiled.as_text()).count(" all-reduce(") == 1
    np.testing.assert_allclose(compiled(jnp.array(0.9)), loss(experts())(jnp.array(0.9)), rtol=1e-10)
    anywhere = eqx.filter_jit(
        lambda experts, g: experts(POLYNOMIALS, PerExpert(g)).value(jnp.array(0.3), jnp.array(0.6))
    )
    cut = jax.device_put(given, NamedSharding(MESH, jax.P("experts")))
    np.testing.assert_allclose(anywhere(experts(MESH), cut), anywhere(experts(), given), rtol=1e-10)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(ValueError, match="no error can be raised"):
        Experts(Partition((0.0, 0.0), (1.0, 1.0), (1, 4)), rows, mesh=MESH)
    with pytest.raises(ValueError, match="without coupling"):
        Experts(Partition((0.0, 0.0), (1.0, 1.0), (1, 4)), rows, Interface(), on_failure=OnFailure.STOP, mesh=MESH)
    three = Experts(Partition((0.0, 0.0), (1.0, 1.0), (1, 3)), rows, on_failure=OnFailure.STOP, mesh=MESH)
    with pytest.raises(ValueError, match="3 experts cannot be cut over 4 devices"):
        three(POLYNOMIALS, 1.0)
