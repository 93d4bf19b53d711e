"""How the cells of an axis are spread: maps of [0, 1] onto itself."""

import abc
import dataclasses
import math

import numpy as np


class Stretching(abc.ABC):
    """A monotone map of [0, 1] onto itself that takes equidistant faces to those of an axis.

    Subclasses are frozen dataclasses of numbers, so that grids stay hashable; write `__call__` in NumPy.
    """

    @abc.abstractmethod
    def __call__(self, s: np.ndarray) -> np.ndarray:
        """Positions in [0, 1] of the points `s` in [0, 1]."""


@dataclasses.dataclass(frozen=True)
class TanhStretching(Stretching):
    """Small cells at both ends, $x = \\frac12 (1 + \\tanh(\\beta (2s - 1)) / \\tanh\\beta)$.

    **Arguments:**

    - `strength`: $\\beta > 0$; the cell in the middle is about $\\cosh^2\\beta$ times as wide as those at the
        ends: 1 gives a factor of 2.4, 2 a factor of 14.

    Reference: Vinokur, J. Comput. Phys. 50, 215 (1983), doi:10.1016/0021-9991(83)90065-7.
    """

    strength: float

    def __post_init__(self):
        _positive(self, self.strength)

    def __call__(self, s: np.ndarray) -> np.ndarray:
        return 0.5 * (1 + np.tanh(self.strength * (2 * s - 1)) / np.tanh(self.strength))


@dataclasses.dataclass(frozen=True)
class SinhStretching(Stretching):
    """Small cells around one point, $x = f\\,(1 + \\sinh(\\beta(s - s_0)) / \\sinh(\\beta s_0))$.

    **Arguments:**

    - `strength`: $\\beta > 0$; far from the focus cells grow about as $\\beta |x - f|$ times the number of cells.
    - `focus`: $f$ in [0, 1], where the cells are smallest, as a fraction of the length; 0 is the lower end.

    Reference: Tannehill, Anderson and Pletcher, Computational Fluid Mechanics and Heat Transfer (1997), section
    5.6.1, transformation 3.
    """

    strength: float
    focus: float = 0.0

    def __post_init__(self):
        _positive(self, self.strength)
        if not 0 <= self.focus <= 1:
            raise ValueError(f"SinhStretching: `focus` is a fraction of the length, in [0, 1]; got {self.focus}.")

    def __call__(self, s: np.ndarray) -> np.ndarray:
        b, f = self.strength, self.focus
        if f in (0.0, 1.0):
            return np.sinh(b * s) / np.sinh(b) if f == 0 else 1 - np.sinh(b * (1 - s)) / np.sinh(b)
        start = math.log((1 + (math.exp(b) - 1) * f) / (1 + (math.exp(-b) - 1) * f)) / (2 * b)
        return f * (1 + np.sinh(b * (s - start)) / np.sinh(b * start))


def _positive(stretching: Stretching, strength: float) -> None:
    if not (np.isfinite(strength) and strength > 0):
        raise ValueError(f"{type(stretching).__name__}: `strength` must be positive, got {strength}.")
