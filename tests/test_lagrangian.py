"""Fields along moving labels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.optimize import LevenbergMarquardt, partition
from jaxsim.pinn import Lagrangian, LagrangianResidual, along_labels

PERIOD = 2 * np.pi


def network(key, width=6, depth=1, harmonics=1):
    inner = eqx.nn.MLP(Embedded.size([True], harmonics), "scalar", width, depth, jnp.tanh, key=jax.random.key(key))
    return Embedded(inner, (0.0, 1.0), (0.0,), (PERIOD,), (True,), harmonics)


def made(initial=jnp.sin, **options):
    return Lagrangian(FromInitial(network(0, **options), initial), network(1, **options), PERIOD)


def points(count, key=2):
    return jax.random.uniform(jax.random.key(key), (count, 2)) * jnp.array([1.0, PERIOD])


def test_labels_are_where_they_are_found():
    model = Lagrangian(network(0), lambda t, xi: 50 + 0.7 * jnp.sin(xi), PERIOD, t0=jnp.array(0.25))
    times, labels = points(16).T
    found = jax.jit(jax.vmap(lambda t, xi: model.label(t, model.position(t, xi))))(times, labels)
    np.testing.assert_allclose(found, labels, rtol=0, atol=1e-12)
    assert len(jax.tree.leaves(partition(model)[0])) == 4  # the array t0 is not among them


def test_derivatives_along_labels_are_those_in_place():
    model = made()
    velocity = lambda t, x, u: u + 0.3 * jnp.sin(x)
    equation = js.equations.KortewegDeVries()  # derivatives to the third, and a product

    @jax.jit
    def both(t, xi):
        place = model.position(t, xi)
        field = lambda t, x: model.values(t, model.label(t, x, guess=xi))
        slope = jax.jvp(lambda x: field(t, x), (place,), (jnp.ones_like(place),))[1]
        lag, left = LagrangianResidual(equation, velocity)(model, jnp.stack([t, xi]))
        return left, js.residual(equation, js.Function(field))(t, place) + lag * slope, lag

    left, expected, lag = both(0.7, 1.3)
    np.testing.assert_allclose(left, expected, rtol=1e-11)
    assert abs(lag) > 0.1


def test_diffusion_has_the_metric_of_its_labels():
    """The heat equation, solved exactly, as seen from labels that move in some way."""
    displacement = lambda t, xi: 0.5 * jnp.sin(xi) + 0.2 * t
    place = lambda t, xi: xi + t * displacement(t, xi)
    exact = lambda t, x: jnp.exp(-0.3 * t) * jnp.sin(x)
    model = Lagrangian(lambda t, xi: exact(t, place(t, xi)), displacement, PERIOD)
    block = along_labels(js.equations.Diffusion(0.3), lambda t, x, u: 0.1, points(8))
    lag, left = jax.jit(lambda: block.values(model))().T
    t, xi = np.asarray(points(8)).T
    np.testing.assert_allclose(lag, 0.5 * np.sin(xi) + 0.4 * t - 0.1, rtol=0, atol=1e-14)
    slope = np.exp(-0.3 * t) * np.cos(xi + t * (0.5 * np.sin(xi) + 0.2 * t))
    np.testing.assert_allclose(left, lag * slope, rtol=0, atol=1e-13)  # u_t = 0.3 u_xx, less what the motion adds


def test_pure_convection_is_the_motion_of_labels():
    still = FromInitial(lambda t, xi: 0.0 * xi, jnp.sin)
    model = Lagrangian(still, lambda t, xi: 50.0 + 0.0 * xi, PERIOD)
    block = along_labels(js.equations.Advection(50.0), lambda t, x, u: 50.0, points(8))
    assert np.max(np.abs(jax.jit(lambda: block.values(model))())) < 1e-12
    t, x = 20 * points(8).T  # labels are found from any period
    np.testing.assert_allclose(jax.jit(jax.vmap(model))(t, x), np.sin(x - 50 * t), rtol=0, atol=1e-11)


@pytest.mark.slow
def test_pure_convection_is_learned_to_rounding():
    blocks = [along_labels(js.equations.Advection(50.0), lambda t, x, u: 50.0, points(60))]
    method, model = LevenbergMarquardt(damping=1e-6), made()
    state, step = method.init(blocks, model), eqx.filter_jit(method.step)
    for _ in range(5):
        model, state = step(blocks, model, state)
    assert state.loss < 1e-25
    x = PERIOD * np.arange(16) / 16
    found = jax.jit(jax.vmap(model, (None, 0)))(0.9, x)
    np.testing.assert_allclose(found, np.sin(x - 45.0), rtol=0, atol=1e-12)
    model.check([0.0, 1.0])


@pytest.mark.slow
def test_a_front_that_steepens_while_it_moves():
    """Viscous Burgers, u0 = 50 + sin x, against the same without the 50 on modes, moved by 50 t."""
    start, count = lambda x: 50 + jnp.sin(x), 128
    space = js.Fourier(js.Grid(count, 0.0, PERIOD))
    at_rest = js.rollout(js.equations.Burgers(0.01), space.field(jnp.sin), dt=1e-3, steps=700).values
    model = made(start, width=10, depth=2, harmonics=2)
    blocks = [along_labels(js.equations.Burgers(0.01), lambda t, x, u: u, points(300) * jnp.array([0.7, 1.0]))]
    method = LevenbergMarquardt(damping=1e-6)
    state, step = method.init(blocks, model), eqx.filter_jit(method.step)
    for _ in range(30):
        model, state = step(blocks, model, state)
    model.check(np.linspace(0, 0.7, 8))
    x = PERIOD * np.arange(count) / count
    found = jax.jit(jax.vmap(model, (None, 0)))(0.7, x + 35.0) - 50
    assert np.linalg.norm(found - at_rest) < 1e-3 * np.linalg.norm(at_rest)


def test_labels_that_cross_are_noticed():
    free = Lagrangian(lambda t, xi: jnp.sin(xi), lambda t, xi: jnp.sin(xi), PERIOD)  # Burgers without viscosity
    free.check([0.0, 0.5, 0.99])
    with pytest.raises(ValueError, match="labels have crossed, X_xi = -0.5 at t = 1.5 and xi = 3.14"):
        free.check([0.5, 1.5])
    assert abs(free(0.9, np.pi)) < 1e-12
    with pytest.raises(eqx.EquinoxRuntimeError, match="labels have crossed"):
        eqx.filter_jit(free)(1.5, jnp.pi)


def test_bad_input():
    with pytest.raises(ValueError, match="`period` must be positive"):
        Lagrangian(jnp.sin, jnp.sin, 0.0)
    with pytest.raises(ValueError, match="`displacement` must be scalar"):
        Lagrangian(lambda t, xi: xi, lambda t, xi: jnp.ones(2), 1.0).position(0.0, 1.0)
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        along_labels(js.equations.Burgers(0.1), lambda t, x, u: u, jnp.ones((3, 3)))
    with pytest.raises(TypeError, match="must be a Lagrangian"):
        along_labels(js.equations.Burgers(0.1), lambda t, x, u: u, jnp.ones((3, 2))).values(lambda t, x: x)
    with pytest.raises(ValueError, match="must be scalar"):
        pair = Lagrangian(lambda t, xi: jnp.ones(2), lambda t, xi: 0 * xi, 1.0)
        along_labels(js.equations.Burgers(0.1), lambda t, x, u: u[0], jnp.ones((3, 2))).values(pair)
    with pytest.raises(ValueError, match="one spatial axis"):
        flat = Lagrangian(lambda t, xi: xi, lambda t, xi: 0 * xi, 1.0)
        along_labels(Plane(), lambda t, x, u: u, jnp.ones((3, 2))).values(flat)


class Plane(js.Equation):
    def nonlinear(self, t, u):
        return js.partial(u, 1)
