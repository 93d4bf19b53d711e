"""Time to the first step in a fresh process: imports, tracing and compilation, without a persistent cache."""

import json
import os
import statistics
import subprocess
import sys

import jaxsim as js

from . import _first_call, _flows
from ._common import arguments, finish, heading, machine, peer, table


def fresh(program: str, nodes: int, precision: int) -> dict:
    """Times of one fresh process."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION_CACHE")}
    command = [sys.executable, "-m", "benchmarks._first_call", program, str(nodes), str(precision)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    options = arguments(__doc__)
    about = machine()
    heading(f"First call of a rollout of {_first_call.STEPS} steps, 2-D vorticity, ETDRK4", about, options)
    entries = []
    for nodes in (32,) if options.quick else (128, 256):
        modes = js.Fourier(js.Grid((nodes, nodes))).cutoffs[0]
        programs = {"ours": nodes}
        if peer("exponax") is not None:
            programs["exponax"] = _flows.nodes_for_modes(modes)
        samples = {name: [] for name in programs}
        for _ in range(options.repeats):
            for name, n in programs.items():
                samples[name].append(fresh(name, n, options.precision))
        for name, laps in samples.items():
            times = {
                lap: {clock: statistics.median(s[lap][clock] for s in laps) for clock in ("wall", "processor")}
                for lap in laps[0]
            }
            least = min(s["first call"]["wall"] for s in laps)
            entries.append(
                {"program": name, "modes": modes, "nodes": programs[name], "least first call": least, **times}
            )
    laps = ("import jax", "import", "first call", "second call")
    rows = [
        [f"{e['program']}, {e['nodes']}^2 nodes", e["modes"], *(e[lap]["wall"] for lap in laps), e["least first call"],
         e["first call"]["processor"]]
        for e in entries
    ]  # fmt: skip
    table(["program", "modes", *(f"{lap} s" for lap in laps), "least first call s", "first call, processor s"], rows)
    if "exponax" not in {e["program"] for e in entries}:
        print("note: exponax is not installed; its entries are missing.")
    finish("compile", options, about, {"goals": {"first call": 2.0}, "steps": _first_call.STEPS, "entries": entries})


if __name__ == "__main__":
    main()
