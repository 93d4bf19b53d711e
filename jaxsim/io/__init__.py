"""Observations, trajectories and data sets. Needs the `io` extra for NetCDF: `pip install jaxsim-toolkit[io]`."""

from .cases import to_dataset
from .labels import to_xarray
from .observations import Observations, read_observations, write_observations
from .trajectories import load, save

__all__ = ["Observations", "load", "read_observations", "save", "to_dataset", "to_xarray", "write_observations"]
