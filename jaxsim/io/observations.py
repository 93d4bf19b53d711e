"""Measurements at scattered points and given times, and the files that hold them."""

import dataclasses
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..extras import require
from ..files import replacing
from . import units
from .stores import USER, read_store

_NAMES = ("x", "y", "z")
_DIMENSIONS = {
    "t": units.TIME, **dict.fromkeys(_NAMES, units.LENGTH), **dict.fromkeys("uvw", units.VELOCITY),
    "vorticity": units.RATE,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Observations:
    """Measurements of some variables at `p` points that do not move and `t` times.

    - `times`: shape `(t,)`, ascending.
    - `positions`: shape `(d, p)`, one row of coordinates per axis of the box.
    - `values`: for each variable (`"u"`, `"v"`, `"vorticity"`, ...) an array of shape `(t, p)`; NaN is missing.
    - `noise`: for each variable the standard deviation of its errors, where it is known.
    - `lengths`: lengths of the box, `(d,)`, or `None`.
    - `units`: by the name of a variable or of `t`, `x`, `y`, `z`, where they are known.
    - `unused`: by name, what else a file had, and why it is not among the values.

    **Raises:** `ValueError` for shapes that do not fit, times that do not ascend, values that are no real numbers and
    noise that is not positive.
    """

    times: np.ndarray
    positions: np.ndarray
    values: Mapping[str, np.ndarray]
    noise: Mapping[str, float] = dataclasses.field(default_factory=dict)
    lengths: tuple[float, ...] | None = None
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unused: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        times, positions = _seconds(self.times), np.atleast_2d(_real("the positions", self.positions))
        if times.ndim != 1 or len(times) == 0 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
            raise ValueError("observations: `t` must be one axis of finite, ascending times.")
        if positions.ndim != 2 or not 1 <= len(positions) <= 3 or not np.all(np.isfinite(positions)):
            raise ValueError(f"observations: one finite coordinate per axis and point; got {positions.shape}.")
        shape = (len(times), positions.shape[1])
        values = {name: _real(f"`{name}`", array) for name, array in self.values.items()}
        if not values:
            raise ValueError(f"observations: there is no variable u(t, p){_beside(self.unused)}.")
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
    coordinates = dict(zip(_NAMES, observations.positions))
    if suffix == ".npz":
        arrays = {"t": observations.times, **coordinates, **observations.values}
        arrays |= {f"noise_{name}": np.asarray(deviation) for name, deviation in observations.noise.items()}
        arrays |= {f"units_{name}": np.asarray(unit) for name, unit in observations.units.items()}
        if observations.lengths is not None:
            arrays["lengths"] = np.asarray(observations.lengths)
        with replacing(path) as part:
            np.savez_compressed(part, **arrays)
        return path
    noise = {name: {"noise": float(deviation)} for name, deviation in observations.noise.items()}
    dataset = require("xarray", USER).Dataset(
        {name: (("t", "p"), array, noise.get(name, {})) for name, array in observations.values.items()},
        {"t": observations.times, **{name: ("p", x) for name, x in coordinates.items()}},
        {} if observations.lengths is None else {"lengths": list(observations.lengths)},
    )
    for name, unit in observations.units.items():
        dataset[name].attrs["units"] = unit
    require("netCDF4", USER)
    with replacing(path) as part:
        dataset.to_netcdf(part, engine="netcdf4")
    return path


def read_observations(path: str | Path) -> Observations:
    """Read observations from NetCDF (`.nc`) or NumPy (`.npz`).

    NetCDF has the dimensions `t` and `p`; the times `t(t)`; the places `x(p)`, `y(p)` and `z(p)`, as many as the box
    has axes; and any number of variables `(t, p)`, in either order, each with an optional attribute `noise`, the
    standard deviation of its errors. Missing values are NaN. The attribute `lengths` holds the sides of the box. In an
    `.npz` file the same arrays have the same names, `(t, p)` in this order, and `noise_u` is the noise of `u`.

    Units, the attribute `units` (`units_u` in `.npz`), are converted to meters and seconds for `t`, `x`, `y`, `z`, `u`,
    `v`, `w` and `vorticity`, with the noise, and with `lengths` as `x`, `y`, `z`; dates are seconds then. Numbers
    without units are taken as they are, and so are other variables. Axes of length one are dropped. A variable that is
    none of these, such as one with a third dimension, is left out with a warning and named in `unused`.

    **Arguments:**

    - `path`: the file.

    **Returns:** `Observations`.

    **Raises:** `ValueError` where the file is none or cut short, has another layout, which the message describes, or
    units that are unknown or wrong for what they belong to, such as degrees for a place.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    content = _read_npz(path) if suffix == ".npz" else _read_netcdf(path)
    try:
        observations = _observations(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if observations.unused:
        warnings.warn(f"{path}: {_beside(observations.unused)[2:]}.", stacklevel=2)
    return observations


@dataclasses.dataclass
class _Content:
    """What was found in a file."""

    arrays: dict[str, np.ndarray]
    noise: dict[str, Any]
    units: dict[str, str]
    lengths: Any
    unused: dict[str, str] = dataclasses.field(default_factory=dict)


def _observations(content: _Content) -> Observations:
    arrays = dict(content.arrays)
    absent = [name for name in ("t", "x") if name not in arrays]
    if absent:
        raise ValueError(
            f"no variable {' and '.join(absent)}. Observations need times t(t), places x(p), y(p), and measured "
            f"variables such as u(t, p); this file has {sorted([*arrays, *content.unused]) or 'nothing'}"
            f"{_beside(content.unused)}."
        )
    factors, named = {}, {}
    for name, unit in content.units.items():
        if name not in arrays:
            continue
        named[name] = unit
        if name in _DIMENSIONS:
            try:
                factors[name] = units.factor(unit, _DIMENSIONS[name])
            except ValueError as error:
                raise ValueError(f"`{name}` {error}.") from error
            named[name] = unit if factors[name] == 1 else units.name(_DIMENSIONS[name])
            arrays[name] = _scaled(name, arrays[name], factors[name])
    if "t" in named and " since " in named["t"]:
        named["t"] = units.name(units.TIME)
    noise = {name: _deviation(name, value) * factors.get(name, 1.0) for name, value in content.noise.items()}
    times = arrays.pop("t")
    axes = [name for name in _NAMES if name in arrays]
    if axes != list(_NAMES[: len(axes)]):
        raise ValueError(f"there are places {' and '.join(axes)}; name them x, y, z in this order.")
    positions = [arrays.pop(name) for name in axes]
    if any(x.shape != positions[0].shape or x.ndim != 1 for x in positions):
        raise ValueError(f"x, y and z need one value per point, (p,); got {[x.shape for x in positions]}.")
    lengths = None
    if content.lengths is not None:
        found = np.atleast_1d(_real("`lengths`", content.lengths))
        lengths = tuple(float(a) * factors.get(name, 1.0) for a, name in zip(found, [*axes, *(" " * len(found))]))
    return Observations(times, np.stack(positions), arrays, noise, lengths, named, content.unused)


def _read_npz(path: Path) -> _Content:
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:  # NumPy takes other files for pickles
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # of zip files, of compression or of NumPy, by where the file is cut
        raise ValueError(
            f"{path} is no .npz file of plain arrays: it is empty, cut short, or something else. Write it again with "
            f"numpy.savez. ({_first_line(error)})"
        ) from error
    taken = lambda prefix: {
        name.removeprefix(prefix): arrays.pop(name) for name in list(arrays) if name.startswith(prefix)
    }
    noise, found = taken("noise_"), taken("units_")
    return _Content(arrays, noise, {name: str(unit) for name, unit in found.items()}, arrays.pop("lengths", None))


def _read_netcdf(path: Path) -> _Content:
    dataset = read_store(path, decode_times=False, decode_timedelta=False)
    content = _Content({}, {}, {}, dataset.attrs.get("lengths"))
    for name in map(str, dataset.variables):
        variable = dataset.variables[name]
        single = [str(d) for d in variable.dims if variable.sizes[d] == 1 and d not in ("t", "p")]
        layout = variable.squeeze(single)
        if name == "t" or name in _NAMES:
            if layout.dims != (("t",) if name == "t" else ("p",)):
                content.unused[name] = f"it has the dimensions {_listed(variable.dims)}"
                continue
        elif set(layout.dims) == {"t", "p"}:
            layout = layout.transpose("t", "p")
        else:
            content.unused[name] = f"it has the dimensions {_listed(variable.dims)}"
            continue
        if layout.dtype.kind not in "biuf":
            content.unused[name] = "it holds no numbers"
            continue
        content.arrays[name] = layout.values
        if "noise" in variable.attrs:
            content.noise[name] = variable.attrs["noise"]
        if "units" in variable.attrs:
            content.units[name] = str(variable.attrs["units"])
    return content


def _scaled(name: str, array: np.ndarray, number: float) -> np.ndarray:
    return array if number == 1 else number * _real(f"`{name}`", array)


def _deviation(name: str, value: Any) -> float:
    number = _real(f"the noise of `{name}`", value)
    if number.size != 1:
        raise ValueError(f"observations: the noise of `{name}` must be one number, got {number.size}.")
    return float(number.reshape(()))


def _seconds(times: Any) -> np.ndarray:
    """Times as numbers; dates as seconds since the first of them."""
    times = np.asarray(times)
    if times.dtype.kind == "M":
        times = times - times.ravel()[:1]
    if times.dtype.kind == "m":
        return times / np.timedelta64(1, "s")
    return _real("`t`", times)


def _real(name: str, array: Any) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"observations: {name} holds no real numbers but {array.dtype}.")
    return array.astype(float)


def _beside(unused: Mapping[str, str]) -> str:
    """What is not used, as the rest of a sentence."""
    return "".join(f"; `{name}` is not used: {why}" for name, why in unused.items())


def _listed(dims) -> str:
    return f"({', '.join(map(str, dims))}), not (t, p)"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".nc", ".npz"):
        raise ValueError(f"observations are kept in .nc or .npz files, not {path.name!r}.")
    return suffix
