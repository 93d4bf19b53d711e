"""Physics-informed networks: residuals and energies, the points they are taken at, and causal weights."""

from .box import Box
from .causal import CausalWeights
from .collocation import Residual, collocation
from .energy import Energy
from .lagrangian import AlongLabels, Lagrangian, LagrangianResidual, along_labels
from .sampling import AbstractSampler, Resample, ResidualAdaptive, RetainResample, Sobol, Uniform
from .sobol import sobol
from .weak import Patches, WeakResidual, weak

__all__ = [
    "AbstractSampler",
    "AlongLabels",
    "Box",
    "CausalWeights",
    "Energy",
    "Lagrangian",
    "LagrangianResidual",
    "Patches",
    "Resample",
    "Residual",
    "ResidualAdaptive",
    "RetainResample",
    "Sobol",
    "Uniform",
    "WeakResidual",
    "along_labels",
    "collocation",
    "sobol",
    "weak",
]
