"""The catalog integrated in time, against solutions that are known in closed form.

Where the scheme is exact (linear parts, products that vanish) the tolerance is rounding; else it is the
truncation error of a fourth-order step, and the order itself is tested where it is the claim.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim import equations as eq

TWO_PI = 2 * np.pi


def box(*shape, lower=0.0, upper=TWO_PI, real=True):
    return js.Fourier(js.Grid(shape, lower, upper), real=real)


def error(u, exact):
    return float(jnp.abs(u.values - exact).max())


# -- linear: exact at any step ------------------------------------------------------------------------------
def test_advection_diffusion_is_exact_in_one_step():
    space, c, d, t = box(24, 20), np.array([0.7, -0.4]), np.array([0.02, 0.05]), 3.0
    exact = lambda t, x, y: jnp.exp(-(4 * d[0] + 9 * d[1]) * t) * jnp.sin(2 * (x - c[0] * t) - 3 * (y - c[1] * t))
    u = js.rollout(eq.AdvectionDiffusion(c, d), space.field(lambda x, y: exact(0.0, x, y)), dt=t, steps=1)
    assert error(u, exact(t, *space.coordinates())) < 1e-13


def test_wave_follows_dalembert_and_its_mean_drifts():
    space, c, t = box(64), 1.5, 2.7
    shape = lambda x: jnp.exp(jnp.sin(x) + 0.3 * jnp.cos(2 * x))
    start = space.field(lambda x: (shape(x), 0.2 + 0 * x))
    (x,) = space.coordinates()
    for dt, steps in ((t, 1), (t / 10, 10)):
        u = js.rollout(eq.Wave(c), start, dt=dt, steps=steps)
        assert error(u[0], 0.5 * (shape(x - c * t) + shape(x + c * t)) + 0.2 * t) < 1e-12


def test_klein_gordon_dispersion():
    space, c, m, k, t = box(16), 1.5, 0.8, 3, 40.0
    omega = np.sqrt(c**2 * k**2 + m**2)
    start = space.field(lambda x: (jnp.cos(k * x), omega * jnp.sin(k * x)))
    u = js.rollout(eq.KleinGordon(c, m), start, dt=t / 4, steps=4)
    (x,) = space.coordinates()
    assert error(u[0], jnp.cos(k * x - omega * t)) < 1e-12
    mean = js.rollout(eq.KleinGordon(c, m), space.field(lambda x: (1 + 0 * x, 0 * x)), dt=t / 4, steps=4)
    assert error(mean[0], np.cos(m * t)) < 1e-12


@pytest.mark.slow
def test_poincare_waves_in_shallow_water():
    space, depth, gravity, f, t, small = box(12, 12), 1.3, 0.9, 0.7, 5.0, 1e-8
    k, l = 2, 1
    omega = np.sqrt(f**2 + gravity * depth * (k * k + l * l))

    def exact(t, x, y):
        phase = k * x + l * y - omega * t
        along, across = (jnp.cos(phase), jnp.sin(phase))
        u = omega * k * along - f * l * across
        v = omega * l * along + f * k * across
        return small * jnp.stack([depth * (k * k + l * l) * along, u, v])

    start = space.field(lambda x, y: exact(0.0, x, y))
    end = js.rollout(eq.ShallowWater(depth, gravity, f), start, dt=t / 4, steps=4)
    assert error(end, exact(t, *space.coordinates())) < 1e-5 * small  # what is left is of second order in `small`


def test_geostrophic_balance_is_steady():
    # A jet along a contour of the surface: the nonlinear terms vanish and the linear ones balance.
    space, gravity, f = box(8, 24), 0.9, 0.7
    start = space.field(lambda x, y: (0.1 * jnp.sin(y), -gravity / f * 0.1 * jnp.cos(y), 0 * x))
    end = js.rollout(eq.ShallowWater(1.3, gravity, f), start, dt=0.5, steps=40)
    assert error(end, start.values) < 1e-12


def test_convection_grows_at_its_rate():
    space, nu, kappa, gamma, t, small = box(12, 12), 0.02, 0.05, -0.8, 4.0, 1e-8
    k = l = 1
    square = k * k + l * l
    # (s + nu k²)(s + kappa k²) = -alpha gamma kx²/k²
    mean, half = -(nu + kappa) * square / 2, (nu - kappa) * square / 2
    s = mean + np.sqrt(half**2 - 1.5 * gamma * k * k / square)
    assert s > 0.3
    ratio = 1.5 * k / (s + nu * square)
    exact = lambda t, x, y: small * np.exp(s * t) * jnp.stack([-ratio * jnp.sin(k * x + l * y), jnp.cos(k * x + l * y)])
    end = js.rollout(eq.Boussinesq(nu, kappa, 1.5, gamma), space.field(lambda x, y: exact(0.0, x, y)), dt=1.0, steps=4)
    assert error(end, exact(t, *space.coordinates())) < 1e-12 * small * np.exp(s * t) * 10


def test_alfven_waves_of_any_amplitude_are_exact():
    # u = -b travels along B0 unchanged, products included (Elsasser).
    space, field, t = box(16, 16), np.array([0.8, 0.3]), 4.0
    potential = lambda x, y: jnp.cos(2 * x + 0.4) * jnp.sin(y) + 0.5 * jnp.cos(x - 3 * y)
    a = space.field(potential)
    start = js.stack(js.laplacian(a), a)
    end = js.rollout(eq.Magnetohydrodynamics(0.0, 0.0, field), start, dt=0.04, steps=100)
    x, y = space.coordinates()
    assert error(end[1], potential(x - field[0] * t, y - field[1] * t)) < 1e-12


# -- incompressible flow ------------------------------------------------------------------------------------
def test_taylor_green_in_the_plane():
    nu, t = 0.1, 4.0
    space = box(16, 16)
    flow, spin = js.initial.taylor_green(viscosity=nu), js.initial.taylor_green_vorticity(viscosity=nu)
    w = js.rollout(eq.NavierStokesVorticity(nu), space.field(spin), dt=0.1, steps=40)
    u = js.rollout(eq.NavierStokesVelocity(nu), space.field(flow), dt=0.1, steps=40)
    assert error(w, spin.solution(t, *space.coordinates())) < 1e-13
    assert error(u, flow.solution(t, *space.coordinates())) < 1e-13


def test_abc_flow_decays():
    nu, t = 0.1, 2.0
    space, flow = box(8, 8, 8), js.initial.abc_flow(viscosity=nu)
    u = js.rollout(eq.NavierStokesVelocity(nu), space.field(flow), dt=0.1, steps=20)
    assert error(u, flow.solution(t, *space.coordinates())) < 1e-12


@pytest.mark.slow
def test_kolmogorov_flow_spins_up_to_its_equilibrium():
    """u = sin(4y) / (16 nu + 0.1) and the way there from rest; the times are short because it is unstable."""
    nu, drag, t = 1e-3, 0.1, 2.0
    space, force, rate = box(8, 16), eq.kolmogorov(4), 16e-3 + 0.1
    assert 8.6207 == pytest.approx(1 / rate, rel=1e-5)
    x, y = space.coordinates()
    for reached, final in ((0.0, 1 - np.exp(-rate * t)), (1.0, 1.0)):
        u0 = space.field(lambda x, y, s=reached: (s / rate * jnp.sin(4 * y), 0 * x))
        speed = final / rate * jnp.sin(4 * y)
        u = js.rollout(eq.NavierStokesVelocity(nu, drag, force), u0, dt=0.02, steps=100)
        assert error(u, jnp.stack([speed, 0 * x])) < 1e-11
        w = js.rollout(eq.NavierStokesVorticity(nu, drag, force), eq.vorticity(u0), dt=0.02, steps=100)
        assert error(eq.velocity(w)[0], speed) < 1e-11


def test_mean_flow_carries_the_vortices():
    """A Taylor-Green vortex in a mean flow that drag slows: it is where the mean flow has taken it."""
    nu, drag, t, start = 0.02, 0.3, 2.0, np.array([0.9, -0.5])
    space = box(16, 16)
    w0 = space.field(js.initial.taylor_green_vorticity(0.5))
    way = start * (1 - np.exp(-drag * t)) / drag
    x, y = space.coordinates()
    exact = js.initial.taylor_green_vorticity(0.5, nu + drag / 2).solution(t, x - way[0], y - way[1])
    w = js.rollout(eq.NavierStokesVorticity(nu, drag, mean_flow=start), w0, dt=0.02, steps=100)
    assert error(w, exact) < 1e-8
    uniform = space.field(lambda x, y: (start[0] + 0 * x, start[1] + 0 * x))
    w, mean_flow = js.rollout(eq.NavierStokesVorticity(nu, drag), (w0, uniform), dt=0.02, steps=100)
    assert error(w, exact) < 1e-8
    assert error(mean_flow, (start * np.exp(-drag * t))[:, None, None]) < 1e-13


class Breathing(eq.Force):
    """A force with a mean that changes in time."""

    def __call__(self, t, x, y):
        return jnp.stack([jnp.cos(3 * t) + 0.2 * jnp.sin(y), 0.5 * jnp.sin(2 * t) + 0 * x])


def test_mean_force_accelerates_the_mean_flow():
    """Vorticity and mean flow together are the velocity, for a force with a mean."""
    nu, drag = 0.02, 0.3
    space = box(12, 12)
    w0 = space.field(js.initial.filtered_noise(jax.random.key(1), peak=2))
    still = space.field(lambda x, y: (0 * x, 0 * x))
    steps = dict(dt=0.02, steps=50)
    w, mean_flow = js.rollout(eq.NavierStokesVorticity(nu, drag, Breathing()), (w0, still), **steps)
    u = js.rollout(eq.NavierStokesVelocity(nu, drag, Breathing()), eq.velocity(w0), **steps)
    assert error(eq.velocity(w) + mean_flow, u.values) < 1e-12
    assert jnp.abs(js.mean(u)).max() > 0.05


# -- solitons and fronts ------------------------------------------------------------------------------------
def test_soliton_of_korteweg_de_vries_at_fourth_order():
    space, t = box(256, lower=-20.0, upper=20.0), 0.5
    soliton = js.initial.kdv_soliton(4.0)
    errors = []
    for steps in (50, 100, 200):
        u = js.rollout(eq.KortewegDeVries(), space.field(soliton), dt=t / steps, steps=steps)
        errors.append(error(u, soliton.solution(t, *space.coordinates())))
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(orders > 3.8), (errors, orders)
    assert errors[-1] < 1e-6


@pytest.mark.slow
def test_soliton_of_korteweg_de_vries_to_rounding():
    space, t = box(256, lower=-20.0, upper=20.0), 0.5
    soliton = js.initial.kdv_soliton(4.0)
    u = js.rollout(eq.KortewegDeVries(), space.field(soliton), dt=t / 4000, steps=4000)
    assert error(u, soliton.solution(t, *space.coordinates())) < 1e-10


def test_two_solitons_pass_with_their_phase_shifts():
    space, fast, slow, t = box(512, lower=-20.0, upper=20.0), 16.0, 4.0, 1.0
    pair = js.initial.kdv_two_solitons(fast, slow, -8.0, -2.0)
    u = js.rollout(eq.KortewegDeVries(), space.field(pair), dt=t / 4000, steps=4000)
    x = space.coordinates()[0]
    assert error(u, pair.solution(t, x)) < 3e-5
    # The crest of the fast one, from the trigonometric interpolant: 2 ln(...)/k1 ahead of where it would be alone.
    near = np.linspace(8.0, 10.0, 4001)
    crest = near[np.argmax(u(near))]
    alone = -8.0 + fast * t
    assert crest - alone == pytest.approx(2 * np.log((4 + 2) / (4 - 2)) / 4, abs=2e-3)
    near = np.linspace(-1.0, 2.5, 7001)
    crest = near[np.argmax(u(near))]
    ahead = -2.0 + 2 * np.log(3) / 2 + slow * t  # before the collision
    assert crest - ahead == pytest.approx(-2 * np.log(3) / 2, abs=2e-3)


def test_soliton_of_schrodinger():
    length, t = 16 * np.pi, 2.0
    space, soliton = box(256, lower=-length / 2, upper=length / 2, real=False), js.initial.nls_soliton(1.2, 1.0, -2.0)
    errors = []
    for steps in (100, 200):
        u = js.rollout(eq.NonlinearSchrodinger(), space.field(soliton), dt=t / steps, steps=steps)
        errors.append(error(u, soliton.solution(t, *space.coordinates())))
    assert errors[1] < 1e-8 and 12 < errors[0] / errors[1] < 20, errors


def test_exact_front_of_fisher():
    space, t, d, r = box(512, lower=-100.0, upper=100.0), 4.0, 0.9, 1.2
    x = space.coordinates()[0]
    wave = js.initial.fisher_wave(d, r, 60.0)
    start = space.field(wave(jnp.abs(x)))  # two fronts, which run away from each other
    u = js.rollout(eq.FisherKPP(d, r), start, dt=t / 200, steps=200)
    assert error(u, wave.solution(t, jnp.abs(x))) < 1e-8


def test_front_of_compact_data_runs_at_the_speed_of_fisher():
    """2 sqrt(rD) [1 - 3/(4rt)], up to terms near 1.33 (rt)^(-3/2) (Bramson 1983; Ebert and van Saarloos 2000)."""
    space, d, r = box(1024, lower=-80.0, upper=80.0), 0.9, 1.2
    start = space.field(js.initial.gaussian_bump(0.0, 1.0, 1.0))
    saved = js.rollout(eq.FisherKPP(d, r), start, dt=0.02, steps=800, save_every=40)
    x = space.coordinates()[0]
    times = 0.8 * np.arange(1, 21)
    # Where the front is: the integral of u over half the line moves with it.
    places = np.sum(np.asarray(saved.values)[:, len(x) // 2 :], -1) * (x[1] - x[0])
    speeds, times = (places[2:] - places[:-2]) / 1.6, times[1:-1]
    limit, rt = 2 * np.sqrt(r * d), r * times[-1]
    assert speeds[-1] == pytest.approx(limit * (1 - 0.75 / rt), rel=1.33 / rt**1.5)
    assert np.all(np.diff(speeds[5:]) > 0) and speeds[-1] < limit


def test_walls_of_allen_cahn_stand():
    d, r = 0.01, 1.0
    space = box(256, lower=-4.0, upper=4.0)
    width = float(np.sqrt(2 * d / r))
    start = space.field(lambda x: jnp.tanh((x + 2) / width) - jnp.tanh((x - 2) / width) - 1)
    u = js.rollout(eq.AllenCahn(d, r), start, dt=0.05, steps=200)
    assert error(u, start.values) < 1e-9  # the walls attract each other by exp(-28)


def test_plane_wave_of_ginzburg_landau():
    space, equation, k, t = box(24, real=False), eq.ComplexGinzburgLandau(0.5, -0.4, 2.0), 1, 3.0
    amplitude = np.sqrt(2.0 - k * k)
    exact = lambda t, x: amplitude * jnp.exp(1j * (k * x - (0.5 * k * k - 0.4 * amplitude**2) * t))
    u = js.rollout(equation, space.field(lambda x: exact(0.0, x)), dt=0.01, steps=300)
    assert error(u, exact(t, *space.coordinates())) < 1e-8


# -- Burgers ------------------------------------------------------------------------------------------------
def cole_hopf(nu, t, x, points=300):
    """Burgers' equation from -sin(pi x), by the Cole-Hopf transform and Gauss-Hermite quadrature."""
    z, weight = np.polynomial.hermite.hermgauss(points)
    y = np.asarray(x)[..., None] - np.sqrt(4 * nu * t) * z
    exponent = -np.cos(np.pi * y) / (2 * np.pi * nu)
    kernel = weight * np.exp(exponent - exponent.max())
    return -np.sum(kernel * np.sin(np.pi * y), -1) / np.sum(kernel, -1)


