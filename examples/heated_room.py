"""A room with a heated floor: which panels must be how warm so that two places become comfortable, and stay so.

Cold air falls along the window, is warmed by the floor and rises. The temperatures of the floor's panels are found by
gradients through the unsteady flow, from rest, past the time when the room has warmed up, to the end of the time over
which both places are to have the temperatures that are wanted. Of all settings that do, one with cool panels is chosen.

    python examples/heated_room.py

Lengths are in units of the height of the room, temperatures in units of a typical difference, times in units of free
fall, the height over the speed of a warm parcel that rises through it. The Rayleigh number is that of a thick fluid
rather than of air, whose turbulence two dimensions and a coarse grid do not hold.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")

WIDTH, PANELS, RAYLEIGH, PRANDTL = 1.6, 4, 3e4, 0.71
PLACES, WANTED = ((0.5, 0.3), (1.2, 0.3)), (0.35, 0.5)  # near the window, and where one sits
STEP, TIME, SETTLED = 0.1, 40.0, 24.0  # units of free fall: step, end, from when on the places are to be warm
SAVE_EVERY = 10
COLORS = ("tab:cyan", "tab:green")
ECONOMY = 0.003  # weight of the panels' temperatures beside the misfit


def room(cells: int):
    """The flow from rest as a function of the panels' temperatures: a trajectory of velocity and temperature."""
    grid = js.Grid((round(WIDTH * cells), cells), 0.0, (WIDTH, 1.0))
    flow = js.Staggered(grid, js.NoSlip())
    equation = js.equations.ThermalConvection(np.sqrt(PRANDTL / RAYLEIGH), 1 / np.sqrt(PRANDTL * RAYLEIGH))
    edges = np.linspace(0.0, WIDTH, PANELS + 1)
    x = flow.coordinates()[0][:, 0]
    blend = 0.02 * WIDTH  # the panels' edges
    shares = [0.5 * (jnp.tanh((x - a) / blend) - jnp.tanh((x - b) / blend)) for a, b in zip(edges[:-1], edges[1:])]

    def simulate(panels, save_every=SAVE_EVERY):
        floor = sum(share * panel for share, panel in zip(shares, panels))
        heat = flow.scalar(((js.Dirichlet(0.0), js.Neumann()), (js.Dirichlet(floor), js.Neumann())))
        start = flow.field(lambda x, y: (0 * x, 0 * y)), heat.field(lambda x, y: 0 * x)
        steps = dict(dt=STEP, steps=round(TIME / STEP), save_every=save_every)
        return js.rollout(equation, start, solver=js.integrate.IMEXRK2(), throw=False, **steps)

    return simulate


def readings(history) -> jax.Array:
    """Temperatures at the places over time, shape `(times, places)`."""
    return jnp.stack([history[1](*map(jnp.asarray, place)) for place in PLACES], axis=-1)


def gradient_check(slope, panels) -> float:
    """Relative difference of the slope along one direction from that of central differences."""
    direction, size = jnp.asarray(np.random.default_rng(0).normal(size=PANELS)), 1e-5
    ahead, behind = (slope(panels + sign * size * direction)[0] for sign in (1, -1))
    central = (ahead - behind) / (2 * size)
    return float(abs(jnp.vdot(slope(panels)[1], direction) - central) / abs(central))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=16, help="cells over the height of the room")
    parser.add_argument("--iterations", type=int, default=24)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)

    simulate = room(options.resolution)
    times = STEP * SAVE_EVERY * np.arange(1, round(TIME / STEP) // SAVE_EVERY + 1)

    def misfit(history):
        return jnp.sqrt(jnp.mean((readings(history)[times > SETTLED] - jnp.array(WANTED)) ** 2))

    def loss(panels):
        return misfit(simulate(panels)) ** 2 + ECONOMY * jnp.mean(panels**2)

    slope, guess = jax.jit(jax.value_and_grad(loss)), jnp.full(PANELS, 0.7)
    check = gradient_check(slope, guess)
    descend = optax.adam(optax.cosine_decay_schedule(0.1, options.iterations))
    panels, memory = guess, descend.init(guess)
    best = np.inf, guess
    for _ in range(options.iterations):
        value, gradient = slope(panels)
        best = min(best, (float(value), panels), key=lambda pair: pair[0])
        change, memory = descend.update(gradient, memory)
        panels = optax.apply_updates(panels, change)
    panels = best[1]

    run = jax.jit(simulate)
    before, after = run(guess), run(panels)
    first, last = float(misfit(before)), float(misfit(after))
    print(f"gradient through {round(TIME / STEP)} steps: {check:.1e} from central differences, relative")
    print(f"panels from the window on: {', '.join(f'{p:.3f}' for p in panels)}   (guess: {guess[0]:g} each)")
    late = np.asarray(readings(after))[times > SETTLED]
    for place, wanted, series in zip(PLACES, WANTED, late.T):
        print(f"at {place}: {series.mean():.3f} +- {series.std():.3f}, wanted {wanted:g}")
    print(f"root mean square of the misfit: {first:.4f} at the guess, {last:.4f} found")
    picture(options.out, times, before, after, panels)
    return check, first, last


def picture(out, times, before, after, panels):
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.3), layout="constrained", width_ratios=(1.25, 1.25, 1))
    limit = (0.0, 0.8)
    for ax, (velocity, temperature), title in zip(axes, (before, after), ("equal panels", "panels found")):
        image = plot.field(temperature[-1], ax, limit=limit, cmap="inferno", colorbar=False, title=title)
        x, y = (np.unique(np.asarray(c)) for c in temperature.space.coordinates())
        u, v = np.asarray(velocity[-1].values)
        ax.quiver(x[::2], y[::2], u[::2, ::2].T, v[::2, ::2].T, color="white", scale=6, width=0.003, alpha=0.8)
        for place, color in zip(PLACES, COLORS):
            ax.plot(*place, "o", color=color, mec="white", ms=9)
        ax.set(xlabel="", ylabel="", xticks=[], yticks=[])
    edges = np.linspace(0.0, WIDTH, PANELS + 1)
    for left, right, panel in zip(edges[:-1], edges[1:], np.asarray(panels)):
        axes[1].text(0.5 * (left + right), -0.03, f"{panel:.2f}", ha="center", va="top")
        axes[0].text(0.5 * (left + right), -0.03, "0.70", ha="center", va="top")
    figure.colorbar(image, ax=axes[1], label="temperature")
    for run, style in ((before, ":"), (after, "-")):
        for series, color in zip(np.asarray(readings(run)).T, COLORS):
            axes[2].plot(times, series, style, color=color, lw=1.5 if style == "-" else 1)
    for wanted in WANTED:
        axes[2].plot([SETTLED, TIME], [wanted, wanted], color="black", lw=4, alpha=0.25)
    axes[2].set(xlabel="time / free fall", ylabel="temperature", title="dotted: equal panels", xlim=(0, TIME))
    plot.save(out / "heated_room.png", figure, dpi=120)


if __name__ == "__main__":
    main()
