"""Fields made of a dictionary of functions and a weight for each of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..field import Field
from ..taylor import Index
from ._expressions import AbstractLeaf, Coefficients, coefficients_of, like_of
from .function import Callables


def Dictionary(functions: Callable, weights: jax.Array, offset: Callable | None = None, dimension: int | None = None,
               components: tuple[int, ...] | None = None) -> Field:  # fmt: skip
    """A sum of given functions as a field, $u(t, x) = u_0(t, x) + \\sum_i w_i\\, b_i(t, x)$.

    It is a `js.Function` whose derivatives are sums of those of the $b_i$, and linear in the weights.
    `jaxsim.constraints.satisfy` finds the weights that make an equation hold.

    **Arguments:**

    - `functions`: $b$, maps scalars `(t, x)`, `(t, x, y)` or `(t, x, y, z)` to an array of shape `(N, *components)`: a
        network, or `jaxsim.constraints.TensorProduct`.
    - `weights`: $w$, shape `(N,)`.
    - `offset`: $u_0$, a callable of `(t, x, ...)` with values of the components' shape: what the field is where all
        weights are zero.
    - `dimension`, `components`: as those of `js.Function`.

    !!! example

        ```python
        waves = lambda t, x: jnp.exp(-t) * jnp.stack([jnp.sin(x), jnp.cos(x)])
        u = js.Dictionary(waves, jnp.array([1.0, 2.0]), dimension=1, components=())
        js.partial(u, 0)(0.0, 0.0)    # 1
        ```
    """
    if jnp.ndim(weights) != 1:
        raise ValueError(f"js.Dictionary: one weight for each function, shape (N,); got {jnp.shape(weights)}.")
    return Field(Callables(dimension, components), Expansion(functions, jnp.asarray(weights), offset))


class Expansion(AbstractLeaf):
    """A callable `(t, x, ...)` that is a weighted sum of the functions of a dictionary; see `js.Dictionary`."""

    functions: Callable
    weights: jax.Array
    offset: Callable | None = None

    def __check_init__(self):
        for name in ("functions", "offset"):
            value = getattr(self, name)
            if not callable(value) and not (name == "offset" and value is None):
                raise TypeError(f"js.Dictionary: `{name}` is a callable of (t, x, ...), got {type(value).__name__}.")

    def coefficients(self, point: Sequence[jax.Array], indices: Sequence[Index]) -> Coefficients:
        parts = coefficients_of(self.functions, point, indices)
        check_functions(parts[(0,) * len(point)].shape, len(self.weights))
        found = {a: weighted(self.weights, part) for a, part in parts.items()}
        return found if self.offset is None else sum_of(found, coefficients_of(self.offset, point, indices))

    def like(self, point: Sequence[jax.Array]) -> jax.ShapeDtypeStruct:
        functions = like_of(self.functions, point)
        return jax.ShapeDtypeStruct(functions.shape[1:], jnp.result_type(functions, self.weights))


def weighted(weights: jax.Array, functions: jax.Array) -> jax.Array:
    """The sum over the first axis of functions `(N, ...)` in their own precision."""
    return jnp.tensordot(weights.astype(functions.dtype), functions, 1, precision=jax.lax.Precision.HIGHEST)


def sum_of(left: dict[Index, Any], right: dict[Index, Any]) -> dict[Index, Any]:
    """The sum of two sets of coefficients; absent ones are zero."""
    both = {a: left[a] + right[a] for a in left if a in right}
    return left | right | both


def check_functions(shape: tuple[int, ...], count: int | None = None) -> None:
    """Raise unless the first axis of these values counts the functions of a dictionary."""
    if not shape or (count is not None and shape[0] != count):
        expected = "N" if count is None else count
        raise ValueError(f"a dictionary has values of shape ({expected}, *components) at a point, got {shape}.")
