"""Trajectories of our own solvers, neural time steppers, with and without projections, and their training."""

import time
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

import jaxsim as js
from jaxsim.constraints import IntegralProjection, Projected, Quadrature
from jaxsim.nets import FNO
from jaxsim.optimize import OnFailure

NODES = 64
TRAINED, TESTED = 20, 100  # steps of the surrogate in the data it learns from, and in those it is tested on
AHEAD, RATE = 4, 2e-3  # steps that the loss unrolls, and the largest step of Adam


class Sizes(NamedTuple):
    """Of a network, its training and its data."""

    width: int = 24
    modes: int = 16
    depth: int = 3
    updates: int = 2000
    batch: int = 16
    trajectories: int = 128
    tests: int = 64


class Problem(NamedTuple):
    """An equation, random initial values, and the step of a surrogate."""

    title: str
    equation: js.Equation
    length: float
    means: tuple[float, float]  # drawn uniformly
    fluctuation: float  # root mean square
    dt: float
    substeps: int
    nodes: int  # of the solver
    quadratic: bool  # whether the integral of the square is conserved as well


def problems() -> dict[str, Problem]:
    """Burgers' equation conserves one integral, Korteweg and de Vries' two that are linear or quadratic."""
    return {
        "burgers": Problem("Burgers", js.equations.Burgers(0.05), 2 * np.pi, (-1.0, 1.0), 0.7, 0.1, 10, 256, False),
        "kdv": Problem("Korteweg-de Vries", js.equations.KortewegDeVries(), 20.0, (-0.2, 0.2), 0.3, 0.2, 20, 128, True),
    }


