"""Sizes and counts that users give, of whatever type of number."""

from typing import Any

import jax
import numpy as np


def whole(value: Any, name: str, least: int = 1) -> int:
    """A whole number of Python, NumPy or JAX, also 8.0, as an `int`.

    **Raises:** `ValueError` that begins with `name` for anything else, for a traced one, and for one below `least`.
    """
    known = not isinstance(value, (bool, np.bool_, jax.core.Tracer)) and np.shape(value) == ()
    try:
        if known and int(value) == value and value >= least:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    traced = ", known when the program is traced" if isinstance(value, jax.core.Tracer) else ""
    raise ValueError(f"{name} must be a whole number of at least {least}{traced}; got {value!r}.")
