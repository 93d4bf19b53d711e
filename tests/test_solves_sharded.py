"""Solves cut over four devices: equal to a batch on one, each device at its own pace."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxsim.linear import FGMRES
from jaxsim.optimize import (
    Anderson,
    Implicit,
    Krylov,
    Newton,
    OneStep,
    OnFailure,
    Unrolled,
    fixed_point,
    least_squares,
    nearest,
    root,
)

MESH = Mesh(np.array(jax.devices()[:4]), ("experts",))
STOP = {"on_failure": OnFailure.STOP}
RANDOM = np.random.default_rng(0)
TALL = jnp.asarray(RANDOM.standard_normal((8, 20, 3)))
SQUARE = jnp.asarray(RANDOM.standard_normal((8, 3, 3)) / 3)
RIGHT = jnp.asarray(RANDOM.standard_normal((8, 20)))


def curved(adjoint):
    return lambda m, b: least_squares(lambda w, _: (z := m @ w) + 0.1 * z**2 - b, jnp.zeros(3), adjoint=adjoint, **STOP)


def affine(m, b):
    return least_squares(lambda w, b: {"rows": m @ w - b, "ridge": 1e-3 * w}, jnp.zeros(3), b, **STOP)


def newton(m, b):
    return root(lambda y, m: y + y**3 + m @ y - b[:3], jnp.zeros(3), m, **STOP)


def krylov(m, b):
    method = Newton(linear=Krylov(FGMRES(1e-12)))
    return root(lambda y, m: y + y**3 + m @ y - b[:3], jnp.zeros(3), m, method=method, **STOP)


def equilibrium(m, b):
    return fixed_point(lambda y, m: jnp.tanh(m @ y + b[:3]), jnp.zeros(3), m, method=Anderson(3), **STOP)


def sphere(m, b):
    return nearest(b[:3] + 2, lambda y, m: jnp.sum(y**2) + y[0] * m[0, 0] - 1, m, **STOP)


def with_shared_parts(m, b):
    metric = jnp.array([1.0, 2.0, 3.0])
    constraint = lambda y, radius: jnp.sum(y**2) + y[0] * m[0, 0] - radius
    return nearest(b[:3] + 2, constraint, jnp.ones(()), metric=metric, **STOP)


CASES = {
    "implicit": (curved(Implicit()), TALL, True), "one step": (curved(OneStep()), TALL, True),
    "unrolled": (curved(Unrolled(25)), TALL, True), "affine": (affine, TALL, True), "newton": (newton, SQUARE, True),
    "shared parts": (with_shared_parts, SQUARE, True),
    "krylov": (krylov, SQUARE, False), "equilibrium": (equilibrium, SQUARE, True), "sphere": (sphere, SQUARE, True),
}  # fmt: skip


@pytest.mark.parametrize("name", ["implicit", *(pytest.param(n, marks=pytest.mark.slow) for n in list(CASES)[1:])])
def test_devices_solve_alone(name):
    solve, matrices, checked = CASES[name]

    def loss(m, b, shared):
        solved = solve(m * shared, b)
        return jnp.sum(solved.value**3), solved

    each = jax.vmap(jax.value_and_grad(loss, (0, 1), has_aux=True), in_axes=(0, 0, None))
    specs = PartitionSpec("experts"), PartitionSpec("experts"), PartitionSpec()
    cut = jax.shard_map(each, mesh=MESH, in_specs=specs, out_specs=specs[0], check_vma=checked)
    arguments = matrices, RIGHT, jnp.array(1.0)
    program = jax.jit(cut).lower(*arguments).compile()
    assert not re.findall("all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter", program.as_text())
    (found, solved), gradient = program(*arguments)
    (expected, whole), slopes = jax.jit(each)(*arguments)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), gradient, slopes)
    np.testing.assert_array_equal(solved.steps, whole.steps)
    assert np.all(solved.succeeded)


def test_no_error_can_be_raised_on_one_device():
    cut = jax.shard_map(lambda b: least_squares(lambda w, _: w - b, jnp.zeros(2)).value, mesh=MESH,
                        in_specs=PartitionSpec("experts"), out_specs=PartitionSpec("experts"))  # fmt: skip
    with pytest.raises(ValueError, match="inside jax.shard_map"):
        cut(jnp.ones(8))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["implicit", "newton", "sphere", "equilibrium"])
def test_a_batch_of_one_is_a_single_solve(name):
    solve, matrices, _ = CASES[name]
    gradient = jax.value_and_grad(lambda m, b: jnp.sum(solve(m, b).value), (0, 1))
    one = jax.jit(gradient)(matrices[0], RIGHT[0])
    batch = jax.jit(jax.vmap(gradient))(matrices[:1], RIGHT[:1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[0], rtol=1e-12, atol=1e-13), one, batch)
