"""A network whose output satisfies Burgers' equation, for every initial value that it is given.

The network makes functions of time and place; a layer finds the weights for which the equation holds best at 300
points, by least squares. Initial values and periodicity hold by construction: the functions are added to what diffusion
alone makes of the initial values, they vanish at the beginning, and the network sees the place as an angle. Training
lowers what is left of the equation at other points, through the derivatives of the layer, and needs no solutions. Eight
initial values that were never seen are compared with the spectral solver, beside the same layer over waves and
polynomials, which nobody has to train.
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
from jaxsim.constraints import Chebyshev, ConstraintLayer, FourierSeries, TensorProduct
from jaxsim.extras import script_needs
from jaxsim.nets import MLP
from jaxsim.optimize import GaussNewton, OnFailure
from jaxsim.pinn import collocation

plt = script_needs("matplotlib.pyplot")

EQUATION = js.equations.Burgers(0.02)
WAVES, HARMONICS = 3, 2  # of the initial values, and of the place as the network sees it


class Initial(eqx.Module):
    """A random sum of waves on [0, 1], and what diffusion alone makes of it."""

    amplitudes: jax.Array  # (2, WAVES), of cosines and sines

    def __call__(self, t, x):
        k = 2 * jnp.pi * jnp.arange(1, WAVES + 1)
        decay = jnp.exp(-EQUATION.viscosity * k**2 * t)
        return jnp.sum(self.amplitudes * decay * jnp.stack([jnp.cos(k * x), jnp.sin(k * x)]))


class Functions(eqx.Module):
    """A dictionary of periodic functions that vanish at t = 0: another callable times t."""

    inner: eqx.Module
    angles: bool = eqx.field(static=True)

    def __call__(self, t, x):
        if not self.angles:
            return t * self.inner(t, x)
        angle = 2 * jnp.pi * jnp.arange(1, HARMONICS + 1) * x
        return t * self.inner(jnp.concatenate([2 * t[None] - 1, jnp.cos(angle), jnp.sin(angle)]))


def random_initial(key: jax.Array, count: int) -> jax.Array:
    """Amplitudes that fall with the wave number, shape `(count, 2, WAVES)`."""
    return 0.2 * jax.random.normal(key, (count, 2, WAVES)) / jnp.arange(1, WAVES + 1) ** 1.5


def scatter(key: jax.Array, count: int) -> jax.Array:
    """Random points `(t, x)`, more of them early, when most happens."""
    return jax.random.uniform(key, (count, 2)) ** jnp.array([2.0, 1.0])


def make_layer(points: jax.Array) -> ConstraintLayer:
    """The layer that makes Burgers' equation hold at points."""
    method = GaussNewton(tolerance=1e-6, steps=20)
    blocks = lambda given: {"interior": collocation(EQUATION, points)}
    return ConstraintLayer(blocks, ridge=1e-6, method=method, on_failure=OnFailure.KEEP)


def fit(solve, network: Functions, points: int, steps: int, key: jax.Array, error_of):
    """Steps of Adam on what is left of the equation, with new initial values and points in each."""
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, steps, 0.1))

    def loss(network, key):
        batch, places = random_initial(key, 4), scatter(jax.random.fold_in(key, 1), points)
        block = collocation(EQUATION, places)
        return jnp.mean(jax.vmap(lambda amplitudes: block.loss(solve(network, amplitudes)))(batch))

    @eqx.filter_jit
    def step(network, state, key):
        value, slope = eqx.filter_value_and_grad(loss)(network, key)
        change, state = optimizer.update(slope, state)
        return eqx.apply_updates(network, change), state, value

    state, losses, errors = optimizer.init(eqx.filter(network, eqx.is_inexact_array)), [], {0: error_of(network)}
    for k, draw in enumerate(jax.random.split(key, steps)):
        network, state, value = step(network, state, draw)
        losses.append(value)
        if (k + 1) % 25 == 0:
            errors[k + 1] = error_of(network)
    return network, np.asarray(losses), errors


def on_grid(u, times, x):
    """Values at all times and places, shape `(times, places)`."""
    return jax.vmap(lambda t: jax.vmap(lambda x: u(t, x))(x))(times)


