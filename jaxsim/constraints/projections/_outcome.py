"""What becomes of a projection that failed."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...optimize import Frozen, OnFailure, SolveStatus
from ...optimize.solves.solved import refuse_raise_in_shard_map
from ...spaces import error_if


def after(value: Any, status: SolveStatus, on_failure: OnFailure, message: str) -> Any:
    """A pytree of arrays and fields, as `on_failure` wants it where the status is not one of success."""
    succeeded = (status == SolveStatus.converged) | (status == SolveStatus.rank_deficient)
    refuse_raise_in_shard_map(on_failure, message.partition(":")[0])
    if on_failure is OnFailure.RAISE:
        return error_if(value, ~succeeded, message)
    if on_failure is OnFailure.KEEP:
        return value

    def of(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        return jnp.where(succeeded, leaf, lax.stop_gradient(leaf) if on_failure is OnFailure.STOP else jnp.nan)

    return jax.tree.map(of, value)


def status_of(met: jax.Array, finite: jax.Array, otherwise: SolveStatus) -> SolveStatus:
    """`converged` where the constraint is met, `nonfinite` without finite numbers, and what is given elsewhere."""
    status = SolveStatus.where(met, SolveStatus.converged, otherwise)
    return SolveStatus.where(finite, status, SolveStatus.nonfinite)


def thawed(tree: Any) -> Any:
    """A pytree without `Frozen`, through whose arrays no gradient passes."""
    is_frozen = lambda node: isinstance(node, Frozen)
    return jax.tree.map(lambda node: node.thawed() if is_frozen(node) else node, tree, is_leaf=is_frozen)
