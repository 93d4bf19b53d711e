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

# For each problem, who solves it by which recipe. The better of a peer's recipes, tried on one seed, is the one here.
ENTRIES = {
    "burgers sharp": {"jaxsim": "same", "DeepXDE": "hard, fewer points", "jinns": "hard, natural gradient"},
    "allen-cahn": {"jaxsim": "same", "jaxsim, reaction built in": "reaction", "DeepXDE": "hard, fewer points",
                   "jinns": "hard, natural gradient"},
    "burgers": {"jaxsim": "same", "DeepXDE": "hard, fewer points", "jinns": "hard, natural gradient"},
}  # fmt: skip


def options(parser):
    parser.add_argument("--problem", action="append", help="only these, by name; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="networks trained for each entry")
    parser.add_argument("--first", type=int, default=0, help="the first seed; those before are kept from the record")
    parser.add_argument("--budget", type=float, default=40.0, help="processor seconds for each network")
    parser.add_argument("--recipe", action="append", default=[], metavar="WHO=NAME", help="instead of the one chosen")


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


def summarized(entry: dict) -> dict:
    """An entry with the medians of its runs."""
    runs = entry["runs"]
    return entry | {key: statistics.median(run[key] for run in runs) for key in ("error", "processor", "seconds")}


def kept(file, problems) -> dict:
    """What was recorded before, of these problems."""
    known = json.loads(file.read_text())["cases"] if file.exists() else {}
    return {name: case for name, case in known.items() if name in problems}


def measure(chosen, names: list[str], about: dict, data: dict):
    """All seeds, problem by problem; kept after each network where that is asked for."""
    from ._pinn_peers_problem import PROBLEMS

    solvers, references = programs(), {}
    other = dict(pair.split("=", 1) for pair in chosen.recipe)
    for seed in range(chosen.first, 1 if chosen.quick else chosen.seeds):
        for name in names:
            problem = PROBLEMS[name]
            reference = references.setdefault(name, None) or problem.reference()
            references[name] = reference
            case = data["cases"].setdefault(name, {"entries": {}})
            case |= {"title": problem.title, "reference error": reference.error, "classical": reference.seconds}
            for who, recipe in ENTRIES[name].items():
                program = solvers.get(who.split(",")[0])
                if program is None:
                    continue
                recipe = other.get(who, recipe)
                words = program.RECIPES[recipe]
                entry = case["entries"].get(who)
                if entry is None or entry["recipe"] != getattr(words, "words", words) or seed == 0:
                    entry = {"recipe": getattr(words, "words", words), "runs": []}
                run = trained(program, problem, recipe, seed, chosen.budget, reference)
                entry["runs"] = [r for r in entry["runs"] if r["seed"] != seed] + [run]
                case["entries"][who] = summarized(entry)
                print(f"{name}, seed {seed}, {who}: " + ", ".join(f"{k} {v:.3g}" for k, v in run.items()), flush=True)
                if chosen.record:
                    keep(about, chosen, data)


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
        chosen.budget = 6.0
    about, names = machine(), chosen.problem or (["burgers"] if chosen.quick else list(ENTRIES))
    heading("Physics-informed networks beside peers", about, chosen)
    data = {"peers": versions(), "budget": chosen.budget, "repeats": chosen.seeds, "cases": {}}
    if chosen.first or chosen.problem:
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
