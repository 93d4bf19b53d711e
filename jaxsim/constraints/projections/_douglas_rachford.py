"""Douglas-Rachford steps for a weighted projection on equations between bounds."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...norms import lengths as row_lengths
from ...norms import norm
from ...optimize.solves.varying import alike
from .affine import _Factors


class Splitting(eqx.Module):
    """Douglas-Rachford steps for $\\min \\frac12 |x - y|^2$ with $M z = r$, $l \\le z \\le u$, $z = (x, w)$.

    In equilibrated unknowns $z = D \\hat z$: with the projection $\\hat z = \\mathrm{clip}(s)$ and the nearest solution
    $\\hat t$ of the equations, $s \\leftarrow s + \\alpha (\\hat t - \\hat z)$.

    References: Lions and Mercier, SIAM J. Numer. Anal. 16, 964 (1979); Ruiz, A scaling algorithm to equilibrate both
    rows and columns norms in matrices, RAL-TR-2001-034, for $D$.
    """

    matrix: jax.Array
    right: jax.Array
    low: jax.Array
    high: jax.Array
    point: jax.Array
    scales: jax.Array
    curvature: jax.Array
    weights: jax.Array
    length: jax.Array
    factors: _Factors

    @classmethod
    def of(cls, matrix, right, low, high, point, free):
        """Of equations `(m, n + p)`, bounds `(n + p,)`, and a point; `free` is 1 for $x$ and 0 for $w$."""
        rows, scales = equilibration(matrix)
        curvature = free * scales**2
        length = jnp.exp(-jnp.sum(jnp.where(free > 0, jnp.log(scales**2), 0)) / jnp.sum(free))
        weights = curvature + 1 / length
        matrix = rows[:, None] * matrix * scales
        return cls(matrix, rows * right, low / scales, high / scales, point / scales, scales, curvature, weights,
                   length, _Factors.of(matrix, weights))  # fmt: skip

    def clipped(self, s: jax.Array) -> jax.Array:
        """$\\hat z$."""
        return jnp.clip(s, self.low, self.high)

    def change(self, s: jax.Array) -> jax.Array:
        """$\\hat t - \\hat z$, which vanishes at the solution."""
        inside = self.clipped(s)
        toward = (self.curvature * self.point + (2 * inside - s) / self.length) / self.weights
        part = self.factors.scales * (self.right - self.matrix @ toward)
        part = self.factors.basis @ (self.factors.inverse * (self.factors.left.T @ part))
        return toward + part / jnp.sqrt(self.weights) - inside

    def residual(self, s: jax.Array, change: jax.Array) -> jax.Array:
        """The largest entry of $t - z$ beside that of $z$, in unknowns that are not scaled."""
        return jnp.max(jnp.abs(self.scales * change)) / (1 + jnp.max(jnp.abs(self.scales * self.clipped(s))))

    def start(self, solution: jax.Array, multipliers: jax.Array) -> jax.Array:
        """The fixed point that belongs to a solution and the multipliers of its bounds."""
        return solution / self.scales + self.length * self.scales * multipliers

    def impossible(self, change: jax.Array) -> jax.Array:
        """Whether a change separates the equations from the bounds, which proves that there is no solution.

        $v = M^T a$ is constant on all solutions of the equations; if it exceeds there what it reaches between the
        bounds, the two do not meet.
        """
        part = self.factors.left.T @ (self.factors.scales * (self.matrix @ change))
        normal = self.factors.basis @ (self.factors.inverse * part) * jnp.sqrt(self.weights)
        wild = jnp.isinf(jnp.where(normal > 0, self.high, self.low)) & (normal != 0)
        part = self.factors.left.T @ (self.factors.scales * self.right)
        solution = self.factors.basis @ (self.factors.inverse * part) / jnp.sqrt(self.weights)
        reach = jnp.where(normal > 0, self.high, self.low)
        reach = jnp.where(jnp.isinf(reach), solution, reach)
        size = norm(normal)
        ahead = normal @ (solution - reach)
        slight = 1e-6 * size
        noise = 1e2 * jnp.finfo(size.dtype).eps * size * (norm(solution) + norm(reach))
        harmless = jnp.all(jnp.where(wild, jnp.abs(normal), 0) <= slight)
        return (size > 0) & harmless & (ahead > noise + 1e-6 * size * norm(change))


def equilibration(matrix: jax.Array, sweeps: int = 10) -> tuple[jax.Array, jax.Array]:
    """Scales of rows and columns after which the largest entry of each is close to 1; 1 where all are zero."""

    def sweep(scales, _):
        rows, columns = scales
        scaled = jnp.abs(rows[:, None] * matrix * columns)
        of = lambda largest: 1 / jnp.sqrt(jnp.where(largest > 0, largest, 1))
        return (rows * of(jnp.max(scaled, 1)), columns * of(jnp.max(scaled, 0))), None

    lengths = row_lengths(matrix)  # first, so that the scales of rows do not reach the columns
    start = 1 / jnp.where(lengths > 0, lengths, 1), jnp.ones_like(matrix[0])
    return lax.scan(sweep, alike(start, matrix), None, sweeps)[0]
