"""A neural surrogate that conserves: an operator learns the steps of Korteweg and de Vries' equation.

The equation keeps the mass, the integral of u, and the momentum, that of u². A Fourier neural operator trained on our
own solver's data does not. A projection after each of its steps does, to rounding: put behind the operator that was
trained freely, or there from the start. The script prints what this does to the error far beyond the times of the data.
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsim as js
from jaxsim import plot
from jaxsim.constraints import IntegralProjection, Projected, Quadrature
from jaxsim.extras import script_needs
from jaxsim.nets import FNO

plt = script_needs("matplotlib.pyplot")

NODES, LENGTH, DT = 64, 20.0, 0.2
TRAINED, TESTED = 20, 100  # steps in the data, and in the test
SPACE = js.Fourier(js.Grid(NODES, 0.0, LENGTH))
INTEGRAL = Quadrature.periodic((NODES,), (LENGTH,))


class Step(eqx.Module):
    """The state after a step: the state before it and a change, found by an operator."""

    operator: FNO
    change: float = eqx.field(static=True)

    def __call__(self, u):
        return u + self.change * self.operator(u[None])[0]


def trajectories(key, count: int, steps: int):
    """Solutions from random initial values at every step, shape `(count, steps + 1, NODES)`."""

    def one(key):
        shape, level = jax.random.split(key)
        noise = js.initial.filtered_noise(shape, peak=2, root_mean_square=0.3, length=LENGTH)
        u0 = SPACE.field(lambda x: noise(x) + jax.random.uniform(level, (), minval=-0.2, maxval=0.2))
        later = js.rollout(js.equations.KortewegDeVries(), u0, dt=DT / 20, steps=20 * steps, save_every=20)
        return jnp.concatenate([u0.values[None], later.values])

    return jax.jit(jax.vmap(one))(jax.random.split(key, count))


def rollout(step, u0, steps: int):
    """The states after each step."""
    return jax.lax.scan(lambda u, _: (step(u),) * 2, u0, None, length=steps)[1]


def train(step, data, key, updates: int, batch: int = 16, ahead: int = 4):
    """Adam on the squared error of one to four steps ahead of random states."""
    parameters, rest = eqx.partition(step, eqx.is_inexact_array)
    optimizer = optax.adam(optax.cosine_onecycle_schedule(updates, 2e-3, 0.1))

    def loss(parameters, windows):
        found = jax.vmap(lambda u: rollout(eqx.combine(parameters, rest), u, ahead))(windows[:, 0])
        return jnp.mean((found - windows[:, 1:]) ** 2) / step_size(data) ** 2

    def update(carry, key):
        parameters, state = carry
        first, second = jax.random.split(key)
        rows = jax.random.randint(first, (batch, 1), 0, len(data))
        starts = jax.random.randint(second, (batch, 1), 0, data.shape[1] - ahead)
        value, gradient = jax.value_and_grad(loss)(parameters, data[rows, starts + jnp.arange(ahead + 1)])
        change, state = optimizer.update(gradient, state)
        return (optax.apply_updates(parameters, change), state), value

    start = parameters, optimizer.init(parameters)
    (parameters, _), losses = jax.jit(lambda *a: jax.lax.scan(update, *a))(start, jax.random.split(key, updates))
    return eqx.combine(parameters, rest), losses


def step_size(data):
    """Root mean square of the change in a step."""
    return jnp.sqrt(jnp.mean(jnp.diff(data, axis=1) ** 2))


def measured(found, truth):
    """Relative errors and drifts, shape `(trajectories, steps)`."""
    norm = lambda u: jnp.linalg.norm(u, axis=-1)
    square, bulk = INTEGRAL(truth[:, :1] ** 2), INTEGRAL(jnp.abs(truth[:, :1]))
    return {
        "relative error": norm(found - truth[:, 1:]) / norm(truth[:, 1:]),
        "drift of the mass": jnp.abs(INTEGRAL(found) - INTEGRAL(truth[:, :1])) / bulk,
        "drift of the momentum": jnp.abs(INTEGRAL(found**2) - square) / square,
    }


def draw(path: Path, truth, found: dict, results: dict):
    """The last states of one trajectory, and errors and drifts in time."""
    figure, (states, *others) = plt.subplots(1, 4, figsize=(16, 3.8), layout="constrained", width_ratios=(1.3, 1, 1, 1))
    x, times = SPACE.coordinates()[0], DT * np.arange(1, TESTED + 1)
    states.plot(x, truth[0, -1], color="0.75", lw=5, label="solver")
    colors = dict(zip(found, ("tab:red", "tab:orange", "tab:blue")))
    for name, values in found.items():
        states.plot(x, values[0, -1], color=colors[name], lw=1.4, label=name)
        for axis, (quantity, numbers) in zip(others, results[name].items()):
            axis.semilogy(times, np.maximum(np.mean(numbers, 0), 1e-17), color=colors[name])
            axis.set(xlabel="time", title=f"{quantity}, mean of {len(numbers)}")
    for axis in others:
        axis.axvspan(0, TRAINED * DT, color="0.92", zorder=0)
        axis.grid(alpha=0.3)
    states.set(xlabel="x", title=f"one state at t = {times[-1]:.0f}; the data end at {TRAINED * DT:.0f}")
    states.legend(fontsize=8)
    plot.save(path, figure, dpi=130)


def main(arguments=None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=800)
    parser.add_argument("--width", type=int, default=20, help="channels of the operator")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the picture")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)

    weights, order = jax.random.split(jax.random.key(options.seed))
    data, truth = trajectories(jax.random.key(1), 64, TRAINED), trajectories(jax.random.key(2), 32, TESTED)
    start = Step(FNO(1, 1, options.width, 3, modes=16, key=weights), float(step_size(data)))
    keep = IntegralProjection(quadrature=INTEGRAL, quadratic=lambda u: INTEGRAL(u * u))  # what the step's input has

    begin = time.perf_counter()
    free, _ = train(start, data, order, options.updates)
    steps = {
        "free": free,
        "projected afterwards": Projected(free, keep),
        "trained projected": train(Projected(start, keep), data, order, options.updates)[0],
    }
    print(f"{options.updates} updates of two operators in {time.perf_counter() - begin:.0f} s")
    found, results = {}, {}
    for name, step in steps.items():
        found[name] = jax.jit(jax.vmap(lambda u, step=step: rollout(step, u, TESTED)))(truth[:, 0])
        results[name] = jax.tree.map(np.asarray, measured(found[name], truth))
        late = {quantity: np.mean(numbers[:, -1]) for quantity, numbers in results[name].items()}
        print(f"{name:20s} " + ", ".join(f"{quantity} {number:.1e}" for quantity, number in late.items()))
    draw(options.out / "conserved_surrogate.png", truth, found, results)
    return {name: {quantity: float(np.mean(n[:, -1])) for quantity, n in result.items()}
            for name, result in results.items()}  # fmt: skip


if __name__ == "__main__":
    main()
