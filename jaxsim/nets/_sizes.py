"""Checks of sizes that all networks share."""

from typing import Literal

import jax.numpy as jnp

Size = int | Literal["scalar"]


def check_sizes(owner: object, **sizes) -> None:
    """`ValueError` for a size that is not a positive whole number."""
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{type(owner).__name__}: `{name}` must be a whole number of at least 1, got {value!r}.")


def check_input(owner: object, x, size: int) -> None:
    """`ValueError` for an input that is not an array of numbers of shape `(size,)`."""
    if jnp.shape(x) != (size,):
        raise ValueError(
            f"{type(owner).__name__}: the input has shape ({size},), one sample; got {jnp.shape(x)}. "
            "Use jax.vmap for many, and `jaxsim.pinn.Embedded` or jnp.stack for coordinates (t, x, ...)."
        )


def count(owner: object, out_size: Size) -> int:
    """How many numbers come out, one for `"scalar"`."""
    if out_size == "scalar":
        return 1
    check_sizes(owner, out_size=out_size)
    return out_size


def shaped(values, out_size: Size):
    """Outputs in the shape that was asked for, `()` for `"scalar"`."""
    return values.reshape(()) if out_size == "scalar" else values


def floating(dtype) -> jnp.dtype:
    """The type of parameters: the default floating-point type unless one is given."""
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"parameters of a network are floating-point numbers, got dtype {dtype}.")
    return dtype
