"""The error of a least-squares solution's gradient against the condition number of its Jacobian."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from jaxsim.optimize import GaussNewton, least_squares

from ._common import peer, table

ROWS, SIZE = 120, 12
DOUBLE, SINGLE = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7), (1e1, 1e2, 1e3, 1e4)


def problem(condition: float, curvature: float, offset: float, dtype):
    """A matrix of given condition, right-hand side, start and covector; $r = z + c z^2 / 2 - \\theta b$, $z = B w$."""
    random = np.random.default_rng(0)
    left, _ = np.linalg.qr(random.standard_normal((ROWS, SIZE)))
    right, _ = np.linalg.qr(random.standard_normal((SIZE, SIZE)))
    matrix = ((left * np.logspace(0, -np.log10(condition), SIZE)) @ right.T).astype(dtype)
    code = random.standard_normal(SIZE)
    z = np.asarray(matrix, float) @ code
    across = random.standard_normal(ROWS)
    across -= left @ (left.T @ across)
    data = z + curvature * z**2 / 2 + offset * across / np.linalg.norm(across)
    return matrix, data.astype(dtype), code.astype(dtype), random.standard_normal(SIZE).astype(dtype)


def exact(matrix, data, start, covector, curvature: float) -> tuple[float, float]:
    """The gradient of covector . w in theta at one, and its scale, by Newton's method in 50 digits."""
    with mpmath.workdps(50):
        rows, code = mpmath.matrix(matrix.astype(float).tolist()), mpmath.matrix(start.astype(float).tolist())
        right = mpmath.matrix(data.astype(float).tolist())
        c = mpmath.mpf(float(curvature))
        for _ in range(60):
            z = rows * code
            slope = [1 + c * value for value in z]
            left = [z[i] + c * z[i] ** 2 / 2 - right[i] for i in range(ROWS)]
            weight = [slope[i] ** 2 + c * left[i] for i in range(ROWS)]
            hessian = mpmath.matrix(SIZE, SIZE)
            for a in range(SIZE):
                for b in range(a + 1):
                    entry = mpmath.fsum(weight[i] * rows[i, a] * rows[i, b] for i in range(ROWS))
                    hessian[a, b] = hessian[b, a] = entry
            pull = lambda v: mpmath.matrix([mpmath.fsum(v[i] * rows[i, a] for i in range(ROWS)) for a in range(SIZE)])
            step = mpmath.lu_solve(hessian, pull([s * r for s, r in zip(slope, left)]))
            code -= step
            if mpmath.norm(step) < mpmath.mpf(10) ** -35:
                break
        moved = mpmath.lu_solve(hessian, pull([s * b for s, b in zip(slope, right)]))
        toward = mpmath.matrix(covector.astype(float).tolist())
        return float(mpmath.fdot(toward, moved)), float(mpmath.norm(toward) * mpmath.norm(moved))


def programs(matrix, data, start, curvature: float) -> dict[str, Callable]:
    """Solutions as functions of theta, by program."""
    dtype = matrix.dtype
    matrix, data = jnp.asarray(matrix), jnp.asarray(data)
    # A start that is off, by as much for each singular direction.
    begin = jnp.asarray(start) + jnp.asarray(1e-3, dtype)
    tight = 1e-12 if dtype == np.float64 else 1e-6

    def residual(w, theta):
        z = matrix @ w
        return z + curvature * z * z / 2 - theta * data if curvature else z - theta * data

    method = GaussNewton(tight, 200) if curvature else None
    found = {"jaxsim": lambda theta: least_squares(residual, begin, theta, method=method).value}
    if (optimistix := peer("optimistix")) is not None:
        solver = optimistix.LevenbergMarquardt(rtol=tight, atol=tight)
        solve = partial(optimistix.least_squares, residual, solver, begin, max_steps=2000, throw=False)
        found["optimistix"] = lambda theta: solve(theta).value
    if (jaxopt := peer("jaxopt")) is not None:
        how = {"residual_fun": residual, "maxiter": 200, "tol": tight}
        damped = jaxopt.LevenbergMarquardt(**how, xtol=tight, gtol=tight)
        found["jaxopt LM"] = lambda theta: damped.run(begin, theta).params
        found["jaxopt GN"] = lambda theta: jaxopt.GaussNewton(**how).run(begin, theta).params
    return found


def errors(condition: float, curvature: float, offset: float, dtype) -> dict[str, float | None]:
    """Relative errors of the gradient, `None` where a program raised or returned what is not a number."""
    matrix, data, start, covector = problem(condition, curvature, offset, dtype)
    truth, scale = exact(matrix, data, start, covector, curvature)
    found: dict[str, float | None] = {}
    for name, solution in programs(matrix, data, start, curvature).items():
        gradient = jax.jit(jax.grad(lambda theta, f=solution: f(theta) @ jnp.asarray(covector)))
        try:
            error = abs(float(gradient(jnp.ones((), dtype))) - truth) / scale
        except (RuntimeError, ValueError, TypeError) as failure:  # what a peer raises is part of the result
            print(f"note: {name} at condition {condition:.0e}, {np.dtype(dtype)}: {str(failure).splitlines()[0][:100]}")
            error = None
        found[name] = None if error is None or not np.isfinite(error) else error
    return found


def measure(options) -> dict:
    cases = []
    for curvature, offset in ((0.0, 0.0), (1.0, 1e-2)):
        for dtype, conditions in ((np.float64, DOUBLE), (np.float32, SINGLE)):
            for condition in conditions[:2] if options.quick else conditions:
                # Single precision alone: with both at hand the peers raise for mixed types.
                with jax.enable_x64(dtype == np.float64):
                    found = errors(condition, curvature, offset, dtype)
                about = {"curved": bool(curvature), "bits": np.dtype(dtype).itemsize * 8, "condition": condition}
                cases.append(about | {"errors": found})
    return {"rows": ROWS, "unknowns": SIZE, "cases": cases}


def show(result: dict):
    names = ["jaxsim", "optimistix", "jaxopt LM", "jaxopt GN"]
    rows = [
        [f"{'curved' if c['curved'] else 'affine'}, float{c['bits']}, {c['condition']:.0e}"]
        + [c["errors"].get(name) for name in names]
        for c in result["cases"]
    ]
    table(["problem, condition", *names], rows)
