"""Gaussian predictions conditioned on linear equations."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...norms import lengths, power_of_two
from ...optimize import OnFailure, SolveStatus
from ._outcome import after, status_of, thawed


class Conditioned(eqx.Module):
    """A Gaussian after conditioning, with what is known of it.

    - `mean`: shape `(n,)`.
    - `root`: $F$ with $\\tilde\\Sigma = F F^T$, as a product $F = L\\,[I - Q Q^T, \\; Q C]$ of parts: `L` of shape
        `(n, n)`, or `(n,)` for a diagonal; `Q` of shape `(n, m)` and `C` of shape `(m, m)`.
    - `status`: a `SolveStatus`.
    - `residual`: of the equations for the mean and the noise, the largest, relative to the size of their terms.
    """

    mean: jax.Array
    root: tuple[jax.Array, jax.Array, jax.Array]
    status: SolveStatus
    residual: jax.Array

    @property
    def succeeded(self) -> jax.Array:
        """Whether the equations are met as they should be, a boolean."""
        return self.status == SolveStatus.converged

    @property
    def covariance(self) -> jax.Array:
        """$\\tilde\\Sigma$, shape `(n, n)`: symmetric and positive semidefinite by its form."""
        left, kept, noise = self.root
        parts = jnp.concatenate([jnp.eye(len(kept), dtype=kept.dtype) - kept @ kept.T, kept @ noise], 1)
        factor = _times(left, parts)
        return factor @ factor.T

    @property
    def variance(self) -> jax.Array:
        """The diagonal of $\\tilde\\Sigma$, shape `(n,)`, without forming the rest for a diagonal $\\Sigma$."""
        left, kept, noise = self.root
        if left.ndim == 2:
            return jnp.diagonal(self.covariance)
        squares = jnp.sum(kept**2, 1)
        own = 1 - 2 * squares + jnp.sum((kept @ (kept.T @ kept)) * kept, 1) + jnp.sum((kept @ noise) ** 2, 1)
        return left**2 * jnp.maximum(own, 0)


class GaussianConditioning(eqx.Module):
    """A Gaussian prediction conditioned on $G u = b + \\epsilon$ with $\\epsilon \\sim N(0, \\sigma^2)$.

    $$\\tilde\\mu = \\mu + K (b - G\\mu), \\qquad \\tilde\\Sigma = \\Sigma - K G \\Sigma, \\qquad
    K = \\Sigma G^T (G \\Sigma G^T + \\sigma^2 I)^{-1}$$

    Uncertain values are moved more than certain ones, where a projection moves all alike. With $\\Sigma = L L^T$ it is
    found from the orthogonal factorization of $L^T G^T$ above $\\sigma I$, so that neither $G \\Sigma G^T$ nor its
    inverse is formed and $\\tilde\\Sigma$ stays positive semidefinite. Without noise $G\\tilde\\mu = b$ holds to
    rounding, and nothing is uncertain about it.

    **Arguments:**

    - `matrix`: $G$, shape `(m, n)`, such as `Quadrature.weights` for a mass. Rows that say the same are fine.
    - `values`: $b$, shape `(m,)`.
    - `noise`: $\\sigma \\ge 0$, a number or one for each row.
    - `on_failure`: what happens to the mean where equations without noise contradict each other, or $\\Sigma$ is not
        positive semidefinite.

    Reference: Hansen, Maddix, Alizadeh, Gupta and Mahoney, Learning physical models that can respect conservation laws,
    ICML 2023 (arXiv 2302.11002), section 3; Björck, Numerical Methods for Least Squares Problems (1996), section 4.2.
    """

    matrix: Any
    values: Any = None
    noise: Any = 0.0
    on_failure: OnFailure = eqx.field(static=True, default=OnFailure.RAISE)

    @property
    def complete(self) -> bool:
        """Whether there are values to condition on."""
        return self.values is not None

    def of(self, mean: jax.Array) -> "GaussianConditioning":
        """The same equations, with the values $G u$ that a state has."""
        return dataclasses.replace(self, values=jnp.asarray(thawed(self.matrix), mean.dtype) @ mean)

    def __call__(self, mean: jax.Array, covariance: jax.Array) -> Conditioned:
        """Condition a Gaussian.

        **Arguments:**

        - `mean`: $\\mu$, shape `(n,)`.
        - `covariance`: $\\Sigma$, shape `(n, n)`, positive semidefinite; or its diagonal, shape `(n,)`. The Cholesky
            factor of a matrix is that of $\\Sigma$ plus some roundings of its largest entry.

        **Raises:** `ValueError` for missing values and shapes that do not fit.
        """
        matrix, values, noise = self._checked(mean, covariance)
        left = _root(covariance.astype(mean.dtype))
        rows = _times(left, matrix.T) if left.ndim == 1 else left.T @ matrix.T  # L^T G^T, one column per equation
        # Every equation in a unit of its own, near the deviation of what it says.
        units = power_of_two(jnp.maximum(lengths(rows, 0), noise))
        rows, matrix, values, noise = rows / units, matrix / units[:, None], values / units, noise / units
        sizes = jnp.sum(rows**2, 0)
        # Noise of the size of rounding lets equations that depend on each other pass; the sweeps below remove it.
        floor = jnp.sqrt(noise**2 + jnp.finfo(mean.dtype).eps * jnp.where(sizes > 0, sizes, 1))
        scales = 1 / jnp.sqrt(sizes + floor**2)
        orthogonal, triangle = jnp.linalg.qr(jnp.concatenate([rows, jnp.diag(floor)]) * scales)
        kept, below = orthogonal[: len(rows)], orthogonal[len(rows) :]
        moved, multipliers = mean, jnp.zeros_like(values)
        for _ in range(3):
            left_over = scales * (values - matrix @ moved - noise**2 * multipliers)
            part = jax.scipy.linalg.solve_triangular(triangle, left_over, trans=1)
            moved = moved + _times(left, kept @ part)
            multipliers = multipliers + scales * jax.scipy.linalg.solve_triangular(triangle, part)
        violation = jnp.abs(values - matrix @ moved - noise**2 * multipliers)
        bulk = jnp.abs(matrix) @ jnp.abs(moved) + jnp.abs(values)
        violation = jax.lax.stop_gradient(jnp.max(violation / jnp.where(bulk > 0, bulk, 1)))
        met = violation <= 1e3 * jnp.finfo(mean.dtype).eps
        status = status_of(met, jnp.isfinite(violation), SolveStatus.infeasible)
        # The noise is part of the covariance only as far as it is the caller's.
        share = noise / floor
        return Conditioned(
            after(moved, status, self.on_failure, _FAILED), (left, kept, below.T * share), status, violation
        )

    def _checked(self, mean, covariance):
        if self.values is None:
            raise ValueError("GaussianConditioning: there are no `values` to condition on; give them, or take those of "
                             "a state with `of`.")  # fmt: skip
        matrix = jnp.asarray(thawed(self.matrix), mean.dtype)
        values = jnp.asarray(thawed(self.values), mean.dtype)
        if mean.ndim != 1 or matrix.shape != (*values.shape, len(mean)) or values.ndim != 1:
            raise ValueError("GaussianConditioning: a mean of shape (n,), a `matrix` of shape (m, n) and `values` of "
                             f"shape (m,) go together; got {mean.shape}, {matrix.shape}, {values.shape}.")  # fmt: skip
        if covariance.shape not in (mean.shape, (len(mean), len(mean))):
            raise ValueError(f"GaussianConditioning: the covariance is (n, n) or its diagonal (n,) with n = {len(mean)}"
                             f"; got {covariance.shape}.")  # fmt: skip
        noise = jnp.broadcast_to(jnp.asarray(thawed(self.noise), mean.dtype), values.shape)
        if not isinstance(noise, jax.core.Tracer) and jnp.any(noise < 0):
            raise ValueError("GaussianConditioning: `noise` is a standard deviation of at least 0.")
        return matrix, values, noise


_FAILED = ("GaussianConditioning: the equations contradict each other, ask for changes where nothing is uncertain, or "
           "the covariance is not positive semidefinite; see `status`, `noise` and `on_failure`.")  # fmt: skip


def _root(covariance) -> jax.Array:
    """L with $\\Sigma = L L^T$."""
    if covariance.ndim == 1:
        positive = covariance > 0
        root = jnp.where(positive, jnp.sqrt(jnp.where(positive, covariance, 1)), 0)
        return jnp.where(covariance < 0, jnp.nan, root)
    rounding = 4 * len(covariance) * jnp.finfo(covariance.dtype).eps * jnp.max(jnp.diagonal(covariance))
    return jnp.linalg.cholesky(covariance + rounding * jnp.eye(len(covariance), dtype=covariance.dtype))


def _times(left, right) -> jax.Array:
    """L times a vector or matrix, for a matrix L or a diagonal one."""
    if left.ndim == 2:
        return left @ right
    return left * right if right.ndim == 1 else left[:, None] * right
