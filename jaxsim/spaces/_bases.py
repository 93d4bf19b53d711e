"""The eigenvectors of the second derivative along one axis, under the conditions of its two ends."""

import functools

import jax.numpy as jnp
import numpy as np

from ..linear.bases import AxisBasis, DenseBasis, Nodes, Side
from ..linear.bases import axis_basis as uniform_basis
from . import _stencils, _walls
from ._axis import HALF, Axis
from .boundary import Clamped, Dirichlet, Neumann, Sides, WallFlux, is_concrete

_KINDS = {Dirichlet: Side.DIRICHLET, Neumann: Side.NEUMANN}


def axis_basis(axis: Axis, sides: Sides, order: int) -> AxisBasis | None | bool:
    """The basis of an axis between walls; `None` for a periodic axis, `False` where there is none that is real.

    Sines and cosines for equal cells, order 2 and no Robin condition, dense eigenvectors otherwise.
    """
    if axis.periodic:
        return None
    kinds = tuple(type(c) for c in sides)
    if Clamped in kinds or WallFlux in kinds or any(map(_walls.varies, sides)):
        return False
    if order == 2 and axis.positions is None and all(kind in _KINDS for kind in kinds):
        nodes = Nodes.CENTERS if axis.gaps == (HALF, HALF) else Nodes.FACES
        return uniform_basis(axis.count, axis.spacing, *(_KINDS[kind] for kind in kinds), nodes)
    coefficients = tuple(number for c in sides for number in c.coefficients())
    if is_concrete(*coefficients):
        return _known_basis(axis, kinds, tuple(float(c) for c in coefficients), order)
    if order > 2:  # no symmetric matrix, whose eigenvectors can be differentiated; `False` would be another solver
        raise ValueError(
            f"Robin: with traced `a` and `b` a space of order {order} has no diagonal form. Give a solver that needs "
            "none (solver=diffrax.Tsit5(), or one of jaxsim.linear), take numbers, or order 2."
        )
    return DenseBasis.from_matrix(second_derivative(axis, kinds, coefficients, order))


@functools.cache
def _known_basis(axis: Axis, kinds: tuple, coefficients: tuple, order: int) -> AxisBasis | bool:
    try:
        return DenseBasis.from_matrix(second_derivative(axis, kinds, coefficients, order))
    except ValueError:  # complex or nearly dependent eigenvectors
        return False


def second_derivative(axis: Axis, kinds: tuple, coefficients: tuple, order: int):
    """The matrix of the second derivative with zero boundary data; NumPy unless a coefficient is traced.

    `kinds` are the classes of the conditions at both ends, `coefficients` their numbers $a, b, a, b$.
    """
    width, n = _stencils.half_width(2, order), axis.count
    xp = np if is_concrete(*coefficients) else jnp
    ghosts = []
    for end in (0, 1):
        condition = kinds[end]() if kinds[end] in _KINDS else None
        a, b = coefficients[2 * end : 2 * end + 2]
        kept = _walls.closing_nodes(condition or True, order, axis.gaps[end] == 0)
        closure = _stencils.closure(axis.inside(end, kept), axis.outside(end, width))
        matrix = closure.matrices(a, b / axis.spacing)[0]
        padding = ((0, 0), (0, n - kept)) if end == 0 else ((0, 0), (n - kept, 0))
        ghosts.append(xp.pad(matrix[::-1] if end == 0 else matrix[:, ::-1], padding))
    padded = xp.concatenate([ghosts[0], xp.eye(n), ghosts[1]])
    if axis.positions is None:
        half = np.array(_stencils.central(2, order))
        weights = np.tile(np.concatenate([half[::-1], [-2 * half.sum()], half]), (n, 1))
    else:
        weights = axis.weights(2, order)
    rows = sum(weights[:, j, None] * padded[j : j + n] for j in range(2 * width + 1))
    return rows / axis.spacing**2
