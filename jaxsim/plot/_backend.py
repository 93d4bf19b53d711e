"""matplotlib and pillow, imported when a picture is wanted and not before."""

import importlib
from types import ModuleType


def require(module: str) -> ModuleType:
    """An optional module of the `plot` extra, or an `ImportError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"jaxsim.plot needs {module.partition('.')[0]}: pip install jaxsim-toolkit[plot]") from error


def axes(ax=None):
    """The given matplotlib axes, or those of a new figure."""
    return require("matplotlib.pyplot").subplots(layout="constrained")[1] if ax is None else ax
