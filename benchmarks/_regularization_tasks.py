"""Tasks on which regularizers of neural differential equations are ranked."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxsim as js
from jaxsim import neural_de as nde


class Task(NamedTuple):
    """A model, how it is trained and how it is judged.

    - `model`: from a key.
    - `loss`: from a model, an `Integrator` and a key, the loss of a random batch and the mean penalty.
    - `predict`: from a model and an `Integrator` without a penalty, the measures of held-out data, among them
        `score` and `evaluations`.
    - `integrator`: of the plain model.
    - `weights`: those to try for each kind.
    - `lower`: whether a lower score is better.
    """

    about: str
    score: str
    lower: bool
    model: Callable[[jax.Array], Any]
    loss: Callable[[Any, nde.Integrator, jax.Array], tuple[jax.Array, jax.Array]]
    predict: Callable[[Any, nde.Integrator], dict[str, jax.Array]]
    integrator: nde.Integrator
    optimizer: optax.GradientTransformation
    steps: int
    weights: Mapping[str, tuple[float, ...]]


def integrator(solver: dfx.AbstractSolver, tolerance: float, **options) -> nde.Integrator:
    return nde.Integrator(solver, dfx.PIDController(rtol=tolerance, atol=tolerance, **options), max_steps=512)


class Classifier(eqx.Module):
    """A flow of features, and a linear layer that reads the classes off its end."""

    field: nde.TimeMLP
    head: eqx.nn.Linear

    def __init__(self, size: int, width: int, classes: int, key: jax.Array):
        field, head = jax.random.split(key)
        self.field = nde.TimeMLP(size, width, 1, key=field)
        self.head = eqx.nn.Linear(size, classes, key=head)

    def __call__(self, images, how: nde.Integrator, key=None):
        """Scores of classes, of one batch that is one state."""
        field = lambda t, y, args: jax.vmap(lambda y: self.field(t, y))(y)
        solution, effort = how(dfx.ODETerm(field), 0.0, 1.0, images, dt0=0.1, key=key)
        return jax.vmap(self.head)(solution.ys[0]), effort


def digits() -> Task:
    """Handwritten digits of 8 by 8 pixels, sorted by a flow of the pixels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = jnp.asarray(images[order] / 16, jnp.float32), jnp.asarray(labels[order])
    train, test = (images[:-400], labels[:-400]), (images[-400:], labels[-400:])

    def loss(model, how, key):
        draw, key = jax.random.split(key)
        chosen = jax.random.randint(draw, (128,), 0, len(train[0]))
        scores, effort = model(train[0][chosen], how, key)
        return optax.softmax_cross_entropy_with_integer_labels(scores, train[1][chosen]).mean(), effort.penalty

    def predict(model, how):
        scores, effort = model(test[0], how)
        return {"accuracy": 100 * jnp.mean(jnp.argmax(scores, 1) == test[1]), "evaluations": effort.evaluations,
                "cross entropy": optax.softmax_cross_entropy_with_integer_labels(scores, test[1]).mean()}  # fmt: skip

    return Task(
        "digits of 8 x 8 pixels, one batch one state, 64-100-64 tanh", "accuracy", False,
        lambda key: Classifier(64, 100, 10, key), loss, predict, integrator(dfx.Tsit5(), 1e-6),
        optax.adam(optax.cosine_decay_schedule(2e-2, 300)), 300,
        {"error": (0.01, 0.1, 1.0), "squared error": (0.01, 0.1, 1.0), "stiffness": (0.01, 0.1, 1.0),
         "steps": (0.01, 0.1, 1.0), "local": (0.1, 1.0, 10.0), "local accepted": (0.1, 1.0, 10.0),
         "local stiffness": (0.1, 1.0, 10.0), "random end": (0.25, 0.5, 0.75), "kinetic": (1e-3, 1e-2, 1e-1)},
    )  # fmt: skip


