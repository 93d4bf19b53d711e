"""Lyapunov spectra: how fast neighboring solutions of an equation or a diffrax term part."""

from collections.abc import Callable
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import Equation, is_field
from ..norms import lengths, norm
from ..sizes import whole
from ..spaces import Space, error_if
from .explicit import unrolled
from .origin import since
from .preparation import ADVICE, Diverged, all_finite, fixed_steps, progress_meter, spaces_of
from .tangents import RealForm
from .term import SemilinearTerm

LOST = (
    "lyapunov_spectrum: within one interval the tangent vectors became parallel to working precision. Orthogonalize "
    "more often (smaller `every`), ask for fewer exponents (`count`), or take smaller steps."
)
CHANGED = "lyapunov_spectrum: `subspace` must be a linear projection, which changes nothing when it is applied again."


class LyapunovSpectrum(eqx.Module):
    """Lyapunov exponents, largest first, and what they were made of.

    - `exponents`: mean growth rates, 1/time, shape `(count,)`.
    - `standard_error`: of each exponent, from the scatter of the means over blocks of time, `(count,)`. Too small where
        the motion remembers for longer than a block.
    - `rates`: growth rates over each interval between two orthogonalizations, shape `(intervals, count)`.
    - `times`: the ends of the intervals, shape `(intervals,)`.
    - `state`: the field (or pytree) at the last time, from which another run may go on.
    - `vectors`: orthonormal tangent vectors there, structured like `state` with a leading axis of `count`; the first
        `k` of them span the directions that grew fastest.
    - `dimension`: number of dimensions of the state space.
    - `succeeded`: whether all of it is finite and no tangent vector was lost, a boolean. Where it is not, the
        numbers are those of the intervals before.
    """

    exponents: jax.Array
    standard_error: jax.Array
    rates: jax.Array
    times: jax.Array
    state: Any
    vectors: Any
    succeeded: jax.Array
    dimension: int = eqx.field(static=True)

    @property
    def history(self) -> jax.Array:
        """Running estimates: the mean of the rates until each of the `times`, shape `(intervals, count)`."""
        counts = jnp.arange(1, len(self.rates) + 1, dtype=self.rates.dtype)
        return jnp.cumsum(self.rates, 0) / counts[:, None]

    @property
    def kaplan_yorke(self) -> jax.Array:
        """Kaplan-Yorke dimension: see `kaplan_yorke_dimension`."""
        return kaplan_yorke_dimension(self.exponents, self.dimension)

    @property
    def entropy(self) -> jax.Array:
        """Sum of the positive exponents, 1/time: a bound of the Kolmogorov-Sinai entropy (Ruelle 1978)."""
        return jnp.sum(jnp.maximum(self.exponents, 0))


def kaplan_yorke_dimension(exponents: Any, dimension: int | None = None) -> jax.Array:
    """Kaplan-Yorke dimension of an attractor, $D = j + \\sum_{i \\le j} \\lambda_i / |\\lambda_{j+1}|$.

    Here $j$ is the largest number with $\\sum_{i \\le j} \\lambda_i \\ge 0$. Chaotic flows have $D > 2$. For periodic
    ones the sign of an exponent that is zero up to its error decides between 0 and 1.

    **Arguments:**

    - `exponents`: a spectrum in descending order, shape `(count,)`, complete or until its sums are negative.
    - `dimension`: of the state space, where the spectrum is not complete.

    **Returns:** a number, at most `dimension`, which conservative motion has.

    **Raises:** `ValueError` (an equinox run-time error inside `jax.jit`) where more exponents are needed.

    Reference: Kaplan and Yorke, Lecture Notes in Mathematics 730, 204 (1979); Frederickson, Kaplan, Yorke and Yorke,
    J. Differ. Equ. 49, 185 (1983).
    """
    exponents = jnp.asarray(exponents)
    if exponents.ndim != 1 or not exponents.size or not jnp.issubdtype(exponents.dtype, jnp.floating):
        raise ValueError(f"kaplan_yorke_dimension: `exponents` is one array of floats, got shape {exponents.shape}.")
    count = len(exponents)
    sums = jnp.cumsum(exponents)
    index = jnp.sum(jnp.cumprod(sums >= 0))
    following = jnp.minimum(index, count - 1)
    before = jnp.where(index > 0, sums[jnp.maximum(index - 1, 0)], 0)
    rate = jnp.where(index < count, jnp.abs(exponents[following]), 1)  # not zero where sums turn negative
    fraction = jnp.where(index < count, before / rate, 0)
    value = index + fraction
    if dimension is None or dimension <= count:
        return value
    message = (
        f"kaplan_yorke_dimension: the sum of all {count} exponents is not negative, so the dimension is larger than "
        "that; ask lyapunov_spectrum for more (`count`)."
    )
    if isinstance(value, jax.core.Tracer):
        return error_if(value, index == count, message)
    if index == count:
        raise ValueError(message)
    return value


