"""Bodies in a flow: shapes, penalization, forces, and gradients with respect to a shape."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.geometry import Ball, Block, Ellipsoid, Union, smooth_fraction
from jaxsim.integrate import IMEXRK2


def test_signed_distances():
    x, y = jnp.array([0.0, 3.0, 1.0]), jnp.array([0.0, 4.0, 0.0])
    np.testing.assert_allclose(Ball((0, 0), 2.0)(x, y), [-2.0, 3.0, -1.0])
    np.testing.assert_allclose(Block((0.0, 0.0), (2.0, 4.0))(x, y), [-1.0, np.hypot(2, 2), 0.0])
    np.testing.assert_allclose(Block((0.0, 0.0), (2.0, 4.0), 0.5)(jnp.array(1.0), jnp.array(0.3)), 0.0, atol=1e-15)
    both = Union(Ball((0, 0), 2.0), Ball((3.0, 4.0), 1.0))
    np.testing.assert_allclose(both(x, y), [-2.0, -1.0, -1.0])
    shape = Ellipsoid((0.1, 0.2, 0.3), (1.0, 2.0, 0.5))
    on_surface = [0.1 + 1.0 * 0.48, 0.2 + 2.0 * 0.6, 0.3 + 0.5 * 0.64]
    gradient = jax.grad(lambda p: shape(*p))(jnp.array(on_surface))
    assert abs(shape(*on_surface)) < 1e-15
    np.testing.assert_allclose(jnp.linalg.norm(gradient), 1.0, rtol=1e-12)
    assert np.all(np.isfinite(jax.grad(lambda c: Ball(c, 1.0)(0.0, 0.0))(jnp.zeros(2))))


def test_solid_fraction_is_smooth_and_exact_beyond_its_layer():
    d = jnp.linspace(-2, 2, 401)
    chi = smooth_fraction(d, 0.5)
    assert np.all(chi[d <= -0.5] == 1) and np.all(chi[d >= 0.5] == 0) and np.all(jnp.diff(chi) <= 0)
    np.testing.assert_allclose(jnp.trapezoid(chi, d), 2.0, rtol=1e-9)
    slope = jax.vmap(jax.grad(jax.grad(lambda s: smooth_fraction(s, 0.5))))(jnp.array([-0.5 + 1e-7, 0.5 - 1e-7]))
    np.testing.assert_allclose(slope, 0.0, atol=1e-4)


@pytest.mark.parametrize("make", (js.Fourier, js.Staggered))
def test_force_on_a_body_balances_what_drives_the_flow(make):
    """At a steady state the drag of the body is the body force on the whole box, whatever the space."""
    space = make(js.Grid((16, 16), 0.0, 1.0))
    body = js.equations.Obstacle(Ball((0.5, 0.5), 0.2), relaxation=2e-3, width=0.1)
    flow = js.equations.NavierStokesVelocity(0.5, forcing=js.equations.uniform_force((0.3, 0.1)), obstacle=body)
    u = js.rollout(flow, space.field(lambda x, y: [0 * x, 0 * x]), dt=2e-3, steps=2000, solver=IMEXRK2())
    force = body.force(0.0, u)
    np.testing.assert_allclose(force, [0.3, 0.1], rtol=1e-7)
    inside = body.fraction(*space.coordinates()) == 1
    assert jnp.abs(u.values[:, inside]).max() < 0.2 * jnp.abs(u.values).max()


def channel(radius=0.15, center=0.5, speed=1.0):
    inflow = js.Inflow(lambda t, x, y: (speed * y * (1 - y), 0 * y))
    space = js.Staggered(js.Grid((16, 8), 0.0, (2.0, 1.0)), ((inflow, js.Outflow()), js.NoSlip()))
    body = js.equations.Obstacle(Ball((0.6, center), radius), relaxation=0.02, width=0.12)
    return space, js.equations.NavierStokesVelocity(0.05, obstacle=body)


@pytest.mark.slow
def test_gradient_of_drag_with_respect_to_the_shape():
    @jax.jit
    def drag(numbers):
        space, flow = channel(*numbers)
        u = js.rollout(flow, space.field(lambda x, y: (y * (1 - y), 0 * y)), dt=0.01, steps=10, solver=IMEXRK2())
        return jnp.dot(flow.obstacle.force(0.1, u), jnp.array([1.0, 0.3]))

    numbers, step = jnp.array([0.15, 0.52]), 1e-5
    exact = jax.grad(drag)(numbers)
    for i in range(2):
        shift = step * jnp.eye(2)[i]
        difference = (drag(numbers + shift) - drag(numbers - shift)) / (2 * step)
        np.testing.assert_allclose(exact[i], difference, rtol=1e-6)


def walled_body(radius=0.2):
    ball, profile = Ball((0.6, 0.5), radius), lambda x, y: (4 * y * (1 - y), 0 * y)
    sides = ((js.Inflow(lambda t, x, y: profile(x, y)), js.Outflow()), js.NoSlip())
    space = js.Staggered(js.Grid((20, 10), 0.0, (2.0, 1.0)), sides, body=js.Body(ball, 0.1))
    flow = js.equations.NavierStokesVelocity(0.05, obstacle=js.equations.Obstacle(ball, 0.02, 0.1))
    return flow, js.rollout(flow, space.field(profile), dt=0.01, steps=5, solver=IMEXRK2())


def test_nothing_leaks_into_a_body():
    flow, u = walled_body(0.25)
    assert jnp.abs(js.div(u).values).max() < 1e-8
    alpha = u.space.body.apertures(*u[0].space.coordinates())
    inflow = jnp.sum(4 * u[0].space.nodes(1) * (1 - u[0].space.nodes(1)))
    np.testing.assert_allclose(jnp.sum(alpha * u[0].values, 1), inflow, rtol=1e-8)  # as much through every section
    scalar = u.space.scalar()
    inside = u.space.body.shape(*scalar.coordinates()) < -0.15  # cells whose faces are all shut
    change = js.advect(u, scalar.field(lambda x, y: jnp.where(u.space.body.shape(x, y) < -0.15, 1.0, 0.0)))
    assert inside.sum() >= 4 and jnp.all(change.values[inside] == 0)


@pytest.mark.slow
def test_gradient_through_the_pressure_around_a_body():
    drag = jax.jit(lambda radius: (lambda flow, u: flow.obstacle.force(0.0, u)[0])(*walled_body(radius)))
    difference = (drag(0.2 + 1e-5) - drag(0.2 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(drag)(0.2), difference, rtol=1e-6)


@pytest.mark.slow
def test_pressure_is_that_of_poiseuille_flow():
    inflow = js.Inflow(lambda t, x, y: (4 * y * (1 - y), 0 * y))
    space = js.Staggered(js.Grid((24, 16), 0.0, (1.5, 1.0)), ((inflow, js.Outflow()), js.NoSlip()))
    flow, profile = js.equations.NavierStokesVelocity(0.2), lambda x, y: (4 * y * (1 - y), 0 * y)
    u = js.rollout(flow, space.field(profile), dt=0.02, steps=300, solver=IMEXRK2())
    slope = js.partial(flow.pressure(0.0, u), 0).values[8:-8]
    np.testing.assert_allclose(slope, -8 * 0.2, rtol=1e-2)


def test_pressure_does_not_depend_on_the_form_of_convection():
    wave = lambda x, y: [jnp.cos(x) * jnp.sin(y), -jnp.sin(x) * jnp.cos(y)]
    space = js.Fourier(js.Grid((16, 16), 0.0, 2 * np.pi))
    exact = lambda x, y: -0.25 * (jnp.cos(2 * x) + jnp.cos(2 * y))  # of the Taylor-Green vortex
    p = js.equations.NavierStokesVelocity(0.1).pressure(0.0, space.field(wave))
    np.testing.assert_allclose(p.values - js.mean(p), exact(*space.coordinates()), atol=1e-13)


def test_bad_bodies():
    space, flow = channel()
    u0 = space.field(lambda x, y: (y, 0 * y))
    outside = js.equations.Obstacle(Ball((5.0, 5.0), 0.1), 0.1, 0.1)
    with pytest.raises(ValueError, match="outside of the box"):
        js.rollout(js.equations.NavierStokesVelocity(0.1, obstacle=outside), u0, dt=0.1, steps=1)
    with pytest.raises(ValueError, match="`relaxation` must be positive"):
        js.equations.Obstacle(Ball((0.5, 0.5), 0.1), 0.0, 0.1)
    with pytest.raises(TypeError, match="signed distance"):
        js.equations.Obstacle(0.3, 0.1, 0.1)
    with pytest.raises(ValueError, match="3 numbers met 2 coordinates"):
        Ball((0.0, 0.0, 0.0), 1.0)(0.0, 0.0)
    with pytest.raises(js.integrate.Diverged):  # steps of many relaxation times
        stiff = js.equations.Obstacle(Ball((0.6, 0.5), 0.15), 1e-4, 0.12)
        js.rollout(js.equations.NavierStokesVelocity(0.05, obstacle=stiff), u0, dt=0.01, steps=200)
