"""Every example runs in a small configuration, finds what it should, and leaves a picture."""

import dataclasses
import importlib
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import jax
import numpy as np
import pytest
import xarray

from jaxsim import io

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run an example by name with arguments, in single precision as a user would."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    jax.config.update("jax_enable_x64", False)

    def call(name, *arguments, picture=True):
        result = importlib.import_module(name).main([*arguments, "--out", str(tmp_path)])
        assert not picture or (tmp_path / f"{name}.png").stat().st_size > 5000
        return result

    yield call
    jax.config.update("jax_enable_x64", True)
    for name in [name for name in sys.modules if (EXAMPLES / f"{name}.py").is_file()]:
        del sys.modules[name]


SMALL = ["--resolution", "32", "--probes", "120", "--intervals", "4", "--iterations", "12"]


@pytest.mark.slow
def test_kolmogorov_inverse_recovers_its_parameters_and_forecasts(run, tmp_path, capsys):
    file = tmp_path / "probes.npz"
    parameters, (inside, outside), skill = run("kolmogorov_inverse", "--quick", "--write-observations", str(file))
    assert abs(parameters[0] / 4e-3 - 1) < 0.2 and abs(parameters[1] - 1) < 0.05 and inside < 1.3
    assert skill["recovered"][-1] > 0.9 > skill["interpolated"][-1]
    assert (tmp_path / "kolmogorov_inverse.gif").is_file() and "forcing amplitude" in capsys.readouterr().out
    assert set(io.read_observations(file).values) == {"u", "v"}


@pytest.mark.slow
def test_kolmogorov_inverse_fits_a_file_with_missing_values(run, tmp_path, capsys):
    example, file = importlib.import_module("kolmogorov_inverse"), tmp_path / "probes.npz"
    observations = example.observe(example.synthetic_truth(32, seed=0, intervals=6), probes=120, seed=0)
    observations.values["u"][1, ::2] = np.nan
    io.write_observations(file, observations)
    parameters, (inside, outside), skill = run("kolmogorov_inverse", *SMALL, "--observations", str(file))
    assert inside < 2 and outside < 3 and abs(parameters[1] - 1) < 0.2 and skill is None
    assert (tmp_path / "kolmogorov_inverse.gif").is_file() and "forcing amplitude" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message", "printed"),
    [
        ({"t": None, "x": None}, "no variable t and x", ""),
        ({"u": None, "pressure": np.eye(3, 2)}, "u, v or vorticity; there are .* pressure", "not used: `pressure`"),
        ({"u": None, "velocity_x": np.eye(3, 2)}, "u, v or vorticity", "not used: `velocity_x`, the fit knows u, v"),
        ({"x": np.array([0.0, 7.0])}, r"1 of 2 probes .* outside of the box .* at \(7, 0\); the attribute `len", ""),
        ({"x": np.array([-0.1, 0.0])}, r"outside of the box", ""),
        ({"lengths": np.array([2e-3, 1e-3])}, r"1 of 2 probes", ""),
        ({"lengths": np.array([4.0, 4.0])}, r"2.546 waves across the box", ""),
        ({"u": np.zeros((3, 2))}, "`u` is 0 everywhere", ""),
        ({"vorticity": np.full((3, 2), 1000.0)}, "`vorticity` is 1000 everywhere", ""),
        ({"units_t": np.array("ms"), "units_x": np.array("degrees")}, "`x` is in 'degrees'", ""),
        ({"t": np.array([0.0, 1.0, 1.7])}, "whole multiples", ""),
        ({"t": np.array([0.0, 9.0, 10.0])}, "two times or more in its window", ""),
        ({"t": np.arange(2.0), "u": np.eye(2)}, "three times or more", ""),
        ({"t": np.array([0.0, 1e-6, 1.0])}, "leave out the close ones", ""),
        ({"z": np.zeros(2)}, "there are 3 axes", ""),
    ],
)  # fmt: skip
def test_kolmogorov_inverse_refuses_what_it_cannot_fit_in_one_line(run, tmp_path, capsys, change, message, printed):
    arrays = {"t": np.arange(3.0), "x": np.array([0.0, 1.5]), "y": np.zeros(2), "u": np.eye(3, 2)} | change
    np.savez(tmp_path / "bad.npz", **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(SystemExit, match=message) as ended:
        run("kolmogorov_inverse", "--observations", str(tmp_path / "bad.npz"), picture=False)
    assert "\n" not in str(ended.value) and printed in capsys.readouterr().out


@pytest.mark.parametrize("name", ["empty.nc", "text.nc", "text.npz", "absent.nc", "table.csv"])
def test_kolmogorov_inverse_refuses_other_files_in_one_line(run, tmp_path, name):
    if name != "absent.nc":
        (tmp_path / name).write_text("" if name == "empty.nc" else "t, x\n0, 1\n")
    with pytest.raises(SystemExit, match=f"cannot use these observations: .*{name}") as ended:
        run("kolmogorov_inverse", "--observations", str(tmp_path / name), picture=False)
    assert "\n" not in str(ended.value)


@pytest.mark.slow
def test_kolmogorov_inverse_keeps_what_was_found_when_it_is_interrupted(run, tmp_path, capsys, monkeypatch):
    example, file = importlib.import_module("kolmogorov_inverse"), tmp_path / "probes.nc"
    observations = example.observe(example.synthetic_truth(16, seed=0, intervals=6), probes=60, seed=0)
    in_other_units = dataclasses.replace(
        observations,
        times=1e3 * observations.times,
        values={"u": observations.values["u"], "v": 100 * observations.values["v"], "w": observations.values["u"]},
        noise={"u": observations.noise["u"], "v": 100 * observations.noise["v"]},
        units={"t": "ms", "v": "cm/s"},
    )
    io.write_observations(file, in_other_units)

    def interrupted(total):
        rows = []

        def show(row):
            rows.append(row)
            if len(rows) == 3:
                raise KeyboardInterrupt

        return show, lambda: None

    monkeypatch.setattr(example, "progress_bar", interrupted)
    small = ["--resolution", "16", "--iterations", "12", "--observations", str(file)]
    parameters, (inside, _), _ = run("kolmogorov_inverse", *small)
    told = capsys.readouterr().out
    assert "interrupted after 3 steps" in told and "not used: `w`" in told and "units: t in s, v in m/s" in told
    found, times = io.load(tmp_path / "kolmogorov_inverse.nc")
    np.testing.assert_allclose(times, observations.times, rtol=1e-6)
    with xarray.open_dataset(tmp_path / "kolmogorov_inverse.nc") as data:
        assert data.attrs["interrupted"] == 1 and data.recovered.dims == ("t", "x", "y")
        np.testing.assert_allclose([data.attrs["viscosity"], data.attrs["amplitude"]], parameters, rtol=1e-6)
        assert len(data.attrs["history_misfit"]) == 3 and data.attrs["misfit_fitted"] == inside
    assert found["recovered"].shape == (len(times),) and not np.array_equal(parameters, [1e-2, 0.5])


NEEDED = {"matplotlib": "plot", "xarray": "io", "zarr": "io", "netCDF4": "io"}


@pytest.mark.parametrize("absent", NEEDED)
def test_examples_say_in_one_line_what_to_install(absent, monkeypatch):
    """Before they compute anything; in this process, where the module is hidden."""
    for name in [name for name in sys.modules if name.partition(".")[0] == absent]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, absent, None)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for file in sorted(EXAMPLES.glob("*.py")):
        text = file.read_text()
        users = {"xarray": "io." in text, "zarr": "to_zarr" in text, "netCDF4": "io.save" in text, "matplotlib": True}
        monkeypatch.delitem(sys.modules, file.stem, raising=False)
        if users[absent]:
            with pytest.raises(SystemExit, match=rf"needs {absent}: pip install jaxsim-toolkit\[{NEEDED[absent]}\]$"):
                importlib.import_module(file.stem)
        else:
            importlib.import_module(file.stem)
        monkeypatch.delitem(sys.modules, file.stem, raising=False)


