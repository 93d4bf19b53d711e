"""L-BFGS: a quasi-Newton method that remembers a few steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from .line_search import WolfeSearch
from .quasi_newton import AbstractQuasiNewton, Step


class Pairs(eqx.Module):
    """The last steps, the latest one at the end.

    - `changes`: of parameters, shape `(m, p)`.
    - `differences`: of gradients, shape `(m, p)`.
    - `inverses`: $1 / s^T y$, shape `(m,)`; 0 where there is no step yet.
    - `scale`: of the identity that the steps correct.
    """

    changes: jax.Array
    differences: jax.Array
    inverses: jax.Array
    scale: jax.Array


class LBFGS(AbstractQuasiNewton):
    """BFGS with the inverse Hessian made of the last few steps, for models with many parameters.

    **Arguments:**

    - `memory`: how many steps.
    - `search`: for the length of a step.

    Reference: Nocedal, Math. Comput. 35, 773 (1980); Liu and Nocedal, Math. Program. 45, 503 (1989), algorithm 2.1 with
    the scale M3.
    """

    memory: int = eqx.field(static=True, default=20)
    search: WolfeSearch = WolfeSearch()

    def __check_init__(self):
        if self.memory < 1:
            raise ValueError("LBFGS: `memory` is at least 1.")

    def start(self, flat: jax.Array) -> Pairs:
        """No steps."""
        zeros = jnp.zeros((self.memory, flat.size), flat.dtype)
        return Pairs(zeros, zeros, zeros[:, 0], jnp.ones((), flat.dtype))

    def times(self, memory: Pairs, vector: jax.Array) -> jax.Array:
        """$H v$, by the recursion of Nocedal."""

        def back(vector, pair):
            s, y, inverse = pair
            weight = inverse * (s @ vector)
            return vector - weight * y, weight

        def forth(vector, pair):
            s, y, inverse, weight = pair
            return vector + (weight - inverse * (y @ vector)) * s, None

        pairs = memory.changes, memory.differences, memory.inverses
        vector, weights = lax.scan(back, vector, pairs, reverse=True)
        return lax.scan(forth, memory.scale * vector, (*pairs, weights))[0]

    def learn(self, memory: Pairs, step: Step) -> Pairs:
        """The steps with one more; without all others where they were given up or led nowhere."""
        s, y = step.change, step.difference
        drop = step.lost | (step.length == 0)
        fresh = self.start(s)
        memory = jax.tree.map(lambda new, old: jnp.where(drop, new, old), fresh, memory)
        put = lambda old, new: jnp.where(step.curved, jnp.concatenate([old[1:], new[None]]), old)
        scale = jnp.where(step.curved, s @ y / (y @ y), memory.scale)
        return Pairs(put(memory.changes, s), put(memory.differences, y), put(memory.inverses, 1 / (s @ y)), scale)
