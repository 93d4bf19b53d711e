"""Every equation of the catalog: against exact solutions, other ways to evaluate it, and finite differences."""

import re
from collections import Counter

import catalog
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalog import ALL, LOCAL, wave_sum

import jaxsim as js
from jaxsim import equations as eq

TIME, TWO_PI = 0.4, 2 * np.pi


def some_slow(*names):
    """Every equation, with those that take long to compile among the slow tests."""
    assert set(names) <= set(ALL)
    return [pytest.param(name, marks=pytest.mark.slow) if name in names else name for name in ALL]


EXACT = {
    "advection": (eq.Advection(0.7), lambda t, x: jnp.sin(2 * (x - 0.7 * t)), 1),
    "diffusion": (
        eq.Diffusion((0.3, 0.1)),
        lambda t, x, y: jnp.exp(-(0.3 * 4 + 0.1) * t) * jnp.sin(2 * x) * jnp.cos(y),
        2,
    ),
    "advection-diffusion": (
        eq.AdvectionDiffusion((0.7, -0.4), 0.2),
        lambda t, x, y: jnp.exp(-0.4 * t) * jnp.sin(x - 0.7 * t + y + 0.4 * t),
        2,
    ),
    "dispersion": (eq.Dispersion(0.3), lambda t, x: jnp.sin(2 * (x + 0.3 * 4 * t)), 1),
    "hyperdiffusion": (eq.Hyperdiffusion(0.1, 3), lambda t, x: jnp.exp(-0.1 * 64 * t) * jnp.sin(2 * x), 1),
    "wave": (
        eq.Wave(1.5),
        lambda t, x: jnp.stack([jnp.exp(-((x - 1.5 * t) ** 2)), 3 * (x - 1.5 * t) * jnp.exp(-((x - 1.5 * t) ** 2))]),
        1,
    ),
    "Klein-Gordon": (
        eq.KleinGordon(1.5, 0.8),
        lambda t, x: _standing(t, x, 3, float(np.sqrt(1.5**2 * 9 + 0.8**2))),
        1,
    ),
    "Klein-Gordon, cubic pulse": (
        eq.KleinGordon(1.0, 1.0, -2.0),
        lambda t, x: jnp.stack([1 / jnp.cosh(x), 0 * x]),
        1,
    ),
    "Burgers shock": (eq.Burgers(0.2), js.initial.burgers_wave(0.2, 1.3, -0.4, 0.1).solution, 1),
    "Burgers plane shock": (
        eq.Burgers(0.2),
        lambda t, x, y: jnp.array([0.6, 0.8]) * js.initial.burgers_wave(0.2, 1.3, -0.4).solution(t, 0.6 * x + 0.8 * y),
        2,
    ),
    "Korteweg-de Vries soliton": (eq.KortewegDeVries(), js.initial.kdv_soliton(3.0, 0.2).solution, 1),
    "Korteweg-de Vries collision": (
        eq.KortewegDeVries(),
        js.initial.kdv_two_solitons(3.0, 1.2, -0.5, 0.3).solution,
        1,
    ),
    "nonlinear Schrödinger soliton": (
        eq.NonlinearSchrodinger(),
        js.initial.nls_soliton(1.3, 0.7, 0.2).solution,
        1,
    ),
    "Ginzburg-Landau plane wave": (
        eq.ComplexGinzburgLandau(1.5, -0.8, 1.2),
        lambda t, x: jnp.sqrt(1.2 - 0.25) * jnp.exp(1j * (0.5 * x - (1.5 * 0.25 - 0.8 * (1.2 - 0.25)) * t)),
        1,
    ),
    "Fisher front": (eq.FisherKPP(0.4, 1.7), js.initial.fisher_wave(0.4, 1.7, 0.3).solution, 1),
    "Allen-Cahn wall": (
        eq.AllenCahn(0.3, 1.7),
        lambda t, x: js.initial.tanh_front(float(np.sqrt(2 * 0.3 / 1.7)))(x),
        1,
    ),
    "Cahn-Hilliard wall": (
        eq.CahnHilliard(0.7, 0.4),
        lambda t, x: js.initial.tanh_front(float(np.sqrt(2)) * 0.4)(x),
        1,
    ),
    "Gray-Scott trivial": (eq.GrayScott(), lambda t, x: jnp.stack([1 + 0 * x, 0 * x]), 1),
    "Gray-Scott fixed point": (eq.GrayScott(feed=0.04, kill=0.055), lambda t, x: _gray_scott(0.04, 0.055) + 0 * x, 1),
    "Brusselator fixed point": (eq.Brusselator(0.2, 0.1, 1.5, 3.0), lambda t, x: jnp.array([1.5, 2.0]) + 0 * x, 1),
    "reversible reaction at rest": (eq.ReversibleReaction(1.0), lambda t, x: jnp.array([1.0, 1.0, 1.0]) + 0 * x, 1),
    "shallow water at rest": (eq.ShallowWater(rotation=0.5), lambda t, x, y: jnp.array([0.2, 0.0, 0.0]) + 0 * x, 2),
    "shallow water, inertial oscillation": (
        eq.ShallowWater(rotation=0.5),
        lambda t, x, y: jnp.stack([0 * x, jnp.cos(0.5 * t) + 0 * x, -jnp.sin(0.5 * t) + 0 * x]),
        2,
    ),
}


