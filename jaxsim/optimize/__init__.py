"""Optimization of models: least squares, quasi-Newton and first-order methods, and the training loop."""

from .adjoint import AbstractAdjoint, Implicit, OneStep, Truncated, Unrolled
from .balance import GradientNorm, NeuralTangentKernel, RowAttention
from .dense_qr import DenseQR
from .direct import Direct
from .first_order import FirstOrder, FirstOrderState
from .gauss_newton import GaussNewton
from .lbfgs import LBFGS
from .least_squares import least_squares
from .levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from .line_search import WolfeSearch
from .linearization import AbstractLinearization, AbstractSystem, scaled_rows
from .method import AbstractMethod
from .normal_equations import NormalEquations
from .parameters import Frozen, combine, frozen, number, partition
from .quasi_newton import BFGS, SSBFGS, AbstractQuasiNewton, QuasiNewtonState, SSBroyden
from .rows import Rows, total_loss
from .rules import AbstractBlockRule, AbstractRule, times_of
from .sample_space import SampleSpace
from .soap import soap
from .solved import OnFailure, Solved, SolveStatus
from .training import Diverged, Status, Training, train

__all__ = [
    "BFGS",
    "LBFGS",
    "SSBFGS",
    "AbstractAdjoint",
    "AbstractLinearization",
    "AbstractMethod",
    "AbstractQuasiNewton",
    "AbstractBlockRule",
    "AbstractRule",
    "AbstractSystem",
    "DenseQR",
    "Direct",
    "Diverged",
    "FirstOrder",
    "FirstOrderState",
    "Frozen",
    "GaussNewton",
    "GradientNorm",
    "Implicit",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "NeuralTangentKernel",
    "NormalEquations",
    "OnFailure",
    "OneStep",
    "QuasiNewtonState",
    "RowAttention",
    "Rows",
    "SSBroyden",
    "SampleSpace",
    "SolveStatus",
    "Solved",
    "Status",
    "Training",
    "Truncated",
    "Unrolled",
    "WolfeSearch",
    "combine",
    "frozen",
    "least_squares",
    "number",
    "partition",
    "scaled_rows",
    "soap",
    "times_of",
    "total_loss",
    "train",
]
