"""Fields, systems of fields and trajectories in files that bring them back bit by bit."""

import hashlib
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffrax as dfx
import jax
import numpy as np

from ..extras import require
from ..field import Field
from ..spaces import Space, shard
from ..spaces.record import NotRecorded, differences, outline, rebuild
from .labels import Labels, check_times, corners
from .stores import USER, read_store, store_path, write_store

_RECORD, _FORMAT = "jaxsim", 2


def save(path: str | Path, u: Any, times: Any = None, attributes: Mapping[str, Any] | None = None) -> Path:
    """Write a field, a system of fields, a trajectory or a solution to a file that `load` reads.

    The file holds what an integrator carries, and the space: its grid, order, conditions and their numbers. So `load`
    gives the same bits, and a run that goes on from them is the run that was not stopped. It also holds nodal values
    with the coordinates of the nodes, for xarray and any other reader; of a `js.Staggered` velocity the means at the
    centers of the cells, and each component (`u_x`, `u_y`, `u_z`) on its faces.

    What is at the path is replaced at the end, as a whole: a process that is stopped while it writes leaves it as it
    is.

    **Arguments:**

    - `path`: ending in `.nc` (NetCDF) or `.zarr` (a folder); its parent is made.
    - `u`: a field, a tuple, list or dict of fields, which may live on different spaces, or what `js.solve` returned.
    - `times`: of a trajectory, one per entry of the leading axis of every field; a solution has its own.
    - `attributes`: numbers, text and lists of them to write beside, by name.

    **Returns:** the path. Values are written in their own precision, complex ones as two variables.

    **Raises:** `TypeError` for what is made of no fields, and for `js.Function` fields; `ValueError` for times that do
    not fit and for values that are traced. Functions in the conditions at walls are not written: see `load`.
    """
    path = store_path(path)
    if _RECORD in (attributes or {}):
        raise ValueError(f"save: the attribute {_RECORD!r} is taken; name yours otherwise.")
    if isinstance(u, dfx.Solution):
        u, times = _of_solution(u, times)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(u)):
        raise ValueError("save: numbers are known outside of jax.jit, jax.grad and jax.vmap: return the field first.")
    fields: dict[str, Field] = {}
    tree = _named_tree(u, "", fields)
    file = _File()
    labeled = {name: file.label(name, field, times) for name, field in fields.items()}
    record = {
        "format": _FORMAT,
        "tree": tree,
        "fields": {name: file.record(name, field, labeled[name]) for name, field in fields.items()},
        "times": file.times(),
    }
    return write_store(path, file.dataset({**(attributes or {}), _RECORD: json.dumps(record)}))


def load(path: str | Path, space: Any = None) -> tuple[Any, np.ndarray | None]:
    """Read what `save` wrote.

    **Arguments:**

    - `path`: the file.
    - `space`: the space to put it on, which must be the one that it was written from; for a system one for all fields,
        or a tuple, list or dict of them as of the fields. Needed where the space holds what no file does: functions,
        such as a wall that moves, and classes of your own. It may have a device mesh.

    **Returns:** the field, or the tuple, list or dict of fields, and their times or `None`. Single precision stays;
    double precision needs `jax_enable_x64`, as all arrays do, and is rounded with a warning without it.

    **Raises:** `FileNotFoundError`; `ValueError` for another file, one that is cut short or was changed, and a space
    that is not that of the file: the message says in what. To move a field to another space take `js.interpolate`.
    """
    path = store_path(path)
    dataset = read_store(path, decode_cf=False)
    record = _record_of(path, dataset)
    times = None if record["times"] is None else _stored(path, dataset, record["times"])
    return _filled(path, record["tree"], space, lambda name, own: _restored(path, dataset, record, name, own)), times


