"""Many simulations of one kind as one labeled data set: trajectories beside the parameters that made them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..extras import require
from ..spaces import Space
from .labels import corners, line_coordinates
from .stores import USER


def to_dataset(
    space: Space,
    values: Mapping[str, Any],
    times: Any,
    parameters: Mapping[str, Any],
    units: Mapping[str, str] | None = None,
    **attributes: Any,
) -> Any:
    """Trajectories of many simulations on one grid as an `xarray.Dataset`.

    Every array is labeled, so that what belongs together is found by name and not by position:
    `data.sel(t=...)`, `data.where(data.viscosity < 1e-3, drop=True)`, `data.u * (1 - data.solid)`. Values are
    stored as they are, in their units; normalize with statistics of the part that a model is trained on. Write it with
    xarray, for example `data.to_zarr("flows.zarr")` or `data.to_netcdf("flows.nc")`.

    **Arguments:**

    - `space`: whose `coordinates()` the values are at. A velocity on a `js.Staggered` space has its `values` at the
        centers of the cells.
    - `values`: by name, arrays of shape `(cases, times, *nodes)`, or `(cases, *nodes)` for what does not
        change in time, such as the solid part of the box.
    - `times`: of the trajectories, shape `(times,)`, or `(cases, times)` where every case has its own: then the
        dimension `t` counts frames, and the coordinate `time` has both dimensions.
    - `parameters`: by name, one number for every case, or one number for all.
    - `units`: by the name of a value, a parameter or of `t` and `x`, `y`, `z`.
    - `attributes`: of the data set: how it was made.

    **Returns:** a data set with the dimensions `case`, `t`, `x`, `y`, `z`; parameters are coordinates along `case`,
    and those that all cases share are scalar coordinates.

    **Raises:** `ValueError` for shapes that do not fit, names that are taken, values that are not finite, and units of
    what is not there.
    """
    xarray = require("xarray", USER)
    if not values:
        raise ValueError('to_dataset: `values` is empty; pass arrays by name, as in {"u": u}.')
    axes = line_coordinates(space)
    shape = tuple(map(len, axes.values()))
    times = np.asarray(times, float)
    cases = np.shape(next(iter(values.values())))[:1]
    if times.ndim not in (1, 2) or (times.ndim == 2 and times.shape[:1] != cases):
        raise ValueError(f"to_dataset: `times` is of shape (times,) or (cases, times), got {times.shape}.")
    coordinates: dict[str, Any] = {name: (name, line) for name, line in axes.items()}
    coordinates["t" if times.ndim == 1 else "time"] = (("t",) if times.ndim == 1 else ("case", "t"), times)
    for name, value in parameters.items():
        value = np.asarray(value)
        if value.shape not in ((), cases):
            raise ValueError(f"to_dataset: `{name}` has shape {value.shape} for {cases[0]} cases: one number each.")
        coordinates[_free(name, coordinates)] = (("case",) if value.ndim else (), value)
    data = {}
    for name, value in values.items():
        value = np.asarray(value)
        steady, moving = (*cases, *shape), (*cases, times.shape[-1], *shape)
        if value.shape not in (steady, moving):
            raise ValueError(f"to_dataset: `{name}` has shape {value.shape}; it needs {moving} or {steady}.")
        if not np.all(np.isfinite(value)):
            raise ValueError(f"to_dataset: `{name}` has values that are not finite; leave out the cases that diverged.")
        data[_free(name, coordinates)] = (("case", *(("t",) if value.shape == moving else ()), *axes), value)
    dataset = xarray.Dataset(data, coordinates, {**corners(space), **attributes})
    for name, unit in (units or {}).items():
        if name not in dataset.variables:
            raise ValueError(f"to_dataset: `units` names {name!r}, which is neither a value nor a coordinate.")
        dataset[name].attrs["units"] = unit
    return dataset


def _free(name: str, taken: Mapping[str, Any]) -> str:
    if name in taken or name in ("case", "t"):
        raise ValueError(f"to_dataset: the name {name!r} is given twice.")
    return name
