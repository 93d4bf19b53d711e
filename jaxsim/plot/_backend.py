"""matplotlib and pillow, imported when a picture is wanted and not before."""

from types import ModuleType

from .. import extras


def require(module: str) -> ModuleType:
    """An optional module of the `plot` extra, or an `ImportError` that says how to get it."""
    return extras.require(module, "jaxsim.plot")


def axes(ax=None):
    """The given matplotlib axes, or those of a new figure."""
    return require("matplotlib.pyplot").subplots(layout="constrained")[1] if ax is None else ax
