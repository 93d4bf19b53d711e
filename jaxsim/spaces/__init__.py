"""What fields are made of: one file per space."""

from ._base import Modes, Space
from .fourier import Fourier

__all__ = ["Fourier", "Modes", "Space"]
