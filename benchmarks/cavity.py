"""The steady flow in a square cavity under a moving lid, beside published values on its center lines."""

import time
from collections.abc import Callable

import diffrax as dfx
import jax
import numpy as np

import jaxsim as js

from . import _ghia
from ._common import arguments, finish, heading, machine, table

COARSEST = 32  # cells per axis of the first grid
MEMORY = 20  # differences of states that Anderson acceleration combines
LONGEST = 1000.0  # lid lengths after which a flow that has not settled is given up


def cavity(cells: int, stretching: float | None = None) -> js.Staggered:
    """A unit square whose upper side moves with unit speed."""
    spread = None if stretching is None else js.TanhStretching(stretching)
    grid = js.Grid((cells, cells), stretching=(spread, spread))
    return js.Staggered(grid, (js.NoSlip(), (js.NoSlip(), js.MovingWall((1.0, 0.0)))))


def scheme(space: js.Staggered, reynolds: float) -> tuple[dfx.AbstractSolver, float]:
    """A solver and a step that is stable for it: explicit where viscosity allows it, else exponential.

    Central differences over cells of width $h$ have frequencies of up to $(|u| + |v|) / h$ and decay rates of up to
    $8 / (Re\\,h^2)$; Runge-Kutta schemes of order 3 take 1.7 of the one and 2.5 of the other, less of both at once.
    """
    width = min(float(np.min(space.grid.widths(axis))) for axis in (0, 1))
    convective, diffusive = 1.25 * width, 0.3 * reynolds * width**2
    explicit = 1 / (1 / convective + 1 / diffusive)
    if explicit > convective / 3:  # a step of the exponential scheme costs about three times as much
        return dfx.Bosh3(), explicit
    return js.integrate.Krogstad4(), convective


def steady(space: js.Staggered, reynolds: float, start: js.Field, tolerance: float) -> tuple[js.Field, dict]:
    """March until the flow changes by less than `tolerance` per unit of time, a lid length over the lid's speed.

    Every few time units the states so far are combined for the least change (Anderson 1965, J. ACM 12, 547), which
    spares most of the slow approach to the steady state; combinations keep divergence and walls.

    **Raises:** `RuntimeError` where the flow does not settle.
    """
    equation = js.equations.NavierStokesVelocity(1 / reynolds)
    solver, dt = scheme(space, reynolds)
    stride = max(1.0, reynolds / 1000)
    steps = int(np.ceil(stride / dt))
    advance = jax.jit(lambda u: js.march(equation, u, dt=stride / steps, steps=steps, solver=solver))
    pack = lambda u: np.concatenate([np.ravel(c) for c in space.state(u)])
    states, changes, elapsed = [], [], 0.0
    u = js.project(start)
    while elapsed < LONGEST:
        marched = advance(u)
        if not bool(marched.succeeded):
            raise RuntimeError(f"the flow at Re = {reynolds:g} left the range of numbers: take more cells.")
        before, after = pack(u), pack(marched.value)
        elapsed += stride
        change = float(np.max(np.abs(after - before))) / stride
        if change < tolerance:
            return marched.value, {"time": elapsed, "steps": round(elapsed / stride) * steps, "change": change}
        if changes and np.linalg.norm(after - before) > 2 * np.linalg.norm(changes[-1]):
            states, changes = [], []  # the combination went astray
        states, changes = [*states[-MEMORY:], after], [*changes[-MEMORY:], after - before]
        u = space.join(p.field(a) for p, a in zip(space.parts(), _unpacked(combined(states, changes), space)))
    raise RuntimeError(f"the flow at Re = {reynolds:g} has not settled after {LONGEST:g} time units.")


def combined(states: list[np.ndarray], changes: list[np.ndarray]) -> np.ndarray:
    """The combination of states, with weights of sum one, whose change is least."""
    if len(states) == 1:
        return states[0]
    slopes, last = np.diff(np.array(changes), axis=0).T, changes[-1]
    weights = np.linalg.lstsq(slopes, last, rcond=1e-10)[0]
    return states[-1] - np.diff(np.array(states), axis=0).T @ weights


def _unpacked(vector: np.ndarray, space: js.Staggered) -> list[np.ndarray]:
    ends = np.cumsum([int(np.prod(part.shape)) for part in space.parts()])
    return [v.reshape(part.shape) for v, part in zip(np.split(vector, ends[:-1]), space.parts())]


