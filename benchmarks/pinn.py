"""Physics-informed networks: error against references that are right, and time, beside the classical solver."""

import json
import os
import statistics
import time

# One thread: with other programs on the machine, more threads wait for each other.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import jax  # noqa: E402

from ._common import RESULTS, arguments, heading, machine, rounded, table  # noqa: E402


def options(parser):
    parser.add_argument("--case", action="append", help="only these, by name; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="networks trained for each case")


def measured(name: str, case, seeds: int) -> dict:
    """Errors and times of a case over seeds, as one line of JSON."""
    reference = case.reference()
    errors, wall, processor = [], [], []
    for seed in range(seeds):
        jax.clear_caches()  # each seed pays for its compilation
        start, busy = time.perf_counter(), time.process_time()
        field = case.solve(jax.random.key(seed))
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
        errors.append(reference.error_of(field))
        print(f"  {name}, seed {seed}: error {errors[-1]:.2e}, {wall[-1]:.0f} s, {processor[-1]:.0f} s of processor",
              flush=True)  # fmt: skip
    found = {
        "case": name,
        "title": case.title,
        "recipe": case.recipe,
        "goal": case.goal,
        "errors": errors,
        "error": statistics.median(errors),
        "reference error": reference.error,
        "seconds": statistics.median(wall),
        "processor seconds": statistics.median(processor),
        "classical seconds": reference.seconds,
        "machine": machine(),
    }
    print(json.dumps(rounded(found), allow_nan=False), flush=True)
    return found


def main():
    chosen = arguments(__doc__.splitlines()[0], precision=64, extend=options)
    from . import _pinn_cavity, _pinn_evolution, _pinn_steady, _pinn_walls  # after the precision is set

    cases = {**_pinn_evolution.CASES, **_pinn_steady.CASES, **_pinn_walls.CASES, **_pinn_cavity.CASES}

    about = machine()
    heading("Physics-informed networks", about, chosen)
    names = chosen.case or (["burgers"] if chosen.quick else list(cases))
    file = RESULTS / f"pinn.{about['platform']}.json"
    known = json.loads(file.read_text())["cases"] if file.exists() else {}
    for name in names:
        found = measured(name, cases[name], 1 if chosen.quick else chosen.seeds)
        if chosen.record:
            known = json.loads(file.read_text())["cases"] if file.exists() else {}
            known[name] = rounded(found)
            file.write_text(json.dumps(result(chosen, about, known)) + "\n")
        known[name] = rounded(found)
    rows = [[c["title"], c["goal"], c["error"], c["reference error"], c["seconds"], c["classical seconds"]]
            for c in known.values()]  # fmt: skip
    table(["case", "goal", "error", "of the reference", "seconds", "classical solver, s"], rows)
    print(json.dumps(result(chosen, about, known), allow_nan=False))


def result(chosen, about: dict, cases: dict) -> dict:
    return {"benchmark": "pinn", "machine": about, "precision": chosen.precision, "repeats": chosen.seeds,
            "quick": chosen.quick, "cases": cases}  # fmt: skip


if __name__ == "__main__":
    main()
