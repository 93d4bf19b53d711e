"""jaxsim: differentiable physics in JAX. One equation, every solver."""

from . import equations, integrate
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
from .integrate import March, SemilinearTerm, march, rollout
from .spaces import Fourier, Function, Space

__version__ = "0.1.0"

__all__ = [
    "Equation",
    "Field",
    "Fourier",
    "Function",
    "Grid",
    "March",
    "SemilinearTerm",
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
    "integrate",
    "inverse_laplacian",
    "laplacian",
    "march",
    "mean",
    "norm",
    "partial",
    "pointwise",
    "project",
    "residual",
    "rollout",
    "sample",
    "stack",
]
