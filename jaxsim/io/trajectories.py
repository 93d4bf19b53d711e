"""Fields and trajectories as labeled arrays, and in NetCDF files."""

from pathlib import Path
from typing import Any

import numpy as np

from ..field import Field
from ..grid import Grid
from ..spaces import Fourier, Space
from ._backend import require

_NAMES = ("x", "y", "z")


def to_xarray(u: Field, times: Any = None, name: str = "u") -> Any:
    """A field as an `xarray.DataArray` of its nodal values.

    **Arguments:**

    - `u`: a field on a grid. Its first axis is time where `times` is given.
    - `times`: times of a trajectory, one per entry of its leading axis.
    - `name`: of the array.

    **Returns:** an array with the dimensions `t` (with `times`), `component` (or `component_0`, `component_1`, ...
    for several axes of components), and `x`, `y`, `z`, with the coordinates of the nodes. The attributes `lower` and
    `upper` are the corners of the box.
    """
    grid = getattr(u.space, "grid", None) if isinstance(u, Field) else None
    if not isinstance(grid, Grid):
        raise TypeError("to_xarray needs a field on a grid: move it to one with `js.interpolate`.")
    values = np.asarray(u.values)
    leading = values.ndim - grid.dimension
    coordinates: dict[str, np.ndarray] = {}
    dims: list[str] = []
    if times is not None:
        coordinates["t"] = np.asarray(times, float)
        if leading == 0 or coordinates["t"].shape != values.shape[:1]:
            raise ValueError(
                f"to_xarray: `times` of shape {coordinates['t'].shape} for a field with leading axes {u.shape}; "
                "a trajectory has one leading entry per time."
            )
        dims.append("t")
    rest = leading - len(dims)
    dims += ["component"] if rest == 1 else [f"component_{i}" for i in range(rest)]
    coordinates |= line_coordinates(u.space)
    attributes = {"lower": list(grid.lower), "upper": list(grid.upper)}
    dims += _NAMES[: grid.dimension]
    return require("xarray").DataArray(values, coordinates, dims, name, attributes)


def line_coordinates(space: Space) -> dict[str, np.ndarray]:
    """Coordinates of a space's nodes along each axis, by the name of the axis."""
    lines = {}
    for axis, nodes in enumerate(space.coordinates()):
        line = tuple(slice(None) if i == axis else 0 for i in range(space.dimension))
        lines[_NAMES[axis]] = np.asarray(nodes)[line]
    return lines


def save(path: str | Path, u: Field, times: Any = None) -> Path:
    """Write a field or a trajectory to a NetCDF file that `load`, and any other reader, reads.

    **Arguments:**

    - `path`: ending in `.nc`; its folder is made.
    - `u`, `times`: as for `to_xarray`. Values are written in their own precision, complex ones as two variables.

    **Returns:** the path.
    """
    path = _netcdf(path)
    array = to_xarray(u, times)
    space = type(u.space).__name__
    parts = {"u": array} if not np.iscomplexobj(array.values) else {"real": array.real, "imag": array.imag}
    dataset = require("xarray").Dataset(parts, attrs={**array.attrs, "space": space})
    path.parent.mkdir(parents=True, exist_ok=True)
    require("netCDF4")
    dataset.to_netcdf(path, engine="netcdf4")
    return path


def load(path: str | Path, space: Space | None = None) -> tuple[Field, np.ndarray | None]:
    """Read a field or a trajectory that `save` wrote.

    **Arguments:**

    - `path`: the file.
    - `space`: the space to put it on, with the grid of the file. May be left out for Fourier fields; the boundary
        conditions of others are not in the file.

    **Returns:** the field, and its times or `None`. Single precision stays; double precision needs `jax_enable_x64`, as
    all arrays do.
    """
    path = _netcdf(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    require("netCDF4")
    with require("xarray").open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
        dataset.load()
    if "u" not in dataset and not {"real", "imag"} <= set(dataset):
        raise ValueError(f"{path} was not written by jaxsim.io.save: it has the variables {sorted(map(str, dataset))}.")
    array = dataset["u"] if "u" in dataset else dataset["real"] + 1j * dataset["imag"]
    dims = [name for name in _NAMES if name in array.dims]
    shape = tuple(array.sizes[name] for name in dims)
    grid = Grid(shape, np.atleast_1d(dataset.attrs["lower"]), np.atleast_1d(dataset.attrs["upper"]))
    if space is None:
        if dataset.attrs.get("space") != "Fourier":
            raise ValueError(
                f"{path} holds a field on {dataset.attrs.get('space')}: pass `space=` with its boundary conditions."
            )
        space = Fourier(grid, real=not np.iscomplexobj(array.values))
    elif getattr(space, "grid", None) != grid:
        raise ValueError(f"{path} holds values on {grid}; the space given has {getattr(space, 'grid', None)}.")
    times = np.asarray(array["t"].values) if "t" in array.dims else None
    return space.field(array.values), times


def _netcdf(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() != ".nc":
        raise ValueError(f"fields are kept in NetCDF files: end the name in .nc, not {path.name!r}.")
    return path
