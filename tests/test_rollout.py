import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import ETDRK2, Diverged, Krogstad4, checkpointed_scan


class Vorticity(js.Equation):
    viscosity: float

    def linear(self, w):
        return self.viscosity * js.laplacian(w)

    def nonlinear(self, t, w):
        return -js.advect(js.curl(-js.inverse_laplacian(w)), w)


class Logistic(js.Equation):
    """Cubic and forced in time, with nothing stiff."""

    def nonlinear(self, t, u):
        return u - u**3 + js.sample(lambda t, x: 0.1 * jnp.cos(t) * jnp.sin(x), t, u)


class Pair(js.Equation):
    """Two fields as a dictionary, coupled and rotating."""

    frequency: float

    def linear(self, state):
        return {"a": self.frequency * state["b"] + js.laplacian(state["a"]), "b": -self.frequency * state["a"]}


@pytest.fixture
def space():
    return js.Fourier(js.Grid((16, 12), 0.0, (2 * np.pi, 4 * np.pi)))


def start(space):
    return space.field(lambda x, y: jnp.sin(2 * x) * jnp.cos(y / 2) + jnp.cos(x + y))


def test_checkpointed_scan_is_a_scan():
    def body(carry, _):
        return jnp.sin(carry) + 0.1, carry

    expected = jax.lax.scan(body, 0.3, None, 23)
    for block in (None, 1, 4, 23, 50):
        value, outputs = checkpointed_scan(body, jnp.asarray(0.3), 23, block)
        np.testing.assert_allclose(value, expected[0], rtol=1e-15)
        np.testing.assert_allclose(outputs, expected[1], rtol=1e-15)
        slope = jax.grad(lambda c, block=block: checkpointed_scan(body, c, 23, block)[0])(0.3)
        np.testing.assert_allclose(slope, jax.grad(lambda c: jax.lax.scan(body, c, None, 23)[0])(0.3), rtol=1e-14)


def test_a_trajectory_holds_every_so_many_th_state(space):
    w0 = start(space)
    kept = js.rollout(Vorticity(0.01), w0, dt=0.02, steps=12, save_every=4)
    assert kept.values.shape == (3, 16, 12)
    for i in range(3):
        alone = js.rollout(Vorticity(0.01), w0, dt=0.02, steps=4 * (i + 1))
        np.testing.assert_allclose(kept.values[i], alone.values, atol=1e-13)
    every = js.rollout(Vorticity(0.01), w0, dt=0.02, steps=12, save_every=1, block=5)
    np.testing.assert_allclose(every.values[3::4], kept.values, atol=1e-13)


@pytest.mark.parametrize("block", [1, pytest.param(3, marks=pytest.mark.slow), None])
def test_gradients_match_central_differences(space, block):
    w0, direction = start(space), space.field(lambda x, y: jnp.cos(x + y) + jnp.cos(2 * x + y / 2))

    def energy(size, viscosity):
        w = js.rollout(Vorticity(viscosity), w0 + size * direction, dt=0.05, steps=10, block=block)
        return js.inner(w, w)

    slopes = jax.grad(energy, (0, 1))(0.0, 0.02)
    h = 1e-5
    np.testing.assert_allclose(slopes[0], (energy(h, 0.02) - energy(-h, 0.02)) / (2 * h), rtol=1e-7)
    np.testing.assert_allclose(slopes[1], (energy(0.0, 0.02 + h) - energy(0.0, 0.02 - h)) / (2 * h), rtol=1e-7)
    forward = jax.jvp(energy, (0.0, 0.02), (1.0, 0.0))[1]
    np.testing.assert_allclose(forward, slopes[0], rtol=1e-12)


def test_a_traced_step_size_is_differentiable(space):
    def energy(dt):
        w = js.rollout(Vorticity(0.05), start(space), dt=dt, steps=5)
        return js.inner(w, w)

    np.testing.assert_allclose(jax.grad(energy)(0.02), (energy(0.02 + 1e-5) - energy(0.02 - 1e-5)) / 2e-5, rtol=1e-7)


def test_jit_vmap_and_plain_calls_agree(space):
    w0 = start(space)
    run = lambda nu, w: js.rollout(Vorticity(nu), w, dt=0.05, steps=4)
    plain = run(0.02, w0)
    np.testing.assert_allclose(jax.jit(run)(0.02, w0).values, plain.values, atol=1e-13)
    swept = jax.vmap(run, (0, None))(jnp.array([0.02, 0.3]), w0)
    np.testing.assert_allclose(swept.values[0], plain.values, atol=1e-13)
    batch = js.stack(w0, 2 * w0)
    np.testing.assert_allclose(jax.vmap(run, (None, 0))(0.02, batch).values[0], plain.values, atol=1e-13)