def lyapunov_spectrum(system: Equation | dfx.AbstractTerm, u0: Any, *, dt, steps: int, count: int | None = None,
                      every: int = 10, transient: int = 0, alignment: int | None = None, t0=0.0,
                      solver: dfx.AbstractSolver | None = None, args: Any = None,
                      subspace: Callable[[Any], Any] | None = None, key: jax.Array | None = None, blocks: int = 20,
                      progress: bool = False, throw: bool = True) -> LyapunovSpectrum:  # fmt: skip
    """Lyapunov exponents of an equation or of a diffrax term, by orthogonalizing tangent vectors.

    `count` tangent vectors are carried by the derivative of the solver's own steps (`jax.jvp`), so the spectrum is
    that of the discrete map. After every interval $\\tau$ of `every` steps a factorization $V = QR$ makes them
    orthonormal again, and $\\ln R_{ii} / \\tau$ is the growth rate of the i-th; its mean is the exponent.

    **Arguments:**

    - `system`: a `js.Equation`, or a diffrax term (`ODETerm`, `MultiTerm` with a noise path that is known, ...).
    - `u0`: for an equation the initial field, or a pytree of fields; for a term a pytree of arrays.
    - `dt`: step size, a positive number.
    - `steps`: number of steps that count, a multiple of `every`.
    - `count`: number of exponents, from the largest; `None` for all of them.
    - `every`: steps between two orthogonalizations. Vectors must not become parallel on the way; multistep solvers
        start afresh after each.
    - `transient`: steps before, in which the solution alone goes to its attractor.
    - `alignment`: further steps before, in which the vectors turn to their directions; rounded up to a multiple of
        `every`, and a tenth of `steps` by default.
    - `t0`: initial time.
    - `solver`: any jaxsim or diffrax solver with a fixed step; `None` takes that of `js.rollout`, and for a term
        `diffrax.Tsit5`.
    - `args`: passed to a diffrax term.
    - `subspace`: a linear projection of tangent vectors (fields, or arrays for a term) on a subspace that the motion
        does not leave, such as `lambda v: v - js.mean(v)` where the mean is conserved.
    - `key`: of the random vectors at the beginning; a fixed one by default.
    - `blocks`: number of blocks of time for the standard error, at most the number of intervals.
    - `progress`: show a progress bar.
    - `throw`: raise where the run diverged or tangent vectors were lost.

    **Returns:** a `LyapunovSpectrum`.

    **Raises:** `Diverged` at the first state that is not finite; `ValueError` where tangent vectors became parallel, or
    fewer than `count` are independent. Inside `jax.jit` these are equinox run-time errors.

    Reference: Benettin, Galgani, Giorgilli and Strelcyn, Meccanica 15, 9 and 21 (1980); Shimada and Nagashima, Prog.
    Theor. Phys. 61, 1605 (1979); Geist, Parlitz and Lauterborn, Prog. Theor. Phys. 83, 875 (1990).
    """
    plan = _plan(dt, steps, every, transient, alignment, blocks)
    flow, y0 = _flow(system, u0, dt, t0, solver, args, subspace)
    dimension = flow.real.dimension
    count = dimension if count is None else count
    if isinstance(count, jax.core.Tracer) or int(count) != count or not 1 <= count <= dimension:
        raise ValueError(f"lyapunov_spectrum: `count` is 1 to {dimension}, the dimension of the state; got {count}.")
    key = jax.random.key(0) if key is None else key
    result, status = _measure(flow, y0, key, int(count), plan, progress_meter(progress))
    return _checked(result, status) if throw else result


