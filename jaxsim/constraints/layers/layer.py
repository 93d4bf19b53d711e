"""A last layer that makes a network obey equations and conditions."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax

from ...optimize import AbstractAdjoint, Direct, GaussNewton, OnFailure, Rows, Solved
from .satisfy import satisfy


class ConstraintLayer(eqx.Module):
    """A layer that turns a network's basis functions into the field that obeys an equation and its conditions.

    It is `satisfy` with its settings, for rows that change from one sample of training data to the next.

    **Arguments:**

    - `blocks`: a function of what is given (initial values, parameters of the equation, a key for new points) that
        returns rows by name, as `satisfy` takes them.
    - `ridge`, `method`, `adjoint`, `on_failure`: as those of `satisfy`. In training, `OnFailure.STOP` keeps the best
        iterate of a sample that fails and lets no gradient through it; weigh its loss by `Solved.succeeded`.

    !!! example

        ```python
        layer = ConstraintLayer(lambda u0: {
            "interior": collocation(js.equations.Burgers(0.01), points),
            "initial": Rows(lambda u, s: u(0.0, s[0]) - s[1], (x, u0), weight=400.0),
        })
        solved = jax.vmap(lambda u0: layer(network, u0))(batch)     # a Solved for each instance
        ```

    Reference: Négiar, Mahoney and Krishnapriyan, ICLR 2023 (arXiv 2207.08675).
    """

    blocks: Callable[[Any], Mapping[str, Rows]]
    ridge: float | jax.Array = 0.0
    method: GaussNewton | Direct | None = None
    adjoint: AbstractAdjoint | None = None
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)

    def __call__(self, functions: Callable, given: Any = None, guess: jax.Array | None = None,
                 offset: Callable | None = None) -> Solved:  # fmt: skip
        """The field of a dictionary that obeys what follows from `given`; see `satisfy`."""
        return satisfy(functions, self.blocks(given), guess, offset=offset, ridge=self.ridge, method=self.method,
                       adjoint=self.adjoint, on_failure=self.on_failure)  # fmt: skip
