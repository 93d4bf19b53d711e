"""A training on disk."""

import json
import os
import pathlib
from typing import Any

import equinox as eqx

from ..files import replacing


class Checkpoint:
    """One file with the arrays of a run, behind a line of JSON with what was recorded.

    It is replaced as a whole, so that a run that is stopped while it writes leaves the one before.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.exists()

    def write(self, run: Any, losses: list[float], monitored: list[Any]) -> None:
        """Replace the file."""
        with replacing(self.path) as part, open(part, "wb") as file:
            file.write(json.dumps({"losses": losses, "monitored": monitored}).encode() + b"\n")
            eqx.tree_serialise_leaves(file, run)

    def read(self, like: Any) -> tuple[Any, list[float], list[Any]]:
        """The run, with the structure of `like`, and what was recorded.

        **Raises:** `ValueError` where the file holds another run.
        """
        with open(self.path, "rb") as file:
            try:
                recorded = json.loads(file.readline())
                run = eqx.tree_deserialise_leaves(file, like)
            except (RuntimeError, ValueError, EOFError, UnicodeDecodeError) as error:
                raise ValueError(f"{self.path} is not a checkpoint of this model, method and samples: "
                                 "name another file, or remove it.") from error  # fmt: skip
        return run, recorded["losses"], recorded["monitored"]
