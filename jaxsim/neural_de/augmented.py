"""Models whose state has more components than the data."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ._times import floating
from .effort import Effort


class Augmented(eqx.Module):
    """A model with zeros appended to its initial state, $y_0 \\to (y_0, 0)$.

    Trajectories of a differential equation do not cross; in a larger space they can go around each other, and the
    dynamics that do the same work are simpler and cheaper.

    **Arguments:**

    - `model`: called as `model(y0, ...)` with a state whose last axis holds components, and returning
        `(states, effort)`: a `NeuralODE`, or another `Augmented`. Its vector field acts on all components.
    - `extra`: number of zeros.
    - `keep`: whether to return the extra components too, such as for a linear layer that reads them.

    **Raises:** `ValueError` for a value that is not a state, such as a density's.

    Reference: Dupont, Doucet and Teh, NeurIPS 2019 (arXiv 1904.01681), equation 4.
    """

    model: Callable
    extra: int = eqx.field(static=True)
    keep: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.extra < 1:
            raise ValueError(f"Augmented: `extra` is at least 1, got {self.extra}.")

    def __call__(self, y0: jax.Array, *arguments: Any, **options: Any) -> tuple[jax.Array, Effort]:
        """The model's value for the state `y0` of shape `(..., components)`, all else passed on."""
        y0 = floating(y0)
        if y0.ndim == 0:
            raise ValueError("Augmented: `y0` needs an axis of components.")
        start = jnp.concatenate([y0, jnp.zeros((*y0.shape[:-1], self.extra), y0.dtype)], -1)
        value, effort = self.model(start, *arguments, **options)
        if jnp.ndim(value) == 0 or value.shape[-1] != start.shape[-1]:
            raise ValueError(
                f"Augmented: the model's value has shape {jnp.shape(value)}, not {start.shape[-1]} components: only "
                "models that return states can be augmented."
            )
        return (value if self.keep else value[..., : -self.extra]), effort
