"""What the benchmarks share: arguments, timing in turns, the machine, tables and the closing line of JSON."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

RESULTS = pathlib.Path(__file__).parent / "results"
PACKAGES = ("jax", "jaxlib", "equinox", "diffrax", "exponax", "jax-cfd", "lineax", "scipy", "pyamg")


def arguments(description: str, *, precision: int = 32, extend: Callable | None = None) -> argparse.Namespace:
    """Parse the command line and set the precision, before any array is made.

    **Arguments:**

    - `description`: first line of the benchmark's help.
    - `precision`: default number of bits, 32 or 64.
    - `extend`: adds options of its own to the parser.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    parser.add_argument("--precision", type=int, choices=(32, 64), default=precision, help="bits of a number")
    parser.add_argument("--repeats", type=int, default=7, help="measurements of each entry (at least 5)")
    parser.add_argument("--record", action="store_true", help="keep the JSON in benchmarks/results")
    if extend is not None:
        extend(parser)
    options = parser.parse_args()
    if options.repeats < 5:
        parser.error("--repeats must be at least 5")
    jax.config.update("jax_enable_x64", options.precision == 64)
    return options


def peer(name: str):
    """A peer's module, or `None` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not name.startswith(error.name):
            raise
        return None


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call, until its arrays are there."""
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def interleaved(functions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Median and least wall time of each function, and its median processor time, after one call to warm up.

    The functions take turns, so that a busy spell of a shared machine meets all of them alike. Processor time,
    summed over threads, does not count the time that other programs take.
    """
    for function in functions.values():
        jax.block_until_ready(function())
    wall: dict[str, list[float]] = {name: [] for name in functions}
    processor: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.process_time()
            wall[name].append(seconds(function))
            processor[name].append(time.process_time() - start)
    return {
        name: {
            "median": statistics.median(wall[name]),
            "min": min(wall[name]),
            "processor": statistics.median(processor[name]),
        }
        for name in functions
    }


def machine() -> dict[str, Any]:
    """The device, the versions and, on a shared machine, how busy it was at the start."""
    device = jax.devices()[0]
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "device": f"{os.cpu_count()} CPU cores" if device.platform == "cpu" else device.device_kind,
        "platform": device.platform,
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def heading(title: str, about: Mapping[str, Any], options: argparse.Namespace):
    """What is measured, and on what."""
    versions = ", ".join(f"{name} {version or 'missing'}" for name, version in about["versions"].items())
    print(f"{title}\n{about['device']}, float{options.precision}, load {about['load']}; {versions}", flush=True)


def table(columns: list[str], rows: list[list[Any]]):
    """Print aligned columns; missing numbers are a dash."""
    cells = [columns, *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    print()
    for number, row in enumerate(cells):
        print("  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths))))
        if number == 0:
            print("  ".join("-" * w for w in widths))
    print(flush=True)


def shown(cell: Any) -> str:
    """A table's cell."""
    if cell is None:
        return "-"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def ratio(top: Mapping | None, bottom: Mapping | None, key: str = "median") -> float | None:
    """Quotient of two timings, `None` where one is missing."""
    return None if top is None or bottom is None else top[key] / bottom[key]


def rounded(result: Any) -> Any:
    """A result whose numbers have six digits, which is more than any timing has."""
    if isinstance(result, Mapping):
        return {key: rounded(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [rounded(value) for value in result]
    return float(f"{result:.6g}") if isinstance(result, float) else result


def finish(name: str, options: argparse.Namespace, about: Mapping[str, Any], data: Mapping[str, Any]):
    """Print the result as one line of JSON, the last one, and keep it if asked to."""
    result = {
        "benchmark": name,
        "machine": about,
        "precision": options.precision,
        "repeats": options.repeats,
        "quick": options.quick,
        **data,
    }
    text = json.dumps(rounded(result), allow_nan=False)
    if options.record:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.{about['platform']}.json").write_text(text + "\n")
    print(text)
