"""NetCDF files and Zarr folders: written as a whole or not at all, and read bit by bit."""

from pathlib import Path
from typing import Any

from ..extras import require
from ..files import replacing

USER = "jaxsim.io"


def store_path(path: str | Path) -> Path:
    """A path that ends in `.nc` or `.zarr`; anything else raises `ValueError`."""
    path = Path(path)
    if path.suffix.lower() not in (".nc", ".zarr"):
        kept = "fields are kept in NetCDF files or Zarr folders"
        raise ValueError(f"{kept}: end the name in .nc or .zarr, not {path.name!r}.")
    return path


def write_store(path: Path, dataset: Any) -> Path:
    """Put an `xarray.Dataset` in the place of what is at a path."""
    zarr = path.suffix.lower() == ".zarr"
    require("zarr" if zarr else "netCDF4", USER)
    with replacing(path) as part:
        if zarr:
            dataset.to_zarr(part, mode="w", zarr_format=2)
        else:
            dataset.to_netcdf(part, engine="netcdf4")
    return path


def read_store(path: Path, **decoding: bool) -> Any:
    """The whole `xarray.Dataset` at a path, decoded as `xarray.open_dataset` is told.

    **Raises:** `FileNotFoundError`; `ValueError` for what is no such file, or a part of one.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}.")
    zarr = path.suffix.lower() == ".zarr"
    require("zarr" if zarr else "netCDF4", USER)
    xarray = require("xarray", USER)
    try:
        with xarray.open_dataset(path, engine="zarr" if zarr else "netcdf4", **decoding) as dataset:
            return dataset.load()
    except Exception as error:  # each library underneath has errors of its own for a file that is none, or half of one
        kind = "a Zarr folder" if zarr else "a NetCDF file"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path} cannot be read as {kind}: it is empty, cut short, or something else. Write it again, or look "
            f"at it with the program that made it. ({reason})"
        ) from error
