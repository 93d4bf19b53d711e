"""Animated GIFs of fields."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..field import Field
from ..files import replacing
from ._backend import labels, require
from .fields import field


def animate(
    path: str | Path,
    trajectories: Field | Sequence[Field],
    *,
    times: Any = None,
    titles: Sequence[str] | None = None,
    limit: float | tuple[float, float] | None = None,
    cmap: str | None = None,
    frames_per_second: float = 15.0,
    height: float = 3.2,
    dpi: int = 80,
) -> Path:
    """Write trajectories as an animated GIF, side by side.

    **Arguments:**

    - `path`: file to write, ending in `.gif`; its folder is made.
    - `trajectories`: one scalar field with a leading time axis, as `js.rollout(..., save_every=1)` returns it, or a
        few of equal length.
    - `times`: one number per frame, shown above the picture with the digits that tell them apart.
    - `titles`: one per trajectory.
    - `limit`, `cmap`: as for `jaxsim.plot.field`, the same for all frames; the largest value when left out.
    - `frames_per_second`: up to 50.
    - `height`: of a panel, inches.
    - `dpi`: pixels per inch.

    **Returns:** the path.
    """
    fields = [trajectories] if isinstance(trajectories, Field) else list(trajectories)
    path = Path(path)
    count = _check(path, fields, times, titles, frames_per_second)
    limit = _common_limit(fields) if limit is None else limit
    figure, image = _figure(len(fields), height, dpi), require("PIL.Image")
    panels = figure.subplots(1, len(fields), squeeze=False)
    options = {} if fields[0].space.dimension == 1 else {"colorbar": False, "cmap": cmap}
    frames, clock = [], [] if times is None else labels(times)
    for index in range(count):
        for number, (ax, u) in enumerate(zip(panels[0], fields)):
            ax.clear()
            field(u[index], ax, limit=limit, title=None if titles is None else titles[number], **options)
            if options:
                ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        if times is not None:
            figure.suptitle(f"t = {clock[index]}", fontsize="medium")
        figure.canvas.draw()
        frames.append(image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()))
    _write(path, frames, frames_per_second)
    return path


def _figure(panels: int, height: float, dpi: int):
    """A figure that draws into memory, whatever window system matplotlib is set up for."""
    size = (1.02 * height * panels, height + 0.3)
    figure = require("matplotlib.figure").Figure(figsize=size, dpi=dpi, layout="constrained")
    require("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    return figure


def _check(path, fields, times, titles, frames_per_second) -> int:
    if path.suffix.lower() != ".gif":
        raise ValueError(f"animate writes GIF files: end the name in .gif, not {path.suffix!r}.")
    if not fields or any(len(u.shape) != 1 for u in fields):
        raise ValueError("animate needs scalar fields with one leading time axis each.")
    counts = {len(u) for u in fields}
    if len(counts) > 1 or counts == {0}:
        raise ValueError(f"animate needs trajectories of one length, got {[len(u) for u in fields]} frames.")
    count = counts.pop()
    if times is not None and len(times) != count:
        raise ValueError(f"animate: {count} frames need as many times, got {len(times)}.")
    if titles is not None and len(titles) != len(fields):
        raise ValueError(f"animate: {len(fields)} trajectories need as many titles, got {len(titles)}.")
    if not 0 < frames_per_second <= 50:
        raise ValueError(f"animate: `frames_per_second` must lie between 0 and 50, got {frames_per_second}.")
    return count


def _common_limit(fields) -> float | tuple[float, float]:
    values = [np.asarray(u.values) for u in fields]
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    return max(-low, high) if low < 0 < high else (low, high)


def _write(path: Path, frames, frames_per_second: float) -> None:
    """One palette for all frames, taken from a few of them, keeps the file small and the colors steady."""
    image = require("PIL.Image")
    chosen = frames[:: max(1, len(frames) // 4)]
    sheet = image.new("RGB", (frames[0].width, frames[0].height * len(chosen)))
    for index, frame in enumerate(chosen):
        sheet.paste(frame, (0, index * frame.height))
    palette = sheet.quantize(256, dither=image.Dither.NONE)
    indexed = [frame.quantize(palette=palette, dither=image.Dither.NONE) for frame in frames]
    duration = round(1000 / frames_per_second)
    with replacing(path) as part:
        indexed[0].save(part, save_all=True, append_images=indexed[1:], duration=duration, loop=0, optimize=True)
