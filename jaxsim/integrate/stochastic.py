"""Stochastic differential equations that state how they are meant, and their terms for either kind of solver."""

import abc
from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jax.flatten_util import ravel_pytree

from .origin import Later
from .wrapped import innermost

State = Any  # a pytree of real arrays


class AbstractInterpretation(eqx.Module):
    """What $g(t, y)\\, dW$ means."""

    @abc.abstractmethod
    def correction(self, wanted: "AbstractInterpretation") -> int:
        """How often $\\tfrac12 \\sum_j (\\partial g_j)\\, g_j$ is to be added to the drift for the `wanted` one."""


class Ito(AbstractInterpretation):
    """Itô's integral: $g$ is taken at the start of each increment of noise, and the noise has no mean effect."""

    def correction(self, wanted: AbstractInterpretation) -> int:
        return -1 if isinstance(wanted, Stratonovich) else 0


class Stratonovich(AbstractInterpretation):
    """Stratonovich's integral, $g \\circ dW$: the limit of smooth noise, to which the ordinary chain rule applies."""

    def correction(self, wanted: AbstractInterpretation) -> int:
        return 1 if isinstance(wanted, Ito) else 0


class Diagonal(eqx.Module):
    """A diffusion with one noise per component of the state, $g(t, y) = \\operatorname{diag}(e(t, y))$.

    **Arguments:**

    - `entries`: the diagonal as a function of `(t, y, args)`, structured like the state.
    - `entrywise`: promise that each entry depends on no component of the state but its own. Converting the drift then
        takes one derivative instead of one per component; nothing checks it.

    **Returns:** when called with `(t, y, args)`, a `lineax.DiagonalLinearOperator`.
    """

    entries: Callable[..., State]
    entrywise: bool = eqx.field(static=True, default=False)

    def __call__(self, t, y: State, args: Any = None) -> lx.DiagonalLinearOperator:
        return lx.DiagonalLinearOperator(self.values(t, y, args))

    def values(self, t, y: State, args: Any = None) -> State:
        """The entries, in the shape and precision of the state."""
        entries = self.entries(t, y, args)
        if jax.tree.structure(entries) != jax.tree.structure(y):
            raise ValueError("Diagonal: `entries` must return a pytree structured like the state.")
        return jax.tree.map(lambda e, a: jnp.broadcast_to(jnp.asarray(e, a.dtype), a.shape), entries, y)


class SDE(eqx.Module):
    """A stochastic differential equation that states its interpretation, $dy = f(t, y)\\, dt + g(t, y)\\, dW$.

    diffrax's solvers converge to one of the two interpretations each and never ask which one is meant: the same drift
    under `diffrax.Euler` and under `diffrax.Heun` are two equations. `terms` gives the drift that the solver needs,
    by

    $$f_\\text{Strat} = f_\\text{Itô} - \\tfrac12 \\sum_{jk} g_{kj}\\, \\partial_k g_{ij}.$$

    **Arguments:**

    - `drift`: $f$, a function of `(t, y, args)`, structured like the state.
    - `diffusion`: $g$, a function of `(t, y, args)`: a `Diagonal`, a function that returns a lineax operator, or one
        that returns arrays of shape `(*state, *noise)`, leaf by leaf.
    - `interpretation`: `Ito()` (the default) or `Stratonovich()`.

    The derivatives of $g$ are `jax.jvp`s, so that the converted drift can be differentiated again. Noise that does not
    depend on the state needs none, and that is seen from the function itself.

    Reference: Kloeden and Platen, Numerical Solution of Stochastic Differential Equations (1992), section 4.9.
    """

    drift: Callable[..., State]
    diffusion: Callable[..., Any]
    interpretation: AbstractInterpretation = eqx.field(default_factory=Ito)

    def __check_init__(self):
        if not callable(self.drift) or not callable(self.diffusion):
            raise TypeError("SDE: `drift` and `diffusion` are functions of (t, y, args).")
        if not isinstance(self.interpretation, AbstractInterpretation):
            raise TypeError(f"SDE: `interpretation` is Ito() or Stratonovich(), got {self.interpretation!r}.")

    def terms(self, solver: dfx.AbstractSolver, path: Any) -> dfx.MultiTerm:
        """Drift and diffusion as diffrax terms, in the interpretation that `solver` converges to.

        **Arguments:**

        - `solver`: marked by diffrax as converging to Itô's or Stratonovich's solution; seen through
            `diffrax.HalfSolver` and other wrappers.
        - `path`: the Brownian motion, as from `brownian_path`.

        **Raises:** `ValueError` for a solver that is marked as neither, or takes terms of another kind.
        """
        factor = self.interpretation.correction(interpretation_of(solver))
        drift = self.drift if factor == 0 else Converted(self, factor)
        return dfx.MultiTerm(dfx.ODETerm(drift), dfx.ControlTerm(self.diffusion, path))

    def since(self, origin) -> "SDE":
        """The same equation with time zero at `origin`."""
        diffusion = self.diffusion
        if isinstance(diffusion, Diagonal):
            later = Diagonal(Later(diffusion.entries, origin), diffusion.entrywise)
        else:
            later = Later(diffusion, origin)
        return SDE(Later(self.drift, origin), later, self.interpretation)

    def noise(self, t, y: State, args: Any = None) -> Any:
        """Shape of the noise, a pytree of `jax.ShapeDtypeStruct`.

        **Raises:** `ValueError` where the diffusion does not fit the state.
        """
        matrix = eqx.filter_eval_shape(self.diffusion, t, y, args)
        if isinstance(matrix, lx.AbstractLinearOperator):
            if jax.tree.map(jnp.shape, matrix.out_structure()) != jax.tree.map(jnp.shape, y):
                raise ValueError("SDE: the operator that `diffusion` returns must map noise to the state's shape.")
            return matrix.in_structure()
        if jax.tree.structure(matrix) != jax.tree.structure(y):
            raise ValueError("SDE: `diffusion` must return a lineax operator, or arrays structured like the state.")
        return jax.tree.map(_noise_of_leaf, matrix, y)

    def additive(self, t, y: State, args: Any = None) -> bool:
        """Whether the noise visibly does not depend on the state."""

        def tangents(y):
            return eqx.internal.Static(len(jax.tree.leaves(eqx.filter_jvp(self._at(t, args), (y,), (y,))[1])))

        return eqx.filter_eval_shape(tangents, y).value == 0

    def correction(self, t, y: State, args: Any = None) -> State | None:
        """$\\tfrac12 \\sum_j (\\partial g_j)\\, g_j$ over the columns of $g$, or `None` for additive noise."""
        if self.additive(t, y, args):
            return None
        if isinstance(self.diffusion, Diagonal) and self.diffusion.entrywise:
            entries = lambda y: self.diffusion.values(t, y, args)
            total = jax.jvp(entries, (y,), (entries(y),))[1]
        else:
            total = self._over_channels(t, y, args)
        return jax.tree.map(lambda a: 0.5 * a, total)

    def _over_channels(self, t, y, args):
        diffusion = self._at(t, args)
        multiply = dfx.ControlTerm(self.diffusion, _no_path).prod
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), self.noise(t, y, args))
        flat, unravel = ravel_pytree(zeros)

        def along(channel):
            column = lambda y: multiply(diffusion(y), unravel(channel))
            return jax.jvp(column, (y,), (column(y),))[1]

        columns = jax.vmap(along)(jnp.eye(flat.size, dtype=flat.dtype))
        return jax.tree.map(lambda a: jnp.sum(a, 0), columns)

    def _at(self, t, args):
        return lambda y: self.diffusion(t, y, args)


