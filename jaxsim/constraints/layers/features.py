"""What rows ask of a dictionary: looked at once, and given back for any weights.

A block of rows is a function of a field and a sample. On a first pass the field is a `_Recorder`, which notes the
Taylor coefficients that are asked of the functions at each sample. They do not depend on the weights, so that in a
solver the field is a `_Player`, whose values are sums of what was noted.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import Rows
from ...spaces import AbstractLeaf, Coefficients, check_functions, coefficients_of, like_of, sum_of, weighted
from ...taylor import Index


class Features(eqx.Module):
    """A block of rows as a function of the weights of a dictionary, $r_s(w) = g_s\\big(\\sum_i w_i \\Phi_{s i}\\big)$.

    - `block`: the rows, functions of a field.
    - `functions`: $\\Phi$, one dictionary of arrays `(samples, N, *components)` for each point where $g$ looks at the
        field, by multi-index.
    - `offset`: what the field is without weights, likewise, `(samples, *components)`.
    """

    block: Rows
    functions: list[Coefficients]
    offset: list[Coefficients]

    @property
    def count(self) -> int:
        """$N$."""
        return next(iter(self.functions[0].values())).shape[1]

    def values(self, weights: jax.Array) -> jax.Array:
        """Rows without the block's weights, shape `(samples, *shape of one)`."""
        return jax.vmap(self._row)(self._fields(weights), self.block.samples)

    def jacobian(self, weights: jax.Array) -> jax.Array:
        """Derivatives of `values` in the weights, shape `(samples, *shape of one, N)`: of $g$, times $\\Phi$."""
        slopes = jax.vmap(jax.jacfwd(lambda *args: self._row(*args).reshape(-1)))
        slopes = slopes(self._fields(weights), self.block.samples)
        total: Any = 0.0
        for slope, functions in zip(slopes, self.functions):
            for index, part in slope.items():
                if index in functions:
                    samples, rows = part.shape[:2]
                    part, table = part.reshape(samples, rows, -1), functions[index].reshape(samples, self.count, -1)
                    total = total + jnp.einsum("src,snc->srn", part, table, precision=jax.lax.Precision.HIGHEST)
        return total.reshape(*jax.eval_shape(self.values, weights).shape, self.count)

    def _fields(self, weights):
        sums = lambda functions: {a: jax.vmap(lambda p: weighted(weights, p))(part) for a, part in functions.items()}
        return [sum_of(sums(functions), offset) for functions, offset in zip(self.functions, self.offset)]

    def _row(self, fields, sample):
        part = next(iter(fields[0].values()))
        player = _Player(_Tape(list(fields)), jax.ShapeDtypeStruct(part.shape, part.dtype))
        return jnp.asarray(self.block.function(player, sample))


def features(functions: Callable, offset: Callable | None, block: Rows) -> Features:
    """What a block of rows asks of a dictionary of functions and of an offset, at each of its samples.

    **Raises:** `TypeError` where a row differentiates the field by `jax.grad` or looks at it in a compiled loop.
    """

    def ask(sample):
        tape = _Tape([])
        block.function(_Recorder(functions, offset, tape), sample)
        if not tape.notes:
            raise ValueError("a block of rows that does not look at the field: nothing in it can be satisfied.")
        return [note[0] for note in tape.notes], [note[1] for note in tape.notes]

    try:
        return Features(block, *jax.vmap(ask)(block.samples))
    except jax.errors.UnexpectedTracerError as error:
        raise TypeError(
            "rows look at the field by calling it, u(t, x), or through derivatives of jaxsim, such as "
            "js.partial(js.Function(u), 0)(t, x), whose parts are computed once. jax.grad of u, and u in jax.lax.scan, "
            "do not show what they need."
        ) from error


@dataclasses.dataclass
class _Tape:
    """What was noted at the points where a field is looked at, in their order."""

    notes: list


class _Recorder(AbstractLeaf):
    functions: Callable
    offset: Callable | None
    tape: _Tape = eqx.field(static=True)

    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        parts = _asked(coefficients_of(self.functions, point, indices), indices)
        check_functions(next(iter(parts.values())).shape)
        offset = {} if self.offset is None else _asked(coefficients_of(self.offset, point, indices), indices)
        self.tape.notes.append((parts, offset))
        return sum_of({a: jnp.sum(part, 0) for a, part in parts.items()}, offset)

    def like(self, point: Sequence[jax.Array]) -> jax.ShapeDtypeStruct:
        functions = like_of(self.functions, point)
        check_functions(functions.shape)
        return jax.ShapeDtypeStruct(functions.shape[1:], functions.dtype)


class _Player(AbstractLeaf):
    tape: _Tape = eqx.field(static=True)
    shape: jax.ShapeDtypeStruct = eqx.field(static=True)

    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        return self.tape.notes.pop(0)

    def like(self, point: Sequence[jax.Array]) -> jax.ShapeDtypeStruct:
        return self.shape


def _asked(coefficients: Coefficients, indices: Sequence[Index]) -> Coefficients:
    """Those that were asked for; zeros where all of them vanish by structure, as their shape is still needed."""
    found = {a: part for a, part in coefficients.items() if a in indices}
    return found or {indices[0]: jnp.zeros_like(next(iter(coefficients.values())))}