class _Plan(eqx.Module):
    """How many steps do what."""

    every: int = eqx.field(static=True)
    transient: int = eqx.field(static=True)
    alignment: int = eqx.field(static=True)
    intervals: int = eqx.field(static=True)
    blocks: int = eqx.field(static=True)


class _Status(eqx.Module):
    """What went wrong, and when."""

    projected: jax.Array
    independent: jax.Array
    finite: jax.Array
    distinct: jax.Array
    time: jax.Array


class _Flow(eqx.Module):
    """The map of a solver's fixed steps, and its derivative."""

    term: dfx.AbstractTerm
    solver: dfx.AbstractSolver
    args: Any
    real: RealForm
    subspace: Callable | None
    dt: jax.Array
    t0: jax.Array

    def advance(self, first, steps: int, y):
        """The state after some steps, and whether each of them succeeded; `first` counts those before."""

        def step(carry, i):
            y, state, fine = carry
            now = since(self.term, self.time(first + i))
            y, _, _, state, result = self.solver.step(now, zero, self.dt, y, self.args, state, made_jump=False)
            return (y, state, fine & (result == dfx.RESULTS.successful)), None

        zero = jnp.zeros_like(self.dt)
        state = self.solver.init(since(self.term, self.time(first)), zero, self.dt, y, self.args)
        carry, _ = jax.lax.scan(step, (y, state, jnp.asarray(True)), jnp.arange(steps))
        return carry[0], carry[2]

    def push(self, first, steps: int, y, vectors):
        """As `advance`, with tangent vectors stacked along leading axes; the solution is computed once."""

        def along(vector):
            return jax.jvp(lambda y: self.advance(first, steps, y), (y,), (vector,), has_aux=True)

        return jax.vmap(along, out_axes=(None, 0, None))(vectors)

    def orthonormal(self, vectors):
        """Orthonormal vectors of the same spans, their lengths beside the spans before them, and full lengths."""
        columns = jax.vmap(self.real.coordinates)(vectors).T
        q, r = jnp.linalg.qr(columns)
        diagonal = jnp.diagonal(r)
        q = q * jnp.where(diagonal < 0, -1, 1).astype(q.dtype)
        return jax.vmap(self.real.tangent)(q.T), jnp.abs(diagonal), lengths(columns, 0)

    def admissible(self, y, vectors):
        """The part of tangent vectors that lies in the subspace and keeps the equation's constraint."""
        vectors = vectors if self.subspace is None else jax.vmap(self.subspace)(vectors)
        if not isinstance(self.term, SemilinearTerm):
            return vectors

        def constrain(y):
            kept = self.term.constrain(self.t0, y)
            return y if kept is None else kept

        return jax.vmap(lambda v: jax.jvp(constrain, (y,), (v,))[1])(vectors)

    def projects(self, y, vectors):
        """Whether a second projection changes nothing, as it must."""
        if self.subspace is None:
            return jnp.asarray(True)
        once, twice = (jax.vmap(self.real.coordinates)(v) for v in (vectors, self.admissible(y, vectors)))
        tolerance = jnp.sqrt(jnp.finfo(once.dtype).eps)
        return norm(twice - once) <= tolerance * norm(once)

    def time(self, count):
        """The time after a number of steps."""
        return self.t0 + jnp.asarray(count, self.dt.dtype) * self.dt


