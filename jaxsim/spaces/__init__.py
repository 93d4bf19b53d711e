"""What fields are made of: one file per space."""

from ._base import Modes, NoDiagonalForm, Space
from ._expressions import AbstractLeaf, Coefficients, coefficients_of, like_of
from .body import Body
from .boundary import Boundary, Clamped, Dirichlet, Neumann, Periodic, Robin, WallFlux
from .conservation import Central, Reconstruction, Upwind, transport
from .dictionary import Dictionary, Expansion, check_functions, sum_of, weighted
from .diffusion import diffuse
from .finite_difference import FiniteDifference
from .flow_boundary import ConvectiveOutflow, FlowBoundary, FreeSlip, Inflow, MovingWall, NoSlip, Outflow
from .fourier import Fourier
from .function import Callables, Function
from .interpolation import interpolate
from .point import Point
from .sharding import error_if, shard
from .sources import point_sources
from .staggered import Staggered

__all__ = [
    "AbstractLeaf",
    "Body",
    "Boundary",
    "Callables",
    "Central",
    "Clamped",
    "Coefficients",
    "ConvectiveOutflow",
    "Dictionary",
    "Dirichlet",
    "Expansion",
    "FiniteDifference",
    "FlowBoundary",
    "Fourier",
    "FreeSlip",
    "Function",
    "Inflow",
    "Modes",
    "MovingWall",
    "Neumann",
    "NoDiagonalForm",
    "NoSlip",
    "Outflow",
    "Periodic",
    "Point",
    "Reconstruction",
    "Robin",
    "Space",
    "Staggered",
    "Upwind",
    "WallFlux",
    "check_functions",
    "coefficients_of",
    "diffuse",
    "error_if",
    "interpolate",
    "like_of",
    "point_sources",
    "shard",
    "sum_of",
    "transport",
    "weighted",
]
