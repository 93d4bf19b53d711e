"""What fields are made of: one file per space."""

from ._base import Modes, Space
from .fourier import Fourier
from .function import Callables, Function

__all__ = ["Callables", "Fourier", "Function", "Modes", "Space"]
