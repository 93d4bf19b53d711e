"""How each primitive operation acts on Taylor series: all coefficients at once where it is linear."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from . import functions
from .indices import ordered
from .series import Series, compose, divide, multiply

Operand = Any  # a Series, or an array that does not vary
Rule = Callable[..., Any]

# Linear in the named operands together; the others choose what is picked. `None` stands for all operands.
LINEAR: dict[str, tuple[int, ...] | None] = {
    "add": None, "sub": None, "add_any": None, "neg": None, "concatenate": None, "stack": None, "unstack": None,
    "pad": None, "convert_element_type": None, "real": None, "imag": None, "complex": None, "conj": None, "copy": None,
    "copy_p": None, "reshape": None, "broadcast_in_dim": None, "squeeze": None, "expand_dims": None, "transpose": None,
    "rev": None, "slice": None, "split": None, "reduce_sum": None, "cumsum": None, "reduce_window_sum": None,
    "reduce_precision": None, "fft": None, "optimization_barrier": None, "dynamic_slice": (0,), "gather": (0,),
    "dynamic_update_slice": (0, 1), "scatter": (0, 2), "scatter-add": (0, 2), "scatter_add": (0, 2),
}  # fmt: skip


def linear(name: str, bind: Callable, operands: Sequence[Operand], multiple: bool) -> Any:
    """An operation that is linear in its varying operands: the same operation on each coefficient.

    Arrays among the operands add to the value alone. `NotImplemented` where an operand varies that picks.
    """
    where = LINEAR[name]
    positions = range(len(operands)) if where is None else where
    varying = [i for i, u in enumerate(operands) if isinstance(u, Series)]
    if not set(varying) <= set(positions):
        return NotImplemented
    indices = ordered({a for i in varying for a in operands[i].indices})
    results = []
    for a in indices:
        values = []
        for i, u in enumerate(operands):
            if isinstance(u, Series):
                values.append(u.coefficient(a))
            else:
                values.append(u if i not in positions or not any(a) else jnp.zeros_like(u))
        results.append(bind(*values))
    if multiple:
        return [Series(indices, [r[k] for r in results]) for k in range(len(results[0]))]
    return Series(indices, results)


def add(bind, params, operands, shape, kept) -> Series:
    """Sums of operands of which some are scalars or do not vary."""
    return _sum(operands, (1, 1), shape)


def subtract(bind, params, operands, shape, kept) -> Series:
    """$u - v$, coefficient by coefficient."""
    return _sum(operands, (1, -1), shape)


def _sum(operands, signs, shape) -> Series:
    total: dict = {}
    for u, sign in zip(operands, signs):
        zero = next(v.indices[0] for v in operands if isinstance(v, Series))
        for a, part in u.items() if isinstance(u, Series) else [(zero, u)]:
            if a in total:
                total[a] = total[a] + part if sign > 0 else total[a] - part
            else:
                total[a] = part if sign > 0 else -part
    return Series.of({a: jnp.broadcast_to(part, shape) for a, part in total.items()})


def times(bind, params, operands, shape, kept) -> Series:
    """$u v$: Cauchy's product of series, or every coefficient times a number."""
    u, v = operands
    if isinstance(u, Series) and isinstance(v, Series):
        return multiply(u, v, kept)
    series, factor = (u, v) if isinstance(u, Series) else (v, u)
    return series.map(lambda part: part * factor)


def quotient(bind, params, operands, shape, kept) -> Series:
    """$u / v$."""
    u, v = operands
    if not isinstance(v, Series):
        return u.map(lambda part: part / v)
    if not isinstance(u, Series):
        u = Series(v.indices[:1], [u])
    return divide(u, v, kept)


def square(bind, params, operands, shape, kept) -> Series:
    """$u^2$."""
    return multiply(operands[0], operands[0], kept)


def integer_power(bind, params, operands, shape, kept) -> Series:
    """$u^n$ for a whole number $n$."""
    (u,) = operands
    if params["y"] == 2:
        return multiply(u, u, kept)
    return compose(functions.integer_power(u.value, params["y"], _degree(u, kept)), u, kept)


def power(bind, params, operands, shape, kept) -> Any:
    """$u^p$ for a number $p$."""
    u, exponent = operands
    if isinstance(exponent, Series):
        return NotImplemented
    return compose(functions.power(u.value, exponent, _degree(u, kept)), u, kept)


def select(bind, params, operands, shape, kept) -> Any:
    """One of several series, by a condition that has no derivative."""
    which, *cases = operands
    if isinstance(which, Series):
        return NotImplemented
    indices = {a for u in cases if isinstance(u, Series) for a in u.indices}
    pick = lambda a: bind(which, *(_part(u, a) for u in cases))
    return Series.of({a: pick(a) for a in indices})


def maximum(bind, params, operands, shape, kept) -> Any:
    """The series with the larger value."""
    return _extreme(operands, shape, jnp.greater)


