"""The phi functions of exponential integrators, for scalars and for small dense blocks.

They are phi_0(z) = exp(z), phi_{k+1}(z) = (phi_k(z) - 1/k!) / z, phi_k(0) = 1/k!, or for k >= 1

    phi_k(z) = 1/(k-1)! int_0^1 exp((1 - s) z) s^(k-1) ds

(Hochbruck and Ostermann, Exponential integrators, Acta Numerica 19, 2010, section 2.1). NumPy input is
computed on the host in double precision, to be rounded once by the caller; JAX input stays traced and
differentiable.

Inside, the functions are normalized to psi_k = k! phi_k, so that psi_k(0) = 1 and no factorial overflows:

    upward     psi_k = k (psi_{k-1} - 1) / z          loses digits when |z| < k
    downward   psi_k = 1 + z psi_{k+1} / (k + 1)      loses digits when |z| > k
"""

import functools
import math
import operator
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

# The traced matrix functions take norms up to 2**_DOUBLINGS; every doubling costs memory in reverse mode.
_DOUBLINGS = 32
_BALANCE_SWEEPS = 8
_BALANCE_LIMIT = 40


def array_namespace(*arrays: ArrayLike) -> ModuleType:
    """Returns `jax.numpy` if any argument is a JAX array or tracer, and `numpy` otherwise.

    **Arguments:**

    - `arrays`: NumPy arrays, JAX arrays or Python scalars.

    **Returns:** the module whose functions keep these arguments where they are: on the host, or traced.
    """
    return jnp if any(isinstance(x, jax.Array) for x in arrays) else np


def phis(order: int, z: ArrayLike) -> list:
    """Evaluates phi_0(z), ..., phi_order(z) elementwise.

    phi_0(z) = exp(z),  phi_{k+1}(z) = (phi_k(z) - 1/k!) / z,  phi_k(0) = 1/k!

    phi_k comes from its Taylor series and the downward recurrence where |z| < k, and from the upward
    recurrence, begun with expm1(z) / z, elsewhere. Derivatives use d phi_k / dz = phi_k - k phi_{k+1} where
    |z| < k and (phi_{k-1} - k phi_k) / z elsewhere, so those of any order are finite everywhere, and reverse
    mode keeps one array per function.

    **Arguments:**

    - `order`: index of the last function, a non-negative integer.
    - `z`: argument, real or complex, of any shape and without unit (time step times eigenvalue). A NumPy
        array or Python scalar is computed on the host in float64 or complex128. A JAX array is traced, in its
        own precision (half precisions are computed in float32, integers in the default float).

    **Returns:** a list of `order + 1` arrays shaped like `z`: NumPy float64 or complex128 for input on the
    host, JAX arrays of the precision of `z` otherwise. exp(z) that overflows gives infinity (NaN for complex
    `z`).

    **Raises:** `ValueError` if `order` is negative; `TypeError` if `order` is no integer or `z` not numeric.

    **Source:** Hochbruck and Ostermann, Acta Numerica 19 (2010), section 2.1.
    """
    order = _checked_order(order)
    if array_namespace(z) is np:
        return [np.asarray(phi) for phi in _evaluate(order, _host_array(z), np)]
    z, dtype = _traced_array(z)
    return [phi.astype(dtype) for phi in _traced(order, z)]


def matrix_phis(order: int, a: ArrayLike) -> list:
    """Evaluates phi_0(A), ..., phi_order(A) of small square matrices.

    phi_k(2A) = 2^-k [phi_0(A) phi_k(A) + sum_{j=1}^{k} phi_j(A) / (k-j)!]

    Each matrix is balanced by a diagonal similarity if that helps, scaled by its own power of two to norm
    below one, summed by Taylor series and doubled back. exp(A) - 1 is doubled beside exp(A), so that slow
    directions beside stiff ones keep their digits. Errors are relative to the norm of the balanced result,
    and grow with the norm of A where A rotates: about 1e-13 for rotations by 1e3 in float64, 1e-4 in float32.
    Meant for the coupled blocks of one mode (m up to about 8).

    **Arguments:**

    - `order`: index of the last function, a non-negative integer.
    - `a`: matrices, real or complex, shape `(..., m, m)`, without unit (time step times operator). A NumPy
        array is computed on the host in float64 or complex128. A JAX array is traced and differentiable, in
        its own precision (as in [`phis`][jaxsim.integrate.phi.phis]).

    **Returns:** a list of `order + 1` arrays of shape `(..., m, m)`: NumPy float64 or complex128 for input on
    the host, JAX arrays of the precision of `a` otherwise. On the traced path a matrix whose norm exceeds
    2^32 after balancing gives NaN; entries that are not finite, or an exp(A) that overflows, give NaN or
    infinity.

    **Raises:** `ValueError` if `order` is negative, if the last two axes of `a` are not equal and positive,
    or if, on the host, an entry is not finite or exp(A) overflows; `TypeError` if `order` is no integer or
    `a` is not numeric.

    **Source:** Skaflestad and Wright, The scaling and modified squaring method for matrix functions related
    to the exponential, Appl. Numer. Math. 59 (2009); balancing after Osborne, On pre-conditioning of
    matrices, J. ACM 7 (1960).
    """
    order = _checked_order(order)
    xp = array_namespace(a)
    a, dtype = (_host_array(a), None) if xp is np else _traced_array(a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] == 0:
        raise ValueError(f"matrix_phis needs square matrices, shape (..., m, m); got {a.shape}.")
    if xp is np:
        if not np.all(np.isfinite(a)):
            raise ValueError("matrix_phis got infinite or NaN entries; check the operator and the time step.")
        flat = a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])
        values = _evaluate_matrices(order, flat, np)
        if not all(np.all(np.isfinite(value)) for value in values):
            raise ValueError("exp(A) overflows: A has a fast growing direction; take a smaller time step.")
        return [value.reshape(a.shape) for value in values]
    return [phi.astype(dtype) for phi in _evaluate_matrices(order, a, jnp)]


