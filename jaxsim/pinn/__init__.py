"""Physics-informed networks: residuals at points and causal weights."""

from .causal import CausalWeights
from .collocation import Residual, collocation

__all__ = ["CausalWeights", "Residual", "collocation"]
