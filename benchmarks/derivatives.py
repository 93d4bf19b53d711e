"""Residuals of equations on networks, and their gradients: Taylor series against nested derivatives and against jet."""

import time
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.experimental import jet

import jaxsim as js
from jaxsim.spaces import Callables
from jaxsim.spaces._expressions import Apply, Derivative

from ._common import arguments, finish, heading, interleaved, machine, ratio, table

WAYS = ("ours", "nested", "jet")


def nested(node: Callable) -> Callable:
    """An expression over callables, each derivative by forward differentiation of all that is below it."""
    if isinstance(node, Apply):
        children = [nested(child) for child in node.children]
        return lambda *point: node.function(*(child(*point) for child in children))
    if not isinstance(node, Derivative):
        return node
    child = nested(node.child)

    def derivative(*point):
        axis = node.index(len(point)).index(node.order)
        along = lambda s: child(*point[:axis], s, *point[axis + 1 :])
        for _ in range(node.order):
            along = _tangent(along)
        return along(point[axis])

    return derivative


def _tangent(function):
    return lambda s: jax.jvp(function, (s,), (jnp.ones_like(s),))[1]


def by_nesting(equation, network, point) -> jax.Array:
    """The residual of an equation, with nested derivatives."""
    u = js.Function(network, len(point) - 1, jax.eval_shape(network, *point).shape)
    left = equation.residual(point[0], u)
    if left is None:
        left = Callables.rate(u.space, u) - equation.right_hand_side(point[0], u)
    return nested(left.data)(*point)


def along(network, point, axis: int, order: int) -> list[jax.Array]:
    """Value and derivatives along one coordinate, by `jax.experimental.jet`."""
    single = lambda s: network(*point[:axis], s, *point[axis + 1 :])
    series = [jnp.ones_like(point[axis]), *[jnp.zeros_like(point[axis])] * (order - 1)]
    value, derivatives = jet.jet(single, (point[axis],), (series,))
    return [value, *derivatives]


def burgers(equation, network, point) -> jax.Array:
    u, u_x, u_xx = along(network, point, 1, 2)
    return along(network, point, 0, 1)[1] + u * u_x - equation.viscosity * u_xx


def allen_cahn(equation, network, point) -> jax.Array:
    u, _, u_xx = along(network, point, 1, 2)
    return along(network, point, 0, 1)[1] - equation.diffusivity * u_xx - equation.rate * (u - u**3)


def kuramoto_sivashinsky(equation, network, point) -> jax.Array:
    u, u_x, u_xx, _, u_xxxx = along(network, point, 1, 4)
    return along(network, point, 0, 1)[1] + u * u_x + u_xx + u_xxxx


def navier_stokes(equation, network, point) -> jax.Array:
    (u, v, _), w_x, w_xx = along(network, point, 1, 2)
    _, w_y, w_yy = along(network, point, 2, 2)
    pressure = jnp.stack([w_x[2], w_y[2]])
    flow = along(network, point, 0, 1)[1] + u * w_x + v * w_y - equation.viscosity * (w_xx + w_yy)
    return jnp.concatenate([flow[:2] + pressure, (w_x[0] + w_y[1])[None]])


def problems() -> dict[str, tuple]:
    """For each name an equation, its number of axes, the size of its state, and its residual by jet."""
    e = js.equations
    return {
        "Burgers": (e.Burgers(0.01), 1, "scalar", burgers),
        "Allen-Cahn": (e.AllenCahn(1e-4, 5.0), 1, "scalar", allen_cahn),
        "Kuramoto-Sivashinsky": (e.KuramotoSivashinsky(), 1, "scalar", kuramoto_sivashinsky),
        "Navier-Stokes, plane": (e.NavierStokesPressure(0.01), 2, 3, navier_stokes),
    }


def residuals(equation, by_jet) -> dict[str, Callable]:
    """The residual at a point in each way, as functions of the network and the point."""
    return {
        "ours": lambda net, point: js.residual(equation, js.Function(net))(*point),
        "nested": lambda net, point: by_nesting(equation, net, point),
        "jet": lambda net, point: by_jet(equation, net, point),
    }


class Coordinates(eqx.Module):
    """A network of the numbers `(t, x, ...)`."""

    network: eqx.nn.MLP

    def __call__(self, *point):
        return self.network(jnp.stack(point))


def programs(way: Callable, network, points) -> dict[str, tuple[Callable, float]]:
    """Residuals, and the gradient of their mean square, compiled, and the seconds that tracing and compiling took."""
    values = lambda net, points: jax.vmap(lambda point: way(net, tuple(point)))(points)
    loss = lambda net, points: jnp.mean(jnp.square(values(net, points)))
    compiled = {}
    for name, function in (("values", values), ("gradient", jax.grad(loss))):
        start = time.perf_counter()
        program = jax.jit(function).lower(network, points).compile()
        compiled[name] = (lambda program=program: program(network, points)), time.perf_counter() - start
    return compiled


def measure(name: str, width: int, depth: int, count: int, options) -> dict:
    """Times of one equation in all ways, and how far the ways are apart."""
    equation, dimension, size, by_jet = problems()[name]
    key = jax.random.key(0)
    network = Coordinates(eqx.nn.MLP(1 + dimension, size, width, depth, jnp.tanh, key=key))
    points = jax.random.uniform(jax.random.key(1), (count, 1 + dimension))
    arrays, rest = eqx.partition(network, eqx.is_array)
    runs = {}
    for way, residual in residuals(equation, by_jet).items():
        bare = lambda net, point, residual=residual: residual(eqx.combine(net, rest), point)
        runs[way] = programs(bare, arrays, points)
    times = interleaved({(w, k): run for w, kinds in runs.items() for k, (run, _) in kinds.items()}, options.repeats)
    exact = runs["nested"]["values"][0]()
    scale = float(jnp.max(jnp.abs(exact)))
    results: dict = {way: {} for way in WAYS}
    for way in WAYS:
        for kind, (_, seconds) in runs[way].items():
            ratios = {
                "speed-up": ratio(times["nested", kind], times[way, kind]),
                "processor speed-up": ratio(times["nested", kind], times[way, kind], "processor"),
            }
            results[way][kind] = {**times[way, kind], **ratios, "compile": seconds}
        results[way]["difference"] = float(jnp.max(jnp.abs(runs[way]["values"][0]() - exact))) / scale
    return results


def report(results: dict):
    """For values and for gradients one row for each equation and way."""
    for kind in ("values", "gradient"):
        rows = []
        for name, ways in results.items():
            for way, row in ways.items():
                of = row[kind]
                cells = [1e3 * of["median"], of["speed-up"], 1e3 * of["processor"], of["processor speed-up"]]
                rows.append([f"{name}, {way}", *cells, of["compile"], row["difference"]])
        table([kind, "wall ms", "speed-up", "processor ms", "speed-up", "compile s", "difference"], rows)


def main():
    options = arguments(__doc__)
    about = machine()
    heading("Residuals on a network and their gradients; speed-ups over nested derivatives", about, options)
    width, depth, count = (16, 2, 64) if options.quick else (64, 4, 4096)
    measure("Burgers", 4, 1, 4, options)  # what the first compilation of a process costs is nobody's
    results = {name: measure(name, width, depth, count, options) for name in problems()}
    report(results)
    finish("derivatives", options, about, {"width": width, "depth": depth, "points": count, "results": results})


if __name__ == "__main__":
    main()
