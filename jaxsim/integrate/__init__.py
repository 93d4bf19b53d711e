"""Time integration: diffrax solvers that use an equation's split, fixed-step rollouts and adaptive solves."""

from .checkpoint import checkpointed_scan
from .exponential import (
    ETDRK1,
    ETDRK2,
    ETDRK3,
    ETDRK4,
    AbstractExponentialRungeKutta,
    AbstractSemilinearSolver,
    HochbruckOstermann4,
    Krogstad4,
)
from .phi import matrix_phis, phis
from .rollout import Diverged, March, march, rollout
from .solve import solve
from .term import SemilinearTerm, unwrapped

__all__ = [
    "ETDRK1",
    "ETDRK2",
    "ETDRK3",
    "ETDRK4",
    "AbstractExponentialRungeKutta",
    "AbstractSemilinearSolver",
    "Diverged",
    "HochbruckOstermann4",
    "Krogstad4",
    "March",
    "SemilinearTerm",
    "checkpointed_scan",
    "march",
    "matrix_phis",
    "phis",
    "rollout",
    "solve",
    "unwrapped",
]
