"""Fields whose values stay in a range by construction."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import frozen, number


class Positive(eqx.Module):
    """A field above a number, $u = m + p(N)$.

    **Arguments:**

    - `network`: $N$, a callable of `(t, x, ...)`.
    - `minimum`: $m$.
    - `function`: $p$, positive and increasing: `jax.nn.softplus`, $\\log(1 + e^N)$, or `jnp.exp` for quantities that
        range over many decades. Where it underflows the value is $m$ itself.
    """

    network: Callable
    minimum: Any = eqx.field(converter=frozen, default=0.0)
    function: Callable = eqx.field(static=True, default=jax.nn.softplus)

    def __call__(self, t, *x) -> jax.Array:
        free = jnp.asarray(self.network(t, *x))
        return number(self.minimum, free) + self.function(free)


class Bounded(eqx.Module):
    """A field between two numbers, $u = l + (h - l)\\,\\sigma(N)$ with $\\sigma(N) = 1 / (1 + e^{-N})$.

    **Arguments:**

    - `network`: $N$, a callable of `(t, x, ...)`.
    - `lower`, `upper`: $l < h$; numbers, or one for each component.
    """

    network: Callable
    lower: Any = eqx.field(converter=frozen)
    upper: Any = eqx.field(converter=frozen)

    def __check_init__(self):
        low, high = (number(bound, jnp.zeros(())) for bound in (self.lower, self.upper))
        if not any(isinstance(bound, jax.core.Tracer) for bound in (low, high)) and not jnp.all(low < high):
            raise ValueError(f"Bounded: `lower` must be below `upper`, got {low} and {high}.")

    def __call__(self, t, *x) -> jax.Array:
        free = jnp.asarray(self.network(t, *x))
        low, high = number(self.lower, free), number(self.upper, free)
        share = jax.nn.sigmoid(free)
        return low * (1 - share) + high * share
