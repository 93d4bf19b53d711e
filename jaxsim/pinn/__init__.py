"""Physics-informed networks: residuals at points, causal weights, and conditions that hold by construction."""

from .causal import CausalWeights
from .collocation import Residual, collocation
from .exact import Embedded, FromInitial

__all__ = ["CausalWeights", "Embedded", "FromInitial", "Residual", "collocation"]
