"""The catalog of equations, with initial conditions and forcing."""

from . import initial
from ._base import (
    Equation,
    constrained_state,
    is_field,
    like_state,
    linear_part,
    nonlinear_part,
    residual,
    speeds_of_signals,
    tangent_part,
)
from .absorbing import AbsorbingLayer
from .boussinesq import Boussinesq
from .burgers import Burgers
from .chaotic import (
    ChaoticSystem,
    Chen,
    Chua,
    ForcedDuffing,
    Halvorsen,
    HenonHeiles,
    HyperchaoticRossler,
    Lorenz63,
    Lorenz84,
    Lorenz96,
    NoseHoover,
    Rossler,
    Thomas,
)
from .diffusion_sorption import DiffusionSorption
from .dispersive import ComplexGinzburgLandau, KortewegDeVries, NonlinearSchrodinger
from .divergence_form import DivergenceForm
from .forcing import Force, band_limited, kolmogorov, uniform_force
from .gas_chromatograph import GasChromatograph, InletPulse
from .kuramoto_sivashinsky import KuramotoSivashinsky, KuramotoSivashinskyIntegral
from .linear import Advection, AdvectionDiffusion, Diffusion, Dispersion, Hyperdiffusion
from .mhd import Magnetohydrodynamics
from .navier_stokes import NavierStokesPressure, NavierStokesVelocity, NavierStokesVorticity, velocity, vorticity
from .obstacle import Obstacle
from .phase import CahnHilliard, SwiftHohenberg
from .population import LotkaVolterra
from .reaction_diffusion import AllenCahn, Brusselator, FisherKPP, FitzHughNagumo, GrayScott
from .reversible_reaction import ReversibleReaction
from .scalar import PassiveScalar
from .shallow_water import ShallowWater
from .stationary import Helmholtz, Poisson
from .thermal_convection import ThermalConvection
from .wave import KleinGordon, Wave

__all__ = [
    "AbsorbingLayer",
    "Advection",
    "AdvectionDiffusion",
    "AllenCahn",
    "Boussinesq",
    "Brusselator",
    "Burgers",
    "CahnHilliard",
    "ChaoticSystem",
    "Chen",
    "Chua",
    "ComplexGinzburgLandau",
    "Diffusion",
    "DiffusionSorption",
    "Dispersion",
    "DivergenceForm",
    "Equation",
    "FisherKPP",
    "FitzHughNagumo",
    "Force",
    "ForcedDuffing",
    "GasChromatograph",
    "GrayScott",
    "Halvorsen",
    "Helmholtz",
    "HenonHeiles",
    "InletPulse",
    "Hyperdiffusion",
    "HyperchaoticRossler",
    "KleinGordon",
    "KortewegDeVries",
    "KuramotoSivashinsky",
    "KuramotoSivashinskyIntegral",
    "Lorenz63",
    "Lorenz84",
    "Lorenz96",
    "LotkaVolterra",
    "Magnetohydrodynamics",
    "NavierStokesPressure",
    "NavierStokesVelocity",
    "NavierStokesVorticity",
    "NonlinearSchrodinger",
    "NoseHoover",
    "Obstacle",
    "PassiveScalar",
    "Poisson",
    "ReversibleReaction",
    "Rossler",
    "ShallowWater",
    "SwiftHohenberg",
    "ThermalConvection",
    "Thomas",
    "Wave",
    "band_limited",
    "constrained_state",
    "initial",
    "is_field",
    "kolmogorov",
    "like_state",
    "linear_part",
    "nonlinear_part",
    "residual",
    "speeds_of_signals",
    "tangent_part",
    "uniform_force",
    "velocity",
    "vorticity",
]
