"""Any model, followed by a projection."""

from collections.abc import Callable
from typing import Any

import equinox as eqx


class Projected(eqx.Module):
    """A model whose output is projected, $u' = P(N(u))$: it obeys, and gradients go through both.

    A projection that measures what it keeps (it has an `of`, and no values yet) takes it from the model's input, so
    that a surrogate of a time step conserves what its state has:

    ```python
    step = Projected(network, IntegralProjection(quadrature=Quadrature.periodic((64,), (1.0,))))
    u1 = step(u0)    # the mass of u0
    ```

    **Arguments:**

    - `module`: $N$, any callable.
    - `projection`: $P$, a callable of its output.
    - `kept`: a function of the arguments that returns the state whose integrals the output shall have; the first
        argument by default.
    """

    module: Callable
    projection: Callable
    kept: Callable | None = None

    def __check_init__(self):
        for name in ("module", "projection"):
            if not callable(getattr(self, name)):
                raise TypeError(f"Projected: `{name}` must be callable, got {type(getattr(self, name)).__name__}.")

    def __call__(self, *arguments, **keywords) -> Any:
        output = self.module(*arguments, **keywords)
        if getattr(self.projection, "complete", True):
            return self.projection(output)
        if self.kept is None and not arguments:
            raise ValueError("Projected: the projection takes its values from the model's first argument; there is "
                             "none. Give the projection values, or `kept`.")  # fmt: skip
        state = arguments[0] if self.kept is None else self.kept(*arguments, **keywords)
        return self.projection.of(state)(output)
