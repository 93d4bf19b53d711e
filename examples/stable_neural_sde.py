"""What stability buys: neural SDEs fitted to an irregular series, then run on past their data.

The data are an Ornstein-Uhlenbeck process, observed at irregular times with a third of the values missing. Four models
learn to forecast one observation from the one before it, by the continuous ranked probability score of a few sampled
paths. They have drifts of the same form; the noise has a stable form in three of them (Langevin-type, linear,
geometric) and may depend on time and state in any way in the fourth. The law of the process is known, so that every
error is exact.

On held-out pairs all score like the true law, and at the end of the data all are close to it. Run on to five times that
span, the stable ones stay there and the free one drifts off: nothing holds its noise where time was never seen. A
stable form is no knowledge, though: from a start far outside, noise in proportion to the state is plainly wrong.
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import ndtri

from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.integrate import Diagonal
from jaxsim.neural_de import GeometricSDE, LangevinSDE, LinearNoiseSDE, NeuralSDE, TimeMLP

plt = script_needs("matplotlib.pyplot")

RATE, MEAN, NOISE = 1.0, 2.0, 0.5  # of the process
SPAN, HORIZON = 4.0, 20.0  # of the data, and of the forecasts
EARLY = 1.0  # after a start outside of the data
OUTSIDE = 5.0  # eight standard deviations from the mean


def law(start: float, time):
    """Mean and standard deviation of the process a time after it was at `start`."""
    mean = MEAN + (start - MEAN) * np.exp(-RATE * time)
    return mean, NOISE * np.sqrt(-np.expm1(-2 * RATE * time) / (2 * RATE))


def observe(series: int, times: int, missing: float, seed: int):
    """Pairs of neighboring observations, as times of shape `(pairs, 2)` and values of shape `(pairs, 2)`."""
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(series):
        clock = np.sort(random.uniform(0, SPAN, times))
        value, before, kept = random.normal(1.0, 0.2), 0.0, []
        for now in clock:
            mean, deviation = law(value, now - before)
            value, before = random.normal(mean, deviation), now
            if random.uniform() > missing:
                kept.append((now, value))
        pairs += list(zip(kept[:-1], kept[1:]))
    pairs = np.array(pairs)  # (pairs, 2, (time, value))
    return jnp.asarray(pairs[:, :, 0]), jnp.asarray(pairs[:, :, 1])


class Free(eqx.Module):
    """The size of the noise as any function of time and state."""

    network: TimeMLP

    def __call__(self, t, y, args):
        return jax.nn.softplus(self.network(t, y))


class Inward(eqx.Module):
    """A drift that does not depend on time: a bounded network, and a pull inward at a learned rate."""

    rate: jax.Array
    network: eqx.nn.MLP
    place: int = eqx.field(static=True)  # of z among the arguments that the model gives

    def __call__(self, *arguments):
        z = arguments[self.place]
        return self.network(z) - jax.nn.softplus(self.rate) * z


def models(key) -> dict:
    """All have a drift of the same form; they differ in what the noise may depend on."""
    keys = jax.random.split(key, 8)
    drift = [Inward(jnp.zeros(()), eqx.nn.MLP(1, 1, 16, 2, jnp.tanh, key=k), min(n, 1)) for n, k in enumerate(keys[:4])]
    noise = [eqx.nn.MLP("scalar", 1, 8, 1, jnp.tanh, jax.nn.softplus, key=k) for k in keys[4:7]]
    free = Free(TimeMLP(1, 16, 2, activation=jax.nn.silu, key=keys[7]))
    return {
        "Langevin": LangevinSDE(drift[0], noise[0]),
        "linear noise": LinearNoiseSDE(drift[1], noise[1]),
        "geometric": GeometricSDE(drift[2], noise[2]),
        "unconstrained": NeuralSDE(drift[3], Diagonal(free)),
    }


def score(samples, value):
    """The continuous ranked probability score of samples along the first axis, without bias."""
    count = len(samples)
    spread = jnp.sum(jnp.abs(samples[:, None] - samples[None])) / (count * (count - 1))
    return jnp.mean(jnp.abs(samples - value)) - 0.5 * spread


def forecast_score(model, times, values, key, paths: int, steps: int):
    """Mean score of forecasts from each observation to the next."""

    def pair(times, values, key):
        ends = lambda k: model(values[:1], times, key=k, steps=steps)[0][-1, 0]
        return score(jax.vmap(ends)(jax.random.split(key, paths)), values[1])

    return jnp.mean(jax.vmap(pair)(times, values, jax.random.split(key, len(times))))


def fit(model, times, values, iterations: int, batch: int, key):
    """Adam with a decaying rate on batches of pairs."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-2, iterations)))
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(arrays, key):
        draw, noise = jax.random.split(key)
        chosen = jax.random.randint(draw, (batch,), 0, len(times))
        return forecast_score(eqx.combine(arrays, static), times[chosen], values[chosen], noise, paths=8, steps=2)

    @jax.jit
    def update(carry, key):
        arrays, state = carry
        value, slope = jax.value_and_grad(loss)(arrays, key)
        change, state = optimizer.update(slope, state)
        return (optax.apply_updates(arrays, change), state), value

    (arrays, _), _ = jax.lax.scan(update, (arrays, optimizer.init(arrays)), jax.random.split(key, iterations))
    return eqx.combine(arrays, static)


