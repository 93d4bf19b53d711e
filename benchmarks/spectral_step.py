"""Time per step of incompressible flow on periodic boxes, beside the transforms alone and beside peers."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js

from . import _flows
from ._common import arguments, finish, heading, interleaved, machine, peer, ratio, table
from ._hlo import count, transforms_alone, transforms_per_step

VISCOSITY = 1e-3
# Four stages of 2 + 2 transforms (Basdevant) in the plane; in space of 6 + 3 (rotational) or 3 + 5 (Basdevant).
TEXTBOOK = {2: (16,), 3: (36, 32)}
STEPS = {2: {64: 100, 128: 50, 256: 25, 512: 10, 1024: 10}, 3: {32: 20, 64: 12, 128: 12, 256: 12}}


def sizes(options) -> list[tuple[int, int]]:
    """Dimension and nodes of the cases."""
    if options.quick:
        return [(2, 64), (3, 32)]
    large = options.full or jax.default_backend() == "gpu"
    plane, space = (128, 256, 512) + (1024,) * large, (64,) + (128, 256) * large
    return [(2, n) for n in plane] + [(3, n) for n in space]


def programs(dimension: int, nodes: int, steps: int, dt: float):
    """The compiled runs by name, each with the number of transforms in a step, and a note of the sizes."""
    modes = (nodes - 1) // 2
    padded = js.Fourier(js.Grid((nodes,) * dimension)).padded_shape[0]
    start = (lambda n: _flows.waves(n, 2, 1)[0]) if dimension == 2 else _flows.solenoidal
    stepper_name = "NavierStokesVorticity" if dimension == 2 else "NavierStokesVelocity"
    equation = getattr(js.equations, stepper_name)(VISCOSITY)
    runs = {}
    for solver in (js.integrate.Krogstad4(), js.integrate.ETDRK4()):
        name = f"ours, {type(solver).__name__}"
        runs[name], text = _flows.compiled_jaxsim(equation, start(nodes), dt, steps, solver)
    found = transforms_per_step(text)
    if count(found) not in TEXTBOOK[dimension]:
        raise AssertionError(f"a step makes {count(found)} transforms, not {TEXTBOOK[dimension]}: {found}")
    counts = {"ours": count(found)}
    runs["transforms alone"] = transforms_alone(found, steps, jnp.result_type(float))
    equal = _flows.nodes_for_modes(modes)
    for name, n in (("exponax, equal nodes", nodes), ("exponax, equal modes", equal)):
        stepper = _flows.exponax_stepper(stepper_name, dimension, n, dt, 4, diffusivity=VISCOSITY)
        if stepper is None:
            continue
        if n == equal and _flows.kept_modes(stepper) != modes:
            raise AssertionError(f"exponax keeps {_flows.kept_modes(stepper)} modes on {n} nodes, not {modes}.")
        values = start(n)[None] if dimension == 2 else start(n)
        runs[name], text = _flows.compiled_exponax(stepper, _flows.spectrum(values), steps)
        counts["exponax"] = count(transforms_per_step(text))
    if dimension == 2 and peer("jax_cfd") is not None:
        name = "jax-cfd, equal modes"
        runs[name], text = _flows.compiled_jax_cfd(equal, start(equal), VISCOSITY, dt, steps)
        counts["jax-cfd"] = count(transforms_per_step(text))
    return runs, counts, {"nodes": nodes, "modes": modes, "padded": padded, "exponax nodes": equal}


def measure(dimension: int, nodes: int, options) -> dict:
    """One case: seconds per step of every program, and the ratios that have a goal."""
    steps = STEPS[dimension][nodes] * (10 if jax.default_backend() == "gpu" else 1)
    runs, counts, sizes = programs(dimension, nodes, steps, dt=0.1 / nodes)
    for name, run in runs.items():
        if not all(np.all(np.isfinite(a)) for a in jax.tree.leaves(run())):
            raise FloatingPointError(f"{name} at {nodes} nodes gave a value that is not finite.")
    times = interleaved(runs, options.repeats)
    times = {name: {key: t / steps for key, t in entry.items()} for name, entry in times.items()}
    others = ("transforms alone", "exponax, equal nodes", "exponax, equal modes", "jax-cfd, equal modes")
    ratios = {
        f"over {other}": {key: ratio(times["ours, ETDRK4"], times.get(other), key) for key in ("median", "processor")}
        for other in others
    }
    case = {"dimension": dimension, **sizes, "steps": steps, "transforms": counts}
    return {**case, "seconds per step": times, **ratios}


def extend(parser):
    parser.add_argument("--full", action="store_true", help="the sizes of a GPU on a CPU too")


def main():
    options = arguments(__doc__, extend=extend)
    about = machine()
    heading("Time per step, ETDRK of order 4", about, options)
    for name in ("exponax", "jax_cfd"):
        if peer(name) is None:
            print(f"note: {name} is not installed; its entries are missing.")
    cases = []
    for dimension, nodes in sizes(options):
        case = measure(dimension, nodes, options)
        cases.append(case)
        times = case["seconds per step"]
        rows = [
            [
                name,
                *(1e3 * entry[key] for key in ("median", "min", "processor")),
                ratio(entry, times["transforms alone"]),
            ]
            for name, entry in times.items()
        ]
        box = "x".join([str(nodes)] * dimension)
        print(f"\n{box} nodes, {case['modes']} modes, products on {case['padded']}^{dimension}; transforms per step: "
              + ", ".join(f"{name} {number}" for name, number in case["transforms"].items()))  # fmt: skip
        table(["program", "median ms", "min ms", "processor ms", "/ transforms"], rows)
    goals = {"over transforms alone": 1.5, "over exponax, equal modes": 0.8}
    finish("spectral_step", options, about, {"goals": goals, "cases": cases})


if __name__ == "__main__":
    main()
