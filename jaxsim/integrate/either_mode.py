"""The adjoint of a solve, where nobody named one."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import equinox.internal as eqxi
import jax


def either_mode(run: Callable[[Any, dfx.AbstractAdjoint], dfx.Solution], inputs: Any) -> dfx.Solution:
    """The solution by an adjoint that has the derivative which is being taken.

    `diffrax.RecursiveCheckpointAdjoint` saves memory in reverse mode, but has no forward mode. JAX says so while it
    traces, and then `diffrax.DirectAdjoint` has both.

    **Arguments:**

    - `run`: a solve, as a function of `inputs` and an adjoint.
    - `inputs`: a pytree of what may be differentiated.

    **Raises:** `TypeError` for reverse mode over reverse mode, which JAX meets when the choice is past.
    """
    try:
        numbers, rest = eqx.partition(inputs, eqx.is_inexact_array)
        return run(eqx.combine(_once_in_reverse(numbers), rest), dfx.RecursiveCheckpointAdjoint())
    except TypeError as error:
        if "forward-mode" not in str(error):
            raise
    return run(inputs, dfx.DirectAdjoint())


@jax.custom_vjp
def _once_in_reverse(numbers):
    """The numbers, with a gradient that forward mode may differentiate again, and reverse mode may not."""
    return numbers


NO_REVERSE = (
    "js.solve: the default adjoint has no jax.grad of jax.grad. Take jax.hessian, which is forward over reverse mode, "
    "or give adjoint=diffrax.DirectAdjoint()."
)

_once_in_reverse.defvjp(
    lambda numbers: (numbers, None),
    lambda _, cotangent: (jax.tree.map(lambda c: eqxi.nondifferentiable_backward(c, msg=NO_REVERSE), cotangent),),
)
