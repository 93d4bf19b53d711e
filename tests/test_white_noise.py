"""Noise that is white in time: its law in one step, invariant measures, injection rates, and what is refused.

Tolerances are standard errors: of `n` draws the mean of |a|^2 has the relative error 1/sqrt(n) for complex modes and
sqrt(2/n) for real ones.
"""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import jaxsim as js
from jaxsim.integrate import (
    ETDAB2,
    ETDRK1,
    ETDRK2,
    IMEXRK2,
    SBDF2,
    BandNoise,
    Diverged,
    SemilinearTerm,
    WhiteNoise,
)
from jaxsim.integrate.kicks import covariance_factors, kicks

LENGTH = 4.0


class Nothing(js.Equation):
    """No drift at all, in a form that solvers take."""

    def linear(self, u):
        return 0 * u


class Reaction(js.Equation):
    """The phi^4 potential without diffusion."""

    def nonlinear(self, t, u):
        return u - u * u * u


def line(n=16, **options):
    return js.Fourier(js.Grid(n, 0.0, LENGTH), **options)


def zero(space, components=()):
    return space.field(jnp.zeros((*components, *getattr(space, "shape", space.grid.shape))))


def draws(equation, u0, noise, dt, count, steps=1, solver=None):
    """Final states, `(count, ...)`, as bare arrays."""
    solver = ETDRK1() if solver is None else solver

    def one(key):
        u = js.rollout(equation, u0, dt=dt, steps=steps, solver=solver, noise=noise, key=key)
        return jax.tree.map(lambda f: f.space.state(f), u, is_leaf=lambda f: isinstance(f, js.Field))

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), count))


def increments(equation, space, noise, dt, count, components=()):
    """What one step adds, as bare arrays."""
    y = space.state(zero(space, components))
    term = SemilinearTerm(equation, space)
    prepared = kicks(noise, term, dt, y)
    one = lambda key: term.from_modes(prepared.on(term, y, key).kick)
    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), count))


def within(found, expected, count, complex_modes=True, errors=4.5):
    """Every mean of squares within so many standard errors, and their average within three of its own."""
    error = np.sqrt((1 if complex_modes else 2) / count)
    ratio = np.asarray(found) / expected
    assert np.max(np.abs(ratio - 1)) < errors * error, ratio
    assert abs(np.mean(ratio) - 1) < 3 * error / np.sqrt(ratio.size), np.mean(ratio)


# -- the law of one step ----------------------------------------------------------------------------------------------
def test_one_step_has_the_variance_of_the_convolution():
    h, nu, n = 0.5, 0.3, 4000
    a = draws(js.equations.AdvectionDiffusion(1.3, nu), zero(line()), WhiteNoise(lambda k: 0.7 / k), h, n)
    k = 2 * np.pi / LENGTH * np.arange(1, 8)
    within(jnp.mean(jnp.abs(a[:, 1:]) ** 2, 0), 0.49 / k**2 * (1 - np.exp(-2 * h * nu * k**2)) / (2 * nu * k**2), n)
    assert jnp.all(a[:, 0] == 0)  # no noise in the mean unless asked for
    pairs = a[:, 1:].T @ jnp.conj(a[:, 1:]) / n  # modes are independent, and none has a preferred phase
    sizes = jnp.sqrt(jnp.diag(pairs).real)
    assert jnp.max(jnp.abs(pairs / jnp.outer(sizes, sizes) - jnp.eye(7))) < 4.5 / np.sqrt(n)
    assert jnp.max(jnp.abs(jnp.mean(a[:, 1:] ** 2, 0)) / sizes**2) < 4.5 / np.sqrt(n)


def test_growing_and_neutral_modes():
    u0 = zero(line())
    term = SemilinearTerm(js.equations.KuramotoSivashinsky(), u0.space)
    scales = kicks(WhiteNoise(lambda k: 1.0 + 0 * k, mean=True), term, 0.1, u0.space.state(u0)).scales[0]
    k = 2 * np.pi / LENGTH * np.arange(8)
    rate = 2 * (k**2 - k**4)
    exact = [np.sqrt(np.expm1(0.1 * r) / r) if r else np.sqrt(0.1) for r in rate]
    np.testing.assert_allclose(scales, exact, rtol=1e-14)
    slow = SemilinearTerm(js.equations.Diffusion(1e-14), u0.space)
    scales = kicks(WhiteNoise(lambda k: 1.0 + 0 * k), slow, 0.1, u0.space.state(u0)).scales[0]
    np.testing.assert_allclose(scales[1:], np.sqrt(0.1), rtol=1e-12)


