"""What a least-squares step asks of a problem, and the Jacobian that every answer begins with."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .rows import Rows

Resolve = Callable[[jax.Array, jax.Array], jax.Array]


class AbstractLinearization(eqx.Module):
    """A least-squares problem near `p` parameters, $|r + J d|^2$ for a change $d$ of them.

    - `loss`: $|r|^2$, a scalar.
    - `gradient`: $J^T r$, shape `(p,)`; half of the gradient of the loss.
    - `diagonal`: of $J^T J$, shape `(p,)`.
    """

    loss: eqx.AbstractVar[jax.Array]
    gradient: eqx.AbstractVar[jax.Array]
    diagonal: eqx.AbstractVar[jax.Array]

    @abc.abstractmethod
    def solve(self, damping: jax.Array) -> tuple[jax.Array, Resolve]:
        """The damped step, and a way to solve for other rows with the same factorization.

        **Returns:** $d = -(J^T J + \\lambda I)^{-1} J^T r$, not finite where the factorization fails; and a function
        that maps other rows `y`, shape `(n,)`, and their gradient $J^T y$ to what takes the place of $d$.
        """

    def predicted(self, damping: jax.Array, change: jax.Array) -> jax.Array:
        """How much lower $|r + J d|^2$ is than $|r|^2$, for the step `d` that `solve` returns for this damping."""
        return change @ (damping * change - self.gradient)


class AbstractSystem(eqx.Module):
    """A way to solve the damped linear systems of least squares."""

    @abc.abstractmethod
    def linearize(self, blocks: Sequence[Rows], model_of: Callable[[jax.Array], Any], flat: jax.Array
                  ) -> AbstractLinearization:  # fmt: skip
        """The problem near some parameters.

        **Arguments:**

        - `blocks`: what makes the loss.
        - `model_of`: the model of a vector of parameters.
        - `flat`: parameters, shape `(p,)`, real.
        """


def scaled_rows(blocks: Sequence[Rows], model: Any, dtype) -> jax.Array:
    """All rows times the roots of their weights, shape `(n,)`: a sample's one after the other, block by block.

    Their sum of squares is `total_loss`. A complex row counts as two real ones.

    **Arguments:**

    - `blocks`: what makes the loss.
    - `model`: that they are evaluated at.
    - `dtype`: of the weights.
    """
    return jnp.concatenate([_scaled(block.values(model), block.scales(dtype)) for block in blocks])


def _scaled(values, scales) -> jax.Array:
    return _real(scales[:, None] * values.reshape(len(scales), -1)).ravel()


def _real(values) -> jax.Array:
    """Complex numbers as two real ones, along the last axis."""
    return jnp.concatenate([values.real, values.imag], -1) if jnp.iscomplexobj(values) else values


def jacobian(block: Rows, model_of: Callable, flat: jax.Array, samples, scales) -> tuple[jax.Array, jax.Array]:
    """Scaled rows `(m,)` of some samples and their Jacobian `(m, p)`.

    Each sample's rows are differentiated by themselves, in reverse mode, so that a Jacobian costs no more than a few
    evaluations of the model however many parameters there are. A complex row counts as two real ones.
    """

    def of_sample(sample, scale):
        def rows(flat):
            values = _real(scale * jnp.ravel(block.function(model_of(flat), sample)))
            return values, values

        return jax.jacrev(rows, has_aux=True)(flat)

    matrix, rows = jax.vmap(of_sample)(samples, scales)
    return rows.ravel(), matrix.reshape(-1, flat.size)


def whole_jacobian(blocks: Sequence[Rows], model_of: Callable, flat: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scaled rows `(n,)` of all blocks and their Jacobian `(n, p)`."""
    parts = [jacobian(block, model_of, flat, block.samples, block.scales(flat.dtype)) for block in blocks]
    return jnp.concatenate([rows for rows, _ in parts]), jnp.concatenate([matrix for _, matrix in parts])


def require_rows(blocks: Sequence[Any], name: str, instead: str) -> None:
    """**Raises:** a `TypeError` that names who asks, and what to use instead, where a block has a loss but no rows."""
    for block in blocks:
        if not isinstance(block, Rows):
            raise TypeError(f"{name} takes a loss apart into squares of rows, and {type(block).__name__} has none. "
                            f"Use {instead} for it.")  # fmt: skip
