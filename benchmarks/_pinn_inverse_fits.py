"""Two fits of the same noisy samples: by a physics-informed network, and through the spectral solver."""

import dataclasses
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optimistix as optx
from jax.flatten_util import ravel_pytree

from jaxsim import optimize, pinn
from jaxsim.constraints import Embedded, FromInitial
from jaxsim.nets import MLP

from ._pinn_inverse_problems import DURATION, LOWER, TIMES, UPPER, Inverse, Samples, at, sine, solved

WIDTH, DEPTH, POINTS, STEPS = 16, 3, 1024, 30
WEIGHTS = (1.0, 100.0)  # of squared residuals, in units of one over the variance of the noise, one after the other


class Fit(eqx.Module):
    """What a fit finds.

    - `answer`: the numbers that are asked for.
    - `deviation`: their standard deviation by the Jacobian at the end.
    - `misfit`: root mean square of the samples' deviations from the fit, in units of the noise.
    - `field`: relative error of the solution.
    """

    answer: jax.Array
    deviation: jax.Array
    misfit: jax.Array
    field: jax.Array


class Model(eqx.Module):
    """A network, and what is unknown of its equation."""

    field: Callable
    unknown: jax.Array


def field_of(model: Model) -> Callable:
    return model.field


class Deviation(eqx.Module):
    """The difference of a model and a sample."""

    def __call__(self, model, sample):
        point, value = sample
        return model.field(*point) - value


class EquationOf(eqx.Module):
    """The equation of a model's unknown."""

    of: Callable = eqx.field(static=True)

    def __call__(self, model):
        return self.of(model.unknown)


def by_network(problem: Inverse, samples: Samples, fine: jax.Array, key: jax.Array, steps: int = STEPS
               ) -> Fit:  # fmt: skip
    """A network and the unknown together, by Levenberg-Marquardt steps on residuals and samples."""
    first, scatter = jax.random.split(key)
    box = pinn.Box((0.0, DURATION), (LOWER,), (UPPER,))
    network = MLP(Embedded.size([True]), "scalar", WIDTH, DEPTH, key=first)
    field = FromInitial(Embedded(network, box.duration, box.lower, box.upper, (True,)), sine)
    model = Model(field, jnp.asarray(problem.start, float))
    residuals = pinn.collocation(EquationOf(problem.equation), box.sobol(POINTS, scatter), field=field_of)
    deviations = optimize.Rows(Deviation(), (samples.points, samples.value), factor=1 / samples.deviation**2)
    for weight in WEIGHTS:
        blocks = [deviations, dataclasses.replace(residuals, factor=weight / samples.deviation**2)]
        done = optimize.train(blocks, model, optimize.LevenbergMarquardt(), steps, every=steps)
        model = done.model
    return _judged(problem, done.blocks, model, fine)


@eqx.filter_jit
def _judged(problem, blocks, model, fine) -> Fit:
    deviation = _deviation(problem, blocks, model)
    misfit = jnp.sqrt(blocks[0].loss(model))
    x = LOWER + (UPPER - LOWER) * jnp.arange(fine.shape[1] // 8) / (fine.shape[1] // 8)
    t = (jnp.arange(TIMES) + 1) * (DURATION / TIMES)
    found = jax.vmap(lambda t: jax.vmap(lambda x: model.field(t, x))(x))(t)
    error = jnp.linalg.norm(found - fine[:, ::8]) / jnp.linalg.norm(fine[:, ::8])
    return Fit(problem.answer(model.unknown), deviation, misfit, error)


def _deviation(problem, blocks, model) -> jax.Array:
    """Standard deviations of the answer: the squares are those of the samples, and the residuals' are a prior."""
    parameters, rest = optimize.partition(model)
    flat, unravel = ravel_pytree(parameters)
    whole = lambda flat: optimize.combine(unravel(flat), rest)
    answer = lambda flat: jnp.ravel(problem.answer(whole(flat).unknown))
    slopes = jax.jacrev(answer)(flat)
    # Orthogonal transformations: the normal equations would lose what the samples say next to the residuals.
    linear = optimize.DenseQR().linearize(blocks, whole, flat)
    damping = 1e-12 * jnp.mean(linear.diagonal)
    covariant = jax.vmap(lambda slope: -linear.solve(damping)[1](slope, slope))(slopes)
    variance = jnp.sum(slopes * covariant, 1) / blocks[0].count  # the loss is a mean over samples
    return jnp.sqrt(variance).reshape(jnp.shape(problem.answer(model.unknown)))


@eqx.filter_jit
def by_solver(problem: Inverse, samples: Samples, fine: jax.Array) -> Fit:
    """The unknown alone, by least squares through a Fourier solve of a quarter of the resolution of the truth."""
    solution = lambda unknown: solved(problem.equation(unknown), 256, 2.5e-3)

    def rows(unknown, _=None):  # what optimistix calls with arguments
        found = at(solution(unknown), samples.moment, samples.x)
        return (found - samples.value) / samples.deviation

    method = optx.LevenbergMarquardt(rtol=1e-7, atol=1e-7)
    start = jnp.asarray(problem.start, float)
    found = optx.least_squares(rows, method, start, options={"jac": "fwd"}, max_steps=50).value
    matrix = jax.jacfwd(rows)(found).reshape(len(samples.x), -1)
    slopes = jax.jacfwd(problem.answer)(found)
    shape = jnp.shape(problem.answer(found))
    slopes = slopes.reshape(math.prod(shape), -1)
    covariance = jnp.linalg.inv(matrix.T @ matrix)
    deviation = jnp.sqrt(jnp.sum((slopes @ covariance) * slopes, 1)).reshape(shape)
    values = solution(found)[:, ::2]
    error = jnp.linalg.norm(values - fine[:, ::8]) / jnp.linalg.norm(fine[:, ::8])
    return Fit(problem.answer(found), deviation, jnp.sqrt(jnp.mean(rows(found) ** 2)), error)
