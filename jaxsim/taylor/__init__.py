"""Derivatives of any order as truncated Taylor series that pass through a function once."""

from .indices import Index, closure, factorial, ordered, plus, unit
from .interpreter import propagate, taylor
from .series import Series

__all__ = ["Index", "Series", "closure", "factorial", "ordered", "plus", "propagate", "taylor", "unit"]
