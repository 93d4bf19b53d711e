"""Second derivatives of everything with a rule of its own, in each input, against differences of the first."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jaxsim import constraints, linear, norms, optimize
from jaxsim.integrate import matrix_phis, phis

A = jnp.array([[1.0, 2.0, 0.5], [0.0, 1.0, 1.0]])
B = jnp.array([0.5, 0.2])
W = jnp.array([1.0, 2.0, 3.0])
Y = jnp.array([1.0, 2.0, 3.0])
M = jnp.array([[3.0, 0.4, 0.2], [0.4, 2.0, 0.3], [0.2, 0.3, 4.0]])


def measured(value):
    """A number that bends with all entries."""
    flat = ravel_pytree(value)[0]
    return jnp.sum(jnp.sin(flat + 0.3 * jnp.arange(flat.size)))


def affine(A, b, metric, y):
    return constraints.AffineProjection(A, b, metric=metric)(y)


def affine_operator(A, b, metric, y):
    operator = lx.MatrixLinearOperator(A)
    return constraints.AffineProjection(operator, b, metric=metric, solver=linear.CG(rtol=1e-13))(y)


def dependent(A, b, metric, y):
    rows = jnp.concatenate([A, A[:1] + A[1:]])
    return constraints.AffineProjection(rows, jnp.append(b, b[0] + b[1]), metric=metric)(y)


def prepared(b, y):
    return constraints.AffineProjection(A, b, metric=W).prepared(y)(y)


def box(A, b, metric, y, high):
    return constraints.BoxAffineProjection(A, b, high=high, metric=metric)(y)


def between(A, b, metric, y, low):
    more = jnp.array([[1.0, -1.0, 0.3]])
    return constraints.BoxAffineProjection(A[:1], b[:1], between=(more, low, jnp.inf), metric=metric)(y)


def integral(weights, values, level, y):
    of = lambda u: (weights[0] @ u, weights[1] @ u)
    projection = constraints.IntegralProjection(
        of, (values[0], values[1]), quadratic=lambda u: u @ (weights[2] * u), level=level,
        quadrature=constraints.Quadrature(W)
    )  # fmt: skip
    return projection(y)


def gaussian(matrix, values, noise, mean, root):
    found = constraints.GaussianConditioning(matrix, values, noise)(mean, root @ root.T)
    return found.mean, found.covariance


def stochastic(logits, rows):
    return constraints.DoublyStochastic(rows, method=constraints.SinkhornNewton(1e-13))(logits)


def nonlinear(y, value, metric, curve):
    quantity = lambda u: curve @ u**2 + u[0] * u[1]
    return constraints.NonlinearProjection(quantity, value, metric, optimize.ProjectedNewton(1e-13))(y)


def tall(data, nodes):
    residual = lambda w, p: jnp.exp(-w[0] * p[1]) * w[1] - p[0]
    return optimize.least_squares(residual, jnp.array([0.4, 1.1]), (data, nodes)).value


def straight(matrix, data):
    return optimize.least_squares(lambda w, p: p[0] @ w - p[1], jnp.zeros(2), (matrix, data)).value


def root_of(method):
    def solved(parameters):
        function = lambda y, p: p @ y + y**3 - jnp.sin(p[0]) - 1
        return optimize.root(function, jnp.ones(3), parameters, method=method).value

    return solved


def fixed(parameters):
    method = optimize.Anderson(tolerance=1e-13)
    return optimize.fixed_point(lambda y, p: jnp.cos(p @ y / 8), jnp.zeros(3), parameters, method=method).value


def krylov(solver, tag):
    def solved(matrix, b):
        operator = lx.MatrixLinearOperator((matrix + matrix.T) / 2, tag)
        return lx.linear_solve(operator, b, solver).value

    return solved


def diffusion(coefficient, b):
    operator = linear.VariableDiffusion(coefficient, 0.5)
    preconditioner = linear.fast_poisson(operator)
    options = {"preconditioner": preconditioner}
    return lx.linear_solve(operator, b, linear.CG(1e-13), options=options).value


def smooth(matrix, b):
    return linear.fixed_steps_cg(lambda v: matrix @ v, b, steps=2)


POSITIVE = lx.positive_semidefinite_tag
CASES = {
    "affine": (affine, (A, B, W, Y)),
    "affine operator": (affine_operator, (A, B, W, Y)),
    "dependent rows": (dependent, (A, B, W, Y)),
    "prepared": (prepared, (B, Y)),
    "box": (box, (A, B, W, Y, jnp.array([0.4, 9.0, 9.0]))),
    "between": (between, (A, B, W, Y, jnp.array(0.7))),
    "integral": (integral, (W * jnp.array([[1.0, 1.0, 1.0], [0.3, 1.0, 0.2], [1.0, 2.0, 1.5]]), B, jnp.array(9.0), Y)),
    "gaussian": (gaussian, (A, B, jnp.array([0.1, 0.3]), Y, M)),
    "stochastic": (stochastic, (M[:2], jnp.array([1.0, 0.7]))),
    "nonlinear": (nonlinear, (Y, jnp.array(2.0), W, jnp.array([1.0, 0.5, 2.0]))),
    "least squares": (tall, (jnp.array([1.0, 0.7, 0.35, 0.3]), jnp.array([0.0, 1.0, 2.0, 3.0]))),
    "direct": (straight, (A.T, Y)),
    "root": (root_of(optimize.Newton(1e-14)), (M,)),
    "root by Krylov": (root_of(optimize.Newton(1e-14, linear=optimize.Krylov(linear.FGMRES(1e-13)))), (M,)),
    "fixed point": (fixed, (M,)),
    "CG": (krylov(linear.CG(1e-13), POSITIVE), (M, Y)),
    "MINRES": (krylov(linear.MINRES(1e-13), lx.symmetric_tag), (M, Y)),
    "FGMRES": (krylov(linear.FGMRES(1e-13), lx.symmetric_tag), (M, Y)),
    "diffusion": (diffusion, (W, Y)),
    "fixed steps": (smooth, (M, Y)),
    "norm": (norms.norm, (Y,)),
    "root mean square": (norms.root_mean_square, (Y,)),
    "lengths": (norms.lengths, (M,)),
    "quotient": (norms.quotient, (Y, W)),
    "harmonic mean": (linear.harmonic_mean, (Y, W)),
    "phi": (lambda z: phis(3, z), (jnp.array([-1e-3, -0.6, -3.0, 0.9]),)),
    "phi of matrices": (lambda a: matrix_phis(2, a), (M,)),
}


FAST = "affine", "dependent rows", "prepared", "fixed steps", "norm", "lengths", "quotient", "harmonic mean", "phi"


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_second_derivatives(name):
    function, inputs = CASES[name]
    flat, unravel = ravel_pytree(inputs)
    gradient = jax.grad(lambda x: measured(function(*unravel(x))))
    # A direction for each input, so that none hides behind the others.
    leaves, parts = jax.tree.leaves(inputs), np.random.default_rng(0).normal(size=flat.size)
    ends = np.cumsum([leaf.size for leaf in leaves])
    directions = [np.where((np.arange(flat.size) < end) & (np.arange(flat.size) >= end - leaf.size), parts, 0)
                  for leaf, end in zip(leaves, ends)]  # fmt: skip
    directions = jnp.array(directions)

    @jax.jit
    def both(x):
        forward = lambda v: jax.jvp(gradient, (x,), (v,))[1]
        reverse = lambda v: jax.grad(lambda x: gradient(x) @ v)(x)
        return jax.lax.map(forward, directions), jax.lax.map(reverse, directions)

    first = jax.jit(lambda x: jax.lax.map(gradient, x))
    h = 1e-5
    ahead, behind = first(flat + h * directions), first(flat - h * directions)
    differences = (ahead - behind) / (2 * h)
    scale = np.abs(differences).max()
    assert scale > 1e-3
    for found in both(flat):
        np.testing.assert_allclose(found, differences, rtol=0, atol=2e-7 * scale + 1e-8)


@pytest.mark.parametrize("modes", [(jax.jacfwd, jax.jacfwd), (jax.grad, jax.jacfwd), (jax.jacfwd, jax.grad),
                                   (jax.grad, jax.grad)])  # fmt: skip
def test_one_step_has_no_second_derivative(modes):
    solved = lambda a: optimize.root(lambda y, a: y**3 + y - a, jnp.array(1.5), a, adjoint=optimize.OneStep()).value
    outer, inner = modes
    assert abs(inner(solved)(2.3) - inner(lambda a: optimize.root(lambda y, a: y**3 + y - a, 1.5, a).value)(2.3)) < 1e-9
    with pytest.raises(TypeError, match="Implicit"):
        outer(inner(solved))(2.3)
