"""Training of the models that the studies of constraint layers compare, and their errors."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax


@dataclasses.dataclass
class Trained:
    """A model after training.

    - `losses`: before each step, shape `(steps,)`.
    - `seconds`: of the processor, without compilation.
    """

    model: Any
    losses: np.ndarray
    seconds: float


def train(loss: Callable[[Any, jax.Array], jax.Array], model: Any, key: jax.Array, *, steps: int | None = None,
          seconds: float | None = None, rate: float = 1e-3) -> Trained:  # fmt: skip
    """Adam with a rate that falls from `rate` to a tenth of it along a cosine.

    `loss` takes the model and a key for the samples of a step. Give the number of steps, or the processor time that
    they may take, without compilation.
    """
    if (steps is None) == (seconds is None):
        raise ValueError("train: give `steps` or `seconds`.")
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())

    @eqx.filter_jit
    def step(model, state, key, rate):
        value, slopes = eqx.filter_value_and_grad(loss)(model, key)
        updates, state = optimizer.update(slopes, state)
        return eqx.apply_updates(model, jax.tree.map(lambda leaf: -rate * leaf, updates)), state, value

    state = optimizer.init(eqx.filter(model, eqx.is_inexact_array))
    jax.block_until_ready(step(model, state, key, jnp.asarray(rate, float)))
    losses, start, done = [], time.process_time(), 0.0
    while done < 1:
        here = rate * (0.55 + 0.45 * np.cos(np.pi * done))
        model, state, value = step(model, state, jax.random.fold_in(key, len(losses)), jnp.asarray(here, float))
        losses.append(float(value))
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(f"training diverged at step {len(losses)}.")
        done = len(losses) / steps if steps is not None else (time.process_time() - start) / (seconds or 1.0)
    return Trained(model, np.asarray(losses), time.process_time() - start)


def errors(found: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Relative L2 error of each instance."""
    size = lambda a: np.linalg.norm(np.asarray(a).reshape(len(a), -1), axis=1)
    return size(found - values) / size(values)


def summary(name: str, found: np.ndarray, values: np.ndarray, **more) -> dict:
    """A row of a result: mean, median and deviation of the errors over instances."""
    each = errors(found, values)
    return {"method": name, "error": float(each.mean()), "median": float(np.median(each)), "spread": float(each.std()),
            **more}  # fmt: skip
