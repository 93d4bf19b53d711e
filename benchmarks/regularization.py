"""Regularizers of neural differential equations ranked: score, evaluations and time over weights and seeds."""

import dataclasses
import json
import os
import pathlib
import statistics
import tempfile
import time

# One thread: with other programs on the machine, more threads wait for each other, and time is processor time.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402

from jaxsim import neural_de as nde  # noqa: E402

from ._common import arguments, finish, heading, interleaved, machine, table  # noqa: E402
from ._regularization_tasks import TASKS, Task  # noqa: E402

# From a weight to a regularizer and the weight of its penalty; for a random end, the weight is the spread.
KINDS = {
    "none": lambda w: (None, 0.0),
    "error": lambda w: (nde.GlobalError(), w),
    "squared error": lambda w: (nde.GlobalError(2), w),
    "stiffness": lambda w: (nde.GlobalStiffness(), w),
    "steps": lambda w: (nde.StepCount(), w),
    "local": lambda w: (nde.LocalError(), w),
    "local accepted": lambda w: (nde.LocalError(accepted=True), w),
    "local stiffness": lambda w: (nde.LocalStiffness(), w),
    "random end": lambda w: (nde.RandomEnd(w), 0.0),
    "kinetic": lambda w: (nde.KineticEnergy(3), w),
    "kinetic, order 1": lambda w: (nde.KineticEnergy(1), w),
}
EQUAL = 0.5  # percent of accuracy that count as equal


def split(task: Task, key):
    return eqx.partition(task.model(key), eqx.is_inexact_array)


def trainer(task: Task, kind: str):
    """A compiled program from a weight and a key to trained parameters and the last losses."""

    def train(weight, key):
        regularizer, weight = KINDS[kind](weight)
        how = dataclasses.replace(task.integrator, regularizer=regularizer)
        start, loop = jax.random.split(key)
        parameters, rest = split(task, start)

        def objective(parameters, key):
            loss, penalty = task.loss(eqx.combine(parameters, rest), how, key)
            return loss + weight * penalty, loss

        def step(carry, key):
            parameters, state = carry
            (_, loss), gradient = jax.value_and_grad(objective, has_aux=True)(parameters, key)
            update, state = task.optimizer.update(gradient, state, parameters)
            return (optax.apply_updates(parameters, update), state), loss

        carry = parameters, task.optimizer.init(parameters)
        (parameters, _), losses = jax.lax.scan(step, carry, jax.random.split(loop, task.steps))
        return parameters, losses

    return jax.jit(train).lower(jnp.float32(0), jax.random.key(0)).compile()


def train_all(name: str, task: Task, kinds, seeds, folder: pathlib.Path):
    """Train whatever `folder` does not have yet; every run is a line of a file and a file of parameters."""
    log = folder / "runs.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(entry["task"], entry["kind"], entry["weight"], entry["seed"]) for entry in done}
    for kind in kinds:
        weights = (0.0,) if kind == "none" else task.weights.get(kind, ())
        runs = [(w, s) for w in weights for s in seeds if (name, kind, w, s) not in done]
        program = trainer(task, kind) if runs else None
        for weight, seed in runs:
            entry = {"task": name, "kind": kind, "weight": weight, "seed": seed}
            entry["file"] = "-".join(map(str, entry.values())) + ".eqx"
            wall, start = time.perf_counter(), time.process_time()
            try:
                parameters, losses = jax.block_until_ready(program(jnp.float32(weight), jax.random.key(seed)))
            except jax.errors.JaxRuntimeError as error:  # more steps than allowed
                entry |= {"failed": "too many steps" if "maximum number" in str(error) else "diverged"}
            else:
                entry |= {"train s": time.process_time() - start, "train wall s": time.perf_counter() - wall,
                          "train loss": float(losses[-20:].mean())}  # fmt: skip
                eqx.tree_serialise_leaves(folder / entry["file"], parameters)
            with log.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            print(entry, flush=True)


