"""Optimization of models: least squares."""

from .levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from .method import AbstractMethod
from .normal_equations import NormalEquations, normal_equations
from .parameters import Frozen, combine, partition
from .rows import Rows, total_loss

__all__ = [
    "AbstractMethod",
    "Frozen",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "NormalEquations",
    "Rows",
    "combine",
    "normal_equations",
    "partition",
    "total_loss",
]
