"""Training data: the flow in a cavity under a moving lid, for a range of lid speeds, densities and viscosities.

All cases run at once, by `jax.vmap` over the parameters: the speed of the wall is a traced value, and so are the
viscosity and the time step. Each starts at rest and is kept at equal intervals of its own time, side / speed of the
lid, until it is steady. Velocity and pressure at the centers of the cells go to a Zarr archive together with the
parameters and their units; read it with `xarray.open_zarr`.

    python examples/generate_cavity.py

The ranges are in the manner of CFDBench (Luo, Chen and Zhang 2023, arXiv:2310.05963): one sweep over the boundary
condition, one over the properties of the fluid. The script checks that every flow is free of divergence and steady,
and the case of Reynolds number 100 against the published profile.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import io, plot
from jaxsim.extras import script_needs
from jaxsim.files import replacing

plt = script_needs("matplotlib.pyplot")
script_needs("xarray")
script_needs("zarr")

SIDE = 0.01  # m
SPEEDS, DENSITY, VISCOSITY = (1.0, 2.0, 4.0, 7.0, 10.0), 1.0, 1e-4  # m/s, kg/m^3, Pa s
DENSITIES, VISCOSITIES, SPEED = (0.5, 2.0), (5e-5, 2e-4), 2.0
UNITS = {"u": "m/s", "v": "m/s", "p": "Pa", "time": "s", "x": "m", "y": "m", "speed": "m/s", "density": "kg/m^3",
         "viscosity": "Pa s", "reynolds": "1"}  # fmt: skip

# Ghia, Ghia and Shin, J. Comput. Phys. 48, 387 (1982), table I: u / speed on the vertical center line at Re = 100.
GHIA = np.array([(0.0547, -0.03717), (0.1016, -0.06434), (0.1719, -0.10150), (0.2813, -0.15662), (0.4531, -0.21090),
                 (0.5, -0.20581), (0.6172, -0.13641), (0.7344, 0.00332), (0.8516, 0.23151), (0.9531, 0.68717),
                 (0.9766, 0.84123)])  # fmt: skip


def sweeps():
    """Speed, density and viscosity of every case: one sweep over the speed, one over the fluid's properties."""
    boundary = [(speed, DENSITY, VISCOSITY) for speed in SPEEDS]
    properties = [(SPEED, density, viscosity) for density in DENSITIES for viscosity in VISCOSITIES]
    return np.array(boundary + properties), ["boundary"] * len(boundary) + ["properties"] * len(properties)


def simulate(grid: js.Grid, frames: int, spacing: float):
    """Function of the parameters: frames every `spacing` times side / speed, divergence, change at the end."""
    per_frame = int(np.ceil(spacing * grid.shape[0] / 0.7))  # Courant number 0.7

    def case(speed, density, viscosity):
        lid = js.MovingWall((speed, 0.0))
        space = js.Staggered(grid, (js.NoSlip(), (js.NoSlip(), lid)))
        flow = js.equations.NavierStokesVelocity(viscosity / density)
        rest = space.field(lambda x, y: (0 * x, 0 * y))
        unit = SIDE / speed
        steps = dict(dt=spacing * unit / per_frame, steps=frames * per_frame, save_every=per_frame)
        history = js.rollout(flow, rest, solver=js.integrate.IMEXRK3(), throw=False, **steps)

        def derived(state):
            u = space.bind(state)
            return density * flow.pressure(0.0, u).values, js.div(u).values

        pressure, divergence = jax.vmap(derived)(space.state(history))
        divergence = jnp.max(jnp.abs(divergence)) * unit
        u, v = jnp.moveaxis(history.values, -3, 0)
        change = jnp.max(jnp.abs(u[-1] - u[-2])) / (spacing * speed)
        return dict(u=u, v=v, p=pressure), spacing * unit * jnp.arange(1, frames + 1), divergence, change

    return jax.jit(jax.vmap(case))


