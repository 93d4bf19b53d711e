"""Variational problems: solutions as minima of an energy."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ..field import Field
from .collocation import field_at


class Energy(eqx.Module):
    """An energy $E = c \\sum_i w_i\\, e(u)(x_i) \\approx c \\int e(u)\\, dx$ that the solution of a stationary problem
    minimizes: a block of a loss that is no sum of squares.

    Only first derivatives are needed where the equation has second ones. It has minima under conditions on the
    boundary, which the field meets by construction (`jaxsim.constraints`); where it has no condition, the natural one
    holds in the minimum. Methods that take gradients train it; those that need squares, such as `LevenbergMarquardt`,
    refuse it. An energy may be negative, so a target for the loss says nothing.

    **Arguments:**

    - `density`: $e$, a function of a scalar or vector `js.Field` that returns a scalar one, written with the functions
        of `jaxsim`. `js.integral(density(u))` is the same energy for a field on a grid.
    - `samples`: $x_i$, shape `(n, dimensions)`.
    - `weight`: $w$, one for each point, as `Box.quadrature` gives them, or a number for all: the volume over `n` for
        points that are spread evenly. Few random points are an energy of their own, with minima that are none of $E$;
        take new ones as training goes on (`Resample`), or a quadrature that resolves the field.
    - `factor`: $c$, a number.
    - `field`: the callable `(x, ...)` in a model; the model itself by default.

    !!! example

        ```python
        points, weights = Box(None, (0.0, 0.0), (1.0, 1.0)).quadrature((20, 20))
        energy = Energy(lambda u: 0.5 * js.dot(js.grad(u), js.grad(u)) - u, points, weights)    # -laplacian(u) = 1
        ```

    Reference: E and Yu, The deep Ritz method, Commun. Math. Stat. 6, 1 (2018).
    """

    density: Callable[[Field], Field]
    samples: jax.Array
    weight: Any
    factor: Any = 1.0
    field: Callable[[Any], Callable] | None = None

    @property
    def count(self) -> int:
        """Number of points."""
        return self.samples.shape[0]

    def settled(self) -> "Energy":
        """The same block with arrays for all weights, as a compiled loop carries them.

        **Raises:** `ValueError` where points have no shape `(n, dimensions)`, or weights do not fit.
        """
        samples = jnp.asarray(self.samples)
        if samples.ndim != 2 or samples.shape[1] < 1:
            raise ValueError(f"Energy: points have shape (n, dimensions), got {samples.shape}.")
        if jnp.shape(self.weight) not in ((), samples.shape[:1]) or jnp.shape(self.factor) != ():
            raise ValueError(f"Energy: `weight` is a number or one for each of {len(samples)} points, and `factor` a "
                             f"number; got shapes {jnp.shape(self.weight)} and {jnp.shape(self.factor)}.")  # fmt: skip
        dtype = jnp.result_type(float, samples)
        weight = jnp.broadcast_to(jnp.asarray(self.weight, dtype), samples.shape[:1])
        return dataclasses.replace(self, samples=samples, weight=weight, factor=jnp.asarray(self.factor, dtype))

    def values(self, model: Any) -> jax.Array:
        """$e(u)$ at the points, shape `(n,)`."""

        def at(point):
            u, coordinates = field_at(model, self.field, point, stationary=True)
            value = self.density(u)(*coordinates)
            if value.shape != () or jnp.iscomplexobj(value):
                raise ValueError(f"Energy: `density` returns a real scalar field, got {value.dtype}{value.shape}.")
            return value

        return jax.vmap(at)(self.samples)

    def loss(self, model: Any) -> jax.Array:
        """The energy, a scalar."""
        values = self.values(model)
        weight = lax.stop_gradient(jnp.asarray(self.weight, values.dtype) * jnp.asarray(self.factor, values.dtype))
        return jnp.sum(weight * values)
