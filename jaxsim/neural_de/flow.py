"""Continuous normalizing flows."""

import abc
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ._times import check_slope, floating, precision
from .effort import Effort
from .integrator import Integrator


class AbstractTrace(eqx.Module):
    """How the divergence of a vector field is found."""

    @abc.abstractmethod
    def noise(self, key: jax.Array | None, y: jax.Array) -> jax.Array | None:
        """What is drawn once per solve."""

    @abc.abstractmethod
    def __call__(self, f: Callable, y: jax.Array, noise: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """The slope `f(y)`, and the trace of its Jacobian."""


class ExactTrace(AbstractTrace):
    """The divergence itself, $\\sum_i \\partial f_i / \\partial y_i$, by a product with the Jacobian per component."""

    def noise(self, key: jax.Array | None, y: jax.Array) -> None:
        return None

    def __call__(self, f: Callable, y: jax.Array, noise: None) -> tuple[jax.Array, jax.Array]:
        slope, along = jax.linearize(f, y)
        jacobian = jax.vmap(along)(jnp.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape))
        return slope, jnp.trace(jacobian.reshape(y.size, y.size))


class HutchinsonTrace(AbstractTrace):
    """An unbiased estimate of the divergence, $\\mathrm{tr} J \\approx \\epsilon^T J \\epsilon$.

    The noise $\\epsilon$ is drawn once and held fixed during a solve, so that the dynamics are deterministic and
    adaptive steps make sense. The estimate of a log-density is unbiased, that of a density is not.

    **Arguments:**

    - `samples`: number of probes, whose mean is taken; each costs one product with the Jacobian.
    - `draw`: the distribution of $\\epsilon$, of mean zero and unit covariance: `jax.random.rademacher` (the least
        variance) or `jax.random.normal`.

    Reference: Hutchinson, Commun. Stat. Simul. Comput. 19, 433 (1990); Grathwohl et al., ICLR 2019 (arXiv 1810.01367),
    equation 8.
    """

    samples: int = eqx.field(static=True, default=1)
    draw: Callable = eqx.field(static=True, default=jax.random.rademacher)

    def __check_init__(self):
        if self.samples < 1:
            raise ValueError(f"HutchinsonTrace: `samples` is at least 1, got {self.samples}.")

    def noise(self, key: jax.Array | None, y: jax.Array) -> jax.Array:
        if key is None:
            raise ValueError("HutchinsonTrace: the estimate draws random probes: give a `key`.")
        return self.draw(key, (self.samples, *y.shape), dtype=y.dtype)

    def __call__(self, f: Callable, y: jax.Array, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
        if self.samples == 1:
            slope, product = jax.jvp(f, (y,), (noise[0],))
            return slope, jnp.sum(noise[0] * product)
        slope, along = jax.linearize(f, y)
        return slope, jnp.sum(noise * jax.vmap(along)(noise)) / self.samples


class ConcatSquash(eqx.Module):
    """A layer gated by time, $y \\mapsto (W y + b) \\odot \\sigma(w_t t + b_t) + v_t t$.

    **Arguments:** `inputs` and `outputs` count components; `dtype` is that of the weights, which `key` draws.

    Reference: Grathwohl et al., ICLR 2019 (arXiv 1810.01367), released code.
    """

    linear: eqx.nn.Linear
    gate: eqx.nn.Linear
    shift: eqx.nn.Linear

    def __init__(self, inputs: int, outputs: int, *, dtype=None, key: jax.Array):
        keys = jax.random.split(key, 3)
        self.linear = eqx.nn.Linear(inputs, outputs, dtype=dtype, key=keys[0])
        self.gate = eqx.nn.Linear(1, outputs, dtype=dtype, key=keys[1])
        self.shift = eqx.nn.Linear(1, outputs, use_bias=False, dtype=dtype, key=keys[2])

    def __call__(self, t, y: jax.Array) -> jax.Array:
        t = jnp.asarray(t, y.dtype)[None]
        return self.linear(y) * jax.nn.sigmoid(self.gate(t)) + self.shift(t)


class ConcatSquashMLP(eqx.Module):
    """A vector field of `ConcatSquash` layers, `f(t, y, args)` with shape `(size,)`; `args` are ignored.

    **Arguments:**

    - `size`: number of components of $y$.
    - `width`, `depth`: of the hidden layers.
    - `activation`: between layers, smooth.
    - `dtype`: of the weights; `key` draws them.
    """

    layers: tuple[ConcatSquash, ...]
    activation: Callable = eqx.field(static=True)

    def __init__(self, size: int, width: int, depth: int, *, activation: Callable = jax.nn.tanh, dtype=None,
                 key: jax.Array):  # fmt: skip
        sizes = [size, *[width] * depth, size]
        keys = jax.random.split(key, depth + 1)
        self.layers = tuple(ConcatSquash(a, b, dtype=dtype, key=k) for a, b, k in zip(sizes[:-1], sizes[1:], keys))
        self.activation = activation

    def __call__(self, t, y: jax.Array, args: Any = None) -> jax.Array:
        for layer in self.layers[:-1]:
            y = self.activation(layer(t, y))
        return self.layers[-1](t, y)


class _WithTrace(eqx.Module):
    """The vector field of a state and of the logarithm of how much the flow expands volume around it."""

    vector_field: Callable
    trace: AbstractTrace

    def __call__(self, t, state, args):
        args, noise = args
        return self.trace(lambda y: self.vector_field(t, y, args), state[0], noise)


class ContinuousNormalizingFlow(eqx.Module):
    """A probability density carried by a learned flow.

    The flow $\\dot y = f(t, y)$ takes $z \\sim N(0, I)$ at $t = 0$ to data $x$ at $t = t_1$, and
    $$\\log p(x) = \\log N(z; 0, I) - \\int_0^{t_1} \\mathrm{tr} \\frac{\\partial f}{\\partial y} dt.$$

    The integral is a second part of the state, the pytree `(y, logarithm)`. Both parts count in the error norm and so
    in penalties: the default norm is the root mean square of all `size + 1` numbers. A norm of the controller that
    looks at `state[0]` alone ignores the error of the logarithm, for states of another structure too: `sample` solves
    for `(y,)` alone.

    **Arguments:**

    - `vector_field`: `f(t, y, args)`, such as a `ConcatSquashMLP`.
    - `size`: number of components of $y$.
    - `integrator`: an `Integrator`.
    - `trace`: `ExactTrace()` or `HutchinsonTrace()`.
    - `t1`: length of the flow, positive.

    Calling the model is `log_prob`.

    Reference: Grathwohl, Chen, Bettencourt, Sutskever and Duvenaud, ICLR 2019 (arXiv 1810.01367), equations 2 and 4.
    """

    vector_field: Callable
    size: int = eqx.field(static=True)
    integrator: Integrator = eqx.field(default_factory=Integrator)
    trace: AbstractTrace = ExactTrace()
    t1: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        if not self.t1 > 0:
            raise ValueError(f"ContinuousNormalizingFlow: `t1` must be positive, got {self.t1}.")

    def __call__(self, x: jax.Array, *, args: Any = None, key: jax.Array | None = None) -> tuple[jax.Array, Effort]:
        """As `log_prob`."""
        return self.log_prob(x, args=args, key=key)

    def log_prob(self, x: jax.Array, *, args: Any = None, key: jax.Array | None = None) -> tuple[jax.Array, Effort]:
        """The logarithm of the density at `x` of shape `(size,)`, a scalar; and the effort.

        `key` is for `HutchinsonTrace` and for regularizers that draw random times.
        """
        (z, change), effort = self.inverse(x, args=args, key=key)
        return log_normal(z) + change, effort

    def sample(self, key: jax.Array, *, args: Any = None, dtype=None) -> tuple[jax.Array, Effort]:
        """A draw of shape `(size,)`, and the effort; the trace is not evaluated."""
        draw, regularize = jax.random.split(key)
        z = jax.random.normal(draw, (self.size,), jnp.result_type(float) if dtype is None else dtype)
        t0, t1 = (jnp.asarray(t, z.dtype) for t in (0.0, self.t1))
        check_slope(self.vector_field, t0, z, args, "ContinuousNormalizingFlow")
        term = dfx.ODETerm(_Alone(self.vector_field))
        solution, effort = self.integrator(term, t0, t1, (z,), args=args, key=regularize)
        return solution.ys[0][0], effort

    def forward(self, z: jax.Array, *, args: Any = None,
                key: jax.Array | None = None) -> tuple[tuple[jax.Array, jax.Array], Effort]:  # fmt: skip
        """From the normal distribution to data: `(x, log |det dx/dz|)`, and the effort."""
        return self._carry(z, 0.0, self.t1, args, key)

    def inverse(self, x: jax.Array, *, args: Any = None,
                key: jax.Array | None = None) -> tuple[tuple[jax.Array, jax.Array], Effort]:  # fmt: skip
        """From data to the normal distribution: `(z, log |det dz/dx|)`, and the effort."""
        return self._carry(x, self.t1, 0.0, args, key)

    def _carry(self, y, t0, t1, args, key):
        y = floating(y)
        if y.shape != (self.size,):
            raise ValueError(f"ContinuousNormalizingFlow: a point has shape ({self.size},), got {y.shape}; jax.vmap "
                             "takes batches.")  # fmt: skip
        dtype = precision(y)
        t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
        check_slope(self.vector_field, t0, y, args, "ContinuousNormalizingFlow")
        probes, regularize = (None, None) if key is None else jax.random.split(key)
        noise = self.trace.noise(probes, y)
        term = dfx.ODETerm(_WithTrace(self.vector_field, self.trace))
        start = y, jnp.zeros((), dtype)
        solution, effort = self.integrator(term, t0, t1, start, args=(args, noise), key=regularize)
        return jax.tree.map(lambda a: a[0], solution.ys), effort


class _Alone(eqx.Module):
    """A vector field of the state in a tuple of one."""

    vector_field: Callable

    def __call__(self, t, state, args):
        return (self.vector_field(t, state[0], args),)


def log_normal(z: jax.Array) -> jax.Array:
    """The logarithm of the standard normal density at `z`, summed over components."""
    return -0.5 * jnp.sum(z**2 + jnp.log(2 * jnp.pi))