@pytest.mark.parametrize(
    "space",
    [
        js.Fourier(js.Grid(9, 0.0, LENGTH)),
        js.Fourier(js.Grid((8, 6), 0.0, (2.0, 3.0))),
        js.Fourier(js.Grid((6, 5, 4), 0.0, (2.0, 3.0, 1.0))),
        js.Fourier(js.Grid((6, 5), 0.0, 3.0), real=False),
        js.FiniteDifference(js.Grid(8, 0.0, LENGTH)),
        js.FiniteDifference(js.Grid(8, 0.0, LENGTH), js.Dirichlet()),
        js.FiniteDifference(js.Grid(8, 0.0, LENGTH), ((js.Neumann(), js.Dirichlet()),), faces=(True,)),
        js.FiniteDifference(js.Grid((8, 6), 0.0, (2.0, 3.0)), (js.Periodic(), js.Neumann())),
        js.FiniteDifference(js.Grid(100, 0.0, LENGTH), js.Dirichlet(), faces=(True,)),
        js.FiniteDifference(js.Grid(8, 0.0, LENGTH, js.TanhStretching(1.5)), js.Neumann()),
    ],
    ids=lambda s: f"{type(s).__name__}-{s.grid.dimension}-{s.grid.shape[0]}",
)
def test_white_noise_of_every_space(space):
    """The mean square of noise on all modes is their number, and so is that of their multiplicities."""
    n, modes = 2000, space.modes()
    a = jax.jit(jax.vmap(lambda key: modes.white(key, (), float)))(jax.random.split(jax.random.key(1), n))
    count = np.sum(np.broadcast_to(modes.multiplicity(), a.shape[1:]))
    waves = [2 * k + 1 for k in space.cutoffs] if isinstance(space, js.Fourier) else space.shape
    assert count == np.prod(waves)
    square = lambda y: js.inner(space.bind(y), space.bind(y)) / space.volume
    squares = jax.jit(jax.vmap(lambda y: square(modes.from_modes(y))))(a)
    real = getattr(space, "real", True)
    within(jnp.mean(squares), count, n * count, complex_modes=not real, errors=3.5)
    powers = jnp.mean(jnp.abs(a) ** 2, 0)  # every wave has the same share
    if not isinstance(space, js.Fourier) and not any(space.periodic):
        for i in (0, 1, powers.size - 1):
            wave = jnp.zeros(powers.size).at[i].set(1.0).reshape(powers.shape)
            within(powers.ravel()[i] * square(modes.from_modes(wave)), 1.0, n, complex_modes=False)


def test_coupled_components_have_the_covariance_of_the_integral():
    random = np.random.default_rng(0)
    h = 0.3
    matrices = random.normal(size=(4, 3, 3)) + 1j * random.normal(size=(4, 3, 3))
    matrices[1] = np.diag([-1.0, 2.0, 0.0])
    matrices[2] = [[0, 1, 0], [0, 0, 0], [0, 0, -1e5]]  # an integral of noise beside something stiff
    matrices[3] = 0
    nodes, weights = np.polynomial.legendre.leggauss(30)
    for c, factor in enumerate(covariance_factors(matrices, h, [True] * 3)):
        for matrix, g in zip(matrices, factor, strict=True):
            stiff = np.max(np.abs(matrix)) > 1e3
            column = lambda s: scipy.linalg.expm(s * matrix)[:, c]  # noqa: B023
            times = zip(0.5 * h * (nodes + 1), 0.5 * h * weights)
            total = sum(w * np.outer(column(s), column(s).conj()) for s, w in times)
            if stiff and c == 2:
                total = np.diag([0, 0, 0.5e-5])
            np.testing.assert_allclose(g @ g.conj().T, total, atol=1e-13)
    traced = jax.jit(lambda a: jnp.stack(covariance_factors(a, h, [True] * 3)))(matrices[:2])
    np.testing.assert_allclose(traced, np.stack(covariance_factors(matrices[:2], h, [True] * 3)), atol=1e-12)