# Checks.


def _checked_order(order) -> int:
    try:
        order = operator.index(order)
    except TypeError:
        raise TypeError(f"order must be an integer, got {order!r}.") from None
    if order < 0:
        raise ValueError(f"order must be at least 0, got {order}.")
    return order


def _host_array(z: ArrayLike) -> np.ndarray:
    z = np.asarray(z)
    if z.dtype.kind not in "biufc":
        raise TypeError(f"phi functions need real or complex numbers, got an array of dtype {z.dtype}.")
    return z.astype(np.complex128 if z.dtype.kind == "c" else np.float64)


def _traced_array(z) -> tuple[jax.Array, jnp.dtype]:
    """Gives `z` in the precision to compute in, and the dtype to return."""
    if not (jnp.issubdtype(z.dtype, jnp.number) or z.dtype == jnp.bool_):
        raise TypeError(f"phi functions need real or complex numbers, got an array of dtype {z.dtype}.")
    dtype = z.dtype if jnp.issubdtype(z.dtype, jnp.inexact) else jnp.result_type(float)
    return z.astype(jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype), dtype


# Scalars.


def _taylor_terms(order: int, radius: float, eps: float) -> int:
    """Counts the terms of psi_order's Taylor series that matter for |z| < radius."""
    terms, size = 0, 1.0
    while size > 0.1 * eps:
        terms += 1
        size *= radius / (order + terms)
    return terms


def _evaluate(order: int, z, xp: ModuleType) -> list:
    with np.errstate(over="ignore", under="ignore"):
        values = [xp.exp(z)]
        if order == 0:
            return values
        size = xp.abs(z)
        near = xp.where(size < order, z, xp.zeros_like(z))
        far = xp.where(size < 1, xp.ones_like(z), z)

        taylor = xp.ones_like(z)
        for j in range(_taylor_terms(order, order, float(xp.finfo(z.dtype).eps)), 0, -1):
            taylor = 1 + near * taylor * (1 / (order + j))
        downward = {order: taylor}
        for k in range(order - 1, 0, -1):
            downward[k] = 1 + near * downward[k + 1] * (1 / (k + 1))

        psi = xp.where(size < 1, downward[1], xp.expm1(z) / far)
        values.append(psi)
        for k in range(2, order + 1):
            psi = xp.where(size < k, downward[k], k * (psi - 1) / far)
            values.append(psi * (1 / math.factorial(k)))
        return values


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _traced(order: int, z: jax.Array) -> list:
    return _evaluate(order, z, jnp)


@_traced.defjvp
def _traced_jvp(order: int, primals: tuple, tangents: tuple) -> tuple[list, list]:
    (z,), (dz,) = primals, tangents
    phi = _traced(order + 1, z)  # one more function gives all first derivatives, and so on for higher ones
    size = jnp.abs(jax.lax.stop_gradient(z))
    far = jnp.where(size < 1, jnp.ones_like(z), z)
    slopes = [phi[0]]
    for k in range(1, order + 1):
        # Each form is a difference of like numbers where the other one is safe.
        slopes.append(jnp.where(size < k, phi[k] - k * phi[k + 1], (phi[k - 1] - k * phi[k]) / far))
    return phi[: order + 1], [slope * dz for slope in slopes]


# Matrices.


def _evaluate_matrices(order: int, a, xp: ModuleType) -> list:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        balance = _balance_exponents(a if xp is np else jax.lax.stop_gradient(a), xp)
        balanced = _power_of_two(balance[..., None, :] - balance[..., :, None], a, xp) * a
        _, exponent = xp.frexp(_norm(balanced if xp is np else jax.lax.stop_gradient(balanced), xp))
        doublings = xp.maximum(exponent, 0)
        shrink = _power_of_two(-doublings, a, xp)

        state = _taylor_matrices(max(order, 1), shrink[..., None, None] * balanced, xp)
        double = _double_on_host if xp is np else _double_traced
        exponential, difference, *psis = double(state, doublings)

        # exp(A) - 1 is right to eps, exp(A) to eps times 2^doublings of itself: take the smaller error.
        eye = _eye_like(a, xp)
        whole = _norm(exponential, xp) >= _norm(shrink[..., None, None] * eye, xp)
        values = [xp.where(whole[..., None, None], eye + difference, exponential)]
        values += [psis[k - 1] * (1 / math.factorial(k)) for k in range(1, order + 1)]
        unbalance = _power_of_two(balance[..., :, None] - balance[..., None, :], a, xp)
        return [unbalance * value for value in values]


