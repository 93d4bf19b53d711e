"""Taylor series through any JAX function: its operations one by one, each on series instead of arrays."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Literal

from .functions import by_differentiation
from .indices import Index, closure, factorial, unit
from .rules import ACTS_ON_NUMBERS, ELEMENTWISE, LINEAR, RULES, elementwise, linear
from .series import Series, add_up, compose, reachable, variable

# Operations that hold another computation, and the name of the parameter that is it.
CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr",
         "remat2": "jaxpr", "checkpoint": "jaxpr", "remat": "jaxpr"}  # fmt: skip


def taylor(function: Callable, point: Sequence[jax.Array], indices: Sequence[Index]) -> Series:
    """Derivatives of a function of several coordinates at a point, all in one evaluation.

    With $A$ the least set that holds the wanted multi-indices and all smaller ones, a Taylor series with $|A|$
    coefficients passes through the function. What is linear acts on each of them alone: a dense layer is $|A|$ products
    with its matrix, where nested differentiation evaluates the layer anew for every derivative.
    An operation that has no rule for series (a loop, a function with a derivative of its own) is differentiated by
    nested `jax.jvp`, by itself.

    **Arguments:**

    - `function`: of the coordinates, one argument each; returns an array. Parameters that it closes over may be
        differentiated.
    - `point`: the coordinates, floating-point arrays, most often scalars; arrays are differentiated number by number,
        as a function that acts on each number by itself.
    - `indices`: multi-indices, the order of the derivative along each coordinate, such as `(0, 2)` for $u_{xx}$.

    **Returns:** a `Series`; `series.derivative(a)` is $\\partial^a u$, of the shape of the value.

    **Raises:** `TypeError` for coordinates that are not floating-point numbers, `ValueError` for multi-indices that do
    not have one order per coordinate.

    Reference: Griewank and Walther, Evaluating Derivatives (2nd edition, 2008), chapter 13.
    """
    point = [jnp.asarray(x) for x in point]
    if not all(jnp.issubdtype(x.dtype, jnp.floating) for x in point):
        raise TypeError(f"taylor: coordinates are floating-point numbers, got {[str(x.dtype) for x in point]}.")
    if not indices or any(len(a) != len(point) or any(n < 0 for n in a) for a in indices):
        raise ValueError(f"taylor: a multi-index has one order for each of {len(point)} coordinates, got {indices}.")
    kept = closure(frozenset(indices))
    axes = [unit(i, len(point)) for i in range(len(point))]
    return propagate(function, [variable(x, a) if a in kept else x for x, a in zip(point, axes)], kept)


def propagate(function: Callable, inputs: Sequence[Any], kept: tuple[Index, ...]) -> Series:
    """A function of series and arrays, truncated to a set of multi-indices that holds all smaller ones with each."""
    values = [u.value if isinstance(u, Series) else u for u in inputs]
    call = lambda *arrays: jnp.asarray(function(*arrays))
    try:
        jaxpr = jax.make_jaxpr(call)(*values)
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        # A function that must see numbers, as Python branches do, sees those of jvp when these are concrete.
        (result,) = _nested(lambda *arrays: [call(*arrays)], inputs, kept)
    else:
        (result,) = _interpret(jaxpr.jaxpr, jaxpr.consts, inputs, kept)
    return result if isinstance(result, Series) else Series(kept[:1], [jnp.asarray(result)])


def _interpret(jaxpr, consts: Sequence, inputs: Sequence, kept) -> list:
    known: dict = dict(zip(jaxpr.constvars, consts))
    known.update(zip(jaxpr.invars, inputs))
    for equation in jaxpr.eqns:
        operands = [u.val if isinstance(u, Literal) else known[u] for u in equation.invars]
        known.update(zip(equation.outvars, _apply(equation, operands, kept)))
    return [u.val if isinstance(u, Literal) else known[u] for u in jaxpr.outvars]


def _apply(equation, operands: list, kept) -> list:
    """The results of one operation."""
    bind = functools.partial(_bind, equation)
    if not any(isinstance(u, Series) for u in operands):
        return bind(*operands)
    name, params = equation.primitive.name, equation.params
    if name in CALLS:
        inner = params[CALLS[name]]
        consts, inner = (inner.consts, inner.jaxpr) if isinstance(inner, ClosedJaxpr) else ((), inner)
        run = functools.partial(_interpret, inner, consts, kept=kept)
        return _rematerialized(run, operands, params) if "prevent_cse" in params else run(operands)
    if name == "stop_gradient" or not any(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in equation.outvars):
        return bind(*map(_value, operands))  # whole numbers and truth values have no derivative
    result = _by_rule(equation, operands, kept)
    if result is NotImplemented:
        return _nested(bind, operands, kept)
    return result if isinstance(result, list) else [result]


def _rematerialized(run: Callable, operands: list, params) -> list:
    """What `jax.checkpoint` holds, under `jax.checkpoint` again."""
    kinds: list = []

    def on_arrays(arrays):
        results = run([Series(u.indices, a) if isinstance(u, Series) else a for u, a in zip(operands, arrays)])
        kinds[:] = [r.indices if isinstance(r, Series) else None for r in results]
        return [r.parts if isinstance(r, Series) else r for r in results]

    arrays = [u.parts if isinstance(u, Series) else u for u in operands]
    results = jax.checkpoint(on_arrays, prevent_cse=params["prevent_cse"], policy=params["policy"])(arrays)
    return [r if kind is None else Series(kind, r) for kind, r in zip(kinds, results)]


def _by_rule(equation, operands, kept) -> Any:
    name, params = equation.primitive.name, equation.params
    multiple = equation.primitive.multiple_results
    bind = functools.partial(_bind, equation)
    single = lambda *values: bind(*values)[0]
    if name in ELEMENTWISE:
        return elementwise(name, single, operands[0], kept)
    if name in RULES:
        return RULES[name](single, params, operands, equation.outvars[0].aval.shape, kept)
    if name in LINEAR:
        return linear(name, bind if multiple else single, operands, multiple)
    if name in ("sign", "floor", "ceil", "round"):
        return [single(*map(_value, operands))]
    if name == "custom_jvp_call" and _acts_on_numbers(equation, operands):
        return _own_derivative(single, operands, kept)
    return NotImplemented


def _own_derivative(function: Callable, operands, kept) -> Series:
    """A function of one number with a derivative of its own, such as softplus: that derivative is used."""
    (position,) = (i for i, u in enumerate(operands) if isinstance(u, Series))
    u = operands[position]
    along = lambda x: function(*operands[:position], x, *operands[position + 1 :])
    return compose(by_differentiation(along, u.value, max(sum(a) for a in kept)), u, kept)


def _acts_on_numbers(equation, operands) -> bool:
    """Whether an operation is a function of each number of its only varying operand."""
    varying = [u for u in operands if isinstance(u, Series)]
    shape = jnp.shape(varying[0].value)
    shapes = [jnp.shape(u) for u in operands if not isinstance(u, Series)] + [v.aval.shape for v in equation.outvars]
    fits = len(varying) == 1 and len(equation.outvars) == 1 and all(s in ((), shape) for s in shapes)
    return fits and equation.outvars[0].aval.shape == shape and _only_numbers(equation.params["call_jaxpr"].jaxpr)


def _only_numbers(jaxpr) -> bool:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in ("jit", "pjit"):
            if not _only_numbers(equation.params["jaxpr"].jaxpr):
                return False
        elif name == "custom_jvp_call":
            if not _only_numbers(equation.params["call_jaxpr"].jaxpr):
                return False
        elif name not in ACTS_ON_NUMBERS:
            return False
    return True


def _nested(function: Callable, operands: Sequence, kept) -> list:
    """An operation without a rule, by nested forward differentiation along the polynomials that are its operands."""
    varying = [u for u in operands if isinstance(u, Series)]
    outputs = function(*map(_value, operands))
    inexact = [i for i, v in enumerate(outputs) if jnp.issubdtype(jnp.result_type(v), jnp.inexact)]
    count = len(kept[0])

    def along(*steps):
        values = function(*(_polynomial(u, steps) if isinstance(u, Series) else u for u in operands))
        return [values[i] for i in inexact]

    origin = [jnp.zeros((), jnp.finfo(_value(varying[0]).dtype).dtype)] * count
    coefficients: list[dict] = [{kept[0]: outputs[i]} for i in inexact]
    for a in reachable(varying, kept)[1:]:
        for found, value in zip(coefficients, _derivative(along, a)(*origin)):
            found[a] = value / factorial(a)
    results: list = list(outputs)
    for i, found in zip(inexact, coefficients):
        results[i] = Series.of(found)
    return results


def _polynomial(u: Series, steps):
    terms = [u.value]
    for a, part in list(u.items())[1:]:
        for step, n in zip(steps, a):
            for _ in range(n):
                part = part * step.astype(part.dtype)
        terms.append(part)
    return add_up(terms)


def _derivative(function: Callable, index: Index) -> Callable:
    for axis, order in enumerate(index):
        for _ in range(order):
            function = _forward(function, axis)
    return function


def _forward(function, axis):
    def tangent(*steps):
        along = lambda s: function(*steps[:axis], s, *steps[axis + 1 :])
        return jax.jvp(along, (steps[axis],), (jnp.ones_like(steps[axis]),))[1]

    return tangent


def _bind(equation, *values) -> list:
    """The operation itself, on arrays."""
    primitive = equation.primitive
    params = primitive.get_bind_params(equation.params)
    functions, params = params if isinstance(params, tuple) else ((), params)
    with equation.ctx.manager:
        results = primitive.bind(*functions, *values, **params)
    return list(results) if primitive.multiple_results else [results]


def _value(u):
    return u.value if isinstance(u, Series) else u
