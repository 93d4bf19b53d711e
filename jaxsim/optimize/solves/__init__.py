"""Differentiable solves: least squares, roots, fixed points and nearest points."""

from .adjoint import AbstractAdjoint, Implicit, OneStep, Truncated, Unrolled
from .anderson import Anderson
from .direct import Direct
from .fixed_point import fixed_point
from .gauss_newton import GaussNewton
from .least_squares import least_squares
from .linear_choice import LU, AbstractLinearChoice, Krylov
from .nearest import nearest
from .newton import Newton
from .picard import Picard
from .projected_newton import ProjectedNewton
from .root import root
from .solved import OnFailure, Solved, SolveStatus

__all__ = [
    "AbstractAdjoint",
    "AbstractLinearChoice",
    "Anderson",
    "Direct",
    "GaussNewton",
    "Implicit",
    "Krylov",
    "LU",
    "Newton",
    "OnFailure",
    "OneStep",
    "Picard",
    "ProjectedNewton",
    "SolveStatus",
    "Solved",
    "Truncated",
    "Unrolled",
    "fixed_point",
    "least_squares",
    "nearest",
    "root",
]
