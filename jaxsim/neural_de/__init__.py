"""Neural differential equations: models, and penalties on what a solve costs."""

from .augmented import Augmented
from .effort import Effort, effort
from .flow import ConcatSquash, ConcatSquashMLP, ContinuousNormalizingFlow, ExactTrace, HutchinsonTrace
from .heuristics import MonitoredSolver, StepHeuristics
from .hybrid import Hybrid, Pointwise
from .integrator import Integrator
from .latent_ode import GRUEncoder, LatentODE
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
    "Hybrid",
    "Integrator",
    "LatentODE",
    "LocalError",
    "MonitoredSolver",
    "NeuralODE",
    "Pointwise",
    "StepCount",
    "StepHeuristics",
    "TimeMLP",
    "effort",
    "regularized_solve",
]
