"""Physics-informed networks: residuals at points, where the points are, and causal weights."""

from .box import Box
from .causal import CausalWeights
from .collocation import Residual, collocation
from .sampling import AbstractSampler, Resample, ResidualAdaptive, RetainResample, Sobol, Uniform
from .sobol import sobol

__all__ = [
    "AbstractSampler",
    "Box",
    "CausalWeights",
    "Resample",
    "Residual",
    "ResidualAdaptive",
    "RetainResample",
    "Sobol",
    "Uniform",
    "collocation",
    "sobol",
]
