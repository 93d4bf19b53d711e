"""Optimization of models: least squares, quasi-Newton and first-order methods, and the training loop."""

from .adjoint import AbstractAdjoint, Implicit, OneStep, Truncated, Unrolled
from .anderson import Anderson
from .balance import GradientNorm, NeuralTangentKernel, RowAttention
from .dense_qr import DenseQR
from .direct import Direct
from .first_order import FirstOrder, FirstOrderState
from .fixed_point import fixed_point
from .gauss_newton import GaussNewton
from .lbfgs import LBFGS
from .least_squares import least_squares
from .levenberg_marquardt import LevenbergMarquardt, LevenbergMarquardtState
from .line_search import WolfeSearch
from .linear_choice import LU, AbstractLinearChoice, Krylov
from .linearization import AbstractLinearization, AbstractSystem, scaled_rows
from .method import AbstractMethod
from .nearest import nearest
from .newton import Newton
from .normal_equations import NormalEquations
from .parameters import Frozen, combine, frozen, number, partition
from .picard import Picard
from .projected_newton import ProjectedNewton
from .quasi_newton import BFGS, SSBFGS, AbstractQuasiNewton, QuasiNewtonState, SSBroyden
from .root import root
from .rows import Rows, total_loss
from .rules import AbstractBlockRule, AbstractRule, times_of
from .sample_space import SampleSpace
from .soap import soap
from .solved import OnFailure, Solved, SolveStatus
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
