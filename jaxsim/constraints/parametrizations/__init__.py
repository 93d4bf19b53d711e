"""Conditions that hold by construction, around any callable of `(t, x, ...)`."""

from .boundary import OnBoundary
from .box import OnBox, VanishingOnBox
from .consistency import check_consistent
from .distances import Both, Either, Inside, Joined, Outside, Plane, Segment, Smooth, to_boundary
from .initial import FromInitial, Lift, Saturating
from .periodic import Embedded
from .potentials import Conserved, Gradient, MeanFree, Solenoidal
from .range import Bounded, Positive

__all__ = [
    "Both",
    "Bounded",
    "Conserved",
    "Either",
    "Embedded",
    "FromInitial",
    "Gradient",
    "Inside",
    "Joined",
    "Lift",
    "MeanFree",
    "OnBoundary",
    "OnBox",
    "Outside",
    "Plane",
    "Positive",
    "Saturating",
    "Segment",
    "Smooth",
    "Solenoidal",
    "VanishingOnBox",
    "check_consistent",
    "to_boundary",
]
