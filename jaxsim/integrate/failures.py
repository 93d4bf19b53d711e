"""Run-time checks of a traced function as numbers that it returns, and not as errors that it raises.

A check that raises on one device leaves the others waiting for it. `eqx.error_if`, which jaxsim, diffrax, lineax and
optimistix all use, has one form in a trace: a `cond`, one branch of which calls the host. `flagged` runs a trace with a
flag in the place of each, carried out of jits, loops and branches. Nothing has to know beforehand that it will run on
one device of many, so functions that were traced elsewhere, and those of other libraries, are covered as well.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.sharding import Mesh, PartitionSpec

from ..spaces.sharding import TIMED, map_shards
from .preparation import Diverged


class Failure(NamedTuple):
    """The first check that failed: its number, from one on and zero where all passed, and its time, else infinite."""

    number: Any
    time: Any


def flagged(trace: ClosedJaxpr) -> tuple[Callable, list[str]]:
    """A traced function with its `Failure` as a second result, and the texts of its checks.

    The texts are known once the function was traced. Values that a failed check was to protect are returned as they
    are; inside of `lax.custom_linear_solve`, where no flag can get out, they are NaN, and that is what is checked.
    """
    texts: list[str] = []

    def function(*arguments):
        return _Run(texts).of(trace, arguments, _none())

    return function, texts


def _none() -> Failure:
    return Failure(jnp.zeros((), jnp.int32), jnp.full((), jnp.inf, jnp.result_type(float)))


def has_checks(trace: Jaxpr | ClosedJaxpr) -> bool:
    """Whether a trace can raise, in itself or in anything that it calls."""
    return any(_text(e) is not None or any(map(has_checks, inner_traces(e))) for e in _open(trace).eqns)


def inner_traces(eqn) -> list[Jaxpr | ClosedJaxpr]:
    """The traces of an operation: those of loops, branches and calls, and what an operation of equinox does."""
    if _is_opaque(eqn):
        return [_opened(eqn)]
    leaves = jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_trace)
    return [leaf for leaf in leaves if _is_trace(leaf)]


def raised(results: Any, failure: Failure, texts: Sequence[str], mesh: Mesh) -> Any:
    """The `results` of many members, unless one failed; `failure` has one entry for each.

    **Raises:** `Diverged` where the time of a failure is known, and an `eqx.EquinoxRuntimeError` otherwise; one that
    every device raises at the same point where the flags are traced.
    """
    if isinstance(failure.number, jax.core.Tracer):
        return _raised_by_all(results, failure, texts, mesh)
    failed = [int(member) for member in jnp.flatnonzero(failure.number)]
    if not failed:
        return results
    number, time = (float(a[failed[0]]) for a in failure)
    text = _named(failed[0], texts[int(number) - 1])
    if len(failed) > 1:
        text = f"{text} Members that failed: {failed if len(failed) < 20 else len(failed)}."
    if math.isinf(time) and time > 0:
        raise eqx.EquinoxRuntimeError(text)
    begin, finite, rest = text.partition("met a value that is not finite")
    at = f" at t = {time:.6g}"
    raise Diverged(begin + finite + at + rest if finite else f"{begin} It was{at}.")


def _raised_by_all(results, failure: Failure, texts: Sequence[str], mesh: Mesh):
    count, kinds = failure.number.shape[-1], len(texts)
    order = jnp.arange(count, dtype=jnp.int32) * kinds + failure.number - 1
    first = jnp.min(jnp.where(failure.number > 0, order, count * kinds))  # the same on every device
    messages = [_named(member, text) for member in range(count) for text in texts]
    spec = PartitionSpec(mesh.axis_names)

    def check(first, *pieces):
        index = jnp.where(first < count * kinds, first, 0)  # under vmap the largest of several is shown
        return eqx.internal.branched_error_if(list(pieces), first < count * kinds, index, messages)

    leaves, structure = jax.tree.flatten(results)
    specs = (PartitionSpec(), *(spec for _ in leaves)), [spec for _ in leaves]
    return jax.tree.unflatten(structure, map_shards(check, mesh, *specs, check_vma=False)(first, *leaves))


def _named(member: int, text: str) -> str:
    text = text.removeprefix("the run ")
    return f"member {member} {text}" if text.startswith("met ") else f"member {member}: {text}"


class _Run:
    """Evaluates a trace, the failure in hand. Only what can raise is looked into; the rest runs as it is."""

    def __init__(self, texts: list[str], inside_solve: bool = False):
        self.texts, self.inside_solve = texts, inside_solve
        self.time: Any = None

    def of(self, trace: ClosedJaxpr, arguments: Sequence, failure: Failure) -> tuple[list, Failure]:
        """The results of a trace and the failure after it."""
        jaxpr, values = trace.jaxpr, {}
        read = lambda atom: atom.val if isinstance(atom, Literal) else values[atom]
        values.update(zip([*jaxpr.constvars, *jaxpr.invars], [*trace.consts, *arguments], strict=True))
        own = any(_checks_directly(eqn) for eqn in jaxpr.eqns)
        for eqn in jaxpr.eqns:
            given = [read(atom) for atom in eqn.invars]
            with eqn.ctx.manager:
                results, failure = self._operation(eqn, given, failure, own)
            values.update(zip(eqn.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars], failure

    def _operation(self, eqn, given, failure, own: bool):
        name = eqn.primitive.name
        if own and name in ("unvmap_any", "unvmap_max"):  # of one member alone, whatever is mapped around it
            return [(jnp.any if name == "unvmap_any" else jnp.max)(given[0])], failure
        if name == "nontraceable":  # the identity, with which lineax finds out who traces what it closes over: nobody
            return given, failure
        if not any(map(has_checks, inner_traces(eqn))):
            if _text(eqn) is not None:
                raise ValueError(_REFUSED.format(name))
            return _bound(eqn, given), failure
        if _is_opaque(eqn):
            return self._custom_jvp_call({"call_jaxpr": _opened(eqn)}, given, failure)
        rule = getattr(self, "_" + name, None)
        if rule is None:
            raise ValueError(_REFUSED.format(name))
        return rule(eqn.params, given, failure)

    def _wrapped(self, trace: ClosedJaxpr):
        return lambda failure, *arguments: self.of(trace, arguments, failure)

    # -- one rule for each operation that can hold a check ----------------------------------------------------------
    def _jit(self, params, given, failure):
        outer, self.time = self.time, self.time
        if params["name"] == TIMED:
            self.time = jnp.min(given[-1]).astype(failure.time.dtype)
        if any(_checks_directly(eqn) for eqn in params["jaxpr"].jaxpr.eqns) or params["name"] == TIMED:
            found = self.of(params["jaxpr"], given, failure)
        else:
            found = jax.jit(self._wrapped(params["jaxpr"]))(failure, *given)
        self.time = outer
        return found

    _pjit = _jit

    def _cond(self, params, given, failure):
        index, *operands = given
        branches = params["branches"]
        wrong = [k for k, branch in enumerate(branches) if any(_text(e) is not None for e in branch.jaxpr.eqns)]
        if not wrong:
            return lax.switch(index, [self._wrapped(branch) for branch in branches], failure, *operands)
        branch, failed = branches[wrong[0]].jaxpr, index == wrong[0]
        results = self.of(branches[1 - wrong[0]], operands, failure)[0]
        if self.inside_solve:
            results = [jnp.where(failed, jnp.nan, a) if eqx.is_inexact_array(a) else a for a in results]
        call = next(eqn for eqn in branch.eqns if _text(eqn) is not None)
        which = call.invars[0]
        which = which.val if isinstance(which, Literal) else operands[branch.invars.index(which)]
        return results, self._noted(failure, failed, _text(call), which)

    def _noted(self, failure, failed, texts, which=0):
        number = len(self.texts) + 1 + jnp.asarray(which, jnp.int32)
        self.texts += texts
        first = failed & (failure.number == 0)
        time = failure.time if self.time is None else jnp.where(first, self.time, failure.time)
        return Failure(jnp.where(first, number, failure.number), time)

    def _scan(self, params, given, failure):
        consts, carried = params["num_consts"], params["num_consts"] + params["num_carry"]
        body = params["jaxpr"]

        def step(carry, x):
            results, failure = self.of(body, [*given[:consts], *carry[1], *x], carry[0])
            return (failure, results[: carried - consts]), results[carried - consts :]

        (failure, carry), rest = lax.scan(step, (failure, given[consts:carried]), given[carried:], params["length"],
                                          params["reverse"], params["unroll"])  # fmt: skip
        return [*carry, *rest], failure

    def _while(self, params, given, failure):
        first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        ahead, body = given[:first], given[first:second]

        def looked(failure, carry):
            (going,), failure = self.of(params["cond_jaxpr"], [*ahead, *carry], failure)
            return going, failure, carry

        def step(state):
            carry, failure = self.of(params["body_jaxpr"], [*body, *state[2]], state[1])
            return looked(failure, carry)

        _, failure, carry = lax.while_loop(lambda state: jnp.any(state[0]), step, looked(failure, given[second:]))
        return carry, failure

    def _checkpoint(self, params, given, failure):
        function = self._wrapped(ClosedJaxpr(params["jaxpr"], ()))
        return jax.checkpoint(function, prevent_cse=params["prevent_cse"], policy=params["policy"])(failure, *given)

    _remat2 = _remat = _checkpoint

    def _custom_jvp_call(self, params, given, failure):
        trace = params["call_jaxpr"]
        if any(_checks_directly(eqn) for eqn in trace.jaxpr.eqns):
            return self.of(trace, given, failure)  # equinox's own, the identity
        function = jax.custom_jvp(self._wrapped(trace))
        function.defjvp(_no_derivative)
        return function(failure, *given)

    def _custom_vjp_call(self, params, given, failure):
        return self._custom_jvp_call(params, given, failure)

    def _closed_call(self, params, given, failure):
        return self.of(params["call_jaxpr"], given, failure)

    def _custom_vmap_call(self, params, given, failure):
        return self.of(params["call"], given, failure)

    def _custom_linear_solve(self, params, given, failure):
        texts: list[str] = []

        def poisoned(trace):
            function = lambda *arguments: _Run(texts, inside_solve=True).of(trace, arguments, _none())[0]
            return jax.make_jaxpr(function)(*trace.in_avals)

        swapped = [poisoned(trace) if trace is not None and has_checks(trace) else trace for trace in params["jaxprs"]]
        results = _bind(lax.linear_solve_p, given, {**params, "jaxprs": type(params["jaxprs"])(*swapped)})
        failed = functools.reduce(jnp.logical_or, [jnp.any(jnp.isnan(a)) for a in results])
        return results, self._noted(failure, failed, texts[:1])


_REFUSED = (
    "ensemble: an error is raised inside `{0}`, which cannot hand it out of a member, and raised there it would leave "
    "the other devices waiting. Look at a status instead (`throw=False`, `on_failure=OnFailure.STOP`), or check "
    "outside."
)


def _no_derivative(primals, tangents):
    raise NotImplementedError(
        "ensemble: this function checks itself inside of a derivative of its own. Differentiate inside, as in "
        "js.ensemble(jax.value_and_grad(f), mesh)."
    )


def _text(eqn) -> list[str] | None:
    """The messages of an operation that raises for equinox, `None` for every other one."""
    function = getattr(eqn.params.get("callback"), "callback_func", None)
    if eqn.primitive.name != "pure_callback" or getattr(function, "__module__", None) != "equinox._errors":
        return None
    closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return list(closure["msgs"].cell_contents)


def _checks_directly(eqn) -> bool:
    """Whether an operation is a check of equinox, or the call that wraps one."""
    if eqn.primitive.name not in ("cond", "custom_jvp_call"):
        return False
    inside = [e for trace in inner_traces(eqn) for e in _open(trace).eqns]
    if eqn.primitive.name == "cond":
        return any(_text(e) is not None for e in inside)
    return any(_checks_directly(e) for e in inside if e.primitive.name == "cond")


def _is_opaque(eqn) -> bool:
    """Whether this is an operation made by `eqx.internal.create_vprim`, as lineax's `linear_solve` is."""
    return type(eqn.params.get("flatten")).__module__ == "equinox.internal._primitive"


@functools.lru_cache(64)
def _opened(eqn) -> ClosedJaxpr:
    operation = functools.partial(eqn.primitive.impl, **eqn.params)
    return jax.make_jaxpr(operation)(*(jax.ShapeDtypeStruct(a.aval.shape, a.aval.dtype) for a in eqn.invars))


def _bound(eqn, given) -> list:
    results = _bind(eqn.primitive, given, eqn.params)
    return results if eqn.primitive.multiple_results else [results]


def _bind(primitive, given, params):
    bound = primitive.get_bind_params(params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    return primitive.bind(*functions, *given, **params)


def _is_trace(leaf) -> bool:
    return isinstance(leaf, Jaxpr | ClosedJaxpr)


def _open(trace: Jaxpr | ClosedJaxpr) -> Jaxpr:
    return trace.jaxpr if isinstance(trace, ClosedJaxpr) else trace
