"""Lyapunov spectra against exact ones, of maps, modes, noise and implicit steps; and how long a prediction holds."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest

import jaxsim as js
from jaxsim.integrate import (
    ETDAB3,
    IMEXRK2,
    SBDF2,
    Diverged,
    kaplan_yorke_dimension,
    lyapunov_spectrum,
    normalized_error,
    smape,
    valid_prediction_time,
)
from jaxsim.integrate.lyapunov import _scatter


def matrix_field(t, y, matrix):
    return matrix @ y


MATRIX = jnp.array([[-1.0, 3.0, 0.5], [0.0, 0.2, -4.0], [0.0, 0.0, -2.5]])  # not normal; its spectrum is its diagonal
START = jnp.array([1.0, -1.0, 0.5])
LINEAR = dict(dt=0.02, steps=600, every=20)


def linear(matrix, y0=START, **changes):
    return lyapunov_spectrum(dfx.ODETerm(matrix_field), y0, args=matrix, **(LINEAR | {"alignment": 600} | changes))


def test_linear_system_has_its_eigenvalues():
    result = linear(MATRIX)
    np.testing.assert_allclose(result.exponents, [0.2, -1.0, -2.5], atol=3e-6)  # growth per step of Tsit5
    assert result.succeeded and result.dimension == 3 and result.rates.shape == (30, 3)
    np.testing.assert_allclose(result.times, 12.0 + 0.4 * np.arange(1, 31))
    np.testing.assert_allclose(result.history[-1], result.exponents, rtol=1e-12)
    np.testing.assert_allclose(result.standard_error, 0, atol=1e-5)
    np.testing.assert_allclose(result.vectors @ result.vectors.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(result.entropy, 0.2, atol=3e-6)
    np.testing.assert_allclose(result.kaplan_yorke, 1.2, atol=1e-5)
    np.testing.assert_allclose(result.state, jax.scipy.linalg.expm(24 * MATRIX) @ START, rtol=1e-5)


def test_what_fails_is_said():
    with pytest.raises(Diverged, match="not finite"):
        linear(1e200 * MATRIX)
    with pytest.raises(ValueError, match="parallel to working precision"):
        linear(jnp.array([[20.0, 50.0, 0.0], [0.0, -100.0, 50.0], [0.0, 0.0, -120.0]]))
    with np.errstate(all="ignore"):
        silent = linear(1e200 * MATRIX, throw=False)
    assert not silent.succeeded and np.all(np.isfinite(silent.exponents)) and np.all(np.isinf(silent.standard_error))
    for changes, message in (
        ({"count": 4}, "1 to 3"),
        ({"every": 7}, "no multiple"),
        ({"dt": -0.1}, "positive"),
        ({"transient": -1}, "at least 0"),
        ({"blocks": 1}, "at least 2"),
        ({"solver": dfx.Kvaerno3()}, "no tolerance"),
    ):
        with pytest.raises(ValueError, match=message):
            linear(MATRIX, **changes)
    with pytest.raises(TypeError, match="no integers"):
        lyapunov_spectrum(dfx.ODETerm(matrix_field), jnp.arange(3), args=MATRIX, **LINEAR)
    with pytest.raises(TypeError, match="diffrax term"):
        lyapunov_spectrum(matrix_field, jnp.ones(3), **LINEAR)
    with pytest.raises(ValueError, match="equation has parameters"):
        lyapunov_spectrum(js.equations.Lorenz63(), js.equations.Lorenz63().initial(), args=1.0, **LINEAR)


@pytest.mark.slow
def test_an_ensemble_in_single_precision():
    matrices = jnp.stack([MATRIX, 0.5 * MATRIX]).astype(jnp.float32)
    y0 = jnp.ones(3, jnp.float32)
    exponents = jax.jit(jax.vmap(lambda m: linear(m, y0, count=2, throw=False).exponents))(matrices)
    assert exponents.dtype == jnp.float32
    np.testing.assert_allclose(exponents, [[0.2, -1.0], [0.1, -0.5]], atol=2e-3)


@pytest.mark.slow
def test_steps_of_an_implicit_solver_shrink_as_they_must():
    solver = dfx.ImplicitEuler(root_finder=optx.Newton(rtol=1e-12, atol=1e-12))
    result = linear(MATRIX, solver=solver)
    np.testing.assert_allclose(result.exponents, -np.log(1 - 0.02 * np.array([0.2, -1.0, -2.5])) / 0.02, atol=1e-6)


def test_the_solution_is_computed_once_for_all_tangent_vectors():
    counted = []

    def field(t, y, args):
        jax.debug.callback(lambda: counted.append(1))
        return -y

    result = lyapunov_spectrum(dfx.ODETerm(field), jnp.ones(4), dt=0.1, steps=10, solver=dfx.Heun(), alignment=0)
    jax.block_until_ready(result)
    jax.effects_barrier()
    assert result.exponents.shape == (4,) and len(counted) == 20


@pytest.mark.slow
def test_geometric_brownian_motion_grows_with_its_own_path():
    drift, noise = 0.3, 0.7
    path = dfx.VirtualBrownianTree(0.0, 8.0, 1e-4, (), jax.random.key(3))
    terms = dfx.MultiTerm(
        dfx.ODETerm(lambda t, y, args: drift * y), dfx.ControlTerm(lambda t, y, args: noise * y, path)
    )
    result = lyapunov_spectrum(
        terms, jnp.array(1.0), dt=0.005, steps=1600, alignment=0, every=100, solver=dfx.ItoMilstein()
    )
    expected = drift - noise**2 / 2 + noise * jnp.asarray(path.evaluate(0.0, 8.0)) / 8
    np.testing.assert_allclose(result.exponents[0], expected, atol=5e-3)


def test_every_mode_of_a_plane_counts_once():
    """Diffusion on 6 x 5 nodes keeps 5 x 5 modes, in pairs of equal wave number but for the mean."""
    space = js.Fourier(js.Grid((6, 5), 0.0, 2 * np.pi))
    u0 = space.field(lambda x, y: jnp.cos(x + 2 * y))
    result = lyapunov_spectrum(js.equations.Diffusion(3.0), u0, dt=0.1, steps=100, alignment=100, every=5)
    squares = np.add.outer(np.arange(-2, 3) ** 2, np.arange(-2, 3) ** 2).ravel()
    np.testing.assert_allclose(result.exponents, -3.0 * np.sort(squares), atol=1e-9)
    assert result.dimension == 25 and result.vectors.values.shape == (25, 6, 5)
    products = np.einsum("iab,jab->ij", result.vectors.values, result.vectors.values)
    np.testing.assert_allclose(products, np.eye(25), atol=1e-10)


def kuramoto_sivashinsky(steps, **options):
    space = js.Fourier(js.Grid(16, 0.0, 22.0))
    u0 = space.field(lambda x: jnp.cos(2 * np.pi * x / 22) * (1 + jnp.sin(2 * np.pi * x / 22)))
    return lyapunov_spectrum(js.equations.KuramotoSivashinsky(), u0, dt=0.05, steps=steps, transient=1000, **options)


def test_volumes_shrink_as_the_linear_part_says():
    """The nonlinear part of Kuramoto-Sivashinsky leaves volumes alone: the exponents add up to the trace.

    The mean is conserved, so the subspace without it has all but one of them, a zero.
    """
    squares = (2 * np.pi / 22 * np.arange(1, 8)) ** 2
    result = kuramoto_sivashinsky(400, every=4, alignment=0, count=14, subspace=lambda v: v - js.mean(v))
    np.testing.assert_allclose(jnp.sum(result.exponents), 2 * np.sum(squares - squares**2), rtol=1e-5)
    np.testing.assert_allclose(jnp.mean(result.vectors.values, -1), 0, atol=1e-12)


@pytest.mark.slow
def test_a_subspace_holds_no_more_vectors_than_it_has_dimensions():
    with pytest.raises(ValueError, match="fewer than 15 tangent vectors are independent"):
        kuramoto_sivashinsky(40, count=15, subspace=lambda v: v - js.mean(v))
    with pytest.raises(ValueError, match="linear projection"):
        kuramoto_sivashinsky(40, count=2, subspace=lambda v: 0.5 * v)


@pytest.mark.slow
def test_conditions_at_walls_do_not_move_tangent_vectors():
    """The spectrum of diffusion is that of its stencil, whatever the values at the walls."""
    space = js.FiniteDifference(js.Grid(8, 0.0, 1.0), boundary=js.Dirichlet(0.3))
    u0 = space.field(lambda x: jnp.sin(3 * x))
    result = lyapunov_spectrum(js.equations.Diffusion(0.1), u0, dt=0.001, steps=4000, alignment=4000)
    stencil = jax.jacobian(lambda values: js.laplacian(space.field(values)).values)(u0.values)
    np.testing.assert_allclose(result.exponents[::-1], 0.1 * np.sort(np.linalg.eigvals(stencil).real), rtol=1e-5)


@pytest.mark.slow
def test_incompressible_velocities_have_as_many_exponents_as_stream_functions():
    """On 6 x 6 cells within walls 60 faces less 36 cells, whose divergences add up to zero, leave 25."""
    space = js.Staggered(js.Grid((6, 6)), js.NoSlip())
    u0 = space.field(lambda x, y: (jnp.sin(jnp.pi * x) ** 2 * jnp.sin(2 * jnp.pi * y), 0 * x))
    options = dict(dt=0.01, steps=200, every=2, solver=IMEXRK2())
    result = lyapunov_spectrum(js.equations.NavierStokesVelocity(0.1), u0, count=25, **options)
    assert result.dimension == 60 and np.all(result.exponents < 0)
    with pytest.raises(ValueError, match="fewer than 26"):
        lyapunov_spectrum(js.equations.NavierStokesVelocity(0.1), u0, count=26, **options)


@pytest.mark.slow
def test_a_long_run_in_the_plane_stays_real():
    """Rounding in the conjugate modes of half a spectrum grows with the linear part, unless it is taken out."""
    space = js.Fourier(js.Grid((16, 16), 0.0, 14.0))
    start = space.field(jax.random.normal(jax.random.key(0), (16, 16)))
    flow = js.equations.KuramotoSivashinskyIntegral()
    result = lyapunov_spectrum(flow, start, dt=0.1, steps=200, transient=6000, count=2)
    modes = result.state.coefficients[1:, 0]
    np.testing.assert_allclose(modes, modes[::-1].conj(), atol=1e-12)


@pytest.mark.slow
def test_the_sum_of_exponents_differentiates_as_the_divergence():
    def total(sigma):
        lorenz = js.equations.Lorenz63(sigma)
        return jnp.sum(lyapunov_spectrum(lorenz, lorenz.initial(), dt=0.01, steps=100).exponents)

    np.testing.assert_allclose(jax.grad(total)(10.0), -1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("solver", [ETDAB3(), SBDF2(), dfx.Dopri5(), dfx.HalfSolver(dfx.Tsit5())])
def test_solvers_agree_on_an_interval(solver):
    """From one state in one direction, at a step where all of them are accurate."""

    space = js.Fourier(js.Grid(16, 0.0, 22.0))
    u0 = space.field(lambda x: jnp.cos(2 * np.pi * x / 22))

    def rates(solver):
        return lyapunov_spectrum(js.equations.KuramotoSivashinsky(), u0, dt=0.002, steps=400, count=3, alignment=0,
                                 every=400, solver=solver).rates  # fmt: skip

    np.testing.assert_allclose(rates(solver), rates(None), rtol=3e-4)


def test_kaplan_yorke_dimension():
    np.testing.assert_allclose(kaplan_yorke_dimension([0.9056, 0.0, -14.5723]), 2 + 0.9056 / 14.5723)
    np.testing.assert_allclose(kaplan_yorke_dimension([-1.0, -2.0]), 0)
    np.testing.assert_allclose(kaplan_yorke_dimension([0.5, 0.0, 0.0, -0.5], 4), 4)
    np.testing.assert_allclose(jax.jit(kaplan_yorke_dimension)(jnp.array([1.0, -0.5, -2.0])), 2.25)
    with pytest.raises(ValueError, match="ask lyapunov_spectrum for more"):
        kaplan_yorke_dimension([0.9, 0.0], 3)
    with pytest.raises(eqx.EquinoxRuntimeError, match="ask lyapunov_spectrum for more"):
        eqx.filter_jit(kaplan_yorke_dimension)(jnp.array([0.9, 0.0]), 3)


TIMES = np.linspace(0.5, 10, 20)
TRUTH = np.stack([np.sin(TIMES), np.cos(TIMES)], 1)


def test_a_prediction_holds_until_its_error_exceeds_the_threshold():
    growing = TRUTH + 1e-3 * np.exp(TIMES)[:, None]
    result = valid_prediction_time(growing, TRUTH, TIMES)
    size = np.sqrt(np.mean(np.var(TRUTH, axis=0)))
    np.testing.assert_allclose(result.errors, 1e-3 * np.exp(TIMES) / size)
    assert result.exceeded and result.time == TIMES[np.argmax(1e-3 * np.exp(TIMES) / size > 0.4)]
    in_lyapunov_times = valid_prediction_time(growing, TRUTH, TIMES, exponent=2.0)
    np.testing.assert_allclose(in_lyapunov_times.time, 2 * result.time)
    field = js.Point().field(TRUTH)
    held = valid_prediction_time(field, field, TIMES)
    assert not held.exceeded and held.time == 10
    broken = np.where(TIMES[:, None] > 3, np.nan, TRUTH)
    assert valid_prediction_time(broken, TRUTH, TIMES).time == 3.5
    each = normalized_error(growing, TRUTH, scale=np.std(TRUTH, axis=0))
    np.testing.assert_allclose(each, 1e-3 * np.exp(TIMES) * np.sqrt(np.mean(1 / np.var(TRUTH, axis=0))))


def test_the_symmetric_percentage_error_accumulates():
    errors = smape(3 * TRUTH, TRUTH)
    np.testing.assert_allclose(errors, 100)  # 200 |3u - u| / (3|u| + |u|)
    np.testing.assert_allclose(smape(np.array([1.0, 0.0, 2.0]), np.array([1.0, 0.0, 0.0])), [0, 0, 200 / 3])
    result = valid_prediction_time(-TRUTH, TRUTH, TIMES, threshold=30.0, error=smape)
    assert result.exceeded and result.time == TIMES[0]


def test_a_prediction_needs_its_truth():
    with pytest.raises(ValueError, match="one shape"):
        valid_prediction_time(TRUTH[:-1], TRUTH, TIMES)
    with pytest.raises(ValueError, match="as many times"):
        valid_prediction_time(TRUTH, TRUTH, TIMES[1:])
    with pytest.raises(ValueError, match="ascend"):
        valid_prediction_time(TRUTH, TRUTH, TIMES[::-1])
    with pytest.raises(ValueError, match="positive `exponent`"):
        valid_prediction_time(TRUTH, TRUTH, TIMES, exponent=-1.0)
    with pytest.raises(ValueError, match="one number per time"):
        valid_prediction_time(TRUTH, TRUTH, TIMES, error=lambda a, b: jnp.abs(a - b))
    with pytest.raises(ValueError, match="does not change"):
        normalized_error(np.ones((3, 2)), np.ones((3, 2)))


def test_the_standard_error_is_that_of_a_mean():
    """Of independent rates it is their deviation over the root of their number, whatever the blocks."""
    rates = 3.0 + 2.0 * jax.random.normal(jax.random.key(0), (4000, 2))
    for blocks in (50, 200):
        np.testing.assert_allclose(_scatter(rates, blocks), 2.0 / np.sqrt(4000), rtol=0.2)
