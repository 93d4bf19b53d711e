"""What every run begins with: an equation and a field become a term, a solver and bare arrays."""

import importlib.util
from typing import Any

import diffrax as dfx
import jax
import jax.numpy as jnp

from ..boxes import placed
from ..equations import Equation, is_field
from ..spaces import NoDiagonalForm, Space
from .constrained import constrained
from .explicit import unrolled
from .exponential import Krogstad4
from .semilinear import AbstractSemilinearSolver
from .term import SemilinearTerm

GROWTH = 1e30  # no run means to grow by that; an unstable one does so before it overflows
ADVICE = "Take smaller steps (or an adaptive js.solve), more modes, or check the equation's parameters and data."


class Diverged(RuntimeError):
    """A run met a value that is not finite, or a step failed. The message says after how many steps, and when."""


def fixed_steps(equation: Equation, u0: Any, dt, t0, solver: dfx.AbstractSolver | None
                ) -> tuple[SemilinearTerm, dfx.AbstractSolver, Any]:  # fmt: skip
    """The term, the solver prepared for steps of one size, and the bare initial state, on the constraint if any."""
    check_state(equation, u0)
    term, y0 = bare(equation, u0)
    solver = default_solver(term, y0) if solver is None else solver
    check_solver(solver, equation, y0)
    if isinstance(solver, AbstractSemilinearSolver):
        solver, y0 = solver.prepare(term, dt, y0), term.checked(y0)
    else:
        solver = unrolled(solver)
    return term, *constrained(solver, term, t0, y0)


def bare(equation: Equation, u0: Any) -> tuple[SemilinearTerm, Any]:
    """An equation as a diffrax term, and fields as what an integrator carries."""
    y0 = jax.tree.map(lambda f: f.space.state(f), u0, is_leaf=is_field)
    spaces = jax.tree.map(lambda f: f.space.simplified(), u0, is_leaf=is_field)
    return SemilinearTerm(equation, spaces).for_state(y0), y0


def default_solver(term: SemilinearTerm, y0) -> dfx.AbstractSolver:
    """`Krogstad4` where the linear part is diagonal, `diffrax.Tsit5` where there is none or the state has no axes.

    Without axes there are no short waves to make the linear part stiff.

    **Raises:** `ValueError` for a linear part without a diagonal form. Explicit steps of the same size may be unstable
    there, so that kind of method is the user's to choose.
    """
    if not any(space.dimension for space in jax.tree.leaves(term.space, is_leaf=_is_space)):
        return dfx.Tsit5()
    try:
        if term.diagonal:
            return Krogstad4() if term.symbol(y0) is not None else dfx.Tsit5()
        reason = "the space (its order, its walls or its mesh) has none"
    except NoDiagonalForm as error:
        reason = str(error)
    if not term.has_linear(y0):
        return dfx.Tsit5()
    raise ValueError(
        f"the linear part of {type(term.equation).__name__} has no diagonal form, which the default solver needs: "
        f"{reason}. Choose a `solver`: explicit steps, diffrax.Tsit5(), are stable where dt is below about "
        "dx^2 / (2 * axes * diffusivity), implicit ones, diffrax.Kvaerno5(), for any dt."
    )


def progress_meter(progress: bool) -> dfx.AbstractProgressMeter:
    """diffrax's meter: tqdm's bar where it is installed, lines of text where it is not, nothing where not wanted."""
    if not progress:
        return dfx.NoProgressMeter()
    return dfx.TqdmProgressMeter() if importlib.util.find_spec("tqdm") else dfx.TextProgressMeter()


def real_precision(y):
    """The precision of a state: float32 or float64."""
    return jnp.finfo(jnp.result_type(*jax.tree.leaves(y))).dtype


def all_finite(y) -> jax.Array:
    """Whether every number of a pytree is finite, a boolean."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(y)]))


def largest(y) -> jax.Array:
    """The largest absolute value of a pytree, which has no derivative."""
    return jnp.max(jnp.stack([jnp.max(jnp.abs(jax.lax.stop_gradient(a))) for a in jax.tree.leaves(y)]))


def bounded(y, scale) -> jax.Array:
    """Whether every number of a pytree is finite, and none is beyond any growth from `scale`, zero for unknown."""
    size = largest(y)
    limit = jnp.where(scale > 0, scale, jnp.inf) * jnp.asarray(GROWTH, size.dtype)
    return jnp.isfinite(size) & (size <= limit)


def check_state(equation, u0):
    """Raise unless this is an equation and a field, or a pytree of fields."""
    if not isinstance(equation, Equation):
        raise TypeError(f"expected a js.Equation, got {type(equation).__name__}.")
    if type(equation).linear is Equation.linear and type(equation).nonlinear is Equation.nonlinear:
        raise TypeError(f"{type(equation).__name__} has neither `linear` nor `nonlinear`: nothing to integrate.")
    fields = jax.tree.leaves(u0, is_leaf=is_field)
    if not fields or not all(map(is_field, fields)):
        raise TypeError("the initial state must be a Field (space.field(...)) or a pytree of Fields.")
    precisions = {str(jnp.finfo(f.dtype).dtype) for f in fields}
    if len(precisions) > 1:
        raise TypeError(
            f"the fields of a state have different precisions, {' and '.join(sorted(precisions))}: make them of one, "
            "as in space.field(values.astype(jnp.float32))."
        )
    for space in {id(f.space): f.space for f in fields}.values():
        if getattr(space, "grid", None) is not None:  # refused here, where numbers are not traced yet
            placed(equation, space.grid, getattr(space, "periodic", None))
    equation.check(u0)


def check_solver(solver: dfx.AbstractSolver, equation: Equation, y0):
    """Refuse what is no solver, and Newton iterations on spectra.

    A product of real fields is no complex-linear function of coefficients.
    """
    if not isinstance(solver, dfx.AbstractSolver):
        given = solver.__name__ if isinstance(solver, type) else solver
        hint = f"write solver={given}(), with parentheses" if isinstance(solver, type) else (
            "solvers are objects: those of jaxsim.integrate, such as js.integrate.ETDRK4(), or of diffrax")
        raise TypeError(f"`solver` is a diffrax solver, and got {given!r}: {hint}.")
    modal = any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(y0))
    if modal and isinstance(solver, dfx.AbstractImplicitSolver) and type(equation).nonlinear is not Equation.nonlinear:
        raise ValueError(
            f"{type(solver).__name__} takes Newton steps, which do not converge on complex states: use an exponential "
            "or IMEX solver of jaxsim.integrate, or a FiniteDifference space."
        )


def spaces_of(u0):
    """The space of every field of a state."""
    return jax.tree.map(lambda f: f.space, u0, is_leaf=is_field)


def _is_space(node) -> bool:
    return isinstance(node, Space)
