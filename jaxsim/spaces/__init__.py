"""What fields are made of: one file per space."""

from ._base import Modes, Space
from .boundary import Boundary, Dirichlet, Neumann, Periodic, Robin
from .finite_difference import FiniteDifference
from .fourier import Fourier
from .function import Callables, Function
from .interpolation import interpolate
from .sharding import error_if, shard

__all__ = [
    "Boundary",
    "Callables",
    "Dirichlet",
    "FiniteDifference",
    "Fourier",
    "Function",
    "Modes",
    "Neumann",
    "Periodic",
    "Robin",
    "Space",
    "error_if",
    "interpolate",
    "shard",
]
