"""Writing files that are there as a whole, or not at all."""

import contextlib
import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside another one, to write to, that takes its place when the block ends.

    Until then nothing is at `path`, or what was there before. A block that raises leaves no trace; a process that is
    killed leaves the part that it wrote beside `path`, under a hidden name with `.part-`, which may be removed.

    **Arguments:**

    - `path`: of a file, or of a folder such as a Zarr store. Its parent folder is made. A link is followed.

    **Yields:** the path to write a file or a folder to, with the same suffix, by which many writers choose a format.

    **Raises:** `FileNotFoundError` where the block wrote nothing, `IsADirectoryError` where a file would take the place
    of a folder, or the other way around.

    !!! example

        ```python
        with replacing("out/picture.png") as part:
            figure.savefig(part)
        ```
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield part
        if not part.exists():
            raise FileNotFoundError(f"nothing was written for {path}.")
        if path.exists() and path.is_dir() != part.is_dir():
            kind = "folder" if path.is_dir() else "file"
            raise IsADirectoryError(f"{path} is a {kind}, which what is written does not replace; name another path.")
        _settle(part)
        if path.is_dir():
            _replace_folder(part, path)
        else:
            if path.exists():
                shutil.copymode(path, part)
            os.replace(part, path)
    finally:
        _remove(part)


def _replace_folder(part: Path, path: Path) -> None:
    """Put a folder in the place of another: in one stroke where the system has it, else in two."""
    if not _exchange(part, path):
        aside = part.with_name(part.name + ".old")
        os.rename(path, aside)
        os.rename(part, path)
        _remove(aside)


def _exchange(a: Path, b: Path) -> bool:
    """Whether two paths could be exchanged; Linux has a call for that, and no other system."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of the kernel
    return rename is not None and rename(here, os.fsencode(a), here, os.fsencode(b), swap) == 0


def _settle(part: Path) -> None:
    """Wait until what was written is on the disk, so that a crash of the machine cannot undo it after the rename."""
    for file in part.rglob("*") if part.is_dir() else (part,):
        if file.is_file():
            with open(file, "rb") as opened:
                os.fsync(opened.fileno())


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
