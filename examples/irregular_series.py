"""A latent ODE fills gaps of a real series and forecasts it: carbon dioxide on Mauna Loa, week by week.

Keeling's record of 1958 to 2001, in the public domain, comes with statsmodels (pip install statsmodels). Weeks are
missing in it; stretches of half a year are taken out for a test, as are all years from 1994 on, in which forecasts of
two years start every half year. The model encodes what it is shown of four years, and its latent state follows a
network that knows the season. Simple baselines meet the same held-out weeks.
"""

import argparse
from pathlib import Path

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.neural_de import GRUEncoder, Integrator, LatentODE

plt = script_needs("matplotlib.pyplot")

WEEK = 7 / 365.25  # years
WINDOW, PAST, GAP = 209, 105, 26  # weeks that the model sees at once, before a forecast, and in a held-out stretch
FORECASTS = 1994.0  # from here on nothing is trained on
ORIGINS = np.arange(1994.0, 2000.01, 0.5)
UNIT, NOISE = 5.0, 0.3  # ppm


class SeasonalField(eqx.Module):
    """A latent vector field that knows the time of the year."""

    network: eqx.nn.MLP

    def __call__(self, t, z, args):
        return self.network(jnp.concatenate([z, season(t).astype(z.dtype)]))


class SeasonalEncoder(eqx.Module):
    """An encoder that sees the time of the year beside each value."""

    encoder: GRUEncoder

    def __call__(self, ts, values, mask, t0):
        values = jnp.concatenate([values, season(ts).astype(values.dtype)], 1)
        return self.encoder(ts, values, jnp.repeat(mask, 3, 1), t0)


def season(t):
    """Cosine and sine of the year, in a last axis."""
    return jnp.stack([jnp.cos(2 * jnp.pi * t), jnp.sin(2 * jnp.pi * t)], -1)


def record():
    """Times in years and weekly means in ppm, NaN where there is none."""
    data = script_needs("statsmodels.datasets").co2.load_pandas().data
    days = (data.index - np.datetime64("1958-01-01")).days.to_numpy()
    return 1958 + days / 365.25, data["co2"].to_numpy(float)


