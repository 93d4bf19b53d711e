"""Experts on smooth Burgers: error and time with the number of boxes, alone and joined where they meet."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxsim as js
from jaxsim.constraints import Chebyshev, Experts, Interface, Marching, Partition, Schwarz, TensorProduct
from jaxsim.optimize import GaussNewton, OnFailure, Rows
from jaxsim.pinn import collocation

from ._common import interleaved, shown, table

VISCOSITY, SIZES = 0.01, (0.1, 0.05)
FACE = 48  # points on a face
COLUMNS = ["functions", "coupling", "K", "points", "unknowns", "error", "steps", "value ms", "gradient ms",
           "value, processor ms", "gradient, processor ms"]  # fmt: skip


class Ramps(eqx.Module):
    """Hyperbolic tangents with random slopes and centers in the unit box."""

    slopes: jax.Array
    centers: jax.Array

    @classmethod
    def random(cls, count: int, seed: int) -> "Ramps":
        slopes, centers = jax.random.split(jax.random.key(seed))
        return cls(4 * jax.random.normal(slopes, (count, 2)), jax.random.uniform(centers, (count, 2)))

    def __call__(self, t, x):
        return jnp.tanh(jnp.sum(self.slopes * (jnp.stack([t, x]) - self.centers), 1))


def initial(sizes: jax.Array | tuple, x: jax.Array) -> jax.Array:
    """A sine and a cosine."""
    return sizes[0] * jnp.sin(2 * jnp.pi * x) + sizes[1] * jnp.cos(4 * jnp.pi * x)


class Smooth(eqx.Module):
    """Rows of Burgers' equation and of the initial values in a box, where their weight is one for each point."""

    points: jax.Array
    line: jax.Array

    def __call__(self, given, box):
        viscosity, sizes = given
        x = box.within(1, self.line)
        start = lambda u, x: u(jnp.zeros_like(x), x) - initial(sizes, x)
        return {
            "interior": collocation(js.equations.Burgers(viscosity), box.at(self.points)),
            "initial": Rows(start, x, weight=400.0 * box.first[0]),
        }


def experts(kind: str, counts: tuple[int, int], points: int) -> Experts:
    """Experts with so many points in all."""
    each = points // (counts[0] * counts[1])
    unit = jax.random.uniform(jax.random.PRNGKey(3), (each, 2))
    overlap = (0.0, 0.25) if kind == "Schwarz" else 0.0
    partition = Partition((0.0, 0.0), (1.0, 1.0), counts, overlap, periodic=True)
    face = Interface(FACE, value=400.0, derivative=1.0)
    coupling = {"none": None, "Interface": face, "Schwarz": Schwarz(FACE), "Marching": Marching(FACE, within=face)}[
        kind
    ]
    blocks = Smooth(unit, jnp.linspace(0, 1, 48))
    return Experts(partition, blocks, coupling, ridge=1e-5, method=GaussNewton(tolerance=1e-7),
                   on_failure=OnFailure.KEEP)  # fmt: skip


def reference() -> tuple[jax.Array, jax.Array, jax.Array]:
    """Times, places and values by 256 modes."""
    space = js.Fourier(js.Grid(256, 0.0, 1.0))
    start = space.field(lambda x: initial(SIZES, x))
    values = js.rollout(js.equations.Burgers(VISCOSITY), start, dt=1e-3, steps=1000, save_every=20).values
    return jnp.linspace(0.02, 1, 50), space.coordinates()[0][::2], values[:, ::2]


@eqx.filter_jit
def solved(experts: Experts, functions: Callable, given: Any):
    """The weights, and what is known of them."""
    found = experts(functions, given)
    return found.value, found.steps, found.succeeded


@eqx.filter_jit
def slope(experts: Experts, functions: Callable, given: Any):
    """The gradient of the energy at eight points in the viscosity and in the initial values."""

    def energy(given):
        field = experts(functions, given).value
        return jnp.mean(jax.vmap(lambda x: field(jnp.array(0.9), x) ** 2)(jnp.linspace(0.05, 0.95, 8)))

    return jax.grad(energy)(given)


@eqx.filter_jit
def sampled(field: Callable, times: jax.Array, places: jax.Array) -> jax.Array:
    """Values on a grid."""
    return jax.vmap(lambda t: jax.vmap(lambda x: field(t, x))(places))(times)


def entry_of(name: str, functions: Callable, kind: str, counts: tuple[int, int], points: int, truth, repeats: int):
    """One entry."""
    problem, given = experts(kind, counts, points), (jnp.array(VISCOSITY), jnp.array(SIZES))
    field, steps, succeeded = solved(problem, functions, given)
    times, places, values = truth
    error = jnp.linalg.norm(sampled(field, times, places) - values) / jnp.linalg.norm(values)
    taken = interleaved({"value": lambda: solved(problem, functions, given)[1:],
                         "gradient": lambda: slope(problem, functions, given)}, repeats)  # fmt: skip
    return {"functions": name, "coupling": kind, "counts": counts, "points": points, "error": float(error),
            "unknowns": int(field.weights.size), "steps": int(jnp.max(steps)), "succeeded": int(jnp.sum(succeeded)),
            "seconds": taken}  # fmt: skip


def cases(quick: bool) -> list[tuple[str, Callable, str, tuple[int, int], int]]:
    """Dictionary, coupling, boxes and points of each entry."""
    polynomials = "64 polynomials", TensorProduct([Chebyshev(8), Chebyshev(8)])
    more = "256 polynomials", TensorProduct([Chebyshev(8), Chebyshev(32)])
    ramps = "50 random ramps", Ramps.random(50, 0)
    if quick:
        return [
            (*polynomials, kind, (1, count), 960) for kind, count in (("Interface", 1), ("Interface", 2), ("none", 2))
        ]
    found = []
    for points in (960, 9600):
        found += [(*polynomials, "Interface", (1, count), points) for count in (1, 2, 4, 8)]
        found += [(*more, "Interface", (1, 1), points)]
        found += [(*polynomials, "none", (1, count), points) for count in (2, 4, 8)]
    found += [(*ramps, "Interface", (1, count), 9600) for count in (1, 2, 4, 8)]
    return found + [(*polynomials, "Schwarz", (1, 4), 960), (*polynomials, "Marching", (2, 2), 960)]


def measure(options) -> dict[str, Any]:
    """All entries."""
    truth, entries = reference(), []
    for case in cases(options.quick):
        entries.append(entry_of(*case, truth, options.repeats))
        print("  ".join(map(shown, row(entries[-1]))), flush=True)
    return {"viscosity": VISCOSITY, "face points": FACE, "entries": entries}


def show(result: dict[str, Any]):
    """All entries as a table."""
    table(COLUMNS, [row(entry) for entry in result["entries"]])


def row(entry: dict) -> list:
    """A table's row; an error is marked where not all experts converged."""
    count = entry["counts"][0] * entry["counts"][1]
    failed = "" if entry["succeeded"] == count else f" ({count - entry['succeeded']} failed)"
    times = [1e3 * entry["seconds"][what][kind] for kind in ("median", "processor") for what in ("value", "gradient")]
    boxes = "x".join(map(str, entry["counts"])) if entry["counts"][0] > 1 else count
    return [entry["functions"], entry["coupling"], boxes, entry["points"], entry["unknowns"],
            shown(entry["error"]) + failed, entry["steps"], *times]  # fmt: skip
