"""Checks of sizes that all networks share."""

from typing import Literal

import jax.numpy as jnp

from ..sizes import whole

Size = int | Literal["scalar"]


def check_sizes(owner: object, **sizes) -> tuple[int, ...]:
    """The sizes as positive whole numbers; `ValueError` for one that is none."""
    return tuple(whole(value, f"{type(owner).__name__}: `{name}`") for name, value in sizes.items())


def check_input(owner: object, x, size: int) -> None:
    """`ValueError` for an input that is not an array of numbers of shape `(size,)`."""
    if jnp.shape(x) != (size,):
        raise ValueError(
            f"{type(owner).__name__}: the input has shape ({size},), one sample; got {jnp.shape(x)}. "
            "Use jax.vmap for many, and `jaxsim.pinn.Embedded` or jnp.stack for coordinates (t, x, ...)."
        )


def as_size(out_size: Size) -> Size:
    """`"scalar"`, or a positive whole number of any type as an `int`."""
    return "scalar" if isinstance(out_size, str) and out_size == "scalar" else whole(out_size, "`out_size`")


def count(owner: object, out_size: Size) -> int:
    """How many numbers come out, one for `"scalar"`."""
    return 1 if as_size(out_size) == "scalar" else check_sizes(owner, out_size=out_size)[0]


def shaped(values, out_size: Size):
    """Outputs in the shape that was asked for, `()` for `"scalar"`."""
    return values.reshape(()) if out_size == "scalar" else values


def floating(dtype) -> jnp.dtype:
    """The type of parameters: the default floating-point type unless one is given."""
    dtype = jnp.dtype(jnp.result_type(float) if dtype is None else dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"parameters of a network are floating-point numbers, got dtype {dtype}.")
    return dtype
