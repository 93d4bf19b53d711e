"""Windows of time, one after the other: each begins where the last one ended."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..optimize import Frozen, frozen, number


class Delayed(eqx.Module):
    """A callable of the time since a start, $u(t, x) = f(t - t_0, x)$.

    **Arguments:**

    - `function`: $f$.
    - `start`: $t_0$, which is not trained and compiles nothing anew when it changes.
    """

    function: Callable
    start: Any = eqx.field(converter=lambda start: frozen(jnp.asarray(start) if eqx.is_array_like(start) else start))

    def __call__(self, t, *x) -> jax.Array:
        return self.function(t - number(self.start, t), *x)


class Trigonometric(eqx.Module):
    """The trigonometric polynomial through values on a periodic box; made by `trigonometric`.

    - `coefficients`: of $1, \\cos k\\theta, \\sin k\\theta$ along each axis, shape `(*components, *sizes)`.
    """

    coefficients: jax.Array
    lower: tuple[float, ...] = eqx.field(static=True)
    upper: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, *x) -> jax.Array:
        if len(x) != len(self.lower):
            raise ValueError(f"Trigonometric: needs {len(self.lower)} coordinates, got {len(x)}.")
        value = self.coefficients
        for axis in reversed(range(len(x))):
            value = value @ _waves(x[axis], self.lower[axis], self.upper[axis], value.shape[-1])
        return value


def trigonometric(function: Callable, lower: Sequence[float], upper: Sequence[float], harmonics: int) -> Frozen:
    """A function on a periodic box as a trigonometric polynomial that is not trained.

    Whatever the function is made of, the result has the same structure, so that windows of time that begin with it
    share one compiled program.

    **Arguments:**

    - `function`: of `(x, ...)`, a number or components.
    - `lower`, `upper`: ends of the box, one number per axis.
    - `harmonics`: waves per axis; the function is sampled at `2 * harmonics + 1` points along each.

    **Returns:** a `Frozen` callable of `(x, ...)`.
    """
    size = 2 * harmonics + 1
    nodes = [low + (high - low) * jnp.arange(size) / size for low, high in zip(lower, upper)]
    on_mesh = function
    for _ in nodes:
        on_mesh = jax.vmap(on_mesh)
    values = jnp.asarray(jax.jit(lambda *x: on_mesh(*x))(*jnp.meshgrid(*nodes, indexing="ij")))
    values = values.astype(values.dtype)  # a weak type would be another program for the first window
    for axis in range(len(nodes)):  # each goes to the end, so that the axes come back to their order
        waves = jax.vmap(partial(_waves, low=lower[axis], high=upper[axis], size=size))(nodes[axis])
        inverse = waves * jnp.where(jnp.arange(size) == 0, 1, 2) / size
        values = jnp.tensordot(values, inverse, (0, 0))
    return Frozen(Trigonometric(values, tuple(lower), tuple(upper)))


def _waves(x, low, high, size) -> jax.Array:
    angle = (2 * np.pi / (high - low)) * (x - low) * np.arange(1, size // 2 + 1)
    return jnp.concatenate([jnp.ones_like(angle, shape=1), jnp.cos(angle), jnp.sin(angle)])


class Windows(eqx.Module):
    """A field made of one field per window of time; made by `march`.

    - `edges`: of the windows, shape `(n + 1,)`, not trained.
    - `fields`: their fields as one module, with a leading axis of `n` in each array.
    """

    edges: Frozen
    fields: Any

    def __call__(self, t, *x) -> jax.Array:
        edges = self.edges.thawed()
        index = jnp.clip(jnp.searchsorted(edges, t, side="right") - 1, 0, len(edges) - 2)
        arrays, rest = eqx.partition(self.fields, eqx.is_array)
        return eqx.combine(jax.tree.map(lambda leaf: leaf[index], arrays), rest)(t, *x)


def march(solve: Callable[..., Callable], edges: Sequence[float], initial: Callable) -> Windows:
    """Solve in one window of time after the other.

    Long intervals are where networks fail: a residual can be small everywhere although the solution is wrong from some
    time on. In a short window that begins with known values it cannot.

    **Arguments:**

    - `solve`: maps `(t0, t1, initial, previous)` to the trained field of a window, a callable of `(t, x, ...)`, where
        `initial` is a function of `(x, ...)` and `previous` the field of the window before, to start from (`None` in
        the first).
    - `edges`: times at which windows begin and end, rising.
    - `initial`: a function of `(x, ...)` at the first of them.

    **Returns:** a field of all windows. Beyond the last edge it is that of the last window.

    **Raises:** `TypeError` where windows have fields of different structure; build them alike, with `trigonometric`
    initial values for example.
    """
    edges = [float(edge) for edge in edges]
    if len(edges) < 2 or any(b <= a for a, b in zip(edges, edges[1:])):
        raise ValueError(f"march: at least two rising times are needed, got {edges}.")
    known = jnp.asarray(edges)
    if not np.all(np.diff(np.asarray(known)) > 0):
        raise ValueError(f"march: {known.dtype} cannot tell these times apart; count them from the first of them.")
    fields: list[Any] = []
    for start, end in zip(edges, edges[1:]):
        fields.append(solve(start, end, initial, fields[-1] if fields else None))
        initial = AtTime(fields[-1], end)
    structures = {jax.tree.structure(eqx.filter(field, eqx.is_array)) for field in fields}
    if len(structures) > 1:
        raise TypeError("march: all windows must have fields of the same structure, so that they can be joined.")
    rest = eqx.partition(fields[0], eqx.is_array)[1]
    arrays = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[eqx.filter(field, eqx.is_array) for field in fields])
    return Windows(Frozen(known), eqx.combine(arrays, rest))


class AtTime(eqx.Module):
    """A field at one time, a function of `(x, ...)`."""

    field: Callable
    time: float | jax.Array

    def __call__(self, *x) -> jax.Array:
        return self.field(jnp.asarray(self.time, jnp.result_type(float, *x)), *x)
