"""Maps to the nearest state that obeys."""

from .affine import AffineProjection
from .box_affine import BoxAffineProjection
from .doubly_stochastic import DoublyStochastic
from .gaussian import Conditioned, GaussianConditioning
from .integral import IntegralProjection
from .keeping import Keeping, ProjectedSteps
from .leray import LerayProjection
from .nonlinear import NonlinearProjection
from .projected import Projected
from .quadrature import Quadrature
from .sinkhorn import AbstractScaling, Potentials, Sinkhorn, SinkhornNewton

__all__ = [
    "AbstractScaling",
    "AffineProjection",
    "BoxAffineProjection",
    "Conditioned",
    "DoublyStochastic",
    "GaussianConditioning",
    "IntegralProjection",
    "Keeping",
    "LerayProjection",
    "NonlinearProjection",
    "Potentials",
    "Projected",
    "ProjectedSteps",
    "Quadrature",
    "Sinkhorn",
    "SinkhornNewton",
]