def _kovasznay(t, x, y):
    """Flow behind a grid at the Reynolds number 20 (Kovasznay 1948): steady."""
    rate = 10 - np.sqrt(100 + 4 * np.pi**2)
    wake = jnp.exp(rate * x)
    u, v = 1 - wake * jnp.cos(TWO_PI * y), rate / TWO_PI * wake * jnp.sin(TWO_PI * y)
    return jnp.stack([u, v, 0.5 * (1 - wake**2)])


def _with_pressure(flow, pressure):
    return lambda t, *x: jnp.concatenate([flow.solution(t, *x), pressure(flow.solution(t, *x), t, *x)[None]])


EXACT |= {
    "Kovasznay flow": (eq.NavierStokesPressure(1 / 20), _kovasznay, 2),
    "Taylor-Green vortex": (
        eq.NavierStokesPressure(0.1),
        _with_pressure(
            js.initial.taylor_green(1.3, 0.1),
            lambda u, t, x, y: -0.25 * 1.3**2 * jnp.exp(-0.4 * t) * (jnp.cos(2 * x) + jnp.cos(2 * y)),
        ),
        2,
    ),
    "ABC flow": (
        eq.NavierStokesPressure(0.1),
        _with_pressure(js.initial.abc_flow(1.0, 0.7, 0.4, 0.1), lambda u, *tx: -0.5 * jnp.sum(u**2)),
        3,
    ),
    "Kolmogorov flow": (
        eq.NavierStokesPressure(0.05, 0.2, eq.kolmogorov(2.0, 0.7)),
        lambda t, x, y: jnp.stack([0.7 * jnp.sin(2 * y) / (0.05 * 4 + 0.2) + 0 * x, 0 * x, 3.0 + 0 * x]),
        2,
    ),
}


def _standing(t, x, k, omega):
    return jnp.stack([jnp.cos(omega * t) * jnp.sin(k * x), -omega * jnp.sin(omega * t) * jnp.sin(k * x)])


def _gray_scott(feed, kill):
    u = (1 + np.sqrt(1 - 4 * (feed + kill) ** 2 / feed)) / 2
    return jnp.array([u, feed * (1 - u) / (feed + kill)])


@pytest.mark.parametrize("name", EXACT)
def test_exact_solution_has_no_residual(name):
    equation, solution, dimension = EXACT[name]
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (6, dimension))

    @eqx.filter_jit
    def left(equation):
        residual = js.residual(equation, js.Function(solution))
        return jax.vmap(lambda x: residual(TIME, *x))(points)

    assert jnp.abs(left(equation)).max() <= 1e-10
    if name not in ("Gray-Scott trivial", "shallow water at rest"):  # these hold for all parameters
        leaves, tree = jax.tree.flatten(equation)
        wrong = jax.tree.unflatten(tree, [leaf * (1 + 0.01 * i) for i, leaf in enumerate(leaves, 1)])
        assert jnp.abs(left(wrong)).max() > 1e-5


@pytest.mark.parametrize("name", LOCAL)
def test_fourier_agrees_with_automatic_differentiation(name):
    equation, dimension, components, complex_values, _ = LOCAL[name]
    function = wave_sum(dimension, components, seed=len(name), complex_values=complex_values)
    u = catalog.state(name)
    on_grid = jax.jit(lambda f: equation.right_hand_side(TIME, f).values)(u)
    exact = equation.right_hand_side(TIME, js.Function(lambda t, *x: function(0.0, *x), dimension, components))
    nodes = [c.ravel()[::7] for c in u.space.coordinates()]
    wanted = jax.jit(jax.vmap(lambda *x: exact(TIME, *x), out_axes=-1))(*nodes)
    got = on_grid.reshape(*components, -1)[..., ::7]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-11 * max(1, float(jnp.abs(wanted).max())))


@pytest.mark.parametrize("name", some_slow("velocity 3"))
def test_finite_differences_converge_to_the_same_equation(name):
    equation, dimension, components, complex_values, degree = ALL[name]
    function = wave_sum(dimension, components, seed=len(name), complex_values=complex_values)
    errors = []
    for nodes in (16, 32):
        grid = js.Grid((nodes,) * dimension, 0.0, TWO_PI)
        spectral = js.Fourier(grid, real=not complex_values).for_degree(degree)
        differences = js.FiniteDifference(grid, order=4, real=not complex_values)
        u = spectral.field(lambda *x: function(0.0, *x))
        u = js.project(u) if isinstance(equation, eq.NavierStokesVelocity) else u
        rates = [
            jax.jit(lambda v, space=space: equation.right_hand_side(TIME, space.field(v)).values)(u.values)
            for space in (spectral, differences)
        ]
        errors.append(float(jnp.abs(rates[0] - rates[1]).max()))
    assert errors[1] < errors[0] / 10, errors  # 16 in the limit
    assert errors[1] > 0