class Converted(eqx.Module):
    """The drift of an `SDE` in the other interpretation."""

    sde: SDE
    factor: int = eqx.field(static=True)

    def __call__(self, t, y: State, args: Any = None) -> State:
        slope, correction = self.sde.drift(t, y, args), self.sde.correction(t, y, args)
        if correction is None:
            return slope
        return jax.tree.map(lambda f, c: f + self.factor * c, slope, correction)


def interpretation_of(solver: dfx.AbstractSolver) -> AbstractInterpretation:
    """The interpretation that a diffrax solver converges to.

    **Raises:** `ValueError` for a solver that is marked as neither.
    """
    inner = innermost(solver)
    if isinstance(inner, (dfx.ALIGN, dfx.ShOULD, dfx.QUICSORT)):
        raise ValueError(
            f"SDE: {type(inner).__name__} takes the terms of an underdamped Langevin equation, "
            "diffrax.UnderdampedLangevinDriftTerm and DiffusionTerm; use diffrax.SPaRK() here."
        )
    if isinstance(inner, dfx.AbstractItoSolver):
        return Ito()
    if isinstance(inner, dfx.AbstractStratonovichSolver):
        return Stratonovich()
    raise ValueError(
        f"SDE: {type(inner).__name__} is marked as converging to neither Itô's nor Stratonovich's solution. Use "
        "diffrax.SPaRK(), Heun(), ShARK() (additive noise), or for fixed steps ItoMilstein() or Euler()."
    )


def _noise_of_leaf(matrix, y) -> jax.ShapeDtypeStruct:
    if matrix.shape[: jnp.ndim(y)] != jnp.shape(y):
        raise ValueError(
            f"SDE: `diffusion` returned shape {matrix.shape} for a state of shape {jnp.shape(y)}: an array has shape "
            "(*state, *noise). For one noise per component wrap its function in jaxsim.integrate.Diagonal."
        )
    if jnp.ndim(y) and matrix.ndim == jnp.ndim(y):
        raise ValueError(
            f"SDE: `diffusion` returned shape {matrix.shape}, the state's own, which could mean two things. For one "
            "noise per component wrap its function in jaxsim.integrate.Diagonal; for one noise that all components "
            "share, add an axis of length 1 at the end."
        )
    return jax.ShapeDtypeStruct(matrix.shape[jnp.ndim(y) :], matrix.dtype)


def _no_path(t0, t1):
    return None