def judge(name: str, task: Task, kinds, seeds, folder: pathlib.Path, repeats: int) -> list[dict]:
    """Measures and prediction times of all trained models, which take turns."""
    entries = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    entries = [e for e in entries if e["task"] == name and e["kind"] in kinds and e["seed"] in seeds]
    parameters, rest = split(task, jax.random.key(0))
    predict = jax.jit(lambda p: task.predict(eqx.combine(p, rest), task.integrator))
    calls = {}
    for number, entry in enumerate(entries):
        file = folder / entry.pop("file")
        if "failed" not in entry:
            own = eqx.tree_deserialise_leaves(file, parameters)
            calls[number] = lambda own=own: predict(own)
            entry |= {key: float(value) for key, value in calls[number]().items()}
    for number, spent in interleaved(calls, repeats).items():
        entries[number] |= {"predict s": spent["processor"], "predict wall s": spent["median"]}
    return entries


def summarize(task: Task, entries: list[dict]) -> list[dict]:
    """Means over seeds for each kind and weight, and ratios to the plain model."""
    groups: dict[tuple, list[dict]] = {}
    for entry in entries:
        groups.setdefault((entry["kind"], entry["weight"]), []).append(entry)
    plain, rows = None, []
    for (kind, weight), runs in groups.items():
        good = [run for run in runs if "failed" not in run]
        row = {"kind": kind, "weight": weight, "seeds": len(good), "failed": len(runs) - len(good)}
        if good:
            mean = lambda key, good=good: statistics.fmean(run[key] for run in good)
            scores = [run[task.score] for run in good]
            row |= {"score": mean(task.score), "deviation": statistics.stdev(scores) if len(scores) > 1 else 0.0}
            row |= {key: mean(key) for key in ("evaluations", "predict s", "train s", "train loss")}
            plain = row if kind == "none" else plain
            if plain is not None:
                row |= {f"{key}, ratio": row[key] / plain[key] for key in ("evaluations", "predict s", "train s")}
                worse = (row["score"] - plain["score"]) * (1 if task.lower else -1)
                row["equal"] = worse <= max(plain["deviation"], row["deviation"], 0 if task.lower else EQUAL)
        rows.append(row)
    return sorted(rows, key=lambda row: (list(KINDS).index(row["kind"]), row["weight"]))


def best(rows: list[dict]) -> list[dict]:
    """The cheapest weight of each kind among those of equal score; cheapest kinds first, then those trained fastest."""
    cost = lambda row: (row["evaluations"], row["train s"])
    found = {}
    for row in rows:
        if row.get("equal") and row["failed"] == 0:
            held = found.get(row["kind"])
            if held is None or cost(row) < cost(held):
                found[row["kind"]] = row
    return sorted(found.values(), key=cost)


def show(name: str, task: Task, rows: list[dict]):
    print(f"\n{name}: {task.about}; {task.steps} steps")
    columns = ["kind", "weight", task.score, "deviation", "evaluations", "ratio", "predict ms", "ratio", "train s",
               "ratio", "equal"]  # fmt: skip
    table(columns, [
        [row["kind"], row["weight"], row.get("score"), row.get("deviation"), row.get("evaluations"),
         row.get("evaluations, ratio"), row and 1e3 * row.get("predict s", float("nan")), row.get("predict s, ratio"),
         row.get("train s"), row.get("train s, ratio"), {True: "yes", False: "no"}.get(row.get("equal"))]
        for row in rows
    ])  # fmt: skip


def options_of(parser):
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--folder", type=pathlib.Path, help="where runs are kept; what is there is not run again")


def main():
    options = arguments(__doc__, extend=options_of)
    about, results = machine(), {}
    heading("Regularizers of neural differential equations, one thread", about, options)
    folder = pathlib.Path(tempfile.mkdtemp()) if options.folder is None else options.folder
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(1 if options.quick else options.seeds)
    for name in options.tasks:
        task = TASKS[name]()
        if options.quick:
            task = task._replace(steps=10, weights={kind: weights[:1] for kind, weights in task.weights.items()})
        train_all(name, task, options.kinds, seeds, folder)
        entries = judge(name, task, options.kinds, seeds, folder, options.repeats)
        rows = summarize(task, entries)
        show(name, task, rows)
        results[name] = {"about": task.about, "score": task.score, "lower": task.lower, "steps": task.steps,
                         "rows": rows, "best": [[row["kind"], row["weight"]] for row in best(rows)],
                         "runs": entries}  # fmt: skip
    finish("regularization", options, about, {"seeds": len(seeds), "tasks": results})


if __name__ == "__main__":
    main()
