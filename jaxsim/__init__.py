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
from .equations import Equation, initial, residual
from .field import Field
from .grid import Grid
from .integrate import March, SemilinearTerm, ensemble, march, rollout, solve
from .spaces import (
    Dirichlet,
    FiniteDifference,
    Fourier,
    Function,
    Neumann,
    Periodic,
    Robin,
    Space,
    interpolate,
    shard,
)

__version__ = "0.1.0"

__all__ = [
    "Dirichlet",
    "Equation",
    "Field",
    "FiniteDifference",
    "Fourier",
    "Function",
    "Grid",
    "March",
    "Neumann",
    "Periodic",
    "Robin",
    "SemilinearTerm",
    "Space",
    "advect",
    "cross",
    "curl",
    "div",
    "dot",
    "ensemble",
    "equations",
    "grad",
    "initial",
    "inner",
    "integral",
    "integrate",
    "interpolate",
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
    "shard",
    "solve",
    "stack",
]
