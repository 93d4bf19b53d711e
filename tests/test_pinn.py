"""Physics-informed networks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.optimize import LevenbergMarquardt, Rows
from jaxsim.pinn import CausalWeights, collocation

TIMES = jnp.linspace(0, 1, 24)
SQUARES = jax.random.uniform(jax.random.key(0), (24,)) + 0.1


def test_causal_weights_begin_at_one_and_never_increase():
    weights = CausalWeights(2.0, 6)(SQUARES, TIMES)
    np.testing.assert_allclose(weights[:4], 1.0)
    assert np.all(np.diff(weights) <= 0) and weights[-1] < 0.1
    means = np.asarray(SQUARES).reshape(6, 4).mean(1)
    np.testing.assert_allclose(weights[::4], np.exp(-2.0 * (np.cumsum(means) - means)), rtol=1e-12)


def test_causal_weights_know_nothing_of_later_residuals():
    causal = CausalWeights(2.0, 6)
    later = causal(SQUARES.at[12:].mul(7.0), TIMES)
    np.testing.assert_array_equal(later[:16], causal(SQUARES, TIMES)[:16])
    assert np.all(later[16:] < causal(SQUARES, TIMES)[16:])


def test_causal_weights_go_with_their_samples_in_any_order():
    order = jax.random.permutation(jax.random.key(1), 24)
    causal = CausalWeights(2.0, 6)
    np.testing.assert_allclose(causal(SQUARES[order], TIMES[order]), causal(SQUARES, TIMES)[order], rtol=1e-12)


def test_initial_values_gate_and_no_gradient_passes():
    causal = CausalWeights(2.0, 6)
    np.testing.assert_allclose(causal(SQUARES, TIMES, 0.5), np.exp(-1.0) * causal(SQUARES, TIMES), rtol=1e-12)
    gradient = jax.grad(lambda s, i: jnp.sum(causal(s, TIMES, i)), (0, 1))(SQUARES, 0.5)
    assert np.all(gradient[0] == 0) and gradient[1] == 0


def test_another_epsilon_takes_effect_without_compiling_again():
    weigh = eqx.filter_jit(eqx.debug.assert_max_traces(lambda c: c(SQUARES, TIMES), max_traces=1))
    first, second = weigh(CausalWeights(1.0, 6)), weigh(CausalWeights(10.0, 6))
    np.testing.assert_allclose(second, first**10, rtol=1e-9)


def network(size, key=0):
    return eqx.nn.MLP(size, "scalar", 8, 2, jnp.tanh, key=jax.random.key(key))


def test_rows_are_the_residual_of_the_equation():
    points = jnp.array([[0.1, 0.2], [0.5, -0.3]])
    model = lambda t, x: jnp.exp(-t) * jnp.sin(x)
    block = collocation(js.equations.Burgers(0.01), points)
    expected = [js.residual(js.equations.Burgers(0.01), js.Function(model))(*p) for p in points]
    np.testing.assert_allclose(block.values(model), expected, rtol=1e-12)
    weighted = CausalWeights(3.0, 2).of(block, model, points[:, 0])
    np.testing.assert_allclose(weighted.weight, [1.0, np.exp(-3.0 * expected[0] ** 2)], rtol=1e-12)


class Unknown(eqx.Module):
    """A network, and the viscosity of the equation that it obeys."""

    network: eqx.Module
    logarithm: jax.Array


@pytest.mark.slow
def test_heat_is_solved_and_its_diffusivity_found():
    exact = lambda t, x: jnp.exp(-0.3 * jnp.pi**2 * t) * jnp.sin(jnp.pi * x)
    inner = Embedded(network(Embedded.size([True])), (0.0, 1.0), (-1.0,), (1.0,), (True,))
    field = FromInitial(inner, lambda x: jnp.sin(jnp.pi * x))
    points = jax.random.uniform(jax.random.key(2), (200, 2)) * jnp.array([1.0, 2.0]) - jnp.array([0.0, 1.0])
    equation = lambda model: js.equations.Diffusion(jnp.exp(model.logarithm))
    blocks = [collocation(equation, points, field=lambda model: model.network),
              Rows(lambda model, p: model.network(p[0], p[1]) - exact(p[0], p[1]), points[:20])]  # fmt: skip
    method, model = LevenbergMarquardt(), Unknown(field, jnp.log(1.0))
    state, step = method.init(blocks, model), eqx.filter_jit(method.step)
    for _ in range(60):
        model, state = step(blocks, model, state)
    errors = [model.network(t, x) - exact(t, x) for t, x in points[100:110]]
    assert np.max(np.abs(errors)) < 2e-4 and abs(jnp.exp(model.logarithm) - 0.3) < 1e-4


def test_bad_input():
    with pytest.raises(ValueError, match="equal chunks"):
        CausalWeights(1.0, 5)(SQUARES, TIMES)
    with pytest.raises(ValueError, match="not be negative"):
        CausalWeights(-1.0, 4)
    with pytest.raises(ValueError, match="one square"):
        CausalWeights(1.0, 4)(SQUARES, TIMES[:4])
    with pytest.raises(ValueError, match="time first"):
        collocation(js.equations.Burgers(0.01), jnp.zeros(3))
