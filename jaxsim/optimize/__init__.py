"""Optimization of models: least squares, quasi-Newton and first-order methods, and the training loop."""

from .balance import GradientNorm, NeuralTangentKernel, RowAttention
from .dense_qr import DenseQR
from .first_order import FirstOrder, FirstOrderState
from .lbfgs import LBFGS
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
from .solves import (
    LU,
    AbstractAdjoint,
    AbstractLinearChoice,
    Anderson,
    Direct,
    GaussNewton,
    Implicit,
    Krylov,
    Newton,
    OneStep,
    OnFailure,
    Picard,
    ProjectedNewton,
    Solved,
    SolveStatus,
    Truncated,
    Unrolled,
    fixed_point,
    least_squares,
    nearest,
    root,
)
from .training import Diverged, Status, Training, train

__all__ = [
    "BFGS",
    "LBFGS",
    "LU",
    "SSBFGS",
    "AbstractAdjoint",
    "AbstractLinearChoice",
    "AbstractLinearization",
    "AbstractMethod",
    "AbstractQuasiNewton",
    "Anderson",
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
    "Krylov",
    "LevenbergMarquardt",
    "LevenbergMarquardtState",
    "NeuralTangentKernel",
    "Newton",
    "NormalEquations",
    "OnFailure",
    "OneStep",
    "Picard",
    "ProjectedNewton",
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
    "fixed_point",
    "frozen",
    "least_squares",
    "nearest",
    "number",
    "partition",
    "root",
    "scaled_rows",
    "soap",
    "times_of",
    "total_loss",
    "train",
]