def test_a_wave_that_is_kicked():
    """The rate alone is forced: u is the integral of v, and correlated with it."""
    h, c, n = 0.4, 1.5, 4000
    a = increments(js.equations.Wave(c), line(8), WhiteNoise(lambda k: 0.5 * k, components=(0, 1)), h, n, (2,))
    k = 2 * np.pi / LENGTH * np.arange(1, 4)
    w = c * k
    uu = 0.25 * k**2 / w**2 * (h / 2 - np.sin(2 * w * h) / (4 * w))
    uv = 0.25 * k**2 / w * (np.sin(w * h) ** 2 / (2 * w))
    vv = 0.25 * k**2 * (h / 2 + np.sin(2 * w * h) / (4 * w))
    u, v = a[:, 0, 1:], a[:, 1, 1:]
    within(jnp.mean(jnp.abs(u) ** 2, 0), uu, n)
    within(jnp.mean(jnp.abs(v) ** 2, 0), vv, n)
    size = np.sqrt(uu * vv)
    np.testing.assert_allclose(jnp.mean(u * v.conj(), 0) / size, uv / size, atol=4.5 / np.sqrt(n))


# -- invariant measures -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("dt", "steps"), [(0.01, 400), (10.0, 4)])
def test_the_heat_equation_has_its_invariant_measure_at_any_step(dt, steps):
    """Modes of decay 1, 4, ...: at dt = 0.01 and 10 the variance is sigma^2 / (2 nu k^2)."""
    n, nu = 400, (LENGTH / (2 * np.pi)) ** 2
    a = draws(js.equations.Diffusion(nu), zero(line()), WhiteNoise(lambda k: 0.3 + 0 * k), dt, n, steps)
    k = 2 * np.pi / LENGTH * np.arange(1, 8)
    exact = 0.09 / (2 * nu * k**2) * (1 - np.exp(-2 * nu * k**2 * dt * steps))
    within(jnp.mean(jnp.abs(a[:, 1:]) ** 2, 0), exact, n)


@pytest.mark.slow
def test_solvers_without_an_exponential_are_close_where_they_resolve():
    """What their own damping R(z) makes of exact increments: (1 - e^(2z)) / (1 - R(z)^2) of the right variance."""
    n, nu, gamma = 1500, (LENGTH / (2 * np.pi)) ** 2, 1 - np.sqrt(0.5)
    k = 2 * np.pi / LENGTH * np.arange(1, 8)
    noise = WhiteNoise(lambda k: 0.3 + 0 * k)
    z = -0.25 * np.arange(1, 8) ** 2
    damping = (1 + (1 - 2 * gamma) * z) / (1 - gamma * z) ** 2
    factor = (1 - np.exp(2 * z)) / (1 - damping**2)
    assert np.max(np.abs(factor - 1)) < 0.05
    a = draws(js.equations.Diffusion(nu), zero(line()), noise, 0.25, n, 24, IMEXRK2())
    within(jnp.mean(jnp.abs(a[:, 1:]) ** 2, 0), factor * 0.09 / (2 * nu * k**2), n)


@pytest.mark.parametrize("dt", [pytest.param(0.02, marks=pytest.mark.slow), 0.08])
def test_burgers_keeps_equipartition(dt):
    """Noise sigma = s k: white noise of variance s^2 / 2 nu in every mode is invariant under both parts of the flow."""
    n, nu, s = 600, 0.4, 0.5
    space = line(12)
    level = s**2 / (2 * nu)

    def one(key):
        first, second = jax.random.split(key)
        a = np.sqrt(level) * jax.random.normal(first, (6,), complex) * (np.arange(6) > 0)
        u0 = space.from_coefficients(a)
        noise = WhiteNoise(lambda k: s * k)
        run = js.rollout(
            js.equations.Burgers(nu), u0, dt=dt, steps=round(1.6 / dt), solver=ETDRK2(), noise=noise, key=second
        )
        return run.coefficients

    a = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), n))
    within(jnp.mean(jnp.abs(a[:, 1:]) ** 2, 0), np.full(5, level), n)


