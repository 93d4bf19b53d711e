"""Taylor coefficients of functions of one number, $c_k = f^{(k)}(x) / k!$, by the recurrences of their equations.

Reference: Griewank and Walther, Evaluating Derivatives (2nd edition, 2008), section 13.2.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

Coefficients = list[jax.Array]


def _exp(x, degree, bind) -> Coefficients:
    value = bind(x)
    return [value, *(value / math.factorial(k) for k in range(1, degree + 1))]


def _expm1(x, degree, bind) -> Coefficients:
    slope = jnp.exp(x)
    return [bind(x), *(slope / math.factorial(k) for k in range(1, degree + 1))]


def _log(x, degree, bind, shift: float = 0.0) -> Coefficients:
    inverse = 1 / (x + shift) if shift else 1 / x
    powers = _powers(inverse, degree)
    return [bind(x), *(((-1) ** (k + 1) / k) * powers[k - 1] for k in range(1, degree + 1))]


def _log1p(x, degree, bind) -> Coefficients:
    return _log(x, degree, bind, 1.0)


def _tanh(x, degree, bind) -> Coefficients:
    return _riccati(bind(x), degree, lambda v: 1 - v * v, lambda twice: -twice)


def _tan(x, degree, bind) -> Coefficients:
    return _riccati(bind(x), degree, lambda v: 1 + v * v, lambda twice: twice)


def _riccati(value, degree, slope, of_square) -> Coefficients:
    """Of $v' = 1 \\mp v^2$: $(k + 1) c_{k+1}$ is the coefficient of the right-hand side."""
    c = [value]
    for k in range(degree):
        c.append(slope(value) if k == 0 else of_square(_square(c, k)) / (k + 1))
    return c


def _logistic(x, degree, bind) -> Coefficients:
    value = bind(x)
    c = [value]
    for k in range(degree):  # v' = v - v^2
        c.append(value * (1 - value) if k == 0 else (c[k] - _square(c, k)) / (k + 1))
    return c


def _sin(x, degree, bind) -> Coefficients:
    value = bind(x)
    return _cycle([value, jnp.cos(x), -value], degree) if degree else [value]


def _cos(x, degree, bind) -> Coefficients:
    value = bind(x)
    return _cycle([value, -jnp.sin(x), -value], degree) if degree else [value]


def _cycle(first, degree) -> Coefficients:
    cycle = [*first, -first[1]]
    return [cycle[k % 4] / math.factorial(k) if k > 1 else cycle[k] for k in range(degree + 1)]


def _sinh(x, degree, bind) -> Coefficients:
    pair = [bind(x), jnp.cosh(x)]
    return [pair[k % 2] / math.factorial(k) if k > 1 else pair[k] for k in range(degree + 1)]


def _cosh(x, degree, bind) -> Coefficients:
    pair = [bind(x), jnp.sinh(x)]
    return [pair[k % 2] / math.factorial(k) if k > 1 else pair[k] for k in range(degree + 1)]


def _sqrt(x, degree, bind) -> Coefficients:
    value = bind(x)
    return _root(x, value, 0.5 / value, 0.5, degree)


def _rsqrt(x, degree, bind) -> Coefficients:
    value = bind(x)
    return _root(x, value, -0.5 * value / x, -0.5, degree)


def _cbrt(x, degree, bind) -> Coefficients:
    value = bind(x)
    return _root(x, value, 1 / (3 * value * value), 1 / 3, degree)


def _root(x, value, slope, exponent, degree) -> Coefficients:
    c = [value, slope]  # at zero the slope is infinite, which x v' = p v does not tell
    for k in range(2, degree + 1):
        c.append(c[-1] / x * ((exponent - k + 1) / k))
    return c[: degree + 1]


def _erf(x, degree, bind) -> Coefficients:
    return [bind(x), *_gauss(x, degree, 2 / math.sqrt(math.pi))]


def _erfc(x, degree, bind) -> Coefficients:
    return [bind(x), *_gauss(x, degree, -2 / math.sqrt(math.pi))]


def _gauss(x, degree, factor) -> Coefficients:
    """The integral of $g = \\exp(-x^2)$, for which $g' = -2 x g$."""
    if not degree:
        return []
    g = [factor * jnp.exp(-x * x)]
    for k in range(degree - 1):
        g.append(-2 * x * g[0] if k == 0 else (x * g[k] + g[k - 1]) * (-2 / (k + 1)))
    return [part / (k + 1) if k else part for k, part in enumerate(g)]


def integer_power(x: jax.Array, exponent: int, degree: int) -> Coefficients:
    """Of $x^n$: binomial coefficients, zero beyond $n$ where $n$ is not negative."""
    c, binomial = [], 1
    for k in range(degree + 1):
        if k:
            binomial = binomial * (exponent - k + 1) // k
        if binomial == 0:
            break
        power = lax.integer_pow(x, exponent - k)
        c.append(power if binomial == 1 else binomial * power)
    return c


def power(x: jax.Array, exponent: jax.Array, degree: int) -> Coefficients:
    """Of $x^p$ with a $p$ that does not vary; a whole $p$ has no singular derivatives."""
    x, exponent = jnp.broadcast_arrays(x, jnp.asarray(exponent, x.dtype))
    c, binomial = [], jnp.ones_like(exponent)
    for k in range(degree + 1):
        if k:
            binomial = binomial * (exponent - k + 1) / k
        safe = jnp.where(binomial == 0, jnp.ones_like(x), x)
        c.append(binomial * lax.pow(safe, exponent - k))
    return c


def by_differentiation(function: Callable, x: jax.Array, degree: int) -> Coefficients:
    """Of any function that acts on each number of an array by itself, by nested forward differentiation."""
    c = [function(x)]
    for k in range(1, degree + 1):
        function = _forward(function)
        c.append(function(x) / math.factorial(k))
    return c


def _forward(function):
    return lambda x: jax.jvp(function, (x,), (jnp.ones_like(x),))[1]


def _square(c: Coefficients, k: int) -> jax.Array:
    """Coefficient `k` of the square of a series."""
    total = None
    for i in range((k + 1) // 2):
        total = c[i] * c[k - i] if total is None else total + c[i] * c[k - i]
    middle = c[k // 2] * c[k // 2] if k % 2 == 0 else None
    if total is None:
        return middle
    return 2 * total if middle is None else 2 * total + middle


def _powers(x, degree) -> Coefficients:
    powers = [x]
    for _ in range(degree - 1):
        powers.append(powers[-1] * x)
    return powers


RECURRENCES: dict[str, Callable[..., Coefficients]] = {
    "exp": _exp, "expm1": _expm1, "log": _log, "log1p": _log1p, "tanh": _tanh, "tan": _tan, "logistic": _logistic,
    "sin": _sin, "cos": _cos, "sinh": _sinh, "cosh": _cosh, "sqrt": _sqrt, "rsqrt": _rsqrt, "cbrt": _cbrt,
    "erf": _erf, "erfc": _erfc,
}  # fmt: skip
"""Functions of one number with a recurrence of their own, by the name of their primitive."""

DIFFERENTIATED = frozenset({
    "asin", "acos", "atan", "asinh", "acosh", "atanh", "exp2", "erf_inv", "lgamma", "digamma",
})  # fmt: skip
"""Functions of one number that are differentiated one by one."""
