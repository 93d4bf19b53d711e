"""Reverse-mode derivatives through flow in the plane: their time, their memory, their reach and their error."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js

from . import _flows
from ._common import arguments, finish, heading, interleaved, machine, peer, ratio, table

VISCOSITY = 1e-3
MIB = 2**20


def ours(nodes: int, dt: float, steps: int, block: int | None = None, viscosity: float = VISCOSITY) -> Callable:
    """Nodal vorticity to the nodal vorticity after `steps`, by jaxsim."""
    space = js.Fourier(js.Grid((nodes, nodes), 0.0, _flows.LENGTH))
    equation, solver = js.equations.NavierStokesVorticity(viscosity), js.integrate.ETDRK4()
    return lambda w: js.rollout(equation, space.field(w), dt=dt, steps=steps, solver=solver, block=block).values


def exponax(nodes: int, dt: float, steps: int, viscosity: float = VISCOSITY) -> Callable:
    """The same by exponax, which scans over its steps."""
    stepper = _flows.exponax_stepper("NavierStokesVorticity", 2, nodes, dt, 4, diffusivity=viscosity)

    def run(w):
        spectrum = jnp.fft.rfft2(w)[None]
        spectrum, _ = jax.lax.scan(lambda u, _: (stepper.step_fourier(u), None), spectrum, None, steps)
        return jnp.fft.irfft2(spectrum[0], s=w.shape)

    return run


def loss(run: Callable, nodes: int) -> Callable:
    """Mean square distance of the end of a run to some fixed field."""
    target = jnp.asarray(_flows.waves(nodes, 2, 1, seed=1)[0], jnp.result_type(float))
    return lambda w: jnp.mean(jnp.square(run(w) - target))


def programs(run: Callable, nodes: int):
    """The loss and its gradient, compiled, as functions without arguments, and the memory of each."""
    objective = loss(run, nodes)
    start = jnp.asarray(_flows.waves(nodes, 2, 1)[0], jnp.result_type(float))
    forward = jax.jit(objective).lower(start).compile()
    reverse = jax.jit(jax.value_and_grad(objective)).lower(start).compile()
    memory = {name: p.memory_analysis().temp_size_in_bytes for name, p in (("forward", forward), ("reverse", reverse))}
    return lambda: forward(start), lambda: reverse(start), memory


def cost(nodes: int, dt: float, steps: int, blocks: list[int | None], options) -> dict:
    """Time and memory of the gradient for several block lengths, and for exponax at equal nodes and equal modes."""
    runs = {f"ours, block {'default' if b is None else b}": (ours(nodes, dt, steps, b), nodes) for b in blocks}
    if peer("exponax") is not None:
        equal = _flows.nodes_for_modes((nodes - 1) // 2)
        runs["exponax, equal nodes"] = exponax(nodes, dt, steps), nodes
        runs["exponax, equal modes"] = exponax(equal, dt, steps), equal
    forward, reverse, memory = {}, {}, {}
    for name, (run, n) in runs.items():
        forward[name], reverse[name], memory[name] = programs(run, n)
    # The forward pass does not depend on the block: it is timed once.
    first = "ours, block default"
    timed = {name: f for name, f in forward.items() if name == first or not name.startswith("ours")}
    times = interleaved(
        {**{("forward", n): f for n, f in timed.items()}, **{("reverse", n): f for n, f in reverse.items()}},
        options.repeats,
    )
    return {
        name: {
            "forward": times["forward", name if name in timed else first],
            "reverse": times["reverse", name],
            "ratio": ratio(times["reverse", name], times["forward", name if name in timed else first]),
            "processor ratio": ratio(
                times["reverse", name], times["forward", name if name in timed else first], "processor"
            ),
            "memory": memory[name],
        }
        for name in reverse
    }


def horizon(nodes: int, dt: float, lengths: list[int]) -> list[dict]:
    """Gradients through ever longer runs: whether they are finite, and their memory beside exponax's (not run)."""
    rows = []
    for steps in lengths:
        _, reverse, memory = programs(ours(nodes, dt, steps), nodes)
        value, gradient = reverse()
        row = {"steps": steps, "memory": memory["reverse"], "finite": bool(jnp.all(jnp.isfinite(gradient)))}
        row |= {"value": float(value), "norm": float(jnp.linalg.norm(gradient)), "exponax memory": None}
        if peer("exponax") is not None:
            equal = _flows.nodes_for_modes((nodes - 1) // 2)
            row["exponax memory"] = programs(exponax(equal, dt, steps), equal)[2]["reverse"]
        rows.append(row)
    return rows


def accuracy(make: Callable, nodes: int = 16, dt: float = 0.05, steps: int = 20, directions: int = 8) -> dict:
    """The gradient against central differences in float64, along random directions.

    For each direction the step of the difference is the best of several; the sizes and the step counts are those
    of the Mosaic benchmark of differentiable solvers (pasteurlabs/mosaic).
    """
    with jax.enable_x64(True):
        objective = jax.jit(loss(make(nodes, dt, steps), nodes))
        start = jnp.asarray(_flows.waves(nodes, 2, 1)[0])
        gradient = jax.grad(objective)(start)
        random = np.random.default_rng(2)
        along, differences, errors = [], [], []
        for _ in range(directions):
            direction = random.standard_normal(start.shape)
            direction = jnp.asarray(direction / np.linalg.norm(direction))
            exact = float(jnp.sum(gradient * direction))
            candidates = [
                float(objective(start + e * direction) - objective(start - e * direction)) / (2 * e)
                for e in 10.0 ** np.arange(-6, 0.6, 0.5)
            ]
            best = min(candidates, key=lambda d: abs(d - exact))
            along.append(exact), differences.append(best), errors.append(abs(best - exact) / abs(exact))
        cosine = np.dot(along, differences) / (np.linalg.norm(along) * np.linalg.norm(differences))
        return {"cosine": float(cosine), "median error": float(np.median(errors)), "max error": float(max(errors))}


def main():
    options = arguments(__doc__)
    about = machine()
    nodes, steps = (32, 40) if options.quick else (128, 1000)
    blocks = [None, 1, 8] if options.quick else [None, 1, 2, 4, 16, 32, 125]
    lengths = [40, 160] if options.quick else [40, 160, 640, 2560, 10240]
    heading(f"Gradient of {steps} steps of 2-D vorticity on {nodes}^2 nodes, ETDRK4", about, options)
    if peer("exponax") is None:
        print("note: exponax is not installed; its entries are missing.")
    default = js.integrate.checkpoint.balanced_block(steps)
    entries = cost(nodes, 0.1 / nodes, steps, blocks, options)
    print(f"\nThe default block is {default} steps.")
    rows = [
        [
            name,
            e["forward"]["median"],
            e["reverse"]["median"],
            e["ratio"],
            e["processor ratio"],
            e["memory"]["reverse"] / MIB,
        ]
        for name, e in entries.items()
    ]
    table(["program", "forward s", "gradient s", "ratio", "processor ratio", "memory MiB"], rows)

    reach = horizon(16 if options.quick else 64, 2e-3, lengths)
    rows = [
        [r["steps"], r["finite"], r["norm"], r["memory"] / MIB, r["exponax memory"] and r["exponax memory"] / MIB]
        for r in reach
    ]
    table(["steps", "finite", "gradient norm", "memory MiB", "exponax, equal modes, MiB"], rows)

    errors = {"ours": accuracy(ours), "exponax": accuracy(exponax) if peer("exponax") is not None else None}
    print("Against central differences, float64, 16^2 nodes, 20 steps of 0.05")
    rows = [[name, *(e.values() if e else [None] * 3)] for name, e in errors.items()]
    table(["program", "cosine", "median relative error", "worst"], rows)
    goals = {"ratio": 4, "memory MiB": 60, "median error": 1e-6}
    finish(
        "gradient",
        options,
        about,
        {
            "goals": goals, "nodes": nodes, "steps": steps, "default block": default,
            "cost": entries, "horizon": reach, "accuracy": errors,
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
