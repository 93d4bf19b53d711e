"""Small problems, and measures of accuracy, that the tests of time integrators share."""

import functools
from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.integrate import HochbruckOstermann4


class Case(NamedTuple):
    """A term, a state on its attractor or soliton, the time to integrate for, and the state then."""

    term: Any
    start: jax.Array
    duration: float
    end: jax.Array


@eqx.filter_jit
def march(solver, term, y, dt, count):
    """The state after `count` steps; both may change without compiling again."""

    def body(i, carry):
        y, state = carry
        y, _, _, state, _ = solver.step(term, i * dt, (i + 1) * dt, y, None, state, made_jump=False)
        return y, state

    state = solver.init(term, 0 * dt, dt, y, None)
    return jax.lax.fori_loop(0, count, body, (y, state))[0]


def run(solver, term, y, duration, count):
    """The state after `count` prepared steps."""
    dt = duration / count
    return march(solver.prepare(term, dt, y), term, y, jnp.asarray(dt), count)


def case(equation, space, u0, duration, warm=0.0, steps=1000) -> Case:
    start = space.state(space.field(u0))
    term = js.SemilinearTerm(equation, space).for_state(start)
    if warm:
        start = run(HochbruckOstermann4(), term, start, warm, steps)
    return Case(term, start, duration, run(HochbruckOstermann4(), term, start, duration, steps))


@functools.cache
def burgers() -> Case:
    space = js.Fourier(js.Grid(32, 0.0, 2 * np.pi))
    return case(js.equations.Burgers(0.1), space, lambda x: jnp.sin(x) + 0.5 * jnp.cos(2 * x), 0.5, warm=0.2)


@functools.cache
def kuramoto_sivashinsky() -> Case:
    space = js.Fourier(js.Grid(20, 0.0, 2 * np.pi * 2.5))
    u0 = lambda x: 4 * jnp.cos(x / 2.5) * (1 + jnp.sin(x / 2.5))
    return case(js.equations.KuramotoSivashinsky(), space, u0, 1.0, warm=0.2, steps=4000)


@functools.cache
def schrodinger() -> Case:
    space = js.Fourier(js.Grid(48, -8.0, 8.0), real=False)
    u0 = lambda x: jnp.exp(2j * jnp.pi * 2 * x / 16) / jnp.cosh(x)
    return case(js.equations.NonlinearSchrodinger(), space, u0, 1.0)


def solitons(x):
    """A periodic row of solitons, which is a cnoidal wave and as smooth as one of them."""
    return sum(2 / jnp.cosh(x - 8.0 * image) ** 2 for image in range(-4, 5))


@functools.cache
def korteweg_de_vries() -> Case:
    space = js.Fourier(js.Grid(24, -4.0, 4.0))
    return case(js.equations.KortewegDeVries(), space, solitons, 0.25, steps=4000)


# Each problem with a number of steps from which on every scheme shows its order, but not yet rounding.
CASES = {
    "burgers": (burgers, 50),
    "kuramoto_sivashinsky": (kuramoto_sivashinsky, 400),
    "schrodinger": (schrodinger, 200),
    "korteweg_de_vries": (korteweg_de_vries, 800),
}


def error(solver, problem: Case, count: int) -> float:
    """Relative error after the problem's duration."""
    y = run(solver, problem.term, problem.start, problem.duration, count)
    return distance(y, problem.end)


def distance(y, reference) -> float:
    """Relative, in the root mean square."""
    return float(jnp.linalg.norm(y - reference) / jnp.linalg.norm(reference))


def observed_order(solver, name: str) -> float:
    """The order seen when the number of steps is doubled."""
    problem, count = CASES[name][0](), CASES[name][1]
    return float(np.log2(error(solver, problem, count) / error(solver, problem, 2 * count)))


@eqx.filter_jit
def estimate(solver, term, y, dt):
    """The error estimate of the first step that uses a full history."""
    t, state, estimated = 0 * dt, solver.init(term, 0 * dt, dt, y, None), None
    for _ in range(getattr(solver, "starts", 0) + 1):
        y, estimated, _, state, _ = solver.step(term, t, t + dt, y, None, state, made_jump=False)
        t = t + dt
    return estimated


def estimated_order(solver, problem: Case, dt: float) -> float:
    """The power of the step size in the error estimate, with coefficients computed inside the step."""
    sizes = [jnp.linalg.norm(estimate(solver, problem.term, problem.start, jnp.asarray(h))) for h in (dt, dt / 2)]
    return float(jnp.log2(sizes[0] / sizes[1]))


@eqx.filter_jit
def _adaptive(solver, term, y, t1, tolerance):
    controller = dfx.PIDController(rtol=0.0, atol=tolerance, norm=jnp.linalg.norm)
    solution = dfx.diffeqsolve(term, solver, 0 * t1, t1, None, y, stepsize_controller=controller, max_steps=20000)
    return solution.ys[0], solution.stats["num_accepted_steps"]


def adaptive_errors(solver, problem: Case, tolerances) -> list[float]:
    """Errors of adaptive runs over their tolerances, which are per step and relative to the state."""
    size = jnp.linalg.norm(problem.start)
    runs = [_adaptive(solver, problem.term, problem.start, jnp.asarray(problem.duration), t * size) for t in tolerances]
    return [distance(y, problem.end) / t for (y, _), t in zip(runs, tolerances)]


def gradient_errors(solver, steps: int = 8) -> list[float]:
    """Relative deviations of a rollout's gradient, for amplitude and viscosity, from central differences."""
    space = js.Fourier(js.Grid(16, 0.0, 2 * np.pi))
    x = space.coordinates()[0]

    def loss(parameters):
        amplitude, viscosity = parameters
        equation = js.equations.Burgers(viscosity)
        u0 = space.field(amplitude * jnp.sin(x) + 0.3 * jnp.cos(2 * x))
        u = js.rollout(equation, u0, dt=0.02, steps=steps, solver=solver)
        return jnp.sum(u.values**2 * (1 + jnp.cos(x)))

    function = jax.jit(jax.value_and_grad(loss))
    point, h = np.array([1.0, 0.2]), 1e-4
    gradient = function(point)[1]
    out = []
    for i in range(2):
        # Two step sizes cancel the leading error of the central difference.
        coarse, fine = ((function(point + d)[0] - function(point - d)[0]) / (2 * s)
                        for s, d in ((s, s * np.eye(2)[i]) for s in (2 * h, h)))  # fmt: skip
        difference = (4 * fine - coarse) / 3
        out.append(float(abs(gradient[i] / difference - 1)))
    return out


def slow(parameters: list) -> list:
    """Repetitions of what faster cases already cover, left to `make validate`."""
    return [pytest.param(*(p if isinstance(p, tuple) else (p,)), marks=pytest.mark.slow) for p in parameters]