def spirals(key: jax.Array, count: int, noise: float, points: int = 20):
    """Noisy spirals of either sense at `points` irregular times, the clean ones at others, and both lists of times."""
    turn, radius, phase, draw = jax.random.split(key, 4)
    sense = jnp.where(jax.random.bernoulli(turn, 0.5, (count, 1)), 1.0, -1.0)
    radius = jax.random.uniform(radius, (count, 1), minval=0.5, maxval=1.5)
    phase = jax.random.uniform(phase, (count, 1), maxval=2 * jnp.pi)
    noisy, seen, unseen = jax.random.split(draw, 3)
    times = lambda key: jnp.sort(jax.random.uniform(key, (count, points), maxval=3.0), 1)

    def at(ts):  # the angle slows down, the radius shrinks
        size, angle = radius * jnp.exp(-0.3 * ts), phase + sense * 6 * jnp.log1p(ts)
        return jnp.stack([size * jnp.cos(angle), size * jnp.sin(angle)], -1)

    ts, others = times(seen), times(unseen)
    return (ts, at(ts) + noise * jax.random.normal(noisy, (count, points, 2))), (others, at(others))


def latent_spirals() -> Task:
    """Spirals seen at irregular times with noise, to be known at other times."""
    noise = 0.1
    (ts, values), _ = spirals(jax.random.key(1), 512, noise)
    (test_ts, test_values), (others, truth) = spirals(jax.random.key(2), 128, noise)

    def model(key):
        encoder, field, decoder = jax.random.split(key, 3)
        return nde.LatentODE(nde.GRUEncoder(2, 24, 4, key=encoder), nde.TimeMLP(4, 48, 1, time=False, key=field),
                             eqx.nn.MLP(4, 2, 24, 1, jax.nn.tanh, key=decoder))  # fmt: skip

    def loss(model, how, key):
        model = eqx.tree_at(lambda m: m.integrator, model, how)
        draw, *keys = jax.random.split(key, 33)
        chosen = jax.random.randint(draw, (32,), 0, len(ts))
        one = lambda ts, values, key: model.loss(ts, values, noise=noise, key=key, t0=0.0, kl_weight=0.1)
        losses, effort = jax.vmap(one)(ts[chosen], values[chosen], jnp.stack(keys))
        return losses.mean(), effort.penalty.mean()

    def predict(model, how):
        model = eqx.tree_at(lambda m: m.integrator, model, how)
        expected, effort = jax.vmap(lambda ts, values, times: model(ts, values, times, t0=0.0))(
            test_ts, test_values, others
        )
        return {"mean square error": jnp.mean((expected - truth) ** 2),
                "evaluations": jnp.mean(effort.evaluations.astype(float))}  # fmt: skip

    return Task(
        "spirals at 20 irregular times, latent dynamics 4-48-4 tanh, every series a solve of its own",
        "mean square error", True, model, loss, predict, integrator(dfx.Tsit5(), 1e-5),
        optax.adam(optax.cosine_decay_schedule(1e-2, 1500)), 1500,
        {"error": (0.01, 0.03, 0.1), "squared error": (0.03, 0.1, 0.3), "stiffness": (0.01, 0.1, 1.0),
         "steps": (0.01, 0.03, 0.1), "local": (0.1, 0.5, 2.0), "local accepted": (0.1, 0.5, 2.0),
         "kinetic": (1e-5, 1e-4, 1e-3), "kinetic, order 1": (0.003, 0.03, 0.3)},
    )  # fmt: skip


def six_gaussians(key: jax.Array, count: int):
    """Points of six normal distributions on a circle."""
    which, draw = jax.random.split(key)
    angle = jax.random.randint(which, (count,), 0, 6) * (jnp.pi / 3)
    return 2 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1) + 0.1 * jax.random.normal(draw, (count, 2))


def flow() -> Task:
    """The density of a mixture of six normal distributions in the plane, by a continuous normalizing flow."""
    test = six_gaussians(jax.random.key(1), 512)

    def model(key):
        return nde.ContinuousNormalizingFlow(nde.ConcatSquashMLP(2, 32, 2, key=key), 2)

    def loss(model, how, key):
        model = eqx.tree_at(lambda m: m.integrator, model, how)
        draw, *keys = jax.random.split(key, 65)
        density, effort = jax.vmap(lambda x, key: model(x, key=key))(six_gaussians(draw, 64), jnp.stack(keys))
        return -density.mean(), effort.penalty.mean()

    def predict(model, how):
        model = eqx.tree_at(lambda m: m.integrator, model, how)
        density, effort = jax.vmap(model)(test)
        return {"negative log-likelihood": -density.mean(), "evaluations": jnp.mean(effort.evaluations.astype(float))}

    return Task(
        "six normal distributions in the plane, exact trace, 2-32-32-2 tanh, every point a solve of its own",
        "negative log-likelihood", True, model, loss, predict, integrator(dfx.Tsit5(), 1e-5),
        optax.adam(optax.cosine_decay_schedule(2e-2, 250)), 250,
        {"error": (0.5, 1.0, 2.0, 8.0), "squared error": (0.2, 1.0, 5.0, 25.0), "stiffness": (0.003, 0.03, 0.3, 3.0),
         "steps": (0.03, 0.1, 0.3), "local": (1.0, 5.0, 25.0, 100.0, 400.0), "local accepted": (1.0, 2.0, 5.0, 25.0),
         "local stiffness": (0.1, 1.0, 10.0), "random end": (0.1, 0.25, 0.5), "kinetic, order 1": (0.003, 0.03, 0.3)},
    )  # fmt: skip


