"""Gray-Scott: a chemical reaction that draws spots and stripes, from a few drops in an even field.

What is fed and removed must balance: d/dt <u + v> = F <1 - u> - (F + k) <v> exactly, because diffusion moves mass and
makes none. The script integrates the right side over the run and prints how far the computed mass is from it, and the
residual of the equation at its steady states.
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

FEED, KILL, SIDE, STEP = 0.037, 0.06, 1.6, 2.0


def drops(key: jax.Array, count: int):
    """Small squares of autocatalyst at random places, as a function of the coordinates."""
    centers = jax.random.uniform(key, (count, 2), minval=0.1, maxval=0.9) * SIDE

    def state(x, y):
        near = [jnp.exp(-((((x - a) ** 2 + (y - b) ** 2) / 0.03**2) ** 2)) for a, b in centers]
        spot = jnp.clip(sum(near), 0, 1)
        return jnp.stack([1 - 0.5 * spot, 0.25 * spot])

    return state


def mass_defect(times: np.ndarray, means: np.ndarray) -> float:
    """Difference of the mass at the end from what was fed and removed, by Simpson's rule, relative to what was fed."""
    u, v = means.T
    weights = np.where(np.arange(len(times)) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1.0
    interval = (times[1] - times[0]) / 3
    fed, removed = (interval * np.sum(weights * rate) for rate in (FEED * (1 - u), (FEED + KILL) * v))
    return float(abs((u + v)[-1] - (u + v)[0] - fed + removed) / fed)


def steady_residual(space: js.Space) -> float:
    """Largest residual at the two steady states with autocatalyst, for a feed and kill rate that has them."""
    feed, kill = 0.06, 0.06
    root = np.sqrt(1 - 4 * (feed + kill) ** 2 / feed)
    left = js.residual(js.equations.GrayScott(feed=feed, kill=kill), _even(space, 0.5 * (1 + root), feed, kill))(0.0)
    other = js.residual(js.equations.GrayScott(feed=feed, kill=kill), _even(space, 0.5 * (1 - root), feed, kill))(0.0)
    return max(float(jnp.max(jnp.abs(r.values))) for r in (left, other))


def _even(space, u, feed, kill):
    return space.field(lambda x, y: jnp.stack([u + 0 * x, feed * (1 - u) / (feed + kill) + 0 * x]))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--time", type=float, default=5000.0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    space = js.Fourier(js.Grid((options.resolution, options.resolution), 0.0, SIDE))
    flow = js.equations.GrayScott(feed=FEED, kill=KILL)
    state = space.field(drops(jax.random.key(1), 9))
    means, pictures, per_call = [np.asarray(js.mean(state))], [], 100
    for _ in range(4):
        for _ in range(max(1, round(options.time / STEP / per_call / 4))):
            history = js.rollout(flow, state, dt=STEP, steps=per_call, save_every=2)
            means.extend(np.asarray(js.mean(history)))
            state = history[-1]
        pictures.append(state)
    times = 2 * STEP * np.arange(len(means))
    defect, residual = mass_defect(times, np.asarray(means, float)), steady_residual(space)
    print(f"mass balance after t = {times[-1]:g}: defect {defect:.1e} of the mass that was fed (single precision)")
    print(f"residual at the steady states: {residual:.1e}")

    figure, panels = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
    for number, (ax, picture) in enumerate(zip(panels, pictures), start=1):
        title = f"t = {number * times[-1] / 4:g}"
        plot.field(picture[1], ax, limit=(0, 0.35), cmap="magma", colorbar=number == 4, title=title)
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    plot.save(options.out / "gray_scott.png", figure, dpi=120)
    return defect, residual


if __name__ == "__main__":
    main()