# -- writing -----------------------------------------------------------------------------------------------------------
class _File:
    """The variables of a file that is being made."""

    def __init__(self):
        self.labels, self.variables = Labels(), {}

    def label(self, name: str, u: Field, times: Any) -> list[tuple[np.ndarray, dict]]:
        """Nodal values of a field, and those of the parts of its space, as labeled variables."""
        times = None if times is None else check_times(times, u)
        parts = u.space.split(u)
        whole = self._labeled(name, u, times)
        if isinstance(parts, Field):
            return [whole]
        return [whole, *(self._labeled(f"{name}_{axis}", part, times) for axis, part in zip("xyz", parts))]

    def _labeled(self, name: str, u: Field, times) -> tuple[np.ndarray, dict]:
        values = np.asarray(u.values)
        return values, self.stored(values, self.labels.dims(u.space, values, times, name), name, corners(u.space))

    def stored(self, array: np.ndarray, dims: list[str], name: str, attributes: Mapping = {}) -> dict:  # noqa: B006
        """An array as variables of the file, and how to find it there."""
        parts = {name: array}
        if np.iscomplexobj(array):
            parts = {f"{name}_real": array.real, f"{name}_imag": array.imag}
        found = {}
        for part, values in parts.items():
            part = self.labels.free(part, self.variables)
            self.variables[part] = (dims, values, dict(attributes))
            found[part] = _digest(values)
        return {"dtype": str(array.dtype), "shape": array.shape, "in": found}

    def times(self) -> dict | None:
        """Where the times are, if there are any."""
        times = self.labels.coordinates.get("t")
        return None if times is None else {"dtype": str(times.dtype), "shape": times.shape, "in": {"t": _digest(times)}}

    def record(self, name: str, u: Field, labeled: list[tuple[np.ndarray, dict]]) -> dict:
        """What brings a field back: its space, what it holds, and where their arrays are."""
        arrays: list[np.ndarray] = []
        space, held = outline(u.space, arrays), outline(u.space.held(u), arrays)
        return {"space": space, "held": held, "arrays": [self._found(name, a, labeled) for a in arrays]}

    def _found(self, name: str, array: np.ndarray, labeled) -> dict:
        for other, place in labeled:
            same = (other.dtype, other.shape) == (array.dtype, array.shape)
            if same and other.tobytes() == array.tobytes():
                return place
        return self.stored(array, self.labels.lengths(array.shape), f"{name}_held")

    def dataset(self, attributes: Mapping) -> Any:
        return require("xarray", USER).Dataset(self.variables, self.labels.coordinates, dict(attributes))


def _of_solution(solution: dfx.Solution, times: Any) -> tuple[Any, np.ndarray]:
    """Fields and times of what `js.solve` returned."""
    if times is not None:
        raise ValueError("save: a solution has its own times; leave out `times`.")
    if solution.ys is None or not isinstance(solution.ts, jax.Array | np.ndarray):
        raise TypeError("save: this solution has no states at one list of times; solve with `saveat=` a list of times.")
    return solution.ys, np.asarray(solution.ts)


def _named_tree(node: Any, name: str, fields: dict[str, Field]) -> Any:
    """A tuple, list or dict of fields as plain data, with a name for each field."""
    if isinstance(node, Field):
        name = re.sub(r"\W", "_", name) or "u"
        while name in fields or not name[0].isalpha():
            name = f"{name}_" if name[0].isalpha() else f"u{name}"
        fields[name] = node
        return {"field": name}
    join = lambda key: f"{name}_{key}" if name else str(key)
    if isinstance(node, dict) and node and all(isinstance(key, str | int) for key in node):
        return {"dict": [[key, _named_tree(item, join(key), fields)] for key, item in node.items()]}
    if type(node) in (tuple, list) and node:
        kind = type(node).__name__
        return {kind: [_named_tree(item, join(f"u{i}" if not name else i), fields) for i, item in enumerate(node)]}
    raise TypeError(
        f"save: files hold fields, and tuples, lists and dicts of them; got {type(node).__name__}. Make a field with "
        "`space.field(values)`."
    )


def _digest(array: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).hexdigest()


