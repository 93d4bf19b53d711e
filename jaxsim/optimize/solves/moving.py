"""Which numbers of a problem a derivative is taken in."""

from typing import Any

import jax


def moving(problem: Any, tangents: Any) -> tuple[Any, Any, Any]:
    """The arrays of a pytree that move, their tangents, and the rest.

    A tangent that is made of zeros is no substitute for none: the derivative that it is multiplied with may be
    infinite where a number is very small.

    **Arguments:**

    - `problem`: any pytree.
    - `tangents`: like it, as `equinox.filter_custom_jvp` gives them: `None` for what does not move.
    """
    leaves, structure = jax.tree.flatten(problem)
    found = structure.flatten_up_to(tangents)
    arrays = structure.unflatten([a if d is not None else None for a, d in zip(leaves, found, strict=True)])
    rest = structure.unflatten([None if d is not None else a for a, d in zip(leaves, found, strict=True)])
    return arrays, structure.unflatten(found), rest
