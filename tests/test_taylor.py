"""Derivatives by Taylor series against nested differentiation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxsim as js
from jaxsim.constraints import Embedded
from jaxsim.taylor import closure, propagate, taylor

POINT = (jnp.float64(0.3), jnp.float64(0.7))
MATRIX = jnp.sin(jnp.arange(6.0)).reshape(3, 2)


def nested(function, index):
    """A derivative by nested `jax.jvp`."""
    for axis, order in enumerate(index):
        for _ in range(order):
            function = _tangent(function, axis)
    return function


def _tangent(function, axis):
    def tangent(*point):
        along = lambda s: function(*point[:axis], s, *point[axis + 1 :])
        return jax.jvp(along, (point[axis],), (jnp.ones_like(point[axis]),))[1]

    return tangent


def mlp(activation, out="scalar", size=2, width=5, depth=2):
    network = eqx.nn.MLP(size, out, width, depth, activation, key=jax.random.key(0))
    return lambda *point: network(jnp.stack(point))


def agree(function, indices, point=POINT, rtol=1e-12):
    """All derivatives of a set, in one compiled function, against nested ones in another."""
    ours = jax.jit(lambda *x: [taylor(function, x, indices).derivative(a) for a in indices])(*point)
    theirs = jax.jit(lambda *x: [nested(function, a)(*x) for a in indices])(*point)
    for a, found, expected in zip(indices, ours, theirs):
        scale = np.max(np.abs(expected)) or 1.0
        np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale, err_msg=str(a))


def test_sets_hold_all_smaller_multi_indices():
    assert closure(frozenset([(1, 0), (0, 2)])) == ((0, 0), (1, 0), (0, 1), (0, 2))
    assert len(closure(frozenset([(1, 1, 2)]))) == 12


ACTIVATIONS = {
    "tanh": jnp.tanh, "sin": jnp.sin, "silu": jax.nn.silu, "gelu": jax.nn.gelu, "softplus": jax.nn.softplus,
    "erf": lambda x: jax.nn.gelu(x, approximate=False), "elu": jax.nn.elu, "logistic": jax.nn.sigmoid,
}  # fmt: skip


def test_networks_with_mixed_derivatives():
    agree(mlp(jnp.tanh, 2, width=3), [(0, 0), (1, 2), (0, 5)])


def test_every_activation_at_once():
    hidden = mlp(jnp.tanh, 2, width=3, depth=1)
    function = lambda t, x: jnp.concatenate([f(1.5 * hidden(t, x)) for f in ACTIVATIONS.values()])
    agree(function, [(1, 2)])


def test_softplus_where_its_pieces_meet():
    agree(lambda t, x: jax.nn.softplus(x - 0.7) + jax.nn.relu(t) + jnp.maximum(x, 0.7 + t - 0.3), [(0, 3), (1, 0)])


SINGULAR = (
    jnp.abs, lambda x: jnp.abs(x) ** 2, lambda x: jnp.hypot(x, 1.0), lambda x: jnp.abs(x) * jnp.tanh(x),
    lambda x: jnp.cos(jnp.abs(x)), lambda x: jnp.maximum(x, 0) ** 2, lambda x: jnp.maximum(x, -x) ** 2,
    lambda x: jnp.minimum(x, jnp.sin(x)), lambda x: lax.clamp(0.0, x, 1.0) * x, lambda x: jnp.clip(x, 0, 1) ** 2 + x,
    lambda x: jax.nn.relu(x) ** 2, lambda x: jax.nn.leaky_relu(x) * x, jax.nn.hard_tanh, jax.nn.elu, jax.nn.softplus,
    lambda x: jnp.where(x >= 0, x**3 + x, x), lambda x: jnp.sign(x) * x * x, jnp.sqrt, jnp.cbrt, lax.rsqrt, jnp.log,
    lambda x: x**2.5, lambda x: x**0.5, lambda x: 1 / x, jnp.sinc, lambda x: jnp.abs(jnp.abs(x)) * x,
    lambda x: jnp.max(jnp.stack([x, 2 * x])) ** 2, lambda x: jnp.sqrt(jnp.abs(x)), lambda x: jnp.arctan2(x, 1.0),
)  # fmt: skip


def test_derivatives_where_pieces_meet_and_roots_end():
    """At zero and at one, infinite ones among them, they are those of JAX; of powers they are the right ones, too."""
    ours = jax.jit(lambda x: jnp.stack([taylor(f, [x], [(2,)]).derivative((k,)) for f in SINGULAR for k in (0, 1, 2)]))
    theirs = jax.jit(lambda x: jnp.stack([nested(f, (k,))(x) for f in SINGULAR for k in (0, 1, 2)]))
    for x in (0.0, 1.0):
        np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-13, atol=1e-15)
    for p in (0.0, 1.0, 2.0, 3.0):  # whole exponents, of which JAX's derivatives are not numbers at zero
        found = taylor(lambda x, p=p: jnp.power(x, p), [jnp.zeros(())], [(3,)])
        assert [found.derivative((k,)) for k in range(4)] == [{0: 1, 1: 1, 2: 2, 3: 6}[k] * (k == p) for k in range(4)]


FUNCTIONS = {
    "arithmetic": lambda t, x: x**3 / (1 + t * t) + x**2.5 + (x + 2) ** -2 - 3 / x + jnp.power(x, 2.0) + x**t,
    "roots and logarithms": lambda t, x: jnp.sqrt(x) + jnp.cbrt(t * x) + lax.rsqrt(x) + jnp.log(x + t) + jnp.log1p(x),
    "transcendental": lambda t, x: (jnp.cosh(x) * jnp.sinh(t) + jnp.tan(x * t) + jnp.expm1(t) + jnp.cos(x) * jnp.exp(t)
                                    + jnp.arctan(x * t) + lax.erfc(x) + lax.lgamma(x)),
    "pieces": lambda t, x: (jnp.where(t > 0.2, x * t, x) + jnp.abs(t - x) + jnp.clip(x, 0, 1) * t + jnp.sign(x - 1)
                            + jnp.maximum(t * x, x - 1) + jnp.minimum(t, x**2) + jnp.floor(3 * x)),
    "indices": lambda t, x: (jnp.stack([t, x, t * x])[jnp.array([2, 0, 2])] * jnp.cumsum(jnp.stack([x, t, x]))).sum(),
    "matrices": lambda t, x: (MATRIX @ jnp.stack([t, x * t])) * jnp.linalg.norm(x * t * MATRIX + MATRIX**2),
    "both vary": lambda t, x: jnp.stack([t, x]) @ jnp.array([[1.0, 2.0], [3.0, 4.0]]) @ jnp.stack([x, t * x]),
    "complex": lambda t, x: jnp.exp(1j * x * t) * jnp.abs(x + 1j * t),
    "reverse mode inside": lambda t, x: jax.grad(lambda s: jnp.tanh(s * t) * s)(x),
    "checkpoint": jax.checkpoint(lambda t, x: jnp.sin(x * t)),
    "no gradient": lambda t, x: lax.stop_gradient(x) * x * t,
}  # fmt: skip


def test_operations():
    agree(lambda t, x: jnp.concatenate([jnp.ravel(f(t, x)).astype(complex) for f in FUNCTIONS.values()]),
          [(0, 3), (1, 1)], rtol=1e-13)  # fmt: skip


def recurrent(t, x):
    """A scan, a loop and a branch that depends on the coordinates."""
    last, all = lax.scan(lambda c, w: (jnp.tanh(w * c + x), c * t), t * x, jnp.linspace(0.1, 0.9, 3))
    loop = lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * jnp.sin(x * s[1])), (0, t))[1]
    return lax.cond(t > 0, jnp.sin, jnp.cos, last) + jnp.sum(all) + loop


def test_operations_without_a_rule_are_differentiated_by_themselves():
    agree(recurrent, [(1, 2)])


def test_functions_that_look_at_numbers_still_do():
    branch = lambda t, x: x**3 if t > 0 else x
    assert float(taylor(branch, POINT, [(0, 2)]).derivative((0, 2))) == pytest.approx(6 * 0.7, rel=1e-14)


def test_a_custom_reverse_rule_is_not_passed_over():
    @jax.custom_vjp
    def twice(x):
        return 2 * x

    twice.defvjp(lambda x: (2 * x, None), lambda _, g: (3 * g,))
    with pytest.raises(TypeError, match="forward-mode"):
        taylor(lambda t, x: twice(x), POINT, [(0, 1)])


def test_checkpoints_stay():
    wave = lambda w: jax.checkpoint(lambda t, x: jnp.sin(w * x * t))
    slope = jax.grad(lambda w: taylor(wave(w), POINT, [(0, 1)]).derivative((0, 1)))
    jaxpr = str(jax.make_jaxpr(slope)(1.5))
    assert "remat" in jaxpr or "checkpoint" in jaxpr
    np.testing.assert_allclose(slope(1.5), 0.3 * (np.cos(0.315) - 0.315 * np.sin(0.315)), rtol=1e-13)


@pytest.mark.parametrize(("point", "indices", "error"), [((1, 2), [(0, 1)], TypeError), (POINT, [(0,)], ValueError),
                                                         (POINT, [(-1, 0)], ValueError)])  # fmt: skip
def test_bad_input_is_refused(point, indices, error):
    with pytest.raises(error, match="taylor: "):
        taylor(lambda t, x: t, point, indices)


def test_single_precision_stays():
    point = (jnp.float32(0.3), jnp.float32(0.7))
    network = jax.tree.map(lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a,
                           eqx.nn.MLP(2, "scalar", 5, 1, jax.nn.gelu, key=jax.random.key(0)))  # fmt: skip
    parts = jax.eval_shape(lambda *x: taylor(lambda *p: network(jnp.stack(p)), x, [(0, 4)]).parts, *point)
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}


def test_series_that_a_function_does_not_depend_on_are_absent():
    assert taylor(lambda t, x: jnp.sin(t), POINT, [(2, 0), (0, 4)]).indices == ((0, 0), (1, 0), (2, 0))
    assert propagate(lambda x: 3.0, [POINT[0]], ((0,),)).indices == ((0,),)


def test_expressions_ask_each_callable_once_for_what_they_need():
    calls = []

    def counted(t, x):
        calls.append(1)
        return jnp.sin(x) * jnp.exp(-t)

    u = js.Function(counted, dimension=1, components=())
    force = js.Function(lambda t, x: jnp.cos(x) * t, dimension=1)
    expression = js.partial(u * u, 0, 2) + js.partial(js.laplacian(u), 0) * u + u.space.rate(u / (2 + force)) + force
    found = jax.jit(lambda *point: expression(*point))(0.2, 0.5)
    assert len(calls) == 1
    s, c, e, f = np.sin(0.5), np.cos(0.5), np.exp(-0.2), 2 + 0.2 * np.cos(0.5)
    expected = 2 * e**2 * (c**2 - s**2) - c * s * e**2 - s * e / f - s * e * c / f**2 + c * 0.2
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(js.laplacian(u)(0.0, jnp.linspace(0, 1, 3)), -np.sin(np.linspace(0, 1, 3)), rtol=1e-13)


def products_of_matrices(function, *arguments) -> int:
    """How many matrix products one evaluation has, in the jaxpr and whatever it calls."""

    def count(jaxpr):
        inner = [p.jaxpr for e in jaxpr.eqns for p in e.params.values() if hasattr(p, "jaxpr")]
        return sum(e.primitive.name == "dot_general" for e in jaxpr.eqns) + sum(map(count, inner))

    return count(jax.make_jaxpr(function)(*arguments).jaxpr)


def kuramoto_sivashinsky(network, t, x):
    """By hand, with nested derivatives."""
    d = lambda *a: nested(network, a)(t, x)
    return d(1, 0) + network(t, x) * d(0, 1) + d(0, 2) + d(0, 4)


def test_fourth_order_and_its_gradient():
    network = Embedded(eqx.nn.MLP(3, "scalar", 6, 1, jnp.tanh, key=jax.random.key(1)), (0, 1), (0,), (7,), (True,))
    equation = js.equations.KuramotoSivashinsky()
    ours = lambda n, t, x: js.residual(equation, js.Function(n))(t, x)
    points = jax.random.uniform(jax.random.key(2), (3, 2))
    loss = lambda way: lambda n: jnp.sum(jax.vmap(lambda p: way(n, *p))(points) ** 2)
    found, gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss(ours)))(network)
    expected, slopes = eqx.filter_jit(eqx.filter_value_and_grad(loss(kuramoto_sivashinsky)))(network)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(slopes), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.max(np.abs(b)))
    # Value, four derivatives in space and one in time: a layer multiplies each of them once.
    assert products_of_matrices(lambda t, x: ours(network, t, x), *POINT) == 2 * 6
    # And as many products in a batch, each of them of all points.
    assert products_of_matrices(jax.vmap(lambda p: ours(network, *p)), points) == 2 * 6


def test_navier_stokes_residual():
    network = mlp(jnp.tanh, 3, 3, depth=2)
    u = js.Function(network)
    viscosity = 0.03

    def by_hand(*point):
        w, w_t, w_x, w_y = network(*point), *(nested(network, a)(*point) for a in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
        friction = viscosity * (nested(network, (0, 2, 0))(*point) + nested(network, (0, 0, 2))(*point))
        left = w_t + w[0] * w_x + w[1] * w_y - friction
        return jnp.stack([left[0] + w_x[2], left[1] + w_y[2], w_x[0] + w_y[1]])

    residual = js.residual(js.equations.NavierStokesPressure(viscosity), u)
    point = tuple(jnp.array([0.2, 0.5, -0.4]))
    np.testing.assert_allclose(jax.jit(residual)(*point), jax.jit(by_hand)(*point), rtol=1e-12)
    # Second derivatives are absent in the first layer, whose input is linear in the coordinates.
    assert products_of_matrices(residual, *point) == 4 + 6 + 6
