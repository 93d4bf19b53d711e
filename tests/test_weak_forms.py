"""Rows of systems, stationary problems, weak forms and energies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsim as js
from jaxsim.nets import MLP
from jaxsim.optimize import LBFGS, FirstOrder, LevenbergMarquardt, train
from jaxsim.pinn import Box, Energy, Patches, Resample, Sobol, collocation, weak

POINTS = np.random.default_rng(0).uniform(0.1, 0.9, (3, 3))
PLANE = Box(None, (0.0, 0.0), (1.0, 1.0))


def vector_field(outputs, size=3):
    net = MLP(size, outputs, 6, 2, key=jax.random.key(1))
    return lambda *coordinates: net(jnp.stack(coordinates))


def test_systems_have_a_row_for_each_component():
    u = lambda t, x, y: jnp.stack([jnp.sin(t + 2 * x) * y, x**3 * y - t, x**2 * t + y**3])
    pair = lambda t, x, y: u(t, x, y)[:2]
    flow, basin, wave = (
        js.equations.NavierStokesPressure(0.1),
        js.equations.ShallowWater(2.0, 3.0),
        js.equations.Wave(2.0),
    )
    rows = jax.jit(lambda: [collocation(e, POINTS).values(f) for e, f in ((flow, u), (basin, u), (wave, pair))])
    t, x, y = POINTS.T
    s, c, one = np.sin(t + 2 * x), np.cos(t + 2 * x), np.ones(3)
    a, b, p = s * y, x**3 * y - t, x**2 * t + y**3
    ax, ay, at, bx, by, bt, px, py, pt = 2 * c * y, s, c * y, 3 * x**2 * y, x**3, -one, 2 * x * t, 3 * y**2, x**2
    expected = [
        [at + a * ax + b * ay + px + 0.1 * 4 * a, bt + a * bx + b * by + py - 0.1 * 6 * x * y, ax + by],
        [at + (2 + a) * (bx + py) + b * ax + p * ay, bt + b * bx + p * by + 3 * ax, pt + b * px + p * py + 3 * ay],
        [at - b, bt - 4 * -4 * a],
    ]
    for found, wanted in zip(rows(), expected):
        np.testing.assert_allclose(found, np.stack(wanted, 1), rtol=1e-10, atol=1e-12)


def test_an_operator_that_callables_lack_is_named_before_anything_runs():
    for equation, outputs, word in [
        (js.equations.NavierStokesVorticity(0.1), "scalar", "inverse_laplacian"),
        (js.equations.NavierStokesVelocity(0.1), 2, "project"),
    ]:
        block = collocation(equation, POINTS)
        with pytest.raises(TypeError, match=f"have no `{word}`"):
            jax.eval_shape(lambda block=block, outputs=outputs: block.values(vector_field(outputs)))


exact = lambda x, y: jnp.sin(2 * x) * jnp.exp(y)
conductivity = lambda x, y: 1 + x * y


@pytest.fixture(scope="module")
def problems():
    """Stationary equations that `exact` solves, and one that it does not."""
    varied = lambda x, y: -(y * 2 * jnp.cos(2 * x) + x * jnp.sin(2 * x) - 3 * (1 + x * y) * jnp.sin(2 * x)) * jnp.exp(y)
    return {
        "poisson": js.equations.Poisson(lambda x, y: 1.5 * 3 * exact(x, y), 1.5),
        "varied": js.equations.Poisson(varied, conductivity),
        "helmholtz": js.equations.Helmholtz(2.0, exact),
        "off": js.equations.Poisson(1.0),
    }


def test_solutions_of_stationary_problems_leave_nothing_in_either_form(problems):
    points, radius = PLANE.shrunk(0.2).uniform(4, jax.random.key(0)), (0.2, 0.1)
    patches = Patches(points, radius, nodes=7)

    @jax.jit
    def both():
        return {name: (collocation(e, points, stationary=True).values(exact),
                       weak(e, patches, stationary=True).values(exact)) for name, e in problems.items()}  # fmt: skip

    for name, (strong, tested) in both().items():
        if name == "off":
            np.testing.assert_allclose(strong, 3 * jax.vmap(exact)(*points.T) - 1, rtol=1e-12)
            assert np.max(np.abs(tested - strong)) < 0.05 * np.max(np.abs(strong))  # a mean over a small patch
        else:
            assert strong.shape == tested.shape == (4,)
            np.testing.assert_allclose(strong, 0, atol=1e-12)
            np.testing.assert_allclose(tested, 0, atol=1e-11)


class ConservativeBurgers(js.equations.DivergenceForm):
    """Burgers' equation by its flux."""

    viscosity: float | jax.Array

    def density(self, t, u):
        return u

    def flux(self, t, u):
        return js.stack(0.5 * u * u) - self.viscosity * js.grad(u)


