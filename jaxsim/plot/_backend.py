"""matplotlib and pillow, imported when a picture is wanted and not before."""

from types import ModuleType

from .. import extras


def require(module: str) -> ModuleType:
    """An optional module of the `plot` extra, or an `ImportError` that says how to get it."""
    return extras.require(module, "jaxsim.plot")


def axes(ax=None):
    """The given matplotlib axes, or those of a new figure."""
    return require("matplotlib.pyplot").subplots(layout="constrained")[1] if ax is None else ax


def labels(numbers) -> list[str]:
    """Numbers as text, with as many digits as tell them apart, and at least three."""
    numbers = [float(number) for number in numbers]
    for digits in range(3, 17):
        text = [f"{number:.{digits}g}" for number in numbers]
        if len(set(text)) == len(set(numbers)):
            break
    return text
