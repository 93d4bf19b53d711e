"""The training loop: many steps in one compiled call."""

import enum
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .checkpoint import Checkpoint
from .method import AbstractMethod
from .progress import Bar
from .rows import Rows
from .rules import AbstractRule


class Status(enum.Enum):
    """How a training ended."""

    COMPLETED = "all steps were taken"
    TARGET = "the loss reached its target"
    MET = "the condition to stop at is met"
    STALLED = "the loss stopped falling"
    DIVERGED = "the loss is not finite any more"


class Diverged(RuntimeError):
    """Training has met a loss that is not finite."""


class Training(eqx.Module):
    """What `train` returns.

    - `model`: after the last step with a finite loss.
    - `state`: of the method; `train(..., state=...)` goes on from it.
    - `blocks`: with their last samples and weights.
    - `losses`: after each step, a NumPy array of shape `(steps,)`.
    - `monitored`: what the monitor returned after each call, with a leading axis; `None` without a monitor.
    - `status`: how it ended.
    """

    model: Any
    state: Any
    blocks: list[Rows]
    losses: np.ndarray
    monitored: Any
    status: Status = eqx.field(static=True)

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.losses)


class _Run(eqx.Module):
    """The carry of the loop."""

    blocks: list[Rows]
    model: Any
    state: Any


def train(blocks: Sequence[Rows], model: Any, method: AbstractMethod, steps: int, *,
          rules: Sequence[AbstractRule] = (), key: jax.Array | None = None, state: Any = None, every: int = 100,
          monitor: Callable[[Any], Any] | None = None, target: float | None = None,
          until: Callable[[Sequence[Rows], Any], Any] | None = None, patience: int | None = None,
          progress: bool = False, checkpoint: str | os.PathLike | None = None, throw: bool = True
          ) -> Training:  # fmt: skip
    """Lower the loss of a model by many steps of a method.

    Steps run inside compiled calls of `every` steps each; what follows is done between calls.

    **Arguments:**

    - `blocks`: the loss, the sum of that of each block.
    - `model`: any pytree; its floating-point arrays are trained, but for those in `Frozen`.
    - `method`: such as `LevenbergMarquardt()` or `FirstOrder(optax.adam(1e-3))`.
    - `steps`: how many.
    - `rules`: change samples, weights or factors of the blocks between steps, inside the compiled call.
    - `key`: for rules that draw samples.
    - `state`: of the method, to go on from an earlier training.
    - `every`: steps per call.
    - `monitor`: a function of the model that returns numbers, such as an error; recorded, and shown with `progress`.
    - `target`: stop where the loss is at most this.
    - `until`: stop where this function of the blocks and the model is true, such as a certificate of accuracy.
    - `patience`: stop where this many calls in a row have not lowered the least loss by a hundredth.
    - `progress`: show a progress bar (needs tqdm).
    - `checkpoint`: path of a file that is written after each call. Where it exists, training goes on from it and ends
        with the same bits as if it had not been stopped.
    - `throw`: raise where the loss is not finite; otherwise the status says so.

    **Raises:** `Diverged`; `ValueError` for a checkpoint of another problem, rules without a key or numbers below 1;
    `TypeError` where there is no list of blocks.
    """
    if not isinstance(blocks, (list, tuple)) or not blocks:
        raise TypeError("train: `blocks` is a list of at least one block, such as [collocation(equation, points)].")
    if any(rule.every < 1 for rule in rules) or (patience is not None and patience < 1):
        raise ValueError("train: `patience`, and `every` of a rule, are at least 1.")
    if steps < 1 or every < 1:
        raise ValueError(f"train: `steps` and `every` are at least 1, got {steps} and {every}.")
    if key is None:
        if any(rule.random for rule in rules):
            raise ValueError("train: pass `key`, since a rule draws samples.")
        key = jax.random.key(0)
    blocks = [block.settled() for block in blocks]
    run = _Run(blocks, model, _init(method, blocks, model) if state is None else state)
    advance = lambda run, start, count: _advance(run, method, tuple(rules), jnp.asarray(start), key, count)
    ending = _Ending(target, None if until is None else eqx.filter_jit(until), patience, every)
    watch = None if monitor is None else eqx.filter_jit(monitor)
    file = None if checkpoint is None else Checkpoint(checkpoint)
    done = _trained(run, advance, steps, ending, watch, file, progress)
    if done.status is Status.DIVERGED and throw:
        raise Diverged(f"train: the loss is not finite after step {done.steps}. Take a smaller step size, or work in "
                       "float64; `throw=False` returns the last finite model.")  # fmt: skip
    return done


