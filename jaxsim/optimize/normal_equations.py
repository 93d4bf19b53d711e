"""The matrix $J^T J$ of a least-squares problem, without ever holding all of $J$."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .rows import Rows


class NormalEquations(eqx.Module):
    """$J^T J$, $J^T r$ and $|r|^2$ of all rows at once, for `p` parameters.

    - `matrix`: shape `(p, p)`.
    - `gradient`: shape `(p,)`; half of the gradient of the loss.
    - `loss`: a scalar.
    """

    matrix: jax.Array
    gradient: jax.Array
    loss: jax.Array


def normal_equations(blocks: Sequence[Rows], unravel: Callable, flat: jax.Array, chunk: int) -> NormalEquations:
    """The normal equations of blocks of rows, accumulated over chunks of samples.

    Each sample's rows are differentiated by themselves, in reverse mode, so that a Jacobian costs no more than a few
    evaluations of the model however many parameters there are.

    **Arguments:**

    - `blocks`: the problem.
    - `unravel`: the model of a vector of parameters.
    - `flat`: parameters, shape `(p,)`, real.
    - `chunk`: samples whose Jacobian is held at a time.
    """
    parts = [_of_block(block, unravel, flat, chunk) for block in blocks]
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *parts)


def jacobian(block: Rows, unravel: Callable, flat: jax.Array, samples, scales) -> tuple[jax.Array, jax.Array]:
    """Scaled rows `(m,)` of some samples and their Jacobian `(m, p)`."""

    def of_sample(sample, scale):
        def rows(flat):
            values = scale * jnp.ravel(block.function(unravel(flat), sample))
            return values, values

        return jax.jacrev(rows, has_aux=True)(flat)

    matrix, rows = jax.vmap(of_sample)(samples, scales)
    return rows.ravel(), matrix.reshape(-1, flat.size)


def _of_block(block, unravel, flat, chunk) -> NormalEquations:
    def of(samples, scales):
        rows, matrix = jacobian(block, unravel, flat, samples, scales)
        return NormalEquations(matrix.T @ matrix, matrix.T @ rows, rows @ rows)

    count, scales = block.count, block.scales(flat.dtype)
    whole = count // chunk * chunk
    head = lambda a: a[:whole].reshape(-1, chunk, *a.shape[1:])
    tail = lambda a: a[whole:]
    parts = []
    if whole == chunk:
        parts.append(of(*jax.tree.map(lambda a: a[:chunk], (block.samples, scales))))
    elif whole:
        chunks = jax.tree.map(head, (block.samples, scales))
        zero = jax.eval_shape(of, *jax.tree.map(lambda a: a[0], chunks))
        start = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), zero)
        add = lambda total, piece: (jax.tree.map(jnp.add, total, of(*piece)), None)
        parts.append(lax.scan(add, start, chunks)[0])
    if whole < count:
        parts.append(of(*jax.tree.map(tail, (block.samples, scales))))
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *parts)
