"""Linear operators."""

from .modal import Blocks, Diagonal, ModalOperator

__all__ = ["Blocks", "Diagonal", "ModalOperator"]
