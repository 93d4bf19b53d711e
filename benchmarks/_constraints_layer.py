"""Time and memory of a constraint layer and its gradient: implicit, unrolled, and by peers as published."""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim.optimize import GaussNewton, Implicit, OneStep, Unrolled, least_squares

from ._common import interleaved, peer, table

MIB = 2**20
VISCOSITY, RIDGE, INITIAL = 0.01, 1e-4, 20.0
SLOW = 10.0  # seconds; slower programs are measured once


def tables(points: int, size: int) -> dict[str, jax.Array]:
    """Values and derivatives of random features tanh(a t + b x + c) at points, and at an initial time."""
    random = np.random.default_rng(0)
    a, b, c = random.standard_normal((3, size)) * np.array([[2.0], [4.0], [2.0]])
    t, x = random.uniform(size=(2, points, 1))
    first = np.linspace(0, 1, 64)[:, None]
    value = np.tanh(a * t + b * x + c)
    slope = 1 - value**2
    return {
        "u": jnp.asarray(value), "ut": jnp.asarray(a * slope), "ux": jnp.asarray(b * slope),
        "uxx": jnp.asarray(-2 * b**2 * value * slope), "initial": jnp.asarray(np.tanh(b * first + c)),
    }  # fmt: skip


def residual(weights, features):
    """Burgers' equation at points, initial values and a ridge."""
    u, ut, ux, uxx = (features[name] @ weights for name in ("u", "ut", "ux", "uxx"))
    start = 0.1 * jnp.sin(2 * jnp.pi * jnp.linspace(0, 1, 64))
    rows = ut + u * ux - VISCOSITY * uxx
    return jnp.concatenate([
        rows / np.sqrt(len(rows)), INITIAL / 8 * (features["initial"] @ weights - start), RIDGE * weights
    ])  # fmt: skip


def solutions(size: int) -> dict[str, Callable]:
    """Weights as functions of the features, by program."""
    begin = jnp.zeros(size)
    adjoints = {"implicit": Implicit(), "one step": OneStep(), "unrolled": Unrolled(30, checkpoint=False),
                "unrolled, checkpoints": Unrolled(30)}  # fmt: skip
    found: dict[str, Callable] = {
        f"jaxsim, {name}": lambda f, how=how: least_squares(residual, begin, f, adjoint=how).value
        for name, how in adjoints.items()
    }
    loose = GaussNewton(1e-4)
    found["jaxsim, implicit, to 1e-4"] = lambda f: least_squares(residual, begin, f, method=loose).value
    if (optimistix := peer("optimistix")) is not None:
        solver = optimistix.LevenbergMarquardt(rtol=1e-4, atol=1e-4)
        found["optimistix"] = lambda f: optimistix.least_squares(residual, solver, begin, f, max_steps=100).value
    if (jaxopt := peer("jaxopt")) is not None:
        # As published: conjugate gradients within, at most 100 steps, 1e-4.
        damped = jaxopt.LevenbergMarquardt(residual, maxiter=100, tol=1e-4, xtol=1e-4, gtol=1e-4)
        found["jaxopt"] = lambda f: damped.run(begin, f).params
    return found


def compiled(solution: Callable, features) -> tuple[Callable, Callable, dict]:
    """The loss and its gradient in the features, compiled, and their memory."""
    loss = lambda f: jnp.mean((f["u"] @ solution(f)) ** 2)
    both = {"forward": jax.jit(loss), "gradient": jax.jit(jax.value_and_grad(loss))}
    ready = {name: f.lower(features).compile() for name, f in both.items()}
    memory = {name: f.memory_analysis().temp_size_in_bytes for name, f in ready.items()}
    return lambda: ready["forward"](features), lambda: ready["gradient"](features), memory


def case(points: int, size: int, options) -> dict:
    """One size: times of a layer and of a layer with its gradient, and what was reached."""
    features, entries, functions = tables(points, size), {}, {}
    for name, solution in solutions(size).items():
        forward, gradient, memory = compiled(solution, features)
        left = float(jnp.linalg.norm(residual(jax.jit(solution)(features), features)))
        entries[name] = {"memory": memory, "residual": left}
        start = time.perf_counter()
        jax.block_until_ready(gradient())
        lasted = time.perf_counter() - start
        if lasted > SLOW:
            entries[name] |= {"repeats": 1, "gradient": {"median": lasted}, "forward": None}
        else:
            functions |= {(name, "forward"): forward, (name, "gradient"): gradient}
    times = interleaved(functions, options.repeats)
    for (name, which), timed in times.items():
        entries[name][which] = timed
    return {"points": points, "unknowns": size, "entries": entries}


def plain(residual: Callable, size: int, steps: int) -> jax.Array:
    """Gauss-Newton steps by JAX's own QR factorization, to be differentiated as they are."""

    def step(weights, _):
        orthogonal, triangle = jnp.linalg.qr(jax.jacfwd(residual)(weights))
        part = orthogonal.T @ residual(weights)
        return weights - jax.scipy.linalg.solve_triangular(triangle, part), None

    return jax.lax.scan(step, jnp.zeros(size), None, steps)[0]


def memory(points: int = 2000, size: int = 16, steps: int = 50) -> dict:
    """Bytes that a gradient needs beside its arguments and results, when steps are unrolled and when not."""
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((points, size)) / np.sqrt(points))
    data = matrix @ jnp.linspace(-1, 1, size)
    rows = lambda weights, matrix: (z := matrix @ weights) + 0.1 * z**2 - data
    adjoints = {"implicit": Implicit(), "one step": OneStep(), "unrolled": Unrolled(steps, checkpoint=False),
                "unrolled, checkpoints": Unrolled(steps)}  # fmt: skip
    solutions: dict[str, Callable] = {
        name: lambda m, how=how: least_squares(rows, jnp.zeros(size), m, adjoint=how).value
        for name, how in adjoints.items()
    }
    solutions["unrolled, plain QR"] = lambda m: plain(lambda weights: rows(weights, m), size, steps)
    found = {}
    for name, solution in solutions.items():
        program = jax.jit(jax.grad(lambda m, f=solution: jnp.sum(jnp.sin(f(m))))).lower(matrix).compile()
        found[name] = program.memory_analysis().temp_size_in_bytes
    return {"points": points, "unknowns": size, "steps": steps, "bytes": found}


def measure(options) -> dict:
    sizes = [(100, 16)] if options.quick else [(p, n) for n in (16, 64) for p in (100, 1000, 10000)]
    return {"cases": [case(p, n, options) for p, n in sizes], "memory": memory()}


def show(result: dict):
    for found in result["cases"]:
        print(f"\n{found['points']} points, {found['unknowns']} unknowns")
        milli = lambda timed: timed and 1e3 * timed["median"]
        rows = [
            [name, milli(e["forward"]), milli(e["gradient"]), e["memory"]["forward"] / MIB,
             e["memory"]["gradient"] / MIB, e["residual"]]
            for name, e in found["entries"].items()
        ]  # fmt: skip
        table(["program", "forward ms", "with gradient ms", "forward MiB", "gradient MiB", "residual"], rows)
    about = result["memory"]
    print(f"Memory of a gradient, {about['points']} points, {about['unknowns']} unknowns, {about['steps']} steps")
    table(["adjoint", "MiB"], [[name, count / MIB] for name, count in about["bytes"].items()])
