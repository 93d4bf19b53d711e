"""Lyapunov spectra of the chaotic systems and of Kuramoto-Sivashinsky, beside published ones; writes docs/chaos.md."""

import argparse
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import equations as eq
from jaxsim.integrate import kaplan_yorke_dimension, lyapunov_spectrum

from ._common import arguments, finish, heading, machine

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "chaos.md"
NOTES = "Sprott 2004, Common Chaotic Systems (web page)"
BOOK = "Sprott 2003, Chaos and Time-Series Analysis, at second hand"

# system: (step size, steps that count, published exponents, published dimension, who printed them)
SYSTEMS = [
    (eq.Lorenz63(), 0.01, 40000, (0.9056, 0.0, -14.5723), 2.06215, NOTES),
    (eq.Rossler(), 0.02, 40000, (0.0714, 0.0, -5.3943), 2.0132, NOTES),
    (eq.Chen(), 0.003, 80000, (2.0272,), None, BOOK),
    (eq.Chua(), 0.02, 80000, (0.3271,), None, BOOK),
    (eq.Thomas(), 0.1, 40000, (0.0349,), None, BOOK),
    (eq.Halvorsen(), 0.005, 80000, (0.7899,), None, BOOK),
    (eq.NoseHoover(), 0.05, 200000, (0.014, 0.0, -0.014), 3.0, "Sprott 1994, table I"),
    (eq.HyperchaoticRossler(), 0.01, 80000, None, None, None),
    (eq.Lorenz84(), 0.02, 80000, None, None, None),
    (eq.ForcedDuffing(), 0.02, 40000, None, None, None),
    (eq.HenonHeiles(), 0.05, 100000, None, None, None),
    (eq.Lorenz96(), 0.02, 8000, None, None, None),
]
LENGTHS = (22.0, 36.0, 60.0)


def ensemble(equation, start: js.Field, runs: int, **options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra of several runs that begin next to each other: the mean, its standard error, and each."""
    noise = 1e-3 * jax.random.normal(jax.random.key(1), (runs, *start.values.shape), start.values.dtype)
    noise = noise - jnp.mean(noise, -1, keepdims=True) if start.space.dimension else noise

    def one(values, key):
        result = lyapunov_spectrum(equation, start.space.field(values), key=key, throw=False, **options)
        return result.exponents, result.succeeded

    spectra, fine = jax.jit(jax.vmap(one))(start.values + noise, jax.random.split(jax.random.key(2), runs))
    if not np.all(fine):
        raise RuntimeError(f"{type(equation).__name__}: {int(np.sum(~fine))} of {runs} runs failed.")
    spectra = np.asarray(spectra)
    return spectra.mean(0), spectra.std(0, ddof=1) / np.sqrt(runs), spectra


def dimension(spectra: np.ndarray, size: int) -> tuple[float, float]:
    """Kaplan-Yorke dimension of the mean spectrum, and the standard error of those of single runs."""
    each = [float(kaplan_yorke_dimension(spectrum, size)) for spectrum in spectra]
    return float(kaplan_yorke_dimension(spectra.mean(0), size)), float(np.std(each, ddof=1) / np.sqrt(len(each)))


def entry(name, time, mean, error, spectra, size, published, published_dimension, source) -> dict:
    value, uncertainty = dimension(spectra, size)
    return {
        "system": name, "time": time, "exponents": mean.tolist(), "standard error": error.tolist(), "dimension": value,
        "dimension error": uncertainty, "published": published, "published dimension": published_dimension,
        "source": source,
    }  # fmt: skip


def ordinary(runs: int, quick: bool) -> list[dict]:
    entries = []
    for system, dt, steps, *published in SYSTEMS:
        steps = steps // 50 * 10 if quick else steps
        members = max(2, runs // 4) if isinstance(system, eq.Lorenz96) else runs
        start = system.initial()
        every = 10 if dt * 10 < 0.3 else 5
        mean, error, spectra = ensemble(system, start, members, dt=dt, steps=steps, every=every, transient=4000)
        entries.append(
            entry(type(system).__name__, steps * dt * members, mean, error, spectra, start.values.size, *published)
        )
        show(entries[-1])
    return entries


def waves(runs: int, quick: bool) -> list[dict]:
    """Kuramoto-Sivashinsky without the mean, which is conserved, on boxes of several lengths."""
    entries = []
    for length in LENGTHS[:1] if quick else LENGTHS:
        nodes = 2 * round(length * 0.75)
        space = js.Fourier(js.Grid(nodes, 0.0, length))
        start = space.field(lambda x, k=2 * jnp.pi / length: jnp.cos(k * x) * (1 + jnp.sin(k * x)))
        steps, count = 1000 if quick else 40000, round(0.226 * length) + 6
        mean, error, spectra = ensemble(
            eq.KuramotoSivashinsky(), start, runs, dt=0.1, steps=steps, transient=5000, count=count,
            subspace=lambda v: v - js.mean(v),
        )  # fmt: skip
        first = "0.043 to 0.048" if length == 22 else f"{0.093 - 0.94 * 0.61 / length:.3f} (fit)"
        entries.append(
            entry(f"Kuramoto-Sivashinsky, L = {length:g}", steps * 0.1 * runs, mean, error, spectra, nodes,
                  first, None, "Edson et al. 2019")
        )  # fmt: skip
        show(entries[-1])
    if len(entries) > 1:
        slope = np.polyfit(LENGTHS, [item["dimension"] for item in entries], 1)[0]
        print(f"Kuramoto-Sivashinsky: dimension per length {slope:.4f}; published 0.226 (Edson et al. 2019)")
    return entries


def shown(values, errors=None, count=4) -> str:
    if values is None or isinstance(values, str):
        return values or ""
    parts = [f"{v:.4f}" + (f" ± {e:.4f}" if errors is not None else "") for v, e in zip(values, errors or values)]
    return ", ".join(parts[:count]) + (", ..." if len(parts) > count else "")


def show(item: dict) -> None:
    measured = shown(item["exponents"], item["standard error"])
    print(f"{item['system']}: {measured}; dimension {item['dimension']:.4f}; published {shown(item['published'])}")


def markdown(entries: list[dict]) -> str:
    lines = [
        "| system | time | exponents, measured | published | dimension | published |",
        "|---|---:|---|---|---:|---:|",
    ]
    for item in entries:
        known = item["published dimension"]
        lines.append(
            f"| {item['system']} | {item['time']:.0f} | {shown(item['exponents'], item['standard error'])} "
            f"| {shown(item['published'])} | {item['dimension']:.4f} ± {item['dimension error']:.4f} "
            f"| {'' if known is None else f'{known:.4g}'} |"
        )
    return "\n".join(lines)


def main() -> None:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--runs", type=int, default=32, help="members of each ensemble")

    options = arguments(__doc__ or "", precision=64, extend=extend)
    about = machine()
    heading("Lyapunov spectra", about, options)
    entries = ordinary(options.runs, options.quick) + waves(max(2, options.runs // 4), options.quick)
    if options.record and PAGE.is_file():
        text = PAGE.read_text()
        marked = re.sub(r"(<!-- spectra -->\n).*?(<!-- end -->)", rf"\1\n{markdown(entries)}\n\n\2", text, flags=re.S)
        PAGE.write_text(marked)
    finish("lyapunov", options, about, {"entries": entries})


if __name__ == "__main__":
    main()
