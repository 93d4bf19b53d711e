"""Finite-difference weights, computed once on the host in rational arithmetic and rounded at the end.

Lengths are in units of the (mean) cell width, and near a wall they are distances from it: nodes lie inside at
positive ones (1/2, 3/2, ... between equal cells), ghost nodes outside at negative ones.
"""

import functools
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np


def weights(nodes, point, derivative: int) -> list[Fraction]:
    """Weights of nodal values in the derivative at a point of the polynomial through all of them.

    Fornberg, Generation of finite difference formulas on arbitrarily spaced grids, Math. Comp. 51 (1988),
    section 2.
    """
    nodes, point = [Fraction(x) for x in nodes], Fraction(point)
    table = [[Fraction(0)] * (derivative + 1) for _ in nodes]
    table[0][0] = Fraction(1)
    scale = Fraction(1)
    for i in range(1, len(nodes)):
        product = Fraction(1)
        for j in range(i):
            gap = nodes[i] - nodes[j]
            product *= gap
            if j == i - 1:
                for k in range(min(i, derivative), -1, -1):
                    lower = k * table[i - 1][k - 1] if k else 0
                    table[i][k] = scale * (lower - (nodes[i - 1] - point) * table[i - 1][k]) / product
            for k in range(min(i, derivative), -1, -1):
                lower = k * table[j][k - 1] if k else 0
                table[j][k] = ((nodes[i] - point) * table[j][k] - lower) / gap
        scale = product
    return [row[derivative] for row in table]


def half_width(derivative: int, order: int) -> int:
    """Nodes on either side of the middle one of a central stencil."""
    return (derivative + 1) // 2 + order // 2 - 1


@functools.cache
def central(derivative: int, order: int) -> tuple[float, ...]:
    """Weights $c_1, ..., c_m$ of the nodes on the right of a central stencil.

    Those on the left are $-c_j$ for odd derivatives and $c_j$ for even ones, whose middle weight is $-2
    \\sum_j c_j$.
    """
    width = half_width(derivative, order)
    every = weights(range(-width, width + 1), 0, derivative)
    return tuple(float(c) for c in every[width + 1 :])


def symbol(derivative: int, order: int, nodes: int, spacing: float) -> np.ndarray:
    """Eigenvalues of the central stencil on `nodes` periodic nodes, in the order of the discrete Fourier
    transform.

    Real for even derivatives, imaginary for odd ones; exactly zero where the stencil annihilates a mode.
    """
    total = np.zeros(nodes)
    for j, c in enumerate(central(derivative, order), start=1):
        turns = (j * np.arange(nodes)) % nodes
        turns = np.where(2 * turns > nodes, turns - nodes, turns)
        if derivative % 2:
            total += 2 * c * np.where(2 * turns == nodes, 0.0, np.sin(2 * np.pi * turns / nodes))
        else:
            total -= 4 * c * np.sin(np.pi * turns / nodes) ** 2
    total /= spacing**derivative
    return 1j * total if derivative % 2 else total


class Closure(NamedTuple):
    """Ghost values of the polynomial through nodes near a wall and, optionally, a condition $a p + b\\,p_n =
    g$ at it.

    With $L$ the interpolant of the nodes and $\\omega$ the polynomial that vanishes at them the polynomial is
    $L + c\\,\\omega$, and the condition gives $c$.
    """

    nodes: np.ndarray  # (ghosts, nodes): L at the ghosts
    bubble: np.ndarray  # (ghosts,): omega at the ghosts
    face: np.ndarray  # (nodes,): L at the face
    slope: np.ndarray  # (nodes,): outward derivative of L at the face
    bubble_face: float
    bubble_slope: float

    def matrices(self, a, b):
        """Ghosts as a matrix times nodes plus a vector times $g$; `b` is per spacing."""
        weight = self.bubble / (a * self.bubble_face + b * self.bubble_slope)
        return self.nodes - weight[:, None] * (a * self.face + b * self.slope), weight


@functools.cache
def closure(inside: tuple, outside: tuple) -> Closure:
    """The closure of ghost nodes at distances `outside` by nodes at distances `inside`."""
    inside = tuple(Fraction(x) for x in inside)
    bubble = lambda x: math.prod((x - y for y in inside), start=Fraction(1))
    slope = sum(math.prod((-y for j, y in enumerate(inside) if j != i), start=Fraction(1)) for i in range(len(inside)))
    array = lambda rows: np.array([[float(w) for w in row] for row in rows])
    return Closure(
        nodes=array(weights(inside, x, 0) for x in outside),
        bubble=np.array([float(bubble(Fraction(x))) for x in outside]),
        face=array([weights(inside, 0, 0)])[0],
        slope=-array([weights(inside, 0, 1) if len(inside) > 1 else [0]])[0],
        bubble_face=float(bubble(Fraction(0))),
        bubble_slope=-float(slope),
    )


