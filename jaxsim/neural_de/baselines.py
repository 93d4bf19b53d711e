"""What others regularize by, in the same place, so that it can be compared."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.experimental.jet import jet
from jax.extend.core import Jaxpr, Literal
from jax.flatten_util import ravel_pytree

from .solve import WHOLE_STATE, AbstractRegularizer, Problem, innermost_controller

CALLS = "jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat"


class RandomEnd(AbstractRegularizer):
    """Train with a random end time, uniform in $[t_1 - b, t_1 + b]$; the penalty is zero.

    Dynamics that may be stopped early or late come to rest. Takes only `SaveAt(t1=True)`.

    **Arguments:**

    - `spread`: $b$, shorter than the interval.

    **Raises:** `ValueError` for another `saveat`; a run-time error where $b$ reaches over the interval.

    Reference: Ghosh, Behl, Dupont, Torr and Namboodiri, STEER, NeurIPS 2020 (arXiv 2006.10711), section 3.
    """

    spread: Any = 0.5

    def solve(self, problem: Problem) -> tuple[dfx.Solution, jax.Array]:
        if eqx.tree_equal(problem.saveat, dfx.SaveAt(t1=True)) is not True:
            raise ValueError("regularized_solve: RandomEnd moves the end of the solve, so it takes SaveAt(t1=True).")
        t0, t1, spread = (jnp.asarray(t, problem.precision) for t in (problem.t0, problem.t1, self.spread))
        shift = spread * jax.random.uniform(problem.random_key(self), (), problem.precision, -1, 1)
        good = (spread >= 0) & (spread < jnp.abs(t1 - t0))
        t1 = eqx.error_if(t1 + shift, ~good, "RandomEnd: `spread` is at least zero and less than |t1 - t0|.")
        return problem.solve(t1=t1), jnp.zeros((), problem.precision)

    def evaluations(self, solve, step):
        return solve


class KineticEnergy(AbstractRegularizer):
    """The $K$-th derivative along the solution, $\\int \\|d^K y / dt^K\\|^2 dt$ over the number of components.

    The derivative is found by Taylor-mode differentiation, and its integral carried as a further state. That state has
    no share in the errors that the step size controller sees, so the steps are those of the plain problem, as long as
    the solver is explicit. Any adjoint differentiates it. Needs a `diffrax.ODETerm`, whose vector field is made of
    primitives that `jax.experimental.jet` knows: those of tanh, sin, exp, softplus, gelu and silu; not the logarithm
    of the gamma function.

    **Arguments:**

    - `order`: $K$; 1 is the kinetic energy, 3 is good for solvers of order five.

    **Raises:** `TypeError` for other terms, `ValueError` naming a primitive that cannot be differentiated this way.

    Reference: Kelly, Bettencourt, Johnson and Duvenaud, NeurIPS 2020 (arXiv 2007.04504), section 3; $K = 1$ is that of
    Finlay, Jacobsen, Nurbekyan and Oberman, ICML 2020 (arXiv 2002.02798).
    """

    order: int = eqx.field(static=True, default=3)

    def __check_init__(self):
        if self.order < 1:
            raise ValueError(f"KineticEnergy: `order` is at least 1, got {self.order}.")

    def solve(self, problem: Problem) -> tuple[dfx.Solution, jax.Array]:
        if not isinstance(problem.terms, dfx.ODETerm):
            raise TypeError(f"KineticEnergy needs a diffrax.ODETerm, got {type(problem.terms).__name__}.")
        field, order, precision = problem.terms.vector_field, self.order, problem.precision

        def with_energy(t, state, args):
            slope, highest = total_derivative(lambda t, y: field(t, y, args), t, state[0], order)
            leaves = jax.tree.leaves(highest)
            energy = sum(jnp.sum(jnp.abs(leaf) ** 2) for leaf in leaves) / sum(leaf.size for leaf in leaves)
            return slope, energy.astype(precision)

        norm, save = problem.controller.norm, problem.saveat.subs
        controller = eqx.tree_at(
            lambda c: innermost_controller(c).norm, problem.stepsize_controller, lambda state: norm(state[0])
        )
        own = isinstance(save, dfx.SubSaveAt) and save.fn is not WHOLE_STATE  # a function of the plain state
        saveat = problem.saveat
        if own:
            saveat = eqx.tree_at(lambda s: s.subs.fn, saveat, lambda t, state, args: save.fn(t, state[0], args))
        extended = Problem(dfx.ODETerm(with_energy), problem.solver, problem.t0, problem.t1, problem.dt0,
                           (problem.y0, jnp.zeros((), precision)), problem.args, controller, saveat, problem.adjoint,
                           problem.max_steps, problem.throw, problem.key)  # fmt: skip
        end = jnp.asarray([problem.t1], precision)
        solution, (_, energy) = extended.solve_with_states(self, end)
        return solution if own else eqx.tree_at(lambda s: s.ys, solution, solution.ys[0]), energy[0]

    def evaluations(self, solve, step):
        return solve


def total_derivative(field: Callable, t, y: Any, order: int) -> tuple[Any, Any]:
    """$dy/dt$ and $d^K y/dt^K$ along solutions of $dy/dt = f(t, y)$.

    Given $y^{(1)}, \\dots, y^{(k)}$, the Taylor series of $f(t, y(t))$ gives $y^{(2)}, \\dots, y^{(k+1)}$.

    **Arguments:**

    - `field`: $f(t, y)$, of pytrees.
    - `t`, `y`: where.
    - `order`: $K \\ge 1$.

    **Raises:** `ValueError` naming a primitive of `field` that has no Taylor rule.
    """
    flat, unravel = ravel_pytree(y)
    t = jnp.asarray(t, flat.real.dtype)
    of_flat = lambda t, flat: ravel_pytree(field(t, unravel(flat)))[0]
    if order == 1:
        slope = unravel(of_flat(t, flat))
        return slope, slope
    closed = jax.make_jaxpr(of_flat)(t, flat)
    inlined = lambda *inputs: _evaluate(closed.jaxpr, closed.consts, inputs)[0]
    derivatives = [inlined(t, flat)]
    while len(derivatives) < order:
        of_time = [jnp.ones_like(t), *(jnp.zeros_like(t) for _ in derivatives[1:])]
        _, series = jet(inlined, (t, flat), (of_time, derivatives))
        derivatives = [derivatives[0], *series]
    return unravel(derivatives[0]), unravel(derivatives[-1])


def _evaluate(jaxpr: Jaxpr, consts, inputs) -> list:
    """A traced function with all calls inside it opened up, through some of which `jet` leaks its tracers."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs]))
    read = lambda variable: variable.val if isinstance(variable, Literal) else values[variable]
    for equation in jaxpr.eqns:
        arguments, parameters = [read(v) for v in equation.invars], equation.params
        inner = parameters.get("call_jaxpr", parameters.get("jaxpr"))
        if equation.primitive.name in CALLS:
            body, captured = (inner, ()) if isinstance(inner, Jaxpr) else (inner.jaxpr, inner.consts)
            results = _evaluate(body, captured, arguments)
        else:
            try:
                results = equation.primitive.bind(*arguments, **parameters)
            except (KeyError, NotImplementedError, TypeError, ValueError) as missing:
                raise ValueError(
                    f"KineticEnergy: jax.experimental.jet has no working rule for `{equation.primitive.name}`, which "
                    "the vector field uses: write it by other functions (tanh, sin, exp, softplus), or take "
                    "GlobalError()."
                ) from missing
        results = results if equation.primitive.multiple_results else [results]
        values.update(zip(equation.outvars, results))
    return [read(v) for v in jaxpr.outvars]