@pytest.mark.slow
def test_kuramoto_sivashinsky_chaos(run):
    exponent, error = run("kuramoto_sivashinsky_chaos", "--time", "400", "--runs", "8")
    assert 0.02 < exponent < 0.08 and 0 < error < 0.02


@pytest.mark.slow
def test_lyapunov_spectrum(run):
    results, slope = run("lyapunov_spectrum", "--time", "1000", "--lengths", "22", "36")
    assert 0.03 < results[22.0].exponents[0] < 0.07 and 0.15 < slope < 0.3


@pytest.mark.slow
def test_kdv_solitons(run):
    error, shifts = run("kdv_solitons", "--resolution", "384", "--steps", "5000")
    assert error < 1e-3 and max(shifts.values()) < 1e-3


@pytest.mark.slow
def test_gas_chromatograph_finds_all_rates(run):
    error, expected, misfit = run("gas_chromatograph", "--nodes", "128")
    assert np.all(np.abs(error) < 3 * expected + 0.01) and 0.85 < misfit < 1.15


@pytest.mark.slow
def test_reaction_between_walls(run):
    sums, difference = run("reaction_between_walls", "--nodes", "12", "--tolerance", "1e-4")
    assert max(sums["exponential"]) < 5e-5 and max(sums["implicit"]) < 1e-4 and difference < 1e-4


@pytest.mark.slow
def test_gray_scott(run):
    defect, residual = run("gray_scott", "--resolution", "48", "--time", "800")
    assert defect < 1e-4 and residual < 1e-7


@pytest.mark.slow
def test_taylor_green(run):
    in_space, in_time = run("taylor_green_3d", "--resolution", "24", "--time", "1.0")
    assert in_space < 1e-5 and in_time < 1e-4


