"""The shape of an obstacle, found by gradients through the flow around it: less drag at the same area.

A cylinder in a channel at Reynolds number 80. Its outline gets a stretching and a few Fourier coefficients, its area
stays the same by construction, and Adam lowers the mean drag over the second half of a run from a sudden start. The
gradient is that of the whole unsteady simulation, by `jax.value_and_grad` of a `js.rollout`; before it is used, it is
compared with central differences.

    python examples/obstacle_shape.py

The shape is then judged by runs that the optimization has not seen: on a finer grid, and long enough for vortices to
be shed. Lengths are in diameters of the cylinder, velocities in the mean of the inflow.
"""

import argparse
import functools
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.integrate import IMEXRK2

plt = script_needs("matplotlib.pyplot")

LENGTH, HEIGHT, CENTER, RADIUS, REYNOLDS = 12.0, 4.0, (3.0, 2.05), 0.5, 80.0  # off the axis: vortices start earlier
MODES, TIME = 3, 5.0
AROUND = 2 * np.pi * np.arange(128) / 128


class Outline(eqx.Module):
    """A body of given area around its center of mass, symmetric about the x axis: its signed distance.

    In coordinates X = x / e^a, Y = e^a y, which leave areas as they are, the outline is r(theta) with
    r^2 = R^2 exp(s) / mean(exp(s)), s = sum_k c_k cos(k theta): positive, and of the area of a disk of radius R,
    whatever the numbers a and c_k are.
    """

    stretch: jax.Array
    coefficients: jax.Array

    def radius(self, theta):
        """r and r' / r."""
        k = jnp.arange(1, len(self.coefficients) + 1)
        exponent = lambda theta: jnp.cos(theta[..., None] * k) @ self.coefficients
        mean = jnp.mean(jnp.exp(exponent(AROUND)))  # to rounding: the integrand is smooth and periodic
        slope = -0.5 * jnp.sin(theta[..., None] * k) @ (k * self.coefficients)
        return RADIUS * jnp.exp(0.5 * exponent(theta)) / jnp.sqrt(mean), slope

    def origin(self):
        """X of where r is measured from, so that the center of mass is in the middle."""
        return -jnp.mean(self.radius(AROUND)[0] ** 3 * jnp.cos(AROUND)) * 2 / (3 * RADIUS**2)

    def points(self, count: int = 200):
        """Points on the outline."""
        theta = jnp.linspace(0, 2 * np.pi, count)
        r, scale = self.radius(theta)[0], jnp.exp(self.stretch)
        return CENTER[0] + scale * (self.origin() + r * jnp.cos(theta)), CENTER[1] + r * jnp.sin(theta) / scale

    def __call__(self, x, y):
        scale = jnp.exp(self.stretch)
        x, y = (x - CENTER[0]) / scale - self.origin(), (y - CENTER[1]) * scale
        square = jnp.maximum(x**2 + y**2, 1e-12)
        theta = jnp.arctan2(y, jnp.where(square > 1e-12, x, 1.0))  # no angle at the very center
        r, slope = self.radius(theta)
        along, across = jnp.cos(theta) + slope * jnp.sin(theta), jnp.sin(theta) - slope * jnp.cos(theta)
        # f / |grad f| with f = |(X, Y)| - r is the distance to first order near the outline
        return (jnp.sqrt(square) - r) / jnp.sqrt((along / scale) ** 2 + (across * scale) ** 2)


def channel(cells: int):
    """Drag coefficients in time as a function of the shape, and the final flow; `cells` across the channel."""
    stretching = js.SinhStretching(2.6, CENTER[0] / LENGTH), js.SinhStretching(1.6, CENTER[1] / HEIGHT)
    grid = js.Grid((2 * cells, cells), 0.0, (LENGTH, HEIGHT), stretching)
    profile = lambda x, y: (6 * y * (HEIGHT - y) / HEIGHT**2, 0 * y)
    space = js.Staggered(grid, ((js.Inflow(lambda t, x, y: profile(x, y)), js.Outflow()), js.NoSlip()))
    finest = [grid.widths(axis).min() for axis in (0, 1)]

    def run(shape: Outline, time=TIME, saves=50):
        every = int(np.ceil(time / saves / (0.3 * min(finest))))  # Courant number about 0.6
        dt = time / saves / every
        body = js.equations.Obstacle(shape, 0.75 * dt, 0.8 * max(finest), viscosity=1 / REYNOLDS)
        flow = js.equations.NavierStokesVelocity(1 / REYNOLDS, obstacle=body)
        u = js.rollout(flow, space.field(profile), dt=dt, steps=saves * every, save_every=every, solver=IMEXRK2())
        force = jax.vmap(lambda state: body.force(0.0, space.bind(state)))(space.state(u))
        return dt * every * jnp.arange(1, saves + 1), 2 * force[:, 0], u[-1]

    return run