@pytest.mark.parametrize("name", ALL)
def test_parts_add_up_and_keep_precision(name):
    equation, *_ = ALL[name]
    u = catalog.state(name)
    total = equation.right_hand_side(TIME, u)
    assert total.shape == u.shape and total.dtype == u.dtype
    half = u.space.field(u.values.astype(jnp.complex64 if jnp.iscomplexobj(u.values) else jnp.float32))
    single = jax.jit(lambda e, f: e.right_hand_side(TIME, f).values)
    result = single(equation, half)
    assert result.dtype == half.values.dtype
    np.testing.assert_allclose(result, total.values, rtol=0, atol=1e-4 * float(jnp.abs(total.values).max()))


@pytest.mark.parametrize("name", ALL)
def test_linear_part_is_linear_with_constant_coefficients(name):
    equation, _, components, *_ = ALL[name]
    u = catalog.state(name)
    modes = u.space.modes()
    assert equation.linear(u) is not None
    image = jnp.zeros(modes.to_modes(u.space.state(u)).shape, complex)
    for index in np.ndindex(components):
        part = eq.like_state(equation.linear(modes.probe(components, index)), u)
        image = image + modes.symbol(part) * u.coefficients[index]
    wanted = eq.like_state(equation.linear(u), u).coefficients
    np.testing.assert_allclose(image, wanted, rtol=0, atol=1e-11 * max(1, float(jnp.abs(wanted).max())))


@pytest.mark.parametrize("name", some_slow("passive scalar", "reversible reaction", "magnetohydrodynamics",
                                           "velocity 3", "shallow water", "FitzHugh-Nagumo", "Burgers 3"))
def test_gradients_agree_with_finite_differences(name):
    equation, *_ = ALL[name]
    u = catalog.state(name)
    weight = jax.random.normal(jax.random.key(3), u.values.shape)

    @jax.jit
    def evaluate(parameters, values):
        return jax.value_and_grad(objective, argnums=(0, 1))(parameters, values)

    def objective(parameters, values):
        changed = eqx.combine(parameters, rest)
        rate = changed.right_hand_side(TIME, u.space.field(values)).values
        return jnp.sum(weight * jnp.real(rate) ** 2) + jnp.sum(weight * jnp.imag(rate))

    parameters, rest = eqx.partition(equation, eqx.is_inexact_array)
    gradient, slope = evaluate(parameters, u.values)[1]
    leaves, tree = jax.tree.flatten(parameters)
    shifts = [jax.random.normal(jax.random.key(i), leaf.shape, leaf.dtype) for i, leaf in enumerate(leaves)]
    for i, shift in enumerate(shifts):
        single = [shift if j == i else jnp.zeros_like(leaf) for j, leaf in enumerate(leaves)]
        difference = _central(lambda p: evaluate(p, u.values)[0], parameters, jax.tree.unflatten(tree, single))
        assert float(jnp.sum(jax.tree.leaves(gradient)[i] * shift)) == pytest.approx(difference, rel=1e-6, abs=1e-7)
    shift = jax.random.normal(jax.random.key(9), u.values.shape, u.values.dtype)
    difference = _central(lambda v: evaluate(parameters, v)[0], u.values, shift)
    # JAX gives the conjugate of the complex gradient: the derivative along `shift` is the real part of the product.
    assert float(jnp.sum(jnp.real(slope * shift))) == pytest.approx(difference, rel=1e-6, abs=1e-7)


def _central(function, point, direction, step=1e-4):
    """Fourth-order central difference along a direction of a pytree."""

    def at(s):
        return float(function(jax.tree.map(lambda p, d: p + s * step * d, point, direction)))

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)


# -- what the equations conserve or dissipate ---------------------------------------------------------------
def rate(functional, equation, u, t=TIME):
    """Rate of change of a functional along the equation."""

    @jax.jit
    def along(values):
        move = equation.right_hand_side(t, u.space.field(values))
        return jax.jvp(lambda v: functional(u.space.field(v)), (values,), (move.values,))[1]

    return along(u.values)


class Linear(js.Equation):
    """The linear part of an equation alone."""

    whole: js.Equation

    def linear(self, u):
        return self.whole.linear(u)


def close(a, b, scale=1.0):
    assert abs(float(a - b)) <= 1e-11 * max(1.0, abs(float(b)), float(scale)), (a, b)


@pytest.mark.parametrize(
    "name",
    ["advection per axis", "diffusion", "Burgers 1", "Korteweg-de Vries", "Kuramoto-Sivashinsky", "Cahn-Hilliard"],
)
def test_mass_is_conserved(name):
    close(rate(lambda u: jnp.sum(js.integral(u)), ALL[name][0], catalog.state(name)), 0.0)


