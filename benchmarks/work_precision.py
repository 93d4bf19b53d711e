"""Error against wall time of every scheme of jaxsim and of exponax, on the same resolved modes."""

import inspect
import pathlib
from collections.abc import Callable
from functools import partial

import jax
import numpy as np

import jaxsim as js

from . import _flows
from ._common import arguments, finish, heading, interleaved, machine, peer, table
from ._problems import Problem, korteweg_de_vries, kuramoto_sivashinsky, navier_stokes, relative_error

TARGET = 1e-6
SLOWEST = 6.0  # seconds: longer runs are not repeated
OUT = pathlib.Path("out")


def schemes() -> dict[str, type]:
    """Every fixed-step scheme of `jaxsim.integrate` that uses the split."""
    members = vars(js.integrate).items()
    base = js.integrate.AbstractSemilinearSolver
    return {n: c for n, c in members if inspect.isclass(c) and issubclass(c, base) and not n.startswith("Abstract")}


def ours(problem: Problem, steps: int, solver) -> tuple[Callable, Callable]:
    """A compiled rollout, and the coefficients of its result (not finite where it diverged)."""

    def run(u):
        end = js.march(problem.equation, u, dt=problem.t1 / steps, steps=steps, solver=solver)
        return end.value.coefficients, end.succeeded

    program = jax.jit(run).lower(problem.start).compile()

    def coefficients(result):
        return np.asarray(result[0]) if result[1] else np.full(result[0].shape, np.nan)

    return lambda: program(problem.start), coefficients


def adaptive(problem: Problem, tolerance: float, solver) -> tuple[Callable, Callable]:
    """A compiled adaptive solve, and the coefficients of its result."""

    def run(u):
        solution = js.solve(problem.equation, u, t1=problem.t1, rtol=tolerance, solver=solver, max_steps=2**16)
        return solution.ys.coefficients[-1]

    program = jax.jit(run).lower(problem.start).compile()
    return lambda: program(problem.start), np.asarray


def exponax(problem: Problem, steps: int, order: int) -> tuple[Callable, Callable]:
    """exponax's scan, and the coefficients of its result."""
    run, _ = _flows.compiled_exponax(problem.exponax(steps, order), problem.spectrum(), steps)
    return run, problem.coefficients


def reference(problem: Problem) -> tuple[np.ndarray, float]:
    """The converged end of the run, and its own error.

    That error is the distance to the exact solution where there is one, and otherwise the distance between two
    schemes of order 4 at twice the finest number of steps.
    """
    steps = 2 * problem.steps[-1]
    ends = []
    for solver in (js.integrate.HochbruckOstermann4(), js.integrate.Krogstad4()):
        run, coefficients = ours(problem, steps, solver)
        ends.append(coefficients(run()))
    if problem.exact is None:
        return ends[0], relative_error(ends[1], ends[0])
    exact = np.asarray(problem.space.field(problem.exact).coefficients)
    return exact, relative_error(ends[0], exact)


def entries(problem: Problem, options) -> dict[str, list[dict]]:
    """Error and time of every scheme at every number of steps, or tolerance."""
    truth, _ = reference(problem)
    found: dict[str, list[dict]] = {}

    def measure(size: str, value, makers: dict[str, Callable]):
        runs, errors = {}, {}
        for name, make in makers.items():
            run, coefficients = make()
            errors[name] = relative_error(coefficients(run()), truth)
            if errors[name] < 1:
                runs[name] = run
        for name, time in interleaved(runs, options.repeats).items():
            found.setdefault(name, []).append({size: value, "error": errors[name], **time})

    for steps in problem.steps:
        makers = {name: partial(ours, problem, steps, scheme()) for name, scheme in schemes().items()}
        if peer("exponax") is not None:
            makers |= {f"exponax, order {k}": partial(exponax, problem, steps, k) for k in (1, 2, 3, 4)}
        measure("steps", steps, {n: m for n, m in makers.items() if not settled(found.get(n, []))})
    for tolerance in (1e-3, 1e-5) if options.quick else (1e-4, 1e-6, 1e-8, 1e-10):
        makers = {
            f"adaptive {type(solver).__name__}": partial(adaptive, problem, tolerance, solver)
            for solver in (js.integrate.Krogstad4(), js.integrate.HochbruckOstermann4())
        }
        measure("rtol", tolerance, {n: m for n, m in makers.items() if not settled(found.get(n, []))})
    return found


def settled(points: list[dict]) -> bool:
    """Whether a scheme needs no finer run: it takes long, or its error has stopped to fall."""
    if not points:
        return False
    errors = [p["error"] for p in points]
    return points[-1]["median"] > SLOWEST or (len(errors) > 1 and errors[-1] > errors[-2] and errors[-2] < 1e-7)


