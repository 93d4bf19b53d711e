"""What the recipes of the benchmark of physics-informed networks share."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxsim import optimize, pinn
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.nets import MLP


def perceptron(key, lower, upper, periodic, duration, *, width: int, depth: int, harmonics: int = 1,
               out: Any = "scalar") -> Embedded:  # fmt: skip
    """A multilayer perceptron of time and place."""
    network = MLP(Embedded.size(periodic, harmonics), out, width, depth, key=key)
    return Embedded(network, duration, lower, upper, periodic, harmonics)


def strong(array):
    """The same array with a type of its own, so that all windows share one compiled program."""
    return jnp.asarray(array, array.dtype)


def windowed(equation, initial: Callable, box: tuple[float, float], edges: Sequence[float], key, *, width: int,
             depth: int, points: int, steps: int, harmonics: int = 1, waves: int = 64, every: int = 20,
             method: optimize.AbstractMethod | None = None, target: float | None = None,
             rules: Sequence[optimize.AbstractRule] = (), out: Any = "scalar", ramp: Callable | None = None
             ) -> Callable:  # fmt: skip
    """A one-dimensional periodic problem in windows of equal length, each from the trigonometric end of the last.

    Points lie in the time since the window's start, so that equations must not depend on time. A `ramp` that is one at
    the end of a window scales what the network has to learn.
    """
    method = optimize.LevenbergMarquardt() if method is None else method
    length, lower, upper = edges[1] - edges[0], box[:1], box[1:]
    first, scatter = jax.random.split(key)
    network = perceptron(first, lower, upper, (True,), (0.0, length), width=width, depth=depth, harmonics=harmonics,
                         out=out)  # fmt: skip
    local = pinn.Box((0.0, length), lower, upper).sobol(points, scatter)
    rows = [pinn.collocation(equation, local)]

    def solve(t0, t1, start, previous):
        now = network if previous is None else previous.function.network
        known = jax.tree.map(strong, pinn.trigonometric(start, lower, upper, waves))
        field = FromInitial(now, known, ramp=ramp)
        done = optimize.train(rows, field, method, steps, every=every, target=target, rules=rules,
                              key=jax.random.fold_in(key, round(t0 / length)))  # fmt: skip
        return pinn.Delayed(done.model, jnp.asarray(t0))

    return pinn.march(solve, edges, initial)