def test_a_parameter_sweep_compiles_once(space):
    w0 = start(space)
    traces = []

    class Counted(Vorticity):
        def nonlinear(self, t, w):
            traces.append(t)
            return super().nonlinear(t, w)

    js.rollout(Counted(0.011), w0, dt=0.05, steps=3)
    first = len(traces)
    js.rollout(Counted(0.012), w0, dt=0.04, steps=3)
    # Finding the degree of the products traces `nonlinear` once per call, on shapes alone.
    assert len(traces) == first + 1


def test_states_may_be_pytrees_with_coupled_linear_parts():
    space = js.Fourier(js.Grid(8, 0, 2 * np.pi))
    state = {"a": space.field(lambda x: jnp.sin(x)), "b": space.field(lambda x: 0 * x + 1)}
    end = js.rollout(Pair(2.0), state, dt=0.25, steps=4)
    matrix = np.array([[-1.0, 2.0], [-2.0, 0.0]])
    exact = jax.scipy.linalg.expm(matrix) @ np.array([1.0, 0.0])
    x = space.coordinates()[0]
    np.testing.assert_allclose(end["a"].values, exact[0] * jnp.sin(x) + np.sin(2.0), atol=1e-13)
    np.testing.assert_allclose(end["b"].values, exact[1] * jnp.sin(x) + np.cos(2.0), atol=1e-13)


class Difference(js.Equation):
    """Coupled by the difference of two parameters that are often alike."""

    a: float
    b: float

    def linear(self, state):
        u, v = state
        return (self.a - self.b) * v, 0 * u


def test_the_structure_of_unknown_parameters_is_generic():
    space = js.Fourier(js.Grid(8, 0, 2 * np.pi))
    state = space.field(lambda x: jnp.stack([jnp.sin(x), jnp.cos(x)]))
    run = lambda a, b: js.rollout(Difference(a, b), state, dt=0.5, steps=2).values[0, 0]
    np.testing.assert_allclose(run(2.0, 0.5), 1.5, atol=1e-14)
    np.testing.assert_allclose(jax.jit(run)(2.0, 0.5), 1.5, atol=1e-14)
    np.testing.assert_allclose(jax.grad(run)(1.0, 1.0), 1.0, atol=1e-14)


def test_the_padding_fits_the_degree_of_the_equation():
    space = js.Fourier(js.Grid(16, 0, 2 * np.pi))
    u0 = space.field(lambda x: jnp.sin(7 * x))
    y = u0.coefficients
    assert js.SemilinearTerm(Logistic(), space).for_state(y).space.degree == 3
    plane = js.SemilinearTerm(Vorticity(0.1), js.Fourier(js.Grid((8, 8))))
    assert plane.for_state(jnp.ones((7, 4), complex)).space.degree == 2
    term = js.SemilinearTerm(Logistic(), space).for_state(y)
    # sin(7x)^3 = (3 sin(7x) - sin(21x)) / 4, whose second wave is not resolved: an alias would put it on another mode.
    rate = space.from_coefficients(term.vf(jnp.pi / 2, y)).values
    np.testing.assert_allclose(rate, 0.25 * u0.values, atol=1e-13)


def test_any_diffrax_solver_takes_the_same_steps(space):
    w0 = start(space)
    ours = js.rollout(Vorticity(0.02), w0, dt=0.02, steps=50)
    stock = js.rollout(Vorticity(0.02), w0, dt=0.02, steps=50, solver=dfx.Tsit5())
    np.testing.assert_allclose(stock.values, ours.values, atol=1e-7)
    assert jnp.abs(stock.values - ours.values).max() > 0


