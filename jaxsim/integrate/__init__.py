"""Time integration: diffrax solvers that use an equation's split, fixed-step rollouts and adaptive solves."""

from .brownian import brownian_path, drive, solve_sde, stochastic_steps
from .checkpoint import checkpointed_scan
from .constrained import Constrained
from .courant import Courant, TransportRate
from .ensemble import ensemble
from .equal_steps import EqualSteps
from .explicit import ExplicitSteps
from .exponential import (
    ETDRK1,
    ETDRK2,
    ETDRK3,
    ETDRK4,
    AbstractExponentialRungeKutta,
    HochbruckOstermann4,
    Krogstad4,
    Phi,
    Tableau,
    Weights,
)
from .imex import IMEXRK2, IMEXRK3, IMEXRK4, IMEXRK5, AbstractIMEXRungeKutta
from .jacobians import ModalPreconditioner, colored_jacobian, modal_preconditioner, stencil_pattern
from .lyapunov import LyapunovSpectrum, kaplan_yorke_dimension, lyapunov_spectrum
from .multistep import (
    ETDAB2,
    ETDAB3,
    ETDAB4,
    SBDF2,
    SBDF3,
    AbstractExponentialAdams,
    AbstractMultistep,
    AbstractSBDF,
)
from .origin import since
from .phi import matrix_phis, phis
from .prediction import PredictionTime, normalized_error, smape, valid_prediction_time
from .preparation import Diverged
from .rollout import March, march, rollout
from .semilinear import AbstractOneStepSolver, AbstractSemilinearSolver
from .solve import solve
from .stochastic import SDE, AbstractInterpretation, Diagonal, Ito, Stratonovich
from .term import SemilinearTerm, unwrapped
from .tolerance import Tolerance
from .white_noise import AbstractWhiteNoise, BandNoise, WhiteNoise

__all__ = [
    "ETDAB2",
    "ETDAB3",
    "ETDAB4",
    "ETDRK1",
    "ETDRK2",
    "ETDRK3",
    "ETDRK4",
    "IMEXRK2",
    "IMEXRK3",
    "IMEXRK4",
    "IMEXRK5",
    "SBDF2",
    "SBDF3",
    "SDE",
    "AbstractExponentialAdams",
    "AbstractExponentialRungeKutta",
    "AbstractIMEXRungeKutta",
    "AbstractInterpretation",
    "AbstractMultistep",
    "AbstractSBDF",
    "AbstractOneStepSolver",
    "AbstractSemilinearSolver",
    "AbstractWhiteNoise",
    "BandNoise",
    "Constrained",
    "Courant",
    "Diagonal",
    "Diverged",
    "EqualSteps",
    "ExplicitSteps",
    "HochbruckOstermann4",
    "Ito",
    "Krogstad4",
    "LyapunovSpectrum",
    "March",
    "ModalPreconditioner",
    "Phi",
    "PredictionTime",
    "SemilinearTerm",
    "Stratonovich",
    "Tableau",
    "Tolerance",
    "TransportRate",
    "Weights",
    "WhiteNoise",
    "brownian_path",
    "checkpointed_scan",
    "colored_jacobian",
    "drive",
    "ensemble",
    "kaplan_yorke_dimension",
    "lyapunov_spectrum",
    "march",
    "matrix_phis",
    "modal_preconditioner",
    "normalized_error",
    "phis",
    "rollout",
    "since",
    "smape",
    "solve",
    "solve_sde",
    "stencil_pattern",
    "stochastic_steps",
    "unwrapped",
    "valid_prediction_time",
]
