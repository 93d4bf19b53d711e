"""Three neural stochastic differential equations whose paths do not blow up: their networks have linear growth."""

from collections.abc import Callable

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..integrate.stochastic import SDE, Diagonal
from .effort import Effort
from .integrator import Integrator
from .neural_sde import solve_model, stochastic_integrator


def _additive_integrator() -> Integrator:
    return stochastic_integrator(dfx.ShARK())


class LangevinSDE(eqx.Module):
    """A neural Langevin equation, $dz = \\gamma(\\tilde z)\\, dt + \\sigma(t)\\, dW$ with one noise per component.

    The noise is additive, so Itô's and Stratonovich's interpretation agree. Where $\\gamma$ pulls inward there is one
    stationary law, which is forgotten at an exponential rate.

    **Arguments:**

    - `drift`: $\\gamma$, a function of $\\tilde z$ alone; shape of the state.
    - `diffusion`: $\\sigma$, a function of $t$; anything that broadcasts to the state.
    - `mixing`: $\\zeta$, a function of $(t, z, X(t))$, by which a control path $X$ enters,
        $\\tilde z = \\zeta(t, z, X(t))$. Without it $\\tilde z = z$.
    - `integrator`: `stochastic_integrator(diffrax.ShARK())` by default, of strong order 3/2 for additive noise.

    Reference: Oh, Lim and Kim, Stable neural stochastic differential equations in analyzing irregular time series data,
    ICLR 2024 (arXiv 2402.14989), the Langevin-type SDE of section 3.
    """

    drift: Callable[..., jax.Array]
    diffusion: Callable[..., jax.Array]
    mixing: Callable[..., jax.Array] | None = None
    integrator: Integrator = eqx.field(default_factory=_additive_integrator)

    @property
    def sde(self) -> SDE:
        """The equation, for states $z$ and a control path as `args`."""
        return SDE(self._slope, Diagonal(self._entries, entrywise=True))

    def _slope(self, t, z, path):
        return self.drift(_mixed(self.mixing, t, z, path))

    def _entries(self, t, z, path):
        return jnp.broadcast_to(jnp.asarray(self.diffusion(t), z.dtype), z.shape)

    def __call__(self, z0: jax.Array, ts: jax.Array, *, key: jax.Array, path: dfx.AbstractPath | None = None,
                 steps: int | None = None, interpolate: bool = False,
                 throw: bool = True) -> tuple[jax.Array, Effort]:  # fmt: skip
        """States along one path of the noise.

        **Arguments:**

        - `z0`: the state at `ts[0]`, of shape `(n,)`.
        - `ts`: when to save, ascending, shape `(times,)`. Steps end there.
        - `key`: one path; `jax.vmap` over keys for an ensemble.
        - `path`: the control $X$, a diffrax path such as `hermite_path` gives; with `mixing`.
        - `steps`: so many equal steps from each time to the next, instead of the integrator's step sizes.
        - `interpolate`: let adaptive steps run past `ts`, and interpolate there; see `jaxsim.integrate.drive`.
        - `throw`: raise when the solve fails.

        **Returns:** the states, of shape `(times, n)`, and the `Effort`.

        **Raises:** `ValueError` for a path without `mixing`, or `mixing` without a path.
        """
        _check_path(self, path)
        return solve_model(self.integrator, self.sde, z0, ts, key, path, steps, interpolate, throw)


class LinearNoiseSDE(eqx.Module):
    """A neural equation with linear noise, $dz = \\gamma(t, \\tilde z)\\, dt + \\sigma(t)\\, z\\, dW$, in Itô's sense.

    One noise per component. With the drift $\\gamma z$ the mean square of a component decays if and only if
    $2 \\gamma + \\sigma^2 < 0$, and almost every path if $\\gamma < \\sigma^2 / 2$. To mean Stratonovich's integral,
    add $\\sigma^2 z / 2$ to the drift.

    **Arguments:**

    - `drift`: $\\gamma$, a function of $(t, \\tilde z)$; shape of the state.
    - `diffusion`: $\\sigma$, a function of $t$; anything that broadcasts to the state.
    - `mixing`: as that of `LangevinSDE`.
    - `integrator`: `stochastic_integrator()` by default; the drift is converted for its solver.

    Reference: Oh, Lim and Kim, ICLR 2024 (arXiv 2402.14989), the linear noise SDE of section 3.
    """

    drift: Callable[..., jax.Array]
    diffusion: Callable[..., jax.Array]
    mixing: Callable[..., jax.Array] | None = None
    integrator: Integrator = eqx.field(default_factory=stochastic_integrator)

    @property
    def sde(self) -> SDE:
        """The equation, for states $z$ and a control path as `args`."""
        return SDE(self._slope, Diagonal(self._entries, entrywise=True))

    def _slope(self, t, z, path):
        return self.drift(t, _mixed(self.mixing, t, z, path))

    def _entries(self, t, z, path):
        return jnp.asarray(self.diffusion(t), z.dtype) * z

    def __call__(self, z0: jax.Array, ts: jax.Array, *, key: jax.Array, path: dfx.AbstractPath | None = None,
                 steps: int | None = None, interpolate: bool = False,
                 throw: bool = True) -> tuple[jax.Array, Effort]:  # fmt: skip
        """States along one path of the noise; arguments and results are those of `LangevinSDE`."""
        _check_path(self, path)
        return solve_model(self.integrator, self.sde, z0, ts, key, path, steps, interpolate, throw)


