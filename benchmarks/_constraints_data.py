"""Problems of the studies of constraint layers, solved by our own solvers at two resolutions."""

import dataclasses

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

import jaxsim as js
from jaxsim.linear import CG, Side, StencilLU, VariableDiffusion

from ._pinn_references import relative


@dataclasses.dataclass
class Samples:
    """Instances of a problem and their solutions.

    - `given`: what tells them apart, leading axis of instances.
    - `coordinates`: one array for each axis of the solutions after the first, time before space.
    - `values`: shape `(instances, *lengths of the coordinates)`.
    - `error`: of the values, relative: the difference of two resolutions.
    """

    given: np.ndarray
    coordinates: tuple[np.ndarray, ...]
    values: np.ndarray
    error: float


def concentrations(key: jax.Array, count: int) -> jax.Array:
    """Initial values of diffusion with sorption: a constant for each instance, from $U(0, 0.2)$."""
    return jax.random.uniform(key, (count,), minval=0.0, maxval=0.2)


def diffusion_sorption(starts: jax.Array, cells: int = 128, times: int = 51, end: float = 500.0) -> Samples:
    """Diffusion with sorption from constant values, by implicit steps on `cells` cells and on three times as many.

    The centers of coarse cells are centers of fine ones. Values are those of the fine grid.
    """
    equation = js.equations.DiffusionSorption()
    moments = jnp.linspace(0.0, end, times)

    def run(cells):
        space = js.FiniteDifference(js.Grid(cells, 0.0, 1.0), equation.column())
        pattern = js.integrate.stencil_pattern(equation, space.field(jnp.full(cells, 0.1)))
        newton = dfx.with_stepsize_controller_tols(dfx.VeryChord)(linear_solver=StencilLU(pattern))
        solver = dfx.Kvaerno5(root_finder=newton)

        @jax.jit
        def one(start):
            u0 = space.field(jnp.full(cells, start))
            return js.solve(equation, u0, t1=end, rtol=1e-7, atol=1e-8, solver=solver, saveat=moments).ys.values

        return np.stack([one(start) for start in starts])

    coarse, fine = run(cells), run(3 * cells)[..., 1::3]
    x = (np.arange(cells) + 0.5) / cells
    return Samples(np.asarray(starts), (np.asarray(moments), x), fine, relative(coarse[:, 1:], fine[:, 1:]))


class RandomWaves(eqx.Module):
    """Gaussian random initial values on [0, 1]: $\\sum_k \\sqrt2 \\sigma ((2 \\pi k)^2 + \\tau^2)^{-\\gamma/2}
    (\\xi_k \\cos 2 \\pi k x + \\eta_k \\sin 2 \\pi k x)$ with the numbers of Négiar et al. (arXiv 2207.08675)."""

    amplitudes: jax.Array  # (2, modes), of cosines and sines

    def __init__(self, key: jax.Array, modes: int = 32, exponent: float = 2.5, shift: float = 7.0, scale: float = 49.0):
        k = 2 * np.pi * np.arange(1, modes + 1)
        deviation = 2**0.5 * scale * (k**2 + shift**2) ** (-exponent / 2)
        self.amplitudes = jax.random.normal(key, (2, modes)) * deviation

    def __call__(self, x: jax.Array) -> jax.Array:
        angle = 2 * jnp.pi * jnp.multiply.outer(x, jnp.arange(1, self.amplitudes.shape[1] + 1))
        return jnp.cos(angle) @ self.amplitudes[0] + jnp.sin(angle) @ self.amplitudes[1]


def random_waves(key: jax.Array, count: int) -> RandomWaves:
    """A batch of initial values."""
    return jax.vmap(RandomWaves)(jax.random.split(key, count))


def two_waves(x: jax.Array) -> jax.Array:
    """Smooth initial values, the same in every run."""
    return 0.1 * jnp.sin(2 * jnp.pi * x) + 0.05 * jnp.cos(4 * jnp.pi * x)


