"""Functions made by networks, with weights for which equations hold: errors beside penalties and fixed functions."""

import json
import os
import statistics
import time
from collections.abc import Callable

# One thread: with other programs on the machine, more threads wait for each other. The pool is wider, since batched
# LAPACK calls of jaxlib 0.10 block a thread of it each, and two of them at once would wait forever on two cores.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.environ.setdefault("NPROC", "8")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from ._common import RESULTS, arguments, heading, machine, rounded, table  # noqa: E402


def options(parser):
    parser.add_argument("--case", action="append", help="only these, by name; all by default")
    parser.add_argument("--seeds", type=int, default=2, help="networks trained for each case")


def measured(name: str, case, seeds: int, keep: Callable[[dict], None]) -> dict:
    """Rows of a case, each with its errors over seeds; kept after each seed."""
    about, start, busy, found = machine(), time.perf_counter(), time.process_time(), {}
    methods: dict[str, list[dict]] = {}
    for seed in range(seeds if case.random else 1):
        print(f"{name}, seed {seed}", flush=True)
        for row in case.study(seed):
            methods.setdefault(row["method"], []).append(row)
        found = rounded({
            "case": name,
            "title": case.title,
            "about": case.about,
            "published": case.published,
            "rows": [_over_seeds(rows) for rows in methods.values()],
            "seconds": time.perf_counter() - start,
            "processor seconds": time.process_time() - busy,
            "machine": about,
        })  # fmt: skip
        keep(found)
    print(json.dumps(found, allow_nan=False), flush=True)
    return found


def _over_seeds(rows: list[dict]) -> dict:
    """The medians of all numbers, and the errors of all seeds."""
    numbers = {key: statistics.median(row[key] for row in rows) for key, value in rows[0].items()
               if isinstance(value, (int, float))}  # fmt: skip
    return {"method": rows[0]["method"], **numbers, "errors": [row["error"] for row in rows]}


def main():
    chosen = arguments(__doc__.splitlines()[0], precision=64, extend=options)
    from ._constraints_cases import CASES  # after the precision is set

    about = machine()
    heading("Constraint layers with learned functions", about, chosen)
    file = RESULTS / f"constraints_learned.{about['platform']}.json"
    read = lambda: json.loads(file.read_text())["cases"] if file.exists() else {}
    known = read()
    for name in chosen.case or (["transport"] if chosen.quick else list(CASES)):

        def keep(found, name=name):
            known.update(read() if chosen.record else {}, **{name: found})
            known.update({each: known.pop(each) for each in CASES if each in known})  # in their order
            if chosen.record:
                file.write_text(json.dumps(result(chosen, about, known)) + "\n")

        found = measured(name, CASES[name], 1 if chosen.quick else chosen.seeds, keep)
        table(["method", "relative error", "over instances", "s of training"],
              [[r["method"], r["error"], r.get("spread"), r.get("seconds")] for r in found["rows"]])  # fmt: skip
    print(json.dumps(result(chosen, about, known), allow_nan=False))


def result(chosen, about: dict, cases: dict) -> dict:
    return {"benchmark": "constraints_learned", "machine": about, "precision": chosen.precision,
            "repeats": chosen.seeds, "quick": chosen.quick, "cases": cases}  # fmt: skip


if __name__ == "__main__":
    main()