@eqx.filter_jit
def _measure(flow: _Flow, y0, key, count: int, plan: _Plan, meter) -> tuple[LyapunovSpectrum, _Status]:
    precision = flow.dt.dtype
    if plan.transient:
        y, fine = flow.advance(0, plan.transient, y0)
    else:
        y, fine = y0, jnp.asarray(True)
    random = jax.random.normal(key, (count, flow.real.size), precision)
    vectors = flow.admissible(y, jax.vmap(flow.real.tangent)(random))
    projected = flow.projects(y, vectors)
    vectors, left, length = flow.orthonormal(vectors)
    independent = jnp.all(left > _floor(precision) * length)
    total = plan.alignment + plan.intervals

    def interval(carry, number):
        return jax.lax.cond(carry[2], advance, hold, carry, number)

    def hold(carry, number):
        return carry, jnp.zeros(count, precision)

    def advance(carry, number):
        y, vectors, _, finite, distinct, done, bar = carry
        counted = number >= plan.alignment
        pushed, images, fine = flow.push(plan.transient + number * plan.every, plan.every, y, vectors)
        turned, left, length = flow.orthonormal(flow.admissible(pushed, images))
        fine &= all_finite(pushed) & jnp.all(jnp.isfinite(length))
        apart = jnp.all(left > _floor(precision) * length) | ~counted
        alive = fine & apart
        after = jax.tree.map(lambda a, b: jnp.where(alive, a, b), (pushed, turned), (y, vectors))
        rates = jnp.where(alive & counted, jnp.log(left) / (plan.every * flow.dt), 0)
        bar = meter.step(bar, ((number + 1) / total).astype(precision))
        return (*after, alive, fine, apart | ~fine, done + alive, bar), rates

    alive = fine & all_finite(y) & independent & projected
    carry = (y, vectors, alive, fine & all_finite(y), jnp.asarray(True), jnp.zeros((), jnp.int32), meter.init())
    carry, rates = jax.lax.scan(interval, carry, jnp.arange(total))
    y, vectors, alive, finite, distinct, done, bar = carry
    meter.close(bar)
    rates, measured = rates[plan.alignment :], jnp.maximum(done - plan.alignment, 0)
    exponents = jnp.sum(rates, 0) / jnp.maximum(measured, 1).astype(precision)
    order = jnp.argsort(-exponents)
    ends = plan.transient + (plan.alignment + 1 + jnp.arange(plan.intervals)) * plan.every
    spectrum = LyapunovSpectrum(
        exponents=exponents[order],
        standard_error=jnp.where(alive, _scatter(rates, plan.blocks), jnp.inf)[order],
        rates=rates[:, order],
        times=flow.time(ends),
        state=_bound(flow.real.spaces, y, flow.time(plan.transient + done * plan.every)),
        vectors=_bound(flow.real.spaces, vectors, None),
        succeeded=alive,
        dimension=flow.real.dimension,
    )
    status = _Status(projected, independent, finite, distinct, flow.time(plan.transient + done * plan.every))
    return spectrum, status


def _scatter(rates, blocks: int):
    """Standard error of the mean from the means over blocks of consecutive intervals."""
    if blocks < 2:
        return jnp.full(rates.shape[1:], jnp.inf, rates.dtype)
    length = len(rates) // blocks
    means = jnp.mean(rates[len(rates) - blocks * length :].reshape(blocks, length, -1), 1)
    return jnp.std(means, axis=0, ddof=1) / np.sqrt(blocks).astype(rates.dtype)


def _floor(precision) -> float:
    """What is left of a vector, beside its length, when rounding decides its direction."""
    return 1e3 * float(jnp.finfo(precision).eps)


def _flow(system, u0, dt, t0, solver, args, subspace) -> tuple[_Flow, Any]:
    """The prepared solver, and the bare initial state."""
    if isinstance(system, Equation):
        if args is not None:
            raise ValueError("lyapunov_spectrum: `args` belong to diffrax terms; an equation has parameters.")
        term, solver, y0 = fixed_steps(system, u0, dt, t0, solver)
        spaces = spaces_of(u0)
    elif isinstance(system, dfx.AbstractTerm):
        term, spaces, y0 = system, None, jax.tree.map(jnp.asarray, u0)
        solver = dfx.Tsit5() if solver is None else solver
        solver = unrolled(solver) if isinstance(system, dfx.ODETerm) else solver
    else:
        raise TypeError(f"lyapunov_spectrum takes a js.Equation or a diffrax term, got {type(system).__name__}.")
    real = RealForm(spaces, y0)
    precision = jnp.finfo(jnp.result_type(*jax.tree.leaves(y0))).dtype
    dt, t0 = jnp.asarray(dt, precision), jnp.asarray(t0, precision)
    return _Flow(term, _forward(solver), args, real, _bare(subspace, spaces), dt, t0), y0