# -- reading the center lines ------------------------------------------------------------------------------------------
def interpolated(values: np.ndarray, nodes: np.ndarray, points: np.ndarray, count: int = 6) -> np.ndarray:
    """Values at points by the polynomials through the `count` nearest nodes, along the last axis."""
    first = np.clip(np.searchsorted(nodes, points) - count // 2, 0, len(nodes) - count)
    near = first[:, None] + np.arange(count)
    x, others = nodes[near], ~np.eye(count, dtype=bool)
    ratios = (points[:, None, None] - x[:, None, :]) / np.where(others, x[:, :, None] - x[:, None, :], 1.0)
    weights = np.prod(np.where(others, ratios, 1.0), axis=-1)
    return np.sum(np.take(values, near, axis=-1) * weights, axis=-1)


def with_walls(u: js.Field, component: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """A component of the velocity at its nodes and on the walls, and where those are along each axis."""
    values, nodes = np.pad(np.asarray(u[component].values), 1), []
    for axis in (0, 1):
        nodes.append(np.concatenate([[0.0], u[component].space.nodes(axis), [1.0]]))
    if component == 0:
        values[:, -1] = 1.0  # the lid
    return values, nodes


def center_lines(u: js.Field) -> tuple[Callable, Callable]:
    """The horizontal velocity on the vertical center line and the vertical one on the other, as functions.

    Walls count as nodes. The error of interpolation is of order 6, far below that of the differences.
    """
    lines = []
    for component in (0, 1):
        values, nodes = with_walls(u, component)
        middle = interpolated(np.moveaxis(values, component, -1), nodes[component], np.array([0.5]))[:, 0]
        lines.append(lambda points, v=middle, x=nodes[1 - component]: interpolated(v, x, np.asarray(points)))
    return lines[0], lines[1]


def extrema(u: js.Field) -> dict[str, float]:
    """The extrema of both profiles away from the lid."""
    horizontal, vertical = center_lines(u)
    points = np.linspace(0.0, 1.0, 20001)
    along = vertical(points)
    return {"u min": float(np.min(horizontal(points))), "v max": float(np.max(along)), "v min": float(np.min(along))}


# -- the benchmark -----------------------------------------------------------------------------------------------------
def solve(reynolds: float, cells: int, stretching: float | None = None, tolerance: float = 3e-6):
    """The steady flow, and how it was reached: over ever finer grids, each starting from what the coarser ones say."""
    levels = [cells]
    while levels[0] % 2 == 0 and levels[0] // 2 >= COARSEST:
        levels.insert(0, levels[0] // 2)
    flows, history = [], []
    for level in levels:
        space, begun = cavity(level, stretching), time.perf_counter()
        u, how = steady(space, reynolds, first_guess(flows, space), tolerance if level == cells else 10 * tolerance)
        flows.append(u)
        history.append({"cells": level, **how, **extrema(u), "seconds": time.perf_counter() - begun})
    return flows[-1], history


def first_guess(coarser: list[js.Field], space: js.Staggered) -> js.Field:
    """Fluid at rest, or the flow on the last of coarser grids, corrected as an error of order 2 would fall."""
    if not coarser:
        return space.field(lambda x, y: (0 * x, 0 * y))
    guess = [moved(coarser[-1], space, i) for i in (0, 1)]
    if len(coarser) > 1:
        guess = [fine + (fine - moved(coarser[-2], space, i)) / 4 for i, fine in enumerate(guess)]
    return space.field(guess)


def moved(u: js.Field, space: js.Staggered, component: int) -> np.ndarray:
    """A component of a flow interpolated to the nodes of another grid."""
    values, nodes = with_walls(u, component)
    for axis in (0, 1):
        points = space.component(component).nodes(axis)
        values = np.moveaxis(interpolated(np.moveaxis(values, axis, -1), nodes[axis], points), -1, axis)
    return values


def extend(parser):
    parser.add_argument("--reynolds", type=float, default=1000.0, help="speed of the lid times its length / viscosity")
    parser.add_argument("--resolution", type=int, default=None, help="cells per axis (128; 32 with --quick)")
    parser.add_argument("--stretching", type=float, help="strength of js.TanhStretching on both axes")
    parser.add_argument("--tolerance", type=float, default=3e-6, help="rate of change at which the flow is steady")


def deviations(u: js.Field, reynolds: float) -> dict:
    """Largest and root mean square distances from the published values, where there are some."""
    if reynolds not in _ghia.HORIZONTAL:
        return {}
    found = {}
    for name, line, points, values in zip(
        ("u", "v"), center_lines(u), (_ghia.HEIGHTS, _ghia.ABSCISSAE), (_ghia.HORIZONTAL, _ghia.VERTICAL)
    ):
        distance = np.abs(line(points) - np.array(values[reynolds]))
        found |= {f"{name}, largest": float(np.max(distance)), f"{name}, at": points[int(np.argmax(distance))]}
        found[f"{name}, mean square"] = float(np.sqrt(np.mean(distance**2)))
    return found


def main():
    options = arguments(__doc__, precision=64, extend=extend)
    about, cells = machine(), options.resolution or (32 if options.quick else 128)
    heading(f"Lid-driven cavity, Re = {options.reynolds:g}, {cells}^2 cells", about, options)
    begun = time.perf_counter()
    u, history = solve(options.reynolds, cells, options.stretching, options.tolerance)
    seconds = time.perf_counter() - begun
    horizontal, vertical = center_lines(u)
    y, x = _ghia.HEIGHTS, _ghia.ABSCISSAE
    profiles = {"y": y, "u": horizontal(y), "x": x, "v": vertical(x)}
    keys = ("cells", "u min", "v max", "v min", "time", "steps", "change", "seconds")
    rows = [[f"{h[key]:.5f}" if key in _ghia.QUOTED else h[key] for key in keys] for h in history]
    table(["cells per axis", *keys[1:4], "time units", "steps", "rate of change", "seconds"], rows)
    data = {key: [float(a) for a in values] for key, values in profiles.items()}
    data |= {"seconds": seconds, "reynolds": options.reynolds, "resolution": cells, "stretching": options.stretching}
    data |= {"history": history, "deviation from Ghia et al.": deviations(u, options.reynolds)}
    rows = [[*row] for row in zip(data["y"], data["u"], data["x"], data["v"])]
    table(["y", "u(0.5, y)", "x", "v(x, 0.5)"], rows)
    finish("cavity" if options.reynolds == 1000 else f"cavity_{options.reynolds:g}", options, about, data)


if __name__ == "__main__":
    main()