def test_parts_are_integrated_with_time_as_well():
    u = lambda t, x: jnp.sin(t + 2 * x) + x**2
    patches = Patches(jnp.array([[0.4, 0.5], [0.6, 0.3]]), (0.3, 0.2), power=3, nodes=8)

    @jax.jit
    def rows(viscosity):
        by_parts = weak(ConservativeBurgers(viscosity), patches).values(u)
        tested = weak(js.equations.Burgers(viscosity), patches).values(u)
        strong = collocation(ConservativeBurgers(viscosity), patches.centers).values(u)
        return by_parts, tested, strong, collocation(js.equations.Burgers(viscosity), patches.centers).values(u)

    by_parts, tested, strong, same = rows(0.05)
    np.testing.assert_allclose(by_parts, tested, rtol=1e-9)
    np.testing.assert_allclose(strong, same, rtol=1e-12)
    assert np.min(np.abs(tested)) > 0.1


def test_a_shock_satisfies_the_weak_form_and_no_wrong_one_does():
    shock = lambda speed: lambda t, x: jnp.where(x < 0.5 + speed * (t - 0.5), 2.0, 1.0)
    patches = Patches(jnp.array([[0.5, 0.5]]), (0.2, 0.5), nodes=100)
    row = jax.jit(lambda speed: weak(ConservativeBurgers(0.0), patches).values(shock(speed))[0])
    assert abs(row(1.5)) < 0.02 and abs(row(1.0)) > 0.2  # the mean of both states, by Rankine and Hugoniot


def test_quadrature_of_test_functions_is_exact_for_polynomials():
    patches = Patches(jnp.array([[0.3, -0.2]]), (0.5, 2.0), power=3, nodes=4)
    monomial = lambda p: (p[0] - 0.3) ** 4 * (p[1] + 0.2) ** 2
    other = lambda p: (p[0] - 0.3) ** 5 + p[1]
    integrals = jax.jit(lambda: [patches.integrals(g, patches.centers[0]) for g in (monomial, other)])
    (value, slopes), (_, tilted) = integrals()
    moment = lambda k: (
        np.polynomial.legendre.leggauss(20)[1]
        @ (lambda s: s**k * (1 - s**2) ** 3)(np.polynomial.legendre.leggauss(20)[0])
    )
    mean = lambda k: moment(k) / moment(0)
    np.testing.assert_allclose(value, 0.5**4 * mean(4) * 4 * mean(2), rtol=1e-12)
    np.testing.assert_allclose(slopes, 0, atol=1e-13)  # by symmetry
    np.testing.assert_allclose(tilted, [-5 * 0.5**4 * mean(4), -1], rtol=1e-12)
    assert Patches(jnp.zeros((1, 2), jnp.float32), 0.5).values.dtype == jnp.float32


def dirichlet(u):
    return 0.5 * js.dot(js.grad(u), js.grad(u)) - js.sample(lambda t, x: jnp.pi**2 * jnp.sin(jnp.pi * x), 0.0, u) * u


def test_an_energy_is_least_for_the_solution_and_the_same_on_a_grid():
    points, weights = Box(None, 0.0, 1.0).quadrature(12)
    energy = Energy(dirichlet, points, weights)
    model = lambda a: lambda x: a[0] * jnp.sin(jnp.pi * x) + a[1] * jnp.sin(2 * jnp.pi * x)
    odd = js.Fourier(js.Grid(32, -1.0, 1.0))

    @jax.jit
    def look():
        loss = lambda a: energy.settled().loss(model(a))
        slope = lambda a: (jax.grad(loss)(a),) * 2
        curved, slopes = jax.jacfwd(slope, has_aux=True)(jnp.array([1.0, 0.0]))
        on_grid = js.integral(dirichlet(odd.field(lambda x: jnp.sin(jnp.pi * x))))
        return loss(jnp.array([1.0, 0.0])), slopes, curved, on_grid / 2

    found, slope, curved, on_grid = look()
    np.testing.assert_allclose(found, -(jnp.pi**2) / 4, rtol=1e-10)
    np.testing.assert_allclose(slope, 0, atol=1e-8)
    np.testing.assert_allclose(curved, np.diag([jnp.pi**2 / 2, 2 * jnp.pi**2]), atol=1e-6)
    np.testing.assert_allclose(on_grid, found, rtol=1e-10)


def test_an_energy_has_no_rows_and_says_so():
    energy = Energy(dirichlet, np.linspace(0, 1, 5)[:, None], 0.2)
    net = eqx.nn.MLP(1, "scalar", 3, 1, jnp.tanh, key=jax.random.key(0))
    model = lambda x: net(x[None])
    method = LevenbergMarquardt()
    with pytest.raises(TypeError, match="Energy has none"):
        method.step([energy], model, jax.eval_shape(lambda: method.init([energy], model)))
    with pytest.raises(ValueError, match="`weight`"):
        Energy(dirichlet, jnp.zeros((5, 1)), jnp.ones(4)).settled()
    with pytest.raises(ValueError, match="points have shape"):
        Energy(dirichlet, jnp.zeros(5), 1.0).settled()
    with pytest.raises(ValueError, match="scalar field"):
        jax.eval_shape(lambda: Energy(js.grad, jnp.zeros((5, 1)), 1.0).values(lambda x: x**2))