class GeometricSDE(eqx.Module):
    """A neural geometric equation, $dz / z = \\gamma(t, \\tilde z)\\, dt + \\sigma(t)\\, dW$, in Itô's sense.

    One noise per component. The logarithm is integrated, $d \\log z = (\\gamma - \\sigma^2 / 2)\\, dt + \\sigma\\, dW$,
    whose noise is additive: states are positive at any step size, and with constant $\\gamma$ exact at saved times. To
    mean Stratonovich's integral, add $\\sigma^2 / 2$ to $\\gamma$.

    **Arguments:**

    - `drift`: $\\gamma$, a function of $(t, \\tilde z)$; shape of the state.
    - `diffusion`: $\\sigma$, a function of $t$; anything that broadcasts to the state.
    - `mixing`: as that of `LangevinSDE`; it is given $z$, not its logarithm.
    - `integrator`: `stochastic_integrator(diffrax.ShARK())` by default. Tolerances are those of the logarithm.

    Reference: Oh, Lim and Kim, ICLR 2024 (arXiv 2402.14989), the geometric SDE of section 3.
    """

    drift: Callable[..., jax.Array]
    diffusion: Callable[..., jax.Array]
    mixing: Callable[..., jax.Array] | None = None
    integrator: Integrator = eqx.field(default_factory=_additive_integrator)

    @property
    def sde(self) -> SDE:
        """The equation for $\\log z$, and a control path as `args`."""
        return SDE(self._slope, Diagonal(self._entries, entrywise=True))

    def _slope(self, t, logarithm, path):
        growth = self.drift(t, _mixed(self.mixing, t, jnp.exp(logarithm), path))
        return growth - 0.5 * self._entries(t, logarithm, path) ** 2

    def _entries(self, t, logarithm, path):
        return jnp.broadcast_to(jnp.asarray(self.diffusion(t), logarithm.dtype), logarithm.shape)

    def __call__(self, z0: jax.Array, ts: jax.Array, *, key: jax.Array, path: dfx.AbstractPath | None = None,
                 steps: int | None = None, interpolate: bool = False,
                 throw: bool = True) -> tuple[jax.Array, Effort]:  # fmt: skip
        """States along one path of the noise; arguments and results are those of `LangevinSDE`.

        **Raises:** in addition, `ValueError` for a `z0` that is known not to be positive, and an error at run time for
        one that turns out not to be.
        """
        _check_path(self, path)
        start = jnp.log(_positive(z0))
        logarithms, effort = solve_model(self.integrator, self.sde, start, ts, key, path, steps, interpolate, throw)
        return jnp.exp(logarithms), effort


def _mixed(mixing, t, z, path):
    return z if mixing is None else mixing(t, z, path.evaluate(t))


def _check_path(model, path):
    if (model.mixing is None) != (path is None):
        has, lacks = ("`path`", "`mixing`") if model.mixing is None else ("`mixing`", "`path`")
        raise ValueError(
            f"{type(model).__name__}: got a {has} without a {lacks}; the network `mixing(t, z, X(t))` is how the state "
            "sees a control path."
        )


def _positive(z0):
    message = "GeometricSDE: states are positive; got a `z0` that is not. Shift or scale the data."
    if isinstance(z0, jax.core.Tracer):
        return eqx.error_if(z0, ~jnp.all(z0 > 0), message)
    if not (np.asarray(z0) > 0).all():
        raise ValueError(message)
    return z0
