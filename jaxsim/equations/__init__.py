"""The catalog of equations, with initial conditions and forcing."""

from ._base import Equation, is_field, like_state, residual

__all__ = ["Equation", "is_field", "like_state", "residual"]
