"""Physics-informed networks beside DeepXDE and jinns, at equal processor time on one thread."""

import os

# One thread: with other programs on the machine, more threads wait for each other.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gc  # noqa: E402
import importlib.metadata  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import warnings  # noqa: E402

import jax  # noqa: E402

from ._common import RESULTS, arguments, finish, heading, machine, rounded, table  # noqa: E402

# For each problem, who solves it by which recipe: the best of those tried on seed 0 (`--try`).
ENTRIES = {
    "burgers sharp": {"jaxsim": "same", "DeepXDE": "hard, fewer points", "jinns": "hard, natural gradient"},
    "allen-cahn": {"jaxsim": "same", "jaxsim, reaction built in": "reaction", "DeepXDE": "hard, fewer points",
                   "jinns": "hard, natural gradient"},
    "burgers": {"jaxsim": "damped", "DeepXDE": "hard, fewer points", "jinns": "hard, natural gradient"},
}  # fmt: skip


def options(parser):
    parser.add_argument("--problem", action="append", help="only these, by name; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="networks trained for each entry")
    parser.add_argument("--first", type=int, default=0, help="the first seed; those before are kept from the record")
    parser.add_argument("--budget", type=float, default=40.0, help="processor seconds for each network")
    parser.add_argument("--only", action="append", metavar="WHO", help="these entries; all by default")
    parser.add_argument("--try", dest="recipe", metavar="NAME", help="a recipe instead of the one chosen, on seed 0")


def programs() -> dict:
    """Those that are installed."""
    from . import _pinn_peers_deepxde, _pinn_peers_jinns, _pinn_peers_ours

    found = {"jaxsim": _pinn_peers_ours}
    for name, module in (("DeepXDE", _pinn_peers_deepxde), ("jinns", _pinn_peers_jinns)):
        if module.load() is None:
            print(f"{name} is not installed.")
        else:
            found[name] = module
    return found


def trained(program, problem, recipe: str, seed: int, budget: float, reference) -> dict:
    """One network."""
    from ._pinn_peers_problem import Clock
    from ._pinn_references import relative

    jax.clear_caches()  # each network pays for its compilation
    gc.collect()
    clock = Clock(budget)
    (values,), steps = program.train(problem, recipe, seed, clock, reference.points)
    return {"seed": seed, "error": relative(values, reference.values), "processor": clock.spent, "seconds": clock.wall,
            "steps": steps}  # fmt: skip


def kept(file, problems) -> dict:
    """What was recorded before, of these problems."""
    known = json.loads(file.read_text())["cases"] if file.exists() else {}
    return {name: case for name, case in known.items() if name in problems}


def measure(chosen, names: list[str], about: dict, data: dict):
    """Problem by problem for each seed; kept after each network where that is asked for."""
    from ._pinn_peers_problem import PROBLEMS

    solvers, references = programs(), {}
    for seed in range(chosen.first, 1 if chosen.quick or chosen.recipe else chosen.seeds):
        for name in names:
            problem = PROBLEMS[name]
            reference = references[name] = references.get(name) or problem.reference()
            case = data["cases"].setdefault(name, {"entries": {}, "tried": {}})
            case |= {"title": problem.title, "reference error": reference.error, "classical": reference.seconds}
            for who, recipe in ENTRIES[name].items():
                program = solvers.get(who.split(",")[0])
                if program is None or who not in (chosen.only or ENTRIES[name]):
                    continue
                recipe = chosen.recipe or recipe
                run = trained(program, problem, recipe, seed, chosen.budget, reference)
                enter(case, who, program.RECIPES[recipe], run)
                data["repeats"] = max(len(e["runs"]) for c in data["cases"].values() for e in c["entries"].values())
                print(f"{name}, {who}, {recipe}: " + ", ".join(f"{k} {v:.3g}" for k, v in run.items()), flush=True)
                if chosen.record:
                    keep(about, chosen, data)


def enter(case: dict, who: str, recipe, run: dict):
    """Add a run to a case. Of several recipes, the one with the least error on seed 0 is kept."""
    words = getattr(recipe, "words", recipe)
    tried, entry = case["tried"].setdefault(who, {}), case["entries"].get(who)
    if run["seed"] == 0:
        tried[words] = run["error"]
        if entry is not None and entry["recipe"] != words and run["error"] > tried[entry["recipe"]]:
            return
    runs = entry["runs"] if entry is not None and entry["recipe"] == words else []
    runs = [other for other in runs if other["seed"] != run["seed"]] + [run]
    medians = {key: statistics.median(r[key] for r in runs) for key in ("error", "processor", "seconds")}
    case["entries"][who] = {"recipe": words, "runs": runs} | medians


def keep(about: dict, chosen, data: dict):
    """Write what is known so far, as `finish` does at the end."""
    result = {"benchmark": "pinn_peers", "machine": about, "precision": 64, "quick": chosen.quick, **data}
    (RESULTS / f"pinn_peers.{about['platform']}.json").write_text(json.dumps(rounded(result), allow_nan=False) + "\n")


def versions() -> dict:
    found = {}
    for name in ("deepxde", "jinns", "torch"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def main():
    chosen = arguments(__doc__.splitlines()[0], precision=64, extend=options)
    if chosen.precision != 64:
        raise SystemExit("pinn_peers: all entries work in double precision.")
    warnings.filterwarnings("ignore", module="jinns")  # it warns of soft conditions that hard ones make needless
    if chosen.quick:
        chosen.budget = 3.0
    about, names = machine(), chosen.problem or (["burgers"] if chosen.quick else list(ENTRIES))
    heading("Physics-informed networks beside peers", about, chosen)
    data = {"peers": versions(), "budget": chosen.budget, "cases": {}}
    if chosen.first or chosen.problem or chosen.only:
        data["cases"] = kept(RESULTS / f"pinn_peers.{about['platform']}.json", ENTRIES)
    measure(chosen, names, about, data)
    rows = []
    for case in data["cases"].values():
        ours = case["entries"]["jaxsim"]["error"]
        rows += [[f"{case['title']}: {who}", e["error"], e["error"] / ours, e["processor"], e["seconds"],
                  len(e["runs"])] for who, e in case["entries"].items()]  # fmt: skip
    table(["problem and program", "error", "times jaxsim's", "processor s", "s", "seeds"], rows)
    finish("pinn_peers", chosen, about, data)


if __name__ == "__main__":
    main()
