"""Jacobians of equations on grids, and what implicit solvers of diffrax make of them."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np

from ..equations import Equation, is_field
from ..linear import StencilOperator, StencilPattern, compress, find_stencil
from ..norms import norm, power_of_two
from ..spaces import FiniteDifference, Space
from .preparation import check_state, spaces_of
from .term import SemilinearTerm


def stencil_pattern(equation: Equation, u: Any, t=0.0) -> StencilPattern:
    """Which entries the Jacobian of an equation's right-hand side has on a finite-difference grid.

    Found on `u` itself by [`find_stencil`][jaxsim.linear.find_stencil], whatever the order, the walls and the
    coupling of the components. Branches that `u` does not take are not seen: for upwind fluxes and limiters unite
    (`|`) the patterns of states that take them.

    **Arguments:**

    - `equation`: a `js.Equation`.
    - `u`: a field on a `js.FiniteDifference`, or a pytree of fields on the same nodes; known, not traced.
    - `t`: time.

    **Returns:** a [`StencilPattern`][jaxsim.linear.StencilPattern], for
    [`StencilLU`][jaxsim.linear.StencilLU] and [`colored_jacobian`][jaxsim.integrate.colored_jacobian].

    **Raises:** `ValueError` on other spaces, and where an axis is coupled from end to end; `TypeError` for a traced
    state.
    """
    term, state, space = _on_grid(equation, u)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(state)):
        raise TypeError("stencil_pattern: needs known values; call it outside of jax.jit, once, and pass the pattern.")
    return find_stencil(lambda y: term.vf(t, y), state, space.shape, space.periodic)


def colored_jacobian(equation: Equation, u: Any, t=0.0, pattern: StencilPattern | None = None) -> StencilOperator:
    """The sparse Jacobian of an equation's right-hand side, from as many Jacobian-vector products as it has colors.

    Seven for a five-point stencil of one species that reacts with two others, on a grid of any size.

    **Arguments:**

    - `equation`: a `js.Equation`.
    - `u`: a field on a `js.FiniteDifference`, or a pytree of fields on the same nodes.
    - `t`: time.
    - `pattern`: from [`stencil_pattern`][jaxsim.integrate.stencil_pattern], which is called where it is left out; give
        it inside of `jax.jit`.

    **Returns:** a [`StencilOperator`][jaxsim.linear.StencilOperator], a lineax operator on nodal values.
    """
    pattern = stencil_pattern(equation, u, t) if pattern is None else pattern
    term, state, _ = _on_grid(equation, u)
    _, product = jax.linearize(lambda y: term.vf(t, y), state)
    return compress(product, state, pattern)


def modal_preconditioner(equation: Equation, u: Any) -> "ModalPreconditioner":
    """The inverse of $1 - \\sigma L$ as a preconditioner of implicit steps, $L$ the equation's diagonal linear part.

    For `js.linear.Preconditioned(js.linear.FGMRES(), modal_preconditioner(equation, u))`, a solver without a matrix
    for `optimistix.Newton` as the root finder of diffrax's implicit solvers. $\\sigma$ is the number for which
    $1 - \\sigma L$ comes closest to the operator on a random vector, which the stiff part of $L$ decides.

    **Arguments:**

    - `equation`: a `js.Equation` with a `linear` part.
    - `u`: a field, or a pytree of fields, on spaces that diagonalize it.

    **Raises:** `ValueError` where the space has no diagonal form.
    """
    check_state(equation, u)
    state = jax.tree.map(lambda f: f.space.state(f), u, is_leaf=is_field)
    term = SemilinearTerm(equation, spaces_of(u)).for_state(state)
    return ModalPreconditioner(term, term.symbol(state))


class ModalPreconditioner(eqx.Module):
    """What `modal_preconditioner` returns: from an operator close to $1 - \\sigma L$ to an approximate inverse."""

    term: SemilinearTerm
    symbol: Any

    def __call__(self, operator: lx.AbstractLinearOperator):
        structure = operator.in_structure()
        random, dtype = np.random.default_rng(0), jnp.result_type(*jax.tree.leaves(structure))
        vector = jax.tree.map(lambda s: jnp.asarray(random.normal(size=s.shape), s.dtype), structure)
        image = self._through(self.symbol.rounded(dtype), vector)
        change = jax.tree.map(lambda a, b: a - b, vector, operator.mv(vector))
        dot = lambda a, b: sum(jnp.vdot(x, y).real for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)))
        divided = lambda a, size: jax.tree.map(lambda x: x / size, a)
        sizes = power_of_two(norm(image)), power_of_two(norm(change))
        image, change = (divided(a, size) for a, size in zip((image, change), sizes))
        sigma = dot(image, change) / dot(image, image) * (sizes[1] / sizes[0])
        inverse = (self.symbol.identity() - self.symbol * sigma).inverse().rounded(dtype)
        return lambda v: self._through(inverse, v)

    def _through(self, operator, vector):
        return self.term.from_modes(operator.mv(self.term.to_modes(vector)))


def _on_grid(equation: Equation, u: Any):
    """The term, the state as arrays and the space, which all fields must share."""
    check_state(equation, u)
    spaces = jax.tree.leaves(spaces_of(u), is_leaf=lambda s: isinstance(s, Space))
    first = spaces[0]
    if not isinstance(first, FiniteDifference) or any(
        not isinstance(s, FiniteDifference) or (s.shape, s.periodic) != (first.shape, first.periodic) for s in spaces
    ):
        raise ValueError("a stencil needs fields on the same nodes of a js.FiniteDifference space.")
    state = jax.tree.map(lambda f: f.space.state(f), u, is_leaf=is_field)
    return SemilinearTerm(equation, spaces_of(u)).for_state(state), state, first
