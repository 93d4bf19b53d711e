"""Neural differential equations: penalties on what a solve costs."""

from .heuristics import MonitoredSolver, StepHeuristics
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
    "GlobalError",
    "GlobalStiffness",
    "LocalError",
    "MonitoredSolver",
    "StepCount",
    "StepHeuristics",
    "regularized_solve",
]
