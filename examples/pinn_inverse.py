"""The viscosity of Burgers' equation from noisy samples, by a physics-informed network.

A few hundred samples of a solution, with noise, are all that is known besides the equation, the initial values and the
standard deviation of the noise. A network and the logarithm of the viscosity are fitted together: one block of rows
asks for small residuals of the equation, the other for the samples. The fit is repeated for new samples, new noise and
new networks; the spread of what it finds is set beside the deviation that the Jacobian at the end of a fit says.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import jaxsim as js
from jaxsim import plot
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.extras import script_needs
from jaxsim.nets import MLP
from jaxsim.optimize import DenseQR, LevenbergMarquardt, Rows, combine, partition, train
from jaxsim.pinn import Box, collocation

plt = script_needs("matplotlib.pyplot")

TRUE, GUESS = 0.01, 0.05
BOX = Box((0.0, 1.0), (-1.0,), (1.0,))
MOMENTS = 40  # times at which samples are taken


class Model(eqx.Module):
    """A network, and the logarithm of the viscosity."""

    field: FromInitial
    logarithm: jax.Array


class Fit(NamedTuple):
    """A viscosity, its standard deviation by the Jacobian, the field, and the samples it was made from."""

    viscosity: float
    deviation: float
    field: FromInitial
    samples: tuple


def initial(x):
    """The values at t = 0."""
    return -jnp.sin(jnp.pi * x)


def field_of(model: Model) -> FromInitial:
    """Where the residual finds the field."""
    return model.field


def equation(model: Model) -> js.Equation:
    """Burgers' equation with the viscosity of a model."""
    return js.equations.Burgers(jnp.exp(model.logarithm))


def deviation(model: Model, sample) -> jax.Array:
    """How far the field is from a sample."""
    point, value = sample
    return model.field(*point) - value


def reference(nodes: int) -> js.Field:
    """The true solution at all moments, by the spectral solver."""
    space = js.Fourier(js.Grid((nodes,), -1.0, 1.0))
    steps = 25 * MOMENTS
    return js.rollout(js.equations.Burgers(TRUE), space.field(initial), dt=1 / steps, steps=steps, save_every=25)


def measure(truth: js.Field, count: int, noise: float, seed: int) -> tuple:
    """Samples at nodes of the solver's grid: points, values, and the standard deviation of the noise."""
    draw, values = np.random.default_rng(seed), np.asarray(truth.values)
    moment, node = draw.integers(0, MOMENTS, count), draw.integers(0, values.shape[1], count)
    size = noise * np.sqrt(np.mean(values**2))
    x = np.asarray(truth.space.coordinates()[0])
    points = np.stack([(moment + 1) / MOMENTS, x[node]], 1)
    return jnp.asarray(points), jnp.asarray(values[moment, node] + size * draw.standard_normal(count)), size


def fit(samples: tuple, width: int, points: int, steps: int, seed: int) -> Fit:
    """A network and a viscosity for samples."""
    places, values, size = samples
    key, scatter = jax.random.split(jax.random.key(seed))
    network = MLP(Embedded.size([True]), "scalar", width, 3, key=key)
    field = FromInitial(Embedded(network, BOX.duration, BOX.lower, BOX.upper, (True,)), initial)
    model = Model(field, jnp.log(GUESS))
    data = Rows(deviation, (places, values), factor=1 / size**2)  # the loss of the truth is about 1
    for weight in (1.0, 100.0):  # of residuals: loose first, which is quicker than to follow the equation closely
        residuals = collocation(equation, BOX.sobol(points, scatter), field=field_of)
        blocks = [data.settled(), dataclasses.replace(residuals, factor=weight / size**2).settled()]
        model = train(blocks, model, LevenbergMarquardt(), steps, every=steps).model
    return Fit(float(jnp.exp(model.logarithm)), float(expected(blocks, model)), model.field, samples)