def _forward(solver: dfx.AbstractSolver) -> dfx.AbstractSolver:
    """The solver with its loops over stages in the form that `jax.jvp` takes."""
    finder = getattr(solver, "root_finder", None)
    if finder is not None and not isinstance(getattr(finder, "rtol", 0.0), (int, float, jax.Array, np.generic)):
        raise ValueError(
            f"lyapunov_spectrum: fixed steps give {type(solver).__name__} no tolerance; pass one, as in "
            "diffrax.Kvaerno5(root_finder=optimistix.Newton(rtol=1e-8, atol=1e-8))."
        )
    if isinstance(getattr(solver, "solver", None), dfx.AbstractSolver):
        return eqx.tree_at(lambda s: s.solver, solver, _forward(solver.solver))
    if getattr(solver, "scan_kind", "lax") is None:
        return eqx.tree_at(lambda s: s.scan_kind, solver, "lax", is_leaf=lambda node: node is None)
    return solver


def _bare(subspace, spaces):
    """A projection of fields as one of bare arrays."""
    if subspace is None or spaces is None:
        return subspace

    def project(vector):
        fields = jax.tree.map(lambda s, v: s.homogeneous().bind(v), spaces, vector, is_leaf=_is_space)
        return jax.tree.map(lambda f: f.space.state(f), subspace(fields), is_leaf=is_field)

    return project


def _bound(spaces, y, t):
    """Fields of bare arrays; tangent vectors (no time) have boundary values of zero."""
    if spaces is None:
        return y
    return jax.tree.map(lambda s, a: (s if t is not None else s.homogeneous()).bind(a, t), spaces, y, is_leaf=_is_space)


def _plan(dt, steps, every, transient, alignment, blocks) -> _Plan:
    counts = {"steps": (steps, 1), "every": (every, 1), "transient": (transient, 0), "blocks": (blocks, 2)}
    counts |= {} if alignment is None else {"alignment": (alignment, 0)}
    counts = {name: whole(value, f"lyapunov_spectrum: `{name}`", least) for name, (value, least) in counts.items()}
    steps, every, transient, blocks = (counts[name] for name in ("steps", "every", "transient", "blocks"))
    alignment = counts.get("alignment")
    if steps % every:
        raise ValueError(f"lyapunov_spectrum: `every` must divide `steps`: {steps} is no multiple of {every}.")
    if not isinstance(dt, jax.core.Tracer) and not (np.ndim(dt) == 0 and np.isfinite(dt) and np.asarray(dt) > 0):
        raise ValueError(f"lyapunov_spectrum: `dt` must be one positive number, got {dt}.")
    alignment = steps // 10 if alignment is None else alignment
    intervals = steps // every
    return _Plan(every, transient, -(-alignment // every), intervals, min(blocks, intervals))


def _checked(result: LyapunovSpectrum, status: _Status) -> LyapunovSpectrum:
    dependent = (
        f"lyapunov_spectrum: fewer than {result.exponents.shape[-1]} tangent vectors are independent in the `subspace` "
        "or under the equation's constraint; ask for fewer exponents (`count`)."
    )
    infinite = "lyapunov_spectrum: the run met a value that is not finite, or a step whose solver failed,"
    if isinstance(result.succeeded, jax.core.Tracer):
        result = error_if(result, ~status.projected, CHANGED)
        result = error_if(result, ~status.independent, dependent)
        result = error_if(result, ~status.finite, f"{infinite.rstrip(',')}. {ADVICE}", status.time)
        return error_if(result, ~status.distinct, LOST)
    if not np.all(status.projected):
        raise ValueError(CHANGED)
    if not np.all(status.independent):
        raise ValueError(dependent)
    if not np.all(status.finite):
        raise Diverged(f"{infinite} at t = {np.min(status.time):.6g}. {ADVICE}")
    if not np.all(status.distinct):
        raise ValueError(LOST)
    return result


def _is_space(node) -> bool:
    return isinstance(node, Space)