@pytest.mark.parametrize("dt", [pytest.param(0.02, marks=pytest.mark.slow), 0.05])
def test_phi_four_has_its_gibbs_measure(dt):
    """One mode, the mean: the density is exp(-2 V / sigma^2) with V = u^4/4 - u^2/2, up to first order in the step."""
    sigma, n = 1.0, 4000
    u = np.linspace(-5, 5, 4001)
    density = np.exp(-2 * (u**4 / 4 - u**2 / 2) / sigma**2)
    exact = np.sum(u**2 * density) / np.sum(density)
    only_mean = np.zeros(2)
    only_mean[0] = sigma
    space = line(4)
    a = draws(Reaction(), zero(space), WhiteNoise(only_mean, mean=True), dt, n, round(8 / dt), ETDRK2())
    values = jnp.real(a[:, 0])
    error = float(jnp.std(values**2)) / np.sqrt(n)
    assert error < 0.015 * exact
    assert abs(jnp.mean(values**2) - (1 + 0.7 * dt) * exact) < 3 * error


# -- rates of injection -----------------------------------------------------------------------------------------------
def plane(n=16):
    return js.Fourier(js.Grid((n, n), 0.0, 2 * np.pi))


def test_the_rate_of_injection_is_exact():
    """By Ito's formula, without drift: energy and enstrophy of a vorticity, energy of a velocity without divergence."""
    n, h, rate = 500, 0.5, 0.3
    space = plane()
    half = lambda u: 0.5 * js.inner(u, u) / u.space.volume
    means = lambda space, function, states: jnp.mean(jax.jit(jax.vmap(lambda y: function(space.bind(y))))(states))
    w = increments(Nothing(), space, BandNoise(3, 5, rate), h, n)
    waves = sum(9 <= i * i + j * j <= 25 for i in range(-5, 6) for j in range(-5, 6))
    within(means(space, half, w) / h, rate, n * waves, complex_modes=False, errors=3)
    k = np.sqrt(sum(np.square(q) for q in space.wave_numbers()))
    assert jnp.all(w[:, (k < 3) | (k > 5)] == 0)
    w = increments(Nothing(), space, BandNoise(3, 5, rate, weight=lambda k: k**-2), h, n)
    energy = means(space, lambda w: half(js.equations.velocity(w)), w)
    within(energy / h, rate, n * waves, complex_modes=False, errors=3)
    differences = js.FiniteDifference(js.Grid((12, 12), 0.0, 2 * np.pi), order=4)
    cube = js.Fourier(js.Grid((6, 6, 6), 0.0, 2 * np.pi))
    for where, waves in ((space, 44), (differences, 36), (cube, 2 * 80)):
        flow = js.equations.NavierStokesVelocity(0.0)
        states = increments(flow, where, BandNoise(2, 4, rate), h, n, (where.dimension,))
        assert means(where, lambda u: js.norm(js.div(u)), states) < 1e-12
        within(means(where, half, states) / h, rate, n * waves, complex_modes=False, errors=3.5)


@pytest.mark.slow
def test_a_forced_flow_balances_injection_and_dissipation():
    """The mean of E(T) - E(0) + dissipation is the rate times T."""
    n, rate, dt, steps = 48, 0.2, 0.02, 60
    flow, space = js.equations.NavierStokesVorticity(0.02, drag=0.2), plane()
    w0 = space.field(js.initial.filtered_noise(jax.random.key(0), peak=3, root_mean_square=1.0))
    noise = BandNoise(2, 4, rate, weight=lambda k: k**-2)

    def measure(w):
        u = js.equations.velocity(w)
        energy = 0.5 * js.inner(u, u) / space.volume
        return energy, 2 * 0.02 * 0.5 * js.inner(w, w) / space.volume + 2 * 0.2 * energy

    def surplus(key):
        run = js.rollout(flow, w0, dt=dt, steps=steps, solver=ETDRK2(), save_every=1, noise=noise, key=key)
        energies, losses = jax.vmap(lambda w: measure(space.from_coefficients(w)))(run.coefficients)
        start, loss = measure(w0)
        lost = dt * (jnp.sum(losses) + 0.5 * (loss - losses[-1]))
        return (energies[-1] - start + lost) / (dt * steps)

    found = jax.jit(jax.vmap(surplus))(jax.random.split(jax.random.key(5), n))
    error = float(jnp.std(found)) / np.sqrt(n)
    assert error < 0.05 * rate
    assert abs(jnp.mean(found) - rate) < 3 * error


