"""References for physics-informed networks: what is known exactly, or our own solvers at two resolutions."""

import dataclasses
import time
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js


@dataclasses.dataclass
class Reference:
    """Values at points, and what they cost.

    - `points`: shape `(n, coordinates)`.
    - `values`: shape `(n, *components)`.
    - `error`: of the values themselves, relative: the difference of two resolutions; 0 where a formula is known.
    - `seconds`: one solve by the classical method at the coarser of both, compiled before; `None` without one.
    """

    points: np.ndarray
    values: np.ndarray
    error: float
    seconds: float | None

    def error_of(self, field: Callable, chunk: int = 4096) -> float:
        """Relative L2 error of a callable of the coordinates."""
        found = evaluate(field, self.points, chunk)
        return relative(found, self.values)


@eqx.filter_jit
def _evaluate(field, points):
    return jax.vmap(lambda point: field(*point))(points)


def evaluate(field: Callable, points: np.ndarray, chunk: int = 4096) -> np.ndarray:
    """Values of a callable at many points, in pieces of equal size."""
    pad = -len(points) % chunk
    padded = np.concatenate([points, np.repeat(points[-1:], pad, 0)]).reshape(-1, chunk, points.shape[1])
    return np.concatenate([_evaluate(field, jnp.asarray(part)) for part in padded])[: len(points)]


def relative(a, b) -> float:
    """$|a - b| / |b|$."""
    return float(np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b))


def exact(function: Callable, points: np.ndarray) -> Reference:
    """A known solution."""
    return Reference(points, evaluate(function, points), 0.0, None)


def periodic(equation: js.Equation, initial: Callable, box: tuple[float, float], nodes: int, dt: float,
             times: Sequence[float], kept: int = 256) -> Reference:  # fmt: skip
    """A one-dimensional periodic problem by Fourier modes and exponential time stepping.

    Solved with `nodes` and `dt`, and with half as many nodes and twice the step; the error is the difference of both.
    Values are those of the finer solve at `kept` nodes and all `times` after the first.
    """

    def solve(nodes, dt):
        space = js.Fourier(js.Grid((nodes,), *box))
        u0 = space.field(initial)
        run = jax.jit(lambda u0: js.solve(equation, u0, t1=times[-1], dt=dt, saveat=jnp.asarray(times)).ys.values)
        jax.block_until_ready(run(u0))
        start = time.perf_counter()
        values = np.asarray(run(u0))
        return values[..., :: nodes // kept], time.perf_counter() - start

    fine, _ = solve(nodes, dt)
    coarse, seconds = solve(nodes // 2, 2 * dt)
    x = box[0] + (box[1] - box[0]) * np.arange(kept) / kept
    t, x = np.meshgrid(np.asarray(times)[1:], x, indexing="ij")
    values = fine[1:]
    if values.ndim == 3:  # components last
        values = np.moveaxis(values, 1, -1)
    points = np.stack([t.ravel(), x.ravel()], 1)
    return Reference(points, values.reshape(len(points), *values.shape[2:]), relative(coarse[1:], fine[1:]), seconds)
