"""Hard constraints: fields that obey by construction, and layers that solve for it."""

from .affine import AffineProjection
from .bases import Chebyshev, FourierSeries, TensorProduct
from .boundary import OnBoundary
from .box import OnBox, VanishingOnBox
from .box_affine import BoxAffineProjection
from .consistency import check_consistent
from .coupling import Interface
from .distances import Both, Either, Inside, Joined, Outside, Plane, Segment, Smooth, to_boundary
from .doubly_stochastic import DoublyStochastic
from .experts import Experts
from .gaussian import Conditioned, GaussianConditioning
from .initial import FromInitial, Lift, Saturating
from .integral import IntegralProjection
from .keeping import Keeping, ProjectedSteps
from .layer import ConstraintLayer
from .leray import LerayProjection
from .marching import Marching
from .nonlinear import NonlinearProjection
from .on_grid import OnGrid
from .partition import Partition, Region
from .periodic import Embedded
from .piecewise import PerExpert, Piecewise
from .potentials import Conserved, Gradient, MeanFree, Solenoidal
from .projected import Projected
from .quadrature import Quadrature
from .range import Bounded, Positive
from .satisfy import satisfy
from .schwarz import Schwarz
from .sinkhorn import AbstractScaling, Potentials, Sinkhorn, SinkhornNewton

__all__ = [
    "AbstractScaling",
    "AffineProjection",
    "Both",
    "Bounded",
    "BoxAffineProjection",
    "Chebyshev",
    "Conditioned",
    "Conserved",
    "ConstraintLayer",
    "DoublyStochastic",
    "Either",
    "Embedded",
    "Experts",
    "FourierSeries",
    "FromInitial",
    "GaussianConditioning",
    "Gradient",
    "Inside",
    "IntegralProjection",
    "Interface",
    "Joined",
    "Keeping",
    "LerayProjection",
    "Lift",
    "Marching",
    "MeanFree",
    "NonlinearProjection",
    "OnBoundary",
    "OnBox",
    "OnGrid",
    "Outside",
    "Partition",
    "PerExpert",
    "Piecewise",
    "Plane",
    "Positive",
    "Potentials",
    "Projected",
    "ProjectedSteps",
    "Quadrature",
    "Region",
    "Saturating",
    "Schwarz",
    "Segment",
    "Sinkhorn",
    "SinkhornNewton",
    "Smooth",
    "Solenoidal",
    "TensorProduct",
    "VanishingOnBox",
    "check_consistent",
    "satisfy",
    "to_boundary",
]