@pytest.mark.slow
def test_noise_between_walls_keeps_a_velocity_free_of_divergence():
    space = js.Staggered(js.Grid((6, 6)), js.NoSlip())
    u0 = space.field(lambda x, y: (0 * x, 0 * y))
    noise = WhiteNoise(lambda k: 1 / k)
    flow = js.equations.NavierStokesVelocity(0.1)
    u = js.rollout(flow, u0, dt=0.01, steps=3, solver=ETDRK1(), noise=noise, key=jax.random.key(0))
    assert js.norm(u) > 1e-3
    assert jnp.max(jnp.abs(js.div(u).values)) < 1e-11
    with pytest.raises(ValueError, match="projection takes away"):
        js.rollout(flow, u0, dt=0.01, steps=3, noise=BandNoise(3, 9, 1.0), key=jax.random.key(0))


# -- the same noise for all --------------------------------------------------------------------------------------------
def test_solvers_share_their_paths():
    """All add the same increments, before the slope that begins the next step; stale slopes would differ by far."""
    space = line()
    u0 = space.field(lambda x: jnp.sin(2 * np.pi * x / LENGTH))
    noise, key = WhiteNoise(lambda k: 0.5 / k**2), jax.random.key(2)
    run = lambda solver: js.rollout(
        js.equations.Burgers(0.1), u0, dt=0.01, steps=50, solver=solver, noise=noise, key=key
    ).values
    reference = run(ETDRK2())
    quiet = js.rollout(js.equations.Burgers(0.1), u0, dt=0.01, steps=50).values
    assert jnp.max(jnp.abs(quiet - reference)) > 0.1
    for solver in (None, IMEXRK2(), dfx.Bosh3()):  # the last slope of Bosh3 is the first of its next step
        np.testing.assert_allclose(run(solver), reference, atol=2e-4)
    np.testing.assert_allclose(run(ETDAB2()), reference, atol=1e-2)  # between kicks it extrapolates slopes


def test_runs_go_on_and_do_not_know_their_clock():
    space = line()
    u0 = space.field(lambda x: jnp.sin(2 * np.pi * x / LENGTH))
    options = dict(dt=0.01, noise=WhiteNoise(lambda k: 0.5 / k), key=jax.random.key(2))
    run = lambda u, **more: js.rollout(js.equations.Burgers(0.1), u, **options, **more)
    whole = run(u0, steps=20)
    np.testing.assert_array_equal(run(u0, steps=20, t0=1e7).values, whole.values)
    half = run(u0, steps=10)
    np.testing.assert_array_equal(run(half, steps=10, first_step=10).values, whole.values)
    assert jnp.max(jnp.abs(run(half, steps=10).values - whole.values)) > 1e-3
    low = js.rollout(js.equations.Burgers(0.1), jax.tree.map(lambda a: a.astype(jnp.float32), u0), steps=20, **options)
    assert low.values.dtype == jnp.float32
    np.testing.assert_allclose(low.values, whole.values, atol=1e-4)