def test_energy_and_enstrophy_of_plane_flow():
    w, nu, mu = catalog.state("vorticity"), 0.07, 0.2
    w = w - js.mean(w)
    flow = eq.NavierStokesVorticity(nu, mu, mean_flow=(0.4, 0.1))
    energy = lambda w: 0.5 * js.norm(eq.velocity(w)) ** 2
    enstrophy = lambda w: 0.5 * js.norm(w) ** 2
    palinstrophy = 0.5 * js.norm(js.grad(w)) ** 2
    close(rate(energy, flow, w), -2 * nu * enstrophy(w) - 2 * mu * energy(w))
    close(rate(enstrophy, flow, w), -2 * nu * palinstrophy - 2 * mu * enstrophy(w))


@pytest.mark.parametrize("name", ["velocity 2", "velocity 3"])
def test_energy_of_velocity(name):
    u, nu = catalog.state(name), 0.07
    flow = eq.NavierStokesVelocity(nu)
    close(rate(lambda u: 0.5 * js.norm(u) ** 2, flow, u), -nu * js.norm(js.curl(u)) ** 2)
    assert jnp.abs(js.div(flow.right_hand_side(TIME, u)).values).max() < 1e-12


def test_helicity_is_conserved_without_viscosity():
    u = catalog.state("velocity 3")
    close(rate(lambda u: js.integral(js.dot(u, js.curl(u))), eq.NavierStokesVelocity(0.0), u), 0.0)


def test_scalar_variance():
    s = catalog.state("passive scalar")
    kappa = 0.03
    carried = eq.PassiveScalar(eq.NavierStokesVorticity(0.05, mean_flow=(0.2, 0.1)), kappa)
    close(rate(lambda s: 0.5 * js.norm(s[1]) ** 2, carried, s), -kappa * js.norm(js.grad(s[1])) ** 2)
    gradient = jnp.array([0.5, 1.0])
    sheared = eq.PassiveScalar(eq.NavierStokesVorticity(0.05, 0.3, mean_flow=(0.2, 0.1)), kappa, gradient)
    mean_flow = jnp.array([0.2, 0.1]) * jnp.exp(-0.3 * TIME)
    close(rate(lambda s: js.mean(s[1]), sheared, s), -gradient @ mean_flow)


def test_scalar_of_a_uniform_gradient_is_the_scalar_that_has_it():
    # c + G.x is carried like any scalar: the departure from the gradient obeys the equation with the gradient.
    s = catalog.state("passive scalar")
    flow, gradient = catalog.NONLOCAL["passive scalar"][0].flow, jnp.array([0.5, 1.0])
    with_gradient = eq.PassiveScalar(flow, 0.02, gradient).right_hand_side(TIME, s)[1]
    without = eq.PassiveScalar(flow, 0.02).right_hand_side(TIME, s)[1]
    u = eq.velocity(s[0]).values + flow.mean_flow_at(TIME)[:, None, None]
    wanted = -jnp.tensordot(gradient, u, 1)
    np.testing.assert_allclose((with_gradient - without).values, wanted, atol=1e-12)


def test_boussinesq_budgets():
    s, nu, kappa, alpha, gamma = catalog.state("Boussinesq"), 0.05, 0.02, 1.5, -0.7
    equation = eq.Boussinesq(nu, kappa, alpha, gamma)
    lift = js.inner(eq.velocity(s[0])[1], s[1])
    kinetic = rate(lambda s: 0.5 * js.norm(eq.velocity(s[0])) ** 2, equation, s)
    w = s[0] - js.mean(s[0])
    close(kinetic, -nu * js.norm(w) ** 2 + alpha * lift)
    variance = rate(lambda s: 0.5 * js.norm(s[1]) ** 2, equation, s)
    close(variance, -kappa * js.norm(js.grad(s[1])) ** 2 - gamma * lift)


def test_magnetohydrodynamic_budgets():
    s, nu, eta = catalog.state("magnetohydrodynamics"), 0.05, 0.02
    equation = eq.Magnetohydrodynamics(nu, eta, (0.3, 0.4))
    current = js.laplacian(s[1])
    w = s[0] - js.mean(s[0])
    energy = lambda s: 0.5 * js.norm(eq.velocity(s[0])) ** 2 + 0.5 * js.norm(js.grad(s[1])) ** 2
    close(rate(energy, equation, s), -nu * js.norm(w) ** 2 - eta * js.norm(current) ** 2)
    ideal = eq.Magnetohydrodynamics(0.0, 0.0)
    close(rate(lambda s: js.norm(s[1]) ** 2, ideal, s), 0.0)  # mean square potential
    close(rate(lambda s: js.inner(s[0], s[1]), ideal, s), 0.0)  # cross helicity


