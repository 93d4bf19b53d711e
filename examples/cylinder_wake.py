"""A vortex street behind a cylinder in a channel, at Reynolds number 100.

The flow of a published benchmark (Schäfer and Turek, Notes on Numerical Fluid Mechanics 52, 547 (1996), case 2D-2): a
cylinder slightly off the axis of a channel sheds vortices, at a frequency that several groups agreed on. Here the
cylinder is a penalized body on a grid with its smallest cells around it, and the pressure is found to rounding at
every stage of a step.

    python examples/cylinder_wake.py

The script prints the Strouhal number and the drag beside the published ranges. On the default grid, with about eleven
cells across the cylinder, the frequency is right and the drag a tenth too large; `--cells 80` brings it closer.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")
Circle = script_needs("matplotlib.patches").Circle

LENGTH, HEIGHT, CENTER, DIAMETER = 2.2, 0.41, 0.2, 0.1
PEAK, VISCOSITY = 1.5, 1e-3  # of the inflow, a parabola with a mean of 1: Reynolds number 100
STROUHAL, DRAG = (0.295, 0.305), (3.22, 3.24)  # published: the frequency, and the greatest drag


def channel(cells: int):
    """The flow and its initial state, with `cells` across the channel and the smallest around the cylinder."""
    stretching = js.SinhStretching(3.5, CENTER / LENGTH), js.SinhStretching(2.0, CENTER / HEIGHT)
    grid = js.Grid((2 * cells, cells), 0.0, (LENGTH, HEIGHT), stretching)
    profile = lambda x, y: (4 * PEAK * y * (HEIGHT - y) / HEIGHT**2, 0 * y)
    space = js.Staggered(grid, ((js.Inflow(lambda t, x, y: profile(x, y)), js.Outflow()), js.NoSlip()))

    finest = [grid.widths(axis).min() for axis in (0, 1)]
    cylinder = js.geometry.Ball((CENTER, CENTER), DIAMETER / 2)
    dt = 0.6 * min(finest) / (1.5 * PEAK)  # Courant number 0.6
    # the shorter the relaxation the less leaks into the cylinder; half a step is about the limit of stability
    body = js.equations.Obstacle(cylinder, relaxation=0.5 * dt, width=0.7 * max(finest), viscosity=VISCOSITY)
    return js.equations.NavierStokesVelocity(VISCOSITY, obstacle=body), space.field(profile), dt


def crossings(times: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Times at which a signal rises through its mean."""
    signal = signal - signal.mean()
    before = np.flatnonzero((signal[:-1] < 0) & (signal[1:] >= 0))
    return times[before] - signal[before] * np.diff(times)[before] / np.diff(signal)[before]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=48, help="across the channel, and twice as many along it")
    parser.add_argument("--time", type=float, default=6.0, help="the last third of it is measured")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    flow, u, dt = channel(options.cells)
    every = max(1, round(0.01 / dt))
    steps = round(options.time / dt / every) * every
    run = js.rollout(flow, u, dt=dt, steps=steps, save_every=every, solver=js.integrate.IMEXRK3())
    times = dt * every * np.arange(1, steps // every + 1)
    force = jax.vmap(lambda state: flow.obstacle.force(0.0, u.space.bind(state)))(u.space.state(run))
    drag, lift = 2 * np.asarray(force).T / ((2 * PEAK / 3) ** 2 * DIAMETER)

    late = times > 2 / 3 * options.time
    risings = crossings(times[late], lift[late])
    if len(risings) < 3:
        raise SystemExit(f"no vortex street by t = {options.time:g}: run longer, or with more cells.")
    strouhal = float(DIAMETER / np.diff(risings).mean())
    divergence = float(jnp.abs(js.div(run[-1]).values).max()) * DIAMETER
    print(f"{u.space.grid.shape[0]} x {u.space.grid.shape[1]} cells, {steps} steps of {dt:.2e}")
    print(f"Strouhal number {strouhal:.4f}, published {STROUHAL[0]} to {STROUHAL[1]}")
    print(f"greatest drag {drag[late].max():.3f}, published {DRAG[0]} to {DRAG[1]}; mean {drag[late].mean():.3f}; "
          f"greatest lift {lift[late].max():.3f}")  # fmt: skip
    print(f"largest divergence {divergence:.1e} mean velocity / diameter (single precision)")
    picture(options.out, run[-1], flow.pressure(0.0, run[-1]), times, drag, lift, strouhal)
    return strouhal, float(drag[late].max()), divergence


def picture(out, u, pressure, times, drag, lift, strouhal):
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(10, 6.6), layout="constrained", height_ratios=(1, 1, 0.9)
    )
    plot.field(js.curl(u), top, limit=80, title="vorticity")
    plot.field(pressure, middle, cmap="viridis", title="pressure")
    for ax in (top, middle):
        ax.add_patch(Circle((CENTER, CENTER), DIAMETER / 2, color="0.25"))
        ax.set(xlabel="", ylabel="")
    bottom.plot(times, drag, label="drag")
    bottom.plot(times, lift, label="lift")
    bottom.set(xlabel="time", ylabel="coefficient", ylim=(-1.5, 4.3), xlim=(0, times[-1]))
    bottom.set_title(f"Strouhal number {strouhal:.3f}, published {STROUHAL[0]} to {STROUHAL[1]}", fontsize=10)
    bottom.legend(frameon=False, loc="center left")
    plot.save(out / "cylinder_wake.png", figure, dpi=100)


if __name__ == "__main__":
    main()
