"""Writes the tables of docs/regularization.md and its pictures from the recorded study."""

import json
import pathlib
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from ._common import RESULTS, shown  # noqa: E402
from .report import machine, markdown  # noqa: E402

DOCS = pathlib.Path(__file__).parents[1] / "docs"


def ranking(result: dict) -> str:
    """For every task, the cheapest weight of each kind whose score is that of the plain model."""
    text = []
    for name, task in result["tasks"].items():
        found = {(row["kind"], row["weight"]): row for row in task["rows"]}
        rows = []
        for kind, weight in task["best"]:
            row = found[kind, weight]
            rows.append([
                kind, "-" if kind == "none" else shown(weight),
                f"{shown(row['score'])} ± {shown(row['deviation'])}", f"{row['evaluations']:.1f}",
                row["evaluations, ratio"], 1 / row["predict s, ratio"], row["train s, ratio"],
            ])  # fmt: skip
        lost = sorted({row["kind"] for row in task["rows"]} - {kind for kind, _ in task["best"]})
        worse = f"\n\nOf worse score at every weight: {', '.join(lost)}." if lost else ""
        columns = ["kind", "weight", task["score"], "evaluations", "ratio (goal 0.55)",
                   "prediction, times faster (goal 1.3)", "training time, ratio (goal 1)"]  # fmt: skip
        title = f"**{name.capitalize()}**: {task['about']}; {task['steps']} steps."
        text.append(f"{title}\n\n{markdown(columns, rows)}{worse}")
    return "\n\n".join(text)


def everything(result: dict) -> str:
    """All kinds and weights of all tasks."""
    text = []
    for name, task in result["tasks"].items():
        rows = []
        for row in task["rows"]:
            score = f"{shown(row['score'])} ± {shown(row['deviation'])}" if row["seeds"] else "-"
            rows.append([row["kind"], "-" if row["kind"] == "none" else shown(row["weight"]), score,
                         row.get("evaluations, ratio"), row.get("predict s, ratio"), row.get("train s, ratio"),
                         row.get("train loss"), row["seeds"], row["failed"]])  # fmt: skip
        columns = ["kind", "weight", task["score"], "evaluations, ratio", "prediction time, ratio",
                   "training time, ratio", "loss in training", "seeds", "failed"]  # fmt: skip
        text.append(f"**{name.capitalize()}**\n\n{markdown(columns, rows)}")
    return "\n\n".join(text)


def picture(result: dict, key: str, label: str, out: pathlib.Path):
    """Scores against a cost, one panel for each task, one line for each kind."""
    tasks = result["tasks"]
    figure, axes = plt.subplots(2, (len(tasks) + 1) // 2, figsize=(11, 8), layout="constrained", squeeze=False)
    kinds = list(dict.fromkeys(row["kind"] for task in tasks.values() for row in task["rows"]))
    styles = {k: {"color": f"C{n - 1}" if n else "black", "marker": "o^svDP*Xd<>"[n]} for n, k in enumerate(kinds)}
    for axis in axes.flat[len(tasks) :]:
        axis.remove()
    for axis, (name, task) in zip(axes.flat, tasks.items()):
        for kind in kinds:
            rows = [row for row in task["rows"] if row["kind"] == kind and row["seeds"]]
            scores, deviations = ([row[k] for row in rows] for k in ("score", "deviation"))
            axis.errorbar([row[key] for row in rows], scores, deviations, lw=0.8, ms=6, capsize=2, label=kind,
                          **styles[kind])  # fmt: skip
        plain = next(row for row in task["rows"] if row["kind"] == "none")
        axis.axhspan(plain["score"] - plain["deviation"], plain["score"] + plain["deviation"], color="0.9", zorder=0)
        if task["lower"]:
            axis.set_yscale("log")
        axis.set(title=name, xlabel=label, ylabel=task["score"])
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5)
    figure.savefig(out, dpi=110)
    plt.close(figure)


def main():
    page = DOCS / "regularization.md"
    (file,) = sorted(RESULTS.glob("regularization.*.json"))
    result = json.loads(file.read_text())
    text = page.read_text()
    for name, found in {"ranking": f"{machine(result)}\n\n{ranking(result)}", "everything": everything(result)}.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        if not block.search(text):
            raise ValueError(f"{page.name} has no block <!-- {name} --> ... <!-- end -->.")
        text = block.sub(lambda match, found=found: match.group(1) + found + match.group(2), text)
    page.write_text(text)
    picture(result, "evaluations", "evaluations on held-out data", DOCS / "images" / "regularization_evaluations.png")
    picture(result, "train s", "training, processor seconds", DOCS / "images" / "regularization_training.png")
    print(f"wrote {page.name} and two pictures")


if __name__ == "__main__":
    main()
