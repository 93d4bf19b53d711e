"""Reaction and diffusion: fronts, patterns and excitable media.

The linear growth and decay of each reaction stands in `linear`, so that exponential integrators treat it
exactly.
"""

import jax
import jax.numpy as jnp

from ..calculus import laplacian, pointwise
from ..field import Field
from ._base import Equation
from ._checks import like, require_components, require_nonnegative


class FisherKPP(Equation):
    """Fisher-KPP equation: logistic growth that spreads as a front.

    $$u_t = D \\nabla^2 u + r\\,u (1 - u)$$

    Any components, each for itself; 1 inverse and 1 forward transform per right-hand side. Fronts from
    compact data move at the speed $2\\sqrt{rD}$.

    **Parameters:**

    - `diffusivity`: $D \\ge 0$, length²/time.
    - `rate`: $r \\ge 0$, 1/time.

    References: Fisher, Ann. Eugen. 7, 355 (1937); Ablowitz and Zeppetella, Bull. Math. Biol. 41, 835 (1979)
    (exact wave).
    """

    diffusivity: float | jax.Array
    rate: float | jax.Array = 1.0

    def __check_init__(self):
        require_nonnegative(self, "diffusivity", "rate")

    def linear(self, u: Field) -> Field:
        return self.diffusivity * laplacian(u) + self.rate * u

    def nonlinear(self, t, u: Field) -> Field:
        return -self.rate * pointwise(lambda a: a * a, u, degree=2)


class AllenCahn(Equation):
    """Allen-Cahn equation: two phases, $u = \\pm 1$, and the walls between them.

    $$u_t = D \\nabla^2 u + r\\,(u - u^3)$$

    Any components, each for itself; 1 inverse and 1 forward transform per right-hand side, on a grid for
    cubic products. The flat wall $\\tanh(x \\sqrt{r / 2D})$ is a steady state. The energy
    $\\int \\frac D2|\\nabla u|^2 + \\frac r4 (1 - u^2)^2$ decays.

    **Parameters:**

    - `diffusivity`: $D \\ge 0$, length²/time; walls are about $\\sqrt{8D/r}$ wide. 1e-4 on $[-1, 1]$ is a
        benchmark of neural solvers, with a rate of 5.
    - `rate`: $r \\ge 0$, 1/time.

    Reference: Allen and Cahn, Acta Metall. 27, 1085 (1979).
    """

    diffusivity: float | jax.Array
    rate: float | jax.Array = 1.0

    def __check_init__(self):
        require_nonnegative(self, "diffusivity", "rate")

    def linear(self, u: Field) -> Field:
        return self.diffusivity * laplacian(u) + self.rate * u

    def nonlinear(self, t, u: Field) -> Field:
        return -self.rate * pointwise(lambda a: a * a * a, u, degree=3)


class GrayScott(Equation):
    """Gray-Scott model: a substrate that is fed, and an autocatalyst that consumes it; spots and stripes.

    $$u_t = D_u \\nabla^2 u - u v^2 + F (1 - u), \\qquad v_t = D_v \\nabla^2 v + u v^2 - (F + k) v$$

    The state has two components; 2 inverse and 2 forward transforms per right-hand side, on a grid for cubic
    products.

    **Parameters:** (defaults: Pearson's, on a square of side 2.5, in steps of time of about 1)

    - `diffusivity_u`, `diffusivity_v`: $D_u, D_v \\ge 0$, length²/time.
    - `feed`, `kill`: $F, k \\ge 0$, 1/time. $(0, 0)$ of `v` and `u = 1` is always steady; two more steady
        states exist where $F \\ge 4 (F + k)^2$.

    Initial data: `js.initial.gray_scott_patch`. Reference: Pearson, Science 261, 189 (1993).
    """

    diffusivity_u: float | jax.Array = 2e-5
    diffusivity_v: float | jax.Array = 1e-5
    feed: float | jax.Array = 0.04
    kill: float | jax.Array = 0.06

    def __check_init__(self):
        require_nonnegative(self, "diffusivity_u", "diffusivity_v", "feed", "kill")

    def linear(self, state: Field):
        require_components(self, state, (2,), "substrate and autocatalyst")
        u, v = state
        return (
            self.diffusivity_u * laplacian(u) - self.feed * u,
            self.diffusivity_v * laplacian(v) - (self.feed + self.kill) * v,
        )

    def nonlinear(self, t, state: Field) -> Field:
        def reaction(s):
            rate = s[0] * s[1] * s[1]
            return jnp.stack([like(self.feed, rate) - rate, rate])

        return pointwise(reaction, state, degree=3)


