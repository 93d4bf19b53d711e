"""A stiff reaction between walls four ways: dense, colored and no Jacobian, and transforms; explicit steps beside them.

The problem is a known test of Jacobian sparsity: three species on 32² nodes, of which one diffuses (Gowda et al., ACM
Commun. Comput. Algebra 55 (2021) 92-96). All routes run one equation class to one accuracy.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import diffrax as dfx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx

import jaxsim as js

from ._common import arguments, finish, heading, interleaved, machine, ratio, seconds, table

TARGET, GOAL, T1 = 1e-4, 150, 10.0
SLOW_REPEATS = 3  # of the dense route


class Route(NamedTuple):
    """A way to solve the problem: what its sizes are called, those to try from coarse to fine, and a run of one."""

    size: str
    sizes: Iterable[Any]
    run: Callable[[Any, Any], tuple[jax.Array, Any]]  # from the start and a size to values and number of steps


def problem(nodes: int):
    """The equation and the state at rest."""
    space = js.FiniteDifference(js.Grid((nodes - 1,) * 2, 0.0, nodes - 1.0), js.Neumann(), faces=(True, True))
    last_fifth = 4 * nodes / 5 - 1
    equation = js.equations.ReversibleReaction(lambda t, x, y: jnp.where(x >= last_fifth, 1.0, 0.0))
    return equation, space.field(jnp.zeros((3, nodes, nodes)))


def routes(equation, start) -> dict[str, Route]:
    """Every route by name."""
    colored = js.linear.StencilLU(js.integrate.stencil_pattern(equation, start))
    modal = js.integrate.modal_preconditioner(equation, start)
    krylov = js.linear.Preconditioned(js.linear.FGMRES(rtol=1e-3), modal)
    tolerances = [10 ** (-k / 2) for k in range(4, 17)]
    steps = [4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 512, 1024]

    def adaptive(solver):
        def run(u, tolerance):
            end = js.solve(equation, u, t1=T1, rtol=tolerance, atol=tolerance, solver=solver)
            return end.ys.values[-1], end.stats["num_steps"]

        return Route("tolerance", tolerances, run)

    def fixed(solver):
        def run(u, count):
            end = js.march(equation, u, dt=T1 / count, steps=count, solver=solver)
            return jnp.where(end.succeeded, end.value.values, jnp.nan), count

        return Route("steps", steps, run)

    def chord(linear_solver):
        return dfx.Kvaerno3(root_finder=_tied(dfx.VeryChord, linear_solver))

    return {
        "dense": adaptive(chord(lx.LU())),
        "colored": adaptive(chord(colored)),
        "Newton-Krylov": adaptive(dfx.Kvaerno3(root_finder=_tied(optx.Newton, krylov))),
        "Newton-Krylov, order 5": adaptive(dfx.Kvaerno5(root_finder=_tied(optx.Newton, krylov))),
        "IMEXRK4": fixed(js.integrate.IMEXRK4()),
        "ETD, Krogstad4": fixed(js.integrate.Krogstad4()),
        "explicit, Tsit5": adaptive(dfx.Tsit5()),
    }


def _tied(finder, linear_solver):
    """A root finder with the tolerances of the step size."""
    return dfx.with_stepsize_controller_tols(finder)(linear_solver=linear_solver)


def compiled(route: Route, start, size) -> Callable:
    """The run of one size."""
    program = jax.jit(lambda u: route.run(u, size)).lower(start).compile()
    return lambda: program(start)


def error(values, reference) -> float:
    """Largest relative error of the three species."""
    away = np.abs(np.asarray(values) - reference).max((1, 2)) / np.abs(reference).max((1, 2))
    return float(away.max()) if np.all(np.isfinite(values)) else float("inf")


def reference(equation, start) -> tuple[np.ndarray, float]:
    """The converged end, and the distance between the two schemes that it comes from."""
    solvers = (js.integrate.HochbruckOstermann4(), js.integrate.Krogstad4())
    ends = [np.asarray(js.rollout(equation, start, dt=T1 / 4096, steps=4096, solver=s).values) for s in solvers]
    return ends[0], error(ends[1], ends[0])


def coarsest(route: Route, start, truth) -> tuple[Callable, dict, np.ndarray]:
    """The run of the first size whose error is below the target, what is known of it, and its values."""
    for size in route.sizes:
        run = compiled(route, start, size)
        values, steps = run()
        if error(values, truth) <= TARGET:
            return run, {route.size: size, "error": error(values, truth), "steps": int(steps)}, np.asarray(values)
    raise RuntimeError("no size of this route reaches the target.")


def invariants(equation, start, values) -> dict[str, float]:
    """How far two sums are from what they are exactly, for the end of a run."""
    u, decayed = start.space.field(jnp.asarray(values)), 1 - np.exp(-T1)
    source = equation.source_a(0.0, *start.space.coordinates())
    wanted = (1 + float(js.mean(start.space.field(source)))) * decayed
    return {
        "B + C": float(jnp.abs(u.values[1] + u.values[2] - 2 * decayed).max()),
        "mean of A + C": abs(float(js.mean(u[0] + u[2])) - wanted),
    }


def matrices(equation, start, truth, repeats: int) -> dict[str, Any]:
    """Seconds for one Newton matrix and its factors, dense and colored."""
    pattern = js.integrate.stencil_pattern(equation, start)
    term = js.SemilinearTerm(equation, start.space)

    def factors(solver):
        def run(y):
            operator = lx.JacobianLinearOperator(lambda v, _: v - 0.1 * term.vf(0.0, v), y)
            return [a for a in jax.tree.leaves(solver.init(operator, {})) if isinstance(a, jax.Array)]

        program = jax.jit(run).lower(jnp.asarray(truth)).compile()
        return lambda: program(jnp.asarray(truth))

    times = interleaved({"dense": factors(lx.LU()), "colored": factors(js.linear.StencilLU(pattern))}, repeats)
    return {"columns": truth.size, "colors": pattern.colors, **times, "ratio": ratio(times["dense"], times["colored"])}


def timed(run: Callable) -> tuple[dict[str, float], Any]:
    """Median and least time of a slow run, compiled before, and its result."""
    times, kept = [], []
    for _ in range(SLOW_REPEATS):
        times.append(seconds(lambda: kept.append(run()) or kept[-1]))
    times.sort()
    return {"median": times[SLOW_REPEATS // 2], "min": times[0]}, kept[-1]


def main():
    options = arguments(__doc__.splitlines()[0], precision=64)
    nodes = 10 if options.quick else 32
    about = machine()
    heading(f"Reaction and diffusion, {nodes}² nodes, to a relative error of {TARGET:g}", about, options)
    equation, start = problem(nodes)
    truth, own = reference(equation, start)
    matrix = matrices(equation, start, truth, options.repeats)
    ways = routes(equation, start)
    found = {name: coarsest(route, start, truth) for name, route in ways.items() if name != "dense"}
    # The same steps as with the colored Jacobian, so that their size is known without trying.
    size = found["colored"][1]["tolerance"]
    dense = compiled(ways["dense"], start, size)
    times = interleaved({name: run for name, (run, *_) in found.items()}, options.repeats)
    times["dense"], (values, steps) = timed(dense)
    found["dense"] = dense, {"tolerance": size, "error": error(values, truth), "steps": int(steps)}, values
    results = {}
    for name in ways:
        _, about_run, values = found[name]
        ratios = {f"dense over it, {key}": ratio(times["dense"], times[name], key) for key in ("median", "min")}
        results[name] = {**about_run, **times[name], **ratios, **invariants(equation, start, values)}
    columns = ["route", "steps", "error", "seconds", "dense / it", "of least times", "B + C", "mean of A + C"]
    keys = ("steps", "error", "median", "dense over it, median", "dense over it, min", "B + C", "mean of A + C")
    table(columns, [[name, *(entry[key] for key in keys)] for name, entry in results.items()])
    print(f"One matrix and its factors: dense {matrix['dense']['median']:.3g} s ({matrix['columns']} products), "
          f"colored {matrix['colored']['median']:.3g} s ({matrix['colors']} products).")  # fmt: skip
    finish("reaction_diffusion", options, about, {
        "nodes": nodes, "t1": T1, "target": TARGET, "reference error": own, "goal": GOAL,
        "dense repeats": SLOW_REPEATS, "matrix": matrix, "routes": results,
    })  # fmt: skip


if __name__ == "__main__":
    main()
