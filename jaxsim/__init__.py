"""jaxsim: differentiable physics in JAX. One equation, every solver."""

import importlib

from . import equations, geometry, integrate
from .calculus import (
    advect,
    canonical,
    convection,
    cross,
    curl,
    directed,
    div,
    dot,
    grad,
    inner,
    integral,
    inverse_helmholtz,
    inverse_laplacian,
    laplacian,
    mean,
    norm,
    partial,
    pointwise,
    potential,
    project,
    sample,
    stack,
)
from .equations import Equation, initial, residual
from .field import Field
from .grid import Grid
from .integrate import March, SemilinearTerm, ensemble, march, rollout, solve
from .spaces import (
    Body,
    Central,
    Clamped,
    ConvectiveOutflow,
    Dictionary,
    Dirichlet,
    FiniteDifference,
    Fourier,
    FreeSlip,
    Function,
    Inflow,
    MovingWall,
    Neumann,
    NoSlip,
    Outflow,
    Periodic,
    Point,
    Robin,
    Space,
    Staggered,
    Upwind,
    WallFlux,
    diffuse,
    interpolate,
    point_sources,
    shard,
    transport,
)
from .stretching import SinhStretching, Stretching, TanhStretching

__version__ = "0.1.0"

_ROOMS = ("constraints", "io", "linear", "nets", "neural_de", "optimize", "pinn", "plot", "taylor")


def __getattr__(name: str):
    """Rooms that most programs do not need are imported when they are first named."""
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'jaxsim' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_ROOMS})

__all__ = [
    "Body",
    "Central",
    "Clamped",
    "ConvectiveOutflow",
    "Dictionary",
    "Dirichlet",
    "Equation",
    "Field",
    "FiniteDifference",
    "Fourier",
    "FreeSlip",
    "Function",
    "Grid",
    "Inflow",
    "March",
    "MovingWall",
    "Neumann",
    "NoSlip",
    "Outflow",
    "Periodic",
    "Point",
    "Robin",
    "SemilinearTerm",
    "SinhStretching",
    "Space",
    "Staggered",
    "Stretching",
    "TanhStretching",
    "Upwind",
    "WallFlux",
    "advect",
    "canonical",
    "convection",
    "cross",
    "curl",
    "diffuse",
    "directed",
    "div",
    "dot",
    "ensemble",
    "equations",
    "geometry",
    "grad",
    "initial",
    "inner",
    "integral",
    "integrate",
    "interpolate",
    "inverse_helmholtz",
    "inverse_laplacian",
    "laplacian",
    "march",
    "mean",
    "norm",
    "partial",
    "point_sources",
    "pointwise",
    "potential",
    "project",
    "residual",
    "rollout",
    "sample",
    "shard",
    "solve",
    "stack",
    "transport",
]