def test_shallow_water_mass_and_energy():
    s = catalog.state("shallow water", nodes=24)
    depth, gravity, nu, mu = 1.2, 0.9, 0.05, 0.1
    equation = eq.ShallowWater(depth, gravity, rotation=0.5)
    close(rate(lambda s: js.integral(s[0]), equation, s), 0.0)
    linear = lambda s: 0.5 * (depth * js.norm(s[1:]) ** 2 + gravity * js.norm(s[0]) ** 2)
    close(rate(linear, Linear(equation), s), 0.0)

    def energy(s):  # cubic: on values, at nodes enough for the mean to be exact
        h, u, v = s.values
        return jnp.mean((depth + h) * (u * u + v * v) + gravity * h * h)

    close(rate(energy, equation, s), 0.0)
    damped = eq.ShallowWater(depth, gravity, 0.5, nu, mu)
    gradients = js.norm(js.grad(s[1:])) ** 2
    close(rate(linear, Linear(damped), s), -depth * (nu * gradients + mu * js.norm(s[1:]) ** 2))


def test_schrodinger_mass_and_energy():
    equation, u = eq.NonlinearSchrodinger(0.5, 1.2), catalog.state("nonlinear Schrödinger", nodes=20)

    def energy(u):
        return 0.5 * js.norm(js.grad(u)) ** 2 - 0.6 * u.space.volume * jnp.mean(jnp.abs(u.values) ** 4)

    close(rate(lambda u: js.norm(u) ** 2, equation, u), 0.0)
    close(rate(energy, equation, u), 0.0)


def test_gradient_flows_descend_their_functionals():
    def double_well(u):
        return 0.25 * u.space.volume * jnp.mean((1 - u.values**2) ** 2)

    u = catalog.state("Allen-Cahn", nodes=20)
    equation = eq.AllenCahn(0.1, 1.5)
    energy = lambda u: 1.5 * double_well(u) + 0.05 * js.norm(js.grad(u)) ** 2
    close(rate(energy, equation, u), -(js.norm(equation.right_hand_side(0.0, u)) ** 2))

    equation, width = eq.CahnHilliard(0.7, 0.3), 0.3
    energy = lambda u: double_well(u) + 0.5 * width**2 * js.norm(js.grad(u)) ** 2
    potential = u * u * u - u - width**2 * js.laplacian(u)
    close(rate(energy, equation, u), -0.7 * js.norm(js.grad(potential)) ** 2)

    equation, (r, q, g) = eq.SwiftHohenberg(0.4, 1.1, 0.6), (0.4, 1.1, 0.6)

    def lyapunov(u):
        v = u.values
        local = u.space.volume * jnp.mean(-0.5 * r * v**2 - g / 3 * v**3 + 0.25 * v**4)
        return local + 0.5 * js.norm(q**2 * u + js.laplacian(u)) ** 2

    close(rate(lyapunov, equation, u), -(js.norm(equation.right_hand_side(0.0, u)) ** 2))


def test_slope_of_the_integral_form_obeys_the_derivative_form():
    h = catalog.state("Kuramoto-Sivashinsky, integral")
    height = eq.KuramotoSivashinskyIntegral(0.9, 0.8).right_hand_side(TIME, h)
    slope = eq.KuramotoSivashinsky(0.9, 0.8).right_hand_side(TIME, js.grad(h))
    np.testing.assert_allclose(js.grad(height).values, slope.values, atol=1e-11)


# -- flows --------------------------------------------------------------------------------------------------
def plane_flow(seed=4):
    """Stream function as a callable, with its velocity and vorticity by automatic differentiation."""
    function = wave_sum(2, (), seed)
    psi = js.Function(lambda t, x, y: function(0.0, x, y), 2, ())
    return js.curl(psi), -js.laplacian(psi)


def on_grid(space, function, t=0.0):
    x, y = (c.ravel() for c in space.coordinates())
    values = jax.vmap(lambda x, y: function(t, x, y), out_axes=-1)(x, y)
    return space.field(values.reshape(*values.shape[:-1], *space.grid.shape))


def test_vorticity_equation_against_automatic_differentiation():
    u, w = plane_flow()
    space = catalog.space(2)
    force = js.Function(lambda t, x, y: jnp.stack([(1 + t) * jnp.sin(3 * y), jnp.cos(x)]), 2, (2,))
    mean_flow = jnp.array([0.7, -0.4])
    flow = eq.NavierStokesVorticity(0.1, 0.2, force.data, mean_flow)
    moved = u + mean_flow * jnp.exp(-0.2 * TIME)
    wanted = 0.1 * js.laplacian(w) - js.advect(moved, w) - 0.2 * w + js.curl(force)
    got = flow.right_hand_side(TIME, on_grid(space, w))
    np.testing.assert_allclose(got.values, on_grid(space, wanted, TIME).values, atol=1e-11)