# -- reading -----------------------------------------------------------------------------------------------------------
def _record_of(path: Path, dataset: Any) -> dict:
    text = dataset.attrs.get(_RECORD)
    record = json.loads(text) if isinstance(text, str) and text.startswith("{") else {}
    if record.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by jaxsim.io.save of this version: it has the variables "
            f"{sorted(map(str, dataset.variables))}. Read it with xarray.open_dataset, and make a field of what is in "
            "it with `space.field(values)`."
        )
    return record


def _filled(path: Path, tree: dict, space: Any, field: Any) -> Any:
    """The fields of a tree, with the space of each, or one for all, or none."""
    ((kind, content),) = tree.items()
    if kind == "field":
        if space is not None and not isinstance(space, Space):
            raise TypeError(f"load: `space` needs a space for each field of {path}; one is a {type(space).__name__}.")
        return field(content, space)
    keys = [key for key, _ in content] if kind == "dict" else list(range(len(content)))
    items = [item for _, item in content] if kind == "dict" else content
    spaces = _spread(path, kind, keys, space)
    values = [_filled(path, item, own, field) for item, own in zip(items, spaces)]
    return dict(zip(keys, values)) if kind == "dict" else tuple(values) if kind == "tuple" else values


def _spread(path: Path, kind: str, keys: list, space: Any) -> list:
    if space is None or isinstance(space, Space):
        return [space] * len(keys)
    found = list(space) if kind == "dict" and isinstance(space, dict) else list(range(len(space)))
    if (kind == "dict") != isinstance(space, dict) or sorted(found, key=str) != sorted(keys, key=str):
        wanted = f"give `space` as one space, or as such a {kind}"
        raise ValueError(f"load: {path} holds a {kind} of fields {keys}; {wanted}.")
    return [space[key] for key in keys]


def _restored(path: Path, dataset: Any, record: dict, name: str, space: Space | None) -> Field:
    entry = record["fields"][name]
    arrays = [_stored(path, dataset, place) for place in entry["arrays"]]
    if not jax.config.jax_enable_x64 and any(a.dtype in (np.float64, np.complex128) for a in arrays):  # pyright: ignore
        warnings.warn(
            f"{path} holds `{name}` in double precision, which is rounded to single: to keep it call "
            'jax.config.update("jax_enable_x64", True) first.',
            stacklevel=4,
        )
    if space is None:
        space = _rebuilt(path, name, entry, arrays)
    else:
        given: list[np.ndarray] = []
        new = outline(space, given)
        found = list(differences(entry["space"], arrays, new, given))
        if found:
            raise ValueError(
                f"{path} holds values on another space than the one given: {'; '.join(found[:3])}. Load without "
                "`space` or with that of the file, and move the field with `js.interpolate`."
            )
    time = entry["space"]["of"].get("time") if "of" in entry["space"] else None
    u = space.restored(rebuild(entry["held"], arrays), None if time is None else rebuild(time, arrays))
    return u if getattr(space, "mesh", None) is None else shard(u)


def _rebuilt(path: Path, name: str, entry: dict, arrays: list[np.ndarray]) -> Space:
    try:
        return rebuild(entry["space"], arrays)
    except NotRecorded as error:
        raise ValueError(
            f"{path} holds `{name}` on a space with {error} in it, which no file can hold: pass `space=`, made as the "
            "one that was saved."
        ) from error


def _stored(path: Path, dataset: Any, place: dict) -> np.ndarray:
    """An array of the file, if it is the one that was written."""
    parts = []
    for part, digest in place["in"].items():
        values = dataset.variables[part].values if part in dataset.variables else None
        if values is None or list(values.shape) != place["shape"] or _digest(values) != digest:
            raise ValueError(
                f"{path}: the variable `{part}` is not the one that was written: the file is damaged, or was changed. "
                "Read it with xarray.open_dataset, and make a field of what is in it with `space.field(values)`."
            )
        parts.append(values)
    if len(parts) == 1:
        return parts[0].astype(place["dtype"])
    array = np.empty(place["shape"], place["dtype"])
    array.real, array.imag = parts
    return array
