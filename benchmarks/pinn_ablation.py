"""What matters for a physics-informed network: one recipe, and one thing changed at a time, in equal processor time."""

import json
import math
import os
import statistics
import time
from pathlib import Path

# One thread: with other programs on the machine, more threads wait for each other.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from ._common import RESULTS, arguments, finish, heading, machine, shown, table  # noqa: E402

POINTS = 1024


def options(parser):
    parser.add_argument("--seeds", type=int, default=2, help="networks trained for each recipe")
    parser.add_argument("--seconds", type=float, default=6.0, help="of processor for each training, beside compiling")
    parser.add_argument("--problem", action="append", help="only these, Allen-Cahn or KS")
    parser.add_argument("--variant", action="append", help="only recipes with these titles")
    parser.add_argument("--figure", type=Path, help="draw the results to this file")


def trained(variant, problem, key, seconds: float):
    """A network after some seconds of processor, and how many steps these were."""
    from jaxsim import optimize, pinn

    from ._pinn_ablation_variants import CHUNKS, EPSILONS

    model, blocks = variant.prepared(problem, POINTS, key)
    first = float(eqx.filter_jit(optimize.total_loss)(blocks, model))

    def advanced(model, state, blocks, stage):
        rules = ()
        if variant.causal:
            rules = (pinn.Causality(pinn.CausalWeights(EPSILONS[stage] / first, CHUNKS)),)
        return optimize.train(blocks, model, variant.method, variant.every, state=state, rules=rules,
                              every=variant.every, throw=False)  # fmt: skip

    done = advanced(model, None, blocks, 0)  # to compile; training begins anew
    state, steps, stage, start, last = None, 0, 0, time.process_time(), None
    while (part := (time.process_time() - start) / seconds) < 1:
        state = annealed(state, part)
        done = advanced(model, state, blocks, stage)
        model, state = done.model, done.state
        steps += done.steps
        last = float(done.losses[-1]) if done.steps else last
        if done.status is optimize.Status.DIVERGED:
            break
        certified = variant.causal and bool(pinn.satisfied(done.blocks, model))
        due = part > (stage + 1) / len(EPSILONS)
        if variant.causal and (certified or due) and stage + 1 < len(EPSILONS):
            stage += 1
    return model, steps, last, time.process_time() - start


def annealed(state, part: float):
    """The state of a first-order method, with the factor of its steps for this part of the training."""
    from jaxsim.optimize import FirstOrderState

    if not isinstance(state, FirstOrderState):
        return state
    factor = 0.5 * (1 + math.cos(math.pi * part))
    where = lambda s: s.optimizer[-1].hyperparams["step_size"]
    return eqx.tree_at(where, state, jnp.asarray(factor, where(state).dtype))


def measured(variant, problem, reference, seeds: int, seconds: float) -> dict:
    """Errors of a recipe over seeds."""
    jax.clear_caches()
    errors, steps, losses, busy = [], [], [], []
    for seed in range(seeds):
        model, count, loss, spent = trained(variant, problem, jax.random.key(seed), seconds)
        errors.append(reference.error_of(model))
        steps.append(count)
        losses.append(loss)
        busy.append(spent)
    found = {"group": variant.group, "title": variant.title, "errors": errors, "error": statistics.median(errors),
             "steps": steps, "losses": losses, "processor seconds": statistics.median(busy)}  # fmt: skip
    print(f"  {problem.title}, {variant.title}: errors {', '.join(f'{e:.1e}' for e in errors)}; "
          f"{steps} steps; losses {', '.join(shown(v) for v in losses)}", flush=True)  # fmt: skip
    return found


def draw(path: Path, cases: dict):
    """Errors as points, one row per recipe and one panel per problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(cases), figsize=(5.2 * len(cases) + 1, 5.6), sharey=True,
                                constrained_layout=True, squeeze=False)  # fmt: skip
    colors = {"base": "black", "causality": "tab:purple", "conditions": "tab:red", "optimizer": "tab:blue",
              "network": "tab:green"}  # fmt: skip
    for axis, case in zip(axes[0], cases.values()):
        place, before, ticks = 0.0, None, []
        for found in case["recipes"]:
            place += 1.0 if found["group"] == before else 1.7
            before = found["group"]
            color = colors[found["group"]]
            axis.plot([min(found["errors"]), max(found["errors"])], [place] * 2, color=color, lw=1.5, alpha=0.5)
            axis.plot(found["errors"], [place] * len(found["errors"]), "o", color=color, ms=6, alpha=0.85)
            ticks.append((place, found["title"], color))
        axis.axvline(case["recipes"][0]["error"], color="0.7", lw=1, zorder=0)
        axis.set(xscale="log", xlabel="relative L2 error", title=case["title"])
        axis.grid(axis="x", alpha=0.3)
        axis.set_yticks([p for p, _, _ in ticks], [t for _, t, _ in ticks])
    for label, (_, _, color) in zip(axes[0][0].get_yticklabels(), ticks):
        label.set_color(color)
    axes[0][0].invert_yaxis()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main():
    chosen = arguments(__doc__.splitlines()[0], precision=64, extend=options)
    from ._pinn_ablation_variants import problems, variants  # after the precision is set

    about = machine()
    heading("Ablation of physics-informed networks", about, chosen)
    seeds, seconds = (1, 0.5) if chosen.quick else (chosen.seeds, chosen.seconds)
    cases = {}
    for name, problem in problems().items():
        if chosen.problem and name not in chosen.problem:
            continue
        reference = problem.reference()
        wanted = [v for v in variants() if not chosen.variant or v.title in chosen.variant]
        recipes = []
        cases[name] = {"title": problem.title, "reference error": reference.error, "seconds": seconds, "points": POINTS,
                       "recipes": recipes}  # fmt: skip
        for variant in wanted[:3] if chosen.quick else wanted:
            recipes.append(measured(variant, problem, reference, seeds, seconds))
    table(["recipe", "error", "worst", "steps"],
          [[f"{name}: {r['title']}", r["error"], max(r["errors"]), r["steps"][0]]
           for name, case in cases.items() for r in case["recipes"]])  # fmt: skip
    file = RESULTS / f"pinn_ablation.{about['platform']}.json"
    if chosen.problem and chosen.record and file.exists():  # what other runs found for other problems
        cases = {**json.loads(file.read_text())["cases"], **cases}
    if chosen.figure:
        draw(chosen.figure, cases)
    finish("pinn_ablation", chosen, about, {"cases": cases})


if __name__ == "__main__":
    main()
