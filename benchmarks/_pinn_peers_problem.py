"""What the comparison of physics-informed networks beside peers shares: problems, and a clock of processor time."""

import dataclasses
import time
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

import jaxsim as js

from ._pinn_references import Reference, periodic


@dataclasses.dataclass(frozen=True)
class Problem:
    """An evolution equation on [-1, 1], to t = 1, periodic.

    - `kind`: `"burgers"`, whose solution is odd and so vanishes at the ends, or `"allen-cahn"`.
    - `diffusivity`: the factor of the second derivative.
    - `nodes` and `dt`: of the reference.
    """

    title: str
    kind: str
    diffusivity: float
    nodes: int
    dt: float

    @property
    def equation(self) -> js.Equation:
        if self.kind == "burgers":
            return js.equations.Burgers(self.diffusivity)
        return js.equations.AllenCahn(self.diffusivity, 5.0)

    def initial(self, x, numpy=jnp):
        """The start, in JAX, NumPy or torch."""
        return -numpy.sin(np.pi * x) if self.kind == "burgers" else x**2 * numpy.cos(np.pi * x)

    def reference(self) -> Reference:
        return periodic(self.equation, self.initial, (-1.0, 1.0), self.nodes, self.dt, np.linspace(0, 1, 11))


PROBLEMS = {
    "burgers": Problem("Burgers, viscosity 0.01", "burgers", 0.01, 1024, 2.5e-4),
    "burgers sharp": Problem("Burgers, viscosity 0.01/pi", "burgers", 0.01 / np.pi, 4096, 1e-4),
    "allen-cahn": Problem("Allen-Cahn, diffusivity 1e-4", "allen-cahn", 1e-4, 8192, 1.25e-4),
}


class Clock:
    """Processor time since now, without that of `values`, which keeps what a program predicts at given times.

    - `budgets`: processor seconds, ascending; the last ends the training.
    """

    def __init__(self, *budgets: float):
        self.budgets = budgets
        self.found: list[np.ndarray] = []
        self.begun, self.start = time.perf_counter(), time.process_time()
        self.away = 0.0

    @property
    def spent(self) -> float:
        return time.process_time() - self.start - self.away

    @property
    def wall(self) -> float:
        return time.perf_counter() - self.begun

    def over(self, values: Callable[[], np.ndarray]) -> bool:
        """Whether the time is up; values are kept where a budget has been used up."""
        while len(self.found) < len(self.budgets) and self.spent >= self.budgets[len(self.found)]:
            self.keep(values)
        return len(self.found) == len(self.budgets)

    def keep(self, values: Callable[[], np.ndarray]):
        before = time.process_time()
        self.found.append(values())
        self.away += time.process_time() - before

    def finish(self, values: Callable[[], np.ndarray]) -> list[np.ndarray]:
        """Values for all budgets, where training may have come to an end before."""
        while len(self.found) < len(self.budgets):
            self.keep(values)
        return self.found
