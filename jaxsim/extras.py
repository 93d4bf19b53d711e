"""Modules of the optional extras, imported when something needs them and not before."""

import importlib
from types import ModuleType

_EXTRAS = {
    "matplotlib": "plot",
    "PIL": "plot",
    "xarray": "io",
    "netCDF4": "io",
    "zarr": "io",
    "tqdm": "progress",
    "statsmodels": "examples",
}


def require(module: str, user: str = "jaxsim") -> ModuleType:
    """An optional module, such as `matplotlib.pyplot`.

    **Arguments:**

    - `module`: its name.
    - `user`: who needs it, for the error.

    **Raises:** `ImportError` that says which extra to install.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or package).partition(".")[0] != package:
            raise  # it is there, and lacks something itself
        extra = _EXTRAS[package]
        raise ImportError(f"{user} needs {package}: pip install jaxsim-toolkit[{extra}]") from error


def script_needs(module: str) -> ModuleType:
    """As `require`, for scripts: where the module is absent they end with one line that says what to install."""
    try:
        return require(module, "this script")
    except ImportError as error:
        raise SystemExit(str(error)) from error