class _Ending(NamedTuple):
    """When to stop before all steps are taken."""

    target: float | None
    met: Callable | None
    patience: int | None
    every: int

    def __call__(self, run: _Run, losses: list[float]) -> Status | None:
        if self.target is not None and losses[-1] <= self.target:
            return Status.TARGET
        if self.met is not None and self.met(run.blocks, run.model):
            return Status.MET
        waited = 0 if self.patience is None else self.patience * self.every
        if 0 < waited < len(losses) and min(losses[-waited:]) > 0.99 * min(losses[:-waited]):
            return Status.STALLED
        return None


def _trained(run: _Run, advance, steps: int, ending: _Ending, watch, file: Checkpoint | None, progress) -> Training:
    """Call after call, with what belongs between them."""
    losses: list[float] = []
    seen: list[Any] = []
    if file is not None and file.exists():
        run, losses, seen = file.read(run)
    status = ending(run, losses) if losses else None
    with Bar(progress, steps, len(losses)) as bar:
        while status is None and len(losses) < steps:
            count = min(ending.every, steps - len(losses))
            after, new = advance(run, len(losses), count)
            if not np.all(np.isfinite(new)):
                status = Status.DIVERGED
                break
            run = after
            losses.extend(np.asarray(new).tolist())
            if watch is not None:
                seen.append(jax.tree.map(lambda leaf: np.asarray(leaf).tolist(), watch(run.model)))
            if file is not None:
                file.write(run, losses, seen)
            bar(count, losses[-1], seen[-1] if seen else None)
            status = ending(run, losses)
    monitored = jax.tree.map(lambda *leaves: np.asarray(leaves), *seen) if seen else None
    return Training(run.model, run.state, run.blocks, np.asarray(losses), monitored, status or Status.COMPLETED)


@eqx.filter_jit
def _init(method, blocks, model):
    return method.init(blocks, model)


@eqx.filter_jit
def _advance(run: _Run, method, rules, start, key, count: int):
    arrays, rest = eqx.partition(run, eqx.is_array)

    @jax.default_matmul_precision("highest")  # residuals do not survive the short numbers of tensor cores
    def body(arrays, step):
        run = eqx.combine(arrays, rest)
        run = _ruled(run, method, rules, step, jax.random.fold_in(key, step))
        model, state = method.step(run.blocks, run.model, run.state)
        return eqx.filter(_Run(run.blocks, model, state), eqx.is_array), state.loss

    arrays, losses = lax.scan(body, arrays, start + jnp.arange(count))
    return eqx.combine(arrays, rest), losses


def _ruled(run, method, rules, step, key) -> _Run:
    """The run after the rules that are due, and with a state that knows of them."""

    def apply(number, run):
        blocks = rules[number](run.blocks, run.model, step, jax.random.fold_in(key, number))
        return _Run(blocks, run.model, run.state)

    due = [step % rule.every == 0 for rule in rules]
    for number in range(len(rules)):
        run = _where(due[number], partial(apply, number), run)
    if rules:
        anew = lambda run: _Run(run.blocks, run.model, method.refresh(run.blocks, run.model, run.state))
        run = _where(jnp.any(jnp.stack(due)), anew, run)
    return run


def _where(due, change, run) -> _Run:
    """The run, changed where that is due."""
    arrays, rest = eqx.partition(run, eqx.is_array)
    change_arrays = lambda arrays: eqx.filter(change(eqx.combine(arrays, rest)), eqx.is_array)
    return eqx.combine(lax.cond(due, change_arrays, lambda arrays: arrays, arrays), rest)
