"""Time per step of incompressible flow by finite differences with projection, beside jax-cfd and the memory's speed."""

import math

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js

from . import _flows
from ._common import arguments, finish, heading, interleaved, machine, peer, ratio, table

VISCOSITY = 1e-2
MIB = 2**20
# Heun's method with central differences of second order: two right-hand sides per step, in both programs. jax-cfd
# projects every stage's velocity, jaxsim every rate of change and, between walls, the velocity at the end of a step.
SCHEME = "Heun, central differences, explicit viscosity"
STEPS = {2: {32: 100, 64: 100, 128: 100, 256: 40, 512: 20, 1024: 10}, 3: {16: 40, 32: 20, 64: 10, 128: 5}}


def sizes(options) -> list[tuple[int, int]]:
    """Dimension and nodes of the cases."""
    if options.quick:
        return [(2, 64), (3, 16)]
    return [(2, n) for n in (128, 256, 512, 1024)] + [(3, n) for n in (64, 128)[: 1 + (jax.default_backend() == "gpu")]]


def start(dimension: int, nodes: int) -> list[np.ndarray]:
    """A smooth velocity, one array per component."""
    return list(_flows.waves(nodes, dimension, dimension, highest=4))


def ours(dimension: int, nodes: int, dt: float, steps: int, boundary=None, solver=None):
    """A run of jaxsim from a velocity: the function, and the velocity."""
    space = js.Staggered(js.Grid((nodes,) * dimension, 0.0, 2 * np.pi), boundary)
    values = jnp.asarray(np.stack(start(dimension, nodes)), jnp.result_type(float))
    equation = js.equations.NavierStokesVelocity(VISCOSITY)

    def run(values):
        u = space.field(list(values) if boundary is None else values)
        return space.state(js.rollout(equation, u, dt=dt, steps=steps, solver=solver or dfx.Heun()))

    return run, values


def jax_cfd(dimension: int, nodes: int, dt: float, steps: int):
    """The same by jax-cfd: its explicit finite-difference solver with the fast diagonalization of the pressure."""
    base = {n: peer(f"jax_cfd.base.{n}") for n in ("advection", "boundaries", "equations", "grids", "time_stepping")}
    grid = base["grids"].Grid((nodes,) * dimension, domain=((0, 2 * np.pi),) * dimension)
    condition = base["boundaries"].periodic_boundary_conditions(dimension)
    # the faces of jax-cfd are the upper ones of its cells, those of a periodic axis here the lower ones
    arrays = [jnp.roll(jnp.asarray(a, jnp.result_type(float)), -1, i) for i, a in enumerate(start(dimension, nodes))]
    velocity = tuple(
        base["grids"].GridVariable(base["grids"].GridArray(a, offset, grid), condition)
        for a, offset in zip(arrays, grid.cell_faces)
    )
    convect = lambda v: tuple(base["advection"].advect_linear(u, v, dt) for u in v)
    step = base["equations"].semi_implicit_navier_stokes(
        density=1.0, viscosity=VISCOSITY, dt=dt, grid=grid, convect=convect,
        time_stepper=base["time_stepping"].heun_rk2,
    )  # fmt: skip

    def run(velocity):
        projected = peer("jax_cfd.base.pressure").projection(velocity)
        return jax.lax.scan(lambda v, _: (step(v), None), projected, None, steps)[0]

    return run, velocity


def bandwidth() -> float:
    """Bytes per second that a copy of a large array reads and writes."""
    array = jnp.ones(2**25, jnp.float32)
    copy = jax.jit(lambda a: a + 1.0)
    times = interleaved({"copy": lambda: copy(array)}, 9)
    return 2 * array.nbytes / times["copy"]["min"]


def step_bytes(dimension: int, nodes: int, dt: float, boundary=None) -> float:
    """Bytes that the operations of one compiled step read and write, by XLA's count: two runs of different length."""
    space = js.Staggered(js.Grid((nodes,) * dimension, 0.0, 2 * np.pi), boundary)
    term = js.SemilinearTerm(js.equations.NavierStokesVelocity(VISCOSITY), space)
    solver = js.integrate.Constrained(dfx.Heun())
    y = tuple(jnp.zeros(part.shape) for part in space.parts())
    step = lambda y: solver.step(term, 0.0, jnp.asarray(dt, y[0].dtype), y, None, None, made_jump=False)[0]
    return jax.jit(step).lower(y).compile().cost_analysis()["bytes accessed"]


def cavity(dimension: int):
    """Walls all around, and a lid."""
    lid = js.MovingWall((1.0,) + (0.0,) * (dimension - 1))
    return (js.NoSlip(),) * (dimension - 1) + ((js.NoSlip(), lid),)


