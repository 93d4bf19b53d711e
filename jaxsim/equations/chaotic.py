"""Chaotic systems: ordinary differential equations on a `js.Point`, with the invariants that were published for them.

Where a docstring names exponents or a dimension, it names who printed them. Where none is named we found none that we
could check; the page on chaos lists what `jaxsim.integrate.lyapunov_spectrum` measures, with its error.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..calculus import pointwise
from ..field import Field
from ..spaces import Point
from ._base import Equation
from ._checks import require_components


class ChaoticSystem(Equation):
    """A system of a few ordinary differential equations with a state near its attractor.

    A subclass gives `start` and the right-hand side; `check` counts the components.
    """

    start: eqx.AbstractClassVar[tuple[float, ...]]

    def initial(self) -> Field:
        """A state near the attractor for the parameters by default, a field on a `js.Point`."""
        return Point().field(jnp.asarray(self.start))

    def check(self, u: Field) -> None:
        require_components(self, u, (len(self.start),), "the unknowns of the system")


class Lorenz63(ChaoticSystem):
    """Lorenz's model of convection, three equations.

    $$\\dot x = \\sigma (y - x), \\qquad \\dot y = x (\\rho - z) - y, \\qquad \\dot z = x y - \\beta z$$

    Symmetric under $(x, y) \\to (-x, -y)$. The exponents add up to $-(\\sigma + 1 + \\beta)$. Published for the
    parameters by default: 0.9056, 0, -14.5723, and a Kaplan-Yorke dimension of 2.06215 (Sprott, Common Chaotic
    Systems, 2004).

    **Parameters:**

    - `sigma`: Prandtl number.
    - `rho`: Rayleigh number relative to its critical value.
    - `beta`: a measure of the cells' shape.

    Reference: Lorenz, J. Atmos. Sci. 20, 130 (1963), eqs. 25-27.
    """

    sigma: float | jax.Array = 10.0
    rho: float | jax.Array = 28.0
    beta: float | jax.Array = 8 / 3

    start: ClassVar = (-7.3, -3.6, 29.3)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        return self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z


class Lorenz84(ChaoticSystem):
    """Lorenz's model of the general circulation: a westerly wind and two phases of a wave.

    $$\\dot x = -y^2 - z^2 - a x + a F, \\qquad \\dot y = x y - b x z - y + G, \\qquad \\dot z = b x y + x z - z$$

    **Parameters:**

    - `damping`: $a$, of the westerlies relative to that of the waves.
    - `advection`: $b$, of the waves by the westerlies.
    - `zonal_forcing`, `wave_forcing`: $F$ and $G$.

    Reference: Lorenz, Tellus A 36, 98 (1984).
    """

    damping: float | jax.Array = 0.25
    advection: float | jax.Array = 4.0
    zonal_forcing: float | jax.Array = 8.0
    wave_forcing: float | jax.Array = 1.0

    start: ClassVar = (1.2, -0.6, 1.1)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        return (
            self.damping * (self.zonal_forcing - x) - y * y - z * z,
            x * y - self.advection * (x * z) - y + self.wave_forcing,
            self.advection * (x * y) + x * z - z,
        )


class Lorenz96(Equation):
    """Lorenz's model of a quantity along a circle of latitude.

    $$\\dot x_i = (x_{i+1} - x_{i-2})\\, x_{i-1} - x_i + F$$

    The state has any number $n \\ge 4$ of components, and the exponents add up to $-n$. The quadratic terms conserve
    $\\sum x_i^2$.

    **Parameters:**

    - `forcing`: $F$; chaos from about 4, and strong at 8.

    Reference: Lorenz, Predictability: a problem partly solved (1996); Lorenz and Emanuel, J. Atmos. Sci. 55,
    399 (1998).
    """

    forcing: float | jax.Array = 8.0

    def initial(self, size: int = 40) -> Field:
        """The rest state with a small disturbance of one component, from which a transient leads to the attractor."""
        if size < 4:
            raise ValueError(f"Lorenz96 needs at least 4 components, got {size}.")
        return Point().field(jnp.full(size, self.forcing).at[0].add(0.01))

    def check(self, u: Field) -> None:
        if len(u.shape) != 1 or u.shape[0] < 4:
            raise ValueError(f"Lorenz96 needs one axis of at least 4 components; got components {u.shape}.")

    def nonlinear(self, t, u: Field):
        return pointwise(_neighbors, u, degree=2) - u + self.forcing


class Rossler(ChaoticSystem):
    """Rössler's single scroll, with one quadratic term.

    $$\\dot x = -y - z, \\qquad \\dot y = x + a y, \\qquad \\dot z = b + z (x - c)$$

    Published for the parameters by default: 0.0714, 0, -5.3943, and a Kaplan-Yorke dimension of 2.0132 (Sprott,
    Common Chaotic Systems, 2004).

    **Parameters:** `a`, `b`, `c`.

    Reference: Rössler, Phys. Lett. A 57, 397 (1976).
    """

    a: float | jax.Array = 0.2
    b: float | jax.Array = 0.2
    c: float | jax.Array = 5.7

    start: ClassVar = (-4.0, -5.0, 0.02)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        return -y - z, x + self.a * y, z * (x - self.c) + self.b


class HyperchaoticRossler(ChaoticSystem):
    """Rössler's four equations with two positive exponents.

    $$\\dot x = -y - z, \\qquad \\dot y = x + a y + w, \\qquad \\dot z = b + x z, \\qquad \\dot w = -c z + d w$$

    The basin of attraction is small: start near `initial()`.

    **Parameters:** `a`, `b`, `c`, `d`.

    Reference: Rössler, Phys. Lett. A 71, 155 (1979).
    """

    a: float | jax.Array = 0.25
    b: float | jax.Array = 3.0
    c: float | jax.Array = 0.5
    d: float | jax.Array = 0.05

    start: ClassVar = (-20.0, 0.0, 0.0, 15.0)

    def nonlinear(self, t, u: Field):
        x, y, z, w = u
        return -y - z, x + self.a * y + w, x * z + self.b, self.d * w - self.c * z


class Chen(ChaoticSystem):
    """Chen's system: the terms of Lorenz's with another sign.

    $$\\dot x = a (y - x), \\qquad \\dot y = (c - a) x - x z + c y, \\qquad \\dot z = x y - b z$$

    Symmetric under $(x, y) \\to (-x, -y)$. The exponents add up to $c - a - b$. Published for the parameters by
    default: a largest exponent of 2.0272 (Sprott, Chaos and Time-Series Analysis, 2003).

    **Parameters:** `a`, `b`, `c`.

    Reference: Chen and Ueta, Int. J. Bifurcat. Chaos 9, 1465 (1999).
    """

    a: float | jax.Array = 35.0
    b: float | jax.Array = 3.0
    c: float | jax.Array = 28.0

    start: ClassVar = (-3.0, -3.4, 20.0)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        return self.a * (y - x), (self.c - self.a) * x - x * z + self.c * y, x * y - self.b * z


class Chua(ChaoticSystem):
    """Chua's circuit with a diode of three straight pieces: the double scroll.

    $$\\dot x = \\alpha (y - x - g(x)), \\qquad \\dot y = x - y + z, \\qquad \\dot z = -\\beta y, \\qquad
      g(x) = -b x - \\tfrac12 (a - b)(|x + 1| - |x - 1|)$$

    Symmetric under a change of all signs. Published for the parameters by default: a largest exponent of 0.3271
    (Sprott, Chaos and Time-Series Analysis, 2003).

    **Parameters:**

    - `alpha`, `beta`: ratios of the circuit's elements.
    - `inner`, `outer`: $a$ and $b$, slopes of $-g$ within $|x| < 1$ and outside.

    Reference: Matsumoto, Chua and Komuro, IEEE Trans. Circuits Syst. 32, 797 (1985).
    """

    alpha: float | jax.Array = 9.0
    beta: float | jax.Array = 100 / 7
    inner: float | jax.Array = 8 / 7
    outer: float | jax.Array = 5 / 7

    start: ClassVar = (1.6, 0.1, -2.2)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        current = self.outer * x + 0.5 * (self.inner - self.outer) * (abs(x + 1.0) - abs(x - 1.0))
        return self.alpha * (y - x + current), x - y + z, -self.beta * y


class Thomas(ChaoticSystem):
    """Thomas's labyrinth: three equations that a turn of the axes maps to each other.

    $$\\dot x = \\sin y - b x, \\qquad \\dot y = \\sin z - b y, \\qquad \\dot z = \\sin x - b z$$

    The exponents add up to $-3 b$. Published for the parameter by default: a largest exponent of 0.0349 (Sprott,
    Chaos and Time-Series Analysis, 2003).

    **Parameters:**

    - `damping`: $b$; at 0 a walk through an infinite labyrinth.

    Reference: Thomas, Int. J. Bifurcat. Chaos 9, 1889 (1999).
    """

    damping: float | jax.Array = 0.18

    start: ClassVar = (1.9, 3.6, 3.1)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        sines = (pointwise(jnp.sin, v) for v in (y, z, x))
        return tuple(sine - self.damping * v for sine, v in zip(sines, (x, y, z), strict=True))


class Halvorsen(ChaoticSystem):
    """Halvorsen's attractor: three quadratic equations that a turn of the axes maps to each other.

    $$\\dot x = -a x - b y - b z - y^2, \\qquad \\dot y = -a y - b z - b x - z^2, \\qquad
      \\dot z = -a z - b x - b y - x^2$$

    The exponents add up to $-3 a$. Published for the parameters by default: a largest exponent of 0.7899 (Sprott,
    Chaos and Time-Series Analysis, 2003).

    **Parameters:** `a`, `b`.

    Reference: Sprott, Chaos and Time-Series Analysis (2003), appendix A.
    """

    a: float | jax.Array = 1.27
    b: float | jax.Array = 4.0

    start: ClassVar = (-5.0, 0.5, -1.0)

    def nonlinear(self, t, u: Field):
        x, y, z = u

        def rate(one, two, three):
            return -(self.a * one) - self.b * (two + three) - two * two

        return rate(x, y, z), rate(y, z, x), rate(z, x, y)


class NoseHoover(ChaoticSystem):
    """An oscillator in a heat bath, also case A of Sprott: conservative, without a rest point.

    $$\\dot x = y, \\qquad \\dot y = -x + y z, \\qquad \\dot z = 1 - y^2$$

    Reversible in time, and the mean of $z$ is zero: the spectrum is symmetric. `initial()` lies in the chaotic sea
    around nested tori. Published: 0.014, 0, -0.014 (Sprott 1994, table I).

    Reference: Posch, Hoover and Vesely, Phys. Rev. A 33, 4253 (1986); Sprott, Phys. Rev. E 50, R647 (1994).
    """

    start: ClassVar = (0.0, 5.0, 0.0)

    def nonlinear(self, t, u: Field):
        x, y, z = u
        return y, y * z - x, 1.0 - y * y


class HenonHeiles(ChaoticSystem):
    """Hénon and Heiles's motion of a star in the plane: two oscillators with a cubic potential.

    $$H = \\tfrac12 (p_x^2 + p_y^2 + x^2 + y^2) + x^2 y - \\tfrac13 y^3$$

    The state is $(x, y, p_x, p_y)$. Energy is conserved, orbits of energy below 1/6 in the middle stay there, and the
    spectrum is symmetric with two zeros. `initial()` is a chaotic orbit of energy close to 1/6.

    Reference: Hénon and Heiles, Astron. J. 69, 73 (1964).
    """

    start: ClassVar = (0.0, -0.25, 0.42, 0.24)

    def nonlinear(self, t, u: Field):
        x, y, px, py = u
        return px, py, -x - 2.0 * (x * y), -y - x * x + y * y

    def energy(self, values: jax.Array) -> jax.Array:
        """The energy $H$ of states of shape `(..., 4)`, shape `(...)`."""
        x, y, px, py = (values[..., i] for i in range(4))
        return (px**2 + py**2 + x**2 + y**2) / 2 + x**2 * y - y**3 / 3


class ForcedDuffing(ChaoticSystem):
    """Duffing's oscillator under a periodic force, with the phase as the third unknown.

    $$\\dot x = v, \\qquad \\dot v = -\\delta v - \\alpha x - \\beta x^3 + \\gamma \\cos\\theta, \\qquad
      \\dot\\theta = \\omega$$

    The exponents add up to $-\\delta$, and one is zero. The parameters by default are those of Ueda's attractor.

    **Parameters:**

    - `damping`: $\\delta$.
    - `stiffness`, `hardening`: $\\alpha$ and $\\beta$, of the spring.
    - `amplitude`, `frequency`: $\\gamma$ and $\\omega$, of the force.

    Reference: Ueda, J. Stat. Phys. 20, 181 (1979).
    """

    damping: float | jax.Array = 0.05
    stiffness: float | jax.Array = 0.0
    hardening: float | jax.Array = 1.0
    amplitude: float | jax.Array = 7.5
    frequency: float | jax.Array = 1.0

    start: ClassVar = (2.5, 0.0, 0.0)

    def nonlinear(self, t, u: Field):
        x, v, phase = u
        spring = self.stiffness * x + self.hardening * (x * x * x)
        force = self.amplitude * pointwise(jnp.cos, phase)
        return v, force - spring - self.damping * v, 0.0 * phase + self.frequency


def _neighbors(x: jax.Array) -> jax.Array:
    return (jnp.roll(x, -1, 0) - jnp.roll(x, 2, 0)) * jnp.roll(x, 1, 0)
