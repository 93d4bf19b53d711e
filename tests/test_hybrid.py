"""Known equations with learned terms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.neural_de import GlobalError, Hybrid, Integrator, Pointwise


class Reaction(eqx.Module):
    """A term that is known, written as a network would be."""

    rate: jax.Array

    def __call__(self, u):
        return -self.rate * u * u


def network(size, key=0):
    return eqx.nn.MLP(size, size, 8, 1, jnp.tanh, key=jax.random.key(key))


def test_a_learned_term_that_is_known():
    space = js.Fourier(js.Grid(16, 0.0, 2 * jnp.pi))
    u0 = space.field(lambda x: 1.0 + 0.3 * jnp.sin(x))
    hybrid = Hybrid(js.equations.FisherKPP(0.1, 0.0), Pointwise(Reaction(jnp.asarray(0.5))))

    class Whole(js.Equation):
        def linear(self, u):
            return 0.1 * js.laplacian(u)

        def nonlinear(self, t, u):
            return -0.5 * u * u

    ends = [js.rollout(equation, u0, dt=0.05, steps=20).values for equation in (hybrid, Whole())]
    np.testing.assert_allclose(*ends, atol=1e-12)
    u = js.Function(lambda t, x: jnp.exp(-t) * jnp.sin(x))
    np.testing.assert_allclose(*(js.residual(e, u)(0.3, 1.0) for e in (hybrid, Whole())), atol=1e-12)


def test_a_system_at_a_point_and_on_a_grid_agree():
    learned = Pointwise(network(2))
    equation = Hybrid(js.equations.FitzHughNagumo(0.1, 0.05), learned)
    space = js.FiniteDifference(js.Grid(4, 0.0, 1.0))
    grid = js.rollout(equation, space.field(lambda x: jnp.stack([0.3 + 0 * x, 0.1 + 0 * x])), dt=0.05, steps=10)
    u = js.Function(lambda t, x: jnp.stack([0.3 + 0 * x, 0.1 + 0 * x]))
    np.testing.assert_allclose(np.ptp(grid.values, axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(Pointwise(network(2))(0.0, js.Point().field([0.3, 0.1])).values,
                               network(2)(jnp.array([0.3, 0.1])), atol=1e-14)  # fmt: skip
    here = js.residual(equation, u)(0.0, 0.5)
    there = js.residual(equation, space.field(lambda x: jnp.stack([0.3 + 0 * x, 0.1 + 0 * x])))(0.0).values[:, 0]
    np.testing.assert_allclose(here, there, atol=1e-12)


def test_gradient_with_respect_to_both_parts():
    space = js.Fourier(js.Grid(8, 0.0, 2 * jnp.pi))
    u0 = space.field(lambda x: jnp.sin(x))
    equation = Hybrid(js.equations.Burgers(0.1), Pointwise(Reaction(jnp.asarray(0.5))))

    def loss(scale):
        scaled = jax.tree.map(lambda a: a * scale, equation)
        return js.norm(js.rollout(scaled, u0, dt=0.05, steps=10)) ** 2

    difference = (loss(1 + 1e-5) - loss(1 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(loss)(1.0), difference, rtol=1e-7)


@pytest.mark.slow
def test_a_penalty_on_a_partial_differential_equation():
    space = js.Fourier(js.Grid(16, 0.0, 2 * jnp.pi))
    y0 = space.state(space.field(lambda x: jnp.sin(x)))
    equation = Hybrid(js.equations.Burgers(0.1), Pointwise(network(1)))
    integrator = Integrator(solver=js.integrate.Krogstad4(), regularizer=GlobalError())

    def penalty(equation):
        return integrator(js.SemilinearTerm(equation, space).for_state(y0), 0.0, 1.0, y0)[1].penalty

    value, gradient = eqx.filter_value_and_grad(penalty)(equation)
    size = max(jnp.max(jnp.abs(g)) for g in jax.tree.leaves(gradient.learned))
    assert value > 0 and jnp.isfinite(size) and size > 0


def test_bad_parts_are_refused():
    with pytest.raises(ValueError, match="no right-hand side"):
        Hybrid(js.equations.NavierStokesPressure(0.1), Pointwise(network(3)))
    with pytest.raises(TypeError, match="must be a js.Equation"):
        Hybrid(lambda t, y: y, Pointwise(network(2)))
    with pytest.raises(ValueError, match="one per component"):
        Pointwise(eqx.nn.MLP(2, 3, 8, 1, key=jax.random.key(0)))(0.0, js.Point().field([0.3, 0.1]))
    with pytest.raises(TypeError, match="returned components"):
        twice = Hybrid(js.equations.LotkaVolterra(1.0, 1.0, 1.0, 1.0), lambda t, u: (u, u))
        js.residual(twice, js.Point().field([1.0, 2.0]))(0.0)


def test_a_learned_term_is_dealiased_by_its_degree():
    u = js.Fourier(js.Grid(8)).field(lambda x: jnp.sin(2 * jnp.pi * x))
    for degree in (2, 5):
        assert u.space.peak(Pointwise(Reaction(jnp.asarray(0.5)), degree)(0.0, u)) == degree
    assert Pointwise(Reaction(jnp.asarray(0.5))).degree == 2
