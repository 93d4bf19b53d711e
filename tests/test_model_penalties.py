"""Every model passes its integrator's regularizer and adjoint on."""

import dataclasses

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.neural_de import (
    ConcatSquashMLP,
    ContinuousNormalizingFlow,
    GlobalError,
    GRUEncoder,
    HutchinsonTrace,
    Integrator,
    LatentODE,
    LocalError,
    MatrixMLP,
    NeuralCDE,
    NeuralODE,
    TimeMLP,
    linear_path,
)

KEY = jax.random.key(0)
TIMES = jnp.array([0.0, 0.3, 0.5, 0.9])
VALUES = jnp.stack([jnp.sin(TIMES), jnp.cos(TIMES)], 1)
MODELS = {
    "ode": (NeuralODE(TimeMLP(2, 6, 1, key=KEY)), lambda model: model(VALUES[0], TIMES, key=KEY)),
    "latent": (
        LatentODE(GRUEncoder(2, 5, 3, key=KEY), TimeMLP(3, 6, 1, key=KEY), eqx.nn.Linear(3, 2, key=KEY)),
        lambda model: model.elbo(TIMES, VALUES, noise=0.5, key=KEY),
    ),
    "flow": (
        ContinuousNormalizingFlow(ConcatSquashMLP(2, 6, 1, key=KEY), 2, trace=HutchinsonTrace()),
        lambda model: model.log_prob(VALUES[0], key=KEY),
    ),
    "cde": (
        NeuralCDE(eqx.nn.Linear(3, 4, key=KEY), MatrixMLP(4, 3, 6, 1, key=KEY), eqx.nn.Linear(4, 1, key=KEY),
                  path=linear_path),
        lambda model: model(TIMES, VALUES, key=KEY),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_penalties_and_adjoints(name):
    model, call = MODELS[name]
    precise = Integrator(stepsize_controller=dfx.PIDController(rtol=1e-8, atol=1e-8))

    def gradient(**options):
        changed = dataclasses.replace(model, integrator=dataclasses.replace(precise, **options))

        @eqx.filter_jit
        @eqx.filter_value_and_grad(has_aux=True)
        def loss(model):
            value, effort = call(model)
            return jnp.sum(value), effort

        (value, effort), slopes = loss(changed)
        return value, effort, slopes.vector_field

    value, effort, exact = gradient()
    assert effort.penalty == 0 and effort.accepted > 0
    for regularizer in (GlobalError(), LocalError()):
        same, effort, slopes = gradient(regularizer=regularizer)
        np.testing.assert_allclose(same, value, rtol=1e-6)
        assert effort.penalty > 0
    _, _, continuous = gradient(adjoint=dfx.BacksolveAdjoint())
    for ours, theirs in zip(jax.tree.leaves(exact), jax.tree.leaves(continuous)):
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)
