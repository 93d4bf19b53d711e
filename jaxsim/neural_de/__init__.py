"""Neural differential equations: models, and penalties on what a solve costs."""

from .effort import Effort, effort
from .heuristics import MonitoredSolver, StepHeuristics
from .integrator import Integrator
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
    "Effort",
    "GlobalError",
    "GlobalStiffness",
    "Integrator",
    "LocalError",
    "MonitoredSolver",
    "StepCount",
    "StepHeuristics",
    "effort",
    "regularized_solve",
]
