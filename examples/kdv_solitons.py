"""Two solitons of the Korteweg-de Vries equation collide and come out unharmed, but displaced.

The fast one gains 2/k1 ln((k1 + k2)/(k1 - k2)), the slow one loses 2/k2 of the same logarithm, with k = sqrt(speed)
(Hirota 1971). The script measures both displacements on the computed solution and prints their errors.
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


def peak(u: js.Field, near: float) -> float:
    """The maximum of the interpolating trigonometric polynomial close to a point, by Newton's method."""
    slope = jax.grad(lambda x: u(x))
    x = jnp.asarray(near)
    for _ in range(6):
        x = x - slope(x) / jax.grad(slope)(x)
    return float(x)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=512)
    parser.add_argument("--steps", type=int, default=24000)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)

    fast, slow, end = 16.0, 4.0, 2.0
    exact = js.initial.kdv_two_solitons(fast, slow, fast_center=-20.0, slow_center=-9.0)
    space = js.Fourier(js.Grid(options.resolution, lower=-32.0, upper=32.0))
    start = space.field(exact)
    dt, kept = end / options.steps, options.steps // 100
    history = js.rollout(js.equations.KortewegDeVries(), start, dt=dt, steps=options.steps, save_every=kept)
    times = dt * kept * np.arange(1, 101)

    last = history[-1]
    truth = space.field(lambda x: exact.solution(end, x))
    error = float(js.norm(last - truth) / js.norm(truth))
    step = float(np.log((np.sqrt(fast) + np.sqrt(slow)) / (np.sqrt(fast) - np.sqrt(slow))))
    expected = {"fast": 2 / np.sqrt(fast) * step, "slow": -2 / np.sqrt(slow) * step}
    shifts = {}
    print(f"{'soliton':8} {'shift':>14} {'exact':>14} {'error':>9}")
    for name, speed, x0 in (("fast", fast, -20.0), ("slow", slow, -9.0 - expected["slow"])):
        before = peak(start, x0)
        after = peak(last, x0 + speed * end + expected[name])
        shifts[name] = after - before - speed * end
        print(f"{name:8} {shifts[name]:14.10f} {expected[name]:14.10f} {abs(shifts[name] - expected[name]):9.1e}")
    mass = float(jnp.abs(js.integral(last) - js.integral(start)) / js.integral(start))
    print(f"relative error at t = {end}: {error:.1e};  change of mass: {mass:.1e}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=(1.2, 1))
    plot.space_time(history, times, left, limit=(0, fast / 2), cmap="magma", interpolation="bicubic")
    for name, speed, x0 in (("fast", fast, -20.0), ("slow", slow, -9.0 - expected["slow"])):
        left.plot(times, x0 + speed * times, "--", color="white", lw=0.9, label="alone" if name == "fast" else None)
    left.legend(loc="upper left", labelcolor="white", frameon=False)
    left.set(title="a collision, and where each would be alone", ylim=(-24, 18))
    for index, color in ((0, "0.75"), (49, "0.5"), (99, "tab:red")):
        plot.field(history[index], right, color=color, label=f"t = {times[index]:.2f}")
    plot.field(truth, right, color="black", ls=":", label=f"exact, error {error:.0e}")
    right.set(title="before, during and after", xlim=(-24, 18), ylim=(-0.3, 10.4))
    right.legend(frameon=False, ncols=2)
    plot.save(options.out / "kdv_solitons.png", figure, dpi=130)
    return error, {name: abs(shifts[name] - expected[name]) for name in shifts}


if __name__ == "__main__":
    main()
