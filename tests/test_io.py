"""Files bring back what was written, and wrong layouts are refused."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxsim as js
from jaxsim import io
from jaxsim.io import units


def observations(lengths=(2.0, 3.0)):
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, 4, 5))
    u[1, 2] = np.nan
    return io.Observations(np.arange(4) * 0.5, rng.uniform(size=(2, 5)), {"u": u, "v": v}, {"u": 0.1}, lengths)


def same(a: io.Observations, b: io.Observations):
    np.testing.assert_array_equal(a.times, b.times)
    np.testing.assert_array_equal(a.positions, b.positions)
    assert set(a.values) == set(b.values) and dict(a.noise) == dict(b.noise) and a.lengths == b.lengths
    for name in a.values:
        np.testing.assert_array_equal(a.values[name], b.values[name])


@pytest.mark.parametrize("suffix", [".nc", ".npz"])
@pytest.mark.parametrize("lengths", [None, (2.0, 3.0)])
def test_observations_come_back(tmp_path, suffix, lengths):
    written = observations(lengths)
    same(io.read_observations(io.write_observations(tmp_path / "new" / f"o{suffix}", written)), written)


def test_netcdf_of_another_program_with_swapped_dimensions_and_extra_variables(tmp_path):
    wanted = observations()
    dataset = xarray.Dataset(
        {
            "u": (("p", "t"), wanted.values["u"].T, {"noise": 0.1}),
            "v": (("t", "p"), wanted.values["v"]),
            "station": ("p", np.arange(5)),
        },
        {"t": wanted.times, "x": ("p", wanted.positions[0]), "y": ("p", wanted.positions[1])},
        {"lengths": [2.0, 3.0]},
    )
    dataset.to_netcdf(tmp_path / "o.nc")
    with pytest.warns(UserWarning, match=r"`station` is not used: it has the dimensions \(p\)"):
        found = io.read_observations(tmp_path / "o.nc")
    same(found, wanted)
    assert set(found.unused) == {"station"}


def test_between_keeps_the_times_asked_for():
    part = observations().between(0.4, 1.0)
    np.testing.assert_array_equal(part.times, [0.5, 1.0])
    assert np.isnan(part.values["u"][0, 2]) and part.lengths == (2.0, 3.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": None}, "no variable t"),
        ({"x": None}, "no variable x"),
        ({"y": np.zeros(4)}, "one value per point"),
        ({"u": np.zeros((5, 4))}, r"`u` has shape \(5, 4\); \(t, p\) is \(4, 5\)"),
        ({"u": np.full((4, 5), np.nan)}, "is empty"),
        ({"t": np.array([0.0, 1.0, 1.0, 2.0])}, "ascending"),
        ({"noise_u": np.array(-1.0)}, "positive"),
        ({"lengths": np.array([1.0])}, "one positive length per axis"),
    ],
)
def test_wrong_layouts_are_refused(tmp_path, change, message):
    arrays = {"t": np.arange(4.0), "x": np.zeros(5), "y": np.zeros(5), "u": np.zeros((4, 5))} | change
    np.savez(tmp_path / "o.npz", **{name: a for name, a in arrays.items() if a is not None})
    with pytest.raises(ValueError, match=message):
        io.read_observations(tmp_path / "o.npz")


def test_files_that_are_not_observations_are_refused(tmp_path):
    for suffix, message in ((".npz", "no .npz file"), (".nc", "cannot be read as a NetCDF file")):
        path = io.write_observations(tmp_path / f"o{suffix}", observations())
        whole = path.read_bytes()
        for content in (b"nonsense", b"", whole[: len(whole) // 2]):
            path.write_bytes(content)
            with pytest.raises(ValueError, match=message):
                io.read_observations(path)
    with pytest.raises(ValueError, match=".nc or .npz"):
        io.read_observations(tmp_path / "o.csv")
    with pytest.raises(FileNotFoundError):
        io.read_observations(tmp_path / "absent.nc")


def test_what_is_not_used_is_named(tmp_path):
    t, x = np.arange(3.0), np.arange(4.0)
    file = tmp_path / "o.nc"
    two = {"u": (("depth", "t", "p"), np.ones((2, 3, 4))), "v": (("deck", "p", "t"), np.ones((1, 4, 3)))}
    xarray.Dataset(two, {"t": t, "x": ("p", x), "z": 3.0}).to_netcdf(file)
    with pytest.warns(UserWarning) as caught:
        found = io.read_observations(file)
    assert set(found.values) == {"v"} and set(found.unused) == {"u", "z"} and found.values["v"].shape == (3, 4)
    assert "`u` is not used: it has the dimensions (depth, t, p), not (t, p)" in str(caught[0].message)
    xarray.Dataset({"u": two["u"]}, {"t": t, "x": ("p", x)}).to_netcdf(file)
    with pytest.raises(ValueError, match="there is no variable.*`u` is not used"):
        io.read_observations(file)
    xarray.Dataset({"u": (("t", "p"), np.ones((3, 4)))}, {"t": t, "x": (("t", "p"), np.ones((3, 4)))}).to_netcdf(file)
    with pytest.raises(ValueError, match="no variable x.*`x` is not used: it has the dimensions"):
        io.read_observations(file)
    for values in (np.array([["a"] * 4] * 3), 1j * np.ones((3, 4))):
        np.savez(tmp_path / "o.npz", t=t, x=x, u=values)
        with pytest.raises(ValueError, match="`u` holds no real numbers"):
            io.read_observations(tmp_path / "o.npz")


@pytest.mark.parametrize("suffix", [".nc", ".npz"])
def test_units_are_converted_with_the_noise_and_the_box(tmp_path, suffix):
    wanted = observations()
    wanted = dataclasses.replace(wanted, units={"t": "s", "x": "m", "y": "m", "u": "m/s", "v": "m/s"})
    path = io.write_observations(tmp_path / f"o{suffix}", wanted)
    back = io.read_observations(path)
    same(back, wanted)
    assert back.units == wanted.units
    scaled = dataclasses.replace(
        wanted,
        times=1e3 * wanted.times,
        positions=wanted.positions * np.array([[100], [1e-3]]),
        values={"u": 3.6 * wanted.values["u"], "v": wanted.values["v"]},
        noise={"u": 0.36},
        lengths=(200.0, 3e-3),
        units={"t": "milliseconds", "x": "cm", "y": "km", "u": "km/h"},
    )
    back = io.read_observations(io.write_observations(path, scaled))
    assert back.units == {"t": "s", "x": "m", "y": "m", "u": "m/s"}
    for found, true in ((back.times, wanted.times), (back.positions, wanted.positions), (back.lengths, (2.0, 3.0)),
                        (back.values["u"], wanted.values["u"]), (back.noise["u"], 0.1)):  # fmt: skip
        np.testing.assert_allclose(found, true, rtol=1e-14)
    for name, unit, message in (("x", "degrees", "no unit that can be converted"), ("t", "months", "no unit"),
                                ("u", "m", "is not a velocity"), ("t", "m", "is not a time")):  # fmt: skip
        with pytest.raises(ValueError, match=f"`{name}` is in '{unit}'.*{message}"):
            io.read_observations(io.write_observations(path, dataclasses.replace(wanted, units={name: unit})))


@pytest.mark.parametrize(
    ("unit", "dimension", "number"),
    [
        ("ms", units.TIME, 1e-3), ("seconds since 2000-01-01 00:00", units.TIME, 1), ("Days", units.TIME, 86400),
        ("µs", units.TIME, 1e-6), ("Mm", units.LENGTH, 1e6), ("mm", units.LENGTH, 1e-3), ("rad", units.LENGTH, 1),
        ("", units.LENGTH, 1), ("cm s-1", units.VELOCITY, 1e-2), ("m s**-1", units.VELOCITY, 1),
        ("m*s^-1", units.VELOCITY, 1), ("meters per second", units.VELOCITY, 1), ("mm/ms", units.VELOCITY, 1),
        ("knots", units.VELOCITY, 1852 / 3600), ("1/ms", units.RATE, 1e3), ("rad/s", units.RATE, 1),
        ("Hz", units.RATE, 1), ("m/s2", units.VELOCITY, None), ("M", units.LENGTH, None), ("hPa", units.RATE, None),
        ("m/s/s", units.VELOCITY, None), ("degrees_east", units.LENGTH, None), ("%", units.VELOCITY, None),
    ],
)  # fmt: skip
def test_units(unit, dimension, number):
    if number is None:
        with pytest.raises(ValueError, match="is in"):
            units.factor(unit, dimension)
    else:
        np.testing.assert_allclose(units.factor(unit, dimension), number, rtol=1e-14)


def test_dates_are_seconds(tmp_path):
    dates = np.datetime64("2020-02-28T12") + np.array([0, 36, 72], "timedelta64[h]")
    seconds = np.array([0, 36, 72]) * 3600.0
    np.savez(tmp_path / "o.npz", t=dates, x=np.zeros(2), u=np.ones((3, 2)))
    np.testing.assert_array_equal(io.read_observations(tmp_path / "o.npz").times, seconds)
    dataset = xarray.Dataset({"u": (("t", "p"), np.ones((3, 2)))}, {"t": dates, "x": ("p", np.zeros(2))})
    dataset.to_netcdf(tmp_path / "o.nc")
    np.testing.assert_array_equal(np.diff(io.read_observations(tmp_path / "o.nc").times), np.diff(seconds))


def test_xarray_has_the_axes_and_coordinates_of_the_field():
    space = js.Fourier(js.Grid((8, 6), (0.0, 1.0), (1.0, 2.0)))
    u = space.field(lambda x, y: jnp.stack([x + 0 * y, y + 0 * x]))
    array = io.to_xarray(u, name="velocity")
    assert array.dims == ("component", "x", "y") and array.name == "velocity"
    np.testing.assert_allclose(array.sel(component=1).isel(x=0), array.y)
    trajectory = space.field(jnp.stack([u.values, 2 * u.values]))
    assert io.to_xarray(trajectory, [0.0, 1.0]).dims == ("t", "component", "x", "y")
    assert io.to_xarray(trajectory).dims == ("component_0", "component_1", "x", "y")
    with pytest.raises(ValueError, match="one leading entry per time"):
        io.to_xarray(trajectory, [0.0, 1.0, 2.0])
    with pytest.raises(TypeError, match="js.interpolate"):
        io.to_xarray(js.Function(jnp.sin))


def test_without_xarray_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "xarray", None)
    with pytest.raises(ImportError, match=r"pip install jaxsim-toolkit\[io\]"):
        io.to_xarray(js.Fourier(js.Grid(8)).field(jnp.sin))
    written = io.write_observations(tmp_path / "o.npz", observations())  # NumPy files need no extra
    assert io.read_observations(written).lengths == (2.0, 3.0)


# -- data sets of many simulations -------------------------------------------------------------------------------------
def cases(**changes):
    space = js.Staggered(js.Grid((5, 4), 0.0, (2.0, 1.0)), js.NoSlip())
    u = np.arange(2 * 3 * 5 * 4, dtype=float).reshape(2, 3, 5, 4)
    made = dict(
        values={"u": u, "solid": np.eye(2)[:, :1, None] * np.ones((5, 4))},
        times=np.arange(3) * 0.5,
        parameters={"speed": [1.0, 2.0], "density": 3.0},
        units={"u": "m/s", "speed": "m/s", "t": "s"},
    )
    return io.to_dataset(space, **(made | changes), title="two cases"), u


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_data_sets_come_back_with_their_parameters(tmp_path, suffix):
    data, u = cases()
    path = tmp_path / f"cases.{suffix}"
    data.to_zarr(path, zarr_format=2) if suffix == "zarr" else data.to_netcdf(path)
    with xarray.open_dataset(path, engine="zarr" if suffix == "zarr" else "netcdf4", decode_times=False) as read:
        assert read.u.dims == ("case", "t", "x", "y") and read.solid.dims == ("case", "x", "y")
        np.testing.assert_array_equal(read.u.sel(t=1.0)[1], u[1, 2])
        np.testing.assert_array_equal((read.u * (1 - read.solid)).where(read.speed == 1, drop=True), 0 * u[:1])
        assert float(read.density) == 3 and read.u.units == "m/s" and read.attrs["title"] == "two cases"
        np.testing.assert_allclose(read.x, [0.2, 0.6, 1.0, 1.4, 1.8])


def test_cases_may_have_times_of_their_own():
    data, _ = cases(times=np.array([[1.0], [2.0]]) * np.arange(3), units={"time": "s"})
    assert data.time.dims == ("case", "t") and float(data.time[1, 2]) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": {}}, "empty"),
        ({"values": {"u": np.zeros((2, 3, 4, 5))}}, r"`u` has shape \(2, 3, 4, 5\); it needs \(2, 3, 5, 4\)"),
        ({"values": {"u": np.full((2, 3, 5, 4), np.nan)}}, "not finite"),
        ({"values": {"speed": np.zeros((2, 3, 5, 4))}}, "given twice"),
        ({"times": np.zeros((3, 3))}, "`times` is of shape"),
        ({"parameters": {"speed": [1.0, 2.0, 3.0]}}, "for 2 cases"),
        ({"units": {"mass": "kg"}}, "neither a value"),
    ],
)
def test_data_sets_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        cases(**changes)
