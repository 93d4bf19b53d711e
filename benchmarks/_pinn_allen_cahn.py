"""The Allen-Cahn equation from x^2 cos(pi x): a kink at the ends of the box, and walls that grow steep."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxsim as js
from jaxsim import optimize, pinn
from jaxsim.nets import MLP, Gaussians

DIFFUSIVITY, RATE = 1e-4, 5.0
EQUATION = js.equations.AllenCahn(DIFFUSIVITY, RATE)


def initial(x):
    return x**2 * jnp.cos(jnp.pi * x)


def smoothing(t, x):
    """What diffusion adds to the kink 2 |s| at the ends of the periodic box, s = 1 - |x|."""
    s, width = 1 - jnp.abs(x), jnp.sqrt(4 * DIFFUSIVITY * jnp.maximum(t, 1e-12))
    return 2 * (width / jnp.sqrt(jnp.pi) * jnp.exp(-((s / width) ** 2)) - s * jax.scipy.special.erfc(s / width))


def reacted(t, v):
    """The flow of the reaction, exactly: u_t = r (u - u^3) from v."""
    return v * jnp.exp(RATE * t) / jnp.sqrt(1 + v**2 * jnp.expm1(2 * RATE * t))


class Reacted(eqx.Module):
    """A network in what the reaction starts from: u = Phi_t(v0 + sqrt(D) t N), where v0 has the smoothed kink.

    N sees time, cos(pi x) and the wall that the reaction alone would make; it is even, as the problem is.
    """

    network: Callable

    def __call__(self, t, x):
        start = initial(x) + smoothing(t, x)
        free = self.network(jnp.stack([2 * t - 1, jnp.cos(jnp.pi * x), reacted(t, start)]))
        return reacted(t, start + DIFFUSIVITY**0.5 * t * free)


def perceptron(key) -> MLP:
    return MLP(3, "scalar", 16, 3, key=key)


def gaussians(key) -> Gaussians:
    return Gaussians(3, "scalar", 80, 4, 16, 1, key=key)


def reaction_built_in(key, network: Callable, method: optimize.AbstractMethod, *, points: int, steps: int, every: int):
    """Steps of a method at points that follow the residual."""
    first, scatter, draw = jax.random.split(key, 3)
    box = pinn.Box((0.0, 1.0), (-1.0,), (1.0,))
    rows = [pinn.collocation(EQUATION, box.sobol(points, scatter))]
    rules = [pinn.Resample(pinn.ResidualAdaptive(box, 8 * points), every=every)]
    return optimize.train(rows, Reacted(network(first)), method, steps, rules=rules, key=draw, every=every).model
