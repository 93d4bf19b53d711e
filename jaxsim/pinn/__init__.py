"""Physics-informed networks: residuals and energies, the points they are taken at, and causal weights."""

from .box import Box
from .causal import Causality, CausalWeights, satisfied
from .collocation import Residual, collocation
from .energy import Energy
from .lagrangian import AlongLabels, Lagrangian, LagrangianResidual, along_labels
from .linear_start import linear_start
from .sampling import AbstractSampler, Resample, ResidualAdaptive, RetainResample, Sobol, Uniform
from .sobol import sobol
from .tensor_grid import GridRows, UniformAxes, grid_collocation
from .weak import Patches, WeakResidual, weak
from .windows import AtTime, Delayed, Trigonometric, Windows, march, trigonometric

__all__ = [
    "AbstractSampler",
    "AlongLabels",
    "AtTime",
    "Box",
    "CausalWeights",
    "Causality",
    "Delayed",
    "Energy",
    "GridRows",
    "Lagrangian",
    "LagrangianResidual",
    "Patches",
    "Resample",
    "Residual",
    "ResidualAdaptive",
    "RetainResample",
    "Sobol",
    "Trigonometric",
    "Uniform",
    "UniformAxes",
    "WeakResidual",
    "Windows",
    "along_labels",
    "collocation",
    "grid_collocation",
    "linear_start",
    "march",
    "satisfied",
    "sobol",
    "trigonometric",
    "weak",
]
