"""Files bring back what was written, and wrong layouts are refused."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxsim as js
from jaxsim import io


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
    same(io.read_observations(tmp_path / "o.nc"), wanted)


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
    (tmp_path / "o.npz").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="no .npz file"):
        io.read_observations(tmp_path / "o.npz")
    with pytest.raises(ValueError, match=".nc or .npz"):
        io.read_observations(tmp_path / "o.csv")
    with pytest.raises(FileNotFoundError):
        io.read_observations(tmp_path / "absent.nc")


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_trajectories_come_back_bit_by_bit(tmp_path, dtype):
    complex_valued = np.issubdtype(dtype, np.complexfloating)
    space = js.Fourier(js.Grid((6, 5), 0.0, (1.0, 2.5)), real=not complex_valued)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 6, 5))
    values = (values + 1j * rng.normal(size=values.shape) if complex_valued else values).astype(dtype)
    times = np.array([0.0, 0.1, 0.2])
    u, back = io.load(io.save(tmp_path / "u.nc", space.field(values), times))
    assert u.space == space and u.values.dtype == dtype
    np.testing.assert_array_equal(u.values, values)
    np.testing.assert_array_equal(back, times)


def test_single_fields_have_no_times_and_other_spaces_must_be_given(tmp_path):
    grid = js.Grid(8, 0.0, 1.0)
    space = js.FiniteDifference(grid, boundary=js.Dirichlet(0.0))
    path = io.save(tmp_path / "u.nc", space.field(lambda x: x * (1 - x)))
    with pytest.raises(ValueError, match="pass `space=`"):
        io.load(path)
    with pytest.raises(ValueError, match="holds values on"):
        io.load(path, js.FiniteDifference(js.Grid(9, 0.0, 1.0)))
    u, times = io.load(path, space)
    assert times is None and u.space.grid == grid
    np.testing.assert_array_equal(u.values, space.field(lambda x: x * (1 - x)).values)


def test_other_files_are_refused(tmp_path):
    xarray.Dataset({"temperature": ("x", np.zeros(3))}).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ValueError, match="not written by jaxsim.io.save"):
        io.load(tmp_path / "other.nc")
    with pytest.raises(ValueError, match="end the name in .nc"):
        io.save(tmp_path / "u.zarr", js.Fourier(js.Grid(8)).field(jnp.sin))
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "absent.nc")


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
