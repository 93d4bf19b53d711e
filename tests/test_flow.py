"""Continuous normalizing flows: densities against exact ones, and estimates of the trace."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
import pytest
from neural_models import check_model

from jaxsim.neural_de import (
    ConcatSquash,
    ConcatSquashMLP,
    ContinuousNormalizingFlow,
    ExactTrace,
    HutchinsonTrace,
    Integrator,
)

KEY = jax.random.key(0)
PRECISE = Integrator(stepsize_controller=dfx.PIDController(rtol=1e-8, atol=1e-8))
MATRIX, SHIFT = jnp.array([[0.3, -0.8], [0.5, -0.4]]), jnp.array([0.5, -1.0])


def affine(t, y, args):
    return MATRIX.astype(y.dtype) @ y + SHIFT.astype(y.dtype)


def flow(dtype=None, integrator=PRECISE, **options):
    return ContinuousNormalizingFlow(ConcatSquashMLP(2, 8, 1, dtype=dtype, key=KEY), 2, integrator, **options)


@pytest.mark.slow
def test_an_affine_flow_gives_a_normal_density():
    model = ContinuousNormalizingFlow(affine, 2, PRECISE, t1=1.5)
    stretch = jax.scipy.linalg.expm(1.5 * MATRIX)
    mean = jnp.linalg.solve(MATRIX, (stretch - jnp.eye(2)) @ SHIFT)
    points = jnp.array([[0.3, -0.2], [2.0, 1.0], [-1.0, 0.4]])
    found, effort = jax.jit(jax.vmap(model))(points)
    exact = jax.scipy.stats.multivariate_normal.logpdf(points, mean, stretch @ stretch.T)
    np.testing.assert_allclose(found, exact, atol=1e-6)
    assert jnp.all(effort.accepted > 0)


def test_density_is_that_of_the_change_of_variables():
    model, x = flow(), jnp.array([0.7, -0.3])
    plain = dfx.ODETerm(model.vector_field)

    def to_normal(x):
        z = dfx.diffeqsolve(plain, dfx.Tsit5(), 1.0, 0.0, None, x, adjoint=dfx.ForwardMode(),
                            stepsize_controller=PRECISE.stepsize_controller).ys[0]  # fmt: skip
        return z, z

    jacobian, z = jax.jacfwd(to_normal, has_aux=True)(x)
    density = jax.scipy.stats.norm.logpdf(z).sum() + jnp.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(model.log_prob(x)[0], density, rtol=1e-6)


@pytest.mark.slow
def test_the_flow_is_inverted():
    model, x = flow(), jnp.array([0.7, -0.3])
    (z, change), _ = model.inverse(x)
    (back, expansion), _ = model.forward(z)
    np.testing.assert_allclose(back, x, atol=1e-7)
    np.testing.assert_allclose(expansion, -change, atol=1e-7)
    np.testing.assert_allclose(model(x)[0], jax.scipy.stats.norm.logpdf(z).sum() + change, rtol=1e-12)


@pytest.mark.slow
def test_density_integrates_to_one_and_samples_follow_it():
    weights = jax.tree.map(lambda a: 2 * a if eqx.is_array(a) else a, ConcatSquashMLP(2, 8, 1, key=KEY))
    model = ContinuousNormalizingFlow(weights, 2, Integrator(
        stepsize_controller=dfx.PIDController(rtol=1e-6, atol=1e-6)))  # fmt: skip
    axis = jnp.linspace(-9.0, 9.0, 121)
    grid = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    density = jnp.exp(jax.jit(jax.vmap(lambda x: model.log_prob(x)[0]))(grid))
    cell = (axis[1] - axis[0]) ** 2
    np.testing.assert_allclose(density.sum() * cell, 1.0, atol=1e-5)
    drawn = jax.jit(jax.vmap(lambda key: model.sample(key)[0]))(jax.random.split(KEY, 4000))
    for power in (1, 2):
        exact = (density[:, None] * grid**power).sum(0) * cell
        spread = jnp.std(drawn**power, 0) / jnp.sqrt(len(drawn))
        assert jnp.all(jnp.abs((drawn**power).mean(0) - exact) < 4 * spread)


@pytest.mark.parametrize("draw", [jax.random.rademacher, jax.random.normal])
def test_the_estimate_of_the_trace_is_unbiased(draw):
    field = lambda y: jnp.sin(y[::-1]) * y + y**2
    y = jnp.array([0.3, -1.2, 0.8])
    slope, exact = ExactTrace()(field, y, None)
    np.testing.assert_allclose(slope, field(y))
    np.testing.assert_allclose(exact, jnp.trace(jax.jacfwd(field)(y)), rtol=1e-12)
    single = HutchinsonTrace(draw=draw)
    noise = jax.vmap(lambda key: single.noise(key, y))(jax.random.split(KEY, 20000))
    estimates = jax.vmap(lambda e: single(field, y, e)[1])(noise)
    error = estimates.std() / jnp.sqrt(len(estimates))
    assert 0 < error < 0.05 and jnp.abs(estimates.mean() - exact) < 4 * error
    several = HutchinsonTrace(samples=20000, draw=draw)
    np.testing.assert_allclose(several(field, y, noise[:, 0])[1], estimates.mean(), rtol=1e-10)
    if draw is jax.random.rademacher:  # all signs of three components
        signs = jnp.array(jnp.meshgrid(*[jnp.array([-1.0, 1.0])] * 3)).reshape(3, -1).T
        np.testing.assert_allclose(HutchinsonTrace(8)(field, y, signs)[1], exact, rtol=1e-12)


@pytest.mark.slow
def test_the_estimate_of_the_density_is_unbiased():
    model, estimated, x = flow(), flow(trace=HutchinsonTrace()), jnp.array([0.7, -0.3])
    runs = jax.jit(jax.vmap(lambda key: estimated.inverse(x, key=key)[0]))(jax.random.split(KEY, 400))
    (z, change), _ = model.inverse(x)
    np.testing.assert_allclose(runs[0], jnp.broadcast_to(z, (400, 2)), atol=1e-6)
    assert jnp.abs(runs[1].mean() - change) < 4 * runs[1].std() / 20 and runs[1].std() > 1e-3
    again = [estimated.log_prob(x, key=KEY)[0] for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.slow
def test_the_norm_may_ignore_the_logarithm():
    only_state = dfx.PIDController(rtol=1e-8, atol=1e-8, norm=lambda state: optx.rms_norm(state[0]))
    model, x = flow(integrator=Integrator(stepsize_controller=only_state)), jnp.array([0.7, -0.3])
    (z, _), effort = model.inverse(x)
    plain = dfx.diffeqsolve(dfx.ODETerm(model.vector_field), dfx.Tsit5(), 1.0, 0.0, None, x,
                            stepsize_controller=PRECISE.stepsize_controller)  # fmt: skip
    assert effort.accepted == plain.stats["num_accepted_steps"]
    np.testing.assert_allclose(z, plain.ys[0], rtol=1e-12)
    assert model.sample(KEY)[0].shape == (2,)


def test_the_layer_is_gated_by_time():
    layer, y, t = ConcatSquash(2, 3, key=KEY), jnp.array([0.5, -1.0]), 0.7
    gate = jax.nn.sigmoid(layer.gate.weight[:, 0] * t + layer.gate.bias)
    expected = (layer.linear.weight @ y + layer.linear.bias) * gate + layer.shift.weight[:, 0] * t
    np.testing.assert_allclose(layer(t, y), expected, rtol=1e-12)
    assert layer.shift.bias is None and len(ConcatSquashMLP(2, 8, 3, key=KEY).layers) == 4


@pytest.mark.slow
@pytest.mark.parametrize("trace", [ExactTrace(), HutchinsonTrace(2)])
def test_gradients_batches_and_precisions(trace):
    points = jnp.array([[0.7, -0.3], [-1.0, 2.0]])
    make = lambda dtype=None, integrator=PRECISE: flow(dtype, integrator, trace=trace)
    # The probes of a HutchinsonTrace are signs, the same in both precisions for one key.
    check_model(make, lambda model, x: model.log_prob(x, key=KEY)[0], points)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="give a `key`"):
        flow(trace=HutchinsonTrace()).log_prob(jnp.zeros(2))
    with pytest.raises(ValueError, match=r"a point has shape \(2,\)"):
        flow().log_prob(jnp.zeros((5, 2)))
    with pytest.raises(ValueError, match="state has shape"):
        ContinuousNormalizingFlow(lambda t, y, a: y[:1], 2).log_prob(jnp.zeros(2))
    with pytest.raises(ValueError, match="`t1` must be positive"):
        flow(t1=0.0)
    with pytest.raises(ValueError, match="at least 1"):
        HutchinsonTrace(0)
