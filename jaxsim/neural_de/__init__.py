"""Neural differential equations: models, and penalties on what a solve costs."""

from .augmented import Augmented
from .effort import Effort, effort
from .flow import ConcatSquash, ConcatSquashMLP, ContinuousNormalizingFlow, ExactTrace, HutchinsonTrace
from .heuristics import MonitoredSolver, StepHeuristics
from .integrator import Integrator
from .latent_ode import GRUEncoder, LatentODE
from .neural_cde import MatrixMLP, NeuralCDE, hermite_path, linear_path, rectilinear_path
from .neural_ode import NeuralODE, TimeMLP
from .regularizers import (
    AbstractGlobalRegularizer,
    AbstractRegularizer,
    GlobalError,
    GlobalStiffness,
    LocalError,
    StepCount,
)
from .solve import regularized_solve

__all__ = [
    "AbstractGlobalRegularizer",
    "AbstractRegularizer",
    "Augmented",
    "ConcatSquash",
    "ConcatSquashMLP",
    "ContinuousNormalizingFlow",
    "Effort",
    "ExactTrace",
    "GRUEncoder",
    "GlobalError",
    "GlobalStiffness",
    "HutchinsonTrace",
    "Integrator",
    "LatentODE",
    "LocalError",
    "MatrixMLP",
    "MonitoredSolver",
    "NeuralCDE",
    "NeuralODE",
    "StepCount",
    "StepHeuristics",
    "TimeMLP",
    "effort",
    "hermite_path",
    "linear_path",
    "rectilinear_path",
    "regularized_solve",
]
