"""The picture and the animation of `kolmogorov_inverse.py`."""

from pathlib import Path

import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")

COLORS = {"true": "black", "recovered": "tab:red", "interpolated": "tab:blue"}
STYLE = {"cmap": "RdBu_r", "colorbar": False}


def picture(path: Path, times, trajectories, *, truth, true, positions, history, skill, held_out, window) -> Path:
    """Vorticity at the start and in the forecast, the way of the optimizer, skill of the forecast, energy spectra."""
    columns, later = 3 if truth is None else 4, min(window + window // 2, len(times) - 1)
    figure = plt.figure(figsize=(3.15 * columns, 9.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(2.15, 1))
    panels, curves = upper.subplots(2, columns), lower.subplots(1, columns)
    _start(panels[0], trajectories, truth, positions)
    _forecast(panels[1], trajectories, truth, later)
    for row, index in zip(panels, (0, later)):
        for ax in row:
            ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        row[0].set_ylabel(f"vorticity at t = {times[index]:.2f}", fontsize="large")
        upper.colorbar(row[2].images[0], ax=row, fraction=0.012, pad=0.01, extend="both")
    _convergence(curves[0], curves[1], np.array(history).reshape(-1, 4), true)
    if truth is None:
        _held_out(panels[1, 0], *held_out)
    else:
        _skill(curves[2], times, skill, times[window])
    _spectra(curves[-1], trajectories, truth)
    plot.save(path, figure, dpi=110)
    return path


def _held_out(ax, observed, forecast):
    ax.plot(observed, forecast, ".", ms=1, color="tab:red", rasterized=True)
    ax.axline((0, 0), slope=1, color="black", lw=0.8)
    ax.set(title="forecast of held-out observations", xlabel="observed", ylabel="forecast", aspect="equal")


def _limit(u) -> float:
    return float(np.quantile(np.abs(np.asarray(u.values)), 0.995))


def _off(u, truth) -> str:
    return "" if truth is None else f": {float(js.norm(u - truth) / js.norm(truth)):.1%} off"


def _start(row, trajectories, truth, positions):
    exact = None if truth is None else truth[0]
    found, guess = (trajectories[name][0] for name in ("recovered", "interpolated"))
    style = {"limit": _limit(found), **STYLE}
    plot.field(guess, row[1], title="probes interpolated" + _off(guess, exact), **style)
    plot.field(found, row[2], title="recovered" + _off(found, exact), **style)
    if truth is None:
        row[0].set(title="probes", aspect="equal", xlim=row[1].get_xlim(), ylim=row[1].get_ylim())
    else:
        plot.field(exact, row[0], title="true, and the probes", **style)
        plot.field(found - exact, row[3], title="recovered - true", **style)
    row[0].scatter(*positions, s=3.5, color="black", linewidths=0)


def _forecast(row, trajectories, truth, index):
    exact = None if truth is None else truth[index]
    found, guess = (trajectories[name][index] for name in ("recovered", "interpolated"))
    style = {"limit": _limit(found), **STYLE}
    plot.field(guess, row[1], title="interpolated, run on" + _off(guess, exact), **style)
    plot.field(found, row[2], title="recovered, run on" + _off(found, exact), **style)
    if truth is not None:
        plot.field(exact, row[0], title="true", **style)
        plot.field(10 * (found - exact), row[3], title="(recovered - true) x 10", **style)


def _convergence(left, right, history, true):
    steps = np.arange(1, len(history) + 1)
    for stage, name in enumerate(("half the window", "whole window", "fine grid")):
        now = history[:, 3] == stage
        if np.any(now):
            left.semilogy(steps[now], history[now, 0], color=("0.6", "0.3", "tab:red")[stage], label=name)
    left.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    left.yaxis.set_minor_formatter(lambda v, _: f"{v:g}" if f"{v:e}"[0] in "25" else "")
    left.set(title="misfit per observation", xlabel="step of the optimizer")
    left.legend(frameon=False)
    names = ("viscosity", "forcing amplitude")
    for column, (name, color) in enumerate(zip(names, ("tab:green", "tab:orange")), start=1):
        value = history[:, column] / (1 if true is None else true[column - 1])
        right.semilogy(steps, value, color=color, label=name)
    if true is not None:
        right.axhline(1, color="black", lw=0.8, ls=":")
        right.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
        right.yaxis.set_minor_formatter(lambda v, _: f"{v:g}" if v in (0.5, 2.0) else "")
    right.set(title="parameters" if true is None else "parameters / true", xlabel="step of the optimizer")
    right.legend(frameon=False)


def _skill(ax, times, skill, end):
    ax.axvspan(times[0], end, color="0.92", lw=0)
    ax.text(0.5 * (times[0] + end), 0.08, "fitted", ha="center", color="0.4")
    ax.text(0.5 * (times[-1] + end), 0.08, "forecast", ha="center", color="0.4")
    for name, values in skill.items():
        ax.plot(times, values, color=COLORS[name], label=name)
    ax.set(title="correlation with the true vorticity", xlabel="t", ylim=(0, 1.02), xlim=(times[0], times[-1]))
    ax.legend(frameon=False, loc="center left")


def _spectra(ax, trajectories, truth):
    cases = dict(trajectories) if truth is None else {"true": truth, **trajectories}
    for name, trajectory in cases.items():
        width = 2.5 if name == "true" else 1.3
        plot.spectrum(js.equations.velocity(trajectory[0]), ax, color=COLORS[name], label=name, lw=width)
    powers = ax.lines[0].get_ydata()
    ax.set(title="energy spectrum at the start", ylim=(1e-9 * powers.max(), 3 * powers.max()), ylabel="")
    ax.legend(frameon=False)


def animation(path: Path, times, trajectories, truth) -> Path:
    """The true flow, where it is known, the recovered one and the one run on from interpolation, side by side."""
    cases = {"recovered": trajectories["recovered"], "interpolated, run on": trajectories["interpolated"]}
    cases = cases if truth is None else {"true": truth, **cases}
    limit = float(np.quantile(np.abs(np.asarray(trajectories["recovered"].values[0])), 0.995))
    return plot.animate(path, list(cases.values()), times=times, titles=list(cases), limit=limit, frames_per_second=12)
