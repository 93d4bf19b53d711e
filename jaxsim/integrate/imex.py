"""Implicit-explicit Runge-Kutta solvers: the linear part implicitly, mode by mode, the rest explicitly.

For $u' = L u + g(t) + N(t, u)$, where $g$ is what boundary data add to the linear part, a step of size $h$ is

$$U_i = u_n + h \\sum_{j<i} \\hat a_{ij} N(t_n + c_j h, U_j) + h \\sum_{j \\le i} a_{ij}
(L U_j + g(t_n + c_j h)), \\qquad
u_{n+1} = U_s + h \\sum_j (b_j - \\hat a_{sj}) N(t_n + c_j h, U_j),$$

for tableaux whose implicit part is stiffly accurate ($a_{sj} = b_j$) with one diagonal $\\gamma$. Each stage
takes one product with $(1 - h \\gamma L)^{-1}$. Its slope $h (L U_i + g)$ comes from second, bounded operators,
$h L (1 - h \\gamma L)^{-1}$ on what is known and $h (1 - h \\gamma L)^{-1}$ on $g$, and not from a difference of
large numbers, so stiff modes keep their digits. Data at a wall are of size $g / \\Delta x^2$ there: taken
explicitly, they would diverge with resolution.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..linear import ModalOperator
from .semilinear import AbstractOneStepSolver, scaled_by, total
from .term import SemilinearTerm


class IMEXTableau(NamedTuple):
    """Tableaux with the same nodes: `explicit` for the nonlinear part, `implicit` for the linear one.

    Rows are those of the stages after the first, without the diagonal of the implicit ones, which is `gamma`
    throughout. `end` are the weights of the nonlinear slopes on top of the last stage. `explicit_error` and
    `implicit_error` are the weights' differences to the embedded scheme, times a factor that makes the error of a run,
    and not only that of a step, as small as a tolerance asks (measured in `tests/test_tolerances.py`).
    """

    nodes: tuple[float, ...]
    explicit: tuple[tuple[float, ...], ...]
    implicit: tuple[tuple[float, ...], ...]
    gamma: float
    end: tuple[float, ...]
    explicit_error: tuple[float, ...]
    implicit_error: tuple[float, ...]


class IMEXWeights(eqx.Module):
    """$h$ itself, $hL$, $(1 - h\\gamma L)^{-1}$ and $hL (1 - h\\gamma L)^{-1}$ at one step size.

    Late in a run the difference of two rounded times is a worse `h` than the one that the operators were made for.
    """

    size: jax.Array
    generator: ModalOperator
    stage: ModalOperator
    slope: ModalOperator


class AbstractIMEXRungeKutta(AbstractOneStepSolver):
    """Additive Runge-Kutta with a diagonally implicit part: a subclass gives its tableau.

    Costs one evaluation of the nonlinear part per stage (the last one of a step is the first of the next) and
    two products with modal operators. Decaying modes never limit the step; the nonlinear part does as in any
    explicit scheme. On stiff problems the orders 4 and 5 fall towards 3 until the step resolves the modes
    that matter.
    """

    scheme: eqx.AbstractClassVar[IMEXTableau]
    implicit: ClassVar[bool] = True

    def coefficients(self, term: SemilinearTerm, h, y) -> IMEXWeights:
        generator = term.symbol(y).combine(lambda z: scaled_by(1.0, h, z))
        stage = (generator.identity() - self.scheme.gamma * generator).inverse()
        dtype = jnp.result_type(*jax.tree.leaves(y))
        size = jnp.asarray(h, jnp.finfo(dtype).dtype)
        return IMEXWeights(size, *(w.rounded(dtype) for w in (generator, stage, generator @ stage)))

    def advance(self, term: SemilinearTerm, weights: IMEXWeights, t0, t1, start, first):
        scheme, size = self.scheme, weights.size
        data = lambda t: self.data(term, t, start)
        explicit, implicit = [first], [total(weights.generator.mv(start), size, data(t0))]  # N and h (L U + g)
        stage = start
        for i, c in enumerate(scheme.nodes[1:]):
            time = t0 + c * (t1 - t0)
            known, given = _sum(size, start, scheme.explicit[i], explicit, scheme.implicit[i], implicit), data(time)
            stage = weights.stage.mv(total(known, scheme.gamma * size, given))
            increment = weights.slope.mv(known)
            implicit.append(increment if given is None else total(increment, size, weights.stage.mv(given)))
            used = i + 2 < len(scheme.nodes) or scheme.end[-1] or scheme.explicit_error[-1]
            explicit.append(self.slope(term, time, stage) if used else None)
        end, last = self.arrival(term, t1, _sum(size, stage, scheme.end, explicit, (), ()))
        error = _sum(size, None, scheme.explicit_error, explicit, scheme.implicit_error, implicit)
        return end, last, error


def _sum(size, start, explicit: Sequence[float], slopes, implicit: Sequence[float], increments):
    """`start + size * (explicit @ slopes) + implicit @ increments`, without what is zero or absent."""
    terms = [] if start is None else [start]
    terms += [jax.tree.map(lambda n, a=a: (a * size) * n, n) for a, n in zip(explicit, slopes) if a and n is not None]
    terms += [jax.tree.map(lambda k, a=a: a * k, k) for a, k in zip(implicit, increments) if a]
    return jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *terms)


def _ascher_ruuth_spiteri() -> IMEXTableau:
    gamma = 1 - np.sqrt(0.5)
    delta = 1 - 0.5 / gamma
    # The embedded scheme, of first order, takes N at the start of the step and L at the first implicit stage.
    return IMEXTableau(
        nodes=(0.0, float(gamma), 1.0),
        explicit=((float(gamma),), (float(delta), float(1 - delta))),
        implicit=((0.0,), (0.0, float(1 - gamma))),
        gamma=float(gamma),
        end=(0.0, 0.0, 0.0),
        explicit_error=(float(delta - 1), float(1 - delta), 0.0),
        implicit_error=(0.0, float(-gamma), float(gamma)),
    )


def _kennedy_carpenter(solver: type[dfx.AbstractSolver], caution: float) -> IMEXTableau:
    """The tableau of a diffrax solver, in the form above; its error estimate counts `caution` times."""
    explicit, implicit = solver.tableau.tableaus
    end, error = explicit.b_sol, explicit.b_error
    end = end - np.append(explicit.a_lower[-1], 0.0)
    return IMEXTableau(
        nodes=(0.0, *map(float, explicit.c)),
        explicit=tuple(tuple(map(float, row)) for row in explicit.a_lower),
        implicit=tuple(tuple(map(float, row)) for row in implicit.a_lower),
        gamma=float(implicit.a_diagonal[1]),
        end=tuple(map(float, end)),
        explicit_error=tuple(map(float, caution * error)),
        implicit_error=tuple(map(float, caution * implicit.b_error)),
    )


class IMEXRK2(AbstractIMEXRungeKutta):
    """Two implicit stages, order 2, L-stable: ARS(2,2,2).

    Two evaluations of the nonlinear part per step. Reference: Ascher, Ruuth and Spiteri 1997, Appl. Numer.
    Math. 25, 151-167, section 2.6; the embedded scheme of first order is ours.
    """

    scheme: ClassVar[IMEXTableau] = _ascher_ruuth_spiteri()
    weights: Any = None

    def order(self, terms):
        return 2


class IMEXRK3(AbstractIMEXRungeKutta):
    """Four stages, order 3, L-stable, embedded order 2: ARK3(2)4L[2]SA.

    Reference: Kennedy and Carpenter 2003, Appl. Numer. Math. 44, 139-181, appendix C; the tableau is that of
    `diffrax.KenCarp3`.
    """

    scheme: ClassVar[IMEXTableau] = _kennedy_carpenter(dfx.KenCarp3, caution=8.0)
    weights: Any = None

    def order(self, terms):
        return 3


class IMEXRK4(AbstractIMEXRungeKutta):
    """Six stages, order 4, L-stable, embedded order 3: ARK4(3)6L[2]SA.

    Reference: Kennedy and Carpenter 2003, appendix C; the tableau is that of `diffrax.KenCarp4`.
    """

    scheme: ClassVar[IMEXTableau] = _kennedy_carpenter(dfx.KenCarp4, caution=3.0)
    weights: Any = None

    def order(self, terms):
        return 4


class IMEXRK5(AbstractIMEXRungeKutta):
    """Eight stages, order 5, L-stable, embedded order 4: ARK5(4)8L[2]SA.

    Reference: Kennedy and Carpenter 2003, appendix C; the tableau is that of `diffrax.KenCarp5`.
    """

    scheme: ClassVar[IMEXTableau] = _kennedy_carpenter(dfx.KenCarp5, caution=3.0)
    weights: Any = None

    def order(self, terms):
        return 5
