"""Measurements at scattered points and given times, and the files that hold them."""

import dataclasses
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..extras import require

_NAMES = ("x", "y", "z")


@dataclasses.dataclass(frozen=True)
class Observations:
    """Measurements of some variables at `p` points that do not move and `t` times.

    - `times`: shape `(t,)`, ascending.
    - `positions`: shape `(d, p)`, one row of coordinates per axis of the box.
    - `values`: for each variable (`"u"`, `"v"`, `"vorticity"`, ...) an array of shape `(t, p)`; NaN is missing.
    - `noise`: for each variable the standard deviation of its errors, where it is known.
    - `lengths`: lengths of the box, `(d,)`, or `None`.

    **Raises:** `ValueError` for shapes that do not fit, times that do not ascend and noise that is not positive.
    """

    times: np.ndarray
    positions: np.ndarray
    values: Mapping[str, np.ndarray]
    noise: Mapping[str, float] = dataclasses.field(default_factory=dict)
    lengths: tuple[float, ...] | None = None

    def __post_init__(self):
        times, positions = np.asarray(self.times, float), np.atleast_2d(np.asarray(self.positions, float))
        if times.ndim != 1 or len(times) == 0 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
            raise ValueError("observations: `t` must be one axis of finite, ascending times.")
        if positions.ndim != 2 or not 1 <= len(positions) <= 3 or not np.all(np.isfinite(positions)):
            raise ValueError(f"observations: one finite coordinate per axis and point; got {positions.shape}.")
        shape = (len(times), positions.shape[1])
        values = {name: np.asarray(array, float) for name, array in self.values.items()}
        if not values:
            raise ValueError("observations: there is no variable.")
        for name, array in values.items():
            if array.shape != shape:
                raise ValueError(f"observations: `{name}` has shape {array.shape}; (t, p) is {shape}.")
            if not np.any(np.isfinite(array)) or np.any(np.isinf(array)):
                raise ValueError(f"observations: `{name}` is empty or has infinite values; NaN means missing.")
        for name, deviation in self.noise.items():
            if name not in values or not (np.isfinite(deviation) and deviation > 0):
                raise ValueError(f"observations: the noise of `{name}`, {deviation}, must be a positive number.")
        if self.lengths is not None and (len(self.lengths) != len(positions) or min(self.lengths) <= 0):
            raise ValueError(f"observations: `lengths` needs one positive length per axis, got {self.lengths}.")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "values", values)

    def between(self, start: float, end: float) -> "Observations":
        """Those with `start <= t <= end`."""
        kept = (self.times >= start) & (self.times <= end)
        values = {name: array[kept] for name, array in self.values.items()}
        return dataclasses.replace(self, times=self.times[kept], values=values)


def write_observations(path: str | Path, observations: Observations) -> Path:
    """Write observations to a file that `read_observations` reads; its layout is described there.

    **Arguments:**

    - `path`: ending in `.nc` (NetCDF, needs xarray) or `.npz` (NumPy). Its folder is made.
    - `observations`: what to write.

    **Returns:** the path.
    """
    path = Path(path)
    suffix = _suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    coordinates = dict(zip(_NAMES, observations.positions))
    if suffix == ".npz":
        arrays = {"t": observations.times, **coordinates, **observations.values}
        arrays |= {f"noise_{name}": np.asarray(deviation) for name, deviation in observations.noise.items()}
        if observations.lengths is not None:
            arrays["lengths"] = np.asarray(observations.lengths)
        np.savez_compressed(path, **arrays)
        return path
    noise = {name: {"noise": float(deviation)} for name, deviation in observations.noise.items()}
    dataset = require("xarray").Dataset(
        {name: (("t", "p"), array, noise.get(name, {})) for name, array in observations.values.items()},
        {"t": observations.times, **{name: ("p", x) for name, x in coordinates.items()}},
        {} if observations.lengths is None else {"lengths": list(observations.lengths)},
    )
    dataset.to_netcdf(path, engine=_engine())
    return path


def read_observations(path: str | Path) -> Observations:
    """Read observations from NetCDF (`.nc`) or NumPy (`.npz`).

    NetCDF has the dimensions `t` and `p`; the times `t(t)`; the places `x(p)`, `y(p)` and `z(p)`, as many as the box
    has axes; and any number of variables `(t, p)`, in either order, each with an optional attribute `noise`, the
    standard deviation of its errors. Missing values are NaN. The attribute `lengths` holds the sides of the box. In an
    `.npz` file the same arrays have the same names, `(t, p)` in this order, and `noise_u` is the noise of `u`.

    **Arguments:**

    - `path`: the file.

    **Returns:** `Observations`.

    **Raises:** `ValueError` where the file has another layout, which the message describes.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    arrays, attributes, lengths = _read_npz(path) if suffix == ".npz" else _read_netcdf(path)
    absent = [name for name in ("t", "x") if name not in arrays]
    if absent:
        raise ValueError(
            f"{path}: no variable {' and '.join(absent)}. Observations need times t(t), places x(p), y(p), and "
            f"measured variables such as u(t, p); this file has {sorted(arrays) or 'nothing'}."
        )
    times = arrays.pop("t")
    positions = [arrays.pop(name) for name in _NAMES if name in arrays]
    if any(x.shape != positions[0].shape or x.ndim != 1 for x in positions):
        raise ValueError(f"{path}: x, y and z need one value per point, (p,); got {[x.shape for x in positions]}.")
    try:
        return Observations(times, np.stack(positions), arrays, attributes, lengths)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_npz(path: Path):
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays: {error}") from error
    lengths = arrays.pop("lengths", None)
    prefix = "noise_"
    names = [name for name in arrays if name.startswith(prefix)]
    noise = {name.removeprefix(prefix): float(arrays.pop(name)) for name in names}
    return arrays, noise, None if lengths is None else tuple(float(a) for a in lengths)


def _read_netcdf(path: Path):
    with require("xarray").open_dataset(path, engine=_engine(), decode_times=False) as dataset:
        dataset.load()
    arrays, noise = {}, {}
    for name in map(str, dataset.variables):
        variable = dataset.variables[name]
        if set(variable.dims) == {"t", "p"}:
            arrays[name] = variable.transpose("t", "p").values
            if "noise" in variable.attrs:
                noise[name] = float(variable.attrs["noise"])
        elif variable.dims == ("t",) and name == "t" or variable.dims == ("p",) and name in _NAMES:
            arrays[name] = variable.values
    lengths = dataset.attrs.get("lengths")
    return arrays, noise, None if lengths is None else tuple(float(a) for a in np.atleast_1d(lengths))


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".nc", ".npz"):
        raise ValueError(f"observations are kept in .nc or .npz files, not {path.name!r}.")
    return suffix


def _engine() -> str:
    require("netCDF4")
    return "netcdf4"
