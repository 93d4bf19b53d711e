"""Prey and predators in 21 years of pelts: Lotka-Volterra equations with a learned term.

The known part of the model is js.equations.LotkaVolterra. A small network learns what it lacks, as a rate of growth per
head, so that populations stay positive. Years are held out in two ways: every fourth one, to be filled in, and the last
six, to be forecast. Errors are those of logarithms, beside the known equation alone and forecasts without a model.

The learned term halves the misfit and fills gaps a little better. It does not forecast better: fifteen noisy years
teach it less than it can learn, and a model that fits twice as well is not twice as true.
"""

import argparse
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.neural_de import Hybrid, Pointwise

plt = script_needs("matplotlib.pyplot")

DATA = Path(__file__).parent / "data" / "lynx_hare.csv"
STEPS = 16  # per year
SCALE = 25.0  # thousand pelts


class Growth(eqx.Module):
    """A learned rate of growth per head of both species, a function of both populations."""

    network: eqx.nn.MLP

    def __call__(self, u):
        return u * self.network(jnp.log(u / SCALE))


class Model(eqx.Module):
    """The rates of the known equation and the first populations, as logarithms, and a network, if any."""

    rates: jax.Array
    start: jax.Array
    network: eqx.nn.MLP | None = None

    def __call__(self, years: int):
        """Logarithms of the populations of so many years, shape `(years, 2)`."""
        known = js.equations.LotkaVolterra(*jnp.exp(self.rates))
        equation = known if self.network is None else Hybrid(known, Pointwise(Growth(self.network)))
        u0 = js.Point().field(jnp.exp(self.start))
        run = js.rollout(equation, u0, dt=1 / STEPS, steps=STEPS * (years - 1), save_every=STEPS)
        return jnp.concatenate([self.start[None], jnp.log(run.values)])


def fit(model: Model, observed, kept, penalty: float, iterations: int) -> Model:
    """Least squares of the kept years, with a penalty on the learned rates there."""
    share = kept / jnp.sum(kept)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(2e-2, iterations)))
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def loss(arrays):
        model = eqx.combine(arrays, static)
        predicted = model(len(observed))
        misfit = jnp.mean((predicted - observed) ** 2, axis=1)
        if model.network is not None:
            learned = jax.vmap(model.network)(predicted - jnp.log(SCALE))
            misfit = misfit + penalty * jnp.mean(learned**2, axis=1)
        return share @ misfit

    def update(carry, _):
        arrays, state = carry
        updates, state = optimizer.update(jax.grad(loss)(arrays), state)
        return (optax.apply_updates(arrays, updates), state), None

    (arrays, _), _ = jax.lax.scan(update, (arrays, optimizer.init(arrays)), None, iterations)
    return eqx.combine(arrays, static)


def with_network(model: Model, key) -> Model:
    """A model whose learned rates begin near zero."""
    network = eqx.nn.MLP(2, 2, 8, 1, jnp.tanh, key=key)
    last = lambda net: (net.layers[-1].weight, net.layers[-1].bias)
    network = eqx.tree_at(last, network, (0.1 * network.layers[-1].weight, jnp.zeros(2)))
    return Model(model.rates, model.start, network)


@eqx.filter_jit
def fitted(observed, kept, keys, penalty, iterations):
    """Logarithms by the known equation, `(years, 2)`, and by the hybrid with every key, `(keys, years, 2)`."""
    guess = Model(jnp.log(jnp.array([0.55, 0.028, 0.8, 0.024])), observed[0])
    known = fit(guess, observed, kept, 0.0, iterations)
    hybrid = lambda key: fit(with_network(known, key), observed, kept, penalty, iterations)(len(observed))
    return known(len(observed)), jax.vmap(hybrid)(keys)


