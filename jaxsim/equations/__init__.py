"""The catalog of equations, with initial conditions and forcing."""

from ._base import Equation, is_field, like_state, residual
from .burgers import Burgers
from .dispersive import ComplexGinzburgLandau, KortewegDeVries, NonlinearSchrodinger
from .kuramoto_sivashinsky import KuramotoSivashinsky, KuramotoSivashinskyIntegral
from .navier_stokes import NavierStokesVelocity, NavierStokesVorticity, velocity, vorticity
from .reaction_diffusion import AllenCahn, Brusselator, FisherKPP, FitzHughNagumo, GrayScott

__all__ = [
    "AllenCahn",
    "Brusselator",
    "Burgers",
    "ComplexGinzburgLandau",
    "Equation",
    "FisherKPP",
    "FitzHughNagumo",
    "GrayScott",
    "KortewegDeVries",
    "KuramotoSivashinsky",
    "KuramotoSivashinskyIntegral",
    "NavierStokesVelocity",
    "NavierStokesVorticity",
    "NonlinearSchrodinger",
    "is_field",
    "like_state",
    "residual",
    "velocity",
    "vorticity",
]
