"""Flow in the periodic plane by a layer: the stream function, whose initial values hold by construction."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxsim as js
from jaxsim.constraints import Chebyshev, FourierSeries, satisfy
from jaxsim.optimize import GaussNewton, OnFailure
from jaxsim.pinn import collocation

from ._constraints_data import vorticity
from ._constraints_training import summary

TURN = 2 * np.pi
VISCOSITY, END = 1e-2, 1.0


class StreamFunction(js.Equation):
    """$\\omega_t + \\psi_y \\omega_x - \\psi_x \\omega_y = \\nu \\nabla^2 \\omega$ with $\\omega = -\\nabla^2 \\psi$:
    local, where an equation for the vorticity alone is not."""

    viscosity: float | jax.Array

    def residual(self, t, u: js.Field) -> js.Field:
        w = -js.laplacian(u)
        carried = js.partial(u, 1) * js.partial(w, 0) - js.partial(u, 0) * js.partial(w, 1)
        return u.space.rate(w) + carried - self.viscosity * js.laplacian(w)


class Eddies(eqx.Module):
    """Products of waves, divided by $|k|^2$ so that their vorticities are of order one, and of polynomials of time
    that vanish at its beginning."""

    degree: int = eqx.field(static=True)
    waves: int = eqx.field(static=True)

    def __call__(self, t, x, y):
        axis = FourierSeries(2 * self.waves + 1, 0.0, TURN)
        k = np.concatenate([[0], np.arange(1, self.waves + 1), np.arange(1, self.waves + 1)])
        squares = np.add.outer(k**2, k**2).ravel()
        plane = (axis(x)[:, None] * axis(y)[None]).reshape(-1)[1:] / squares[1:]
        return ((t / END * Chebyshev(self.degree, 0.0, END)(t))[:, None] * plane[None]).reshape(-1)


class Initial(eqx.Module):
    """A random stream function of waves up to the second, at all times."""

    amplitudes: jax.Array  # (5, 5)

    def __init__(self, key: jax.Array):
        k = np.array([0, 1, 2, 1, 2])
        squares = np.add.outer(k**2, k**2)
        kept = np.where((squares > 0) & (squares <= 4), 1 / np.maximum(squares, 1), 0)
        self.amplitudes = jax.random.normal(key, (5, 5)) * kept / 2

    def __call__(self, t, x, y):
        axis = FourierSeries(5, 0.0, TURN)
        return jnp.sum(self.amplitudes * axis(x)[:, None] * axis(y)[None])


def study(seed: int, sizes: tuple[tuple[int, int], ...] = ((3, 3), (4, 4), (4, 5)), instances: int = 2) -> list[dict]:
    """Errors of the vorticity for dictionaries of several sizes."""
    initial = jax.vmap(Initial)(jax.random.split(jax.random.key(5), instances))
    curl = lambda u: -js.laplacian(js.Function(u, 2, ()))
    nodes = TURN * jnp.arange(64) / 64
    over = lambda f, nodes: jax.vmap(lambda x: jax.vmap(lambda y: f(x, y))(nodes))(nodes)
    starts = eqx.filter_jit(eqx.filter_vmap(lambda u: over(lambda x, y: curl(u)(0.0 * x, x, y), nodes)))(initial)
    times = np.linspace(0, END, 6)
    data = vorticity(starts, VISCOSITY, times)
    true, equation, rows = data.values[:, :, ::4, ::4], StreamFunction(VISCOSITY), []
    for degree, waves in sizes:
        functions = Eddies(degree, waves)
        count = degree * ((2 * waves + 1) ** 2 - 1)
        points = jax.random.uniform(jax.random.key(6), (4 * count, 3)) * jnp.array([END, TURN, TURN])

        @jax.jit
        def solve(amplitudes, functions=functions, points=points):
            offset = eqx.tree_at(lambda u: u.amplitudes, Initial(jax.random.key(0)), amplitudes)
            solved = satisfy(functions, {"interior": collocation(equation, points)}, offset=offset,
                             method=GaussNewton(tolerance=1e-8, steps=20), on_failure=OnFailure.KEEP)  # fmt: skip
            w = curl(solved.value)
            values = jax.vmap(lambda t: over(lambda x, y: w(t, x, y), nodes[::4]))(jnp.asarray(times))
            return values, solved.residual["interior"], solved.steps, solved.condition, solved.succeeded

        found = [solve(a) for a in initial.amplitudes]
        still = np.repeat(true[:, :1], len(times), 1)
        rows.append(summary(
            f"{count} fixed functions ({degree} polynomials, waves to {waves})", np.stack([f[0] for f in found]), true,
            residual=float(np.mean([f[1] for f in found])), steps=int(max(f[2] for f in found)),
            condition=float(found[0][3]), converged=float(np.mean([f[4] for f in found])), reference=data.error,
            change=float(np.linalg.norm(still - true) / np.linalg.norm(true)),
        ))  # fmt: skip
        print(f"  {rows[-1]['method']}: {rows[-1]['error']:.2e}", flush=True)
    return rows
