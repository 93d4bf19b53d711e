"""How long a prediction of a chaotic motion holds."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..equations import is_field
from ..norms import lengths, power_of_two


class PredictionTime(eqx.Module):
    """How long a prediction held.

    - `time`: until the error first exceeded the threshold, in units of time or, with an exponent, in Lyapunov times;
        the length of the prediction where it never did.
    - `exceeded`: whether it did. Where not, `time` is a lower bound.
    - `errors`: the error at each time.
    """

    time: jax.Array
    exceeded: jax.Array
    errors: jax.Array


def valid_prediction_time(prediction: Any, truth: Any, times: Any, *, threshold: float = 0.4,
                          error: Callable[[Any, Any], jax.Array] | None = None,
                          exponent: Any = None) -> PredictionTime:  # fmt: skip
    """The first time at which the error of a prediction exceeds a threshold.

    $$T = \\lambda \\min \\{ t_n : e_n > \\epsilon \\}$$

    The error $e_n$ is that of `normalized_error` by default, with $\\epsilon = 0.4$ as Pathak et al. took it; Vlachas
    et al. take 0.5 of an error normalized component by component, and Gilpin 30 of `smape`. A value that is not
    finite exceeds every threshold.

    **Arguments:**

    - `prediction`, `truth`: arrays, or fields, with a leading time axis, both of one shape.
    - `times`: ascending times since the prediction began, shape `(n,)`.
    - `threshold`: $\\epsilon$.
    - `error`: a function of prediction and truth that gives the error at each time, shape `(n,)`.
    - `exponent`: the largest Lyapunov exponent $\\lambda$, which makes the unit a Lyapunov time; `None` for 1.

    **Returns:** a `PredictionTime`.

    Reference: Pathak, Hunt, Girvan, Lu and Ott, Phys. Rev. Lett. 120, 024102 (2018); Vlachas et al., Neural Networks
    126, 191 (2020); Gilpin, Phys. Rev. Research 5, 043252 (2023).
    """
    prediction, truth = _pair(prediction, truth)
    times = jnp.asarray(times)
    if times.shape != truth.shape[:1]:
        raise ValueError(f"valid_prediction_time: {truth.shape[0]} states need as many times, got {times.shape}.")
    if not isinstance(times, jax.core.Tracer) and np.any(np.diff(times) <= 0):
        raise ValueError("valid_prediction_time: `times` must ascend.")
    if exponent is not None and not isinstance(exponent, jax.core.Tracer) and not float(exponent) > 0:
        raise ValueError(f"valid_prediction_time: a Lyapunov time needs a positive `exponent`, got {exponent}.")
    errors = normalized_error(prediction, truth) if error is None else error(prediction, truth)
    if jnp.shape(errors) != times.shape:
        raise ValueError(f"valid_prediction_time: `error` must give one number per time, got {jnp.shape(errors)}.")
    beyond = ~(errors <= threshold)
    exceeded = jnp.any(beyond)
    time = jnp.where(exceeded, times[jnp.argmax(beyond)], times[-1])
    return PredictionTime(time if exponent is None else time * exponent, exceeded, errors)


def normalized_error(prediction: Any, truth: Any, *, scale: Any = None) -> jax.Array:
    """Distance of two motions at each time, relative to the size of the true one.

    $$e_n = \\sqrt{\\overline{|\\hat u_n - u_n|^2} \\,/\\, \\overline{s^2}}$$

    The overline is a mean over components and nodes.

    **Arguments:**

    - `prediction`, `truth`: arrays, or fields, with a leading time axis, both of one shape.
    - `scale`: $s$, a number or an array that broadcasts to one state; by default the standard deviation of the truth
        over time, one number for each component and node. An array normalizes each of them by itself, before the mean
        is taken.

    **Returns:** errors, shape `(n,)`. Two states that are drawn independently from the attractor are
    $\\sqrt 2$ apart.

    **Raises:** `ValueError` where the truth never changes and there is no `scale`.
    """
    prediction, truth = _pair(prediction, truth)
    axes = tuple(range(1, truth.ndim))
    difference = jnp.abs(prediction - truth)
    if scale is not None:
        return _root_mean_square(difference / jnp.asarray(scale), axes)
    unit = power_of_two(jnp.max(jnp.abs(truth)))
    truth, difference = truth / unit, difference / unit
    variance = jnp.mean(jnp.var(truth, axis=0))
    if not isinstance(variance, jax.core.Tracer) and not variance > 0:
        raise ValueError("normalized_error: the truth does not change in time; pass a `scale`.")
    return _root_mean_square(difference / jnp.sqrt(variance), axes)


def smape(prediction: Any, truth: Any) -> jax.Array:
    """Symmetric mean absolute percentage error of a prediction up to each time, from 0 to 200.

    $$s_n = \\frac{200}{n} \\sum_{m \\le n} \\overline{\\frac{|\\hat u_m - u_m|}{|\\hat u_m| + |u_m|}}$$

    The overline is a mean over components and nodes; where both are zero the error is.

    **Arguments:**

    - `prediction`, `truth`: arrays, or fields, with a leading time axis, both of one shape.

    **Returns:** errors, shape `(n,)`.

    Reference: Gilpin, Phys. Rev. Research 5, 043252 (2023).
    """
    prediction, truth = _pair(prediction, truth)
    size = jnp.abs(prediction) + jnp.abs(truth)
    relative = jnp.where(size == 0, 0, jnp.abs(prediction - truth) / jnp.where(size == 0, 1, size))
    means = jnp.mean(relative, tuple(range(1, truth.ndim)))
    return 200 * jnp.cumsum(means) / jnp.arange(1, len(means) + 1, dtype=means.dtype)


def _root_mean_square(errors, axes):
    return lengths(errors.reshape(len(errors), -1)) / np.sqrt(max(errors[0].size, 1)).astype(errors.dtype)


def _pair(prediction, truth):
    first, second = (jnp.asarray(u.values if is_field(u) else u) for u in (prediction, truth))
    if first.shape != second.shape or first.ndim < 1 or first.shape[0] < 1:
        raise ValueError(
            f"prediction and truth need one shape with a leading time axis, got {first.shape} and {second.shape}."
        )
    return first, second
