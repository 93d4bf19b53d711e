"""Optimization of models: least squares."""

from .levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from .normal_equations import NormalEquations, normal_equations
from .rows import Rows, total_loss

__all__ = [
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "NormalEquations",
    "Rows",
    "normal_equations",
    "total_loss",
]
