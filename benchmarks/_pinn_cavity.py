"""The steady flow in a cavity under a lid whose speed vanishes at its ends, by a physics-informed network."""

import time
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim import optimize, pinn
from jaxsim.nets import MLP

from . import cavity
from ._pinn_case import Case
from ._pinn_references import Reference, relative
from ._pinn_steady import OfPlace

SQUARE = ((0.0, 0.0), (1.0, 1.0))
REYNOLDS = 100.0


def lid(x):
    return 16 * x**2 * (1 - x) ** 2


def bubble(x, y):
    return 16 * x * (1 - x) * y * (1 - y)


class SteadyStream(js.Equation):
    """Steady flow in the plane by its stream function: $u \\cdot \\nabla\\omega = \\nu \\nabla^2 \\omega$."""

    viscosity: float | jax.Array

    def residual(self, t, stream: js.Field) -> js.Field:
        vorticity = -js.laplacian(stream)
        u, v = js.partial(stream, 1), -js.partial(stream, 0)
        carried = u * js.partial(vorticity, 0) + v * js.partial(vorticity, 1)
        return carried - self.viscosity * js.laplacian(vorticity)


class Stream(eqx.Module):
    """A stream function that is zero at all walls, with a slope of the lid's speed there and zero elsewhere."""

    network: Callable

    def __call__(self, x, y):
        return lid(x) * y**2 * (y - 1) + bubble(x, y) ** 2 * self.network(0.0, x, y)


class Velocity(eqx.Module):
    """The velocity of a stream function."""

    stream: Callable

    def __call__(self, x, y):
        along, up = jax.grad(self.stream, (0, 1))(x, y)
        return jnp.stack([up, -along])


def solve(key, width: int, depth: int, points: int, steps: int) -> Callable:
    """Rows count as much as the field can move there, so that the corners, which are singular, do not dominate."""
    first, scatter = jax.random.split(key)
    stream = Stream(OfPlace(MLP(2, "scalar", width, depth, key=first), *SQUARE))
    places = pinn.Box(None, *SQUARE).sobol(points, scatter)
    weight = bubble(*places.T) ** 2
    rows = [pinn.collocation(SteadyStream(1 / REYNOLDS), places, weight, stationary=True)]
    return Velocity(optimize.train(rows, stream, optimize.LevenbergMarquardt(), steps).model)


# -- the reference -----------------------------------------------------------------------------------------------------
AXIS = np.linspace(0, 1, 42)[1:-1]


def tables(functions: list, points: np.ndarray, orders: int) -> list[np.ndarray]:
    """Derivatives of polynomials at points, shape `(points, functions)` for each order."""
    return [np.stack([f.deriv(k)(points) for f in functions], 1) for k in range(orders)]