def check_gradient(drag, gradient, shape: Outline, step=1e-5):
    """Difference of a gradient from central differences along each number, relative to the gradient."""
    numbers, rebuild = ravel_pytree(shape)
    exact = ravel_pytree(gradient(shape)[1])[0]
    shifts = step * np.eye(len(numbers))
    central = [(drag(rebuild(numbers + s)) - drag(rebuild(numbers - s))) / (2 * step) for s in shifts]
    return float(jnp.linalg.norm(jnp.array(central) - exact) / jnp.linalg.norm(exact))


def optimize(gradient, shape: Outline, iterations: int, rate: float):
    """Shape and drag of every iterate of Adam."""
    optimizer = optax.adam(rate)
    state, path = optimizer.init(shape), []
    for iteration in range(iterations + 1):
        value, slope = gradient(shape)
        path.append((shape, float(value)))
        print(f"iteration {iteration:3}: mean drag {value:.4f}", flush=True)
        update, state = optimizer.update(slope, state)
        shape = optax.apply_updates(shape, update)
    return path


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=32, help="across the channel, and twice as many along it")
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--long", type=float, default=28.0, help="time of the runs that judge the shapes")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)

    run = channel(options.cells)
    objective = lambda shape: jnp.mean(run(shape)[1][25:])  # over the second half
    gradient = jax.jit(jax.value_and_grad(objective))
    some = Outline(jnp.array(0.1), jnp.array([0.05, -0.1, 0.05]))
    difference = check_gradient(jax.jit(objective), gradient, some)
    print(f"gradient of the drag against central differences: relative difference {difference:.1e}")

    disk = Outline(jnp.zeros(()), jnp.zeros(MODES))
    path = optimize(gradient, disk, options.iterations, rate=0.06)
    best, after = min(path, key=lambda entry: entry[1])
    before = path[0][1]
    x, y = best.points(20001)
    area = float(0.5 * jnp.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / (np.pi * RADIUS**2)
    print(f"mean drag over t = {TIME / 2:g} to {TIME:g}: {before:.3f} of the disk, {after:.3f} optimized, "
          f"{1 - after / before:.0%} less; area {area:.6f} of the disk's")  # fmt: skip

    judge = jax.jit(functools.partial(channel(5 * options.cells // 4), time=options.long, saves=140))
    judged = [judge(shape) for shape in (disk, best)]
    late = [float(jnp.mean(drag[-56:])) for _, drag, _ in judged]
    print(f"on a finer grid, over t = {0.6 * options.long:g} to {options.long:g}: {late[0]:.3f} of the disk, "
          f"{late[1]:.3f} optimized, {1 - late[1] / late[0]:.0%} less")  # fmt: skip
    picture(options.out, path, best, judged)
    return difference, (before, after), late


def picture(out, path, best, judged):
    figure = plt.figure(figsize=(12, 5.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    shapes = (("disk", path[0][0], "0.4"), ("optimized", best, "tab:red"))
    flows, (left, middle, right) = top.subplots(1, 2), bottom.subplots(1, 3, width_ratios=(1.2, 1, 1.5))
    right.axvspan(TIME / 2, TIME, color="0.9", lw=0)
    for ax, (name, shape, color), (times, drag, u) in zip(flows, shapes, judged):
        plot.field(js.curl(u), ax, limit=8, colorbar=False, title=f"{name}: vorticity at t = {times[-1]:.0f}")
        ax.fill(*shape.points(), color=color, zorder=3)
        ax.set(xlabel="", ylabel="")
        right.plot(times, drag, color=color, label=name)
    for index, (shape, _) in enumerate(path):
        left.plot(*shape.points(), color=plt.cm.viridis(index / len(path)), lw=0.8)
    left.fill(*best.points(), color="tab:red", alpha=0.3)
    left.set(title="outlines of equal area", aspect="equal")
    middle.plot([value for _, value in path], ".-", color="black")
    middle.set(
        title="what is minimized", xlabel="iteration", ylabel="mean drag", ylim=(0, None), xticks=range(0, len(path), 4)
    )
    right.set(title="on a finer grid (gray: minimized)", xlabel="time", ylabel="drag", xlim=(0, judged[0][0][-1]))
    right.set_ylim(0, 1.6 * path[0][1])
    right.legend(frameon=False)
    plot.save(out / "obstacle_shape.png", figure, dpi=100)


if __name__ == "__main__":
    main()