def _product(x, y, xp: ModuleType):
    # Not a batched matrix product: GPUs would take that in reduced precision, and small blocks fuse this way.
    if xp is jnp:
        return jnp.sum(x[..., :, :, None] * y[..., None, :, :], axis=-2)
    return sum(x[..., :, k, None] * y[..., None, k, :] for k in range(x.shape[-1]))


def _fold(step, state, inputs: np.ndarray, xp: ModuleType):
    """Applies `state = step(state, x)` for every x: a loop on the host, one compiled body when traced."""
    if xp is jnp:
        return jax.lax.scan(lambda state, x: (step(state, x), None), state, jnp.asarray(inputs))[0]
    return functools.reduce(step, inputs, state)


def _norm(a, xp: ModuleType):
    return xp.max(xp.sum(xp.abs(a), axis=-1), axis=-1)


def _eye_like(a, xp: ModuleType):
    return xp.broadcast_to(xp.eye(a.shape[-1], dtype=a.dtype), a.shape)


def _power_of_two(exponent, like, xp: ModuleType):
    real = xp.finfo(like.dtype).dtype
    return xp.ldexp(xp.ones(exponent.shape, real), exponent).astype(like.dtype)


def _balance_exponents(a, xp: ModuleType):
    """Finds integers d, shape (..., m), so that 2^-d_i a_ij 2^d_j has like row and column sizes, or zeros."""
    off_diagonal = xp.where(_eye_like(a, xp) == 0, xp.abs(a), 0)
    present = off_diagonal > 0
    logs = xp.where(present, xp.log2(xp.where(present, off_diagonal, 1)), -xp.inf)
    linked = xp.any(present, axis=-1) & xp.any(present, axis=-2)

    def sweep(d, _):
        row = xp.max(logs + d[..., None, :], axis=-1) - d
        column = xp.max(logs - d[..., :, None], axis=-2) + d
        # All move at once, so each takes half of the step that would even out its own row and column.
        return d + (xp.where(linked, row, 0) - xp.where(linked, column, 0)) / 4

    d = _fold(sweep, xp.zeros_like(logs[..., 0]), np.arange(_BALANCE_SWEEPS), xp)
    d = xp.clip(xp.round(d), -_BALANCE_LIMIT, _BALANCE_LIMIT).astype(int)
    scaled = _power_of_two(d[..., None, :] - d[..., :, None], a, xp) * a
    return xp.where((_norm(scaled, xp) < 0.5 * _norm(a, xp))[..., None], d, 0)


def _taylor_matrices(order: int, a, xp: ModuleType):
    """Stacks exp(A), exp(A) - 1, psi_1(A), ..., psi_order(A) for matrices of norm below one."""
    eye = _eye_like(a, xp)
    terms = _taylor_terms(order, 1.0, float(xp.finfo(a.dtype).eps))
    factors = (1 / np.arange(order + terms, order, -1)).astype(a.dtype)
    psis = [_fold(lambda taylor, factor: eye + factor * _product(a, taylor, xp), eye, factors, xp)]
    for k in range(order - 1, 0, -1):
        psis.insert(0, eye + _product(a, psis[0], xp) * (1 / (k + 1)))
    difference = _product(a, psis[0], xp)
    return xp.stack([eye + difference, difference, *psis])


def _double(state, xp: ModuleType):
    """Goes from the stack of A to that of 2A."""
    exponential, difference, *psis = state
    doubled = [_product(exponential, exponential, xp), _product(difference, difference, xp) + 2 * difference]
    for k, psi in enumerate(psis, start=1):
        total = _product(difference, psi, xp) + 2 * psi
        for j in range(1, k):
            total = total + math.comb(k, j) * psis[j - 1]
        doubled.append(total * 2.0**-k)
    return xp.stack(doubled)


def _double_on_host(state: np.ndarray, doublings: np.ndarray) -> np.ndarray:
    for step in range(np.max(doublings, initial=0)):
        (active,) = np.nonzero(doublings > step)
        state[:, active] = _double(state[:, active], np)
    return state


def _double_traced(state: jax.Array, doublings: jax.Array) -> jax.Array:
    def advance(state, active):
        return jnp.where(active[None, ..., None, None], _double(state, jnp), state)

    @jax.checkpoint
    def body(state, step):
        active = doublings > step
        return jax.lax.cond(jnp.any(active), advance, lambda state, _: state, state, active), None

    state, _ = jax.lax.scan(body, state, jnp.arange(_DOUBLINGS, dtype=doublings.dtype))
    return jnp.where((doublings > _DOUBLINGS)[None, ..., None, None], jnp.nan, state)