class Brusselator(Equation):
    """Brusselator: the simplest chemical oscillator, with Turing and Hopf patterns.

    $$u_t = D_u \\nabla^2 u + a - (b + 1) u + u^2 v, \\qquad v_t = D_v \\nabla^2 v + b u - u^2 v$$

    The state has two components; 2 inverse and 2 forward transforms per right-hand side, on a grid for cubic
    products. $(a, b/a)$ is a steady state; it oscillates where $b > 1 + a^2$ and forms patterns where
    $b > (1 + a \\sqrt{D_u / D_v})^2$.

    **Parameters:**

    - `diffusivity_u`, `diffusivity_v`: $D_u, D_v \\ge 0$, length²/time.
    - `a`: feed, positive (1 to 5).
    - `b`: conversion, non-negative (2 to 10).

    Reference: Prigogine and Lefever, J. Chem. Phys. 48, 1695 (1968).
    """

    diffusivity_u: float | jax.Array
    diffusivity_v: float | jax.Array
    a: float | jax.Array = 1.0
    b: float | jax.Array = 3.0

    def __check_init__(self):
        require_nonnegative(self, "diffusivity_u", "diffusivity_v", "a", "b")

    def linear(self, state: Field):
        require_components(self, state, (2,), "the two species")
        u, v = state
        return (
            self.diffusivity_u * laplacian(u) - (self.b + 1) * u,
            self.diffusivity_v * laplacian(v) + self.b * u,
        )

    def nonlinear(self, t, state: Field) -> Field:
        def reaction(s):
            rate = s[0] * s[0] * s[1]
            return jnp.stack([like(self.a, rate) + rate, -rate])

        return pointwise(reaction, state, degree=3)


class FitzHughNagumo(Equation):
    """FitzHugh-Nagumo model of excitable media: pulses, spirals, target waves.

    $$u_t = D_u \\nabla^2 u + u - \\tfrac13 u^3 - v + I,
      \\qquad v_t = D_v \\nabla^2 v + \\varepsilon (u + a - b v)$$

    The state has two components, the voltage and the recovery; 1 inverse and 2 forward transforms per
    right-hand side, on a grid for cubic products. The coupling of the two is in `linear`.

    **Parameters:**

    - `diffusivity_u`, `diffusivity_v`: $D_u, D_v \\ge 0$, length²/time; $D_v = 0$ for nerves.
    - `timescale`: $\\varepsilon \\ge 0$, 1/time, the slowness of the recovery.
    - `a`, `b`: threshold and recovery; FitzHugh's 0.7 and 0.8 are excitable.
    - `stimulus`: current $I$; the medium oscillates between about 0.33 and 1.42.

    Reference: FitzHugh, Biophys. J. 1, 445 (1961), eqs. (1)-(2).
    """

    diffusivity_u: float | jax.Array
    diffusivity_v: float | jax.Array = 0.0
    timescale: float | jax.Array = 0.08
    a: float | jax.Array = 0.7
    b: float | jax.Array = 0.8
    stimulus: float | jax.Array = 0.0

    def __check_init__(self):
        require_nonnegative(self, "diffusivity_u", "diffusivity_v", "timescale")

    def linear(self, state: Field):
        require_components(self, state, (2,), "voltage and recovery")
        u, v = state
        return (
            self.diffusivity_u * laplacian(u) + u - v,
            self.diffusivity_v * laplacian(v) + self.timescale * u - (self.timescale * self.b) * v,
        )

    def nonlinear(self, t, state: Field) -> Field:
        def reaction(u):
            constant = jnp.broadcast_to(like(self.timescale * self.a, u), u.shape)
            return jnp.stack([like(self.stimulus, u) - u * u * u / 3, constant])

        return pointwise(reaction, state[0], degree=3)
