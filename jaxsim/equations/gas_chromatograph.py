"""Gas chromatography: a pulse is carried through a column whose wall takes it up and gives it back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import i0e, i1e

from ..calculus import laplacian
from ..field import Field
from ..spaces.conservation import Reconstruction, Upwind, transport
from ._base import Equation
from ._checks import require_components, require_dimension, require_nonnegative, require_positive

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_TAIL = 7.0  # widths of the kernel exp(-r^2) beyond which it is below rounding


class GasChromatograph(Equation):
    """A gas in a capillary column, and what the column's wall holds of it.

    $$\\mathrm{Da}\\,c_t + c_x = \\mathrm{Pe}^{-1} c_{xx} - q_t, \\qquad q_t = k_a c - k_d q$$

    The state has two components, the concentration $c$ in the gas and the adsorbed amount $q$. `linear` holds the
    exchange and the diffusion, which exponential and IMEX integrators treat mode by mode; `nonlinear` the transport, in
    conservative upwind form, which limits every step to about $\\mathrm{Da}\\,h$. An explicit scheme is also limited to
    about $2 \\mathrm{Da} / k_a$.

    **Parameters**, in scaled form, with lengths in units of $\\mathcal{L} = u R / (2 \\delta k_a^*)$ and times in
    units of $1 / k_d^*$ for a gas velocity $u$, a column of radius $R$ with a layer of thickness $\\delta$, and the
    rates (1/time) of a substance of reference, marked by a star:

    - `adsorption`: $k_a = k_a' / k_a^* > 0$, where $k_a'$ is the rate of this substance.
    - `desorption`: $k_d = k_d' / k_d^* > 0$.
    - `storage`: $\\mathrm{Da} > 0$, the time that the gas needs for one unit of length; small.
    - `inverse_peclet`: $\\mathrm{Pe}^{-1} \\ge 0$, diffusion along the column; `None` for none.
    - `scheme`: of the transport, `Upwind(3)` by default.

    With lengths and times in units of one's own: $\\mathrm{Da} = 1/u$, $\\mathrm{Pe}^{-1} = D/u$,
    $k_a = 2 \\delta k_a' / (R u)$ in 1/length, $k_d = k_d'$ in 1/time, and $q$ is $2 \\delta / (R u)$ times the amount
    per volume of the layer.

    For a grid between an inlet and an outlet:
    `js.FiniteDifference(grid, boundary=((js.Dirichlet(pulse), js.Neumann()),))`. What is said of $q$ at the ends is
    never used; the condition at the outlet acts through the diffusion only. Without diffusion the total
    $\\int \\mathrm{Da}\\,c + q\\,dx$ changes by what the faces at the ends let through. `solution` is exact.

    Reference: arXiv:2501.00001, equations of the model in scaled form, with linear adsorption.
    """

    adsorption: float | jax.Array = 1.0
    desorption: float | jax.Array = 1.0
    storage: float | jax.Array = 0.0633
    inverse_peclet: float | jax.Array | None = None
    scheme: Reconstruction = Upwind(3)

    def __check_init__(self):
        require_positive(self, "adsorption", "desorption", "storage")
        require_nonnegative(self, "inverse_peclet")

    def linear(self, state: Field):
        c, q = self._split(state)
        uptake = self.adsorption * c - self.desorption * q
        loss = -uptake if self.inverse_peclet is None else self.inverse_peclet * laplacian(c) - uptake
        return loss / self.storage, uptake

    def nonlinear(self, t, state: Field):
        c, q = self._split(state)
        return -transport(1.0, c, self.scheme) / self.storage, 0 * q

    def signal_speeds(self, t, state: Field) -> list[jax.Array]:
        return [1 / self.storage]

    def solution(self, inlet: "InletPulse", t: jax.Array, x: jax.Array) -> jax.Array:
        """The exact concentrations behind the inlet of an empty column without diffusion.

        With $\\tau = t - \\mathrm{Da}\\,x$, $a = k_a x$ and the inlet $g$,

        $$
        c = e^{-a} g(\\tau) + \\int_0^{\\sqrt{k_d \\tau}} 2 \\sqrt a\\, I_1(2 \\sqrt a\\, r)\\, e^{-a - r^2}
            g(\\tau - r^2 / k_d)\\,dr,
        $$

        $$
        q = \\frac{2 k_a}{k_d} \\int_0^{\\sqrt{k_d \\tau}} r\\, I_0(2 \\sqrt a\\, r)\\, e^{-a - r^2}
            g(\\tau - r^2 / k_d)\\,dr.
        $$

        In terms of exponentially scaled Bessel functions the exponent is $-(r - \\sqrt a)^2$, so nothing overflows
        however long the column is, and the kernel has the same width everywhere: 96 Gauss-Legendre nodes on its
        support give rounding. Follows from the Laplace transform
        $\\hat c = \\hat g \\exp(-\\mathrm{Da}\\,x s - a + a k_d / (s + k_d))$ with $r^2 = k_d T$ in its inverse.

        **Arguments:**

        - `inlet`: an `InletPulse`, the concentration at $x = 0$.
        - `t`, `x`: times and places, $x \\ge 0$, which broadcast against each other.

        **Returns:** $c$ and $q$, shape `(2, ...)`. Differentiable in `t`, `x > 0` and all parameters, at all times
        except those at which a rectangular pulse switches.

        **Raises:** `ValueError` for an equation with diffusion, whose solution this is not.

        Reference: arXiv:2501.00001 (solution by Laplace transform); the form of the integrand is that of
        H. C. Thomas, J. Am. Chem. Soc. 66 (1944) 1664-1666, for a rectangular pulse.
        """
        if self.inverse_peclet is not None:
            raise ValueError("the exact solution is that of a column without diffusion: set inverse_peclet=None.")
        t, x = jnp.broadcast_arrays(*(jnp.asarray(each, jnp.result_type(float, t, x)) for each in (t, x)))
        ka, kd, storage = (p.astype(t.dtype) for p in (self.adsorption, self.desorption, self.storage))
        late, root = t - storage * x, _root(ka * x)
        upper = jnp.minimum(_root(kd * late), root + _TAIL)
        lower = jnp.maximum(jnp.maximum(_root(kd * (late - inlet.duration)), root - _TAIL), 0.0)
        half = 0.5 * jnp.maximum(upper - lower, 0.0)[..., None]
        r = lower[..., None] + half * (1 + jnp.asarray(_NODES, t.dtype))
        late, root = late[..., None], root[..., None]
        arrived = inlet.inside(late - r**2 / kd)
        kernel = half * jnp.asarray(_WEIGHTS, t.dtype) * jnp.exp(-((r - root) ** 2)) * arrived
        c = jnp.sum(kernel * 2 * root * i1e(2 * root * r), axis=-1) + jnp.exp(-ka * x) * inlet(t - storage * x)
        q = jnp.sum(kernel * 2 * ka / kd * r * i0e(2 * root * r), axis=-1)
        return jnp.stack([c, q])

    def _split(self, state: Field):
        require_dimension(self, state, 1)
        require_components(self, state, (2,), "concentration in the gas and adsorbed amount")
        return state


class InletPulse(eqx.Module):
    """A pulse at the inlet, $g(t) = h \\sin^p(\\pi t / T)$ for $0 \\le t < T$ and 0 outside: callable `(t, *x)`.

    **Arguments:**

    - `duration`: $T > 0$.
    - `height`: $h$.
    - `power`: $p$, an even whole number; 0 for a rectangle, 4 for three continuous derivatives.

    **Raises:** `ValueError` for a power that is odd or negative, or a duration that is not positive.
    """

    duration: float | jax.Array
    height: float | jax.Array = 1.0
    power: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.power < 0 or self.power % 2:
            raise ValueError(f"InletPulse: `power` is an even whole number of at least 0, got {self.power}.")
        for name in ("duration", "height"):
            value = getattr(self, name)
            if isinstance(value, (int, float)):
                object.__setattr__(self, name, jnp.asarray(float(value)))
        require_positive(self, "duration")

    def __call__(self, t: jax.Array, *x: jax.Array) -> jax.Array:
        """The concentration at the inlet at time `t`, whatever the place."""
        t = jnp.asarray(t, jnp.result_type(float, t))
        return jnp.where((t >= 0) & (t < self.duration.astype(t.dtype)), self.inside(t), 0.0)

    def inside(self, t: jax.Array) -> jax.Array:
        """The formula that holds during the pulse, at any time."""
        height, duration = self.height.astype(t.dtype), self.duration.astype(t.dtype)
        return height * jnp.sin(jnp.pi * t / duration) ** self.power if self.power else height * jnp.ones_like(t)


def _root(square: jax.Array) -> jax.Array:
    """Square root, zero with zero derivative where there is none."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
