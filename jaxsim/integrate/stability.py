"""Refusing explicit steps that a linear part makes unstable."""

import diffrax as dfx
import jax
import numpy as np

from ..linear import Blocks
from ..spaces import NoDiagonalForm
from .explicit import ExplicitSteps
from .term import SemilinearTerm
from .wrapped import innermost

HARMFUL = 1e6  # growth of a mode over a run, beside that of the exact solution, which rounding errors show


def check_stable(term: SemilinearTerm, solver: dfx.AbstractSolver, dt, steps: int, y0) -> None:
    """Raise where steps of an explicit scheme amplify a mode of the linear part that does not grow.

    A step multiplies the mode of eigenvalue $\\lambda$ by the stability polynomial of the scheme,

    $$R(z) = 1 + z\\, b^T (I - zA)^{-1} \\mathbb{1}, \\qquad z = \\lambda\\,\\Delta t,$$

    and the exact solution by $e^z$. What is not known before the run (traced numbers, a linear part without a diagonal
    form, the nonlinear part) is not looked at; a run that blows up ends when it does.

    **Raises:** `ValueError` with the largest step that is stable.

    Reference: Hairer and Wanner, Solving Ordinary Differential Equations II (1996), section IV.2.
    """
    tableau = _tableau(solver)
    if tableau is None or isinstance(dt, jax.core.Tracer):
        return
    eigenvalues = _eigenvalues(term, y0)
    if eigenvalues is None or not np.all(np.isfinite(eigenvalues)):
        return
    if _growth(tableau, float(dt) * eigenvalues) * steps <= np.log(HARMFUL):
        return
    low, high = 0.0, float(dt)  # a smaller step needs more of them for the same time
    for _ in range(40):
        middle = 0.5 * (low + high)
        stable = _growth(tableau, middle * eigenvalues) * steps * float(dt) / middle <= np.log(HARMFUL)
        low, high = (middle, high) if stable else (low, middle)
    raise ValueError(
        f"steps of {float(dt):.3g} with {type(innermost(_inner(solver))).__name__} are unstable for the linear part of "
        f"{type(term.equation).__name__}: take `dt` below {low:.3g}, or a solver that treats that part exactly or "
        "implicitly, such as jaxsim.integrate.Krogstad4() or IMEXRK3()."
    )


def _inner(solver):
    return solver.solver if isinstance(solver, ExplicitSteps) else solver


def _tableau(solver) -> tuple[np.ndarray, np.ndarray] | None:
    """The matrix and the weights of an explicit Runge-Kutta scheme, or `None`."""
    solver = innermost(_inner(innermost(solver)))
    if isinstance(solver, dfx.Euler):
        return np.zeros((1, 1)), np.ones(1)
    if not isinstance(solver, dfx.AbstractERK) or not isinstance(solver.tableau, dfx.ButcherTableau):
        return None
    weights = np.asarray(solver.tableau.b_sol)
    matrix = np.zeros((len(weights), len(weights)))
    for row, entries in enumerate(solver.tableau.a_lower, 1):
        matrix[row, :row] = entries
    return matrix, weights


def _eigenvalues(term: SemilinearTerm, y0) -> np.ndarray | None:
    """The eigenvalues of the linear part, where they are known."""
    try:
        if not term.diagonal or not term.has_linear(y0):
            return None
        symbol = term.symbol(y0)
    except NoDiagonalForm:
        return None
    entries = [symbol.matrices] if isinstance(symbol, Blocks) else jax.tree.leaves(symbol.entries)
    if not all(isinstance(entry, np.ndarray) for entry in entries):
        return None
    if isinstance(symbol, Blocks):
        return np.linalg.eigvals(symbol.matrices).ravel()
    return np.concatenate([np.ravel(entry) for entry in entries]).astype(complex)


def _growth(tableau, z) -> float:
    """The logarithm of the largest factor by which a step exceeds the exact solution."""
    matrix, weights = tableau
    factor, power = np.ones_like(z), np.ones(len(weights))
    for k in range(1, len(weights) + 1):
        factor = factor + z**k * (weights @ power)
        power = matrix @ power
    with np.errstate(divide="ignore"):
        return float(np.max(np.log(np.abs(factor)) - np.maximum(z.real, 0)))
