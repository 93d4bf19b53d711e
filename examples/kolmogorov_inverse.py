"""Turbulence seen by a few probes: find the viscosity, the forcing and the whole initial flow by gradients.

A fluid in a periodic box is driven by the force A sin(4 y) along x, slowed by a known drag, and turbulent. Some
400 probes, as many as 2.4 % of the grid points, report the velocity 31 times, with 5 % noise. Differentiating
through the solver, an optimizer finds the viscosity, the amplitude A and the initial vorticity that explain the
reports. Then the recovered flow is run on, beyond the reports, to see how long it stays with the true one.

    python examples/kolmogorov_inverse.py                              the synthetic experiment, about two minutes
    python examples/kolmogorov_inverse.py --quick                      the same on a coarse grid
    python examples/kolmogorov_inverse.py --write-observations out/probes.nc
    python examples/kolmogorov_inverse.py --observations out/probes.nc           your own measurements

Files of measurements, .nc or .npz, hold times t(t), places x(p) and y(p), and u(t, p), v(t, p) or vorticity(t, p),
with NaN where a value is missing. The attribute `noise` of a variable (`noise_u` in .npz) is the standard deviation
of its errors, and `lengths` are the sides of the periodic box, which has its corner at the origin and no mean flow;
see `jaxsim.io.read_observations`. Units (`units` of a variable, `units_u` in .npz) are converted to meters and seconds,
also what the table shows then. Times are whole multiples of their smallest difference. The last third of them is not
fitted but forecast. What is in a file and not used is named.

The recovered flow and parameters are written to out/kolmogorov_inverse.nc, which xarray and `jaxsim.io.load` read.
Ctrl-C ends the fit, and what was found until then is written and drawn.

The fit knows the equation, the drag and the wave number of the force. Of the rest it assumes what is known of such
flows: an energy spectrum that falls steeply beyond the forcing (like k^-3, and drag and viscosity make it steeper:
Boffetta and Ecke, Annu. Rev. Fluid Mech. 44, 427, 2012), and guesses of both parameters that are right to some
factor. The synthetic truth comes from a finer grid and smaller steps than the fit has. Only the printed table and
the picture look at it.
"""

import argparse
import dataclasses
import importlib.util
import time
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from kolmogorov_pictures import animation, picture

import jaxsim as js
from jaxsim import io
from jaxsim.extras import script_needs

script_needs("xarray")
script_needs("netCDF4")

VISCOSITY, AMPLITUDE, WAVE_NUMBER, DRAG = 4e-3, 1.0, 4, 0.1  # of the synthetic experiment
NOISE = 0.05  # of the root mean square of each variable; also assumed where a file does not say
KNOWN = ("u", "v", "vorticity")  # variables that the fit can compare with
SPACING = 0.08  # between observations
LONGEST = 10_000  # intervals of a run
COURANT = 2.0  # largest wave number times speed times step; the limit of four-stage schemes is 2.8


def kolmogorov_flow(viscosity, amplitude, wave_number=WAVE_NUMBER, drag=DRAG) -> js.Equation:
    force = js.equations.kolmogorov(wave_number, amplitude)
    return js.equations.NavierStokesVorticity(viscosity=viscosity, drag=drag, forcing=force)


def substeps(space: js.Fourier, interval: float, speed: float) -> int:
    """Steps that one interval needs to be stable."""
    largest = max(float(k.max()) for k in space.wave_numbers())
    return max(1, int(np.ceil(interval * largest * speed / COURANT)))


def top_speed(vorticity: js.Field) -> float:
    return float(jnp.max(jnp.sum(jnp.abs(js.equations.velocity(vorticity).values), axis=0)))


