"""Linear operators."""

from .bases import AxisBasis, DenseBasis, Nodes, Side, TracedBasis, TransformBasis, axis_basis
from .helmholtz import Bands, separable_solve
from .modal import Blocks, Diagonal, ModalOperator
from .transforms import dct, dst, idct, idst, inverse_real_dft, real_dft, real_dft_wave_numbers

__all__ = [
    "AxisBasis",
    "Bands",
    "Blocks",
    "DenseBasis",
    "Diagonal",
    "ModalOperator",
    "Nodes",
    "Side",
    "TracedBasis",
    "TransformBasis",
    "axis_basis",
    "dct",
    "dst",
    "idct",
    "idst",
    "inverse_real_dft",
    "real_dft",
    "real_dft_wave_numbers",
    "separable_solve",
]
