"""Networks one after the other."""

from collections.abc import Callable

import equinox as eqx
import jax


class Chain(eqx.Module):
    """Callables of one array, one after the other: an embedding, and the network that is given it.

    !!! example

        ```python
        features = FourierFeatures(2, 64, scale=2.0, key=key1)
        net = Chain(features, MLP(64, "scalar", 64, 3, key=key2))
        fixed = Chain(optimize.Frozen(features), MLP(64, "scalar", 64, 3, key=key2))   # features are not trained
        ```
    """

    parts: tuple[Callable, ...]

    def __init__(self, *parts: Callable):
        if not parts or not all(callable(part) for part in parts):
            raise TypeError("Chain: give one or more callables, such as an embedding and a network.")
        self.parts = parts

    def __call__(self, x: jax.Array) -> jax.Array:
        """The last of the callables, of what those before it return."""
        for part in self.parts:
            x = part(x)
        return x
