"""Stochastic equations: the interpretation that is meant is the one that is solved, at the order of the scheme."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax import lax

import jaxsim as js
from jaxsim.integrate import SDE, Diagonal, Ito, Stratonovich, brownian_path, drive, solve_sde, stochastic_steps
from jaxsim.neural_de import GlobalError, LocalError, MonitoredSolver, regularized_solve

slow = pytest.mark.slow


def growth(t, y, args):
    return args[0] * y


def scaled_by_state(t, y, args):
    return args[1] * y


GEOMETRIC = SDE(growth, Diagonal(scaled_by_state, entrywise=True))
NON_COMMUTING = jnp.array([[[0.6, 0.3], [0.0, 0.4]], [[0.0, 0.5], [0.3, 0.2]]])
PULL = jnp.array([[-0.5, 1.0], [-1.0, -0.5]])


def rotation(t, y, args):
    return PULL @ y


def two_noises(t, y, args):
    return jnp.einsum("jik,k->ij", NON_COMMUTING, y)


LINEAR = SDE(rotation, two_noises)


def marched(sde, solver, y0, exact):
    """Final states of many paths with a given number of equal steps, and exact ones on the same paths."""

    def final(key, count, args):
        path = brownian_path(0.0, 1.0, sde.noise(0.0, y0, args), key, solver, 2.0**-7)
        terms = sde.terms(solver, path)
        h = 1.0 / count

        def step(i, carry):
            y, state = carry
            y, _, _, state, _ = solver.step(terms, i * h, (i + 1) * h, y, args, state, made_jump=False)
            return y, state

        y1, _ = lax.fori_loop(0, count, step, (y0, solver.init(terms, 0.0, h, y0, args)))
        return y1, exact(path, args)

    return jax.jit(jax.vmap(final, (0, None, None)))


def slope(counts, errors):
    return -np.polyfit(np.log2(counts), np.log2(errors), 1)[0]


def geometric_exactly(path, args):
    rate, noise = args
    return jnp.exp(rate - noise**2 / 2 + noise * path.evaluate(0.0, 1.0))


COUNTS = np.array([8, 16, 32, 64])
KEYS = jax.random.split(jax.random.key(0), 500)


@pytest.mark.parametrize(
    "solver, order",
    [
        pytest.param(dfx.Euler(), 0.5, marks=slow),
        pytest.param(dfx.ItoMilstein(), 1.0, marks=slow),
        pytest.param(dfx.StratonovichMilstein(), 1.0, marks=slow),
        pytest.param(dfx.EulerHeun(), 1.0, marks=slow),
        pytest.param(dfx.Heun(), 1.0, marks=slow),
        pytest.param(dfx.Midpoint(), 1.0, marks=slow),
        pytest.param(dfx.ReversibleHeun(), 1.0, marks=slow),
        pytest.param(dfx.GeneralShARK(), 1.0, marks=slow),
        pytest.param(dfx.SPaRK(), 1.0, marks=slow),
        pytest.param(dfx.SlowRK(), 1.5, marks=slow),
        pytest.param(dfx.HalfSolver(dfx.Heun()), 1.0, marks=slow),
    ],
)
def test_strong_order_for_multiplicative_noise(solver, order):
    run = marched(GEOMETRIC, solver, jnp.ones(1), geometric_exactly)
    pairs = [run(KEYS, n, (0.3, 0.6)) for n in COUNTS]
    errors = [float(jnp.sqrt(jnp.mean((y - exact) ** 2))) for y, exact in pairs]
    assert -0.15 < slope(COUNTS, errors) - order < 0.25  # SlowRK is at 1.7 for these steps
    if isinstance(solver, dfx.Euler):  # the mean, with the exact solution on the same paths as a control variate
        pairs = [run(KEYS, n, (1.5, 0.2)) for n in COUNTS]
        weak = [abs(float(jnp.mean(y - exact))) for y, exact in pairs]
        assert abs(slope(COUNTS, weak) - 1.0) < 0.15


@pytest.mark.parametrize(
    "solver, order",
    [
        pytest.param(dfx.Euler(), 1.0, marks=slow),
        pytest.param(dfx.SEA(), 1.0, marks=slow),
        pytest.param(dfx.SRA1(), 1.5, marks=slow),
        pytest.param(dfx.ShARK(), 1.5, marks=slow),
        pytest.param(dfx.SPaRK(), 1.5, marks=slow),
    ],
)
def test_strong_order_for_additive_noise(solver, order):
    well = SDE(lambda t, y, args: jnp.cos(2 * y), Diagonal(lambda t, y, args: 1.0))
    run = marched(well, solver, jnp.zeros(1), lambda path, args: 0.0)
    counts = np.array([4, 8, 16, 32])
    finest = run(KEYS, 128, None)[0]
    errors = [float(jnp.sqrt(jnp.mean((run(KEYS, n, None)[0] - finest) ** 2))) for n in counts]
    assert abs(slope(counts, errors) - order) < 0.2


def moments(y0, time):
    """Mean and second moment of `LINEAR`, by its moment equations."""
    generator = jnp.kron(PULL, jnp.eye(2)) + jnp.kron(jnp.eye(2), PULL)
    generator = generator + sum(jnp.kron(b, b) for b in NON_COMMUTING)
    second = jax.scipy.linalg.expm(time * generator) @ jnp.kron(y0, y0)
    return jax.scipy.linalg.expm(time * PULL) @ y0, second.reshape(2, 2)


@slow
@pytest.mark.parametrize("solver", [dfx.Heun(), dfx.Euler()])
def test_moments_of_non_commuting_noise(solver):
    y0, many = jnp.array([1.0, 0.5]), jax.random.split(jax.random.key(4), 8000)
    ends = marched(LINEAR, solver, y0, lambda path, args: 0.0)(many, 24, None)[0]
    mean, second = moments(y0, 1.0)
    products = ends[:, :, None] * ends[:, None, :]
    for sample, exact in ((ends, mean), (products, second)):
        bound = 4 * jnp.std(sample, 0) / np.sqrt(len(many)) + 0.01
        assert jnp.all(jnp.abs(jnp.mean(sample, 0) - exact) < bound)
    # what the unconverted drift gives lies far outside
    other = jax.scipy.linalg.expm(PULL + 0.5 * sum(b @ b for b in NON_COMMUTING)) @ y0
    assert jnp.max(jnp.abs(other - mean)) > 0.1


@slow
@pytest.mark.parametrize("revisit", [True, False])
def test_adaptive_moments_of_non_commuting_noise(revisit):
    y0, many = jnp.array([1.0, 0.5]), jax.random.split(jax.random.key(4), 20000)
    controller = stochastic_steps(0.0, 0.03)

    @jax.jit
    @jax.vmap
    def end(key):
        run = solve_sde(LINEAR, y0, jnp.array([0.0, 1.0]), key=key, stepsize_controller=controller, revisit=revisit)
        return run.ys[-1], run.stats["num_rejected_steps"]

    ends, rejected = end(many)
    mean, second = moments(y0, 1.0)
    assert jnp.mean(rejected) > 0.2
    products = ends[:, :, None] * ends[:, None, :]
    for sample, exact in ((ends, mean), (products, second)):
        assert jnp.all(jnp.abs(jnp.mean(sample, 0) - exact) < 4 * jnp.std(sample, 0) / np.sqrt(len(many)) + 0.015)


# -- the conversion ----------------------------------------------------------------------------------------------------


def decay(t, y, args):
    return -y


def by_definition(matrix, y):
    """Half the sum over j, k of g_kj d_k g_ij."""
    g, slopes = matrix(y), jax.jacfwd(matrix)(y)
    return 0.5 * jnp.einsum("kj,ijk->i", g, slopes)


def weak(t, y, args):
    return jnp.stack([y[0] * y[1], jnp.sin(y[0]) + y[1] ** 2, y[2] * y[0]])


def rectangular(t, y, args):
    return jnp.stack([jnp.sin(y), y * y[::-1]], -1)


@pytest.mark.parametrize(
    "diffusion, matrix",
    [
        (Diagonal(weak), lambda y: jnp.diag(weak(0, y, None))),
        (Diagonal(lambda t, y, a: y**2, entrywise=True), lambda y: jnp.diag(y**2)),
        (rectangular, lambda y: rectangular(0, y, None)),
        (lambda t, y, a: lx.MatrixLinearOperator(rectangular(t, y, a)), lambda y: rectangular(0, y, None)),
    ],
)
def test_conversion_is_its_formula(diffusion, matrix):
    y = jnp.array([0.3, -0.7, 1.1])
    found, expected = jax.jit(lambda y: (SDE(decay, diffusion).correction(0.0, y), by_definition(matrix, y)))(y)
    assert jnp.max(jnp.abs(expected)) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_drift_is_that_of_the_solver():
    y, shift = np.array([0.3, -0.7, 1.1]), 0.5 * 0.4**2
    diffusion = Diagonal(lambda t, y, a: 0.4 * y, entrywise=True)

    def drift(meant, solver):
        return SDE(decay, diffusion, meant).terms(solver, None).terms[0].vf(0.0, y, None)

    pairs = (Ito(), dfx.Heun()), (Ito(), dfx.Euler()), (Stratonovich(), dfx.Euler()), (Stratonovich(), dfx.SPaRK())
    found = jax.jit(lambda: [drift(*pair) for pair in pairs])()
    for slope, rate in zip(found, (-1 - shift, -1, -1 + shift, -1)):
        np.testing.assert_allclose(slope, rate * y, atol=1e-14)


def test_conversion_of_a_pytree_and_of_additive_noise():
    y = {"a": jnp.array([0.3, 0.4]), "b": jnp.array([2.0])}
    sde = SDE(lambda t, y, a: y, Diagonal(lambda t, y, a: {"a": y["a"] * y["b"], "b": y["b"] ** 2}))
    found = jax.jit(lambda y: sde.correction(0.0, y))(y)
    np.testing.assert_allclose(found["a"], 0.5 * y["a"] * y["b"] ** 2)
    np.testing.assert_allclose(found["b"], y["b"] ** 3)
    additive = SDE(decay, Diagonal(lambda t, y, a: jnp.sin(t)))
    assert additive.additive(0.0, jnp.ones(2)) and additive.correction(0.0, jnp.ones(2)) is None
    assert jax.jit(lambda y: additive.correction(0.0, y) is None)(jnp.ones(2))
    assert not GEOMETRIC.additive(0.0, jnp.ones(2), (0.3, 0.6))


def test_conversion_is_seen_through_wrappers():
    y, args = jnp.array([2.0]), (0.3, 0.6)
    for solver in (dfx.HalfSolver(MonitoredSolver(dfx.Heun(), 1.0, 1.0, jnp.max)),
                   MonitoredSolver(dfx.HalfSolver(dfx.SlowRK()), 1.0, 1.0, jnp.max)):  # fmt: skip
        path = brownian_path(0.0, 1.0, GEOMETRIC.noise(0.0, y, args), jax.random.key(0), solver, 0.1)
        slope = jax.jit(lambda y: GEOMETRIC.terms(solver, path).terms[0].vf(0.0, y, args))(y)  # noqa: B023
        np.testing.assert_allclose(slope, (0.3 - 0.18) * y)
    assert path.levy_area is dfx.SpaceTimeLevyArea


def test_gradient_through_the_conversion():
    y = jnp.array([0.3, -0.7, 1.1])

    @jax.jit
    def first(scale):
        sde = SDE(decay, lambda t, y, args: scale * rectangular(t, y, args))
        return jnp.sum(sde.terms(dfx.Heun(), None).terms[0].vf(0.0, y, None) ** 2)

    eps = 1e-5
    np.testing.assert_allclose(jax.grad(first)(0.7), (first(0.7 + eps) - first(0.7 - eps)) / (2 * eps), rtol=1e-8)


@slow
def test_gradient_through_the_conversion_and_the_solve():
    y0, ts, key = jnp.array([1.0, 0.5]), jnp.array([0.0, 0.4, 1.0]), jax.random.key(7)

    def diffusion(t, y, args):
        return args * jnp.stack([jnp.sin(y), y * y[::-1]], -1)

    sde = SDE(lambda t, y, args: -args * y, diffusion)

    @jax.jit
    def end(scale):
        return jnp.sum(solve_sde(sde, y0, ts, key=key, args=scale, solver=dfx.Heun(), steps=4).ys ** 2)

    eps = 1e-5
    expected = (end(0.7 + eps) - end(0.7 - eps)) / (2 * eps)
    np.testing.assert_allclose(jax.grad(end)(0.7), expected, rtol=1e-7)


# -- steps and paths ---------------------------------------------------------------------------------------------------


def test_rejected_times_are_stepped_to():
    times = jnp.array([0.0, 0.5, 1.0])
    terms, controller = drive(GEOMETRIC, dfx.SPaRK(), times, jnp.ones(1), jax.random.key(0), args=(0.3, 0.6),
                              stepsize_controller=dfx.PIDController(rtol=0.0, atol=1.0))  # fmt: skip
    assert controller.store_rejected_steps and float(controller.controller.dtmin) == 1.0 / (4 * 4096)
    y, f = jnp.ones(1), lambda *_: None
    end, state = controller.init(terms, times[0], times[2], y, jnp.array(0.4), None, f, 1.0)
    seen = [float(end)]
    start, ends = times[0], []
    adapt = eqx.filter_jit(controller.adapt_step_size)
    for error in (3.0, 0.2, 0.2, 0.2, 0.2):
        keep, start, end, _, state, _ = adapt(start, end, y, y, None, error * y, 1.0, state)
        seen.append(float(end))
        ends += [float(start)] * bool(keep)
    assert seen[0] == 0.4 and seen[1] < 0.4  # rejected, and tried again
    assert 0.4 in ends and 0.5 in ends  # the rejected time, and the saved one


def test_defaults_depend_on_the_steps():
    times, y0, key, args = jnp.array([0.0, 1.0]), jnp.ones(1), jax.random.key(0), (0.3, 0.6)
    path = lambda **options: drive(GEOMETRIC, dfx.Heun(), times, y0, key, args=args, **options)[0].terms[1].control
    assert isinstance(path(steps=4), dfx.VirtualBrownianTree)
    assert isinstance(path(steps=4, adjoint=dfx.ForwardMode()), dfx.UnsafeBrownianPath)
    assert isinstance(path(adjoint=dfx.ForwardMode()), dfx.VirtualBrownianTree)
    assert float(path(steps=4).tol) == 1 / 16
    assert float(path(stepsize_controller=stochastic_steps(dtmin=0.01)).tol) < 0.01
    assert drive(GEOMETRIC, dfx.Heun(), times, y0, key, args=args, revisit=False)[1].store_rejected_steps is None
    kept = drive(GEOMETRIC, dfx.Heun(), times, y0, key, args=args, interpolate=True)[1]
    assert kept.step_ts is None and kept.store_rejected_steps


@pytest.mark.parametrize(
    "solver, options, message",
    [
        (dfx.Euler(), {}, "may converge to a wrong solution"),
        (dfx.HalfSolver(dfx.Euler()), {}, "may converge to a wrong solution"),
        (dfx.EulerHeun(), {}, "no error estimate"),
        (dfx.Tsit5(), dict(steps=2), "neither Itô's nor Stratonovich's"),
        (dfx.ALIGN(0.1), dict(steps=2), "underdamped Langevin"),
        (dfx.Heun(), dict(stepsize_controller=dfx.ConstantStepSize()), "need not end at the saved times"),
        (dfx.Heun(), dict(stepsize_controller=stochastic_steps(), steps=2), "not both"),
        (dfx.Heun(), dict(steps=0), "at least 1"),
        (dfx.Heun(), dict(steps=2, adjoint=dfx.BacksolveAdjoint()), "take adaptive steps"),
    ],
)
def test_what_would_be_wrong_is_refused(solver, options, message):
    with pytest.raises(ValueError, match=message):
        drive(GEOMETRIC, solver, jnp.array([0.0, 1.0]), jnp.ones(1), jax.random.key(0), args=(0.3, 0.6), **options)


def test_bad_equations_and_times_are_refused():
    y0, key = jnp.ones(2), jax.random.key(0)
    shared = SDE(lambda t, y, a: -y, lambda t, y, a: y)
    with pytest.raises(ValueError, match="could mean two things"):
        solve_sde(shared, y0, jnp.array([0.0, 1.0]), key=key)
    with pytest.raises(ValueError, match="for a state of shape"):
        SDE(lambda t, y, a: -y, lambda t, y, a: jnp.ones((3, 2))).noise(0.0, y0)
    with pytest.raises(ValueError, match="must map noise to the state"):
        SDE(lambda t, y, a: -y, lambda t, y, a: lx.MatrixLinearOperator(jnp.ones((3, 2)))).noise(0.0, y0)
    with pytest.raises(TypeError, match="Ito\\(\\) or Stratonovich\\(\\)"):
        SDE(lambda t, y, a: -y, two_noises, None)
    with pytest.raises(ValueError, match="must ascend"):
        solve_sde(LINEAR, y0, jnp.array([0.0, 1.0, 1.0]), key=key)
    with pytest.raises(ValueError, match="at least two"):
        solve_sde(LINEAR, y0, jnp.array([1.0]), key=key)
    with pytest.raises(ValueError, match="float64 alone"):
        solve_sde(LINEAR, y0.astype(jnp.float32), jnp.array([0.0, 1.0]), key=key, solver=dfx.ItoMilstein(), steps=2)


@slow
def test_single_precision_stays_single():
    terms, controller = drive(LINEAR32, dfx.SPaRK(), jnp.array([0.0, 1.0], jnp.float32), jnp.ones(2, jnp.float32),
                              jax.random.key(0), steps=4)  # fmt: skip
    times, solver, y = controller.ts, dfx.SPaRK(), jnp.ones(2, jnp.float32)
    assert times.dtype == jnp.float32
    y1 = jax.jit(lambda y: solver.step(terms, times[0], times[1], y, None, None, made_jump=False)[0])(y)
    assert y1.dtype == jnp.float32 and jnp.all(jnp.isfinite(y1))


LINEAR32 = SDE(lambda t, y, a: -y, Diagonal(lambda t, y, a: 0.3 * y))


# -- with the other parts ----------------------------------------------------------------------------------------------


@slow
@pytest.mark.parametrize("regularizer", [GlobalError(), LocalError(), LocalError(accepted=True)])
def test_penalties_of_stochastic_solves(regularizer):
    times, y0 = jnp.array([0.0, 0.5, 1.0]), jnp.array([1.0, 0.5])

    def penalty(scale, key):
        sde = SDE(lambda t, y, args: scale * rotation(t, y, None), two_noises)
        terms, controller = drive(sde, dfx.SPaRK(), times, y0, key)
        run, total = regularized_solve(terms, dfx.SPaRK(), 0.0, 1.0, 0.01, y0, stepsize_controller=controller,
                                       saveat=dfx.SaveAt(ts=times), regularizer=regularizer, key=key)  # fmt: skip
        return total

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(penalty), (None, 0)))(1.0, KEYS[:20])
    assert jnp.all(values > 0) and jnp.all(jnp.isfinite(slopes)) and jnp.mean(slopes) > 0


@slow
def test_backsolve_agrees_with_the_gradient_of_the_steps():
    y0, ts, key = jnp.array([1.0]), jnp.array([0.0, 0.4, 1.0]), jax.random.key(7)

    def end(rate, adjoint):
        run = solve_sde(GEOMETRIC, y0, ts, key=key, args=(rate, 0.6), solver=dfx.Heun(), adjoint=adjoint,
                        stepsize_controller=stochastic_steps(0.0, 1e-3))  # fmt: skip
        return jnp.sum(run.ys)

    exact = jax.grad(end)(0.3, dfx.RecursiveCheckpointAdjoint())
    np.testing.assert_allclose(jax.grad(end)(0.3, dfx.BacksolveAdjoint()), exact, rtol=1e-2)


@slow
def test_noise_on_a_jaxsim_equation():
    space = js.FiniteDifference(js.Grid(8, 0.0, 1.0))
    term = js.SemilinearTerm(js.equations.Diffusion(0.05), space)
    width = 1 / 8
    noisy = SDE(term.vf, Diagonal(lambda t, y, args: 0.4 / jnp.sqrt(width)))
    keys = jax.random.split(jax.random.key(2), 4000)
    run = marched(noisy, dfx.ShARK(), jnp.zeros(8), lambda path, args: 0.0)
    ends = run(keys, 32, None)[0]
    rates = 2 * 0.05 * (2 / width * np.sin(np.pi * np.arange(8) / 8)) ** 2  # twice the decay of each mode
    grown = np.where(rates > 0, -np.expm1(-rates) / np.where(rates > 0, rates, 1), 1.0)
    expected = 0.4**2 / width * np.mean(grown)
    np.testing.assert_allclose(np.var(ends), expected, rtol=0.05)


def test_an_equation_is_a_pytree():
    flat, structure = jax.tree.flatten(eqx.filter(LINEAR, eqx.is_array))
    assert not flat and hash(structure)
    model = SDE(eqx.nn.MLP(2, 2, 4, 1, key=jax.random.key(0)), two_noises)
    assert len(jax.tree.leaves(eqx.filter(model, eqx.is_array))) == 4
