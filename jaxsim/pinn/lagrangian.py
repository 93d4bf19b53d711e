"""Fields along moving labels, for problems in which convection dominates."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..equations import Equation
from ..field import Field
from ..optimize import Rows, frozen, number
from ..spaces import Callables

_BISECTIONS = 30
_POLISHING = 3  # Newton steps; each doubles the digits, and derivatives are right up to order 2**3 - 1


def _at_rest(t, xi):
    return xi


class Lagrangian(eqx.Module):
    """A field that is carried along, $u(t, X(t, \\xi)) = U(t, \\xi)$ with $X = \\xi + (t - t_0)\\, D(t, \\xi)$.

    A label $\\xi$ is where a point was at $t_0$. Where $X_t$ is the velocity of an equation, convection is solved by
    the motion of the labels, and $U$ changes by what is left: for pure convection $D$ is the velocity and $U$ the
    initial values, however fast it is.

    **Arguments:**

    - `values`: $U$, a callable of `(t, xi)`, such as a `jaxsim.constraints.FromInitial`.
    - `displacement`: $D$, a callable of `(t, xi)` with scalar values, of period `period` in $\\xi$, such as an
        `Embedded` network: it can be constant, so that labels may go around the box any number of times.
    - `period`: length of the periodic axis.
    - `t0`: $t_0$; a number, or an array, which is not trained.
    - `labels`: at how many labels their order is looked at, at each time that the field is called.

    Called at `(t, x)` it finds the label there, by bisection and Newton steps, and returns its value; derivatives with
    respect to everything are right up to the seventh. There is one spatial axis, and it is periodic (*convenience*).

    **Raises:** (when called) an equinox run-time error at times when labels have crossed, $X_\\xi \\le 0$ at one of
    them: several values would meet at one place. `check` looks for that beforehand.

    Reference: Mojgani, Balajewicz and Hassanzadeh, Kolmogorov n-width and Lagrangian physics-informed neural networks:
    a causality-conforming manifold for convection-dominated PDEs, Comput. Methods Appl. Mech. Eng. 404, 115810 (2023).
    Its labels and values share a network that is periodic, and its diffusion lacks the metric $X_\\xi$.
    """

    values: Callable
    displacement: Callable
    period: float = eqx.field(static=True)
    t0: Any = eqx.field(converter=frozen, default=0.0)
    labels: int = eqx.field(static=True, default=128)

    def __check_init__(self):
        if not self.period > 0:
            raise ValueError(f"Lagrangian: `period` must be positive, got {self.period}.")

    def position(self, t, xi) -> jax.Array:
        """$X(t, \\xi)$, the place of a label; it may lie outside of the box by any number of periods."""
        moved = jnp.asarray(self.displacement(t, xi))
        if moved.shape:
            raise ValueError(f"Lagrangian: `displacement` must be scalar, its values have shape {moved.shape}.")
        return xi + (t - number(self.t0, t)) * moved

    def stretch(self, t, xi) -> jax.Array:
        """$X_\\xi$, the distance of neighboring labels over that at $t_0$: positive where they keep their order."""
        return _slope(lambda label: self.position(t, label), xi)

    def label(self, t, x, guess: Any = None) -> jax.Array:
        """$\\xi$ with $X(t, \\xi) = x$.

        **Arguments:**

        - `t`, `x`: time and place.
        - `guess`: a label near the one sought, known beforehand: spares the bisection.
        """
        t, x = (jnp.asarray(value, jnp.result_type(float, t, x)) for value in (t, x))
        label = lax.stop_gradient(self._bisected(*map(lax.stop_gradient, (t, x))) if guess is None else guess)
        for _ in range(_POLISHING):
            place, stretch = _with_slope(lambda xi: self.position(t, xi), label)
            label = label - (place - x) / stretch
        return label

    def _bisected(self, t, x):
        """The label of a place next to rounding: displacements of labels in order differ by less than a period."""
        model = self._fixed()
        center = 2 * x - model.position(t, x)

        def halve(_, ends):
            low, high = ends
            middle = (low + high) / 2
            beyond = model.position(t, middle) > x
            return jnp.where(beyond, low, middle), jnp.where(beyond, middle, high)

        ends = center - self.period, center + self.period
        return sum(lax.fori_loop(0, _BISECTIONS, halve, ends)) / 2

    def _fixed(self):
        return jax.tree.map(lambda leaf: lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, self)

    def _stretches(self, t):
        """$X_\\xi$ at labels all around the box."""
        xi = jnp.asarray(self.period * np.arange(self.labels) / self.labels, jnp.result_type(float, t))
        return jax.vmap(self.stretch, (None, 0))(t, xi)

    def __call__(self, t, x) -> jax.Array:
        xi = self.label(t, x)
        least = jnp.min(self._fixed()._stretches(lax.stop_gradient(jnp.asarray(t, jnp.result_type(float, t)))))
        xi = eqx.error_if(xi, ~(least > 0), "Lagrangian: labels have crossed, X_xi <= 0, and the field has several "
                          "values at a place. Stop before, or add diffusion.")  # fmt: skip
        return self.values(t, xi)

    def check(self, times: Sequence[float]) -> None:
        """Raise `ValueError` where labels have crossed at given times."""
        times = np.atleast_1d(np.asarray(times, float))
        stretch = np.asarray(jax.jit(jax.vmap(self._stretches))(times))
        if not np.all(stretch > 0):
            when, where = np.unravel_index(np.argmin(np.nan_to_num(stretch, nan=-np.inf)), stretch.shape)
            raise ValueError(
                f"Lagrangian: labels have crossed, X_xi = {stretch[when, where]:.3g} at t = {times[when]:.4g} and "
                f"xi = {self.period * where / self.labels:.4g}. The map has no inverse there; stop before, or add "
                "diffusion."
            )


class AlongLabels(Callables):
    """The space of callables of time and label, with the derivatives of time and place.

    $\\partial_x = X_\\xi^{-1}\\, \\partial_\\xi$ and $\\partial_t|_x = \\partial_t|_\\xi - X_t\\, \\partial_x$: an
    equation that is written in place is applied to what depends on labels as it is.

    - `position`: $X$, a callable of `(t, xi)`.
    """

    position: Callable = _at_rest

    def sample(self, function: Callable, t) -> Field:
        return Field(self, lambda t, xi: jnp.asarray(function(t, self.position(t, xi))))

    def partial(self, u: Field, axis: int, order: int) -> Field:
        if axis not in (0, -1):
            raise ValueError(f"axis {axis} does not exist: fields along labels have one spatial axis.")
        data = u.data
        for _ in range(order):
            data = _Across(data, self.position)
        return Field(self, data)

    def rate(self, u: Field) -> Field:
        return Field(self, _AtPlace(u.data, self.position))


class LagrangianResidual(eqx.Module):
    """What is left of an equation at a label, for a `Lagrangian` whose labels move with a velocity $c(t, x, u)$.

    Two rows: $X_t - c$, and the residual of the equation with the rate of change seen from a label that moves with
    $c$, $U_t - c\\,u_x$ in place of $u_t$. Convection cancels in it, whatever the labels do yet; where both rows vanish
    the equation holds. For $u_t + c u_x = \\nu u_{xx}$ the second row is
    $U_t - \\nu X_\\xi^{-1} \\partial_\\xi (X_\\xi^{-1} U_\\xi)$.

    **Arguments:**

    - `equation`: a scalar `js.Equation` with one spatial axis, or a function of the model that returns one.
    - `velocity`: $c$, a function of `(t, x, u)`.
    - `field`: the `Lagrangian` in a model; the model itself by default.
    """

    equation: Equation | Callable[[Any], Equation]
    velocity: Callable
    field: Callable[[Any], Lagrangian] | None = None

    def __call__(self, model: Any, point: jax.Array) -> jax.Array:
        equation = self.equation if isinstance(self.equation, Equation) else self.equation(model)
        lagrangian = model if self.field is None else self.field(model)
        if not isinstance(lagrangian, Lagrangian):
            raise TypeError(f"LagrangianResidual: the field must be a Lagrangian, got {type(lagrangian).__name__}.")
        t, xi = point
        place, motion = _with_slope(lambda time: lagrangian.position(time, xi), t)
        value, change = _with_slope(lambda time: lagrangian.values(time, xi), t)
        if value.shape:
            raise ValueError(f"LagrangianResidual: the field must be scalar, its values have shape {value.shape}.")
        u = Field(AlongLabels(1, (), lagrangian.position), lagrangian.values)
        velocity = self.velocity(t, place, value)
        gradient = u.space.partial(u, 0, 1)(t, xi)
        left = change - velocity * gradient - equation.right_hand_side(t, u)(t, xi)
        return jnp.stack([motion - velocity, left])


def along_labels(equation: Equation | Callable[[Any], Equation], velocity: Callable, points: jax.Array,
                 weight: Any = 1.0, field: Callable[[Any], Lagrangian] | None = None) -> Rows:  # fmt: skip
    """The residual of an equation at moving labels, as a block of rows; see `LagrangianResidual`.

    **Arguments:**

    - `equation`, `velocity`, `field`: as those of `LagrangianResidual`.
    - `points`: times and labels, shape `(n, 2)`.
    - `weight`: of the squares, a number or one for each point.

    !!! example

        ```python
        block = along_labels(js.equations.Burgers(0.01), lambda t, x, u: u, points)
        ```
    """
    points = jnp.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"along_labels: points have shape (n, 2), times and labels; got {points.shape}.")
    return Rows(LagrangianResidual(equation, velocity, field), points, weight)


class _Across(eqx.Module):
    """Derivative with respect to place at constant time."""

    child: Callable
    position: Callable

    def __call__(self, t, xi):
        return _slope(lambda label: self.child(t, label), xi) / _slope(lambda label: self.position(t, label), xi)


class _AtPlace(eqx.Module):
    """Derivative with respect to time at constant place."""

    child: Callable
    position: Callable

    def __call__(self, t, xi):
        motion = _slope(lambda time: self.position(time, xi), t)
        return _slope(lambda time: self.child(time, xi), t) - motion * _Across(self.child, self.position)(t, xi)


def _with_slope(function, argument):
    argument = jnp.asarray(argument, jnp.result_type(float, argument))
    return jax.jvp(lambda value: jnp.asarray(function(value)), (argument,), (jnp.ones_like(argument),))


def _slope(function, argument):
    return _with_slope(function, argument)[1]