def test_burgers_by_cole_hopf():
    nu, t = 0.1 / np.pi, 1.0
    space = box(256, lower=-1.0, upper=1.0)
    u0 = space.field(lambda x: -jnp.sin(jnp.pi * x))
    u = js.rollout(eq.Burgers(nu), u0, dt=2e-3, steps=500)
    assert error(u, cole_hopf(nu, t, space.coordinates()[0])) < 1e-9


PUBLISHED = {  # at x = 0.1, 0.25, 0.5, from the Cole-Hopf transform
    0.25: (-0.794974, -0.992082, -0.803198),
    0.5: (-0.958160, -0.847355, -0.592770),
    1.0: (-0.665482, -0.559196, -0.376181),
}


@pytest.mark.slow
def test_burgers_of_basdevant():
    """nu = 0.01/pi on [-1, 1]: values, and the steepest slope 152.00516 at pi t = 1.6037 (Basdevant et al. 1986)."""
    nu, dt = 0.01 / np.pi, 1e-4
    space = box(2048, lower=-1.0, upper=1.0)
    u = space.field(lambda x: -jnp.sin(jnp.pi * x))
    points, now = np.array([0.1, 0.25, 0.5]), 0.0
    for t, values in PUBLISHED.items():
        u = js.rollout(eq.Burgers(nu), u, dt=dt, steps=round((t - now) / dt))
        now = t
        np.testing.assert_allclose(u(points), values, atol=6e-7)
    u = space.field(lambda x: -jnp.sin(jnp.pi * x))
    u = js.rollout(eq.Burgers(nu), u, dt=dt, steps=5000)
    slopes = []
    for _ in range(21):
        u = js.rollout(eq.Burgers(nu), u, dt=dt, steps=10)
        slopes.append(float(jnp.abs(js.partial(u, 0)(np.array([0.0]))[0])))
    best = int(np.argmax(slopes))
    assert slopes[best] == pytest.approx(152.00516, rel=1e-5)
    assert 0.5 + 1e-3 * (best + 1) == pytest.approx(1.6037 / np.pi, abs=1e-3)


