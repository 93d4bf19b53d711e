"""Three equations on three kinds of space: callables, Fourier modes, and values on a grid.

An exact solution goes into each equation as a `js.Function`, and its residual must vanish to rounding. The same
equation object then runs from the same initial data on a Fourier and on a finite-difference space, and the distance of
both from the exact solution is printed.
"""

import argparse
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")


class LambdaOmega(js.Equation):
    """A chemical clock that diffuses: z = u + iv, z_t = z_xx + (1 - |z|^2) z + i (1 - |z|^2) z, as two real species."""

    turn: float | jax.Array

    def linear(self, state):
        return js.laplacian(state) + state

    def nonlinear(self, t, state):
        u, v = state
        r = u * u + v * v
        return -r * u - self.turn * (v - r * v), -r * v + self.turn * (u - r * u)


def burgers_wave(t, x, viscosity=0.05):
    """A periodic solution of Burgers' equation by the Cole-Hopf transformation."""
    decay = jnp.exp(-viscosity * t)
    return 2 * viscosity * decay * jnp.sin(x) / (1.02 + decay * jnp.cos(x))


def clock_wave(t, x, k=0.5, turn=0.8):
    """A wave train of the clock: amplitude sqrt(1 - k^2), frequency turn k^2."""
    phase = k * x + turn * k**2 * t
    return jnp.sqrt(1 - k**2) * jnp.stack([jnp.cos(phase), jnp.sin(phase)])


SOLITON = js.initial.kdv_soliton(speed=4.0, center=-2.0)
CASES = {
    "Burgers": (js.equations.Burgers, 0.05, burgers_wave, (-np.pi, np.pi), 1.0),
    "Korteweg-de Vries": (js.equations.KortewegDeVries, 6.0, SOLITON.solution, (-12.0, 12.0), 1.0),
    "lambda-omega": (LambdaOmega, 0.8, clock_wave, (0.0, 4 * np.pi), 2.0),
}


def solve_on(space: js.Space, equation: js.Equation, solution, end: float, steps: int):
    """The computed field at the end, and its relative distance from the exact one."""
    u = js.rollout(equation, space.field(lambda x: solution(0.0, x)), dt=end / steps, steps=steps)
    exact = space.field(lambda x: solution(end, x))
    return u, float(jnp.linalg.norm(u.values - exact.values) / jnp.linalg.norm(exact.values))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)

    figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    table = {}
    print(f"{'':18} {'Function':>12} {'Fourier':>12} {'finite differences of order':>32}")
    print(f"{'':18} {'residual':>12} {'error':>12} {'2':>10} {'4':>10} {'8':>10}")
    for ax, (name, (make, parameter, solution, (lower, upper), end)) in zip(panels, CASES.items()):
        equation = make(parameter)
        points = jax.random.uniform(jax.random.key(0), (200,), minval=lower, maxval=upper)
        residual = jax.vmap(js.residual(equation, js.Function(solution)), (None, 0))(0.3 * end, points)
        grid = js.Grid(options.resolution, lower, upper)
        u, spectral = solve_on(js.Fourier(grid), equation, solution, end, options.steps)
        spaces = [js.FiniteDifference(grid, order=order) for order in (2, 4, 8)]
        differences, errors = zip(*(solve_on(space, equation, solution, end, options.steps) for space in spaces))
        table[name] = (float(jnp.max(jnp.abs(residual))), spectral, *errors)
        print(f"{name:18} {table[name][0]:12.1e} {spectral:12.1e} " + " ".join(f"{e:10.1e}" for e in errors))
        draw(ax, name, u, differences[0], partial(solution, end))
    plot.save(options.out / "one_equation_three_spaces.png", figure, dpi=120)
    return table


def draw(ax, name, spectral, difference, exact):
    """One component on each space, over the exact solution."""
    first = (lambda a: a[0]) if spectral.shape else (lambda a: a)
    x = spectral.space.coordinates()[0]
    fine = np.linspace(float(x[0]), float(x[-1]), 1000)
    ax.plot(fine, first(exact(fine)), color="0.7", lw=4, label="Function (exact)")
    ax.plot(x, first(spectral.values), color="tab:blue", lw=1.4, label="Fourier")
    ax.plot(x[::2], first(difference.values)[::2], ".", color="tab:red", ms=4, label="FiniteDifference, order 2")
    ax.set(title=name, xlabel="x", xlim=(fine[0], fine[-1]))
    if name == "Burgers":
        ax.legend(frameon=False, fontsize="small")


if __name__ == "__main__":
    main()
