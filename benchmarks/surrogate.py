"""Neural time steppers with and without projection onto what they should conserve: drift and error along rollouts."""

import json
import os
from pathlib import Path

# One thread: with other programs on the machine, more threads wait for each other.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax  # noqa: E402
import numpy as np  # noqa: E402

from ._common import RESULTS, arguments, finish, heading, machine, table  # noqa: E402


def options(parser):
    parser.add_argument("--seeds", type=int, default=3, help="networks trained for each entry")
    parser.add_argument("--problem", action="append", help="only these, burgers or kdv")
    parser.add_argument("--figure", type=Path, help="draw the results to this file")


def summary(curves: dict[str, list[np.ndarray]], steps: tuple[int, ...]) -> dict:
    """Means over trajectories after some steps, for each seed."""
    return {name: {str(n): [float(np.mean(seed[:, n - 1])) for seed in seeds] for n in steps}
            for name, seeds in curves.items()}  # fmt: skip


def measured(problem, sizes, seeds: int, steps: tuple[int, ...]) -> tuple[dict, dict]:
    """What is found for a problem, and the curves by surrogate, quantity and seed."""
    from ._surrogate_training import TRAINED, assessed, rollouts, surrogates, trajectories

    data = trajectories(problem, jax.random.key(100), sizes.trajectories, TRAINED)
    keys = jax.random.key(200)
    truth = trajectories(problem, keys, sizes.tests, steps[-1])
    coarse = trajectories(problem, keys, sizes.tests, steps[-1], problem.nodes // 2)
    own = float(np.max(np.linalg.norm(coarse - truth, axis=-1) / np.linalg.norm(truth, axis=-1)))
    curves, trained = {}, {}
    for seed in range(seeds):
        for name, surrogate in surrogates(problem, data, jax.random.key(seed), sizes).items():
            found = assessed(problem, rollouts(surrogate.step, truth[:, 0], steps[-1]), truth)
            for quantity, values in found.items():
                curves.setdefault(name, {}).setdefault(quantity, []).append(values)
            entry = trained.setdefault(name, {"losses": [], "processor seconds": []})
            entry["losses"].append(surrogate.loss)
            entry["processor seconds"].append(surrogate.seconds)
            ends = ", ".join(f"{quantity} {np.mean(values[:, -1]):.1e}" for quantity, values in found.items())
            print(f"  {problem.title}, seed {seed}, {name}: {ends}", flush=True)
    entries = {name: {**trained[name], **summary(found, steps)} for name, found in curves.items()}
    return {"title": problem.title, "dt": problem.dt, "error of the solver": own, "entries": entries}, curves


def tabulated(entry: dict, steps: tuple[int, ...]) -> list[list[float]]:
    """The errors of an entry after some steps, and after the last that of the shape and drifts; by seed."""
    ends = [entry[quantity][str(steps[-1])] for quantity in ("shape", *DRIFTS) if quantity in entry]
    return [entry["error"][str(n)] for n in steps] + ends


def compared(entries: dict, step: int) -> dict[str, list[float]]:
    """The error of each entry over that of the free one, for each seed."""
    free = entries["free"]["error"][str(step)]
    return {name: [a / b for a, b in zip(e["error"][str(step)], free)] for name, e in entries.items()}


DRIFTS = ("mass", "momentum")
LOOKS = {
    "free": ("free", "tab:red", "-"),
    "free, then": ("trained freely, then projected", "tab:orange", "--"),
    "trained with": ("trained with projection", "tab:blue", "-"),
}


def draw(path: Path, panels: dict[str, tuple]):
    """Drifts above, errors below; means over test trajectories and seeds, and where 80 % of the errors lie."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from ._surrogate_training import TRAINED, problems

    cases, figure = problems(), plt.figure(figsize=(13.5, 7.4), layout="constrained")
    drifts = [(key, name) for key, (_, curves) in panels.items() for name in DRIFTS if name in curves["free"]]
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    above, below = (part.subplots(1, n, squeeze=False)[0] for part, n in ((upper, len(drifts)), (lower, len(panels))))
    for axis, (key, name) in zip(above, drifts):
        _lines(axis, panels[key][1], name, cases[key].dt)
        axis.set(title=f"{cases[key].title}: drift of the {name}", ylim=(3e-17, 1))
    for axis, key in zip(below, panels):
        _lines(axis, panels[key][1], "error", cases[key].dt, band=True)
        axis.set(title=f"{cases[key].title}: relative error of the rollout")
        axis.legend(fontsize=9, loc="lower right")
    for axis, key in [*zip(above, [key for key, _ in drifts]), *zip(below, panels)]:
        axis.axvspan(0, TRAINED * cases[key].dt, color="0.92", zorder=0)
        axis.set(yscale="log", xlabel="time", xlim=(0, None))
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _lines(axis, curves, quantity, dt, band=False):
    """The free surrogate, and those held to all that is conserved."""
    last = list(curves)[-1].removeprefix("trained with ")
    for look, (label, color, style) in LOOKS.items():
        name = look if look == "free" else f"{look} {last}"
        values = np.concatenate(curves[name][quantity])
        times = dt * np.arange(1, values.shape[1] + 1)
        axis.plot(times, np.maximum(values.mean(0), 1e-17), style, color=color, lw=1.8, label=label)
        if band and look != "free, then":
            axis.fill_between(times, *np.quantile(values, (0.1, 0.9), axis=0), color=color, alpha=0.15, lw=0)


def main():
    chosen = arguments(__doc__.splitlines()[0], precision=64, extend=options)
    from ._surrogate_training import TESTED, TRAINED, Sizes, problems  # after the precision is set

    about = machine()
    heading("Surrogates that conserve", about, chosen)
    sizes = Sizes(8, 6, 2, 20, 8, 16, 8) if chosen.quick else Sizes()
    seeds = 1 if chosen.quick else chosen.seeds
    steps = (1, TRAINED, TRAINED * 5 // 2, TESTED)
    cases, panels = {}, {}
    for key, problem in problems().items():
        if chosen.problem and key not in chosen.problem:
            continue
        cases[key], curves = measured(problem, sizes, seeds, steps)
        cases[key]["over free"] = {str(n): compared(cases[key]["entries"], n) for n in steps}
        panels[key] = problem, curves
        rows = [[name, *(float(np.mean(values)) for values in tabulated(entry, steps))]
                for name, entry in cases[key]["entries"].items()]  # fmt: skip
        print(f"\n{problem.title}, error of the solver {cases[key]['error of the solver']:.1e}")
        drifts = [name for name in DRIFTS if name in curves["free"]]
        table(["surrogate", *(f"error, step {n}" for n in steps), "of the shape", *drifts], rows)
    file = RESULTS / f"surrogate.{about['platform']}.json"
    if chosen.problem and chosen.record and file.exists():  # what other runs found for other problems
        cases = {**json.loads(file.read_text())["cases"], **cases}
    if chosen.figure:
        draw(chosen.figure, panels)
    finish("surrogate", chosen, about, {"repeats": seeds, "peers": {}, "sizes": sizes._asdict(), "steps": steps,
                                        "cases": cases})  # fmt: skip


if __name__ == "__main__":
    main()
