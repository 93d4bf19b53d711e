"""The catalog of equations, with initial conditions and forcing."""

from ._base import Equation, residual

__all__ = ["Equation", "residual"]