def held_out(t, x, count: int = 12) -> tuple[np.ndarray, list[int]]:
    """A mask of stretches before `FORECASTS`, at least two years apart, and the weeks that they start at."""
    starts = []
    inside = np.arange(WINDOW // 2, np.searchsorted(t, FORECASTS) - WINDOW // 2)
    for start in np.random.default_rng(0).permutation(inside):
        if len(starts) < count and all(abs(start - other) > 104 for other in starts):
            starts.append(int(start))
    mask = np.zeros(len(t), bool)
    for start in starts:
        mask[start : start + GAP] = True
    return mask & ~np.isnan(x), sorted(starts)


def windows(t, x, first, shown):
    """Times, scaled values around the mean of what is shown, and that mean, of windows that start at weeks `first`.

    Weeks after the record's end have no value.
    """
    rows = np.asarray(first)[:, None] + np.arange(WINDOW)
    values = np.where(rows < len(t), x[np.minimum(rows, len(t) - 1)], np.nan)
    level = np.nanmean(np.where(shown, values, np.nan), -1, keepdims=True)
    ts = t[0] + WEEK * rows
    return ts.astype(np.float32), ((values - level) / UNIT).astype(np.float32)[..., None], level


def training_batch(random, t, x, usable, batch: int):
    """Windows of which the model is shown the first half, or all but a stretch, and where weeks are missing too."""
    weeks, size = np.arange(WINDOW), (batch, 1)
    first = random.integers(0, np.searchsorted(t, FORECASTS) - WINDOW + 1, batch)
    there = usable[first[:, None] + weeks]
    start = random.integers(20, WINDOW - 46, size)
    stretch = (weeks >= start) & (weeks < start + random.integers(13, 40, size))
    hidden = np.where(random.random(size) < 0.5, weeks >= PAST, stretch) | (random.random(there.shape) < 0.1)
    shown = there & ~hidden
    ts, values, _ = windows(t, x, first, shown)
    return ts, values, there[..., None], shown[..., None]


def make_model(key) -> LatentODE:
    """Small networks; the integrator steps over many weeks at once."""
    keys, latent, hidden = jax.random.split(key, 3), 8, 32
    return LatentODE(
        SeasonalEncoder(GRUEncoder(3, hidden, latent, key=keys[0])),
        SeasonalField(eqx.nn.MLP(latent + 2, latent, 32, 2, jnp.tanh, key=keys[1])),
        eqx.nn.Linear(latent, 1, key=keys[2]),
        Integrator(stepsize_controller=dfx.PIDController(rtol=1e-3, atol=1e-4)),
    )


def train(model: LatentODE, batches, iterations: int) -> LatentODE:
    """Adam on the bound of the likelihood, its divergence coming in slowly."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(1e-2, iterations)))

    @eqx.filter_jit
    def improve(model, state, data, key, weight):
        def loss(model):
            def one(ts, values, mask, seen, key):
                return model.loss(ts, values, mask=mask, seen=seen, noise=NOISE / UNIT, key=key, kl_weight=weight)

            return jnp.mean(jax.vmap(one)(*data, jax.random.split(key, len(data[0])))[0])

        updates, state = optimizer.update(eqx.filter_grad(loss)(model), state)
        return eqx.apply_updates(model, updates), state

    state, key = optimizer.init(eqx.filter(model, eqx.is_inexact_array)), jax.random.key(1)
    for iteration in range(iterations):
        weight = jnp.asarray(min(1.0, 4 * iteration / iterations))
        model, state = improve(model, state, next(batches), jax.random.fold_in(key, iteration), weight)
    return model


@eqx.filter_jit
def predict(model, ts, values, shown, key=None):
    """The expectation at all weeks of some windows, or one draw for each."""
    keys = None if key is None else jax.random.split(key, len(ts))
    one = lambda ts, values, mask, key: model(ts, values, mask=mask, key=key)[0][:, 0]
    return jax.vmap(one, (0, 0, 0, None if key is None else 0))(ts, values, shown[..., None], keys)


def in_windows(model, t, x, first, shown, key=None):
    """Predictions in ppm, of shape (windows, weeks)."""
    ts, values, level = windows(t, x, first, shown)
    return np.asarray(predict(model, ts, values, shown, key)) * UNIT + level


def harmonics_fit(t, x, known):
    """Least squares of a parabola and four harmonics of the year, evaluated at all times."""
    years, phase = (t - 1980) / 20, 2 * np.pi * np.outer(t, np.arange(1, 5))
    columns = np.column_stack([np.ones_like(t), years, years**2, np.cos(phase), np.sin(phase)])
    return columns @ np.linalg.lstsq(columns[known], x[known], rcond=None)[0]


def gap_baselines(t, x, usable):
    """Guesses for weeks that are held out, from all that is not."""
    fit = harmonics_fit(t, x, usable)
    straight = lambda values: np.interp(t, t[usable], values[usable])
    return {"straight line": straight(x), "trend and harmonics": fit,
            "the same, remainder interpolated": fit + straight(x - fit)}  # fmt: skip


def forecast_baselines(t, x, past):
    """Guesses for the time after the weeks `past`."""
    fit, known, last = harmonics_fit(t, x, past), t[past], t[past][-1]
    growth = (np.mean(x[past][-52:]) - np.mean(x[past][-364:-312])) / 6
    back = np.maximum(np.ceil(t - last), 0)  # whole years
    year_before = x[past][np.clip(np.searchsorted(known, t - back), 0, len(known) - 1)]
    return {"persistence": np.full_like(t, x[past][-1]), "last year and mean growth": year_before + back * growth,
            "trend and harmonics": fit,
            "the same, at the latest level": fit + np.mean((x - fit)[past][-26:])}  # fmt: skip


def rms(errors) -> float:
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def evaluate(model, t, x, gaps, starts, usable):
    """Root mean square errors in ppm at held-out weeks, in gaps and in forecasts."""
    first = np.array(starts) + GAP // 2 - WINDOW // 2
    rows = first[:, None] + np.arange(WINDOW)
    filled = in_windows(model, t, x, first, usable[rows])
    errors = {name: rms([(guess - x)[gaps]]) for name, guess in gap_baselines(t, x, usable).items()}
    errors["latent ODE"] = rms([(filled - x[rows])[gaps[rows]]])

    there, collected = ~np.isnan(x), {}
    begins = np.searchsorted(t, ORIGINS)
    shown = there[begins[:, None] + np.arange(-PAST, WINDOW - PAST).clip(max=-1)] & (np.arange(WINDOW) < PAST)
    ahead = in_windows(model, t, x, begins - PAST, shown)
    for begin, guess in zip(begins, ahead):
        end = min(begin + WINDOW - PAST, len(t))
        weeks = begin + np.flatnonzero(there[begin:end])
        guesses = forecast_baselines(t, x, there & (np.arange(len(t)) < begin))
        collected.setdefault("latent ODE", []).append(guess[PAST + weeks - begin] - x[weeks])
        for name, baseline in guesses.items():
            collected.setdefault(name, []).append((baseline - x)[weeks])
    return errors, {name: rms(parts) for name, parts in sorted(collected.items(), key=lambda e: e[0] == "latent ODE")}


def picture(file, model, t, x, gaps, starts, usable):
    """The record, a gap and a forecast with draws from the model."""
    figure, axes = plt.subplot_mosaic([["record", "record"], ["gap", "forecast"]], figsize=(10, 6.4),
                                      layout="constrained", height_ratios=[1, 1.25])  # fmt: skip
    axes["record"].plot(t, x, color="0.6", linewidth=0.8, label="trained on")
    axes["record"].plot(t, np.where(gaps, x, np.nan), color="tab:red", linewidth=2, label="held out: gaps")
    axes["record"].plot(t, np.where(t >= FORECASTS, x, np.nan), color="tab:orange", label="held out: forecasts")
    axes["record"].set(title="Carbon dioxide on Mauna Loa, weekly", ylabel="ppm", xlim=(t[0], t[-1]))
    axes["record"].legend(frameon=False)
    there, middle = ~np.isnan(x), starts[len(starts) // 2]
    begin = int(np.searchsorted(t, 1995.5))
    cases = {"gap": middle + GAP // 2 - WINDOW // 2, "forecast": begin - PAST}
    for name, first in cases.items():
        rows = first + np.arange(WINDOW)
        shown = usable[rows] if name == "gap" else there[rows] & (rows < begin)
        hidden = there[rows] & ~shown
        axis, count = axes[name], 40
        draws = in_windows(model, t, x, np.full(count, first), np.tile(shown, (count, 1)), jax.random.key(2))
        mean = in_windows(model, t, x, [first], shown[None])[0]
        axis.plot(t[rows], draws.T, color="tab:blue", alpha=0.06)
        axis.plot(t[rows], mean, color="tab:blue", label="latent ODE")
        axis.plot(t[rows][shown], x[rows][shown], ".", color="0.35", markersize=3, label="shown to the model")
        axis.plot(t[rows][hidden], x[rows][hidden], ".", color="tab:red", markersize=5, label="held out")
        axis.set(title=f"A {name}", xlabel="year", ylabel="ppm", xlim=(t[rows[0]], t[rows[-1]]))
        axis.legend(frameon=False, loc="upper left")
    plot.save(file, figure, dpi=130)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    t, x = record()
    gaps, starts = held_out(t, x)
    usable = ~np.isnan(x) & ~gaps & (t < FORECASTS)
    random = np.random.default_rng(0)
    batches = iter(lambda: training_batch(random, t, x, usable, options.batch), None)
    model = train(make_model(jax.random.key(0)), batches, options.iterations)
    errors = evaluate(model, t, x, gaps, starts, usable)
    titles = f"{len(starts)} gaps of {GAP} weeks", f"{len(ORIGINS)} forecasts of two years from {FORECASTS:.0f} on"
    for title, table in zip(titles, errors):
        print(f"root mean square error in ppm, {title}")
        for name, error in table.items():
            print(f"  {name:<34}{error:6.2f}")
    options.out.mkdir(parents=True, exist_ok=True)
    picture(options.out / "irregular_series.png", model, t, x, gaps, starts, usable)
    return errors


if __name__ == "__main__":
    main()