def burgers(initial, instances: int | None, viscosity: float = 0.01, nodes: int = 256, times: int = 101) -> Samples:
    """Burgers' equation on the periodic unit interval to t = 1, by Fourier modes and exponential steps.

    `initial` is a callable of `x`, or a batch of `instances` such modules. The second resolution has half the nodes and
    twice the step.
    """
    equation, moments = js.equations.Burgers(viscosity), jnp.linspace(0.0, 1.0, times)

    def run(nodes, dt):
        space = js.Fourier(js.Grid(nodes, 0.0, 1.0))
        one = lambda u0: js.solve(equation, space.field(u0), t1=1.0, dt=dt, saveat=moments).ys.values
        x = space.coordinates()[0]
        starts = initial(x)[None] if instances is None else eqx.filter_vmap(lambda u0: u0(x))(initial)
        return np.asarray(jax.jit(jax.vmap(one))(starts)), np.asarray(x), np.asarray(starts)

    fine, x, starts = run(nodes, 1 / 1600)
    coarse, _, _ = run(nodes // 2, 1 / 800)
    return Samples(starts, (np.asarray(moments), x), fine, relative(coarse, fine[..., ::2]))


def convection(speeds: np.ndarray, nodes: int = 64, times: int = 51) -> Samples:
    """Transport of a sine around the circle at several speeds, $\\sin(x - \\beta t)$."""
    t, x = np.linspace(0, 1, times), 2 * np.pi * np.arange(nodes) / nodes
    values = np.stack([np.sin(x[None] - speed * t[:, None]) for speed in speeds])
    return Samples(np.asarray(speeds), (t, x), values, 0.0)


def permeability(key: jax.Array, cells: int, modes: int = 64) -> jax.Array:
    """A piecewise constant coefficient on the cells of the unit square: 12 where a random field is positive, else 3.

    The random field is $(-\\nabla^2 + 9)^{-1}$ of white noise with zero flux through the sides, as in Li et al. (2021).
    """
    k = np.arange(modes)
    deviation = (np.pi**2 * (k[:, None] ** 2 + k[None] ** 2) + 9.0) ** -1.0
    deviation[0, 0] = 0.0
    waves = np.cos(np.pi * np.outer((np.arange(cells) + 0.5) / cells, k))
    draws = jax.random.normal(key, (modes, modes)) * deviation
    return jnp.where(jnp.asarray(waves) @ draws @ waves.T > 0, 12.0, 3.0)


def darcy(coefficients: jax.Array) -> Samples:
    """Flow through porous ground, $-\\nabla\\cdot(a \\nabla u) = 1$ with $u = 0$ on the sides of the unit square.

    The second resolution has cells of half the size, over pairs of which the means are taken.
    """
    cells = coefficients.shape[-1]

    @jax.jit
    def one(a):
        operator = VariableDiffusion(a, 1 / a.shape[-1], Side.DIRICHLET)
        return lx.linear_solve(operator, jnp.ones_like(a), CG(rtol=1e-12)).value

    double = lambda a: jnp.repeat(jnp.repeat(a, 2, 0), 2, 1)
    pairs = lambda u: u.reshape(cells, 2, cells, 2).mean((1, 3))
    values = np.stack([one(a) for a in coefficients])
    finer = np.stack([pairs(one(double(a))) for a in coefficients])
    x = (np.arange(cells) + 0.5) / cells
    return Samples(np.asarray(coefficients), (x, x), values, relative(values, finer))


def vorticity(starts: jax.Array, viscosity: float, times: np.ndarray) -> Samples:
    """Vorticity on the periodic square of side $2 \\pi$, from nodal values `(instances, n, n)`, by Fourier modes.

    The second resolution has half the nodes and twice the step.
    """
    equation = js.equations.NavierStokesVorticity(viscosity)
    nodes = starts.shape[-1]

    def run(nodes, starts, dt):
        space = js.Fourier(js.Grid((nodes, nodes), 0.0, 2 * np.pi))
        solve = lambda w: js.solve(equation, space.field(w), t1=float(times[-1]), dt=dt, saveat=jnp.asarray(times))
        return np.asarray(jax.jit(jax.vmap(lambda w: solve(w).ys.values))(starts))

    fine = run(nodes, starts, 1 / 200)
    coarse = run(nodes // 2, starts[:, ::2, ::2], 1 / 100)
    x = 2 * np.pi * np.arange(nodes) / nodes
    return Samples(np.asarray(starts), (np.asarray(times), x, x), fine, relative(coarse, fine[..., ::2, ::2]))
