"""Fourier transforms in compiled programs: how many there are in a time step, and what they cost alone."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) .*\{$")
CALLED = re.compile(r"(?:calls|to_apply|body|condition|\w+_computations?)=(\{[^}]*\}|%?[\w.\-]+)")
BODY = re.compile(r"\bbody=%?([\w.\-]+)")
TRANSFORM = re.compile(r"= \w+\[([\d,]*)\]\S* fft\(.*fft_type=(\w+), fft_length=\{([\d,]+)\}")


class Transform(NamedTuple):
    """One `fft` instruction: `batch` transforms of the same `nodes`."""

    kind: str
    batch: int
    nodes: tuple[int, ...]


def transforms_per_step(text: str) -> list[Transform]:
    """The transforms in the body of the innermost loop of an optimized HLO module.

    **Arguments:**

    - `text`: `compiled.as_text()` of a program whose innermost loops are time steps.

    **Returns:** one entry per `fft` instruction. Where several such loops exist (a remainder after whole
    blocks, say), all must have the same transforms.
    """
    computations = _computations(text)
    bodies = {name for lines in computations.values() for line in lines for name in BODY.findall(line)}
    found = {name: list(_transforms(name, computations)) for name in bodies}
    innermost = [
        transforms
        for name, transforms in found.items()
        if transforms and not any(found[inner] for inner in _reached(name, computations) & bodies)
    ]
    if not innermost:
        raise ValueError("the program has no loop with a Fourier transform in it.")
    if any(sorted(transforms) != sorted(innermost[0]) for transforms in innermost):
        raise ValueError(f"the loops of the program differ in their transforms: {innermost}.")
    return innermost[0]


def count(transforms: list[Transform]) -> int:
    """Number of transforms of one scalar each."""
    return sum(t.batch for t in transforms)


def transforms_alone(transforms: list[Transform], steps: int, dtype):
    """A function without arguments that makes the given transforms `steps` times and nothing else.

    Each transform writes one number of its output into its input, so that the compiler can neither merge
    transforms nor move them out of the loop.
    """
    real = jnp.finfo(dtype).dtype
    inputs = {}
    for t in transforms:
        if t.kind not in ("IRFFT", "RFFT"):
            raise ValueError(f"expected transforms of real fields, found {t}.")
        last, kind = (t.nodes[-1], real) if t.kind == "RFFT" else (t.nodes[-1] // 2 + 1, jnp.result_type(real, 1j))
        inputs[t] = jax.random.normal(jax.random.key(0), (t.batch, *t.nodes[:-1], last), kind)

    def step(arrays, _):
        for t in transforms:
            array = arrays[t]
            first = lax.fft(array, getattr(lax.FftType, t.kind), t.nodes)[(0,) * array.ndim]
            arrays = {**arrays, t: array.at[(0,) * array.ndim].add((1e-6 * first.real).astype(array.dtype))}
        return arrays, None

    @jax.jit
    def run(arrays):
        return lax.scan(step, arrays, None, steps)[0]

    compiled = run.lower(inputs).compile()
    if count(transforms_per_step(compiled.as_text())) != count(transforms):
        raise AssertionError("the compiler changed the number of transforms that were to be timed.")
    return lambda: compiled(inputs)


def _computations(text: str) -> dict[str, list[str]]:
    computations: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        start = COMPUTATION.match(line)
        if start:
            current = computations.setdefault(start.group(1), [])
        elif line.startswith(" "):
            current.append(line)
    return computations


def _calls(name: str, computations: dict[str, list[str]]) -> Iterator[str]:
    for line in computations.get(name, ()):
        for group in CALLED.findall(line):
            yield from re.findall(r"[\w.\-]+", group)


def _reached(name: str, computations: dict[str, list[str]]) -> set[str]:
    found, waiting = set(), [name]
    while waiting:
        for callee in _calls(waiting.pop(), computations):
            if callee not in found:
                found.add(callee)
                waiting.append(callee)
    return found


def _transforms(name: str, computations: dict[str, list[str]]) -> Iterator[Transform]:
    for line in computations.get(name, ()):
        match = TRANSFORM.search(line)
        if match:
            sizes = [int(s) for s in match.group(1).split(",") if s]
            nodes = tuple(int(s) for s in match.group(3).split(","))
            yield Transform(match.group(2), math.prod(sizes[: len(sizes) - len(nodes)]), nodes)
    for callee in _calls(name, computations):
        yield from _transforms(callee, computations)