@eqx.filter_jit
def expected(blocks: list[Rows], model: Model) -> jax.Array:
    """The standard deviation of the viscosity, from the Jacobian of all rows at the end of a fit."""
    parameters, rest = partition(model)
    flat, unravel = ravel_pytree(parameters)
    slope = jax.grad(lambda flat: jnp.exp(combine(unravel(flat), rest).logarithm))(flat)
    linear = DenseQR().linearize(blocks, lambda flat: combine(unravel(flat), rest), flat)
    _, again = linear.solve(1e-12 * jnp.mean(linear.diagonal))
    return jnp.sqrt(-(slope @ again(slope, slope)) / blocks[0].count)  # the loss is a mean over samples


def draw(path: Path, fits: list[Fit], truth: js.Field):
    """Samples and field of the first fit, profiles of all, and the viscosities."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12.5, 3.8), constrained_layout=True)
    x, t = np.asarray(truth.space.coordinates()[0]), np.linspace(0, 1, 101)
    first, (places, values, _) = fits[0], fits[0].samples
    found = jax.jit(jax.vmap(lambda t: jax.vmap(lambda x: first.field(t, x))(x)))(t)
    image = left.pcolormesh(t, x, np.asarray(found).T, cmap="RdBu_r", vmin=-1, vmax=1, rasterized=True)
    left.scatter(places[:, 0], places[:, 1], c=values, cmap="RdBu_r", vmin=-1, vmax=1, s=14, edgecolors="black", lw=0.5)
    figure.colorbar(image, ax=left)
    left.set(xlabel="t", ylabel="x", title="field of one fit, and its samples")
    moment = MOMENTS // 2 - 1
    middle.plot(x, truth.values[moment], color="0.75", lw=5, label="truth")
    for number, one in enumerate(fits):
        profile = jax.jit(jax.vmap(lambda x, one=one: one.field((moment + 1) / MOMENTS, x)))(x)
        middle.plot(x, profile, lw=0.8, color="tab:blue", label=None if number else "fits")
    near = np.abs(places[:, 0] - (moment + 1) / MOMENTS) < 0.03
    middle.plot(places[near, 1], values[near], "k.", ms=5, label=f"samples near t = {(moment + 1) / MOMENTS:.1f}")
    middle.set(xlabel="x", title=f"t = {(moment + 1) / MOMENTS:.1f}")
    middle.legend(fontsize=8)
    viscosities, deviations = np.array([[one.viscosity, one.deviation] for one in fits]).T
    right.errorbar(np.arange(len(fits)), viscosities, deviations, fmt="o", color="tab:blue", capsize=3)
    right.axhline(TRUE, color="0.6", lw=1)
    right.set(xlabel="seed", ylabel="viscosity", title="viscosities and their deviations",
              xticks=range(len(fits)))  # fmt: skip
    plot.save(path, figure, dpi=130)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--noise", type=float, default=0.05, help="in units of the solution's root mean square")
    parser.add_argument("--seeds", type=int, default=5, help="how often all is repeated")
    parser.add_argument("--width", type=int, default=16, help="of the network's three layers")
    parser.add_argument("--points", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=30, help="of Levenberg-Marquardt, for each of two weights")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the picture")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)  # least squares need their digits

    truth, fits = reference(512), []
    for seed in range(options.seeds):
        start = time.perf_counter()
        samples = measure(truth, options.samples, options.noise, seed)
        fits.append(fit(samples, options.width, options.points, options.steps, seed))
        print(f"seed {seed}: viscosity {fits[-1].viscosity:.5f} +- {fits[-1].deviation:.5f}, truth {TRUE}, "
              f"{time.perf_counter() - start:.0f} s")  # fmt: skip
    errors = np.array([one.viscosity for one in fits]) / TRUE - 1
    bars = np.array([one.deviation for one in fits]) / TRUE
    print(f"{options.samples} samples, {options.noise:.0%} noise: error of one fit {np.sqrt(np.mean(errors**2)):.1%}, "
          f"of the mean {abs(np.mean(errors)):.1%}; expected by the Jacobian {np.median(bars):.1%}")  # fmt: skip
    draw(options.out / "pinn_inverse.png", fits, truth)
    return errors, bars


if __name__ == "__main__":
    main()
