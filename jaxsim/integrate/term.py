"""An equation on a space, as a diffrax term that remembers its linear part."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..equations import Equation, constrained_state, is_field, linear_part, nonlinear_part
from ..linear import ModalOperator
from ..spaces import Space, error_if
from .symbols import Structure, blocks, diagonal, find_structure, promoted, symbol_matrix

State = Any  # a pytree of bare arrays
HIGHEST_DEGREE = 8
HIDDEN = (
    "the linear part couples components, or is complex, only for parameters like these, which was not seen while they "
    "were traced: call the run outside of jit and grad, or move that part to `nonlinear`."
)


class SemilinearTerm(dfx.AbstractTerm):
    """An equation's right-hand side over bare arrays, $\\dot y = L y + N(t, y)$.

    As a diffrax term its vector field is the sum, so every stock diffrax solver accepts it; the exponential and IMEX
    solvers of jaxsim use the split.

    **Arguments:**

    - `equation`: a `js.Equation`.
    - `space`: the space of the state, or a pytree of spaces for a pytree of fields.
    - `origin`: the time from which times are counted; those of a clock when left out.
    - `kick`: modal amplitudes that are added at the end of the step, an increment of noise; for fixed steps.

    The state is `space.state(field)`: Fourier coefficients or nodal values. Products are padded for the polynomial
    degree of the equation, which is found by evaluating it once on shapes alone.
    """

    equation: Equation
    space: Any
    origin: Any = None
    kick: Any = None

    def __check_init__(self):
        if not isinstance(self.equation, Equation):
            raise TypeError(f"expected a js.Equation, got {type(self.equation).__name__}.")
        if not all(isinstance(s, Space) for s in jax.tree.leaves(self.space, is_leaf=_is_space)):
            raise TypeError("SemilinearTerm: `space` must be a js.Space or a pytree of them.")

    # -- diffrax's side ----------------------------------------------------------------------------------------------
    def vf(self, t, y: State, args: Any = None) -> State:
        time, equation, u = self._bound(t, self.settled(y))
        return self.unbind(equation.right_hand_side(time, u))

    def contr(self, t0, t1, **kwargs):
        return t1 - t0

    def prod(self, vf: State, control) -> State:
        return jax.tree.map(lambda v: control * v, vf)

    # -- the split ---------------------------------------------------------------------------------------------------
    def nonlinear(self, t, y: State) -> State | None:
        """$N(t, y)$, or `None` for an equation without one."""
        time, equation, u = self._bound(t, y)
        part = nonlinear_part(equation, time, u)
        return None if part is None else self.unbind(part)

    def affine(self, t, y: State) -> State | None:
        """What `linear` gives for a state of zeros: boundary data that are not zero. `None` where there are none."""
        if not any(space.affine for space in jax.tree.leaves(self.space, is_leaf=_is_space)):
            return None
        _, equation, u = self._bound(t, jax.tree.map(jnp.zeros_like, y))
        part = linear_part(equation, u)
        return None if part is None else self.unbind(part)

    def beside_linear(self, t, y: State) -> State | None:
        """All that makes the right-hand side more than a linear map: `nonlinear` and `affine` together."""
        parts = [part for part in (self.nonlinear(t, y), self.affine(t, y)) if part is not None]
        return jax.tree.map(lambda *slopes: sum(slopes[1:], slopes[0]), *parts) if parts else None

    def kicked(self, amplitudes: State) -> State:
        """The end of a step with the increment of noise that belongs to it."""
        return amplitudes if self.kick is None else jax.tree.map(lambda a, b: a + b, amplitudes, self.kick)

    def constrain(self, t, y: State) -> State | None:
        """The state next to `y` that satisfies the equation's constraint, or `None` for one without."""
        _, equation, u = self._bound(t, y)
        admissible = constrained_state(equation, u)
        return None if admissible is None else self.unbind(admissible)

    def kept(self, t, y: State) -> State:
        """The end of a step on the equation's constraint, where steps would leave it."""
        _, equation, u = self._bound(t, y)
        admissible = constrained_state(equation, u)
        return y if admissible is None or not equation.drifts(u) else self.unbind(admissible)

    def settled(self, y: State) -> State:
        """The state without rounding that no field has: see `Space.settled`."""
        spaces = jax.tree.leaves(self.space, is_leaf=_is_space)
        if all(type(space).settled is Space.settled for space in spaces):
            return y
        return jax.tree.map(lambda s, a: s.settled(a), self.space, y, is_leaf=_is_space)

    def fields(self, t, y: State) -> tuple[Any, Equation, Any]:
        """The true time, the equation with parameters in the precision of the state, and the state as fields."""
        return self._bound(t, y)

    def bind(self, y: State, t=None) -> Any:
        """Fields of bare arrays, with boundary values taken at time `t`."""
        return jax.tree.map(lambda s, a: s.bind(a, t), self.space, y, is_leaf=_is_space)

    def unbind(self, u: Any) -> State:
        """Bare arrays of fields."""
        return jax.tree.map(lambda f: f.space.state(f), u, is_leaf=is_field)

    def to_modes(self, y: State) -> State:
        """Amplitudes in the basis that diagonalizes the linear part."""
        return jax.tree.map(lambda s, a: s.modes().to_modes(a), self._parts(), y, is_leaf=_is_space)

    def from_modes(self, amplitudes: State) -> State:
        """The inverse of `to_modes`."""
        return jax.tree.map(lambda s, a: s.modes().from_modes(a), self._parts(), amplitudes, is_leaf=_is_space)

    def for_state(self, y: State) -> "SemilinearTerm":
        """The term with its spaces padded for the degree of the equation's products."""
        degree = self._degree(y)
        spaces = jax.tree.map(lambda s: s.for_degree(degree), self.space, is_leaf=_is_space)
        return SemilinearTerm(self.equation, spaces, self.origin, self.kick)

    def symbol(self, y: State) -> ModalOperator:
        """The linear part in its diagonal form.

        In NumPy double precision where the equation's parameters are known, and traced (and differentiable) where one
        of them is not.

        **Raises:** `ValueError` where the space has no diagonal form, or `linear` has varying coefficients.
        """
        if not self.diagonal:
            raise ValueError(
                "exponential and IMEX solvers need a diagonal form of `linear`, which this space (its order, its sides "
                "or its mesh) does not give: use a diffrax solver such as diffrax.Tsit5() or diffrax.Kvaerno5()."
            )
        structure = self._structure(y)
        matrix = structure.matrix
        if matrix is None:
            matrix = symbol_matrix(promoted(self.equation), self._homogeneous(), y)
        if structure.real:
            matrix = [[None if e is None else e.real for e in row] for row in matrix]
        return blocks(matrix) if structure.coupled else diagonal(matrix, self._parts(), y)

    def has_linear(self, y: State) -> bool:
        """Whether the equation has a linear part, found on shapes alone."""

        def part(y):
            _, equation, u = self._bound(jnp.zeros((), jnp.finfo(jnp.result_type(*jax.tree.leaves(y))).dtype), y)
            return linear_part(equation, u)

        return eqx.filter_eval_shape(part, y) is not None

    def checked(self, y: State) -> State:
        """The state, which is an error at run time where the linear part has not the structure found on stand-ins.

        Solvers call it once, before their first step.
        """
        structure = self._structure(y)
        if structure.matrix is not None:
            return y
        matrix = symbol_matrix(promoted(self.equation), self._homogeneous(), y)
        present = [(i == j, e) for i, row in enumerate(matrix) for j, e in enumerate(row) if e is not None]
        sizes = [jnp.max(jnp.abs(e)) for _, e in present]
        dropped = [jnp.max(jnp.abs(jnp.imag(e))) for _, e in present if structure.real]
        dropped += [jnp.max(jnp.abs(e)) for own, e in present if not own and not structure.coupled]
        if not dropped:
            return y
        rounding = 8 * jnp.finfo(sizes[0].dtype).eps * jnp.max(jnp.stack(sizes))
        hidden = jnp.max(jnp.stack(dropped)) > rounding
        return self.unbind(error_if(self.bind(y), hidden, HIDDEN))  # as fields, which may be cut over devices

    @property
    def diagonal(self) -> bool:
        """Whether the spaces diagonalize constant-coefficient operators."""
        return all(space.modes() is not None for space in jax.tree.leaves(self._parts(), is_leaf=_is_space))

    def _structure(self, y: State) -> Structure:
        parts = jax.tree.map(lambda s: s.parts(), self._homogeneous(), is_leaf=_is_space)
        leaves = jax.tree.leaves((self.equation, parts))  # and the coefficients of conditions
        known = not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        return find_structure(self.equation, self._homogeneous(), y, known)

    # -- details -----------------------------------------------------------------------------------------------------
    def _parts(self):
        """The spaces of the arrays of a state."""
        return jax.tree.map(lambda s: s.parts(), self.space, is_leaf=_is_space)

    def _homogeneous(self):
        return jax.tree.map(lambda s: s.homogeneous(), self.space, is_leaf=_is_space)

    def _bound(self, t, y: State):
        dtype = jnp.result_type(*jax.tree.leaves(y))
        equation = jax.tree.map(lambda a: _cast(a, dtype), self.equation)
        time = t if self.origin is None else self.origin + t
        return time, equation, self.bind(y, time)

    def _degree(self, y: State) -> int:
        spaces = jax.tree.map(lambda s: s.for_degree(HIGHEST_DEGREE), self.space, is_leaf=_is_space)
        wide = SemilinearTerm(self.equation, spaces, self.origin)

        def peaks(y):
            zero = jnp.zeros((), jnp.finfo(jnp.result_type(*jax.tree.leaves(y))).dtype)
            time, equation, u = wide._bound(zero, y)
            result = nonlinear_part(equation, time, u)
            fields = jax.tree.leaves(result, is_leaf=is_field)
            return eqx.internal.Static(max((f.space.peak(f) for f in fields if is_field(f)), default=1))

        return max(2, eqx.filter_eval_shape(peaks, y).value)