def test_vorticity_with_mean_flow_in_the_state_agrees_with_velocity():
    space = catalog.space(2)
    u, w = plane_flow()
    uniform = jnp.array([0.7, -0.4])[:, None, None] * jnp.ones((2, *space.grid.shape))
    force = eq.kolmogorov(2.0) + eq.uniform_force((0.5, -1.0)) + eq.band_limited(jax.random.key(2), 1, 2)
    w, mean_flow = on_grid(space, w), space.field(uniform)
    rate_w, rate_mean = eq.NavierStokesVorticity(0.1, 0.2, force).right_hand_side(TIME, (w, mean_flow))
    velocity = on_grid(space, u) + mean_flow
    wanted = eq.NavierStokesVelocity(0.1, 0.2, force).right_hand_side(TIME, velocity)
    np.testing.assert_allclose(rate_w.values, js.curl(wanted).values, atol=1e-11)
    flat = js.mean(wanted)[:, None, None] * jnp.ones((2, *space.grid.shape))
    np.testing.assert_allclose(rate_mean.values, flat, atol=1e-12)
    flow = eq.NavierStokesVorticity(0.1, 0.2)
    np.testing.assert_allclose(flow.velocity((w, mean_flow)).values, velocity.values, atol=1e-12)
    _, coasting = flow.right_hand_side(TIME, (w, mean_flow))
    np.testing.assert_allclose(coasting.values, -0.2 * uniform, atol=1e-13)


def test_velocity_and_vorticity_are_inverse():
    w = catalog.state("vorticity")
    w = w - js.mean(w)
    np.testing.assert_allclose(eq.vorticity(eq.velocity(w)).values, w.values, atol=1e-12)
    assert jnp.abs(js.div(eq.velocity(w)).values).max() < 1e-12


@pytest.mark.parametrize("nodes", [(16, 16), (9, 14)])
def test_taylor_green_decays_and_nothing_else(nodes):
    nu = 0.1
    space = js.Fourier(js.Grid(nodes, 0.0, 2 * np.pi))
    w = space.field(js.initial.taylor_green_vorticity())
    right = eq.NavierStokesVorticity(nu).right_hand_side(0.0, w)
    np.testing.assert_allclose(right.values, -2 * nu * w.values, atol=1e-13)
    u = space.field(js.initial.taylor_green())
    np.testing.assert_allclose(
        eq.NavierStokesVelocity(nu).right_hand_side(0.0, u).values, -2 * nu * u.values, atol=1e-13
    )
    np.testing.assert_allclose(eq.vorticity(u).values, w.values, atol=1e-13)


def test_abc_flow_decays_and_nothing_else():
    u = catalog.space(3).field(js.initial.abc_flow(1.0, 0.7, 0.4))
    right = eq.NavierStokesVelocity(0.1).right_hand_side(0.0, u)
    np.testing.assert_allclose(right.values, -0.1 * u.values, atol=1e-13)


def test_kolmogorov_equilibrium_is_steady():
    nu, drag = 1e-3, 0.1
    space = catalog.space(2)
    force = eq.kolmogorov(4.0)
    u = space.field(lambda x, y: (jnp.sin(4 * y) / (16 * nu + drag), 0 * x))
    for equation, state in (
        (eq.NavierStokesVelocity(nu, drag, force), u),
        (eq.NavierStokesVorticity(nu, drag, force), eq.vorticity(u)),
    ):
        np.testing.assert_allclose(equation.right_hand_side(0.3, state).values, 0.0, atol=1e-12)


def test_elsasser_states_are_steady():
    # u = ± B with any shape solves the ideal equations: stresses cancel.
    s = catalog.state("magnetohydrodynamics")
    for sign in (1, -1):
        aligned = js.stack(-sign * js.laplacian(s[1]), s[1])
        rates = eq.Magnetohydrodynamics(0.0, 0.0).right_hand_side(0.0, aligned)
        np.testing.assert_allclose(rates.values, 0.0, atol=1e-12)


def test_magnetohydrodynamics_without_field_is_navier_stokes():
    s = catalog.state("magnetohydrodynamics")
    bare = js.stack(s[0], 0 * s[1])
    got = eq.Magnetohydrodynamics(0.05, 0.1).right_hand_side(TIME, bare)[0]
    np.testing.assert_allclose(
        got.values, eq.NavierStokesVorticity(0.05).right_hand_side(TIME, s[0]).values, atol=1e-12
    )


def test_mean_field_is_part_of_the_potential():
    # Adding B0 to the products of (u, B) must give the same as the linear coupling does.
    s, field = catalog.state("magnetohydrodynamics"), jnp.array([0.3, 0.4])
    with_field = eq.Magnetohydrodynamics(0.0, 0.0, field).right_hand_side(TIME, s)
    without = eq.Magnetohydrodynamics(0.0, 0.0).right_hand_side(TIME, s)
    along = field[0] * js.partial(s, 0) + field[1] * js.partial(s, 1)
    current = -js.laplacian(along[1])
    u = eq.velocity(s[0])
    np.testing.assert_allclose((with_field - without)[0].values, current.values, atol=1e-11)
    wanted = field[1] * u[0] - field[0] * u[1]
    np.testing.assert_allclose((with_field - without)[1].values, wanted.values, atol=1e-12)


