"""Optimization of models: least squares, quasi-Newton and first-order methods, and the training loop."""

from .balance import GradientNorm, NeuralTangentKernel, RowAttention
from .dense_qr import DenseQR
from .first_order import FirstOrder, FirstOrderState
from .lbfgs import LBFGS
from .levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from .line_search import WolfeSearch
from .linearization import AbstractLinearization, AbstractSystem
from .method import AbstractMethod
from .normal_equations import NormalEquations
from .parameters import Frozen, combine, partition
from .quasi_newton import BFGS, SSBFGS, AbstractQuasiNewton, QuasiNewtonState, SSBroyden
from .rows import Rows, total_loss
from .rules import AbstractRule
from .sample_space import SampleSpace
from .soap import soap
from .training import Diverged, Status, Training, train

__all__ = [
    "AbstractLinearization",
    "AbstractMethod",
    "AbstractQuasiNewton",
    "AbstractRule",
    "AbstractSystem",
    "BFGS",
    "DenseQR",
    "Diverged",
    "FirstOrder",
    "FirstOrderState",
    "Frozen",
    "GradientNorm",
    "LBFGS",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "NeuralTangentKernel",
    "NormalEquations",
    "QuasiNewtonState",
    "RowAttention",
    "Rows",
    "SSBFGS",
    "SSBroyden",
    "SampleSpace",
    "Status",
    "Training",
    "WolfeSearch",
    "combine",
    "partition",
    "soap",
    "total_loss",
    "train",
]
