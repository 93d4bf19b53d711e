"""Writes the tables of docs/benchmarks.md from the JSON files in benchmarks/results."""

import json
import pathlib
import re
import statistics
from typing import Any

from ._common import RESULTS, shown

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "benchmarks.md"
MIB = 2**20


def markdown(columns: list[str], rows: list[list[Any]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *([shown(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(result: dict) -> str:
    """The line that says where a result comes from."""
    about = result["machine"]
    device = f"{about['device']}, shared, load {about['load']}" if about["platform"] == "cpu" else about["device"]
    peers = result.get("peers", {n: about["versions"].get(n) for n in ("exponax", "jax-cfd")})
    versions = ", ".join(f"{n} {v}" for n, v in ({"jax": about["versions"]["jax"]} | peers).items() if v)
    return f"On {device}; float{result['precision']}; {versions}; medians of {result['repeats']}."


def both(ratios: dict) -> str | None:
    """The ratio of wall times, and in parentheses that of processor times."""
    if ratios["median"] is None:
        return None
    return f"{ratios['median']:.2f} ({ratios['processor']:.2f})"


def spectral_step(result: dict) -> str:
    rows = []
    for case in result["cases"]:
        times = case["seconds per step"]
        ms = {
            name: 1e3 * times[name]["median"] if name in times else None
            for name in (
                "ours, ETDRK4",
                "transforms alone",
                "exponax, equal modes",
                "exponax, equal nodes",
                "jax-cfd, equal modes",
            )
        }
        rows.append([
            "x".join([str(case["nodes"])] * case["dimension"]), case["modes"], *ms.values(),
            both(case["over transforms alone"]), both(case["over exponax, equal modes"]),
        ])  # fmt: skip
    counts = {case["dimension"]: case["transforms"] for case in result["cases"]}
    transforms = "; ".join(
        f"in {d} dimensions " + ", ".join(f"{n} {k}" for n, k in c.items()) for d, c in counts.items()
    )
    columns = ["nodes", "modes", "jaxsim ms", "transforms alone ms", "exponax, equal modes ms"]
    columns += ["exponax, equal nodes ms", "jax-cfd, equal modes ms"]
    columns += ["jaxsim / transforms (goal 1.5)", "jaxsim / exponax (goal 0.8)"]
    return (
        markdown(columns, rows)
        + f"\n\nTransforms of one scalar per step, counted in the compiled programs: {transforms}."
    )


def work_precision(result: dict) -> str:
    names = {"ns": "Navier-Stokes, 2-D", "ks": "Kuramoto-Sivashinsky", "kdv": "Korteweg-de Vries"}
    rows, notes = [], ""
    for key, entry in result["problems"].items():
        cells = [entry["best"][side] or [None, None] for side in ("ours", "exponax")]
        rows.append([names[key], entry["reference error"], *cells[0], *cells[1], entry["speedup"]])
        found = entry.get("error ratio")
        if found:
            notes = (
                f"\n\nThe soliton after {found['steps']} steps of ETDRK4: error {shown(found['ETDRK4'])} by jaxsim, "
                f"{shown(found['exponax, order 4'])} by exponax, {shown(found['ratio'])} times as large (goal 1e6)."
            )
    columns = ["problem", "error of the reference", "jaxsim's best", f"s to {result['target']:.0e}", "exponax's best",
               f"s to {result['target']:.0e} ", "exponax / jaxsim (goal 3)"]  # fmt: skip
    return markdown(columns, rows) + notes


def gradient(result: dict) -> str:
    cost = [
        [name, e["forward"]["median"], e["reverse"]["median"], e["ratio"], e["memory"]["reverse"] / MIB]
        for name, e in result["cost"].items()
    ]
    reach = [
        [
            r["steps"],
            "yes" if r["finite"] else "no",
            r["memory"] / MIB,
            r["exponax memory"] and r["exponax memory"] / MIB,
        ]
        for r in result["horizon"]
    ]
    errors = [[n, e["cosine"], e["median error"], e["max error"]] for n, e in result["accuracy"].items() if e]
    return "\n\n".join((
        f"{result['steps']} steps on {result['nodes']}² nodes; the default block is {result['default block']} steps.",
        markdown(["program", "forward s", "gradient s", "ratio (goal 4)", "memory MiB (goal 60)"], cost),
        markdown(["steps on 64² nodes", "finite", "memory MiB", "exponax, equal modes, MiB"], reach),
        markdown(["float64, 16² nodes, 20 steps", "cosine", "median relative error (goal 1e-6)", "worst"], errors),
    ))  # fmt: skip


def compile(result: dict) -> str:
    laps = ("import jax", "import", "first call")
    rows = [
        [f"{e['program']}, {e['nodes']}²", e["modes"], *(e[lap]["wall"] for lap in laps), e["first call"]["processor"]]
        for e in result["entries"]
    ]
    columns = ["program, nodes", "modes", "import of jax s", "import of the rest s", "first call s (goal 2)",
               "of that, processor s"]  # fmt: skip
    return markdown(columns, rows)


def reaction_diffusion(result: dict) -> str:
    rows = [
        [name, e["steps"], e["error"], e["median"], e["dense over it, median"], e["dense over it, min"], e["B + C"]]
        for name, e in result["routes"].items()
    ]
    goal, matrix = result["goal"], result["matrix"]
    columns = ["route", "steps", "error", "s", f"dense / it (goal {goal})", "of least times", "error of B + C"]
    return markdown(columns, rows) + (
        f"\n\nThe dense route was run {result['dense repeats']} times. One matrix and its factors take "
        f"{shown(matrix['dense']['median'])} s from {matrix['columns']} products, and "
        f"{shown(matrix['colored']['median'])} s from {matrix['colors']}. The error of the reference is "
        f"{shown(result['reference error'])}."
    )


def projection_step(result: dict) -> str:
    rows, milliseconds = [], lambda entry: None if entry is None else 1e3 * entry["median"]
    for case in result["cases"]:
        times, size = case["seconds per step"], "x".join([str(case["nodes"])] * case["dimension"])
        names = ("ours, periodic", "jax-cfd, periodic", "ours, walls")
        rows.append([size, *(milliseconds(times.get(n)) for n in names), both(case["over jax-cfd"]),
                     case["bytes per step"]["ours, periodic"] / MIB, case["over memory"]["ours, periodic"],
                     case["distance to jax-cfd"]])  # fmt: skip
    columns = ["cells", "jaxsim ms", "jax-cfd ms", "jaxsim, walls ms", "jaxsim / jax-cfd (goal 1)", "MiB per step",
               "jaxsim / copy of as much", "largest difference of velocities"]  # fmt: skip
    reverse = result["gradient"]
    cost = [
        [name, e["forward"]["median"], e["reverse"]["median"],
         both({"median": e["ratio"], "processor": e["processor ratio"]}), e["memory"] / MIB, e["state"] / MIB]
        for name, e in reverse.items() if isinstance(e, dict)
    ]  # fmt: skip
    return "\n\n".join((
        markdown(columns, rows),
        f"The copy moves {shown(result['bandwidth'] / 1e9)} GB/s. {reverse['steps']} steps on {reverse['nodes']}² "
        "cells, differentiated by the start:",
        markdown(["box", "forward s", "gradient s", "ratio (goal 4)", "memory MiB", "a state MiB"], cost),
    ))  # fmt: skip


def cavity(result: dict) -> str:
    keys = ("u min", "v max", "v min")
    rows = [[h["cells"], *(f"{h[key]:.5f}" for key in keys), h["time"], h["steps"], h["seconds"]]
            for h in result["history"]]  # fmt: skip
    columns = [f"Re = {result['reynolds']:g}, cells", *keys, "time units", "steps", "s"]
    text, off = markdown(columns, rows), result["deviation from Ghia et al."]
    if off:
        text += "\n\nFrom the tables of Ghia et al.: " + "; ".join(
            f"{n} {shown(off[f'{n}, largest'])} at most (at {off[f'{n}, at']}), {shown(off[f'{n}, mean square'])} in "
            "the mean square" for n in ("u", "v")
        ) + "."  # fmt: skip
    return text


def poisson(result: dict) -> str:
    text = []
    for amplitude in dict.fromkeys(case["amplitude"] for case in result["cases"]):
        cases = [case for case in result["cases"] if case["amplitude"] == amplitude]
        meshes = [f"{case['nodes']}²" for case in cases]
        rows = []
        for name in cases[-1]["entries"]:
            entries = [case["entries"][name] for case in cases]
            rows.append([
                f"{name} ({', '.join(m for m, e in zip(meshes, entries) if not e['success'])} failed)"
                if not all(e["success"] for e in entries) else name,
                *(e["iterations"] for e in entries),
                *(e["seconds"] and 1e3 * e["seconds"]["median"] for e in entries),
            ])  # fmt: skip
        columns = [f"contrast {cases[-1]['contrast']:.1f}", *(f"{m} iterations" for m in meshes),
                   *(f"{m} ms" for m in meshes)]  # fmt: skip
        text.append(markdown(columns, rows))
    worst = max(e["relative residual"] for case in result["cases"] for e in case["entries"].values())
    return "\n\n".join((
        *text, f"The largest relative residual at the end is {shown(worst)}, for a tolerance of {result['rtol']:.0e}.",
    ))  # fmt: skip


def neural_ode_step(result: dict) -> str:
    milliseconds = lambda entry: [1e3 * entry[key] for key in ("median", "min", "processor")]
    text = [f"Threads on both sides: {result['threads']}. In parentheses, ratios of processor times."]
    for case in result["cases"]:
        counts = case["evaluations"]
        over = lambda name, case=case: case["overhead"].get(name, {})
        forward = [[name, *milliseconds(e), *(over(name).get(key) for key in ("min", "processor"))]
                   for name, e in case["seconds"]["forward"].items()]  # fmt: skip
        columns = [f"{case['case']}: solve", "ms", "least ms", "processor ms", "least / diffrax (goal 1.05)",
                   "processor / diffrax"]  # fmt: skip
        training = [[name, *milliseconds(entry), case["distance"].get(f"gradient, {name}")]
                    for name, entry in case["seconds"]["training"].items()]  # fmt: skip
        steps = ["loss and gradient", "ms", "least ms", "processor ms", "gradient: distance to torchdiffeq"]
        faster = case["torchdiffeq / ours"]
        text += [markdown(columns, forward), markdown(steps, training)]
        text.append(
            f"{case['steps']} steps, {case['rejected']} of them rejected; evaluations of a solve: {counts['ours']} by "
            f"jaxsim, {counts.get('torchdiffeq, forward', '-')} by torchdiffeq."
        )
        if faster["discrete"]["median"] is not None:
            text.append(
                f"The relative distance of the solutions is {shown(case['distance']['solution'])}. torchdiffeq takes "
                f"{both(faster['discrete'])} times as long through its steps (goal 2), "
                f"{both(faster['discrete, bounded'])} times with a bound on steps, and {both(faster['continuous'])} "
                "times by the continuous adjoint."
            )
    return "\n\n".join(text)


def derivatives(result: dict) -> str:
    rows = []
    for name, ways in result["results"].items():
        for part in ("values", "gradient"):
            ms = [1e3 * ways[way][part]["median"] if way in ways else None for way in ("ours", "nested", "jet")]
            gain = {"median": ways["ours"][part]["speed-up"], "processor": ways["ours"][part]["processor speed-up"]}
            compiled = [ways[way][part]["compile"] for way in ("ours", "nested")]
            rows.append([f"{name}, {part}", *ms, both(gain), *compiled])
    columns = ["residual", "ms", "nested ms", "jet ms", "nested / ours", "to compile, s", "nested, s"]
    return markdown(columns, rows)


def pinn(result: dict) -> str:
    cases = [case for _, case in sorted(result["cases"].items())]
    rows = [
        [case["title"], case["goal"], case["error"], f"{shown(min(case['errors']))} to {shown(max(case['errors']))}",
         len(case["errors"]), case["reference error"] or "exact", case["seconds"], case["processor seconds"],
         case["classical seconds"]]
        for case in cases
    ]  # fmt: skip
    columns = ["problem", "goal", "relative error", "over seeds", "seeds", "error of the reference", "s",
               "s of processor", "classical solver, s"]  # fmt: skip
    recipes = "\n".join(f"- {case['title']}: {case['recipe']}." for case in cases)
    return markdown(columns, rows) + "\n\n" + recipes


def pinn_peers(result: dict) -> str:
    rows, recipes = [], {}
    for case in result["cases"].values():
        ours = case["entries"]["jaxsim"]["error"]
        for who, e in case["entries"].items():
            spread = f"{shown(min(r['error'] for r in e['runs']))} to {shown(max(r['error'] for r in e['runs']))}"
            rows.append([f"{case['title']}: {who}", e["error"], spread, e["error"] / ours, e["processor"], e["seconds"],
                         len(e["runs"]), case["reference error"], case["classical"]])  # fmt: skip
            recipes.setdefault(f"{who}: {e['recipe']}", []).append(case["title"])
    columns = ["problem and program", "error, median", "least to largest", "times jaxsim's (goal 10)", "processor s",
               "s", "seeds", "error of the reference", "classical solver s"]  # fmt: skip
    words = "\n".join(f"- {recipe} ({'; '.join(titles)})." for recipe, titles in recipes.items())
    worse = [f"{case['title']}, {who}: {words}, error {shown(error)}" for case in result["cases"].values()
             for who, tried in case["tried"].items() for words, error in tried.items()
             if words != case["entries"][who]["recipe"]]  # fmt: skip
    also = f"\n\nTried on seed 0 and worse: {'; '.join(worse)}." if worse else ""
    return f"{markdown(columns, rows)}\n\n{words}{also}"


def surrogate(result: dict) -> str:
    first, end, *_, last = map(str, result["steps"])
    middle = statistics.median
    rows = []
    for case in result["cases"].values():
        for name, e in case["entries"].items():
            ratios = case["over free"][last][name]
            spread = None if name == "free" else f"{middle(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            drifts = [middle(e[quantity][last]) if quantity in e else None for quantity in ("mass", "momentum")]
            rows.append([f"{case['title']}: {name}", *(middle(e["error"][n]) for n in (first, end, last)), spread,
                         middle(e["shape"][last]), *drifts, middle(e["processor seconds"])])  # fmt: skip
    columns = ["surrogate", "error after 1 step", f"{end} steps, as in the data", f"{last} steps",
               "of that, over free (least to largest)", "without the means", "drift of the mass", "of the momentum",
               "training, processor s"]  # fmt: skip
    own = "; ".join(f"{case['title']} {shown(case['error of the solver'])}" for case in result["cases"].values())
    return f"{markdown(columns, rows)}\n\nDifference of the solver to itself on half as many nodes, at most: {own}."


def constraints_learned(result: dict) -> str:
    text = []
    for case in result["cases"].values():
        keys = {"beyond": "beyond the times of training", "smooth": "smooth waves", "residual": "residual",
                "derivative": "of the derivative in the speed", "steps": "steps of the solve",
                "seconds": "training, processor s"}  # fmt: skip
        keys = {key: words for key, words in keys.items() if any(key in row for row in case["rows"])}
        spread = lambda row: f"{shown(min(row['errors']))} to {shown(max(row['errors']))}"
        seeds = max(len(row["errors"]) for row in case["rows"])
        rows = [[row["method"], row["error"], *([spread(row)] if seeds > 1 else []), *(row.get(key) for key in keys)]
                for row in case["rows"]]  # fmt: skip
        columns = [case["title"], "relative error", *([f"{seeds} seeds"] if seeds > 1 else []), *keys.values()]
        own = [row["reference"] for row in case["rows"] if row.get("reference")]
        own = f" Error of the reference: {shown(own[0])}." if own else ""
        theirs = ", ".join(f"{who} {100 * a:.3g} % and {100 * b:.3g} %" for who, (a, b) in case["published"].items())
        theirs = f" Published for the larger problem, within and beyond the times of training: {theirs}." * bool(theirs)
        text.append(f"{markdown(columns, rows)}\n\n{case['about'][0].upper()}{case['about'][1:]}.{own}{theirs}")
    return "\n\n".join(text)


def constraints(result: dict) -> str:
    gradients, layer = result["parts"]["gradients"], result["parts"]["layer"]
    names = ["jaxsim", "optimistix", "jaxopt LM", "jaxopt GN"]
    rows = [
        [f"{'curved' if c['curved'] else 'affine'}, float{c['bits']}, {c['condition']:.0e}"]
        + [c["errors"].get(name) for name in names]
        for c in gradients["cases"]
    ]
    errors = markdown(["residual, numbers, condition", *names], rows)
    rows = []
    milli = lambda timed: timed and 1e3 * timed["median"]
    for case in layer["cases"]:
        published = case["entries"].get("jaxopt")
        for name, e in case["entries"].items():
            over = published and both({
                key: published["gradient"].get(key, published["gradient"]["median"]) / e["gradient"][key]
                for key in ("median", "processor") if key in e["gradient"]
            } | ({} if "processor" in e["gradient"] else {"processor": 1.0}))  # fmt: skip
            rows.append([f"{case['points']} x {case['unknowns']}: {name}", milli(e["forward"]), milli(e["gradient"]),
                         over, e["memory"]["gradient"] / MIB, e["residual"]])  # fmt: skip
    times = markdown(["points x unknowns: program", "layer ms", "with its gradient ms",
                      "jaxopt over this, wall (processor), goal 3", "memory MiB", "residual"], rows)  # fmt: skip
    about = layer["memory"]
    kept = about["bytes"]
    held = markdown(["adjoint", "memory MiB", "implicit over this (goal 0.025)"],
                    [[name, count / MIB, kept["implicit"] / count] for name, count in kept.items()])  # fmt: skip
    thread = ", one thread" if layer["one thread"] else ""
    return (
        f"Relative error of a gradient, {gradients['rows']} rows and {gradients['unknowns']} unknowns (goal 1e-9 at a "
        f"condition of 1e6):\n\n{errors}\n\nTime of a layer (load {layer['load']}{thread}):\n\n{times}\n\n"
        f"Memory of a gradient, {about['points']} points, {about['unknowns']} unknowns, {about['steps']} steps:\n\n"
        f"{held}"
    )


def constraints_experts(result: dict) -> str:
    rows = []
    for e in result["entries"]:
        (windows, boxes), taken = e["counts"], e["seconds"]
        failed = windows * boxes - e["succeeded"]
        error = shown(e["error"]) + (f", {failed} not converged" if failed else "")
        times = [1e3 * taken[what][kind] for what in ("value", "gradient") for kind in ("median", "processor")]
        where = f"{windows} windows of {boxes}" if windows > 1 else boxes
        name = f"{e['functions']}, {e['coupling']}"
        rows.append([name, where, e["points"], e["unknowns"], error, e["steps"], *times])
    columns = ["each expert, coupling", "boxes", "points", "unknowns", "error", "steps", "value ms", "processor ms",
               "gradient ms", "processor ms "]  # fmt: skip
    return markdown(columns, rows)


def main():
    page = PAGE.read_text()
    for render in (spectral_step, work_precision, gradient, compile, reaction_diffusion, projection_step, cavity,
                   poisson, neural_ode_step, derivatives, pinn, pinn_peers, surrogate, constraints,
                   constraints_learned, constraints_experts):  # fmt: skip
        name = render.__name__
        files = sorted(f for f in RESULTS.glob("*.json") if re.fullmatch(rf"{name}(_\d+)?\.\w+\.json", f.name))
        results = [json.loads(file.read_text()) for file in files]
        text = "\n\n".join(f"{machine(r)}\n\n{render(r)}" for r in results) or "Not measured yet."
        block = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        if not block.search(page):
            raise ValueError(f"{PAGE.name} has no block <!-- {name} --> ... <!-- end -->.")
        page = block.sub(lambda match, text=text: match.group(1) + text + match.group(2), page)
    PAGE.write_text(page)
    print(f"wrote {PAGE.relative_to(pathlib.Path.cwd())}")


if __name__ == "__main__":
    main()