def test_divergence_stops_and_says_when(space):
    wild = 1e4 * start(space)
    with pytest.raises(Diverged, match=r"at t = .* after \d+ steps\. Take smaller steps"):
        js.rollout(Vorticity(1e-3), wild, dt=0.5, steps=40)
    result = js.march(Vorticity(1e-3), wild, dt=0.5, steps=40)
    assert not result.succeeded and 0 <= result.steps < 40
    np.testing.assert_allclose(result.time, 0.5 * result.steps)
    assert jnp.isfinite(result.value.values).all()
    assert jnp.isfinite(js.rollout(Vorticity(1e-3), wild, dt=0.5, steps=40, throw=False).values).all()
    with pytest.raises(eqx.EquinoxRuntimeError, match="not finite"):
        eqx.filter_jit(lambda w: js.rollout(Vorticity(1e-3), w, dt=0.5, steps=40))(wild)
    fine = js.march(Vorticity(1e-3), start(space), dt=0.01, steps=4, t0=3.0)
    assert fine.succeeded and fine.steps == 4
    np.testing.assert_allclose(fine.time, 3.04)


def test_progress_is_shown_and_changes_nothing(space, capfd):
    w0 = start(space)
    quiet = js.rollout(Vorticity(0.02), w0, dt=0.02, steps=40)
    shown = js.rollout(Vorticity(0.02), w0, dt=0.02, steps=40, progress=True)
    jax.effects_barrier()
    captured = capfd.readouterr()
    assert "100" in captured.out + captured.err
    np.testing.assert_array_equal(shown.values, quiet.values)


def test_single_precision_runs_in_single_precision(space):
    w0 = start(space)
    low = jax.tree.map(lambda a: a.astype(jnp.float32), w0)
    end = js.rollout(Vorticity(jnp.asarray(0.02)), low, dt=0.02, steps=20)
    assert end.values.dtype == jnp.float32
    np.testing.assert_allclose(end.values, js.rollout(Vorticity(0.02), w0, dt=0.02, steps=20).values, atol=1e-5)


class Heat(js.Equation):
    """A coefficient that varies in space: not for `linear`."""

    def linear(self, u):
        return u * js.sample(lambda t, x, y: jnp.sin(x), 0.0, u)


class Affine(js.Equation):
    def linear(self, u):
        return js.laplacian(u) + 1.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(dt=-0.1, steps=3), ValueError, "positive"),
        (dict(dt=0.1, steps=0), ValueError, "at least 1"),
        (dict(dt=0.1, steps=2.5), ValueError, "whole number"),
        (dict(dt=0.1, steps=10, save_every=3), ValueError, "no multiple of 3"),
        (dict(dt=0.1, steps=3, equation=Heat()), ValueError, "constant coefficients"),
        (dict(dt=0.1, steps=3, equation=Affine()), ValueError, "constant coefficients"),
        (dict(dt=0.1, steps=3, equation=js.Equation()), TypeError, "neither"),
        (dict(dt=0.1, steps=3, equation="heat"), TypeError, "expected a js.Equation"),
        (dict(dt=0.1, steps=3, u0=jnp.ones((16, 12))), TypeError, "must be a Field"),
        (dict(dt=float("nan"), steps=3), ValueError, "positive"),
        (dict(dt=0.1, steps=3, block=0), ValueError, "at least 1"),
        (dict(dt=0.1, steps=3, solver=dfx.Kvaerno5()), ValueError, "Newton steps"),
    ],
)
def test_bad_input_is_refused(space, arguments, error, message):
    arguments = {"equation": Vorticity(0.02), "u0": start(space), "solver": Krogstad4(), **arguments}
    with pytest.raises(error, match=message):
        js.rollout(arguments.pop("equation"), arguments.pop("u0"), **arguments)


def test_solvers_of_ours_refuse_other_terms():
    with pytest.raises(Exception, match="SemilinearTerm|compatible|term"):
        dfx.diffeqsolve(dfx.ODETerm(lambda t, y, args: -y), ETDRK2(), 0.0, 1.0, 0.1, jnp.ones(3))


def test_between_walls_exponential_solvers_say_what_to_take_instead():
    u0 = js.FiniteDifference(js.Grid(24), js.Neumann(), order=8).field(lambda x: jnp.cos(np.pi * x))
    with pytest.raises(ValueError, match="diagonal form"):
        js.rollout(js.equations.Diffusion(1.0), u0, dt=1e-3, steps=2, solver=Krogstad4())
    with pytest.raises(ValueError, match="Choose a `solver`"):
        js.rollout(js.equations.Diffusion(1.0), u0, dt=1e-3, steps=2)
    decayed = js.rollout(js.equations.Diffusion(1.0), u0, dt=2e-4, steps=20, solver=dfx.Tsit5())
    np.testing.assert_allclose(decayed.values, np.exp(-(np.pi**2) * 0.004) * u0.values, atol=1e-8)