def center_line(data, case: int):
    """Heights and u / speed on the vertical center line of the last frame."""
    last = data.u.isel(case=case, t=-1).interp(x=SIDE / 2)
    return np.asarray(last.y) / SIDE, np.asarray(last) / float(data.speed[case])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=40, help="cells along each side")
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--spacing", type=float, default=1.6, help="of the frames, in units of side / speed")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    grid = js.Grid((options.resolution, options.resolution), 0.0, SIDE)
    parameters, kinds = sweeps()
    values, times, divergence, change = simulate(grid, options.frames, options.spacing)(*jnp.asarray(parameters.T))
    speed, density, viscosity = parameters.T
    reynolds = density * speed * SIDE / viscosity
    data = io.to_dataset(
        js.Staggered(grid, js.NoSlip()), values, times,
        dict(speed=speed, density=density, viscosity=viscosity, reynolds=reynolds, sweep=kinds), UNITS,
        title="Lid-driven cavity from rest", method="second-order differences on a staggered grid",
    )  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    archive = options.out / "cavity.zarr"
    with replacing(archive) as part:
        data.to_zarr(part, zarr_format=2)

    standard = int(np.argmin(np.abs(reynolds - 100)))
    heights, profile = center_line(data, standard)
    lid_and_floor = np.r_[0.0, heights, 1.0], np.r_[0.0, profile, 1.0]
    deviation = float(np.max(np.abs(np.interp(GHIA[:, 0], *lid_and_floor) - GHIA[:, 1])))
    divergence, change = float(np.max(divergence)), float(np.max(change))
    print(f"{data.sizes['case']} cases, Reynolds numbers {reynolds.min():g} to {reynolds.max():g}, "
          f"{data.sizes['t']} frames of {grid.shape[0]} x {grid.shape[1]} cells: {archive}")  # fmt: skip
    print(f"largest divergence: {divergence:.1e} speed / side (single precision)")
    print(f"largest change of a velocity at the end: {change:.1e} of the speed per side / speed")
    print(f"Re = {reynolds[standard]:g} against Ghia et al. (1982): largest deviation {deviation:.4f} of the speed")
    picture(options.out, data, standard, heights, profile)
    return deviation, divergence, change


def picture(out, data, standard, heights, profile):
    shown = [standard, *np.argsort(np.asarray(data.reynolds))[[len(data.case) // 2, -1]]]
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.5), layout="constrained", width_ratios=(1, 1, 1, 0.85))
    x, y = 1e3 * np.asarray(data.x), 1e3 * np.asarray(data.y)
    for ax, case in zip(axes, shown):
        last = data.isel(case=int(case), t=-1)
        speed = np.hypot(last.u, last.v).T / float(last.speed)
        image = ax.imshow(speed, origin="lower", extent=(0, 1e3 * SIDE, 0, 1e3 * SIDE), vmin=0, vmax=0.8, cmap="magma")
        ax.streamplot(x, y, np.asarray(last.u).T, np.asarray(last.v).T, color="white", linewidth=0.6, density=0.9,
                      arrowsize=0.6)  # fmt: skip
        ax.set(title=f"Re = {float(last.reynolds):g}, lid {float(last.speed):g} m/s", xlabel="x / mm",
               xlim=(0, 1e3 * SIDE), ylim=(0, 1e3 * SIDE))  # fmt: skip
    axes[0].set_ylabel("y / mm")
    figure.colorbar(image, ax=axes[2], label="speed / speed of the lid", shrink=0.9)
    axes[3].plot(profile, heights, label="this archive")
    axes[3].plot(GHIA[:, 1], GHIA[:, 0], "o", ms=4, mfc="none", color="black", label="Ghia et al. (1982)")
    axes[3].set(xlabel="u / speed of the lid", ylabel="y / side", title="center line, Re = 100", ylim=(0, 1))
    axes[3].legend(frameon=False)
    plot.save(out / "generate_cavity.png", figure, dpi=120)


if __name__ == "__main__":
    main()
