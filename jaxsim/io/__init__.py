"""Observations and trajectories on disk. Needs the `io` extra for NetCDF: `pip install jaxsim-toolkit[io]`."""

from .observations import Observations, read_observations, write_observations
from .trajectories import load, save, to_xarray

__all__ = ["Observations", "load", "read_observations", "save", "to_xarray", "write_observations"]
