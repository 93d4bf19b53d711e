"""Physics-informed networks: residuals and energies, the points they are taken at, and causal weights."""

from .box import Box
from .causal import Causality, CausalWeights, satisfied
from .collocation import Residual, collocation
from .energy import Energy
from .horizon import Horizon
from .lagrangian import AlongLabels, Lagrangian, LagrangianResidual, along_labels
from .linear_start import linear_start
from .pseudo_time import PseudoTimeResidual, PseudoTimeStep, pseudo_time
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
    "Horizon",
    "Lagrangian",
    "LagrangianResidual",
    "Patches",
    "PseudoTimeResidual",
    "PseudoTimeStep",
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
    "pseudo_time",
    "satisfied",
    "sobol",
    "trigonometric",
    "weak",
]
