"""xarray, imported when a file needs it and not before."""

import importlib
from types import ModuleType


def require(module: str) -> ModuleType:
    """An optional module of the `io` extra, or an `ImportError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"jaxsim.io needs {module} for this file: pip install jaxsim-toolkit[io]") from error