@eqx.filter_jit
def simulate(model, start: float, ts, keys):
    """Paths from one start, of shape `(paths, times)`; what has left the floating-point numbers stays there."""
    return jax.vmap(lambda k: model(jnp.array([start]), ts, key=k, steps=4, throw=False)[0][:, 0])(keys)


def distance(samples, start: float, time: float) -> float:
    """Wasserstein distance of samples to the law of the process."""
    mean, deviation = law(start, time)
    levels = (np.arange(len(samples)) + 0.5) / len(samples)
    return float(np.mean(np.abs(np.sort(samples) - mean - deviation * np.asarray(ndtri(levels)))))


def picture(runs, ts, results, file):
    figure, axes = plt.subplots(2, len(runs), figsize=(13, 6), sharex=True, sharey=True, layout="constrained")
    for column, (name, both) in enumerate(runs.items()):
        for row, (start, paths) in enumerate(zip((1.0, OUTSIDE), both)):
            axis = axes[row, column]
            mean, deviation = law(start, ts)
            axis.plot(ts, paths[:40].T, color="tab:blue", alpha=0.25, linewidth=0.6)
            for level in (-2, 2):
                axis.plot(ts, mean + level * deviation, color="black", linewidth=1.2, linestyle="--")
            axis.axvspan(0, SPAN, color="tab:orange", alpha=0.15, linewidth=0)
            axis.set_ylim(-1, 8)
            axis.text(
                0.97,
                0.95,
                f"$W_1$ at {(HORIZON, EARLY)[row]:g}: {results[name][2 + row]:.3f}",
                transform=axis.transAxes,
                ha="right",
                va="top",
            )
        axes[0, column].set_title(name)
        axes[1, column].set_xlabel("time")
    axes[0, 0].set_ylabel("start inside the data")
    axes[1, 0].set_ylabel("start outside")
    figure.suptitle("40 paths of each model; dashed: two deviations of the true law; shaded: time of the data")
    plot.save(file, figure, dpi=110)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--paths", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    times, values = observe(options.series, 20, missing=0.33, seed=options.seed)
    test = observe(max(options.series // 2, 10), 20, missing=0.33, seed=options.seed + 1)
    drawn, trained, noise = jax.random.split(jax.random.key(options.seed), 3)
    ts, keys = np.linspace(0, HORIZON, 81), jax.random.split(noise, options.paths)
    within, early = (int(np.searchsorted(ts, time)) for time in (SPAN, EARLY))
    results, runs = {}, {}
    print(f"{len(times)} pairs of observations, gaps of {np.mean(times[:, 1] - times[:, 0]):.2f} on average")
    print(f"{'model':14} {'score, held out':>16} {'W1 at 4':>9} {'at 20':>9} {'outside, at 1':>14}")
    for name, model in models(drawn).items():
        model = fit(model, times, values, options.iterations, 64, trained)
        held_out = float(eqx.filter_jit(forecast_score)(model, *test, noise, paths=32, steps=2))
        inside, outside = (np.asarray(simulate(model, start, jnp.asarray(ts), keys)) for start in (1.0, OUTSIDE))
        results[name] = (held_out, distance(inside[:, within], 1.0, SPAN), distance(inside[:, -1], 1.0, HORIZON),
                         distance(outside[:, early], OUTSIDE, ts[early]))  # fmt: skip
        runs[name] = inside, outside
        print(f"{name:14} {results[name][0]:16.4f} " + "{:9.3f} {:9.3f} {:14.3f}".format(*results[name][1:]))
    mean, deviation = law(np.asarray(test[1][:, 0]), np.asarray(test[0][:, 1] - test[0][:, 0]))
    best = ideal_score((np.asarray(test[1][:, 1]) - mean) / deviation, deviation)
    print(f"{'the true law':14} {best:16.4f}")
    options.out.mkdir(parents=True, exist_ok=True)
    picture(runs, ts, results, options.out / "stable_neural_sde.png")
    return results, best


def ideal_score(standardized, deviation) -> float:
    """Mean score of the normal law itself (Gneiting and Raftery 2007, equation 5)."""
    density = np.exp(-(standardized**2) / 2) / np.sqrt(2 * np.pi)
    below = np.asarray(jax.scipy.stats.norm.cdf(standardized))
    return float(np.mean(deviation * (standardized * (2 * below - 1) + 2 * density - 1 / np.sqrt(np.pi))))


if __name__ == "__main__":
    main()
