"""jaxsim: differentiable physics in JAX. One equation, every solver."""

from .calculus import (
    advect,
    cross,
    curl,
    div,
    dot,
    grad,
    inner,
    integral,
    inverse_laplacian,
    laplacian,
    mean,
    norm,
    partial,
    pointwise,
    project,
    sample,
    stack,
)
from .field import Field
from .grid import Grid
from .spaces import Fourier, Space

__version__ = "0.1.0"

__all__ = [
    "Field",
    "Fourier",
    "Grid",
    "Space",
    "advect",
    "cross",
    "curl",
    "div",
    "dot",
    "grad",
    "inner",
    "integral",
    "inverse_laplacian",
    "laplacian",
    "mean",
    "norm",
    "partial",
    "pointwise",
    "project",
    "sample",
    "stack",
]
