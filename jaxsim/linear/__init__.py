"""Linear operators."""

from .bases import AxisBasis, DenseBasis, Nodes, Side, TracedBasis, TransformBasis, axis_basis
from .cg import CG, fixed_steps_cg
from .coloring import StencilPattern
from .diffusion import VariableDiffusion, arithmetic_mean, harmonic_mean
from .fast_poisson import FastPoisson, fast_poisson
from .fgmres import FGMRES
from .helmholtz import Bands, separable_solve
from .minres import MINRES
from .modal import Blocks, Diagonal, ModalOperator
from .multigrid import Multigrid
from .preconditioned import Preconditioned
from .stencil import StencilOperator, compress, find_stencil
from .stencil_lu import StencilLU
from .symmetric import SymmetricOperator
from .transforms import dct, dst, idct, idst, inverse_real_dft, real_dft, real_dft_wave_numbers

__all__ = [
    "CG",
    "FGMRES",
    "MINRES",
    "AxisBasis",
    "Bands",
    "Blocks",
    "DenseBasis",
    "Diagonal",
    "FastPoisson",
    "ModalOperator",
    "Multigrid",
    "Nodes",
    "Preconditioned",
    "Side",
    "StencilLU",
    "StencilOperator",
    "StencilPattern",
    "SymmetricOperator",
    "TracedBasis",
    "TransformBasis",
    "VariableDiffusion",
    "arithmetic_mean",
    "axis_basis",
    "compress",
    "dct",
    "dst",
    "fast_poisson",
    "find_stencil",
    "fixed_steps_cg",
    "harmonic_mean",
    "idct",
    "idst",
    "inverse_real_dft",
    "real_dft",
    "real_dft_wave_numbers",
    "separable_solve",
]
