"""A progress bar of a training."""

import math
from typing import Any

import jax


class Bar:
    """A progress bar by tqdm, or nothing."""

    def __init__(self, shown: bool, total: int, done: int):
        self.meter = None
        if shown:
            try:
                from tqdm.auto import tqdm
            except ImportError as error:
                raise ImportError('train: progress=True needs tqdm: pip install "jaxsim-toolkit[progress]"') from error
            self.meter = tqdm(total=total, initial=done)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.meter is not None:
            self.meter.close()

    def __call__(self, count: int, loss: float, monitored: Any):
        """So many steps more, with the last loss and what was monitored."""
        if self.meter is not None:
            self.meter.update(count)
            self.meter.set_postfix_str(f"loss {loss:.2e}" + ("" if monitored is None else f", {_text(monitored)}"))


def _text(monitored) -> str:
    numbers = [value for value in jax.tree.leaves(monitored) if math.isfinite(value)]
    return " ".join(f"{value:.2e}" for value in numbers)
