"""Pictures in files."""

from pathlib import Path
from typing import Any

from ..files import replacing
from ._backend import require


def save(path: str | Path, figure: Any, *, dpi: int = 130) -> Path:
    """Write a matplotlib figure to a file and close it.

    What is at the path is replaced at the end, as a whole.

    **Arguments:**

    - `path`: whose suffix names the format, such as `.png` or `.pdf`; its folder is made.
    - `figure`: a `matplotlib.figure.Figure`.
    - `dpi`: pixels per inch.

    **Returns:** the path.
    """
    with replacing(path) as part:
        figure.savefig(part, dpi=dpi)
    require("matplotlib.pyplot").close(figure)
    return Path(path)
