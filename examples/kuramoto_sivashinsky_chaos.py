"""How fast does the Kuramoto-Sivashinsky equation forget? Its largest Lyapunov exponent, by automatic differentiation.

On a box of length 22 the flame front is weakly chaotic. The derivative of the solver carries a small disturbance along
with each of several solutions; its mean rate of growth is the exponent, which the literature puts between 0.043 (Edson,
Bunder, Mattner and Roberts 2019) and 0.048 (Cvitanovic, Davidchack and Siminos 2010).
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.integrate import lyapunov_spectrum

plt = script_needs("matplotlib.pyplot")

LENGTH, STEP, INTERVAL = 22.0, 0.1, 20  # steps between two normalizations


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=float, default=3000.0, help="length of each run")
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    space = js.Fourier(js.Grid(64, 0.0, LENGTH))
    flow = js.equations.KuramotoSivashinsky()
    noise = jax.random.normal(jax.random.key(0), (options.runs, 64))
    noise = noise - noise.mean(-1, keepdims=True)  # the mean is conserved and decides nothing
    steps = INTERVAL * round(options.time / (INTERVAL * STEP))

    def measure(values):
        return lyapunov_spectrum(flow, space.field(values), dt=STEP, steps=steps, count=1, every=INTERVAL,
                                 transient=2000, throw=False)  # fmt: skip

    result = jax.jit(jax.vmap(measure))(noise)
    if not np.all(result.succeeded):
        raise RuntimeError("a run diverged: take a smaller step.")
    exponents = np.asarray(result.exponents[:, 0])
    exponent, error = exponents.mean(), exponents.std(ddof=1) / np.sqrt(options.runs)
    print(f"largest Lyapunov exponent, L = {LENGTH:g}: {exponent:.4f} +- {error:.4f}   (literature: 0.043 to 0.048)")

    first = space.field(result.state.values[0])
    twins = first, first + 1e-5 * space.field(lambda x: jnp.sin(2 * jnp.pi * x / LENGTH))
    history, twin = (js.rollout(flow, u, dt=STEP, steps=4000, save_every=10) for u in twins)
    times = np.arange(1, 401) * 10 * STEP
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 5.4), layout="constrained", sharex=True)
    plot.space_time(history, times, top, interpolation="bicubic", colorbar=False)
    top.set(title="Kuramoto-Sivashinsky equation, L = 22", xlabel="")
    distance = np.linalg.norm(np.asarray((history - twin).values), axis=1) / np.linalg.norm(history.values, axis=1)
    bottom.semilogy(times, distance, color="tab:blue", label="distance of two runs that start 1e-5 apart")
    guide = distance[20] * np.exp(exponent * (times - times[20]))
    early = guide < 3
    bottom.semilogy(times[early], guide[early], "--", color="black", label=f"growth at the rate {exponent:.3f}")
    bottom.set(xlabel="t", ylabel="relative distance")
    bottom.legend(frameon=False)
    plot.save(options.out / "kuramoto_sivashinsky_chaos.png", figure, dpi=130)
    return float(exponent), float(error)


if __name__ == "__main__":
    main()