# -- the synthetic experiment ----------------------------------------------------------------------------------
def synthetic_truth(resolution: int, seed: int, intervals: int) -> js.Field:
    """Vorticity at the ends of all intervals, on a grid 3/2 as fine as the one of the fit."""
    space, finer = (js.Fourier(js.Grid((n, n), 0.0, 2 * np.pi)) for n in (resolution, 3 * resolution // 2))
    flow = kolmogorov_flow(VISCOSITY, AMPLITUDE)
    noise = space.field(js.initial.filtered_noise(jax.random.key(seed), peak=5.0, root_mean_square=4.0))
    steps = substeps(space, 12.0, speed=5.0)
    start = js.interpolate(js.rollout(flow, noise, dt=12.0 / steps, steps=steps), finer)  # the noise is forgotten
    steps = substeps(finer, SPACING, 1.3 * top_speed(start))
    later = js.rollout(flow, start, dt=SPACING / steps, steps=steps * intervals, save_every=steps)
    return finer.from_coefficients(jnp.concatenate([start.coefficients[None], later.coefficients]))


def observe(truth: js.Field, probes: int, seed: int) -> io.Observations:
    """Velocity at random places, with noise."""
    place, error = jax.random.split(jax.random.key(seed + 1))
    positions = 2 * np.pi * jax.random.uniform(place, (2, probes))
    values = np.asarray(at_points(truth, ("u", "v"), positions), float)
    deviation = float(NOISE * np.sqrt(np.mean(values**2)))
    values += deviation * np.asarray(jax.random.normal(error, values.shape))
    named = dict(zip(("u", "v"), values))
    noise = dict.fromkeys(named, deviation)
    return io.Observations(SPACING * np.arange(len(truth)), np.asarray(positions), named, noise, (2 * np.pi,) * 2)


# -- the inverse problem ---------------------------------------------------------------------------------------
def at_points(vorticity: js.Field, names, positions) -> jax.Array:
    """Observed variables of a trajectory at the probes, `(variable, t, p)`, by exact trigonometric interpolation."""
    velocity = jax.vmap(js.equations.velocity)(vorticity)
    fields = {"u": velocity[:, 0], "v": velocity[:, 1], "vorticity": vorticity}
    return js.stack([fields[name] for name in names])(*positions)


class Problem(eqx.Module):
    """The data to fit, and what is assumed of the unknowns: both parameters and the initial vorticity."""

    space: js.Fourier = eqx.field(static=True)  # of the unknown vorticity, coarser than the solver's
    data: jax.Array  # (variable, t, p), zero where missing
    weight: jax.Array  # inverse standard deviation of the noise, zero where missing
    positions: jax.Array
    expected: jax.Array  # standard deviation of each mode of the initial vorticity
    guess: jax.Array  # of viscosity and amplitude
    spread: float = eqx.field(static=True)  # of the logarithms of the parameters about the guess
    names: tuple[str, ...] = eqx.field(static=True)
    rows: tuple[int, ...] = eqx.field(static=True)  # times of the data, in intervals
    interval: float = eqx.field(static=True)
    wave_number: float = eqx.field(static=True)
    drag: float = eqx.field(static=True)

    def decode(self, control, scale):
        """Parameters and initial vorticity of a control, which is of order one in every entry."""
        parameters = self.guess * jnp.exp(control["parameters"] * scale["parameters"])
        modes = self.space.field(control["vorticity"]).coefficients * scale["vorticity"]
        return parameters, self.space.from_coefficients(modes)

    def run(self, space: js.Fourier, parameters, start: js.Field, intervals: int, steps: int):
        """The flow at the ends of all intervals, and whether every number is finite."""
        flow = kolmogorov_flow(*parameters, self.wave_number, self.drag)
        start = js.interpolate(start, space)
        march = js.march(flow, start, dt=self.interval / steps, steps=steps * intervals, save_every=steps)
        states = jnp.concatenate([start.coefficients[None], march.value.coefficients])
        return space.from_coefficients(states), march.succeeded

    def residual(self, trajectory: js.Field) -> jax.Array:
        """Differences from the first rows of data, over their standard deviation."""
        seen = at_points(trajectory, self.names, self.positions)
        count = seen.shape[1]
        return self.weight[:, :count] * (seen - self.data[:, :count])

    def surprise(self, parameters, start: js.Field) -> jax.Array:
        """Minus the logarithm of the probability of the unknowns before anything was seen."""
        modes = start.coefficients / self.expected
        stored_once = 2 - (np.arange(modes.shape[-1]) == 0)  # conjugates are not stored
        unlikely = jnp.sum(stored_once * (modes.real**2 + modes.imag**2))
        return 0.5 * (unlikely + jnp.sum((jnp.log(parameters / self.guess) / self.spread) ** 2))

    def vorticity_scale(self, rows: int) -> jax.Array:
        """How uncertain a mode is, given the first rows of data and everything else: the units of the control."""
        squares = sum(np.square(k) for k in self.space.wave_numbers())
        answers = {"u": 0.5 / np.maximum(squares, 1e-9), "v": 0.5 / np.maximum(squares, 1e-9), "vorticity": 1.0}
        known = sum(jnp.sum(w[:rows] ** 2) * answers[name] for w, name in zip(self.weight, self.names))
        scale = self.space.grid.shape[0] / jnp.sqrt(self.expected**-2.0 + known)
        return jnp.where(squares == 0, 0.0, scale)


def pose(observations: io.Observations, interval: float, options) -> Problem:
    """The inverse problem of observations at multiples of an interval; `ValueError` where they cannot be used."""
    names = tuple(name for name in KNOWN if name in observations.values)
    lengths = usable(observations, names, options)
    rows = (observations.times - observations.times[0]) / interval
    data = np.stack([observations.values[name] for name in names])
    size = np.sqrt(np.nanmean(data**2, axis=(1, 2)))
    noise = [observations.noise.get(name, NOISE * s) for name, s in zip(names, size)]
    weight = np.where(np.isnan(data), 0.0, 1 / np.reshape(noise, (-1, 1, 1)))
    count = min(options.resolution, 64)
    space = js.Fourier(js.Grid((count, count), 0.0, lengths))
    return Problem(
        space=space,
        data=jnp.asarray(np.nan_to_num(data), float),
        weight=jnp.asarray(weight, float),
        positions=jnp.asarray(observations.positions, float),
        expected=jnp.asarray(expected_modes(space, options, names[0], size[0]), float),
        guess=jnp.array([options.viscosity_guess, options.amplitude_guess], float),
        spread=1.0,
        names=names,
        rows=tuple(int(r) for r in np.rint(rows)),
        interval=interval,
        wave_number=options.wave_number,
        drag=options.drag,
    )


def usable(observations: io.Observations, names, options) -> tuple[float, ...]:
    """The sides of the box; `ValueError` where the observations cannot be fitted."""
    positions = observations.positions
    if not names or len(positions) != 2:
        raise ValueError(
            f"the fit needs places x and y, and u, v or vorticity; there are {len(positions)} axes and "
            f"{', '.join([*observations.values, *observations.unused])}."
        )
    for name in names:
        values = observations.values[name]
        if np.nanstd(values) <= 1e-6 * np.nanmax(np.abs(values)):
            raise ValueError(f"`{name}` is {np.nanmax(values) + 0.0:g} everywhere, which tells nothing; leave it out.")
    lengths = observations.lengths or (2 * np.pi, 2 * np.pi)
    beyond = [(x < -1e-6 * length) | (x > (1 + 1e-6) * length) for x, length in zip(positions, lengths)]
    outside = np.any(beyond, axis=0)
    if np.any(outside):
        box = " x ".join(f"[0, {length:.6g}]" for length in lengths)
        x, y = positions[:, outside][:, 0]
        raise ValueError(
            f"{np.sum(outside)} of {len(outside)} probes are outside of the box {box}, the first at "
            f"({x:.6g}, {y:.6g}); the attribute `lengths` gives its sides, in the units of x and y."
        )
    waves = options.wave_number * lengths[1] / (2 * np.pi)
    if abs(waves - round(waves)) > 1e-3:
        raise ValueError(f"the force has {waves:.4g} waves across the box, not a whole number; see --wave-number.")
    return lengths


def spacing(times: np.ndarray) -> float:
    """The interval that all times are multiples of; `ValueError` where there is none."""
    if len(times) < 3:
        raise ValueError(f"the fit needs three times or more, got {len(times)}: it forecasts the last third.")
    interval = float(np.diff(times).min())
    rows = (times - times[0]) / interval
    if np.max(np.abs(rows - np.rint(rows))) > 1e-3:
        raise ValueError(f"times of observation must be whole multiples of their smallest difference, {interval:g}.")
    if rows[-1] > LONGEST:
        raise ValueError(f"the times span {rows[-1]:.0f} times their smallest difference; leave out the close ones.")
    return interval


def expected_modes(space: js.Fourier, options, name: str, size: float) -> np.ndarray:
    """Standard deviation of each mode of the vorticity, from the slope of the spectrum and what was observed."""
    squares = sum(np.square(k) for k in space.wave_numbers())
    forced = 2 * np.pi / space.grid.lengths[1] * options.wave_number
    modes = np.sqrt(squares) / (1 + squares / forced**2) ** ((options.slope + 1) / 4)
    seen = modes if name == "vorticity" else modes / np.sqrt(2 * np.maximum(squares, 1e-9))
    stored_once = 2 - (np.arange(space.spectral_shape[-1]) == 0)
    return np.where(squares == 0, 1.0, modes * size / np.sqrt(np.sum(stored_once * seen**2)))


def minimize(objectives, iterations, control, report):
    """L-BFGS over a sequence of objectives, each starting from where the one before ended, with what it learned."""
    lbfgs = optax.scale_by_lbfgs(memory_size=30)
    direction, state, gradient = jax.jit(lbfgs.update), lbfgs.init(control), None
    for stage, (objective, count) in enumerate(zip(objectives, iterations)):
        evaluate = jax.jit(jax.value_and_grad(objective))
        value, fresh = evaluate(control)
        if gradient is not None:  # keep the curvature: shift the old gradient as this one was shifted
            state = state._replace(updates=jax.tree.map(lambda a, b, c: a + b - c, state.updates, fresh, gradient))
        gradient = fresh
        for _ in range(count):
            step, state = direction(gradient, state, control)
            slope = float(optax.tree.vdot(step, gradient))
            if slope <= 0:  # the objective is not convex here: forget its curvature
                step, state = direction(gradient, lbfgs.init(control), control)
                slope = float(optax.tree.vdot(step, gradient))
            for size in 0.3 ** np.arange(8):
                trial = optax.tree.add_scale(control, -size, step)
                new, fresh = evaluate(trial)
                if float(new) <= float(value) - 1e-4 * size * slope:  # false for a run that blew up
                    break
            else:
                break  # rounding: no step goes down
            control, value, gradient = trial, new, fresh
            report(control, float(value), stage)
    return control


@dataclasses.dataclass
class Recovery:
    """What a fit gives: parameters, the initial flow before and after, and the way: misfit, parameters, stage.

    `interrupted` says that it was stopped: then it is the best until there.
    """

    parameters: np.ndarray
    start: js.Field
    interpolated: js.Field
    steps: int
    history: list
    interrupted: bool


def recover(problem: Problem, resolution: int, iterations: int, progress) -> Recovery:
    """Interpolate the first observations; then fit half of the others, all of them, and all on the full resolution.

    Short windows first, because long ones have many minima (Pires, Vautard and Talagrand, Tellus A 48, 96, 1996), and
    coarse grids first, because they cost an eighth.
    """
    still = {"parameters": jnp.zeros(2), "vorticity": problem.vorticity_scale(1)}

    def at_first(control):
        parameters, start = problem.decode(control, still)
        return 0.5 * jnp.sum(problem.residual(js.stack(start)) ** 2) + problem.surprise(parameters, start)

    control = {"parameters": jnp.zeros(2), "vorticity": jnp.zeros(problem.space.grid.shape)}
    control = minimize([at_first], [40], control, lambda *_: None)
    guess, interpolated = problem.decode(control, still)
    speed = 1.1 * top_speed(interpolated)
    coarse, fine = (js.Fourier(js.Grid((n, n), 0.0, problem.space.grid.upper)) for n in (resolution // 2, resolution))
    half, rows = 1 + len(problem.rows) // 2, len(problem.rows)

    def residual(space, parameters, start, count):
        steps = substeps(space, problem.interval, speed)
        trajectory, succeeded = problem.run(space, parameters, start, problem.rows[count - 1], steps)
        return problem.residual(trajectory[np.array(problem.rows[:count])]), succeeded

    def posed(space, count):
        def objective(control):
            parameters, start = problem.decode(control, scale)
            left, succeeded = residual(space, parameters, start, count)
            total = 0.5 * jnp.sum(left**2) + problem.surprise(parameters, start)
            return jnp.where(succeeded, total, jnp.inf)

        return objective

    best, history, interrupted = (guess, interpolated), [], False

    def fit(control):
        slope = jax.jit(jax.jacfwd(lambda logs: residual(coarse, guess * jnp.exp(logs), interpolated, half)[0]))
        known = jnp.sum(slope(jnp.zeros(2)) ** 2, axis=(0, 1, 2))
        scale["parameters"] = 3 / jnp.sqrt(problem.spread**-2 + known)  # 3, because the flow can make up for them
        scale["vorticity"] = problem.vorticity_scale(rows)
        ratio = jnp.nan_to_num(still["vorticity"] / scale["vorticity"])
        modes = problem.space.field(control["vorticity"]).coefficients * ratio
        control = {**control, "vorticity": problem.space.from_coefficients(modes).values}
        share = (max(1, iterations // 4), max(1, iterations * 7 // 12), max(1, iterations // 6))
        minimize([posed(coarse, half), posed(coarse, rows), posed(fine, rows)], share, control, report)

    def report(control, value, stage):
        nonlocal best
        best = problem.decode(control, scale)
        history.append((2 * value / observed[stage], *map(float, best[0]), stage))
        progress(history[-1])

    scale, observed = {}, [max(1.0, float(jnp.sum(problem.weight[:, :n] > 0))) for n in (half, rows, rows)]
    try:
        fit(control)
    except KeyboardInterrupt:
        interrupted = True
    if not (history or interrupted):
        raise ValueError("no step of the optimizer lowers the misfit: the observations do not come from such a flow.")
    parameters, start = best
    steps = substeps(fine, problem.interval, speed)
    start, interpolated = (js.interpolate(u, fine) for u in (start, interpolated))
    return Recovery(np.asarray(parameters), start, interpolated, steps, history, interrupted)


# -- what it was worth -----------------------------------------------------------------------------------------
def relative_error(u: js.Field, exact: js.Field, largest: float = np.inf) -> float:
    """Of the modes up to a wave number."""
    low = sum(np.square(k) for k in u.space.wave_numbers()) <= largest**2
    difference, whole = (u.space.from_coefficients(w.coefficients * low) for w in (u - exact, exact))
    return float(js.norm(difference) / js.norm(whole))


def correlation(a: js.Field, b: js.Field) -> np.ndarray:
    """Of two trajectories, at each time."""
    a, b = (np.asarray(w.values, float).reshape(len(w), -1) for w in (a, b))
    return np.sum(a * b, 1) / np.sqrt(np.sum(a * a, 1) * np.sum(b * b, 1))


def table(recovery: Recovery, options, known: bool):
    """Print the parameters."""
    print(f"\n{'':22}{'guess':>12}{'recovered':>12}" + known * f"{'true':>12}{'error':>10}")
    guesses = options.viscosity_guess, options.amplitude_guess
    rows = zip(("viscosity", "forcing amplitude"), guesses, recovery.parameters, (VISCOSITY, AMPLITUDE))
    for name, guess, found, true in rows:
        print(f"{name:22}{guess:12.5f}{found:12.5f}" + known * f"{true:12.5f}{100 * (found / true - 1):+9.2f} %")


def check(problem: Problem, trajectory: js.Field, fitted: int):
    """Misfit of the observations before and after the end of the fit, over their noise, and the later ones beside
    their forecasts."""
    residual, weight = (
        np.asarray(a, float) for a in (problem.residual(trajectory[np.array(problem.rows)]), problem.weight)
    )
    parts = slice(None, fitted), slice(fitted, None)
    misfits = [float(np.sqrt(np.sum(residual[:, p] ** 2) / max(np.sum(weight[:, p] > 0), 1))) for p in parts]
    seen, data, later = weight > 0, np.asarray(problem.data), np.s_[:, fitted:]
    forecast = data + residual / np.where(seen, weight, 1.0)
    return misfits, (data[later][seen[later]], forecast[later][seen[later]])


def assess(truth: js.Field, trajectories: dict, window: int, probes: int):
    """Print how far the recovered flow is from the true one; return correlations over time."""
    resolved = np.pi * np.sqrt(probes) / (2 * np.pi)  # half a wave between neighboring probes
    for index in (0, window // 2, window):
        errors = {name: relative_error(u[index], truth[index]) for name, u in trajectories.items()}
        print(f"vorticity at t = {SPACING * index:.2f}: relative error {errors['recovered']:6.1%} recovered, "
              f"{errors['interpolated']:6.1%} interpolated" + (index > 0) * ", run on with the guess")  # fmt: skip
    close = relative_error(trajectories["recovered"][0], truth[0], resolved)
    print(f"  of which at t = 0, in scales that the probes resolve (k <= {resolved:.0f}): {close:.1%}")
    skill = {name: correlation(u, truth) for name, u in trajectories.items()}
    for index in (window + window // 2, len(truth) - 1):
        print(f"forecast at t = {SPACING * index:.2f}: correlation {skill['recovered'][index]:.4f} recovered, "
              f"{skill['interpolated'][index]:.4f} interpolated")  # fmt: skip
    return skill


# -- the script ------------------------------------------------------------------------------------------------
def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, help="nodes along each axis, even (128)")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic flow, probes and noise")
    parser.add_argument("--probes", type=int, help="synthetic probes (2.4 %% of the nodes, at least 200)")
    parser.add_argument("--intervals", type=int, default=30, help="between the observations that are fitted")
    parser.add_argument("--iterations", type=int, help="of the optimizer, in all (60)")
    parser.add_argument("--quick", action="store_true", help="64 nodes along each axis and 36 iterations")
    parser.add_argument("--observations", type=Path, help="fit this file (.nc or .npz)")
    parser.add_argument("--write-observations", type=Path, help="write the synthetic observations to this file")
    parser.add_argument("--viscosity-guess", type=float, default=1e-2)
    parser.add_argument("--amplitude-guess", type=float, default=0.5)
    parser.add_argument("--wave-number", type=float, default=WAVE_NUMBER, help="of the force, waves per box")
    parser.add_argument("--slope", type=float, default=6.0, help="n of the energy spectrum E ~ k^-n beyond the force")
    parser.add_argument("--drag", type=float, default=DRAG)
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    if options.write_observations and options.write_observations.suffix.lower() not in (".nc", ".npz"):
        parser.error("--write-observations takes a file that ends in .nc or .npz")
    options.resolution = options.resolution or (64 if options.quick else 128)
    options.iterations = options.iterations or (36 if options.quick else 60)
    options.probes = options.probes or max(200, round(0.0244 * options.resolution**2))
    return options


def progress_bar(total: int):
    """A function of (misfit, viscosity, amplitude) that shows them; tqdm's bar where it is installed."""
    if importlib.util.find_spec("tqdm"):
        from tqdm import tqdm

        bar = tqdm(total=total, desc="fit", unit="step")

        def show(row):
            bar.set_postfix_str(f"misfit {row[0]:.3f}, viscosity {row[1]:.5f}, amplitude {row[2]:.4f}", refresh=False)
            bar.update()

        return show, bar.close
    return lambda row: print(f"  misfit {row[0]:.3f}, viscosity {row[1]:.5f}, amplitude {row[2]:.4f}"), lambda: None


def main(arguments=None):
    options = parse(arguments)
    try:
        return experiment(options)
    except (FileNotFoundError, ValueError) as error:
        if options.observations is None:
            raise
        raise SystemExit(f"cannot use these observations: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("interrupted: nothing was written") from None


def read(path: Path) -> io.Observations:
    """Observations of a file, with a line for everything in it that the fit does not use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they say the same
        observations = io.read_observations(path)
    unused = {name: "the fit knows u, v and vorticity" for name in observations.values if name not in KNOWN}
    for name, why in {**observations.unused, **unused}.items():
        print(f"not used: `{name}`, {why}")
    if observations.units:
        print("units: " + ", ".join(f"{name} in {unit}" for name, unit in sorted(observations.units.items())))
    return observations


def write(options, trajectories, times, recovery: Recovery, misfits, observations: io.Observations) -> Path:
    """Vorticities as numbers, with the parameters and the way to them as attributes."""
    history = np.array(recovery.history, float).reshape(-1, 4).T
    attributes = {
        "viscosity": float(recovery.parameters[0]), "amplitude": float(recovery.parameters[1]), "drag": options.drag,
        "wave_number": options.wave_number, "misfit_fitted": misfits[0], "misfit_held_out": misfits[1],
        "interrupted": int(recovery.interrupted), "units": str(dict(observations.units)),
        "history_misfit": history[0], "history_viscosity": history[1], "history_amplitude": history[2],
    }  # fmt: skip
    return io.save(options.out / "kolmogorov_inverse.nc", trajectories, times, attributes)


def experiment(options):
    """Make or read observations, fit them, print and draw what came of it."""
    began = time.perf_counter()
    own = options.observations is not None
    if own:
        truth, observations = None, read(options.observations)
        print(f"{options.observations}: {observations.positions.shape[1]} probes, {len(observations.times)} times")
    else:
        print(f"running the reference flow on {3 * options.resolution // 2} x {3 * options.resolution // 2} nodes ...")
        truth = synthetic_truth(options.resolution, options.seed, 2 * options.intervals)
        observations = observe(truth[: 3 * options.intervals // 2 + 1], options.probes, options.seed)
    if options.write_observations:
        print(f"observations written to {io.write_observations(options.write_observations, observations)}")
    first, last = observations.times[[0, -1]]
    end = first + (last - first) * 2 / 3
    interval = spacing(observations.times)
    whole = pose(observations, interval, options)
    fitted = observations.between(first, end + 1e-6 * (last - first))
    if len(fitted.times) < 2:
        raise ValueError(f"the fit needs two times or more in its window, t = {first:g} to {end:g}.")
    problem = pose(fitted, interval, options)
    print(f"fitting {int(jnp.sum(problem.weight > 0))} numbers from {problem.positions.shape[1]} probes ...")
    show, close = progress_bar(options.iterations)
    recovery = recover(problem, options.resolution, options.iterations, show)
    close()
    if recovery.interrupted:
        print(f"interrupted after {len(recovery.history)} steps of the optimizer: what follows is the best until there")

    intervals = whole.rows[-1] if own else 2 * options.intervals
    space = recovery.start.space
    trajectories = {
        "recovered": whole.run(space, recovery.parameters, recovery.start, intervals, recovery.steps)[0],
        "interpolated": whole.run(space, whole.guess, recovery.interpolated, intervals, recovery.steps)[0],
    }
    table(recovery, options, known=not own)
    (inside, outside), held_out = check(whole, trajectories["recovered"], len(problem.rows))
    print(f"observations: misfit {inside:.2f} of their noise where fitted, {outside:.2f} after t = {end:.3g}, held out")
    skill = None
    if not own:
        truth = js.interpolate(truth, space)
        skill = assess(truth, trajectories, options.intervals, options.probes)
    fitting = time.perf_counter() - began
    times = first + problem.interval * np.arange(intervals + 1)
    print(f"flow and parameters: {write(options, trajectories, times, recovery, (inside, outside), observations)}")
    saved = picture(
        options.out / "kolmogorov_inverse.png", times, trajectories, truth=truth,
        true=None if own else (VISCOSITY, AMPLITUDE), positions=observations.positions,
        history=recovery.history, skill=skill, held_out=held_out, window=problem.rows[-1],
    )  # fmt: skip
    moving = animation(options.out / "kolmogorov_inverse.gif", times, trajectories, truth)
    print(f"pictures: {saved}, {moving}   ({fitting:.0f} s, with pictures {time.perf_counter() - began:.0f} s)")
    return recovery.parameters, (inside, outside), skill


if __name__ == "__main__":
    main()