def unwrapped(terms: dfx.AbstractTerm, t0, t1) -> tuple[SemilinearTerm, Any, Any]:
    """The semilinear term that diffrax hands to a solver, and the step's ends in the direction of integration.

    `diffrax.diffeqsolve` wraps terms to integrate backward in time; the split lies inside.

    **Raises:** `TypeError` for any other term, as under `diffrax.BacksolveAdjoint`.
    """
    if isinstance(terms, SemilinearTerm):
        return terms, t0, t1
    inner = getattr(terms, "term", None)
    if not isinstance(inner, SemilinearTerm) or not hasattr(terms, "direction"):
        raise TypeError(
            f"this solver needs a js.SemilinearTerm, got {type(terms).__name__}. (diffrax.BacksolveAdjoint hides the "
            "split: use RecursiveCheckpointAdjoint, DirectAdjoint or ForwardMode.)"
        )
    return inner, t0 * terms.direction, t1 * terms.direction


def _is_space(node) -> bool:
    return isinstance(node, Space)


def _cast(leaf, dtype):
    """Parameters in the precision of the state, so that strong types do not promote it."""
    if not eqx.is_inexact_array(leaf):
        return leaf
    precision = jnp.finfo(dtype).dtype
    return leaf.astype(jnp.result_type(precision, jnp.complex64) if jnp.iscomplexobj(leaf) else precision)