# -- reactions and gradient flows ---------------------------------------------------------------------------
def test_gray_scott_returns_to_its_fixed_point():
    feed, kill = 0.04, 0.055
    root = np.sqrt(1 - 4 * (feed + kill) ** 2 / feed)
    space = box(8, 8, upper=2.5)
    equation = eq.GrayScott(feed=feed, kill=kill)
    for sign in (-1, 1):
        u = (1 + sign * root) / 2
        v = feed * (1 - u) / (feed + kill)
        shift = 0.01 if sign < 0 else 0.0  # the lower state is stable, the upper one is a saddle
        start = space.field(lambda x, y, u=u, v=v, s=shift: (u + s + 0 * x, v - s + 0 * x))
        end = js.rollout(equation, start, dt=1.0, steps=2000 if sign < 0 else 40)
        assert error(end, jnp.array([u, v])[:, None, None]) < 1e-10


def test_brusselator_keeps_its_fixed_point():
    space = box(8, upper=1.0)
    start = space.field(lambda x: (1.5 + 0 * x, 2.0 + 0 * x))
    end = js.rollout(eq.Brusselator(0.1, 0.2, 1.5, 3.0), start, dt=0.1, steps=100)
    assert error(end, start.values) < 1e-12


@pytest.mark.slow
def test_cahn_hilliard_conserves_mass_and_loses_energy():
    space, width = box(48, 48), 0.3
    start = space.field(js.initial.filtered_noise(jax.random.key(0), peak=3, root_mean_square=0.3)) + 0.1
    saved = js.rollout(eq.CahnHilliard(1.0, width), start, dt=2e-3, steps=1000, save_every=50)
    masses = jnp.mean(saved.values, (-2, -1))
    assert jnp.abs(masses - 0.1).max() < 1e-13
    gradient = js.grad(saved).values
    energy = jnp.mean(0.25 * (1 - saved.values**2) ** 2 + 0.5 * width**2 * jnp.sum(gradient**2, 0), (-2, -1))
    assert jnp.all(jnp.diff(energy) < 0)
    assert energy[-1] < 0.85 * energy[0]