def test_gradients_pass():
    space, h, key = line(8), 1e-5, jax.random.key(0)
    u0 = space.field(lambda x: jnp.sin(2 * np.pi * x / LENGTH))

    def size(rate, viscosity):
        noise, flow = BandNoise(1, 4, rate), js.equations.Burgers(viscosity)
        return js.norm(js.rollout(flow, u0, dt=0.05, steps=8, solver=ETDRK2(), noise=noise, key=key))

    slopes = jax.grad(size, (0, 1))(0.5, 0.1)
    np.testing.assert_allclose(slopes[0], (size(0.5 + h, 0.1) - size(0.5 - h, 0.1)) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(slopes[1], (size(0.5, 0.1 + h) - size(0.5, 0.1 - h)) / (2 * h), rtol=1e-6)

    def coupled(amplitude, speed):
        noise = WhiteNoise(lambda k: amplitude / k, components=(0, 1))
        wave, rest = js.equations.Wave(speed), zero(space, (2,))
        return js.norm(js.rollout(wave, rest, dt=0.1, steps=3, solver=ETDRK1(), noise=noise, key=key))

    slopes = jax.grad(coupled, (0, 1))(0.5, 1.2)
    np.testing.assert_allclose(slopes[0], (coupled(0.5 + h, 1.2) - coupled(0.5 - h, 1.2)) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(slopes[1], (coupled(0.5, 1.2 + h) - coupled(0.5, 1.2 - h)) / (2 * h), rtol=1e-6)


def test_a_field_cut_over_devices_has_the_same_noise():
    mesh = jax.make_mesh((4,), ("slabs",), axis_types=(jax.sharding.AxisType.Auto,))
    grid = js.Grid((16, 16), 0.0, 2 * np.pi)
    start = lambda space: space.field(lambda x, y: jnp.sin(2 * x) * jnp.cos(y))
    flow, noise = js.equations.NavierStokesVorticity(0.01), BandNoise(2, 4, 0.5)
    options = dict(dt=0.02, steps=4, solver=ETDRK1(), courant=2.0)
    run = lambda w: js.rollout(flow, w, noise=noise, key=jax.random.key(1), **options)
    whole, cut = run(start(js.Fourier(grid))), run(js.shard(start(js.Fourier(grid, mesh=mesh))))
    np.testing.assert_allclose(cut.values, whole.values, atol=1e-12)
    assert len(cut.coefficients.sharding.device_set) == 4


def test_what_is_refused():
    space = line()
    u0, noise, key = zero(space), WhiteNoise(lambda k: 1 / k), jax.random.key(0)
    run = lambda **options: js.rollout(js.equations.Burgers(0.1), u0, dt=0.1, steps=2, **options)
    for message, options in (
        ("needs a `key`", dict(noise=noise)),
        ("`key` is for noise", dict(key=key)),
        ("count each increment again", dict(noise=noise, key=key, solver=SBDF2())),
        ("no mode of this space", dict(noise=BandNoise(1.6, 2.0, 1.0), key=key)),
        ("not finite", dict(noise=WhiteNoise(lambda k: np.inf * k), key=key)),
        ("deviations of shape", dict(noise=WhiteNoise(np.ones(5)), key=key)),
        ("`components` has shape", dict(noise=WhiteNoise(lambda k: k, components=(1, 2)), key=key)),
        ("structure of the state", dict(noise=(noise, None), key=key)),
    ):
        with pytest.raises(ValueError, match=message):
            run(**options)
    with pytest.raises(TypeError, match="expected js.integrate.WhiteNoise"):
        run(noise=lambda k: 1 / k, key=key)
    for options in (dict(dt=0.1), dict(rtol=1e-3)):
        with pytest.raises(ValueError, match=r"js\.rollout"):
            js.solve(js.equations.Burgers(0.1), u0, t1=1.0, noise=noise, key=key, **options)
    walls = zero(js.FiniteDifference(js.Grid(24), js.Neumann(), order=8))
    with pytest.raises(ValueError, match="has no modes"):
        js.rollout(js.equations.Diffusion(0.1), walls, dt=1e-4, steps=1, solver=dfx.Heun(), noise=noise, key=key)
    flow = js.equations.ThermalConvection(0.1, 0.1)
    pair = (zero(plane(8), (2,)), zero(plane(8)))
    with pytest.raises(ValueError, match="several fields"):
        js.rollout(flow, pair, dt=0.1, steps=1, noise=noise, key=key)


def test_one_field_of_several_may_have_noise():
    class Two(js.Equation):
        def linear(self, state):
            u, v = state
            return js.laplacian(u), 0 * v

    noise = (None, WhiteNoise(lambda k: 1 / k))
    rest = zero(line())
    u, v = js.rollout(Two(), (rest, rest), dt=0.1, steps=3, solver=ETDRK1(), noise=noise, key=jax.random.key(0))
    assert jnp.all(u.values == 0) and js.norm(v) > 0.1
    with pytest.raises(Diverged):
        loud = dict(noise=WhiteNoise(lambda k: 1e9 * k), key=jax.random.key(0))
        js.rollout(js.equations.Burgers(1e-3), rest, dt=1.0, steps=9, solver=ETDRK2(), **loud)
