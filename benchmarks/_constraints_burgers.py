"""Burgers' equation from random initial values: a penalty, a layer over a network's functions, and fixed functions."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim.constraints import Chebyshev, ConstraintLayer, FourierSeries, TensorProduct
from jaxsim.nets import MLP
from jaxsim.optimize import GaussNewton, OnFailure, Rows, total_loss
from jaxsim.pinn import collocation

from ._constraints_data import RandomWaves, Samples, burgers, random_waves, two_waves
from ._constraints_training import errors, summary, train

EQUATION = js.equations.Burgers(0.01)
CONSTRAINED, TRAINED_ON, SENSORS = 600, 300, 64
METHOD = GaussNewton(tolerance=1e-6, steps=30)


class Trunk(eqx.Module):
    """Functions of `(t, x)` on the unit square made by a network of numbers."""

    net: MLP

    def __init__(self, count: int, width: int, key: jax.Array):
        self.net = MLP(2, count, width, 4, key=key)

    def __call__(self, t, x):
        return self.net(2 * jnp.stack([t, x]) - 1)


class Penalized(eqx.Module):
    """The same functions with weights from a second network, which sees the initial values."""

    trunk: Trunk
    branch: MLP

    def __init__(self, count: int, width: int, key: jax.Array):
        keys = jax.random.split(key)
        self.trunk = Trunk(count, width, keys[0])
        self.branch = MLP(SENSORS, count, width, 2, key=keys[1])

    def __call__(self, u0: Callable):
        """The field for some initial values."""
        x = jnp.arange(SENSORS) / SENSORS
        return js.Dictionary(self.trunk, self.branch(u0(x)) / len(self.branch.last.bias) ** 0.5).data


def rows(u0: Callable, points: jax.Array) -> dict[str, Rows]:
    """The equation at points, initial values and periodicity, with the weights of Négiar et al."""
    x = jnp.linspace(0, 1, 100)
    return {
        "interior": collocation(EQUATION, points),
        "initial": Rows(lambda u, s: u(jnp.zeros_like(s[0]), s[0]) - s[1], (x, u0(x)), weight=400.0),
        "periodic": Rows(_jump, jnp.linspace(0, 1, 101)),
    }


def _jump(u, t):
    slope = js.partial(js.Function(u, 1), 0)
    left, right = jnp.zeros_like(t), jnp.ones_like(t)
    return jnp.stack([u(t, left) - u(t, right), slope(t, left) - slope(t, right)])


LAYER = ConstraintLayer(lambda given: rows(*given), ridge=1e-6, method=METHOD, on_failure=OnFailure.STOP)


def hard_loss(initial: RandomWaves, batch: int):
    """The mean loss of the layer's fields at points that were not constrained."""

    def loss(trunk, key):
        picked, inside, outside = _draw(initial, batch, key)

        def one(u0):
            solved = LAYER(trunk, (u0, inside))
            lost = total_loss(list(rows(u0, outside).values()), solved.value)
            return jnp.where(solved.succeeded, lost, 0.0)

        return jnp.mean(eqx.filter_vmap(one)(picked))

    return loss


def soft_loss(initial: RandomWaves, batch: int):
    """The mean loss of the second network's fields, at as many points as the layer sees in all."""

    def loss(model, key):
        picked, inside, outside = _draw(initial, batch, key)
        points = jnp.concatenate([inside, outside])
        return jnp.mean(eqx.filter_vmap(lambda u0: total_loss(list(rows(u0, points).values()), model(u0)))(picked))

    return loss


def _draw(initial, batch, key):
    keys = jax.random.split(key, 3)
    chosen = jax.random.choice(keys[0], initial.amplitudes.shape[0], (batch,), replace=False)
    return (jax.tree.map(lambda leaf: leaf[chosen], initial), jax.random.uniform(keys[1], (CONSTRAINED, 2)),
            jax.random.uniform(keys[2], (TRAINED_ON, 2)))  # fmt: skip


def on_grid(u: Callable, samples: Samples, every: tuple[int, int] = (2, 4)) -> jax.Array:
    """Values of a field at some of the nodes of a solution."""
    t, x = (jnp.asarray(axis)[::step] for axis, step in zip(samples.coordinates, every))
    return jax.vmap(lambda t: jax.vmap(lambda x: u(t, x))(x))(t)


def layer_values(functions: Callable, initial, samples: Samples, points: int = CONSTRAINED):
    """Fields of the layer for a batch of initial values, and what is known of the solves."""
    inside = jax.random.uniform(jax.random.key(3), (points, 2))

    @eqx.filter_jit
    def each(functions, initial):
        def one(u0):
            solved = LAYER(functions, (u0, inside))
            return on_grid(solved.value, samples), (solved.succeeded, solved.steps, solved.condition)

        return eqx.filter_vmap(one)(initial)

    values, (succeeded, steps, condition) = each(functions, initial)
    return np.asarray(values), {"converged": float(succeeded.mean()), "steps": float(steps.mean()),
                                "condition": float(jnp.median(condition))}  # fmt: skip


class Smooth(eqx.Module):
    """Initial values that are the same for all, as a batch of one."""

    none: jax.Array

    def __call__(self, x):
        return two_waves(x) + 0 * self.none


FIXED = {
    "layer, 54 fixed functions (6 polynomials by 9 waves)": (TensorProduct([Chebyshev(6), FourierSeries(9)]), 600),
    "layer, 120 fixed functions (8 by 15)": (TensorProduct([Chebyshev(8), FourierSeries(15)]), 600),
}


def study(seed: int, count: int = 50, width: int = 64, steps: int = 400, tests: int = 16) -> list[dict]:
    """Errors of all methods over held-out initial values, and for the smooth ones of `two_waves`."""
    initial, held_out = random_waves(jax.random.key(7), 512), random_waves(jax.random.key(101), tests)
    reference, smooth, one = burgers(held_out, tests), burgers(two_waves, None), Smooth(jnp.zeros(1))
    true, true_smooth = reference.values[:, ::2, ::4], smooth.values[:, ::2, ::4]

    def measured(name, found, found_smooth, **more):
        row = summary(name, np.asarray(found), true, smooth=float(errors(np.asarray(found_smooth), true_smooth)[0]),
                      reference=reference.error, **more)  # fmt: skip
        print(f"  {name}: {row['error']:.2e}, smooth {row['smooth']:.2e}", flush=True)
        return row

    def layered(name, functions, points=CONSTRAINED, **more):
        found, told = layer_values(functions, held_out, reference, points)
        return measured(name, found, layer_values(functions, one, smooth, points)[0], **told, **more)

    rows = [layered(name, *fixed) for name, fixed in FIXED.items()] if seed == 0 else []
    keys = jax.random.split(jax.random.key(seed), 4)
    trunk = Trunk(count, width, keys[0])
    rows.append(layered(f"layer, {count} untrained functions", trunk))
    hard = train(hard_loss(initial, 4), trunk, keys[1], steps=steps)
    rows.append(layered(f"layer, {count} trained functions", hard.model, seconds=hard.seconds, steps_taken=steps))
    soft = train(soft_loss(initial, 4), Penalized(count, width, keys[2]), keys[3], seconds=hard.seconds)
    fields = eqx.filter_jit(lambda model, initial: eqx.filter_vmap(lambda u0: on_grid(model(u0), reference))(initial))
    rows.append(measured("penalty, equal time", fields(soft.model, held_out), fields(soft.model, one),
                         seconds=soft.seconds, steps_taken=len(soft.losses)))  # fmt: skip
    return rows
