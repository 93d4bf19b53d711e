"""A reversible reaction A + B = C between walls, with a source of A along one of them.

A spreads so fast that the system is stiff, and no row of its Jacobian, with 3 N² columns, has more than seven entries.
The script solves it twice, by exponential steps in the cosine modes of the walls and by
implicit steps with the Jacobian found from seven products, and compares both with two sums that are known exactly:
B + C at every node, and the mean of A + C. The last panel shows the colors of A's columns: no row has entries in two of
one color.
"""

import argparse
from pathlib import Path

import diffrax as dfx
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")

TIME = 10.0


def problem(nodes: int):
    """The equation, with a source on the last fifth of the first axis, and the state at rest."""
    space = js.FiniteDifference(js.Grid((nodes - 1,) * 2, 0.0, nodes - 1.0), js.Neumann(), faces=(True, True))
    last_fifth = 4 * nodes / 5 - 1
    equation = js.equations.ReversibleReaction(lambda t, x, y: jnp.where(x >= last_fifth, 1.0, 0.0))
    return equation, space.field(jnp.zeros((3, nodes, nodes)))


def defects(equation, u) -> tuple[float, float]:
    """How far B + C, and the mean of A + C, are from what they are exactly."""
    grown = 1 - np.exp(-TIME)
    source = u.space.field(equation.source_a(0.0, *u.space.coordinates()))
    everywhere = float(jnp.abs(u.values[1] + u.values[2] - 2 * grown).max())
    return everywhere, abs(float(js.mean(u[0] + u[2])) - (1 + float(js.mean(source))) * grown)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=32)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    equation, start = problem(options.nodes)
    modal = js.rollout(equation, start, dt=0.1, steps=round(TIME / 0.1))

    pattern = js.integrate.stencil_pattern(equation, start)
    newton = dfx.with_stepsize_controller_tols(dfx.VeryChord)(linear_solver=js.linear.StencilLU(pattern))
    implicit = js.solve(
        equation, start, t1=TIME, rtol=options.tolerance, atol=options.tolerance,
        solver=dfx.Kvaerno3(root_finder=newton),
    )  # fmt: skip
    sums = {"exponential": defects(equation, modal), "implicit": defects(equation, implicit.ys[-1])}
    difference = float(jnp.abs(modal.values - implicit.ys[-1].values).max())
    for name, (everywhere, mean) in sums.items():
        print(f"{name} steps: B + C is off by {everywhere:.1e}, the mean of A + C by {mean:.1e}")
    print(f"the two differ by {difference:.1e}; {pattern.colors} products for {start.values.size} columns")

    figure, panels = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
    for ax, name, species in zip(panels, "ABC", modal):
        plot.field(species, ax, cmap="viridis", title=f"{name} at t = {TIME:g}")
    panels[3].imshow(pattern.coloring()[0].T, origin="lower", cmap="Set2", interpolation="nearest")
    panels[3].set(title="colors of A's columns", xticks=[], yticks=[])
    plot.save(options.out / "reaction_between_walls.png", figure, dpi=120)
    return sums, difference


if __name__ == "__main__":
    main()
