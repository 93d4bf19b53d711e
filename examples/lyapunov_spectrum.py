"""How many directions of a turbulent front are unstable? Lyapunov spectra of the Kuramoto-Sivashinsky equation.

Tangent vectors, carried by the derivative of the solver's own steps and made orthonormal now and then, grow at the
Lyapunov exponents. On longer boxes the spectrum is the same curve with more points on it: chaos is extensive, and the
Kaplan-Yorke dimension of the attractor grows in proportion to the length, by 0.226 per unit of it (Edson, Bunder,
Mattner and Roberts 2019). A box of length 48 is not among them: it holds six cells of length 8, and sooner or later
the front comes to rest in that pattern, which is stable.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.integrate import lyapunov_spectrum

plt = script_needs("matplotlib.pyplot")

STEP = 0.1
FIRST = {22.0: "0.043 to 0.048"}  # largest exponents in the literature, see kuramoto_sivashinsky_chaos.py


def spectrum(length: float, time: float):
    """The leading exponents on a box, without the mean, which is conserved and decides nothing."""
    space = js.Fourier(js.Grid(2 * round(0.75 * length), 0.0, length))
    noise = jax.random.normal(jax.random.key(0), space.grid.shape)
    return lyapunov_spectrum(
        js.equations.KuramotoSivashinsky(), space.field(noise - noise.mean()), dt=STEP, transient=4000,
        steps=10 * round(time / STEP / 10), count=round(0.226 * length) + 6, subspace=lambda v: v - js.mean(v),
    )  # fmt: skip


def picture(results: dict, file: Path):
    figure, axes = plt.subplot_mosaic([["front", "front"], ["spectra", "dimensions"]], figsize=(10, 6.4),
                                      layout="constrained", height_ratios=(2, 3))  # fmt: skip
    longest = max(results)
    history = js.rollout(js.equations.KuramotoSivashinsky(), results[longest].state, dt=STEP, steps=2000, save_every=5)
    plot.space_time(history, np.arange(1, 401) * 5 * STEP, axes["front"], interpolation="bicubic", colorbar=False)
    axes["front"].set(title=f"Kuramoto-Sivashinsky equation, L = {longest:g}")
    for length, result in results.items():
        index = (np.arange(1, len(result.exponents) + 1) - 0.5) / length
        axes["spectra"].errorbar(index, result.exponents, 2 * result.standard_error, fmt="o-", ms=3.5, lw=1,
                                 label=f"L = {length:g}")  # fmt: skip
    axes["spectra"].axhline(0, color="gray", lw=0.8)
    axes["spectra"].set(
        xlabel="number of the exponent / L", ylabel="Lyapunov exponent", xlim=(0, 0.36), ylim=(-0.45, 0.12)
    )
    axes["spectra"].legend(frameon=False)
    lengths, dimensions = np.array(list(results)), np.array([float(r.kaplan_yorke) for r in results.values()])
    axes["dimensions"].plot(lengths, dimensions, "o", label="measured")
    guide = 0.226 * (lengths - lengths.mean()) + dimensions.mean()
    axes["dimensions"].plot(lengths, guide, "--", color="black", label="slope 0.226 (Edson et al. 2019)")
    axes["dimensions"].set(xlabel="L", ylabel="Kaplan-Yorke dimension")
    axes["dimensions"].legend(frameon=False)
    plot.save(file, figure, dpi=130)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=float, default=8000.0, help="length of each run")
    parser.add_argument("--lengths", type=float, nargs="+", default=[22.0, 36.0, 44.0, 52.0, 60.0])
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    results = {}
    for length in options.lengths:
        results[length] = result = spectrum(length, options.time)
        leading = ", ".join(f"{e:.4f} +- {s:.4f}" for e, s in zip(result.exponents[:3], result.standard_error))
        known = f"   (literature: {FIRST[length]} for the first)" if length in FIRST else ""
        print(f"L = {length:g}: {leading}, ...; dimension {result.kaplan_yorke:.2f}{known}")
    dimensions = [float(result.kaplan_yorke) for result in results.values()]
    slope = float(np.polyfit(options.lengths, dimensions, 1)[0]) if len(results) > 1 else float("nan")
    if len(results) > 1:
        print(f"dimension per unit of length: {slope:.3f}   (Edson et al. 2019: 0.226)")
    options.out.mkdir(parents=True, exist_ok=True)
    picture(results, options.out / "lyapunov_spectrum.png")
    return results, slope


if __name__ == "__main__":
    main()
