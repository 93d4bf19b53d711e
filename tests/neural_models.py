"""What every model must do: gradients, batches, new parameters without a new trace, and both precisions."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxsim.neural_de import Integrator


def check_model(make, evaluate, points, rtol=1e-5, step=1e-5):
    """Check a model.

    **Arguments:**

    - `make`: from `dtype` and `integrator` to a model whose float64 default is precise enough for differences.
    - `evaluate`: from a model and a point to a scalar.
    - `points`: a batch of inputs, float64.
    - `rtol`, `step`: of the finite difference; a step divides the error of the solve, which is not smooth.
    """
    weights, rest = eqx.partition(make(), eqx.is_inexact_array)
    flat, unravel = ravel_pytree(weights)

    @jax.jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def batched(flat, points):
        def total(flat):
            values = jax.vmap(evaluate, (None, 0))(eqx.combine(unravel(flat), rest), points)
            return jnp.sum(values), values

        (_, values), gradient = jax.value_and_grad(total, has_aux=True)(flat)
        return values, gradient

    values, gradient = batched(flat, points)
    direction = jnp.asarray(np.random.default_rng(0).normal(size=flat.size))
    ends = [jnp.sum(batched(flat + sign * step * direction, points)[0]) for sign in (1, -1)]  # no new trace
    difference = (ends[0] - ends[1]) / (2 * step)
    assert abs(difference) > 1e-3
    np.testing.assert_allclose(jnp.vdot(gradient, direction), difference, rtol=rtol)
    assert jnp.abs(values[0] - values[1]) > 1e-3
    np.testing.assert_allclose(jax.jit(lambda p: evaluate(make(), p))(points[1]), values[1], rtol=0.1 * rtol)

    loose = Integrator(stepsize_controller=dfx.PIDController(rtol=1e-5, atol=1e-5))
    cast = lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf
    single = jax.tree.map(cast, make(integrator=loose))
    value = jax.jit(lambda p: evaluate(single, p))(points[0].astype(jnp.float32))
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, values[0], rtol=1e-3, atol=1e-3)
    of_its_own = eqx.filter(make(dtype=jnp.float32), eqx.is_inexact_array)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(of_its_own))