class Cubed(eqx.Module):
    """A network of the cubes of the state."""

    network: eqx.nn.MLP

    def __call__(self, t, y, args):
        return self.network(y**3)


class Linear(eqx.Module):
    layer: eqx.nn.Linear

    def __call__(self, t, y, args):
        return self.layer(y)


def spiral_moments(times: np.ndarray, paths: int = 20_000, steps: int = 2_000):
    """Means and variances of the noisy spiral dy = A y³ dt + 0.2 y dW (Ito) by many steps of Euler and Maruyama."""
    random, y, found = np.random.default_rng(0), np.tile([2.0, 0.0], (paths, 1)), []
    matrix, size = np.array([[-0.1, 2.0], [-2.0, -0.1]]), times[-1] / steps
    saved = set(np.rint(times / size))
    for step in range(steps + 1):
        if step in saved:
            found.append((y.mean(0), y.var(0)))
        noise = random.standard_normal(y.shape) * np.sqrt(size)
        y = y + y**3 @ matrix.T * size + 0.2 * y * noise
    return tuple(jnp.asarray(np.stack(part), jnp.float32) for part in zip(*found))


def noisy_spiral() -> Task:
    """The means and variances of a noisy spiral, by a neural stochastic differential equation."""
    times = np.linspace(0.0, 1.0, 6)
    means, variances = spiral_moments(times)
    ts, start = jnp.asarray(times, jnp.float32), jnp.array([2.0, 0.0], jnp.float32)

    def model(key):
        drift, diffusion = jax.random.split(key)
        noise = eqx.nn.Linear(2, 2, key=diffusion)
        noise = eqx.tree_at(lambda n: (n.weight, n.bias), noise, (0.1 * noise.weight, 0.1 * noise.bias))
        return nde.NeuralSDE(Cubed(eqx.nn.MLP(2, 2, 50, 1, jax.nn.tanh, key=drift)),
                             js.integrate.Diagonal(Linear(noise)))  # fmt: skip

    def run(model, how, key, paths):
        model = eqx.tree_at(lambda m: m.integrator, model, how)
        return jax.vmap(lambda key: model(start, ts, key=key))(jax.random.split(key, paths))

    def distance(paths):
        return jnp.mean((paths.mean(0) - means) ** 2) + jnp.mean((paths.var(0) - variances) ** 2)

    def loss(model, how, key):
        paths, effort = run(model, how, key, 32)
        return distance(paths), effort.penalty.mean()

    def predict(model, how):
        paths, effort = run(model, how, jax.random.key(9), 256)
        return {"moment error": distance(paths), "evaluations": jnp.mean(effort.evaluations.astype(float))}

    return Task(
        "moments of the spiral dy = A y³ dt + 0.2 y dW, drift 2-50-2 tanh of y³, every path a solve of its own",
        "moment error", True, model, loss, predict,
        nde.stochastic_integrator(rtol=3e-2, atol=3e-2, max_steps=512),
        optax.adam(optax.cosine_decay_schedule(1e-2, 250)), 250,
        {"error": (0.01, 0.03, 0.1), "squared error": (0.01, 0.03, 0.1), "steps": (0.0003, 0.001, 0.003, 0.01, 0.03),
         "local": (0.03, 0.1, 0.3, 1.0, 3.0), "local accepted": (0.03, 0.1, 0.3, 1.0, 3.0)},
    )  # fmt: skip


TASKS: dict[str, Callable[[], Task]] = {
    "digits": functools.cache(digits),
    "latent spirals": functools.cache(latent_spirals),
    "flow": functools.cache(flow),
    "noisy spiral": functools.cache(noisy_spiral),
}
