"""Affine, integral and other projections in closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from projections import check_batch, check_derivatives, check_sharded, traces

import jaxsim as js
from jaxsim.constraints import AffineProjection, IntegralProjection, Projected, Quadrature
from jaxsim.optimize import OnFailure, SolveStatus

X = np.concatenate([np.linspace(0, 0.5, 9)[:-1], np.linspace(0.5, 1, 5)])  # unequal gaps
TRAPEZOID = Quadrature.trapezoid(X)


def mass_and_moment(y):
    return TRAPEZOID(y), TRAPEZOID(X * y)


def square(y):
    return TRAPEZOID(y * y)


def rough(size, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(size))


# -- integrals -----------------------------------------------------------------------------------------------------
def test_two_integrals_by_the_least_change_in_the_norm_of_the_quadrature():
    y, wanted = rough(len(X)), (0.7, -0.2)
    solved = eqx.filter_jit(IntegralProjection(mass_and_moment, wanted, quadrature=TRAPEZOID).solve)(y)
    np.testing.assert_allclose(mass_and_moment(solved.value), wanted, atol=1e-15)
    w = np.asarray(TRAPEZOID.fitting(y, ""))
    rows = np.stack([w, w * X])
    expected = y + (rows / w).T @ np.linalg.solve(rows / w @ rows.T, np.asarray(wanted) - rows @ y)
    np.testing.assert_allclose(solved.value, expected, rtol=1e-12)
    assert solved.rank == 2 and solved.status == SolveStatus.converged
    assert np.isclose(solved.condition, np.linalg.cond(rows / np.sqrt(w) / np.linalg.norm(rows / np.sqrt(w), axis=1,
                                                                                          keepdims=True)))  # fmt: skip


@pytest.mark.parametrize("space", [
    js.Fourier(js.Grid((8, 6), 0.0, (1.0, 2.0))),
    pytest.param(js.Fourier(js.Grid(8), real=False), marks=pytest.mark.slow),
    js.FiniteDifference(js.Grid(8), js.Dirichlet(0.5), faces=(True,)),
    pytest.param(js.FiniteDifference(js.Grid(8), js.Neumann(1.0)), marks=pytest.mark.slow),
    pytest.param(js.Staggered(js.Grid((8, 6)), js.NoSlip()), marks=pytest.mark.slow),
])  # fmt: skip
def test_fields_of_every_space_keep_their_integrals_and_conditions(space):
    if isinstance(space, js.Fourier) and not space.real:
        make = lambda seed: space.field(rough(8, seed) + 1j * rough(8, seed + 9))
    elif isinstance(space, js.FiniteDifference):
        make = lambda seed: space.field(rough(space.shape, seed))
    else:
        make = lambda seed: space.field(rough((2, 8, 6), seed))
    start, other = make(0), make(1)
    projection = eqx.filter_jit(IntegralProjection().of(start))
    result = projection(other)
    np.testing.assert_allclose(js.integral(result), js.integral(start), atol=1e-15)
    np.testing.assert_allclose(projection(result).values, result.values, atol=1e-15)
    assert jax.tree.structure(result) == jax.tree.structure(other)


def test_energy_beside_mass_and_moment_is_met_by_the_nearest_state():
    y, wanted = rough(len(X)), (0.7, -0.2)
    projection = eqx.filter_jit(IntegralProjection(mass_and_moment, wanted, square, 9.0, TRAPEZOID))
    result = projection(y)
    np.testing.assert_allclose([*mass_and_moment(result), square(result)], [*wanted, 9.0], rtol=1e-14)
    np.testing.assert_allclose(projection(result), result, rtol=1e-13)
    # the change is a combination of the slopes of the three integrals, in the norm of the quadrature
    slopes = np.stack([np.ones_like(X), X, result], 1)
    left = result - y - slopes @ np.linalg.lstsq(slopes, result - y)[0]
    assert np.max(np.abs(left)) < 1e-13
    others = [projection(y + 1e-3 * rough(len(X), seed)) for seed in range(1, 4)]
    assert all(square(other - y) > square(result - y) for other in others)


@pytest.mark.slow
def test_a_quadratic_form_that_is_no_norm_and_one_alone():
    y = rough(len(X)) + 2
    slopes = lambda y: jnp.sum(jnp.diff(y) ** 2 / jnp.diff(X))
    result = eqx.filter_jit(IntegralProjection(mass_and_moment, (1.0, 0.5), slopes, 400.0, TRAPEZOID))(y)
    np.testing.assert_allclose([*mass_and_moment(result), slopes(result)], [1.0, 0.5, 400.0], rtol=1e-13)
    result = eqx.filter_jit(IntegralProjection(lambda y: (), (), square, 9.0, TRAPEZOID))(y)
    np.testing.assert_allclose(result, y * 3 / np.sqrt(square(y)), rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("order", [1, 2])
def test_integrals_have_derivatives_in_states_values_and_integrands(order):
    y, values = rough(len(X)), jnp.array([0.7, -0.2, 9.0])

    def project(y, values, bend):
        integrals = lambda y: jnp.stack([TRAPEZOID(y), TRAPEZOID(jnp.sin(bend * X) * y)])
        return IntegralProjection(integrals, values[:2], square, values[2], TRAPEZOID, OnFailure.KEEP)(y)

    if order == 1:
        return check_derivatives(project, y, values, jnp.array(1.3))
    curved = lambda bend: jax.jvp(lambda b: jnp.sum(project(y, values, b) ** 3), (bend,), (jnp.ones(()),))[1]
    check_derivatives(curved, jnp.array(1.3))


@pytest.mark.slow
def test_the_projection_on_linear_integrals_brings_no_two_states_further_apart():
    projection = IntegralProjection(mass_and_moment, (0.7, -0.2), quadrature=TRAPEZOID)
    project = jax.jit(lambda y: projection(y))
    batch = jnp.stack([rough(len(X), seed) for seed in range(3)])
    check_batch(project, batch)
    near, far = project(batch[0]), project(batch[1])
    assert square(near - far) <= square(batch[0] - batch[1])


@pytest.mark.slow
@pytest.mark.parametrize("projection", [
    IntegralProjection(mass_and_moment, (1.0, 0.5), square, 0.5, TRAPEZOID),  # less than the least
    IntegralProjection(lambda y: (TRAPEZOID(y), 2 * TRAPEZOID(y)), (1.0, 1.0), quadrature=TRAPEZOID),
    IntegralProjection(lambda y: TRAPEZOID(y**3), 1.0, quadrature=TRAPEZOID),  # not linear
])  # fmt: skip
def test_what_no_state_has_is_flagged(projection):
    y = rough(len(X))
    with pytest.raises(eqx.EquinoxRuntimeError, match="no state has these integrals"):
        eqx.filter_jit(projection)(y)


@pytest.mark.slow
def test_failures_in_a_batch_stay_alone():
    levels = jnp.array([3.0, 0.1, 4.0])  # the second lies below the energy of the shortest state

    def solve(level, on_failure):
        projection = IntegralProjection(mass_and_moment, (1.0, 0.5), square, level, TRAPEZOID, on_failure)
        return projection.solve(rough(len(X)))

    def loss(levels, on_failure):
        solved = jax.vmap(lambda level: solve(level, on_failure))(levels)
        return jnp.sum(solved.value**2 * jnp.arange(1.0, 1 + len(X))), solved

    gradient, solved = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)(levels, OnFailure.STOP)
    np.testing.assert_array_equal(solved.succeeded, [True, False, True])
    infeasible = solved.status == SolveStatus.infeasible
    np.testing.assert_array_equal(infeasible, ~solved.succeeded)
    assert np.all(np.isfinite(solved.value))
    assert gradient[1] == 0 and np.all(np.abs(gradient[::2]) > 1e-3)
    values = jax.jit(jax.vmap(lambda level: solve(level, OnFailure.NAN).value))(levels.at[2].set(jnp.nan))
    np.testing.assert_array_equal(np.isnan(values).all(1), [False, True, True])


def test_single_precision_and_one_compilation_for_all_values():
    run, seen = traces(lambda projection, y: projection(y))
    for values in ((0.7, -0.2), (1.0, 0.4)):
        values = jax.tree.map(jnp.float32, values)
        projection = IntegralProjection(mass_and_moment, values, square, jnp.float32(9.0), TRAPEZOID)
        result = run(projection, jnp.float32(rough(len(X))))
        assert result.dtype == jnp.float32
        np.testing.assert_allclose([*mass_and_moment(result), square(result)], [*values, 9.0], rtol=2e-6)
    assert len(seen) == 1


def test_bad_integrals():
    y = rough(len(X))
    with pytest.raises(ValueError, match="need a `quadrature`"):
        jax.eval_shape(IntegralProjection(values=1.0), y)
    with pytest.raises(ValueError, match="no values to hold"):
        jax.eval_shape(IntegralProjection(quadrature=TRAPEZOID), y)
    with pytest.raises(ValueError, match="must be like what `integrals` returns"):
        jax.eval_shape(IntegralProjection(mass_and_moment, 1.0, quadrature=TRAPEZOID), y)
    with pytest.raises(ValueError, match="give that as well"):
        IntegralProjection(level=1.0)
    with pytest.raises(TypeError, match="one real number"):
        jax.eval_shape(IntegralProjection(mass_and_moment, (1.0, 1.0), lambda y: y * y, 1.0, TRAPEZOID), y)
    with pytest.raises(ValueError, match="arrays of shape"):
        TRAPEZOID(rough(3))
    with pytest.raises(ValueError, match="positive"):
        Quadrature(-X)
    with pytest.raises(ValueError, match="ascending"):
        Quadrature.trapezoid([1.0, 0.0])


@pytest.mark.slow
def test_devices_project_by_themselves():
    batch = jnp.stack([rough(len(X), seed) for seed in range(4)])
    check_sharded(IntegralProjection(mass_and_moment, (0.7, -0.2), square, 9.0, TRAPEZOID, OnFailure.STOP), batch)
    check_sharded(AffineProjection(X[None], jnp.ones(1), on_failure=OnFailure.STOP), batch)
    with pytest.raises(ValueError, match="IntegralProjection: no error can be raised inside jax.shard_map"):
        check_sharded(IntegralProjection(values=1.0, quadrature=TRAPEZOID), batch)


@pytest.mark.slow
def test_integrals_of_products_of_spectra():
    space = js.Fourier(js.Grid((8, 8), 0.0, 2 * np.pi))
    wave = space.field(lambda x, y: jnp.sin(x + y))
    integrals = lambda u: (js.integral(u), js.inner(js.partial(wave, 0), u))
    projection = IntegralProjection(integrals, (1.0, 2.0), lambda u: js.inner(u, u), 50.0)
    bare = space.field(rough((8, 8))).coefficients
    found = jax.jit(lambda c: (lambda u: (integrals(u), js.inner(u, u)))(projection(space.from_coefficients(c))))(bare)
    np.testing.assert_allclose(jax.tree.leaves(found), [1.0, 2.0, 50.0], rtol=1e-13)


# -- models ----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_model_that_conserves_what_its_input_has_while_it_learns():
    keep = IntegralProjection(quadrature=Quadrature.periodic((len(X),), (1.0,)))
    model = Projected(eqx.nn.MLP(len(X), len(X), 8, 1, key=jax.random.key(0)), keep)
    batch = jnp.stack([rough(len(X), seed) for seed in range(4)])
    mass = lambda y: jnp.mean(y, -1)

    @eqx.filter_jit
    def trained(model):
        loss = lambda model: jnp.mean((jax.vmap(model)(batch) - batch) ** 2)
        before, slope = eqx.filter_value_and_grad(loss)(model)
        model = eqx.apply_updates(model, jax.tree.map(lambda g: -0.1 * g, slope))
        return model, before, loss(model), jax.vmap(model)(batch)

    model, before, after, result = trained(model)
    assert after < before
    np.testing.assert_allclose(mass(result), mass(batch), atol=1e-15)
    fixed = Projected(model.module, keep.of(batch[0]))
    np.testing.assert_allclose(mass(fixed(batch[1])), mass(batch[0]), atol=1e-15)
    second = Projected(lambda scale, y: scale * y, keep, kept=lambda scale, y: y)
    np.testing.assert_allclose(mass(second(3.0, batch[1])), mass(batch[1]), atol=1e-15)
    with pytest.raises(ValueError, match="first argument"):
        Projected(lambda: batch[0], keep)()
    with pytest.raises(TypeError, match="callable"):
        Projected(model.module, 1.0)
