"""Layers that find the field of a dictionary for which equations and conditions hold."""

from .bases import Chebyshev, FourierSeries, TensorProduct
from .layer import ConstraintLayer
from .on_grid import OnGrid
from .satisfy import satisfy

__all__ = [
    "Chebyshev",
    "ConstraintLayer",
    "FourierSeries",
    "OnGrid",
    "TensorProduct",
    "satisfy",
]