def measure(dimension: int, nodes: int, speed: float, options) -> dict:
    """One case: seconds per step of every program, and the ratios that have a goal."""
    steps = STEPS[dimension][nodes] * (10 if jax.default_backend() == "gpu" else 1)
    dt = 0.1 * 2 * math.pi / nodes / 4
    runs = {"ours, periodic": ours(dimension, nodes, dt, steps), "ours, walls": ours(dimension, nodes, dt, steps,
            cavity(dimension))}  # fmt: skip
    if peer("jax_cfd") is not None:
        runs["jax-cfd, periodic"] = jax_cfd(dimension, nodes, dt, steps)
    compiled = {name: (jax.jit(run).lower(u).compile(), u) for name, (run, u) in runs.items()}
    results = {name: jax.tree.leaves(program(u)) for name, (program, u) in compiled.items()}
    for name, arrays in results.items():
        if not all(np.all(np.isfinite(a)) for a in arrays):
            raise FloatingPointError(f"{name} at {nodes} nodes gave a value that is not finite.")
    distance = None
    if "jax-cfd, periodic" in results:
        pairs = enumerate(zip(results["ours, periodic"], results["jax-cfd, periodic"]))
        distance = max(float(jnp.max(jnp.abs(a - jnp.roll(b, 1, i)))) for i, (a, b) in pairs)
    times = interleaved({n: (lambda p=p, u=u: p(u)) for n, (p, u) in compiled.items()}, options.repeats)
    times = {name: {key: t / steps for key, t in entry.items()} for name, entry in times.items()}
    moved = {"ours, periodic": step_bytes(dimension, nodes, dt), "ours, walls":
             step_bytes(dimension, nodes, dt, cavity(dimension))}  # fmt: skip
    return {
        "dimension": dimension, "nodes": nodes, "steps": steps, "seconds per step": times,
        "distance to jax-cfd": distance, "bytes per step": moved,
        "over jax-cfd": {key: ratio(times["ours, periodic"], times.get("jax-cfd, periodic"), key)
                         for key in ("median", "min", "processor")},
        "over memory": {name: times[name]["median"] * speed / b for name, b in moved.items()},
    }  # fmt: skip


def gradient(nodes: int, steps: int, options) -> dict:
    """Time and memory of the gradient by the initial velocity, periodic and between walls."""
    entries = {}
    for name, boundary in (("periodic", None), ("walls", cavity(2))):
        run, values = ours(2, nodes, 0.1 * 2 * math.pi / nodes / 4, steps, boundary)
        objective = lambda values, run=run: sum(jnp.mean(jnp.square(a)) for a in run(values))
        forward = jax.jit(objective).lower(values).compile()
        reverse = jax.jit(jax.value_and_grad(objective)).lower(values).compile()
        if not np.all(np.isfinite(reverse(values)[1])):
            raise FloatingPointError(f"the gradient ({name}) is not finite.")
        times = interleaved(
            {"forward": lambda f=forward, v=values: f(v), "reverse": lambda r=reverse, v=values: r(v)}, options.repeats
        )
        entries[name] = {
            **times, "ratio": ratio(times["reverse"], times["forward"]),
            "processor ratio": ratio(times["reverse"], times["forward"], "processor"),
            "memory": reverse.memory_analysis().temp_size_in_bytes, "state": values.nbytes,
        }  # fmt: skip
    return {"nodes": nodes, "steps": steps, **entries}


def main():
    options = arguments(__doc__)
    about = machine()
    heading(f"Time per step, {SCHEME}", about, options)
    if peer("jax_cfd") is None:
        print("note: jax-cfd is not installed; its entries are missing.")
    speed, cases = bandwidth(), []
    print(f"\nA copy moves {speed / 1e9:.3g} GB/s.")
    for dimension, nodes in sizes(options):
        case = measure(dimension, nodes, speed, options)
        cases.append(case)
        rows = [
            [name, *(1e3 * entry[key] for key in ("median", "min", "processor")),
             case["bytes per step"].get(name, 0) / MIB or None, case["over memory"].get(name)]
            for name, entry in case["seconds per step"].items()
        ]  # fmt: skip
        print(f"\n{'x'.join([str(nodes)] * dimension)} cells; ours over jax-cfd: {case['over jax-cfd']}; "
              f"largest difference of the two: {case['distance to jax-cfd']}")  # fmt: skip
        table(["program", "median ms", "min ms", "processor ms", "MiB per step", "/ memory"], rows)
    reverse = gradient(*((32, 40) if options.quick else (128, 500)), options)
    rows = [[n, e["forward"]["median"], e["reverse"]["median"], e["ratio"], e["processor ratio"], e["memory"] / MIB]
            for n, e in reverse.items() if isinstance(e, dict)]  # fmt: skip
    print(f"Gradient of {reverse['steps']} steps on {reverse['nodes']}^2 cells")
    table(["box", "forward s", "gradient s", "ratio", "processor ratio", "memory MiB"], rows)
    goals = {"over jax-cfd": 1.0, "gradient ratio": 4}
    finish("projection_step", options, about, {"goals": goals, "scheme": SCHEME, "bandwidth": speed, "cases": cases,
                                               "gradient": reverse})  # fmt: skip


if __name__ == "__main__":
    main()
