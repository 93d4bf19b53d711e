"""The Taylor-Green vortex at Reynolds number 100: large vortices break into small ones, and viscosity ends them.

The energy of an incompressible flow in a periodic box decays exactly as dE/dt = -2 nu Z, with the enstrophy
Z = <|curl u|^2>/2. The script prints how well the computed flow keeps this identity, in space (of the right-hand side,
at an instant) and in time (of the whole decay), and what a coarser grid makes of the greatest dissipation.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import plot
from jaxsim.extras import script_needs

plt = script_needs("matplotlib.pyplot")

VISCOSITY, STEP, END = 0.01, 0.05, 10.0


def budget(u: js.Field) -> jax.Array:
    """Kinetic energy and enstrophy per unit of volume."""
    vorticity = js.curl(u)
    return 0.5 * jnp.stack([js.inner(u, u), js.inner(vorticity, vorticity)]) / u.space.volume


def decay(n: int, end: float):
    """Energy and enstrophy at the ends of all steps, the flow when dissipation is greatest, and the equation."""
    space = js.Fourier(js.Grid((n, n, n), 0.0, 2 * np.pi))
    flow = js.equations.NavierStokesVelocity(viscosity=VISCOSITY)
    u = space.field(js.initial.taylor_green())
    measure = jax.jit(budget)
    rows, greatest = [measure(u)], u
    for _ in range(round(end / STEP / 4)):
        for state in js.rollout(flow, u, dt=STEP, steps=4, save_every=1):
            rows.append(measure(state))
            u = state
        greatest = u if rows[-1][1] >= max(row[1] for row in rows) else greatest
    return np.asarray(rows, float), greatest, flow


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=48, help="nodes along each axis, at least 24")
    parser.add_argument("--time", type=float, default=END)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    rows, state, flow = decay(options.resolution, options.time)
    coarse, *_ = decay(options.resolution * 2 // 3, options.time)
    energy, enstrophy = rows.T
    times = STEP * np.arange(len(rows))
    weights = np.where(np.arange(len(times)) % 2, 4.0, 2.0)  # Simpson's rule
    weights[[0, -1]] = 1.0
    lost = 2 * VISCOSITY * STEP / 3 * np.sum(weights * enstrophy)
    in_time = abs(energy[0] - energy[-1] - lost) / lost
    instant = float(js.inner(state, flow.right_hand_side(0.0, state)) / state.space.volume)
    in_space = abs(instant / (-2 * VISCOSITY * float(budget(state)[1])) - 1)
    dissipation, other = (2 * VISCOSITY * z.max() for z in (enstrophy, coarse[:, 1]))
    print(f"dE/dt = -2 nu Z: relative error {in_space:.1e} in space, {in_time:.1e} in time (single precision)")
    print(f"greatest dissipation {dissipation:.6f} at t = {times[enstrophy.argmax()]:.2f}; "
          f"{abs(other / dissipation - 1):.1e} away on a grid of {options.resolution * 2 // 3} per axis")  # fmt: skip

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    left.plot(times, energy / energy[0], label="energy / initial energy")
    left.plot(times, 2 * VISCOSITY * enstrophy / dissipation, label="dissipation / greatest dissipation")
    rate = -np.diff(energy)[::6] / STEP / dissipation
    left.plot(times[::6][: len(rate)] + STEP / 2, rate, "k.", ms=4, label="-dE/dt, likewise")
    left.set(xlabel="t", ylim=(0, 1.05), title="Taylor-Green vortex, Re = 100")
    left.legend(frameon=False)
    smooth = js.interpolate(js.curl(state)[0], js.Fourier(state.space.grid.refine(2)))
    plot.field(smooth, right, section=(0, 0.0), title="vorticity along x at greatest dissipation")
    plot.save(options.out / "taylor_green_3d.png", figure, dpi=130)
    return in_space, in_time


if __name__ == "__main__":
    main()