def time_to(points: list[dict], target: float, key: str = "median") -> float | None:
    """Time at which the error reaches `target`, interpolated in logarithms; `None` where it does not.

    A first run that is already below the target counts with its whole time.
    """
    if points and points[0]["error"] <= target:
        return points[0][key]
    for coarse, fine in zip(points, points[1:]):
        if fine["error"] <= target < coarse["error"]:
            share = np.log(coarse["error"] / target) / np.log(coarse["error"] / fine["error"])
            return float(np.exp(np.log(coarse[key]) + share * np.log(fine[key] / coarse[key])))
    return None


def best(times: dict[str, float | None], theirs: bool) -> tuple[str, float] | None:
    """The fastest scheme of one side."""
    sides = [(t, n) for n, t in times.items() if t is not None and n.startswith("exponax") == theirs]
    return (min(sides)[1], min(sides)[0]) if sides else None


def plot(problem: Problem, found: dict[str, list[dict]]):
    """Error against time on logarithmic axes, into `out/`."""
    pyplot = peer("matplotlib.pyplot")
    if pyplot is None:
        print("note: matplotlib is not installed; no picture.")
        return
    pyplot.switch_backend("agg")
    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    colors = pyplot.get_cmap("tab20").colors
    for number, (name, points) in enumerate(sorted(found.items())):
        theirs = name.startswith("exponax")
        style = {"color": "k", "linestyle": "--", "marker": "osv^"[int(name[-1]) - 1]} if theirs else {"marker": "."}
        style = {"color": colors[number % 20], "linewidth": 1, **style}
        axes.loglog([p["median"] for p in points], [p["error"] for p in points], label=name, **style)
    axes.axhline(TARGET, color="0.7", linewidth=0.8)
    axes.set(xlabel="wall time, s", ylabel="relative error", title=problem.name)
    axes.legend(fontsize=7, ncols=2)
    OUT.mkdir(exist_ok=True)
    figure.savefig(OUT / f"work_precision_{problem.name.lower().replace(' ', '_')}.png", dpi=150)
    pyplot.close(figure)


def summary(problem: Problem, found: dict[str, list[dict]], error: float) -> dict:
    """The table of one problem, and what its JSON holds."""
    times = {name: time_to(points, TARGET) for name, points in found.items()}
    rows = []
    for name, points in sorted(found.items(), key=lambda item: times[item[0]] or np.inf):
        least = min(points, key=lambda p: p["error"])
        orders = [
            np.log(a["error"] / b["error"]) / np.log(b["steps"] / a["steps"])
            for a, b in zip(points, points[1:]) if "steps" in a and b["error"] > 1e-11
        ]  # fmt: skip
        rows.append([name, times[name], least["error"], least["median"], float(np.median(orders)) if orders else None])
    print(f"\n{problem.name}: {problem.space.cutoffs} modes, t = {problem.t1}; error of the reference {error:.1e}")
    table(["scheme", f"s to {TARGET:.0e}", "least error", "in s", "order"], rows)
    mine, theirs = best(times, False), best(times, True)
    speedup = theirs[1] / mine[1] if mine and theirs else None
    print(f"To {TARGET:.0e}: ours {mine}, exponax {theirs}; {speedup and round(speedup, 2)} times faster.")
    return {
        "modes": problem.space.cutoffs, "t1": problem.t1, "reference error": error, "time to target": times,
        "best": {"ours": mine, "exponax": theirs}, "speedup": speedup, "points": found,
    }  # fmt: skip


def error_ratio(found: dict[str, list[dict]], steps: int) -> dict | None:
    """Error of exponax's order 4 over that of the same scheme of jaxsim, at the same number of steps."""
    at = {n: next((p["error"] for p in found.get(n, []) if p.get("steps") == steps), None)
          for n in ("ETDRK4", "exponax, order 4")}  # fmt: skip
    if None in at.values():
        return None
    return {"steps": steps, **at, "ratio": at["exponax, order 4"] / at["ETDRK4"]}


def extend(parser):
    parser.add_argument("--only", choices=("ns", "ks", "kdv"), action="append", help="problems to run, all by default")


def main():
    options = arguments(__doc__, precision=64, extend=extend)
    about = machine()
    heading("Work and precision", about, options)
    if peer("exponax") is None:
        print("note: exponax is not installed; its entries are missing.")
    makers = {"ns": navier_stokes, "ks": kuramoto_sivashinsky, "kdv": korteweg_de_vries}
    results = {}
    for key in options.only or makers:
        problem = makers[key](options.quick)
        _, error = reference(problem)
        found = entries(problem, options)
        plot(problem, found)
        results[key] = summary(problem, found, error)
        if key == "kdv":
            results[key]["error ratio"] = error_ratio(found, 100 if options.quick else 2000)
            print(f"Same scheme, same steps: {results[key]['error ratio']}")
    finish(
        "work_precision",
        options,
        about,
        {"target": TARGET, "goals": {"speedup": 3, "kdv error ratio": 1e6}, "problems": results},
    )


if __name__ == "__main__":
    main()
