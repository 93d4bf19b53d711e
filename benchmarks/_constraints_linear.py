"""Linear equations as layers: transport at many speeds, and flow through ground of two kinds."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim.constraints import Chebyshev, FourierSeries, TensorProduct, satisfy
from jaxsim.linear import harmonic_mean
from jaxsim.optimize import Rows
from jaxsim.pinn import collocation

from ._constraints_data import convection, darcy, permeability
from ._constraints_training import errors, summary

SPEEDS = np.array([1.0, 5.0, 10.0, 20.0, 30.0])


def transport(seed: int, points: int = 900) -> list[dict]:
    """$u_t + \\beta u_x = 0$ from a sine, for all speeds by one dictionary and one compiled solve each."""
    data = convection(SPEEDS)
    functions = TensorProduct([Chebyshev(44), FourierSeries(7, 0.0, 2 * np.pi)])
    inside = jax.random.uniform(jax.random.key(0), (points, 2)) * jnp.array([1.0, 2 * jnp.pi])
    x = jnp.linspace(0, 2 * jnp.pi, 32, endpoint=False)

    def solve(speed):
        blocks = {
            "interior": collocation(js.equations.Advection(speed), inside, weight=speed**-2.0),
            "initial": Rows(lambda u, s: u(jnp.zeros_like(s), s) - jnp.sin(s), x),
        }
        return satisfy(functions, blocks)

    t, nodes = map(jnp.asarray, data.coordinates)
    everywhere = lambda u: jax.vmap(lambda t: jax.vmap(lambda x: u(t, x))(nodes))(t)

    @jax.jit
    def measured(speed):
        solved = solve(speed)
        left = collocation(js.equations.Advection(speed), inside).values(solved.value)
        return everywhere(solved.value), jnp.linalg.norm(left) / (speed * left.size**0.5), solved.steps

    @jax.jit
    def slope(speed):
        return jax.jvp(lambda speed: everywhere(solve(speed).value), (speed,), (jnp.ones_like(speed),))[1]

    rows = []
    for k, speed in enumerate(map(jnp.asarray, SPEEDS)):
        values, left, steps = measured(speed)
        rate = -t[:, None] * jnp.cos(nodes - speed * t[:, None])
        rows.append({
            "method": f"speed {float(speed):g}", "error": float(errors(values[None], data.values[k : k + 1])[0]),
            "residual": float(left), "steps": int(steps), "goal": 1e-6,
            "derivative": float(jnp.linalg.norm(slope(speed) - rate) / jnp.linalg.norm(rate)),
            "solve": _seconds(lambda speed=speed: measured(speed)),
        })  # fmt: skip
    return rows


class Waves(eqx.Module):
    """Products of sines, $\\sin(i \\pi x) \\sin(j \\pi y)$ for $1 \\le i, j \\le n$, which vanish at the sides."""

    count: int = eqx.field(static=True)

    def __call__(self, t, x, y):
        k = jnp.pi * jnp.arange(1, self.count + 1)
        return jnp.outer(jnp.sin(k * x), jnp.sin(k * y)).ravel()


def ground(seed: int, sizes: tuple[int, ...] = (16, 29), cells: int = 29, instances: int = 3) -> list[dict]:
    """$-\\nabla\\cdot(a \\nabla u) = 1$ with a coefficient of 3 and 12: the balance of each cell is a row.

    Gradients jump where the coefficient does, and $a \\Delta u$ at points knows nothing of that: rows are balances of
    finite volumes, which look at a field in a cell and its four neighbors.
    """
    data = darcy(jnp.stack([permeability(jax.random.key(k), cells) for k in range(instances)]))
    rows = []
    for size in sizes:
        solve = jax.jit(partial(_solve, Waves(size), cells))
        found = [solve(jnp.asarray(a)) for a in data.given]
        rows.append(summary(
            f"{size**2} products of sines", np.stack([u for u, _, _ in found]), data.values, goal=1e-6,
            residual=float(np.mean([left for _, left, _ in found])), rank=int(found[0][2]), reference=data.error,
            solve=_seconds(lambda solve=solve: solve(jnp.asarray(data.given[0]))),
        ))  # fmt: skip
    return rows


def _solve(functions: Callable, cells: int, a: jax.Array):
    """Values at the centers of the cells, the relative residual and the rank."""
    h = 1 / cells
    padded = jnp.pad(a, 1, mode="edge")
    middle = padded[1:-1, 1:-1]
    beside = [padded[2:, 1:-1], padded[:-2, 1:-1], padded[1:-1, 2:], padded[1:-1, :-2]]
    faces = jnp.stack([harmonic_mean(middle, b) for b in beside], -1).reshape(-1, 4)
    centers = (jnp.arange(cells) + 0.5) * h
    x, y = (c.ravel() for c in jnp.meshgrid(centers, centers, indexing="ij"))

    def balance(u, sample):
        """The outflow of a cell, less the source in it; beyond a side is the opposite of the cell's own value."""
        x, y, face = sample
        t, here = jnp.zeros_like(x), u(jnp.zeros_like(x), x, y)
        there = [u(t, x + h, y), u(t, x - h, y), u(t, x, y + h), u(t, x, y - h)]
        return sum(f * (here - v) for f, v in zip(face, there)) / h**2 - 1.0

    block = Rows(balance, (x, y, faces))
    solved = satisfy(functions, {"balance": block})
    left = block.values(solved.value)
    values = jax.vmap(lambda x, y: solved.value(jnp.zeros_like(x), x, y))(x, y).reshape(cells, cells)
    return values, jnp.linalg.norm(left) / left.size**0.5, solved.rank


def _seconds(run: Callable) -> float:
    """Median wall time of three runs of a compiled function."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return statistics.median(times)
