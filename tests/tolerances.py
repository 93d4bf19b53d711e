"""Problems with and without forces, of first and second order, and the error of adaptive runs beside their tolerance.

`python tests/tolerances.py` prints the table of docs/time-integration.md.
"""

import functools
from typing import Any, NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import integrate

BOX = 2 * np.pi
RTOLS = (1e-4, 1e-6, 1e-8)
ADAPTIVE = (
    integrate.Krogstad4, integrate.ETDRK4, integrate.HochbruckOstermann4, integrate.ETDRK3, integrate.ETDRK2,
    integrate.ETDAB4, integrate.ETDAB3, integrate.ETDAB2,
    integrate.IMEXRK5, integrate.IMEXRK4, integrate.IMEXRK3, integrate.IMEXRK2, dfx.Tsit5,
)  # fmt: skip


class ForcedHeat(js.Equation):
    def linear(self, u):
        return js.laplacian(u)

    def nonlinear(self, t, u):
        return js.sample(lambda t, x: jnp.cos(3 * t) * jnp.sin(x), t, u)


class ForcedWave(js.Equation):
    def linear(self, state):
        u, v = state
        return v, js.laplacian(u)

    def nonlinear(self, t, state):
        u, v = state
        return 0 * u, js.sample(lambda t, x: jnp.cos(3 * t) * jnp.sin(x), t, v)


class ForcedOscillator(js.Equation):
    def nonlinear(self, t, state):
        x, v = state
        return v, js.sample(lambda t: 0.5 * jnp.cos(2 * t), t, x) - x


class Problem(NamedTuple):
    """An equation, its initial state and the length of a run."""

    equation: js.Equation
    start: Any
    duration: float


def _line(nodes=16, length=BOX, **options):
    return js.Fourier(js.Grid(nodes, 0.0, length), **options)


def _moving_wall() -> Problem:
    wall = js.Dirichlet(lambda t, x: jnp.sin(5 * t) + 0 * x)
    rod = js.FiniteDifference(js.Grid(24), ((wall, js.Neumann(0.0)),))
    return Problem(js.equations.Diffusion(0.5), rod.field(lambda x: 0 * x), 2.0)


def _kuramoto_sivashinsky() -> Problem:
    wave = lambda x: jnp.cos(BOX * x / 22) * (1 + jnp.sin(BOX * x / 22))
    return Problem(js.equations.KuramotoSivashinsky(), _line(32, 22.0).field(wave), 5.0)


def _navier_stokes() -> Problem:
    force = lambda t, x, y: (jnp.cos(3 * t) * jnp.sin(2 * y) + 0 * x, 0 * x)
    start = js.Fourier(js.Grid((16, 16), 0.0, BOX)).field(lambda x, y: jnp.cos(x) * jnp.sin(2 * y))
    return Problem(js.equations.NavierStokesVorticity(0.05, forcing=force), start, 2.0)


PROBLEMS = {
    "heat, forced": lambda: Problem(ForcedHeat(), _line().field(lambda x: 0 * x), 3.0),
    "moving wall": _moving_wall,
    "wave, forced": lambda: Problem(ForcedWave(), _line().field(lambda x: jnp.stack([jnp.cos(2 * x), 0 * x])), 3.0),
    "oscillator, forced": lambda: Problem(ForcedOscillator(), js.Point().field([1.0, 0.0]), 6.0),
    "Klein-Gordon": lambda: Problem(
        js.equations.KleinGordon(cubic=1.0), _line().field(lambda x: jnp.stack([jnp.cos(x), 0 * x])), 4.0
    ),
    "Burgers": lambda: Problem(js.equations.Burgers(0.1), _line(32).field(jnp.sin), 1.0),
    "Kuramoto-Sivashinsky": _kuramoto_sivashinsky,
    "Schrödinger": lambda: Problem(
        js.equations.NonlinearSchrodinger(),
        _line(32, real=False).field(lambda x: 0.7 * jnp.exp(1j * x) + 0.3 * jnp.cos(2 * x)), 1.0,
    ),
    "Navier-Stokes, forced": _navier_stokes,
}  # fmt: skip


@functools.cache
def reference(name: str):
    """The problem, and its end by many fixed steps of another scheme."""
    problem = PROBLEMS[name]()
    end = js.rollout(problem.equation, problem.start, dt=problem.duration / 8000, steps=8000,
                     solver=integrate.HochbruckOstermann4())  # fmt: skip
    return problem, _sizes(end), end


def ratios(name: str, solver: dfx.AbstractSolver, rtols=RTOLS) -> list[float]:
    """The error at the end of a run beside its size and the tolerance, in the worst component.

    Infinite where a run ended with another status than success.
    """
    problem, sizes, end = reference(name)
    found = []
    for rtol in rtols:
        run = js.solve(problem.equation, problem.start, t1=problem.duration, rtol=jnp.asarray(rtol), solver=solver,
                       max_steps=1_000_000, throw=False)  # fmt: skip
        error = np.max(_sizes(run.ys[-1] - end) / sizes) / rtol
        found.append(float(error) if run.result == dfx.RESULTS.successful else np.inf)
    return found


def _sizes(field):
    return np.asarray(field.space.size(field.space.state(field)))


def _shown(ratio):
    return f"{float(format(ratio, '.1g')):g}" if np.isfinite(ratio) else "–"


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print("| | " + " | ".join(PROBLEMS) + " |\n" + "|---" * (len(PROBLEMS) + 1) + "|")
    for scheme in ADAPTIVE:
        cells = [" ".join(map(_shown, ratios(name, scheme()))) for name in PROBLEMS]
        print(f"| `{scheme.__name__}` | " + " | ".join(cells) + " |", flush=True)