def reference(amplitudes, times, nodes: int) -> np.ndarray:
    """The same equation on Fourier modes, for all initial values."""
    space = js.Fourier(js.Grid((nodes,), 0.0, 1.0))

    def one(amplitudes):
        u0 = space.field(jax.vmap(lambda x: Initial(amplitudes)(0.0, x))(space.coordinates()[0]))
        return js.solve(EQUATION, u0, t1=1.0, dt=0.25 / nodes, saveat=jnp.asarray(times)).ys.values

    return np.asarray(jax.jit(jax.vmap(one))(amplitudes))


def draw(path: Path, x, times, true, found, residual, losses, errors):
    """A solution, what is left of the equation, and training."""
    figure, panels = plt.subplots(1, 4, figsize=(15, 3.5), constrained_layout=True)
    for k in range(0, len(times), 5):
        color = plt.get_cmap("viridis")(0.85 * times[k])
        panels[0].plot(x, true[k], color="0.8", lw=4)
        panels[0].plot(x, found[k], color=color, lw=1.2, label=f"t = {times[k]:.2f}")
    panels[0].legend(fontsize=8)
    panels[0].set(xlabel="x", title="layer; spectral solver in gray")
    for panel, values, title in ((panels[1], found - true, "error"), (panels[2], residual, "residual")):
        size = np.abs(values).max()
        image = panel.imshow(values, extent=(0, 1, 0, 1), origin="lower", cmap="RdBu_r", vmin=-size, vmax=size)
        figure.colorbar(image, ax=panel, shrink=0.8)
        panel.set(xlabel="x", ylabel="t", title=title, aspect="auto")
    smooth = [np.mean(losses[max(k - 20, 0) : k + 1]) for k in range(len(losses))]
    panels[3].semilogy(np.arange(1, len(losses) + 1), losses, ".", ms=2, color="0.7", label="loss of a step")
    panels[3].semilogy(np.arange(1, len(losses) + 1), smooth, color="tab:red", label="mean of 20")
    panels[3].semilogy(list(errors), list(errors.values()), "o-", ms=3, color="tab:blue", label="error, unseen")
    panels[3].legend(fontsize=8)
    panels[3].set(xlabel="step of Adam", title="training")
    plot.save(path, figure, dpi=120)


def main(arguments=None) -> tuple[float, float, float]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=40, help="that the network makes")
    parser.add_argument("--width", type=int, default=40, help="of the network's three layers")
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the picture")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)  # least squares need their digits

    keys = jax.random.split(jax.random.key(options.seed), 4)
    layer, unseen = make_layer(scatter(keys[0], options.points)), random_initial(keys[1], 8)
    solve = lambda functions, amplitudes: layer(functions, offset=Initial(amplitudes)).value
    times, x = jnp.linspace(0, 1, 21), jnp.arange(64) / 64
    true = reference(unseen, times, 256)
    own = np.linalg.norm(reference(unseen, times, 128) - true[..., ::2]) / np.linalg.norm(true[..., ::2])
    true = true[..., ::4]

    @eqx.filter_jit
    def error_of(functions):
        found = jax.lax.map(lambda a: on_grid(solve(functions, a), times, x), unseen)
        return jnp.linalg.norm(found - true) / jnp.linalg.norm(true)

    network = Functions(MLP(2 * HARMONICS + 1, options.functions, options.width, 3, key=keys[2]), True)
    before, start = float(error_of(network)), time.perf_counter()
    network, losses, seen = fit(solve, network, options.points, options.steps, keys[3], error_of)
    seconds = time.perf_counter() - start

    fixed = Functions(TensorProduct([Chebyshev(6), FourierSeries(9)]), False)
    after, known = float(error_of(network)), float(error_of(fixed))
    print(f"{options.functions} functions of a network: error {before:.1e}, {after:.1e} after {options.steps} steps "
          f"({seconds:.0f} s); 54 fixed functions {known:.1e}; the reference {own:.0e}")  # fmt: skip
    u = eqx.filter_jit(solve)(network, unseen[0])
    left = eqx.filter_jit(lambda u: on_grid(js.residual(EQUATION, js.Function(u)), times, x))(u)
    draw(options.out / "constraint_layer.png", x, np.asarray(times), true[0], np.asarray(on_grid(u, times, x)),
         np.asarray(left), losses, seen)  # fmt: skip
    return before, after, known


if __name__ == "__main__":
    main()
