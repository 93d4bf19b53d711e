"""Observations, trajectories and data sets. Needs the `io` extra for NetCDF: `pip install jaxsim-toolkit[io]`."""

from .cases import to_dataset
from .observations import Observations, read_observations, write_observations
from .trajectories import load, save, to_xarray

__all__ = ["Observations", "load", "read_observations", "save", "to_dataset", "to_xarray", "write_observations"]
