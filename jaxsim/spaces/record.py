"""Spaces, and what their fields hold, as text and arrays: for files, and to tell one space from another."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import geometry
from ..grid import Grid
from ..linear import CG
from ..stretching import Stretching
from ._base import Space
from ._reconstruction import Reconstruction
from .body import Body
from .boundary import Boundary, _Known, _Law

# What `rebuild` makes again: classes of this package whose fields are the arguments of their constructor.
_FAMILIES = (Space, Boundary, Stretching, Reconstruction)
_SINGLE = (Grid, Body, CG, _Known, geometry.Ball, geometry.Ellipsoid, geometry.Block)
_WHERE, _WHEN = "mesh", "time"  # which devices a field is on, and when its walls were looked at: not what it is


TRACED = "traced number"


class NotRecorded(ValueError):
    """A part of a space that is code, such as a function, which no record holds."""


def outline(node: Any, arrays: list[np.ndarray]) -> Any:
    """A tree of modules, containers, numbers and arrays as plain data for JSON; its arrays are appended to a list.

    Functions, and what else is code, leave their type only, and so do arrays that are traced.
    """
    if node is None or isinstance(node, bool | int | float | str):
        return node
    if isinstance(node, jax.core.Tracer):
        return {"code": TRACED}
    if isinstance(node, jax.Array | np.ndarray | np.generic):
        arrays.append(np.asarray(node))
        return {"array": len(arrays) - 1}
    if isinstance(node, tuple | list):
        return [outline(item, arrays) for item in node]
    if isinstance(node, dict):
        return {"of": {str(name): outline(item, arrays) for name, item in node.items()}}
    if dataclasses.is_dataclass(node) and not isinstance(node, type) and not _is_law(node):
        names = [field.name for field in dataclasses.fields(node) if field.name != _WHERE]
        return {"kind": type(node).__name__, "of": {name: outline(getattr(node, name), arrays) for name in names}}
    return {"code": "function" if callable(node) else type(node).__name__}


def rebuild(data: Any, arrays: list[np.ndarray]) -> Any:
    """What an outline was made of; sequences become tuples.

    **Raises:** `NotRecorded` where it had code in it, or classes of somebody else.
    """
    if isinstance(data, list):
        return tuple(rebuild(item, arrays) for item in data)
    if not isinstance(data, dict):
        return data
    if "array" in data:
        return jnp.asarray(arrays[data["array"]])
    if "code" in data:
        raise NotRecorded(f"a {data['code']}")
    of = {name: rebuild(item, arrays) for name, item in data["of"].items()}
    if "kind" not in data:
        return of
    if data["kind"] not in _makers():
        raise NotRecorded(f"the class {data['kind']}")
    return _makers()[data["kind"]](**of)


@functools.cache
def _makers() -> dict[str, Callable]:
    """What makes an instance of each class, by the name of the class; all of this package are imported by now."""
    kinds, waiting = list(_SINGLE), list(_FAMILIES)
    while waiting:
        kind = waiting.pop()
        kinds += [kind] if kind.__module__.startswith(f"{__package__.partition('.')[0]}.") else []
        waiting += kind.__subclasses__()
    return {kind.__name__: kind for kind in kinds} | {"Union": lambda shapes: geometry.Union(*shapes)}


def differences(old: Any, old_arrays: list, new: Any, new_arrays: list, place: str = "") -> Iterator[str]:
    """Where two outlines differ, in words.

    Code is taken to be the same, and so are no value and zeros; of a traced number nothing is known. Numbers of
    different precision are compared in the lesser one. Times do not count.
    """
    if isinstance(new, dict) and new.get("code") == TRACED:
        return
    old, new = _zero(old, old_arrays), _zero(new, new_arrays)
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        if not _equal(old, new):
            yield f"{place or 'value'} is {_text(old)} in the file and {_text(new)} in the space"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new)):
            yield from differences(pair[0], old_arrays, pair[1], new_arrays, f"{place}[{index}]")
    elif _is_node(old) and _is_node(new) and old.get("kind") == new.get("kind") and set(old["of"]) == set(new["of"]):
        for name in old["of"].keys() - {_WHEN}:
            inside = f"{place}.{name}" if place else name
            yield from differences(old["of"][name], old_arrays, new["of"][name], new_arrays, inside)
    elif old != new:
        yield f"{place or 'the space'} is {_text(old)} in the file and {_text(new)} in the space"


def _zero(data: Any, arrays: list) -> Any:
    """An array itself for a reference to it, and `None` for zeros, which conditions of walls may leave out."""
    if not (isinstance(data, dict) and "array" in data):
        return data
    array = np.asarray(arrays[data["array"]])
    return array if np.any(array) else None


def _equal(a: Any, b: Any) -> bool:
    if not isinstance(a, np.ndarray) or not isinstance(b, np.ndarray) or a.shape != b.shape:
        return False
    lesser = min(a.dtype, b.dtype, key=lambda dtype: jnp.finfo(dtype).bits) if _inexact(a, b) else a.dtype
    return bool(np.array_equal(a.astype(lesser), b.astype(lesser), equal_nan=_inexact(a)))


def _inexact(*arrays: np.ndarray) -> bool:
    return all(np.issubdtype(a.dtype, np.inexact) for a in arrays)


def _is_law(node: Any) -> bool:
    return isinstance(node, _Law)


def _is_node(data: Any) -> bool:
    return isinstance(data, dict) and "of" in data


def _text(data: Any) -> str:
    if isinstance(data, np.ndarray):
        return f"{data}" if data.size <= 4 else f"an array of shape {data.shape}"
    if _is_node(data):
        return data.get("kind", "a group")
    return f"a {data['code']}" if isinstance(data, dict) and "code" in data else repr(data)