@pytest.mark.slow
def test_one_equation_three_spaces(run):
    table = run("one_equation_three_spaces", "--resolution", "64", "--steps", "600")
    for residual, spectral, second, fourth, eighth in table.values():
        assert residual < 1e-10 and spectral < second and fourth < second and eighth < fourth


@pytest.mark.slow
def test_generate_cavity(run, tmp_path):
    deviation, divergence, _ = run("generate_cavity", "--resolution", "12", "--frames", "6")
    assert deviation < 0.04 and divergence < 1e-4
    with xarray.open_zarr(tmp_path / "cavity.zarr") as data:
        assert data.u.dims == ("case", "t", "x", "y") and data.u.units == "m/s" and data.sizes["case"] == 9
        np.testing.assert_allclose(data.time[:, -1], 6 * 1.6 * 0.01 / data.speed, rtol=1e-5)


@pytest.mark.slow
def test_generate_cylinder(run, tmp_path):
    drag, shed, divergence, inside, similar = run("generate_cylinder", "--resolution", "64")
    assert divergence < 1e-4 and inside < 0.1 and similar < 1e-4
    assert np.all(np.isnan(shed[[0, 1, 4]])) and 0.14 < shed[2] < 0.2 and np.all(np.diff(drag[:2]) < 0)
    with xarray.open_zarr(tmp_path / "cylinder.zarr") as data:
        area = data.solid.sum(("x", "y")) * (0.16 / 64) ** 2
        np.testing.assert_allclose(area, np.pi * data.radius**2, rtol=0.1)


@pytest.mark.slow
def test_heated_room(run):
    check, first, last = run("heated_room")
    assert check < 1e-6 and last < 0.4 * first


@pytest.mark.slow
def test_cylinder_wake(run):
    strouhal, drag, divergence = run("cylinder_wake", "--cells", "24", "--time", "4")
    assert 0.28 < strouhal < 0.315 and abs(drag / 3.23 - 1) < 0.15 and divergence < 1e-4


@pytest.mark.slow
def test_obstacle_shape(run):
    difference, (before, after), late = run("obstacle_shape", "--cells", "20", "--iterations", "5", "--long", "10")
    assert difference < 1e-6 and after < 0.8 * before and late[1] < 0.8 * late[0]


@pytest.mark.slow
def test_lynx_hare(run):
    errors, (hybrid, known) = run("lynx_hare", "--networks", "1", "--iterations", "500")
    assert hybrid < 0.6 * known and errors["hybrid"][0] < 0.25
    assert all(errors[name][1] < 0.5 for name in ("hybrid", "Lotka-Volterra alone"))


@pytest.mark.slow
def test_regularized_neural_ode(run):
    results = run("regularized_neural_ode", "--iterations", "300")
    plain, regularized = results["plain"], results["regularized"]
    assert regularized["evaluations"] < 0.55 * plain["evaluations"] and regularized["accuracy"] > 95


@pytest.mark.slow
def test_irregular_series(run):
    gaps, forecasts = run("irregular_series", "--iterations", "300", "--batch", "16")
    assert gaps["latent ODE"] < 0.8 * gaps["straight line"] and 0.2 < gaps["the same, remainder interpolated"] < 0.6
    assert forecasts["latent ODE"] < 0.6 * forecasts["persistence"]


@pytest.mark.slow
def test_stable_neural_sde(run):
    results, best = run("stable_neural_sde", "--iterations", "400", "--paths", "400")
    assert all(abs(score / best - 1) < 0.08 for score, *_ in results.values())
    stable = [results[name][2] for name in ("Langevin", "linear noise", "geometric")]
    assert max(stable) < 0.2 and results["unconstrained"][2] > max(stable)


@pytest.mark.slow
def test_pinn_burgers(run):
    assert run("pinn_burgers", "--width", "12", "--points", "640", "--steps", "40") < 0.05


@pytest.mark.slow
def test_pinn_inverse(run):
    errors, bars = run("pinn_inverse", "--seeds", "2", "--width", "10", "--points", "400", "--noise", "0.02")
    assert np.all(np.abs(errors) < 4 * bars + 0.03) and np.all(bars < 0.1)


@pytest.mark.slow
def test_constraint_layer(run):
    untrained, trained, fixed = run("constraint_layer", "--steps", "40")
    assert trained < 0.75 * untrained and trained < 0.1 and fixed < 0.03


@pytest.mark.slow
def test_conserved_surrogate(run):
    results = run("conserved_surrogate", "--updates", "300", "--width", "12")
    drift = lambda name: max(results[name]["drift of the mass"], results[name]["drift of the momentum"])
    assert drift("free") > 1e-3 and drift("projected afterwards") < 1e-13 and drift("trained projected") < 1e-13
    late = {name: result["relative error"] for name, result in results.items()}
    assert max(late["projected afterwards"], late["trained projected"]) < 0.8 * late["free"]