def test_an_energy_is_trained():
    points, weights = Box(None, 0.0, 1.0).quadrature(12)
    energy = Energy(dirichlet, points, weights, field=lambda model: lambda x: model["size"] * jnp.sin(jnp.pi * x))
    found = train([energy], {"size": jnp.zeros(())}, FirstOrder(optax.sgd(0.1)), 40, every=40)
    np.testing.assert_allclose(found.model["size"], 1, atol=1e-6)
    np.testing.assert_allclose(found.losses[-1], -(jnp.pi**2) / 4, rtol=1e-10)


class Clamped(eqx.Module):
    """A network that vanishes at both ends of (0, 1)."""

    network: MLP

    def __call__(self, x):
        return x * (1 - x) * self.network(2 * x[None] - 1)


@pytest.mark.slow
def test_problems_are_solved_in_weak_form_and_by_their_energy():
    varied = lambda x: 1 + 0.5 * x
    source = lambda x: varied(x) * jnp.pi**2 * jnp.sin(jnp.pi * x) - 0.5 * jnp.pi * jnp.cos(jnp.pi * x)
    x = np.linspace(0, 1, 50)
    error = lambda model: np.max(np.abs(jax.vmap(model)(x) - np.sin(np.pi * x)))
    box, model = Box(None, 0.0, 1.0), Clamped(MLP(1, "scalar", 8, 2, key=jax.random.key(0)))
    tests = Patches(box.shrunk(0.1).sobol(64, jax.random.key(1)), 0.1)
    block = weak(js.equations.Poisson(source, varied), tests, stationary=True)
    rules = [Resample(Sobol(box.shrunk(0.1)), every=20)]
    key = jax.random.key(2)
    assert error(train([block], model, LevenbergMarquardt(), 60, rules=rules, key=key).model) < 1e-5
    points, weights = box.quadrature(40)
    found = train([Energy(dirichlet, points, weights)], model, LBFGS(), 300)
    assert error(found.model) < 1e-3 and abs(found.losses[-1] + np.pi**2 / 4) < 1e-5


def test_quadrature_of_a_box():
    points, weights = Box((0.0, 2.0), (1.0, 0.0), (1.0, 3.0)).quadrature((4, 5, 3))
    assert points.shape == (12, 3) and np.all(points[:, 1] == 1)
    np.testing.assert_allclose(weights @ (points[:, 0] ** 7 * points[:, 2] ** 5), 2**8 / 8 * 3**6 / 6, rtol=1e-12)
    np.testing.assert_allclose(np.sum(weights), 6)
    with pytest.raises(ValueError, match="at least one node"):
        PLANE.quadrature(0)


def test_bad_input(problems):
    with pytest.raises(ValueError, match=r"shape \(n, dimensions\)"):
        collocation(problems["off"], jnp.zeros(3), stationary=True)
    with pytest.raises(TypeError, match="say which part"):
        jax.eval_shape(lambda: collocation(problems["off"], POINTS).values({"network": exact}))
    with pytest.raises(TypeError, match="js.Equation or a function"):
        jax.eval_shape(lambda: collocation(lambda model: 1.0, POINTS).values(vector_field("scalar")))
    with pytest.raises(ValueError, match="`radius`"):
        Patches(POINTS, (0.1, 0.1))
    with pytest.raises(ValueError, match="`power`"):
        Patches(POINTS, 0.1, power=0)
    with pytest.raises(ValueError, match="centers have shape"):
        Patches(POINTS[0], 0.1)
    with pytest.raises(ValueError, match="conductivity"):
        js.equations.Poisson(1.0, -1.0)
    with pytest.raises(ValueError, match="a scalar field"):
        jax.eval_shape(lambda: collocation(problems["off"], POINTS).values(vector_field(2)))
    with pytest.raises(TypeError, match="no `flux`"):
        jax.eval_shape(lambda: collocation(js.equations.DivergenceForm(), POINTS).values(vector_field("scalar")))


class Scalar(js.equations.DivergenceForm):
    """A flux without an axis for the components."""

    def flux(self, t, u):
        return 0.5 * u * u


def test_a_flux_without_axes_is_refused():
    with pytest.raises(ValueError, match="one leading component per axis"):
        jax.eval_shape(lambda: weak(Scalar(), Patches(POINTS, 0.05)).values(vector_field("scalar")))
