"""A mixture of aromatics in a gas chromatograph: find how each sticks to the column, by gradients through the solver.

A short pulse of benzene, toluene, ethylbenzene and o-xylene enters a column, whose wall takes each of them up and
gives it back at rates of its own (arXiv:2501.00001), so that they leave one after the other. The detector at the end
sees only their sum, with noise. From its record alone, and the amounts that were injected, the eight rates are found
by least squares: a finite-difference model of the column, its derivatives by automatic differentiation, and the
Levenberg-Marquardt method of optimistix. The record is made of the exact solution, so the errors that are printed
include those of the finite differences.

    python examples/gas_chromatograph.py

Lengths and times are in the units of o-xylene's rates; the column is shorter than the published one of 10683.
"""

import argparse
from pathlib import Path

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx

import jaxsim as js
from jaxsim import plot
from jaxsim.equations import GasChromatograph, InletPulse
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")
to_rgb = script_needs("matplotlib.colors").to_rgb

NAMES = ("benzene", "toluene", "ethylbenzene", "o-xylene")
ADSORPTION = np.array([0.0579, 0.2953, 0.9203, 1.0168]) / 1.0168
DESORPTION = np.array([5.299, 11.502, 16.940, 14.291]) / 14.291
AMOUNTS = np.array([0.7, 1.0, 0.8, 1.2])  # concentrations in the pulse
STORAGE, LENGTH, DURATION, END = 0.0633, 300.0, 20.0, 450.0
GUESS = 0.5  # of every rate of desorption


def column(nodes: int):
    """The model of the detector's record: concentrations at the outlet as a function of eight rates."""
    inlet = InletPulse(DURATION)
    boundary = ((js.Dirichlet(inlet), js.Neumann()),)
    space = js.FiniteDifference(js.Grid(nodes, 0.0, LENGTH), boundary=boundary, order=4)
    rate = ADSORPTION.max() / STORAGE + DESORPTION.max()
    step = 1 / (rate / 2.0 + nodes / (1.2 * STORAGE * LENGTH))  # within the limits of Bosh3, with room for the fit
    step = DURATION / (np.ceil(DURATION / step) - 1e-6)  # one step ends just after the pulse: no stage straddles that
    interval = 20 * step
    intervals = int(np.ceil(END / interval))

    def inside(adsorption, desorption):
        """Concentrations in the gas of one substance, `(times, nodes)`, and at the outlet, `(times,)`."""
        equation = GasChromatograph(adsorption, desorption, STORAGE)
        empty = space.field(jnp.zeros((2, nodes)))
        steps = dict(dt=step, steps=20 * intervals, save_every=20, solver=dfx.Bosh3(scan_kind="lax"), throw=False)
        c = js.rollout(equation, empty, **steps).values[:, 0]
        # the value at the wall from the parabola through the three last means
        return c, (2 * c[:, -3] - 7 * c[:, -2] + 11 * c[:, -1]) / 6

    return jax.vmap(inside), interval * np.arange(1, intervals + 1), inlet


