"""What roots and fixed points share: a loop, and the derivative of where it ends."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax import lax
from jax.flatten_util import ravel_pytree

from ._closed import block_norms, closed, constant, flat_guess, real_shapes, with_arrays, without_tangent
from ._loops import scanned, until_done
from .adjoint import AbstractAdjoint, Implicit, Truncated, Unrolled
from .implicit_root import Square, root_change
from .linear_choice import LU, AbstractLinearChoice, settled
from .moving import moving
from .once import only_first
from .solved import OnFailure, Solved, delivered, fine, refuse_raise_in_shard_map
from .varying import alike


class Plan(eqx.Module):
    """How a square problem is solved and differentiated.

    - `method`: the loop.
    - `linear`: how systems with the Jacobian of `equation` are solved.
    - `equation`: what is zero at a solution, from the unknowns and the function there.
    - `name`: for messages.
    """

    method: Any
    linear: AbstractLinearChoice
    adjoint: AbstractAdjoint
    on_failure: OnFailure = eqx.field(static=True)
    equation: Callable[[jax.Array, jax.Array], jax.Array] = eqx.field(static=True)
    name: str = eqx.field(static=True)


def solve_square(function: Callable[[Any, Any], Any], guess: Any, parameters: Any, method: Any,
                 linear: Callable[[int, Any], AbstractLinearChoice], adjoint: AbstractAdjoint | None,
                 on_failure: OnFailure, equation: Callable[[jax.Array, jax.Array], jax.Array], name: str
                 ) -> Solved:  # fmt: skip
    """Solve and differentiate; the arguments are those of `root` and of `Plan`, `linear` by their number and type."""
    refuse_raise_in_shard_map(on_failure, name)
    adjoint = Implicit() if adjoint is None else adjoint
    flat, unravel = flat_guess(guess, name)
    parameters = with_arrays(parameters, flat)
    shapes = real_shapes(function, (guess, parameters), name, "function")
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    if count != flat.size:
        raise ValueError(f"{name}: {flat.size} unknowns need as many equations, got {count}. See `least_squares` for "
                         "another number.")  # fmt: skip
    flattened = lambda y, parameters: ravel_pytree(function(unravel(y), parameters))[0].astype(flat.dtype)
    (flattened,), flat = closed([flattened], flat, parameters)
    chosen = adjoint.linear if isinstance(adjoint, Implicit) else None
    chosen = linear(flat.size, flat.dtype) if chosen is None else chosen
    plan = constant(settled(Plan(method, chosen, adjoint, on_failure, equation, name), flat, unravel))
    method = plan.method
    problem = flattened, parameters
    if isinstance(adjoint, Implicit):
        unknowns, told, _ = _solve(problem, guess=flat, plan=plan, unravel=unravel)
    elif isinstance(adjoint, Truncated):
        unknowns, told, _ = lax.stop_gradient(_solve(problem, guess=flat, plan=plan, unravel=unravel))
        square = _square(only_first(problem, adjoint.steps, name), unravel)
        for _ in range(adjoint.steps):
            unknowns = method.undamped(square, unknowns, on_failure is OnFailure.RAISE)
    elif isinstance(adjoint, Unrolled):
        unknowns, told = _unrolled(problem, flat, plan, unravel)
    else:
        raise TypeError(f"{name}: `adjoint` is Implicit(), Truncated(steps) or Unrolled(steps), got {adjoint}.")
    status, value, steps, condition = told
    solved = Solved(unravel(unknowns), status, block_norms(value, shapes), steps, None, condition)
    return delivered(solved, on_failure, name)


def _square(problem, unravel, equation=None) -> Square:
    """The function of a problem of flat unknowns, or its equation."""
    arrays, rest = eqx.partition(problem, eqx.is_array)

    def made(arrays):
        function, parameters = eqx.combine(arrays, rest)
        return lambda y: function(y, parameters) if equation is None else equation(y, function(y, parameters))

    return Square(made(arrays), made(lax.stop_gradient(arrays)), unravel)


@eqx.filter_custom_jvp
def _solve(problem, *, guess, plan, unravel):
    square, method = _square(problem, unravel), plan.method
    state = alike(method.start(square, guess), problem, method)
    state = until_done(method.going, lambda state: method.step(square, state), state)
    unknowns, value = method.end(state)
    told, factors = _told(problem, plan, unravel, state, unknowns, value)
    return unknowns, told, factors


@_solve.def_jvp
def _solve_jvp(primals, tangents, *, guess, plan, unravel):
    (problem,), (moved,) = primals, tangents
    unknowns, told, factors = _solve(problem, guess=guess, plan=plan, unravel=unravel)
    arrays, moved, rest = moving(problem, moved)
    prepared = factors
    if factors is None:
        prepared = _square(problem, unravel, plan.equation).prepared(plan.linear, unknowns)
    function = lambda arrays, y: _square(eqx.combine(arrays, rest), unravel, plan.equation).function(y)
    first = plan.adjoint.guess if isinstance(plan.adjoint, Implicit) else None
    first = None if first is None else ravel_pytree(first)[0].astype(guess.dtype)
    wanted = fine(told[0], plan.on_failure)
    change = root_change(function, arrays, moved, unknowns, prepared, wanted, plan.on_failure, first, plan.name)
    return (unknowns, told, factors), (change, *without_tangent((told, factors)))


def _told(problem, plan, unravel, state, unknowns, value):
    """What there is to say about the end of a solve, and the factors of the Jacobian if a matrix is made."""
    factors = None
    if isinstance(plan.linear, LU):
        factors = _square(problem, unravel, plan.equation).prepared(plan.linear, unknowns)
    condition = None if factors is None else factors.condition()
    left = plan.equation(*lax.stop_gradient((unknowns, value)))
    return (plan.method.status(state), left, state.steps, condition), factors


def _unrolled(problem, guess, plan, unravel):
    square, method = _square(problem, unravel), plan.method
    state = alike(method.start(square, guess), problem, method)
    state = scanned(method.going, lambda state: method.step(square, state, True), state, plan.adjoint)
    unknowns, value = method.end(state)
    return unknowns, _told(constant(problem), plan, unravel, *lax.stop_gradient((state, unknowns, value)))[0]
