"""Networks used as fields: maps of arrays of numbers, made of plain operations that derivatives pass through."""

from ._base import AbstractNet, initialized
from .chain import Chain
from .choice import weighted_choice
from .dense import AbstractDense, Dense, FactorizedDense
from .fno import FNO, SpectralConvolution
from .fourier_features import FourierFeatures
from .gaussians import GaussianFeatures, Gaussians, centers_by_weight
from .mlp import MLP
from .modified_mlp import ModifiedMLP
from .pirate import PirateBlock, PirateNet
from .separable import Separable
from .siren import SIREN

__all__ = [
    "FNO",
    "MLP",
    "SIREN",
    "AbstractDense",
    "AbstractNet",
    "Chain",
    "Dense",
    "FactorizedDense",
    "FourierFeatures",
    "GaussianFeatures",
    "Gaussians",
    "ModifiedMLP",
    "PirateBlock",
    "PirateNet",
    "Separable",
    "SpectralConvolution",
    "centers_by_weight",
    "initialized",
    "weighted_choice",
]
