"""Matrices with given sums of rows and columns."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from projections import check_batch, check_derivatives, check_sharded, traces

from jaxsim.constraints import DoublyStochastic, Projected, Sinkhorn, SinkhornNewton
from jaxsim.optimize import OnFailure, SolveStatus

RNG = np.random.default_rng(0)
LOGITS = jnp.asarray(3 * RNG.standard_normal((4, 5)))
ROWS = jnp.asarray(RNG.uniform(0.5, 1.0, 4))
COLUMNS = jnp.asarray(RNG.dirichlet(np.ones(5))) * jnp.sum(ROWS)
FEW = SinkhornNewton(sweeps=5)


def off(plan, rows=ROWS, columns=COLUMNS):
    return max(np.max(np.abs(plan.sum(1) - rows)), np.max(np.abs(plan.sum(0) - columns)))


@pytest.mark.parametrize("method", [
    pytest.param(FEW, id="newton"),
    pytest.param(Sinkhorn(), id="sweeps", marks=pytest.mark.slow),
    pytest.param(SinkhornNewton(sweeps=5, kept=2), id="few", marks=pytest.mark.slow),
])  # fmt: skip
def test_sums_are_met_by_scaled_rows_and_columns(method):
    project = eqx.filter_jit(DoublyStochastic(ROWS, COLUMNS, method).solve)
    solved = project(LOGITS)
    assert solved.succeeded and off(solved.value) < 2e-13
    scales = np.log(solved.value) - LOGITS
    np.testing.assert_allclose(scales - scales[:1] - scales[:, :1] + scales[0, 0], 0, atol=1e-12)
    np.testing.assert_allclose(project(jnp.log(solved.value)).value, solved.value, atol=1e-13)


@pytest.mark.slow
def test_newton_needs_few_steps_where_sweeps_need_thousands():
    cost = np.random.default_rng(3).uniform(size=(40, 40))
    run = eqx.filter_jit(lambda method: DoublyStochastic(1 / 40, method=method, on_failure=OnFailure.KEEP).solve(
        jnp.asarray(-400 * cost)))  # fmt: skip
    fast, slow = run(SinkhornNewton(1e-12)), run(Sinkhorn(1e-12, 2000))
    assert fast.succeeded and fast.steps < 80
    assert slow.status == SolveStatus.max_steps and slow.residual > 1e-6
    i, j = scipy.optimize.linear_sum_assignment(cost)
    excess = np.sum(cost * fast.value) - np.mean(cost[i, j])
    assert 0 <= excess < np.log(40) / 400  # of entropic plans, at most the entropy of the marginals over eta


@pytest.mark.slow
def test_a_random_assignment_of_five_hundred_in_forty_steps():
    cost = np.random.default_rng(0).uniform(size=(500, 500))
    project = DoublyStochastic(1 / 500, method=SinkhornNewton(1e-12))
    solved = eqx.filter_jit(project.solve)(jnp.asarray(-1200 * cost))
    assert solved.succeeded and solved.steps <= 40 and solved.residual < 1e-12


@pytest.mark.slow
def test_derivatives_are_those_of_the_sums():
    def project(logits, rows, total):
        columns = COLUMNS / jnp.sum(COLUMNS) * jnp.sum(rows * total)
        return DoublyStochastic(rows * total, columns, FEW, OnFailure.KEEP)(logits)

    check_derivatives(project, LOGITS, ROWS, jnp.array(1.3))


@pytest.mark.slow
def test_second_derivatives_of_plans():
    project = DoublyStochastic(ROWS, COLUMNS, FEW, OnFailure.KEEP)
    check_derivatives(jax.grad(lambda y: jnp.sum(project(y) ** 3)), LOGITS)


@pytest.mark.slow
def test_derivatives_of_a_plan_that_is_nearly_an_assignment():
    cost = jnp.asarray(np.random.default_rng(3).uniform(size=(20, 20)))
    project = DoublyStochastic(1 / 20, on_failure=OnFailure.NAN)
    plan = jax.jit(lambda cost: project(-300.0 * cost))
    assert np.sum(plan(cost) > 0.04) > 10
    check_derivatives(lambda cost: jnp.sum(cost * plan(cost)), cost, step=1e-6, rtol=1e-5)


@pytest.mark.slow
def test_failures_are_flagged_and_stay_alone():
    def loss(rows, on_failure):
        one = lambda rows: DoublyStochastic(rows, COLUMNS, FEW, on_failure).solve(LOGITS)
        solved = jax.vmap(one)(rows)
        return jnp.sum(solved.value**2), solved

    rows = jnp.stack([ROWS, 2 * ROWS, ROWS * jnp.nan])
    slope, solved = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)(rows, OnFailure.STOP)
    np.testing.assert_array_equal(solved.succeeded, [True, False, False])
    np.testing.assert_array_equal(solved.status == SolveStatus.infeasible, [False, True, False])
    assert np.all(np.isfinite(slope[:2])) and np.all(slope[1] == 0) and np.any(slope[0] != 0)


@pytest.mark.slow
def test_plans_that_fail_raise_and_batches_are_cut_over_devices():
    with pytest.raises(eqx.EquinoxRuntimeError, match="sums of rows and columns were not met"):
        eqx.filter_jit(DoublyStochastic(2 * ROWS, COLUMNS, FEW))(LOGITS)
    project = DoublyStochastic(ROWS, COLUMNS, FEW, OnFailure.STOP)
    batch = jnp.stack([LOGITS, 2 * LOGITS, LOGITS + 1, LOGITS**2])
    check_batch(jax.jit(lambda y: project(y)), batch)
    check_sharded(lambda y: project(y), batch)


@pytest.mark.slow
def test_single_precision_and_one_compilation_of_plans():
    run, seen = traces(lambda projection, y: projection.solve(y))
    for factor in (1.0, 2.0):
        projection = DoublyStochastic(factor * ROWS, factor * COLUMNS, SinkhornNewton(sweeps=5, steps=jnp.array(50)))
        solved = run(projection, jnp.float32(LOGITS))
        assert solved.value.dtype == jnp.float32 and solved.succeeded
        assert off(solved.value, factor * ROWS, factor * COLUMNS) < 1e-5
    assert len(seen) == 1


def test_a_matrix_is_given_the_sums_of_another_behind_a_model():
    model = Projected(lambda matrix: jnp.sin(matrix), DoublyStochastic(None, method=Sinkhorn()))
    matrix = jnp.exp(LOGITS)
    assert off(eqx.filter_jit(model)(matrix), matrix.sum(1), matrix.sum(0)) < 1e-11
    with pytest.raises(ValueError, match="real matrix"):
        DoublyStochastic()(LOGITS[0])
    with pytest.raises(ValueError, match="`columns` is a number or has shape"):
        DoublyStochastic(ROWS, ROWS)(LOGITS)
    with pytest.raises(ValueError, match="no sums"):
        DoublyStochastic(None)(LOGITS)