def minimum(bind, params, operands, shape, kept) -> Any:
    """The series with the smaller value."""
    return _extreme(operands, shape, jnp.less)


def _extreme(operands, shape, first) -> Any:
    """The larger or smaller operand, and their mean where they are equal, as JAX differentiates it."""
    x, y = (u.value if isinstance(u, Series) else u for u in operands)
    if jnp.iscomplexobj(x):
        return NotImplemented
    left, right = first(x, y), first(y, x)
    indices = {a for u in operands if isinstance(u, Series) for a in u.indices}

    def pick(a):
        u, v = (jnp.broadcast_to(_part(w, a), shape) for w in operands)
        return jnp.where(left, u, jnp.where(right, v, 0.5 * (u + v)))

    return Series.of({a: pick(a) for a in indices})


def absolute(bind, params, operands, shape, kept) -> Any:
    """The series, or minus the series where its value is negative: at zero that from the right, as JAX has it.

    So what is smooth for all that, such as $|x|^2$, has the right derivatives there.
    """
    (u,) = operands
    if jnp.iscomplexobj(u.value):
        return NotImplemented
    negative = u.value < 0
    return Series(u.indices, [bind(u.value), *(jnp.where(negative, -part, part) for part in u.parts[1:])])


def clamp(bind, params, operands, shape, kept) -> Any:
    """The series where its value lies between bounds, and a bound elsewhere."""
    lower, u, upper = operands
    if isinstance(lower, Series) or isinstance(upper, Series):
        return NotImplemented
    inside = (u.value > lower) & (u.value < upper)
    parts = [jnp.where(inside, part, jnp.zeros_like(part)) for part in u.parts[1:]]
    return Series(u.indices, [bind(lower, u.value, upper), *parts])


def dot(bind, params, operands, shape, kept) -> Series:
    """A dense layer multiplies each coefficient once."""
    u, v = operands
    (left, right), (batch, _) = params["dimension_numbers"]
    if isinstance(u, Series) or batch or params.get("out_sharding") is not None:
        return product(bind, params, operands, shape, kept)
    # The matrix comes second, so that the products of many points have the points in front, as matrix products like.
    precision = params["precision"]
    precision = precision[::-1] if isinstance(precision, tuple) else precision
    free = jnp.ndim(u) - len(left)
    rest = len(shape) - free

    def rows(part):
        result = lax.dot_general(part, u, ((right, left), ((), ())), precision, params["preferred_element_type"])
        return lax.transpose(result, [*range(rest, rest + free), *range(rest)]) if rest and free else result

    return v.map(rows)


def product(bind, params, operands, shape, kept) -> Series:
    """An operation that is linear in either of two operands."""
    u, v = operands
    if isinstance(u, Series) and isinstance(v, Series):
        return multiply(u, v, kept, bind)
    return u.map(lambda part: bind(part, v)) if isinstance(u, Series) else v.map(lambda part: bind(u, part))


def elementwise(name: str, bind: Callable, u: Series, kept) -> Series:
    """A function of one number, by its Taylor coefficients at the value."""
    degree = _degree(u, kept)
    if name in functions.RECURRENCES and not jnp.iscomplexobj(u.value):
        return compose(functions.RECURRENCES[name](u.value, degree, bind), u, kept)
    return compose(functions.by_differentiation(bind, u.value, degree), u, kept)


def _degree(u: Series, kept) -> int:
    """The highest order to which a function of the series is expanded."""
    least = min((sum(a) for a in u.indices if any(a)), default=0)
    return max((sum(a) for a in kept), default=0) // least if least else 0


def _part(u, index):
    if isinstance(u, Series):
        return u.coefficient(index)
    return jnp.zeros_like(u) if any(index) else u


RULES: dict[str, Rule] = {
    "add": add, "add_any": add, "sub": subtract, "mul": times, "div": quotient, "square": square,
    "integer_pow": integer_power, "pow": power, "select_n": select, "max": maximum, "min": minimum, "abs": absolute,
    "clamp": clamp, "dot_general": dot, "conv_general_dilated": product,
}  # fmt: skip

# Act on each number by itself, so that a composition of them does too.
ELEMENTWISE = frozenset(functions.RECURRENCES) | functions.DIFFERENTIATED
ACTS_ON_NUMBERS = ELEMENTWISE | {
    "add", "sub", "mul", "div", "neg", "square", "integer_pow", "pow", "select_n", "max", "min", "abs", "sign", "eq",
    "ne", "lt", "le", "gt", "ge", "and", "or", "not", "is_finite", "floor", "ceil", "round", "add_any", "copy",
    "convert_element_type", "stop_gradient", "clamp",
}  # fmt: skip

__all__ = ["ACTS_ON_NUMBERS", "ELEMENTWISE", "LINEAR", "RULES", "elementwise", "linear"]
