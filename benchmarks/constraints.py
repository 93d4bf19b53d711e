"""Hard constraints: the error of gradients, the time and memory of layers, experts and learned dictionaries."""

import importlib
import json
import os
from importlib.metadata import version

from ._common import RESULTS, arguments, finish, heading, machine, peer

# Each part is a module `_constraints_<name>` with `measure(options) -> dict` and `show(result)`.
PARTS = ("gradients", "layer")


def _extend(parser):
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, help="which parts to measure")


def main():
    options = arguments(__doc__, precision=64, extend=_extend)
    about = machine()
    heading("Hard constraints", about, options)
    for name in ("optimistix", "jaxopt"):
        if peer(name) is None:
            print(f"note: {name} is not installed; its entries are missing.")
    single = "intra_op_parallelism_threads=1" in os.environ.get("XLA_FLAGS", "")
    path = RESULTS / f"constraints.{about['platform']}.json"
    # A part that is not measured this time is kept as it was, with the load that it was measured under.
    found = json.loads(path.read_text()).get("parts", {}) if options.record and path.exists() else {}
    for name in options.parts:
        part = importlib.import_module(f"benchmarks._constraints_{name}")
        load = machine()["load"]
        result = part.measure(options)
        part.show(result)
        found[name] = {"load": load, "one thread": single, **result}
    peers = {name: peer(name) and version(name) for name in ("optimistix", "jaxopt")}
    goals = {"gradient error at condition 1e6": 1e-9, "times jaxopt": 3, "implicit over unrolled memory": 1 / 40}
    finish("constraints", options, about, {"goals": goals, "peers": peers, "parts": found})


if __name__ == "__main__":
    main()
