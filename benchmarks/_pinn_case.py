"""A case of the benchmark of physics-informed networks: a reference and a recipe."""

import dataclasses
from collections.abc import Callable

import jax

from ._pinn_references import Reference


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem and the way it is solved.

    - `title`: what the table calls it.
    - `reference`: makes the values that errors are measured against.
    - `solve`: maps a key to a trained field, a callable of the coordinates of the reference's points.
    - `recipe`: network, points and method in a few words.
    - `goal`: a relative error, or `None` where none was set.
    """

    title: str
    reference: Callable[[], Reference]
    solve: Callable[[jax.Array], Callable]
    recipe: str
    goal: float | None = None

