"""Batches of factorizations where there are few threads."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.linear import batches

MATRICES = jax.random.normal(jax.random.key(0), (3, 5, 4))


def solved(matrix, right):
    reflectors, scalars = batches.householder(matrix)
    part = batches.reflect_back(reflectors, scalars, right)[:4]
    return batches.solve_triangle(jnp.triu(reflectors[:4]), part)


@pytest.mark.parametrize("few", [True, False])
def test_loops_and_batches_agree(monkeypatch, few):
    monkeypatch.setattr(batches, "few_threads", lambda: few)
    right = jnp.arange(10.0).reshape(2, 5)
    found = jax.jit(jax.vmap(jax.vmap(solved, (None, 0)), (0, None)))(MATRICES, right)
    expected = [[np.linalg.lstsq(a, b)[0] for b in right] for a in MATRICES]
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    text = jax.jit(jax.vmap(solved, (0, None))).lower(MATRICES, right[0]).as_text()
    assert ("stablehlo.while" in text) == few


PROGRAM = """
import jax
import jax.numpy as jnp
from jaxsim.linear.batches import householder, one_by_one, triangle_of
singular = one_by_one(lambda a: jnp.linalg.svd(a, full_matrices=False)[1])
functions = [householder, triangle_of, singular]
many = jax.random.normal(jax.random.key(0), (8, 4, 300, 32))
run = jax.jit(lambda many: [jax.vmap(function)(batch) for batch in many for function in functions])
for _ in range(50):
    jax.block_until_ready(run(many))
"""


@pytest.mark.slow
def test_many_batches_on_two_threads_come_to_an_end():
    """With batched factorizations this program waits forever."""
    environment = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "OPENBLAS_NUM_THREADS")}
    environment |= {"NPROC": "2", "JAX_ENABLE_X64": "1"}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, timeout=300)
