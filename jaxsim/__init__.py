"""jaxsim: differentiable physics in JAX. One equation, every solver."""

from . import equations
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
from .equations import Equation, residual
from .field import Field
from .grid import Grid
from .spaces import Fourier, Function, Space

__version__ = "0.1.0"

__all__ = [
    "Equation",
    "Field",
    "Fourier",
    "Function",
    "Grid",
    "Space",
    "advect",
    "cross",
    "curl",
    "div",
    "dot",
    "equations",
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
    "residual",
    "sample",
    "stack",
]