# -- transforms ---------------------------------------------------------------------------------------------
TRANSFORMS = {  # scalar transforms per right-hand side, (inverse, forward), forces left out
    "Burgers 1": (1, 1),
    "Burgers 2": (3, 3),
    "Burgers 3": (6, 4),
    "Korteweg-de Vries": (1, 1),
    "nonlinear Schrödinger": (1, 1),
    "Ginzburg-Landau": (1, 1),
    "Kuramoto-Sivashinsky": (1, 1),
    "Kuramoto-Sivashinsky, integral": (2, 1),
    "Klein-Gordon, cubic": (1, 1),
    "Fisher": (1, 1),
    "Allen-Cahn": (1, 1),
    "Cahn-Hilliard": (1, 1),
    "Swift-Hohenberg": (1, 1),
    "Gray-Scott": (2, 2),
    "Brusselator": (2, 2),
    "FitzHugh-Nagumo": (1, 2),
    "reversible reaction": (2, 3),
    "shallow water": (4, 5),
    "vorticity": (2, 2),
    "velocity 2": (3, 2),
    "velocity 3": (6, 3),
    "passive scalar": (3, 4),
    "Boussinesq": (3, 4),
    "magnetohydrodynamics": (4, 3),
    "wave": (0, 0),
}


def transforms(equation, u):
    """Scalar transforms in the compiled right-hand side, batches counted with their size."""
    function = jax.jit(lambda e, y: u.space.state(e.right_hand_side(TIME, u.space.bind(y))))
    text = function.lower(equation, u.space.state(u)).compile().as_text()
    counts = Counter()
    for shape, kind, length in re.findall(r"= \w+\[([\d,]*)\]\S* fft\(.*?fft_type=(\w+), fft_length={([\d,]+)}", text):
        sizes = [int(n) for n in shape.split(",")]
        counts["inverse" if kind.startswith("I") else "forward"] += int(np.prod(sizes[: -len(length.split(","))]))
    return counts["inverse"], counts["forward"]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_as_few_as_documented(name):
    equation, *_ = ALL[name]
    bare = (
        eqx.tree_at(lambda e: getattr(e, "forcing", None), equation, None) if hasattr(equation, "forcing") else equation
    )
    if hasattr(equation, "flow"):
        bare = eqx.tree_at(lambda e: (e.flow.forcing, e.gradient), equation, (None, None))
    assert transforms(bare, catalog.state(name)) == TRANSFORMS[name]


