"""Neural differential equations: models, and penalties on what a solve costs."""

from .augmented import Augmented
from .baselines import KineticEnergy, RandomEnd
from .effort import Effort, effort
from .flow import (
    AbstractTrace,
    ConcatSquash,
    ConcatSquashMLP,
    ContinuousNormalizingFlow,
    ExactTrace,
    HutchinsonTrace,
)
from .heuristics import MonitoredSolver, StepHeuristics
from .hybrid import Hybrid, Pointwise
from .integrator import Integrator
from .latent_ode import GRUEncoder, LatentODE
from .neural_cde import MatrixMLP, NeuralCDE, hermite_path, linear_path, rectilinear_path
from .neural_ode import NeuralODE, TimeMLP
from .neural_sde import NeuralSDE, stochastic_integrator
from .regularizers import (
    AbstractGlobalRegularizer,
    AbstractLocalRegularizer,
    AbstractRegularizer,
    GlobalError,
    GlobalStiffness,
    LocalError,
    LocalStiffness,
    StepCount,
)
from .solve import regularized_solve
from .stable_sde import GeometricSDE, LangevinSDE, LinearNoiseSDE

__all__ = [
    "AbstractGlobalRegularizer",
    "AbstractLocalRegularizer",
    "AbstractRegularizer",
    "AbstractTrace",
    "Augmented",
    "ConcatSquash",
    "ConcatSquashMLP",
    "ContinuousNormalizingFlow",
    "Effort",
    "ExactTrace",
    "GRUEncoder",
    "GeometricSDE",
    "GlobalError",
    "GlobalStiffness",
    "HutchinsonTrace",
    "Hybrid",
    "Integrator",
    "KineticEnergy",
    "LangevinSDE",
    "LatentODE",
    "LinearNoiseSDE",
    "LocalError",
    "LocalStiffness",
    "MatrixMLP",
    "MonitoredSolver",
    "NeuralCDE",
    "NeuralODE",
    "NeuralSDE",
    "Pointwise",
    "RandomEnd",
    "StepCount",
    "StepHeuristics",
    "TimeMLP",
    "effort",
    "hermite_path",
    "linear_path",
    "rectilinear_path",
    "regularized_solve",
    "stochastic_integrator",
]