def trajectories(problem: Problem, key: jax.Array, count: int, steps: int, nodes: int | None = None) -> jax.Array:
    """Random initial values and the solution after every step, shape `(count, steps + 1, NODES)`.

    The solver's modes that the nodes of the surrogate resolve are kept, so that integrals are those of the solver.
    """
    space = js.Fourier(js.Grid(nodes or problem.nodes, 0.0, problem.length))

    def one(key):
        shape, level = jax.random.split(key)
        noise = js.initial.filtered_noise(shape, 2.0, problem.fluctuation, problem.length)
        mean = jax.random.uniform(level, (), jnp.float32, *problem.means)
        u0 = space.field(lambda x: noise(x) + mean)
        later = js.rollout(problem.equation, u0, dt=problem.dt / problem.substeps, steps=steps * problem.substeps,
                           save_every=problem.substeps)  # fmt: skip
        modes = jnp.fft.rfft(jnp.concatenate([u0.values[None], later.values]), norm="forward")
        return jnp.fft.irfft(modes[..., : NODES // 2], NODES, norm="forward")

    return jax.jit(lambda keys: lax.map(one, keys, batch_size=16))(jax.random.split(key, count))


class Step(eqx.Module):
    """One step of a surrogate, the state and a change found by an operator, in units of the data."""

    operator: FNO
    size: float = eqx.field(static=True)
    change: float = eqx.field(static=True)

    def __call__(self, u: jax.Array) -> jax.Array:
        return u + self.change * self.operator(u[None] / self.size)[0]


def stepper(data: jax.Array, key: jax.Array, sizes: Sizes) -> Step:
    """An untrained surrogate in the units of some trajectories."""
    operator = FNO(1, 1, sizes.width, sizes.depth, sizes.modes, dtype=data.dtype, key=key)
    return Step(operator, float(jnp.std(data)), float(jnp.std(jnp.diff(data, axis=1))))


def projections(problem: Problem) -> dict[str, IntegralProjection]:
    """What a step may be held to: the integrals of the state before it."""
    weights = Quadrature.periodic((NODES,), (problem.length,))
    found = {"mass": IntegralProjection(quadrature=weights, on_failure=OnFailure.NAN)}
    if problem.quadratic:
        square = lambda u: weights(u * u)
        found["mass and momentum"] = IntegralProjection(None, None, square, None, weights, OnFailure.NAN)
    return found


def invariants(problem: Problem, u: jax.Array) -> dict[str, jax.Array]:
    """Integrals that the equation conserves, over the last axis."""
    found = {"mass": jnp.mean(u, -1) * problem.length}
    if problem.quadratic:
        found["momentum"] = jnp.mean(u * u, -1) * problem.length
    return found


def unrolled(step: Callable, u: jax.Array, steps: int) -> jax.Array:
    """States after 1, 2, ... steps, with a leading axis."""
    return lax.scan(lambda u, _: (step(u),) * 2, u, None, length=steps)[1]


def train(step: Callable, data: jax.Array, key: jax.Array, updates: int, batch: int) -> tuple[Callable, jax.Array]:
    """Adam on the mean squared error of one to four steps from random states of the data, all with gradient.

    **Returns:** the step, and the loss at each update, in units of the mean square of the data's changes.
    """
    return _trained(step, data, jax.random.split(key, updates), batch)


@eqx.filter_jit
def _trained(step, data, keys, batch):
    parameters, rest = eqx.partition(step, eqx.is_inexact_array)
    schedule = optax.cosine_onecycle_schedule(len(keys), RATE, 0.1)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
    unit = jnp.mean(jnp.diff(data, axis=1) ** 2)

    def loss(parameters, windows):
        model = eqx.combine(parameters, rest)
        found = jax.vmap(lambda u: unrolled(model, u, AHEAD))(windows[:, 0])
        return jnp.mean((found - windows[:, 1:]) ** 2) / unit

    def update(carry, key):
        parameters, state = carry
        which, when = jax.random.split(key)
        rows = jax.random.randint(which, (batch,), 0, data.shape[0])
        starts = jax.random.randint(when, (batch,), 0, data.shape[1] - AHEAD)
        windows = data[rows[:, None], starts[:, None] + jnp.arange(AHEAD + 1)]
        value, gradient = jax.value_and_grad(loss)(parameters, windows)
        change, state = optimizer.update(gradient, state, parameters)
        return (optax.apply_updates(parameters, change), state), value

    (parameters, _), losses = lax.scan(update, (parameters, optimizer.init(parameters)), keys)
    return eqx.combine(parameters, rest), losses


class Surrogate(NamedTuple):
    """A time stepper, the loss at the end of its training, and the processor time of that."""

    step: Callable
    loss: float
    seconds: float


def surrogates(problem: Problem, data: jax.Array, key: jax.Array, sizes: Sizes) -> dict[str, Surrogate]:
    """Surrogates by name: trained freely, the same projected afterwards, and trained with each projection.

    All begin with the same weights and see the same batches.
    """
    start, order = jax.random.split(key)
    step = stepper(data, start, sizes)

    def made(step):
        begin = time.process_time()
        step, losses = jax.block_until_ready(train(step, data, order, sizes.updates, sizes.batch))
        return Surrogate(step, float(jnp.mean(losses[-50:])), time.process_time() - begin)

    free = made(step)
    found = {"free": free}
    for name, projection in projections(problem).items():
        found[f"free, then {name}"] = free._replace(step=Projected(free.step, projection))
        found[f"trained with {name}"] = made(Projected(step, projection))
    return found


@eqx.filter_jit
def rollouts(step: Callable, starts: jax.Array, steps: int) -> jax.Array:
    """Trajectories of a surrogate, without their starts: shape `(trajectories, steps, NODES)`."""
    return jax.vmap(lambda u: unrolled(step, u, steps))(starts)


def assessed(problem: Problem, found: jax.Array, truth: jax.Array) -> dict[str, np.ndarray]:
    """Relative errors and drifts of invariants along rollouts, shape `(trajectories, steps)`.

    The error of the shape leaves out the means of both. The drift of the mass is relative to the integral of absolute
    values in the beginning.
    """
    start, later = truth[:, 0], truth[:, 1:]
    norm = lambda u: jnp.linalg.norm(u, axis=-1)
    centered = lambda u: u - jnp.mean(u, -1, keepdims=True)
    result = {
        "error": norm(found - later) / norm(later),
        "shape": norm(centered(found) - centered(later)) / norm(later),
    }
    before, after = invariants(problem, start), invariants(problem, found)
    scales = {**before, "mass": invariants(problem, jnp.abs(start))["mass"]}
    for name in before:
        result[name] = jnp.abs(after[name] - before[name][:, None]) / scales[name][:, None]
    return jax.tree.map(np.asarray, result)