# -- bad input ----------------------------------------------------------------------------------------------
BAD_PARAMETERS = {
    "diffusivity": lambda: eq.Diffusion(-0.1),
    "diffusivity per axis": lambda: eq.Diffusion((0.1, -0.1)),
    "advection-diffusion": lambda: eq.AdvectionDiffusion(1.0, -0.1),
    "not a number": lambda: eq.Diffusion(float("nan")),
    "hyperdiffusion": lambda: eq.Hyperdiffusion(-1.0),
    "power": lambda: eq.Hyperdiffusion(1.0, power=0),
    "speed": lambda: eq.Wave(-1.0),
    "mass": lambda: eq.KleinGordon(1.0, -1.0),
    "Burgers": lambda: eq.Burgers(-0.1),
    "Korteweg-de Vries": lambda: eq.KortewegDeVries(viscosity=-0.1),
    "hyperviscosity": lambda: eq.KuramotoSivashinsky(hyperviscosity=-1.0),
    "hyperviscosity, integral": lambda: eq.KuramotoSivashinskyIntegral(hyperviscosity=-1.0),
    "Fisher": lambda: eq.FisherKPP(0.1, -1.0),
    "Allen-Cahn": lambda: eq.AllenCahn(-0.1),
    "Gray-Scott": lambda: eq.GrayScott(feed=-0.1),
    "Brusselator": lambda: eq.Brusselator(0.1, -0.1),
    "reversible reaction": lambda: eq.ReversibleReaction(1.0, decay_c=-0.1),
    "FitzHugh-Nagumo": lambda: eq.FitzHughNagumo(-0.1),
    "Cahn-Hilliard": lambda: eq.CahnHilliard(mobility=-1.0),
    "vorticity": lambda: eq.NavierStokesVorticity(-1e-3),
    "drag": lambda: eq.NavierStokesVorticity(1e-3, drag=np.float32(-0.1)),
    "mean flow": lambda: eq.NavierStokesVorticity(1e-3, mean_flow=(1.0, 2.0, 3.0)),
    "velocity": lambda: eq.NavierStokesVelocity(jnp.asarray(-1e-3)),
    "pressure": lambda: eq.NavierStokesPressure(1e-3, -0.1),
    "scalar": lambda: eq.PassiveScalar(eq.NavierStokesVorticity(1e-3), -0.1),
    "scalar gradient": lambda: eq.PassiveScalar(eq.NavierStokesVorticity(1e-3), 0.1, 1.0),
    "Boussinesq": lambda: eq.Boussinesq(0.1, -0.1),
    "resistivity": lambda: eq.Magnetohydrodynamics(0.1, -0.1),
    "mean field": lambda: eq.Magnetohydrodynamics(0.1, 0.1, 1.0),
    "depth": lambda: eq.ShallowWater(depth=0.0),
    "complex viscosity": lambda: eq.Burgers(0.1 + 0.1j),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_raise(name):
    with pytest.raises(ValueError, match="must not be negative|must be positive|two numbers|whole number"):
        BAD_PARAMETERS[name]()


def test_scalar_needs_a_flow():
    with pytest.raises(TypeError, match="NavierStokesVorticity"):
        eq.PassiveScalar(eq.Burgers(0.1), 0.1)


BAD_STATES = {
    "advection": (eq.Advection((1.0, 2.0)), 1, (), False, "one per axis"),
    "diffusion": (eq.Diffusion((1.0, 2.0)), 3, (), False, "one per axis"),
    "wave": (eq.Wave(), 1, (), False, "displacement and rate"),
    "Klein-Gordon": (eq.KleinGordon(), 1, (3,), False, "field and rate"),
    "Burgers": (eq.Burgers(0.1), 2, (), False, "one velocity component per axis"),
    "Burgers on a line": (eq.Burgers(0.1), 1, (2,), False, "scalar"),
    "Korteweg-de Vries": (eq.KortewegDeVries(), 2, (), False, "written in 1 dimensions"),
    "Schrödinger": (eq.NonlinearSchrodinger(), 1, (), False, "real=False"),
    "Ginzburg-Landau": (eq.ComplexGinzburgLandau(), 1, (), False, "real=False"),
    "Kuramoto-Sivashinsky": (eq.KuramotoSivashinsky(), 2, (), False, "KuramotoSivashinskyIntegral"),
    "integral form": (eq.KuramotoSivashinskyIntegral(), 2, (2,), False, "scalar height"),
    "Gray-Scott": (eq.GrayScott(), 2, (3,), False, "substrate"),
    "Brusselator": (eq.Brusselator(0.1, 0.1), 2, (), False, "two species"),
    "reversible reaction": (eq.ReversibleReaction(1.0), 2, (2,), False, "species A, B and C"),
    "FitzHugh-Nagumo": (eq.FitzHughNagumo(0.1), 1, (), False, "voltage"),
    "vorticity in space": (eq.NavierStokesVorticity(0.1), 3, (), False, "written in 2 dimensions"),
    "velocity as vorticity": (eq.NavierStokesVorticity(0.1), 2, (2,), False, "js.equations.vorticity"),
    "velocity on a line": (eq.NavierStokesVelocity(0.1), 1, (), False, "2 or 3 dimensions"),
    "vorticity as velocity": (eq.NavierStokesVelocity(0.1), 3, (2,), False, "the velocity"),
    "scalar": (eq.PassiveScalar(eq.NavierStokesVorticity(0.1), 0.1), 2, (3,), False, "vorticity and scalar"),
    "Boussinesq": (eq.Boussinesq(0.1, 0.1), 2, (), False, "vorticity and temperature"),
    "shallow water": (eq.ShallowWater(), 2, (2,), False, "elevation"),
    "magnetohydrodynamics": (eq.Magnetohydrodynamics(0.1, 0.1), 3, (2,), False, "written in 2 dimensions"),
    "force": (eq.NavierStokesVelocity(0.1, forcing=lambda t, *x: x[0]), 2, (2,), False, "one component per axis"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_states_that_do_not_fit_raise_at_trace_time(name):
    equation, dimension, components, complex_values, message = BAD_STATES[name]
    u = catalog.space(dimension, nodes=6).field(jnp.ones((*components, *catalog.space(dimension, nodes=6).grid.shape)))
    with pytest.raises(ValueError, match=message):
        eqx.filter_eval_shape(lambda e: e.right_hand_side(0.0, u).values, equation)


def test_pressure_form_is_a_residual_only():
    space = catalog.space(2, nodes=8)
    rest = space.field(jnp.zeros((3, *space.grid.shape)))
    assert jnp.abs(js.residual(eq.NavierStokesPressure(0.1), rest)(0.0).values).max() == 0
    with pytest.raises(TypeError, match="neither `linear` nor `nonlinear`"):
        eq.NavierStokesPressure(0.1).right_hand_side(0.0, rest)
    with pytest.raises(ValueError, match="the velocity and the pressure"):
        js.residual(eq.NavierStokesPressure(0.1), rest[:2])(0.0)


def test_mean_flow_cannot_be_given_twice():
    space = catalog.space(2, nodes=6)
    w, mean_flow = space.field(jnp.ones(space.grid.shape)), space.field(jnp.ones((2, *space.grid.shape)))
    with pytest.raises(ValueError, match="given twice"):
        eq.NavierStokesVorticity(0.1, mean_flow=(1.0, 0.0)).right_hand_side(0.0, (w, mean_flow))


def test_traced_parameters_pass_the_checks():
    assert jax.grad(lambda nu: eq.Burgers(nu).viscosity ** 2)(3.0) == 6.0
    assert jax.vmap(lambda nu: eq.Diffusion(nu).diffusivity)(jnp.array([-1.0, 2.0])).shape == (2,)
