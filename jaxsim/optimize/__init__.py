"""Optimization of models: least squares."""

from .dense_qr import DenseQR
from .levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from .linearization import AbstractLinearization, AbstractSystem
from .method import AbstractMethod
from .normal_equations import NormalEquations
from .parameters import Frozen, combine, partition
from .rows import Rows, total_loss
from .rules import AbstractRule
from .sample_space import SampleSpace
from .training import Diverged, Status, Training, train

__all__ = [
    "AbstractLinearization",
    "AbstractMethod",
    "AbstractSystem",
    "DenseQR",
    "AbstractRule",
    "Diverged",
    "Frozen",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "NormalEquations",
    "Rows",
    "SampleSpace",
    "Status",
    "Training",
    "combine",
    "partition",
    "total_loss",
    "train",
]