def spectral(size: int) -> np.ndarray:
    """Velocities at all pairs of `AXIS`, shape `(2, n, n)`, by Chebyshev polynomials and Newton's method.

    $\\psi = g + \\sum_{ij} c_{ij}\\, p_i(x)\\, p_j(y)$ with $p_i = x^2 (1 - x)^2\\, T_i$ and the stream function $g$
    of the lid, by Galerkin's method: the corners are too singular for collocation.
    """
    basis = np.polynomial.Chebyshev.basis
    x = np.polynomial.Chebyshev([0.5, 0.5], domain=[0, 1])
    flat = x**2 * (1 - x) ** 2
    functions = [flat * basis(k, domain=[0, 1]) for k in range(size)]
    nodes, weights = np.polynomial.legendre.leggauss(3 * size // 2 + 6)
    nodes, weights = (nodes + 1) / 2, np.outer(weights, weights).ravel() / 4
    at, lid_x, lid_y = (tables(f, nodes, 5) for f in (functions, [16 * flat], [x**2 * (x - 1)]))
    c, viscosity = np.zeros((size, size)), 1 / REYNOLDS
    both = lambda a, b: np.einsum("mi,nj->mnij", at[a], at[b]).reshape(len(weights), -1)
    test = both(0, 0) * weights[:, None]
    for _ in range(20):
        psi = lambda a, b, c=c: (at[a] @ c @ at[b].T + lid_x[a] @ lid_y[b].T).ravel()
        u, v, along, up = psi(0, 1), -psi(1, 0), -psi(3, 0) - psi(1, 2), -psi(2, 1) - psi(0, 3)  # vorticity's slopes
        rows = u * along + v * up + viscosity * (psi(4, 0) + 2 * psi(2, 2) + psi(0, 4))
        matrix = along[:, None] * both(0, 1) - up[:, None] * both(1, 0)
        matrix -= u[:, None] * (both(3, 0) + both(1, 2)) + v[:, None] * (both(2, 1) + both(0, 3))
        matrix += viscosity * (both(4, 0) + 2 * both(2, 2) + both(0, 4))
        matrix = test.T @ matrix
        scales = np.linalg.norm(matrix, axis=0)
        change = np.linalg.solve(matrix / scales, -test.T @ rows) / scales
        c = c + change.reshape(c.shape)
        if np.max(np.abs(change)) < 1e-10 * np.max(np.abs(c)):
            break
    else:
        raise RuntimeError("Newton's method has not converged.")
    at, lid_x, lid_y = (tables(f, AXIS, 2) for f in (functions, [16 * flat], [x**2 * (x - 1)]))
    psi = lambda a, b: at[a] @ c @ at[b].T + lid_x[a] @ lid_y[b].T
    return np.stack([psi(0, 1), -psi(1, 0)])


def staggered(cells: int) -> np.ndarray:
    """The same by our solver of second order on `cells`^2 cells, marched to the steady state."""
    moving = js.MovingWall(lambda t, x, y: (lid(x), 0 * x))
    space = js.Staggered(js.Grid((cells, cells)), (js.NoSlip(), (js.NoSlip(), moving)))
    rest = space.field(lambda x, y: (0 * x, 0 * y))
    flow, _ = cavity.steady(space, REYNOLDS, rest, 1e-8)
    found = []
    for component in (0, 1):
        values, nodes = np.pad(np.asarray(flow[component].values), 1), []
        for axis in (0, 1):
            nodes.append(np.concatenate([[0.0], flow[component].space.nodes(axis), [1.0]]))
        if component == 0:
            values[:, -1] = lid(nodes[0])
        along = cavity.interpolated(np.moveaxis(values, 0, -1), nodes[0], AXIS)
        found.append(cavity.interpolated(np.moveaxis(along, -1, 0), nodes[1], AXIS))
    return np.array(found)


def reference() -> Reference:
    """Polynomials of two degrees, checked by the flow between cells; and the time of the marching solver.

    **Raises:** `RuntimeError` where both disagree by more than the cells explain.
    """
    fine, coarse = spectral(28), spectral(22)
    middle = staggered(32)
    begun = time.perf_counter()
    cells = staggered(64)
    seconds = time.perf_counter() - begun
    far = relative(cells + (cells - middle) / 3, fine)  # second order, taken out
    if far > 1e-3:
        raise RuntimeError(f"polynomials and cells disagree by {far:.1e}.")
    x, y = np.meshgrid(AXIS, AXIS, indexing="ij")
    points, values = np.stack([x.ravel(), y.ravel()], 1), fine.reshape(2, -1).T
    return Reference(points, values, relative(coarse, fine), seconds)


CASES = {
    "cavity": Case(
        "cavity with a lid of speed 16 x^2 (1 - x)^2, Re = 100",
        reference,
        partial(solve, width=16, depth=3, points=1536, steps=140),
        "stream function, MLP 3x16, 1536 points weighted by their distances from the walls, exact walls, 140 steps of "
        "Levenberg-Marquardt",
    ),
}
