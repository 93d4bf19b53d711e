"""Dynamics that learn to be cheap: a neural ODE that parts two spirals, with and without a penalty on its errors.

Both models see the same points. The second one adds the accumulated error estimate of its own solver to the loss,
with a weight that an optax schedule lowers by ten over the training. It ends with flows along which the solver can
take long steps: the picture marks them.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from jaxsim import plot
from jaxsim.extras import script_needs
from jaxsim.neural_de import GlobalError, Integrator, NeuralODE, TimeMLP

plt = script_needs("matplotlib.pyplot")

TOLERANCE = 1e-5
PLAIN = Integrator(dfx.Tsit5(), dfx.PIDController(rtol=TOLERANCE, atol=TOLERANCE), max_steps=512)


class Each(eqx.Module):
    """One vector field for every row, so that a batch is one state."""

    field: TimeMLP

    def __call__(self, t, y, args):
        return jax.vmap(lambda y: self.field(t, y))(y)


class Classifier(eqx.Module):
    """Points of the plane, lifted to four components, carried by a flow and parted by a plane."""

    flow: NeuralODE
    head: eqx.nn.Linear

    def __init__(self, key):
        field, head = jax.random.split(key)
        self.flow = NeuralODE(Each(TimeMLP(4, 32, 2, key=field)), PLAIN)
        self.head = eqx.nn.Linear(4, "scalar", key=head)

    def __call__(self, points):
        end, effort = self.flow(jnp.pad(points, ((0, 0), (0, 2))), 1.0, dt0=0.1)
        return jax.vmap(self.head)(end), effort


def spirals(key, count):
    """Points on two arms with noise, and the arm of each."""
    along, draw = jax.random.split(key)
    arm = jnp.arange(count) % 2
    turn = jnp.sqrt(jax.random.uniform(along, (count,), minval=0.02)) * 3 * jnp.pi
    angle, radius = turn + jnp.pi * arm, turn / (3 * jnp.pi) * 2
    points = radius[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)
    return points + 0.04 * jax.random.normal(draw, (count, 2)), arm


def measure(model, points, labels):
    """Mean logistic loss, percentage of right answers, and effort."""
    scores, effort = model(points)
    loss = optax.sigmoid_binary_cross_entropy(scores, labels).mean()
    return loss, 100 * jnp.mean((scores > 0) == labels), effort


def train(model, points, labels, iterations, weight):
    """Adam steps on all points; returns the model, and evaluations of the vector field at each step."""
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, iterations))

    def loss(parameters, weight):
        task, _, effort = measure(eqx.combine(parameters, rest), points, labels)
        return task + weight * effort.penalty, effort.evaluations

    def step(carry, count):
        parameters, state = carry
        gradient, evaluations = jax.grad(loss, has_aux=True)(parameters, weight(count))
        update, state = optimizer.update(gradient, state)
        return (optax.apply_updates(parameters, update), state), evaluations

    start = parameters, optimizer.init(parameters)
    program = jax.jit(lambda start: jax.lax.scan(step, start, jnp.arange(iterations))).lower(start).compile()
    begin = time.perf_counter()
    (parameters, _), evaluations = jax.block_until_ready(program(start))
    return eqx.combine(parameters, rest), evaluations, time.perf_counter() - begin


def paths(model, points):
    """The first two components of the batch's solution between steps, and at its accepted steps."""
    saveat = dfx.SaveAt(subs=[dfx.SubSaveAt(ts=jnp.linspace(0, 1, 101)), dfx.SubSaveAt(t0=True, steps=True)])
    solution, _ = PLAIN(dfx.ODETerm(model.flow.vector_field), 0.0, 1.0, jnp.pad(points, ((0, 0), (0, 2))), dt0=0.1,
                        saveat=saveat)  # fmt: skip
    (fine, steps), count = solution.ys, int(solution.stats["num_accepted_steps"])
    return fine[..., :2], steps[: count + 1, :, :2]


def draw(models, histories, results, points, labels, out):
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for axis, (name, model) in zip(axes, models.items()):
        fine, steps = paths(model, points)
        for index in range(len(points)):
            color = f"C{labels[index]}"
            axis.plot(*fine[:, index].T, color=color, lw=0.6, alpha=0.5)
            axis.plot(*steps[:, index].T, ".", color=color, ms=3)
        accuracy, evaluations = results[name]["accuracy"], results[name]["evaluations"]
        axis.set(title=f"{name}: {evaluations} evaluations, {accuracy:.1f} % right", xlabel="$y_0$", ylabel="$y_1$")
    for name, history in histories.items():
        axes[2].plot(history, label=name)
    axes[2].set(xlabel="training step", ylabel="evaluations of a solve", title="What a solve costs", ylim=(0, None))
    axes[2].legend()
    plot.save(out, figure, dpi=130)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=600)
    parser.add_argument("--weight", type=float, default=0.1, help="of the penalty at the start")
    parser.add_argument("--out", type=Path, default=Path("out"))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)

    train_key, test_key, key = jax.random.split(jax.random.key(0), 3)
    points, test = spirals(train_key, 256), spirals(test_key, 512)
    plain = Classifier(key)
    penalized = dataclasses.replace(PLAIN, regularizer=GlobalError())
    schedule = optax.exponential_decay(options.weight, options.iterations, 0.1)
    runs = {
        "plain": (plain, optax.constant_schedule(0.0)),
        "regularized": (eqx.tree_at(lambda m: m.flow.integrator, plain, penalized, is_leaf=is_integrator), schedule),
    }
    models, histories, results = {}, {}, {}
    for name, (model, weight) in runs.items():
        model, histories[name], seconds = train(model, *points, options.iterations, weight)
        models[name] = eqx.tree_at(lambda m: m.flow.integrator, model, PLAIN, is_leaf=is_integrator)
        loss, accuracy, effort = eqx.filter_jit(measure)(models[name], *test)
        results[name] = {"evaluations": int(effort.evaluations), "accuracy": float(accuracy), "loss": float(loss),
                         "seconds": seconds}  # fmt: skip
        print(f"{name:12s} {results[name]['evaluations']:4d} evaluations, {accuracy:.1f} % of held-out points right, "
              f"loss {loss:.4f}, trained in {seconds:.1f} s")  # fmt: skip
    share = results["regularized"]["evaluations"] / results["plain"]["evaluations"]
    print(f"evaluations, regularized over plain: {share:.2f}")
    shown = slice(0, 40)
    draw(models, histories, results, test[0][shown], test[1][shown], options.out / "regularized_neural_ode.png")
    return results


def is_integrator(node):
    return isinstance(node, Integrator)


if __name__ == "__main__":
    main()