def error(predicted, observed, kept) -> float:
    """Root mean square over the years that were held out."""
    return float(np.sqrt(np.mean((np.asarray(predicted) - observed)[kept == 0] ** 2)))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="CSV: year, prey, predators; comments begin with #")
    parser.add_argument("--penalty", type=float, default=1.0, help="on the square of the learned rates, year²")
    parser.add_argument("--networks", type=int, default=3, help="random starts of the network")
    parser.add_argument("--iterations", type=int, default=800)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    lines = [line for line in options.data.read_text().splitlines() if not line.startswith("#")]
    table = np.loadtxt(lines[1:], delimiter=",")
    years, observed = table[:, 0], np.log(table[:, 1:])
    count = len(years)
    inside = (np.arange(count) > 0) & (np.arange(count) < count - 1)
    cases = [1.0 - ((np.arange(count) % 4 == fold) & inside) for fold in range(4)]
    cases.append(np.arange(count) < count - 6)
    kept = jnp.asarray(np.stack(cases), float)
    keys = jax.random.split(jax.random.key(0), options.networks)
    several = jax.vmap(lambda kept: fitted(jnp.asarray(observed, float), kept, keys, options.penalty,
                                           options.iterations))  # fmt: skip
    known, hybrid = map(np.asarray, several(kept))

    def linear(kept):
        at = np.flatnonzero(kept)
        return np.stack([np.interp(np.arange(count), at, observed[at, species]) for species in (0, 1)], axis=1)

    last = np.arange(count) < count - 6
    rows = {  # a mean of the networks' forecasts, filling gaps and for the last six years
        "hybrid": [error(hybrid[i].mean(0), observed, cases[i]) for i in range(5)],
        "Lotka-Volterra alone": [error(known[i], observed, cases[i]) for i in range(5)],
        "straight lines / last value": [error(linear(cases[i]), observed, cases[i]) for i in range(5)],
    }
    repeated = error(np.concatenate([observed[:10], observed[:-10]]), observed, last)
    print("root mean square error of logarithms        every fourth year    last six years")
    for name, errors in rows.items():
        print(f"  {name:<40} {np.mean(errors[:4]):>14.3f} {errors[4]:>19.3f}")
    print(f"  {'what was ten years before':<40} {'':>14} {repeated:>19.3f}")
    misfit = [float(np.sqrt(np.mean((m - observed)[last] ** 2))) for m in (hybrid[4].mean(0), known[4])]
    print(f"misfit of the first {count - 6} years: hybrid {misfit[0]:.3f}, Lotka-Volterra alone {misfit[1]:.3f}")

    figure, axes = plt.subplots(2, 1, figsize=(9, 5.6), sharex=True, layout="constrained")
    for species, (axis, name) in enumerate(zip(axes, ("hare", "lynx"))):
        axis.axvspan(years[-6] - 0.5, years[-1] + 0.5, color="0.93", label="held out")
        axis.plot(years, np.exp(observed[:, species]), "o", color="black", label="pelts")
        axis.plot(years, np.exp(known[4, :, species]), "--", color="tab:gray", label="Lotka-Volterra alone")
        axis.plot(years, np.exp(hybrid[4, :, :, species].T), color="tab:blue", lw=0.8, alpha=0.6)
        axis.plot(years, np.exp(hybrid[4, :, :, species].mean(0)), color="tab:blue", label="hybrid")
        axis.set(ylabel=f"{name}, thousand pelts", yscale="log")
        axis.set_yticks([5, 10, 20, 40, 80], [5, 10, 20, 40, 80])
        axis.minorticks_off()
    axes[0].legend(frameon=False, ncols=4, loc="lower left", fontsize="small")
    axes[0].set_title("Hudson's Bay Company: fitted to 15 years, forecast for 6")
    axes[1].set(xlabel="year", xticks=years[::2].astype(int), xlim=(years[0] - 0.5, years[-1] + 0.5))
    plot.save(options.out / "lynx_hare.png", figure, dpi=130)
    return {name: (float(np.mean(errors[:4])), errors[4]) for name, errors in rows.items()}, misfit


if __name__ == "__main__":
    main()
