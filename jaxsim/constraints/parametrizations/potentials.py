"""Fields that are derivatives of potentials, and so obey a conservation law by construction."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import Frozen, frozen, number
from ._derivatives import derivative


class Solenoidal(eqx.Module):
    """A velocity without divergence, $u_i = U_i + \\sum_j \\partial_j A_{ij}$ with $A_{ij} = -A_{ji}$.

    In the plane $A_{12} = \\psi$ is the stream function, $u = (\\psi_y, -\\psi_x)$; in three dimensions
    $u = \\nabla \\times a$.

    **Arguments:**

    - `potential`: a callable of `(t, x, ...)` with a value of shape `()` in the plane, the vector potential `(3,)` in
        three dimensions, and `(n (n - 1) / 2,)` above: $A_{ij}$ for $i < j$, row by row. Periodic potentials make
        periodic velocities.
    - `mean`: $U$, one number per axis or a callable of time: the mean flow of a periodic velocity.

    Reference: Richter-Powell, Lipman and Chen, Neural conservation laws: a divergence-free perspective, NeurIPS 2022
    (arXiv 2210.01741), section 2.
    """

    potential: Callable
    mean: Any = eqx.field(converter=frozen, default=None)

    def __call__(self, t, *x) -> jax.Array:
        flow = _row_divergences(self.potential, (t, *x), tuple(range(1, len(x) + 1)), "Solenoidal")
        return flow if self.mean is None else flow + _mean(self.mean, t, flow, "Solenoidal")


class Conserved(eqx.Module):
    """A density and its flux, $\\rho_t + \\nabla\\cdot m = 0$: a field without divergence in space and time.

    **Arguments:**

    - `potential`: as for `Solenoidal`, with time as the first of $n$ axes: shape `()` for one spatial axis, `(3,)` for
        two, `(6,)` for three.
    - `mean`: a density and flux that are added, `1 + dimensions` numbers, such as the mean density.

    **Returns:** (when called) shape `(1 + dimensions,)`: $\\rho$ and then $m$; the velocity is $m / \\rho$.

    Reference: Richter-Powell, Lipman and Chen, NeurIPS 2022 (arXiv 2210.01741), section 2.
    """

    potential: Callable
    mean: Any = eqx.field(converter=frozen, default=None)

    def __call__(self, t, *x) -> jax.Array:
        flow = _row_divergences(self.potential, (t, *x), tuple(range(len(x) + 1)), "Conserved")
        return flow if self.mean is None else flow + _mean(self.mean, t, flow, "Conserved")


class Gradient(eqx.Module):
    """A field without curl, $u = \\nabla \\phi$.

    **Arguments:**

    - `potential`: $\\phi$, a callable of `(t, x, ...)` with scalar values.
    """

    potential: Callable

    def __call__(self, t, *x) -> jax.Array:
        slopes = [derivative(self.potential, (t, *x), 1 + axis) for axis in range(len(x))]
        if slopes[0].shape:
            raise ValueError(f"Gradient: `potential` must be scalar, it has values of shape {slopes[0].shape}.")
        return jnp.stack(slopes)


class MeanFree(eqx.Module):
    """A scalar without mean on a periodic box, $u = \\nabla\\cdot F$.

    As the network of `FromInitial` it leaves the mean of the initial values as it is at all times.

    **Arguments:**

    - `flux`: $F$, a callable of `(t, x, ...)`, periodic along every axis, with one component for each axis; for one
        axis also a scalar.
    """

    flux: Callable

    def __call__(self, t, *x) -> jax.Array:
        slopes = [derivative(self.flux, (t, *x), 1 + axis) for axis in range(len(x))]
        if len(x) == 1 and slopes[0].shape == ():
            return slopes[0]
        if slopes[0].shape != (len(x),):
            raise ValueError(f"MeanFree: `flux` needs values of shape ({len(x)},), got {slopes[0].shape}.")
        return jnp.stack([slope[axis] for axis, slope in enumerate(slopes)]).sum()


def _row_divergences(potential, arguments, indices, name):
    """$\\sum_j \\partial_j A_{ij}$ over some of the arguments."""
    size = len(indices)
    if size < 2:
        raise ValueError(f"{name}: needs at least two axes to turn in; got {size}.")
    slopes = [derivative(potential, arguments, index) for index in indices]
    shape = () if size == 2 else (size * (size - 1) // 2,)
    if slopes[0].shape != shape:
        raise ValueError(f"{name}: `potential` needs values of shape {shape} for {size} axes; got {slopes[0].shape}.")
    rows: list[Any] = [0.0] * size
    for (i, j), (component, sign) in _entries(size).items():
        entry = lambda axis, c=component, s=sign: s * (slopes[axis] if c is None else slopes[axis][c])
        rows[i] = rows[i] + entry(j)
        rows[j] = rows[j] - entry(i)
    return jnp.stack(rows)


def _entries(size):
    """Component and sign of each entry above the diagonal."""
    if size == 2:
        return {(0, 1): (None, 1)}
    if size == 3:  # the components of the vector whose curl it is
        return {(0, 1): (2, 1), (0, 2): (1, -1), (1, 2): (0, 1)}
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    return {pair: (c, 1) for c, pair in enumerate(pairs)}


def _mean(mean, t, flow, name):
    plain = isinstance(mean, Frozen) and eqx.is_array(mean.value)
    value = jnp.asarray(mean(t)) if callable(mean) and not plain else number(mean, flow)
    if value.shape != flow.shape:
        raise ValueError(f"{name}: `mean` needs {flow.shape[0]} numbers; got shape {value.shape}.")
    return value
