"""Flows and chaos without an exact solution: budgets, two resolutions, and published exponents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js


def taylor_green(nodes, viscosity, dt, steps, save_every):
    space = js.Fourier(js.Grid((nodes,) * 3, 0.0, 2 * np.pi))
    u0 = space.field(
        lambda x, y, z: jnp.stack([jnp.sin(x) * jnp.cos(y) * jnp.cos(z), -jnp.cos(x) * jnp.sin(y) * jnp.cos(z), 0 * x])
    )
    flow = js.equations.NavierStokesVelocity(viscosity=viscosity)
    return space, js.rollout(flow, u0, dt=dt, steps=steps, save_every=save_every)


def energy(u):
    return js.inner(u, u) / (2 * u.space.volume)


def enstrophy(u):
    w = js.curl(u)
    return js.inner(w, w) / (2 * u.space.volume)


@pytest.mark.slow
def test_energy_of_a_small_taylor_green_vortex_goes_where_enstrophy_says():
    """dE/dt = -2 nu Z, by a difference over one short step around t = 0.5."""
    h = 1e-3
    space, u = taylor_green(16, 0.05, dt=h, steps=502, save_every=1)
    before, now, after = (space.field(u.values[i]) for i in (498, 499, 500))
    np.testing.assert_allclose(
        (energy(after) - energy(before)) / (2 * h), -2 * 0.05 * enstrophy(now), rtol=2e-6
    )


@pytest.mark.slow
def test_taylor_green_vortex_at_two_resolutions():
    """Re = 100 until t = 4: the energies on 48 and 64 nodes per axis agree to 1e-6 (32 and 48 nodes: to 6e-6)."""
    coarse, fine = (taylor_green(n, 0.01, dt=0.04, steps=100, save_every=25) for n in (48, 64))
    energies = [[float(energy(space.field(u.values[i]))) for i in range(4)] for space, u in (coarse, fine)]
    np.testing.assert_allclose(energies[0], energies[1], rtol=1e-6)
    assert energies[1][-1] < 0.8 / 8


@pytest.mark.slow
def test_largest_lyapunov_exponent_of_kuramoto_sivashinsky():
    """L = 22: 0.043 to 0.048 in the literature; a long run of another program gives 0.0474 +- 0.0013."""
    space = js.Fourier(js.Grid(64, 0.0, 22.0))
    equation = js.equations.KuramotoSivashinsky()
    u0 = space.field(lambda x: jnp.cos(2 * np.pi * x / 22) * (1 + jnp.sin(2 * np.pi * x / 22)))
    y = js.rollout(equation, u0, dt=0.1, steps=5000).coefficients
    direction = space.field(jax.random.normal(jax.random.key(0), (64,))).coefficients

    def unit_time(y):
        return js.rollout(equation, space.from_coefficients(y), dt=0.1, steps=10).coefficients

    def follow(carry, _):
        y, v = carry
        y, v = jax.jvp(unit_time, (y,), (v,))
        size = jnp.sqrt(jnp.sum(jnp.abs(v) ** 2))
        return (y, v / size), jnp.log(size)

    _, growth = jax.jit(lambda carry: jax.lax.scan(follow, carry, None, 10000))((y, direction))
    assert abs(float(jnp.mean(growth[200:])) - 0.0474) < 0.005
