"""Equations tested by functions with small supports, as rows of a least-squares problem."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..calculus import stack
from ..equations import DivergenceForm, Equation, is_field
from ..field import Field
from ..optimize import Rows
from .collocation import Residual, equation_of, field_at


class Patches(eqx.Module):
    """Small boxes with a test function each, and their quadrature.

    $$\\varphi_c(x) = \\frac{1}{Z} \\prod_i (1 - s_i^2)^p, \\qquad s_i = \\frac{x_i - c_i}{R_i} \\in [-1, 1]$$

    and zero outside, with $Z$ such that the integral is 1. A product of Gauss-Gegenbauer rules with $q$ nodes per axis
    integrates $\\varphi g$ exactly for polynomials $g$ of degree up to $2q - 3$ in each coordinate, and derivatives of
    $\\varphi$ times $g$ for degrees up to $2q - 2$.

    **Arguments:**

    - `centers`: $c$, shape `(n, size)`, in the order of the coordinates, time first. `box.shrunk(radius).sobol(n)`
        gives such whose patches lie inside of a `Box`. Patches may overlap.
    - `radius`: $R$, a number or one per coordinate.
    - `power`: $p \\ge 1$; $\\varphi$ has $p - 1$ continuous derivatives.
    - `nodes`: $q \\ge 2$; $q^{size}$ evaluations per patch.
    """

    centers: jax.Array
    offsets: jax.Array
    values: jax.Array
    slopes: jax.Array

    def __init__(self, centers: jax.Array, radius: Any, power: int = 2, nodes: int = 4):
        self.centers = jnp.asarray(centers)
        if self.centers.ndim != 2:
            raise ValueError(f"Patches: centers have shape (n, size), got {self.centers.shape}.")
        size = self.centers.shape[1]
        if power < 1 or nodes < 2:
            raise ValueError(f"Patches: `power` is at least 1 and `nodes` at least 2, got {power} and {nodes}.")
        radii = np.asarray(radius, float)
        if radii.shape not in ((), (size,)) or not np.all(radii > 0):
            raise ValueError(f"Patches: `radius` is a positive number, or one for each of {size} coordinates.")
        radii = np.broadcast_to(radii, (size,))
        s, w = gegenbauer(nodes, power - 1)
        product = lambda tables: np.prod(np.stack(np.meshgrid(*tables, indexing="ij"), -1), -1).ravel()
        phi, slope = w * (1 - s**2), -2 * power * w * s
        total = phi.sum() ** size
        dtype = self.centers.dtype
        grid = np.stack(np.meshgrid(*[s] * size, indexing="ij"), -1).reshape(-1, size)
        self.offsets = jnp.asarray(grid * radii, dtype)
        self.values = jnp.asarray(product([phi] * size) / total, dtype)
        slopes = [product([slope if j == i else phi for j in range(size)]) / (radii[i] * total) for i in range(size)]
        self.slopes = jnp.asarray(np.stack(slopes, -1), dtype)

    def integrals(self, function: Callable[[jax.Array], jax.Array], center: jax.Array) -> tuple[jax.Array, jax.Array]:
        """$\\int \\varphi_c\\, g\\,dx$, shaped like $g$, and $\\int \\nabla\\varphi_c\\, g\\,dx$, with one axis more.

        **Arguments:**

        - `function`: $g$ of a point, shape `(size,)`.
        - `center`: $c$, shape `(size,)`.
        """
        offsets, values, slopes = (a.astype(center.dtype) for a in (self.offsets, self.values, self.slopes))
        found = jax.vmap(function)(center + offsets)
        contract = lambda weights: jnp.tensordot(weights, found, axes=(0, 0), precision=lax.Precision.HIGHEST)
        return contract(values), contract(slopes)


class WeakResidual(eqx.Module):
    """The residual of an equation, tested by one function; made by `weak`."""

    equation: Equation | Callable[[Any], Equation]
    patches: Patches
    field: Callable[[Any], Callable] | None = None
    stationary: bool = eqx.field(static=True, default=False)

    def __call__(self, model: Any, center: jax.Array) -> jax.Array:
        """The integral, of the shape of the components."""
        equation = equation_of(self.equation, model)
        if not isinstance(equation, DivergenceForm):
            strong = Residual(equation, self.field, self.stationary)
            return self.patches.integrals(lambda point: strong(model, point), center)[0]

        def parts(point):
            u, coordinates = field_at(model, self.field, point, self.stationary)
            return _parts(equation, coordinates[0], u)(*coordinates)

        tested, by_slopes = self.patches.integrals(parts, center)
        axes = range(by_slopes.shape[0])
        skip = 1 if self.stationary else 0  # without time there is no slope along it, and no density
        return -tested[-1] - sum(by_slopes[i, i + skip] for i in axes)


def weak(equation: Equation | Callable[[Any], Equation], patches: Patches, weight: Any = 1.0,
         field: Callable[[Any], Callable] | None = None, stationary: bool = False) -> Rows:  # fmt: skip
    """The weak form of an equation: its residual tested by functions with small supports, as a block of rows.

    $$r_c = \\int \\varphi_c\\, \\big(u_t - L u - N(t, u)\\big)\\, dx\\,dt$$

    For a `js.equations.DivergenceForm` outer derivatives are moved to the test functions,

    $$r_c = -\\int \\varphi_{c,t}\\, q + \\nabla\\varphi_c\\cdot F + \\varphi_c\\, s \\;\\, dx\\,dt$$

    so that the field needs one order of derivatives less. Test functions have integral 1: rows are local means of the
    residual, in its units.

    **Arguments:**

    - `equation`, `field`, `stationary`: as those of `Residual`.
    - `patches`: test functions. Their supports must lie inside of the domain, or across a period of the field. The
        block's samples are their centers, so that rules such as `Resample(Sobol(box.shrunk(radius)))` move them.
    - `weight`: of the squares, a number or one for each test function.

    !!! example

        ```python
        radius = (0.1, 0.1)
        patches = Patches(box.shrunk(radius).sobol(512, key), radius)
        block = weak(js.equations.Poisson(source, conductivity), patches, stationary=True)
        ```

    Reference: Kharazmi, Zhang and Karniadakis, hp-VPINNs, Comput. Methods Appl. Mech. Eng. 374, 113547 (2021), with
    other test functions; Zang, Bao, Ye and Zhou, Weak adversarial networks, J. Comput. Phys. 411, 109409 (2020).
    """
    return Rows(WeakResidual(equation, patches, field, stationary), patches.centers, weight)


def gegenbauer(nodes: int, power: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the Gauss rule on $[-1, 1]$ for the weight $(1 - s^2)^a$, scaled to a sum of 1.

    By the eigenvectors of the matrix of the recurrence: Golub and Welsch, Math. Comput. 23, 221 (1969).
    """
    k = np.arange(1, nodes)
    off = np.sqrt(k * (k + 2 * power) / ((2 * k + 2 * power - 1) * (2 * k + 2 * power + 1)))
    values, vectors = np.linalg.eigh(np.diag(off, 1) + np.diag(off, -1))
    return values, vectors[0] ** 2


def _parts(equation: DivergenceForm, t, u: Field) -> Field:
    """Density, flux and supply as the components of one field, so that they are evaluated together."""
    flux, density, supply = equation.terms(t, u)
    dimension = u.space.dimension
    if flux.shape[:1] != (dimension,):
        raise ValueError(f"{type(equation).__name__}: `flux` has one leading component per axis ({dimension}), as "
                         f"js.grad and js.stack make it; got components {flux.shape}.")  # fmt: skip
    zero = 0 * flux[0]
    wrap = lambda part: zero if part is None else part if is_field(part) else zero + part
    return stack(wrap(density), *flux, wrap(supply))