def test_swift_hohenberg_descends():
    space, equation = box(32, 32, upper=4 * np.pi), eq.SwiftHohenberg(0.5, 1.0, 0.4)
    start = space.field(js.initial.filtered_noise(jax.random.key(0), 2, 0.1, length=4 * np.pi))
    saved = js.rollout(equation, start, dt=0.05, steps=1000, save_every=50)
    v, curved = saved.values, (saved + js.laplacian(saved)).values
    energy = jnp.mean(-0.25 * v**2 + 0.5 * curved**2 - 0.4 / 3 * v**3 + 0.25 * v**4, (-2, -1))
    assert jnp.all(jnp.diff(energy) < 1e-12) and energy[-1] < energy[0] - 0.01


def test_kuramoto_sivashinsky_saturates_and_keeps_its_mean():
    space = box(64, upper=22.0)
    start = space.field(js.initial.truncated_series(jax.random.key(0), 3, 0.5, length=22.0))
    saved = js.rollout(eq.KuramotoSivashinsky(), start, dt=0.05, steps=4000, save_every=40)
    assert jnp.abs(jnp.mean(saved.values, -1)).max() < 1e-12
    late = jnp.sqrt(jnp.mean(saved.values[20:] ** 2))
    assert 1.0 < late < 1.6  # the attractor of this box has a root mean square near 1.3
