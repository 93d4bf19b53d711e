"""Burgers' equation by a physics-informed network, checked against the spectral solver.

The same equation object gives the residual of the network and the reference. The network is periodic and begins with
the initial values by construction, so that its loss is the residual alone; Levenberg-Marquardt steps bring it to some
1e-5.
"""

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.extras import script_needs
from jaxsim.nets import MLP
from jaxsim.optimize import LevenbergMarquardt, Training, train
from jaxsim.pinn import Box, collocation

plt = script_needs("matplotlib.pyplot")


def initial(x):
    """The values at t = 0."""
    return -jnp.sin(jnp.pi * x)


def solve(equation: js.Equation, width: int, points: int, steps: int, seed: int) -> Training:
    """A network whose residual is small at points of the whole interval of time."""
    key, scatter = jax.random.split(jax.random.key(seed))
    box = Box((0.0, 1.0), (-1.0,), (1.0,))
    network = MLP(Embedded.size([True]), "scalar", width, 3, key=key)
    field = FromInitial(Embedded(network, box.duration, box.lower, box.upper, (True,)), initial)
    rows = collocation(equation, box.sobol(points, scatter))
    return train([rows], field, LevenbergMarquardt(), steps, every=10, progress=True)


def reference(equation: js.Equation, times, nodes: int) -> js.Field:
    """The same equation on Fourier modes."""
    space = js.Fourier(js.Grid((nodes,), -1.0, 1.0))
    return js.solve(equation, space.field(initial), t1=1.0, dt=1e-3, saveat=jnp.asarray(times)).ys


def draw(path: Path, x, times, found, true, losses):
    """The solution at some times, its error, and how the loss fell."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    for k, t in enumerate(times):
        if k % 5 == 0:
            color = plt.get_cmap("viridis")(0.85 * t)
            left.plot(x, true[k], color="0.8", lw=4)
            left.plot(x, found[k], color=color, lw=1.2, label=f"t = {t:.1f}")
            middle.semilogy(x, np.abs(found[k] - true[k]) + 1e-12, color=color)
    left.legend(fontsize=8)
    left.set(xlabel="x", title="network; spectral solver in gray")
    middle.set(xlabel="x", title="error")
    right.semilogy(np.arange(1, len(losses) + 1), losses, color="tab:red")
    right.set(xlabel="step of Levenberg-Marquardt", title="mean squared residual")
    plot.save(path, figure, dpi=130)


def main(arguments=None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--viscosity", type=float, default=0.01)
    parser.add_argument("--width", type=int, default=20, help="of the network's three layers")
    parser.add_argument("--points", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the picture")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_enable_x64", True)  # least squares need their digits

    equation, times = js.equations.Burgers(options.viscosity), np.linspace(0, 1, 21)
    start = time.perf_counter()
    done = solve(equation, options.width, options.points, options.steps, options.seed)
    seconds = time.perf_counter() - start
    fine, coarse = reference(equation, times, 1024), reference(equation, times, 512)
    x = fine.space.coordinates()[0]
    true = np.asarray(fine.values)
    found = np.asarray(jax.jit(jax.vmap(lambda t: jax.vmap(lambda x: done.model(t, x))(x)))(times))
    error = float(np.linalg.norm(found - true) / np.linalg.norm(true))
    own = float(np.linalg.norm(coarse.values - true[:, ::2]) / np.linalg.norm(true[:, ::2]))
    print(f"{done.steps} steps in {seconds:.0f} s: loss {done.losses[-1]:.1e}, relative error {error:.1e} against the "
          f"spectral solver, whose own is {own:.0e}")  # fmt: skip
    draw(options.out / "pinn_burgers.png", x, times, found, true, done.losses)
    return error


if __name__ == "__main__":
    main()