def read_peaks(times: np.ndarray, record: np.ndarray, count: int, window: float = 12.0) -> np.ndarray:
    """Times of the highest peaks of a noisy record, in order."""
    half = int(window / (times[1] - times[0]))
    smooth = np.convolve(record, np.hanning(half) / np.hanning(half).sum(), "same")
    peaks = [i for i in range(half, len(record) - half) if smooth[i] == smooth[i - half : i + half + 1].max()]
    highest = sorted(peaks, key=lambda i: -smooth[i])[:count]
    if len(highest) < count:
        raise RuntimeError(f"the record shows {len(highest)} of {count} peaks: less noise, or a longer column.")
    return times[np.sort(highest)]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=160)
    parser.add_argument("--noise", type=float, default=0.01, help="of the detector, relative to the highest peak")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)

    model, times, inlet = column(options.nodes)
    exact = jax.vmap(lambda a, d: GasChromatograph(a, d, STORAGE).solution(inlet, times, LENGTH)[0])
    parts = AMOUNTS[:, None] * exact(jnp.asarray(ADSORPTION), jnp.asarray(DESORPTION))
    deviation = options.noise * float(parts.sum(0).max())
    record = np.asarray(parts.sum(0) + deviation * jax.random.normal(jax.random.key(0), times.shape))

    # A substance stays for Da x in the gas and k_a / k_d x on the wall: where the peaks are gives the ratios.
    ratios = (read_peaks(times, record, len(NAMES)) - 0.5 * DURATION) / LENGTH - STORAGE
    guess = jnp.log(jnp.concatenate([GUESS * ratios, np.full(len(NAMES), GUESS)]))

    @jax.jit
    def outlet(logarithms):
        return AMOUNTS[:, None] * model(*jnp.split(jnp.exp(logarithms), 2))[1]

    misfit = lambda logarithms, _: (outlet(logarithms).sum(0) - record) / deviation
    solver = optx.LevenbergMarquardt(rtol=1e-6, atol=1e-6)
    fit = optx.least_squares(misfit, solver, guess, options={"jac": "fwd"}, max_steps=60)
    jacobian = jax.jit(jax.jacfwd(lambda logarithms: misfit(logarithms, None)))(fit.value)
    uncertainty = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    rates, truth = np.exp(np.asarray(fit.value)), np.concatenate([ADSORPTION, DESORPTION])
    error = rates / truth - 1

    print(f"{'substance':14}{'rate':12}{'true':>8}{'guess':>8}{'found':>8}{'error':>9}{'expected':>10}")
    for i, name in enumerate(NAMES):
        for j, kind in ((i, "adsorption"), (i + len(NAMES), "desorption")):
            row = f"{name:14}{kind:12}{truth[j]:8.4f}{np.exp(guess[j]):8.4f}{rates[j]:8.4f}"
            print(f"{row}{error[j]:9.2%}{uncertainty[j]:10.2%}")
    left = np.asarray(misfit(fit.value, None))
    scatter = float(np.sqrt(np.mean(left**2)))
    print(f"misfit: {scatter:.3f} standard deviations of the noise, after {int(fit.stats['num_steps'])} steps")

    inside = np.asarray(AMOUNTS[:, None, None] * model(*jnp.split(jnp.exp(fit.value), 2))[0])
    picture(options.out, times, record, outlet(guess), outlet(fit.value), left, inside, scatter)
    return error, uncertainty, scatter


def picture(out, times, record, guess, fit, left, inside, scatter):
    figure, axes = plt.subplots(2, 2, figsize=(11, 5.4), layout="constrained", width_ratios=(1.5, 1),
                                height_ratios=(2.6, 1), sharex="col")  # fmt: skip
    top, bottom, colors = axes[0, 0], axes[1, 0], ("tab:blue", "tab:orange", "tab:green", "tab:red")
    top.plot(times, record, ".", color="0.6", ms=3, label="detector")
    top.plot(times, guess.sum(0), ":", color="black", lw=1.2, label="first guess")
    top.plot(times, fit.sum(0), color="black", lw=1.4, label="fit")
    for name, part, color in zip(NAMES, fit, colors):
        top.fill_between(times, np.asarray(part), color=color, alpha=0.3, lw=0)
        peak = int(np.argmax(part))
        place = dict(
            xytext=(0, 12),
            textcoords="offset points",
            ha="center",
            color=color,
            bbox=dict(facecolor="white", alpha=0.8, lw=0, pad=1),
        )
        top.annotate(name, (times[peak], float(part[peak])), **place)
    top.set(title="what leaves the column", ylabel="concentration", xlim=(0, END), ylim=(None, 1.3 * record.max()))
    top.legend(frameon=False, loc="upper right")
    bottom.plot(times, left, ".", color="0.4", ms=2.5)
    bottom.axhline(0.0, color="black", lw=0.8)
    bottom.set(xlabel="time", ylabel="misfit / noise", ylim=(-4.5, 4.5))
    bottom.set_title(f"what the fit leaves: {scatter:.2f} standard deviations of the noise", fontsize=10)

    for axis in axes[:, 1]:
        axis.remove()
    column = figure.add_subplot(axes[0, 1].get_gridspec()[:, 1])
    shade = np.ones((*inside.shape[1:], 3))
    for part, color in zip(inside, colors):
        strength = np.clip(part / part.max(0), 0, 1)[..., None]  # bands fade as they spread: relative to their peak
        shade = shade * (1 - strength * (1 - np.array(to_rgb(color))))
    column.imshow(shade, origin="lower", extent=(0, LENGTH, 0, times[-1]), aspect="auto", interpolation="bilinear")
    column.set(title="the gas in the column", xlabel="distance from the inlet", ylabel="time", ylim=(0, END))
    plot.save(out / "gas_chromatograph.png", figure, dpi=130)


if __name__ == "__main__":
    main()
