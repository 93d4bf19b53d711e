"""Training data: the flow past a cylinder, for a range of inflow speeds, viscosities and radii.

All cases run at once, by `jax.vmap` over the parameters: the speed at the inlet, the viscosity, the radius of the
cylinder and the time step are traced values. The cylinder is a body in the flow (volume penalization), not part of
the grid. Each case is kept at equal intervals of its own time, diameter / speed. Velocity and pressure at the centers
of the cells, the solid part of every cell and the force on the cylinder go to a Zarr archive together with the
parameters and their units; read it with `xarray.open_zarr`.

    python examples/generate_cylinder.py

The ranges are in the manner of CFDBench (Luo, Chen and Zhang 2023, arXiv:2310.05963): sweeps over the boundary
condition, the properties of the fluid and the geometry. The script checks the divergence, how much fluid still moves
inside the cylinder, and that two cases of the same Reynolds number are the same flow in their own units; it prints the
drag and, where vortices are shed, the Strouhal number. The sides of the channel raise the drag, and so do cells of a
sixth of the diameter (at Reynolds number 20 it is 2.68 by default and 2.60 with `--resolution 160`): take more of them
for data to trust in detail, and see `cylinder_wake.py` for a published benchmark.
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

LENGTH, HEIGHT = 0.16, 0.08  # m
DENSITY, SPEED, VISCOSITY, RADIUS = 10.0, 1.0, 1e-3, 0.005  # kg/m^3, m/s, Pa s, m: Re = 100
SPEEDS, VISCOSITIES, RADII = (0.2, 0.4, 1.0, 1.5), (2.5e-3,), (0.004, 0.007)
UNITS = {"u": "m/s", "v": "m/s", "p": "Pa", "solid": "1", "time": "s", "x": "m", "y": "m", "speed": "m/s",
         "viscosity": "Pa s", "density": "kg/m^3", "radius": "m", "reynolds": "1"}  # fmt: skip


def sweeps():
    """Speed, viscosity and radius of every case: a sweep over each."""
    boundary = [(speed, VISCOSITY, RADIUS) for speed in SPEEDS]
    properties = [(SPEED, viscosity, RADIUS) for viscosity in VISCOSITIES]
    geometry = [(SPEED, VISCOSITY, radius) for radius in RADII]
    kinds = ["boundary"] * len(boundary) + ["properties"] * len(properties) + ["geometry"] * len(geometry)
    return np.array(boundary + properties + geometry), kinds


def center_of(grid: js.Grid) -> tuple[float, float]:
    """Near the middle, where the cells are symmetric to the cylinder."""
    return 0.25 * LENGTH, 0.5 * HEIGHT * (1 + 1 / grid.shape[1])


def simulate(grid: js.Grid, frames: int, spacing: float):
    """The flow as a function of the parameters: frames every `spacing` times diameter / speed, forces and checks."""
    cell = LENGTH / grid.shape[0]
    per_frame = int(np.ceil(spacing * 2 * max(*RADII, RADIUS) / (0.4 * cell)))  # Courant number 0.4

    def case(speed, viscosity, radius):
        unit = 2 * radius / speed
        dt = spacing * unit / per_frame
        space = js.Staggered(grid, ((js.Inflow((speed, 0.0)), js.Outflow()), js.FreeSlip()))
        cylinder = js.equations.Obstacle(js.geometry.Ball(center_of(grid), radius), relaxation=dt, width=1.2 * cell)
        flow = js.equations.NavierStokesVelocity(viscosity / DENSITY, obstacle=cylinder)

        def entering(x, y):  # a gust across the wake lets vortices shed soon
            a, b = ((c - at) / radius for c, at in zip((x, y), center_of(grid)))
            return speed + 0 * x, 0.5 * speed * jnp.exp(-((a - 3) ** 2 + b**2) / 4)

        start = space.field(entering)
        steps = dict(dt=dt, steps=frames * per_frame, save_every=per_frame)
        history = js.rollout(flow, start, solver=js.integrate.IMEXRK3(), throw=False, **steps)
        solid = cylinder.fraction(*space.coordinates())

        def derived(state):
            u = space.bind(state)
            return DENSITY * flow.pressure(0.0, u).values, cylinder.force(0.0, u), js.div(u).values

        pressure, force, divergence = jax.vmap(derived)(space.state(history))
        u, v = jnp.moveaxis(history.values, -3, 0)
        deep = solid > 0.99 * jnp.max(solid)
        inside = jnp.sqrt(jnp.mean(jnp.where(deep, u**2 + v**2, 0)) / jnp.mean(deep)) / speed
        values = dict(u=u, v=v, p=pressure, solid=solid)
        coefficients = force / (speed**2 * radius)  # of drag and lift: force / (1/2 density speed^2 diameter)
        largest = jnp.max(jnp.abs(divergence)) * unit
        return values, spacing * unit * jnp.arange(1, frames + 1), coefficients, largest, inside

    return jax.jit(jax.vmap(case))


def strouhal(lift: np.ndarray, spacing: float) -> float:
    """Frequency of the lift, from its upward crossings of the mean over the last half; NaN where nothing is shed."""
    late = lift[len(lift) // 2 :]
    late = late - late.mean()
    up = np.flatnonzero((late[:-1] < 0) & (late[1:] >= 0))
    third, fourth = (np.abs(quarter).max() for quarter in np.array_split(late, 2))
    if len(up) < 3 or fourth < max(0.02, 0.95 * third):  # dying oscillations are no shedding
        return np.nan
    crossings = up - late[up] / (late[up + 1] - late[up])
    return (len(up) - 1) / (spacing * (crossings[-1] - crossings[0]))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=96, help="cells along the channel; half as many across")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--spacing", type=float, default=0.4, help="of the frames, in units of diameter / speed")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)

    grid = js.Grid((options.resolution, options.resolution // 2), 0.0, (LENGTH, HEIGHT))
    parameters, kinds = sweeps()
    generate = simulate(grid, options.frames, options.spacing)
    values, times, coefficients, divergence, inside = generate(*jnp.asarray(parameters.T))
    speed, viscosity, radius = parameters.T
    reynolds = 2 * DENSITY * speed * radius / viscosity
    data = io.to_dataset(
        js.Staggered(grid, ((js.Inflow((SPEED, 0.0)), js.Outflow()), js.FreeSlip())), values, times,
        dict(speed=speed, viscosity=viscosity, radius=radius, density=DENSITY, reynolds=reynolds, sweep=kinds), UNITS,
        title="Flow past a cylinder from uniform flow and a gust behind it", center=list(center_of(grid)),
        method="second-order differences on a staggered grid, volume penalization",
    )  # fmt: skip
    for i, name in enumerate(("drag", "lift")):
        meaning = {"units": "1", "long_name": f"{name} coefficient per half density speed^2 diameter"}
        data[name] = (("case", "t"), np.asarray(coefficients[..., i]), meaning)
    options.out.mkdir(parents=True, exist_ok=True)
    archive = options.out / "cylinder.zarr"
    with replacing(archive) as part:
        data.to_zarr(part, zarr_format=2)

    shed = np.array([strouhal(lift, options.spacing) for lift in np.asarray(data.lift)])
    late = slice(options.frames // 2, None)
    print(f"{data.sizes['case']} cases, {data.sizes['t']} frames of {grid.shape[0]} x {grid.shape[1]} cells: {archive}")
    print(f"{'speed m/s':>10}{'Pa s':>8}{'radius m':>10}{'Re':>7}{'drag':>7}{'Strouhal':>10}")
    for row, re, drag, number in zip(parameters, reynolds, np.asarray(data.drag), shed):
        print(f"{row[0]:10g}{row[1]:8g}{row[2]:10g}{re:7g}{drag[late].mean():7.2f}{number:10.3f}")
    divergence, inside = float(np.max(divergence)), float(np.max(inside))
    print(f"largest divergence: {divergence:.1e} speed / diameter (single precision)")
    print(f"root mean square of the velocity inside the cylinder: at most {inside:.1e} of the speed")
    twins = [np.asarray((data.u / data.speed).isel(case=case, t=-1)) for case in (SPEEDS.index(0.4), len(SPEEDS))]
    similar = float(np.max(np.abs(twins[0] - twins[1])))
    print(f"two ways to Re = {reynolds[len(SPEEDS)]:g}: velocities differ by {similar:.1e} of the speed")
    picture(options.out, data, shed)
    return data.drag[:, late].mean("t").values, shed, divergence, inside, similar


def picture(out, data, shed):
    shown = [int(np.argmin(data.reynolds.values)), len(SPEEDS) - 1, len(data.case) - 1]
    figure, axes = plt.subplots(2, 2, figsize=(11, 5.4), layout="constrained")
    extent = 100 * np.array([0, LENGTH, 0, HEIGHT])
    for ax, case in zip(axes.flat, shown):
        last = data.isel(case=case, t=-1)
        speed, diameter = float(last.speed), 2 * float(last.radius)
        vorticity = (last.v.differentiate("x") - last.u.differentiate("y")) * diameter / speed
        image = ax.imshow(vorticity.T, origin="lower", extent=extent, cmap="RdBu_r", vmin=-3, vmax=3,
                          interpolation="bilinear")  # fmt: skip
        ax.add_patch(plt.Circle(100 * np.array(data.center), 50 * diameter, color="0.3"))
        ax.set(title=f"Re = {float(last.reynolds):g}, {speed:g} m/s, radius {5e2 * diameter:g} mm", xlabel="x / cm",
               ylabel="y / cm")  # fmt: skip
    figure.colorbar(image, ax=axes[0, 1], label="vorticity x diameter / speed")
    for case in range(len(data.case)):
        lift, unit = data.lift[case], 2 * float(data.radius[case]) / float(data.speed[case])
        label = f"Re {float(data.reynolds[case]):g}" + ("" if np.isnan(shed[case]) else f", St {shed[case]:.3f}")
        axes[1, 1].plot(data.time[case] / unit, lift, lw=1, label=label)
    axes[1, 1].set(
        xlabel="time x speed / diameter", ylabel="lift coefficient", title="vortex shedding", ylim=(-0.8, 1.3)
    )
    axes[1, 1].legend(frameon=False, fontsize=8, ncols=2, loc="upper left")
    plot.save(out / "generate_cylinder.png", figure, dpi=120)


if __name__ == "__main__":
    main()
