"""Roots, fixed points and nearest points, and their derivatives."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.linear import CG, FGMRES, MINRES
from jaxsim.optimize import (
    LU,
    Anderson,
    Implicit,
    Krylov,
    Newton,
    OneStep,
    OnFailure,
    Picard,
    ProjectedNewton,
    SolveStatus,
    Truncated,
    Unrolled,
    fixed_point,
    nearest,
    root,
)


def cubic(a, adjoint=None):
    return root(lambda y, a: y**3 + y - a, jnp.array(1.5), a, adjoint=adjoint).value


@pytest.mark.slow
def test_a_scalar_root_in_every_mode():
    @jax.jit
    def every(a):
        first = jax.grad(cubic)
        others = [jax.grad(cubic)(a, how) for how in (OneStep(), Truncated(2), Unrolled(12))]
        return cubic(a), first(a), jax.jacfwd(cubic)(a), *others, jax.jacfwd(first)(a), jax.grad(first)(a)

    expected = [1, *[0.25] * 5, -0.09375, -0.09375]
    np.testing.assert_allclose(every(jnp.array(2.0)), expected, rtol=1e-9)
    assert jax.grad(cubic)(2.0) == pytest.approx(0.25)  # a number that is no array, outside of jit


def coupled(y, p):
    """Two unknowns as a dictionary."""
    return {"a": y["a"] ** 2 + y["b"] - p[0], "b": jnp.sin(y["a"]) * y["b"] - p[1]}


def test_a_system_of_a_pytree():
    guess, p = {"a": jnp.array(1.0), "b": jnp.array([1.0])}, (jnp.array(2.0), jnp.array([0.7]))

    def total(p, on_failure=OnFailure.RAISE):
        solved = root(coupled, guess, p, on_failure=on_failure)
        return solved.value["a"] + 2 * solved.value["b"][0], solved

    gradient, solved = jax.jit(jax.grad(total, has_aux=True))(p)
    jacobian = np.array([[2 * solved.value["a"], 1.0], [
        np.cos(solved.value["a"]) * solved.value["b"][0], np.sin(solved.value["a"])]])  # fmt: skip
    np.testing.assert_allclose([gradient[0], gradient[1][0]], np.linalg.solve(jacobian.T, [1, 2]), rtol=1e-9)
    np.testing.assert_allclose(solved.condition, np.linalg.cond(jacobian, 1), rtol=1e-9)
    assert set(solved.residual) == {"a", "b"} and solved.residual["a"] < 1e-11


@pytest.mark.slow
def test_a_failure_of_a_batch_stays_alone():
    @eqx.filter_jit
    def gradient(a, on_failure):
        def loss(a):
            solve = lambda a: root(lambda y, a: y**2 - a, jnp.array(1.0), a, on_failure=on_failure)
            solved = jax.vmap(solve)(a)
            return jnp.sum(jnp.where(solved.succeeded, solved.value, 0)), solved

        return jax.grad(loss, has_aux=True)(a)

    a = jnp.array([1.0, 2.0, 4.0, -1.0, jnp.nan])
    expected = [0.5, 0.5 / np.sqrt(2), 0.25, 0.0, 0.0]
    for on_failure in (OnFailure.STOP, OnFailure.NAN, OnFailure.KEEP):
        slopes, solved = gradient(a, on_failure)
        np.testing.assert_allclose(slopes, expected, rtol=1e-8)
        np.testing.assert_array_equal(solved.succeeded, [True] * 3 + [False] * 2)
    with pytest.raises(Exception, match="did not converge"):
        jax.block_until_ready(gradient(a, OnFailure.RAISE))


@pytest.mark.slow
def test_a_derivative_whose_system_is_singular_is_no_number():
    """At a double root the value is fine and its derivative infinite."""
    double = lambda y, a: (y - 1) ** 2 * (y + 1) - a
    solve = lambda a, on_failure: root(double, jnp.array(1.0), a, on_failure=on_failure)
    slope = eqx.filter_jit(lambda a, how: jax.grad(lambda a: solve(a, how).value)(a))
    assert np.isnan(slope(jnp.array(0.0), OnFailure.STOP))
    with pytest.raises(eqx.EquinoxRuntimeError, match="linear system of a derivative"):
        slope(jnp.array(0.0), OnFailure.RAISE)


@pytest.mark.slow
@pytest.mark.parametrize("dtype, bound", [(jnp.float64, 1e-10), (jnp.float32, 1e-5)])
def test_rounding_ends_a_solve_whose_function_is_large(dtype, bound):
    """Bratu's problem by differences: the function's own rounding is far above any tolerance that is not scaled."""

    def bratu(u, strength):
        padded = jnp.pad(u, 1)
        return (padded[2:] - 2 * u + padded[:-2]) * 101**2 + strength * jnp.exp(u)

    def largest(strength):
        solved = root(bratu, jnp.zeros(100, dtype), strength)
        return jnp.max(solved.value), solved

    (value, solved), slope = jax.jit(jax.value_and_grad(largest, has_aux=True))(jnp.asarray(2.0, dtype))
    # u(1/2) = 2 log cosh(t), with t^2 = s exp(u) / 8; nodes at 50/101 and an error of second order.
    np.testing.assert_allclose(value, 0.3289524214, rtol=2e-4)
    assert solved.steps <= 6
    with jax.enable_x64(True):
        double = lambda s: jnp.max(root(bratu, jnp.zeros(100), s).value)
        expected = jax.jit(jax.grad(double))(jnp.array(2.0))
    np.testing.assert_allclose(slope, expected, rtol=10 * bound)


DIAGONAL = np.logspace(0, 6, 400)
BESIDE = 0.05 * np.sqrt(DIAGONAL[1:] * DIAGONAL[:-1])


def stiff(y, k):
    product = DIAGONAL * y + jnp.pad(BESIDE * y[1:], (0, 1)) + jnp.pad(BESIDE * y[:-1], (1, 0))
    return k * product - 1


@pytest.mark.slow
@pytest.mark.parametrize("solver", [CG(1e-13, max_steps=500), FGMRES(1e-12, max_steps=500), MINRES(1e-13)])
def test_a_preconditioner_also_serves_the_adjoint(solver):
    """One that depends on what is being differentiated."""

    @jax.jit
    def both(k):
        def total(k):
            linear = Krylov(solver, lambda v: v / (k * DIAGONAL))
            return jnp.sum(root(stiff, jnp.zeros(400), k, method=Newton(linear=linear)).value)

        return total(k), jax.grad(total)(k), jax.grad(jax.grad(total))(k)

    expected = 13.378020679620242, -6.689010339810121, 6.689010339810121
    np.testing.assert_allclose(both(jnp.array(2.0)), expected, rtol=1e-10)


@pytest.mark.slow
def test_an_adjoint_that_does_not_converge_shows_and_has_its_own_choices():
    good = Krylov(CG(1e-13), lambda v: v / DIAGONAL)
    few = Krylov(CG(1e-13, max_steps=5))

    @eqx.filter_jit
    def slope(k, adjoint, on_failure):
        how = {"method": Newton(linear=good), "adjoint": adjoint, "on_failure": on_failure}
        return jax.grad(lambda k: jnp.sum(root(stiff, jnp.zeros(400), k, **how).value))(k)

    assert np.isnan(slope(jnp.array(2.0), Implicit(linear=few), OnFailure.STOP))
    with pytest.raises(Exception, match="linear system of a derivative"):
        jax.block_until_ready(slope(jnp.array(2.0), Implicit(linear=few), OnFailure.RAISE))
    # With the exact adjoint, J^-T 1, as first guess no step is left to be taken.
    exact = root(stiff, jnp.zeros(400), jnp.array(2.0), method=Newton(linear=good)).value
    none = Implicit(linear=Krylov(CG(1e-9, max_steps=0)), guess=exact)
    np.testing.assert_allclose(slope(jnp.array(2.0), none, OnFailure.RAISE), -6.689010339810121, rtol=1e-7)
    np.testing.assert_allclose(slope(jnp.array(2.0), Implicit(linear=LU()), OnFailure.RAISE), -6.68901034, rtol=1e-8)


@pytest.mark.slow
def test_limits_are_traced():
    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def run(tolerance, steps, a):
        newton = root(lambda y, a: y**3 + y - a, jnp.array(5.0), a, method=Newton(tolerance, steps),
                      on_failure=OnFailure.STOP)  # fmt: skip
        picard = fixed_point(lambda y, a: jnp.cos(y) * a, jnp.array(1.0), a, method=Picard(tolerance, 10 * steps),
                             on_failure=OnFailure.STOP)  # fmt: skip
        near = nearest(jnp.array([2.0, 1.0]), lambda y, a: jnp.sum(y**4) - a, a, on_failure=OnFailure.STOP,
                       method=ProjectedNewton(tolerance, steps))  # fmt: skip
        return newton.steps, picard.steps, near.steps

    loose = run(jnp.array(1e-2), jnp.array(50), jnp.array(0.9))
    tight = run(jnp.array(1e-10), jnp.array(50), jnp.array(0.8))
    assert all(a < b for a, b in zip(loose, tight, strict=True))
    assert run(jnp.array(1e-10), jnp.array(1), jnp.array(0.8)) == (1, 10, 1)


def matrix(size=12):
    values = np.random.default_rng(0).standard_normal((size, size))
    return jnp.asarray(0.9 * values / np.linalg.norm(values, 2))


def equilibrium(b, method, adjoint):
    return fixed_point(lambda y, b: jnp.tanh(matrix() @ y + b), jnp.zeros(12), b, method=method, adjoint=adjoint)


@pytest.mark.slow
@pytest.mark.parametrize("method", [Picard(1e-13), Anderson(tolerance=1e-13)])
def test_fixed_points_by_every_adjoint(method):
    b, along = jnp.linspace(-1, 1, 12), jnp.sin(jnp.arange(12.0))

    @eqx.filter_jit
    def gradient(b, adjoint):
        return jax.grad(lambda b: jnp.sum(equilibrium(b, method, adjoint).value ** 2))(b)

    y = eqx.filter_jit(equilibrium)(b, method, None).value
    slope = np.asarray(1 - y**2)
    expected = np.linalg.solve((np.eye(12) - slope[:, None] * np.asarray(matrix())).T, 2 * y) * slope
    for adjoint in (Implicit(), Implicit(linear=Krylov(FGMRES(1e-12))), Truncated(80), Unrolled(80)):
        np.testing.assert_allclose(gradient(b, adjoint), expected, rtol=1e-8, atol=1e-10)
    assert np.max(np.abs(gradient(b, OneStep()) - expected)) > 1e-2
    push = jax.jit(lambda b, d: jax.jvp(lambda b: jnp.sum(equilibrium(b, method, None).value ** 2), (b,), (d,))[1])
    np.testing.assert_allclose(push(b, along), expected @ along, rtol=1e-9)


@pytest.mark.slow
def test_acceleration_reaches_what_repetition_does_not():
    # An affine map that expands: after as many steps as unknowns, and one, Anderson's is exact, like GMRES.
    expanding = jnp.diag(jnp.array([-3.0, 2.0, 0.5, -0.2]))
    run = lambda method: fixed_point(lambda y, _: expanding @ y + 1, jnp.zeros(4), method=method,
                                     on_failure=OnFailure.STOP)  # fmt: skip
    fast, slow = run(Anderson(4)), run(Picard(steps=2000))
    np.testing.assert_allclose(fast.value, 1 / (1 - jnp.diag(expanding)), rtol=1e-8)
    assert fast.steps <= 6 and slow.status == SolveStatus.nonfinite
    contracting = lambda method: fixed_point(lambda y, _: jnp.cos(y), jnp.ones(3), method=method)
    assert contracting(Anderson(2)).steps < contracting(Picard()).steps / 3


def ball(y, r):
    return jnp.sum(y**2) - r**2


def test_the_nearest_point_of_a_sphere():
    p, r = jnp.array([3.0, 1.0, -2.0]), jnp.array(1.5)

    @jax.jit
    def both(p, r):
        value, back = jax.vjp(lambda p, r: nearest(p, ball, r).value, p, r)
        return value, jax.vmap(back)(jnp.eye(3))

    value, (across, along) = both(p, r)
    unit = p / jnp.linalg.norm(p)
    np.testing.assert_allclose(value, r * unit, rtol=1e-9)
    np.testing.assert_allclose(across, r / jnp.linalg.norm(p) * (jnp.eye(3) - jnp.outer(unit, unit)), atol=1e-9)
    np.testing.assert_allclose(along, unit, rtol=1e-9)


def masses(y, p):
    return {"sum": jnp.sum(y) - p[0], "squares": jnp.sum(y**2) - p[1]}


@pytest.mark.slow
def test_nearest_points_in_a_metric_in_every_mode():
    x = jnp.linspace(0, 1, 10)
    clean = 1.2 + jnp.sin(7 * x)
    args = 1.1 * clean + 0.05 * jnp.cos(9 * x), (jnp.sum(clean), jnp.sum(clean**2)), 1 + x

    def total(point, p, metric, adjoint=None):
        solved = nearest(point, masses, p, metric=metric, adjoint=adjoint)
        return jnp.sum(jnp.sin(3 * solved.value)), solved

    exact, solved = jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(*args)
    assert solved.residual["sum"] < 1e-10 and solved.residual["squares"] < 1e-10 and solved.rank == 2
    # At the nearest point what is left is across the surface.
    normal = jnp.stack([jnp.ones(10), 2 * solved.value], 1)
    pull = args[2] * (args[0] - solved.value)
    np.testing.assert_allclose(normal @ jnp.linalg.lstsq(normal, pull)[0], pull, atol=1e-8)
    rng = np.random.default_rng(0)
    along = jax.tree.map(lambda a: jnp.asarray(rng.standard_normal(jnp.shape(a))), args)
    value = jax.jit(lambda *args: total(*args)[0])
    moved = lambda e: value(*jax.tree.map(lambda a, d: a + e * d, args, along))
    dot = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(exact), jax.tree.leaves(along), strict=True))
    np.testing.assert_allclose(dot, (moved(1e-5) - moved(-1e-5)) / 2e-5, rtol=1e-7)
    np.testing.assert_allclose(jax.jit(lambda a, d: jax.jvp(value, a, d)[1])(args, along), dot, rtol=1e-9)
    one = jax.jit(lambda *args: jax.grad(lambda *a: total(*a, OneStep())[0], (0, 1, 2))(*args))(*args)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), one, exact)
    bent = jax.jit(lambda a, d: jax.jvp(jax.grad(value), a, d)[1])(args, along)
    slope = jax.jit(jax.grad(value))
    shift = lambda e: slope(*jax.tree.map(lambda a, d: a + e * d, args, along))
    up, down = shift(1e-5), shift(-1e-5)
    np.testing.assert_allclose(bent, (up - down) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_constraints_that_repeat_or_contradict_each_other():
    rows = jnp.array([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    p = jnp.array([3.0, 1.0, -2.0])
    solve = lambda b, p=p: nearest(p, lambda y, b: rows @ y - b, b, on_failure=OnFailure.STOP)
    agree, differ = jax.jit(solve)(jnp.array([1.0, 2.0])), jax.jit(solve)(jnp.array([1.0, 3.0]))
    assert agree.status == SolveStatus.rank_deficient and agree.rank == 1 and agree.steps == 1
    np.testing.assert_allclose(agree.value, p - 1 / 3, rtol=1e-12)
    assert differ.status == SolveStatus.stalled
    across = jax.jit(jax.jacfwd(lambda p: solve(jnp.array([1.0, 2.0]), p).value))(p)
    np.testing.assert_allclose(across, np.eye(3) - 1 / 3, atol=1e-12)
    empty = jax.jit(lambda p: nearest(p, lambda y, _: jnp.sum(y**2) + 1, on_failure=OnFailure.STOP))(p)
    assert not empty.succeeded


@pytest.mark.slow
def test_a_point_that_is_nearest_to_first_order_alone_has_no_derivative():
    """The other side of a sphere is farthest."""

    @eqx.filter_jit
    def slope(on_failure):
        solve = lambda p: nearest(p, ball, 1.0, guess=jnp.array([-1.0, 0.0]), on_failure=on_failure).value
        return jax.jacrev(solve)(jnp.array([0.5, 0.0]))

    assert np.any(np.isnan(slope(OnFailure.STOP)))
    with pytest.raises(Exception, match="no minimum along the constraint"):
        jax.block_until_ready(slope(OnFailure.RAISE))


@pytest.mark.slow
@pytest.mark.parametrize("wide", [True, False])
def test_single_precision_with_and_without_the_other(wide):
    with jax.enable_x64(wide):
        a, p = jnp.array(2.0, jnp.float32), jnp.array([3.0, 1.0, -2.0], jnp.float32)

        @jax.jit
        def all_of(a, p):
            one = lambda a: root(lambda y, a: y**3 + y - a, jnp.array(1.5, jnp.float32), a).value
            two = lambda a: fixed_point(lambda y, a: jnp.cos(y) / a, jnp.array(1.0, jnp.float32), a).value
            three = lambda p: jnp.sum(nearest(p, ball, jnp.array(1.0, jnp.float32)).value)
            return one(a), jax.grad(one)(a), jax.grad(two)(a), jax.grad(three)(p)[0]

        found = all_of(a, p)
    assert all(x.dtype == jnp.float32 for x in found)
    unit = np.array([3.0, 1.0, -2.0]) / np.sqrt(14)
    y = 0.4501836112948736  # of y = cos(y) / 2
    expected = 1, 0.25, -np.cos(y) / 4 / (1 + np.sin(y) / 2), (1 - unit[0] * np.sum(unit)) / np.sqrt(14)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_bad_input():
    one = jnp.array([1.0])
    for solve in (root, fixed_point):
        with pytest.raises(TypeError, match="real and imaginary parts"):
            solve(lambda y, _: y, 1j * one)
        with pytest.raises(ValueError, match="as many equations"):
            solve(lambda y, _: jnp.concatenate([y, y]), one)
    with pytest.raises(TypeError, match="must be real"):
        nearest(one, lambda y, _: y + 1j)
    with pytest.raises(ValueError, match="at most as many constraints"):
        nearest(one, lambda y, _: jnp.concatenate([y, y]))
    with pytest.raises(ValueError, match="positive"):
        nearest(one, lambda y, _: y, metric=-one)
    with pytest.raises(TypeError, match="are not unrolled"):
        nearest(one, lambda y, _: y, adjoint=Unrolled(3))
    with pytest.raises(ValueError, match="at least 1"):
        Anderson(0)
    with pytest.raises(ValueError, match="symmetric"):
        root(lambda y, _: y, one, method=Newton(linear=Krylov(MINRES(), tags=frozenset())))
