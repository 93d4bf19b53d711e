"""Constraint layers on the boxes of a partition."""

from .coupling import Interface
from .experts import Experts
from .marching import Marching
from .partition import Partition, Region
from .piecewise import PerExpert, Piecewise
from .schwarz import Schwarz

__all__ = [
    "Experts",
    "Interface",
    "Marching",
    "Partition",
    "PerExpert",
    "Piecewise",
    "Region",
    "Schwarz",
]
