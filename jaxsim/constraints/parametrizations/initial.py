"""Fields that have initial values by construction."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ...optimize import frozen, number


class Lift(eqx.Module):
    """Initial values that go on in time: $U_0(t, x)$ with $U_0(t_0, x) = u_0(x)$.

    **Arguments:**

    - `function`: $U_0$, a callable of `(t, x, ...)`: the smoothing of a kink by diffusion, or the values inside a box
        that follow its walls.
    """

    function: Callable

    def __call__(self, t, *x) -> jax.Array:
        return self.function(t, *x)


class Saturating(eqx.Module):
    """A ramp that levels off, $s(\\tau) = T\\,(1 - e^{-\\tau / T})$: its slope is 1 at first.

    **Arguments:**

    - `scale`: $T$, a positive time.
    """

    scale: float = eqx.field(static=True)

    def __check_init__(self):
        if not self.scale > 0:
            raise ValueError(f"Saturating: `scale` must be positive, got {self.scale}.")

    def __call__(self, elapsed: jax.Array) -> jax.Array:
        return -self.scale * jnp.expm1(-elapsed / self.scale)


class FromInitial(eqx.Module):
    """A field with given initial values, $u(t, x) = u_0(x) + s(t - t_0)\\, N(t, x)$.

    With a `rate` $v_0$, for equations of second order in time, $u = u_0 + s\\, v_0 + s^2 N$. Where `initial` is a
    `Lift` it takes the place of $u_0$, and its own rate at $t_0$ is taken from $v_0$.

    **Arguments:**

    - `network`: $N$, a callable of `(t, x, ...)`.
    - `initial`: $u_0$, a function of `(x, ...)` with a value of the same shape, or a `Lift`. Arrays in it are trained
        unless it is a `jaxsim.optimize.Frozen`, such as the end of an earlier run.
    - `t0`: $t_0$; a number, or an array, which is not trained and compiles nothing anew when it changes.
    - `rate`: $v_0$, a function of `(x, ...)`.
    - `ramp`: $s$, a function of the elapsed time with $s(0) = 0$ and $s'(0) = 1$, such as `Saturating(1.0)`; the
        elapsed time itself by default.

    Conditions on a box go outside, `OnBox(FromInitial(network, u0), ...)`, and keep the initial values if these meet
    them; see `check_consistent`. Or a network that satisfies them with zeros goes inside, `FromInitial(OnBoundary(...),
    u0)`, with a `Lift` where boundary values change in time.

    **Raises:** `ValueError` where the network has boundary values other than zero: they would be added to those of the
    initial values.

    Reference: Lagaris, Likas and Fotiadis, IEEE Trans. Neural Netw. 9, 987 (1998), section III.
    """

    network: Callable
    initial: Callable
    t0: Any = eqx.field(converter=frozen, default=0.0)
    rate: Callable | None = None
    ramp: Callable | None = None

    def __check_init__(self):
        for name in ("network", "initial"):
            if not callable(getattr(self, name)):
                raise TypeError(f"FromInitial: `{name}` must be callable, got {type(getattr(self, name)).__name__}.")
        if self.rate is not None and not callable(self.rate):
            raise TypeError(f"FromInitial: `rate` is a function of (x, ...), got {type(self.rate).__name__}.")
        if getattr(self.network, "has_values", False):
            raise ValueError("FromInitial: boundary values of `network` would be added to those of `initial`. Write "
                             "OnBox(FromInitial(...), ...), or give it zeros, js.Dirichlet(0.0).")  # fmt: skip

    def __call__(self, t, *x) -> jax.Array:
        start = number(self.t0, t)
        ramp = t - start if self.ramp is None else self.ramp(t - start)
        lifted = isinstance(self.initial, Lift)
        value = jnp.asarray(self.initial(t, *x) if lifted else self.initial(*x))
        free = jnp.asarray(self.network(t, *x))
        if self.rate is None:
            return _like(free, value, "initial") + ramp * free
        rate = _like(free, jnp.asarray(self.rate(*x)), "rate")
        if lifted:
            moving = lambda time: jnp.asarray(self.initial(time, *x))
            rate = rate - jax.jvp(moving, (start,), (jnp.ones_like(start),))[1]
        return _like(free, value, "initial") + ramp * rate + ramp**2 * free


def _like(free, value, name):
    if free.shape != value.shape:
        raise ValueError(f"FromInitial: `{name}` gives values of shape {value.shape} and `network` of {free.shape}.")
    return value
