"""Rows on tensor grids, and starts by linear least squares."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import jaxprs_in_params

import jaxsim as js
from jaxsim.nets import MLP, Gaussians, Separable
from jaxsim.optimize import FirstOrder, LevenbergMarquardt, Rows, train
from jaxsim.pinn import Box, Resample, UniformAxes, collocation, grid_collocation, linear_start

BOX = Box((0.0, 1.0), (-1.0, 0.0), (1.0, 2.0))
KEY = jax.random.key(0, impl="unsafe_rbg")  # a generator that compiles fast


@pytest.fixture(scope="module")
def net():
    return eqx.filter_jit(lambda: Separable(3, 2, 3, 6, 1, key=KEY))()


def test_rows_on_a_grid_are_rows_at_its_points(net):
    axes = UniformAxes(BOX).draw((2, 3, 2), KEY)
    equation = lambda model: js.equations.KleinGordon(2.0, 0.5, 1.0)
    block = grid_collocation(equation, axes)
    points = jnp.stack(jnp.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    single = collocation(equation, points)

    @eqx.filter_jit
    def both(net):
        return block.values(net), single.values(net), block.loss(net), single.loss(net)

    values, expected, loss, mean = both(net)
    assert values.shape == (2, 3, 2, 2) and block.count == 12
    np.testing.assert_allclose(values.reshape(-1, 2), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(loss, mean, rtol=1e-12)


def test_factors_are_evaluated_along_their_axes_only(net):
    equation = js.equations.KleinGordon(2.0, 0.5, 1.0)
    shapes = lambda n: tuple(jax.ShapeDtypeStruct((n,), jnp.float64) for _ in range(3))
    count = lambda n: len(_products(jax.make_jaxpr(
        lambda *axes: grid_collocation(equation, axes).values(net))(*shapes(n)).jaxpr, n))  # fmt: skip
    assert count(7) == 0  # no layer of a factor is multiplied at the 7^2 or 7^3 points of a plane or the grid
    dense = lambda t, x, y: net.factors[0].network(jnp.stack([t + x + y]))
    pointwise = jax.make_jaxpr(jax.vmap(lambda t: jax.vmap(lambda x: dense(t, x, x))(t + jnp.zeros(7))))(jnp.zeros(7))
    assert len(_products(pointwise.jaxpr, 7)) > 0


def _products(jaxpr, n):
    """Matrix products with factors' weights that have at least n^2 results per weight row."""
    found = []
    for equation in jaxpr.eqns:
        for inner in jaxprs_in_params(equation.params):
            found += _products(inner, n)
        if equation.primitive.name == "dot_general":
            shape = equation.outvars[0].aval.shape
            found += [shape] if sum(size == n for size in shape) > 1 else []
    return found


def test_axes_are_taken_anew_and_bad_input_is_refused(net):
    block = grid_collocation(js.equations.AllenCahn(0.1, 1.0), UniformAxes(BOX).draw((4, 3, 2), KEY)).settled()
    (fresh,) = Resample(UniformAxes(BOX))([block], net, 0, jax.random.fold_in(KEY, 1))
    assert [len(axis) for axis in fresh.samples] == [4, 3, 2] and fresh.weight.shape == (4, 3, 2)
    for new, old, low, high in zip(fresh.samples, block.samples, *BOX.corners):
        assert not np.any(np.isin(new, old)) and np.all((new >= low) & (new <= high))
    with pytest.raises(TypeError, match="GridRows has none"):
        LevenbergMarquardt().init([block], net)
    with pytest.raises(ValueError, match="`weight`"):
        grid_collocation(js.equations.AllenCahn(0.1, 1.0), block.samples, jnp.ones(4)).settled()
    with pytest.raises(ValueError, match="one axis of points"):
        grid_collocation(js.equations.AllenCahn(0.1, 1.0), (jnp.zeros((3, 3)),))
    with pytest.raises(ValueError, match="each of 3 axes"):
        UniformAxes(BOX).draw((2, 3), KEY)
    with pytest.raises(TypeError, match="takes blocks of grid_collocation"):
        UniformAxes(BOX)(Rows(lambda m, s: s, jnp.zeros((3, 3))), net, KEY)


class Clamped(eqx.Module):
    """A separable network that vanishes on the sides of the unit square."""

    net: Separable

    def __call__(self, x, y):
        return x * (1 - x) * y * (1 - y) * self.net(x, y)


@pytest.mark.slow
def test_poisson_is_solved_on_grids():
    exact = lambda x, y: jnp.sin(jnp.pi * x) * jnp.sin(2 * jnp.pi * y)
    equation = js.equations.Poisson(lambda x, y: 5 * jnp.pi**2 * exact(x, y))
    axes = UniformAxes(Box(None, (0.0, 0.0), (1.0, 1.0)))
    block = grid_collocation(equation, axes.draw((16, 16), KEY), stationary=True)
    model = Clamped(Separable(2, "scalar", 3, 16, 2, key=KEY))
    method = FirstOrder(optax.adam(optax.cosine_decay_schedule(5e-3, 1500)))
    found = train([block], model, method, 1500, rules=[Resample(axes, every=50)], key=KEY, every=500).model
    points = np.random.default_rng(0).uniform(0, 1, (2, 200))
    error = jax.vmap(found)(*points) - jax.vmap(exact)(*points)
    assert np.sqrt(np.mean(error**2)) < 5e-3 * 0.5


def test_sides_of_a_box():
    assert BOX.initial == Box((0.0, 0.0), (-1.0, 0.0), (1.0, 2.0))
    assert BOX.side(1, 1) == Box((0.0, 1.0), (-1.0, 2.0), (1.0, 2.0))
    assert BOX.side(0, 0) == Box((0.0, 1.0), (-1.0, 0.0), (-1.0, 2.0))
    with pytest.raises(ValueError, match="a side is an axis"):
        BOX.side(2, 0)
    with pytest.raises(ValueError, match="no first time"):
        Box(None, 0.0, 1.0).initial  # noqa: B018


@pytest.mark.slow
def test_a_linear_problem_is_solved_in_its_last_layer():
    exact = lambda x: jnp.sin(2 * x) + 0.5 * x
    source = lambda x: 4 * jnp.sin(2 * x)
    x = jnp.linspace(-1, 1, 30)[:, None]
    last = lambda net: (net.last.weight, net.last.bias)
    net = eqx.filter_jit(lambda: Gaussians(1, "scalar", 12, depth=0, spread=0.5, key=KEY))()
    field = lambda net: lambda x: net(x[None])
    ends = Rows(lambda net, p: net(p) - exact(p[0]), x[:: len(x) - 1])

    @eqx.filter_jit
    def solve(net):
        strong = collocation(js.equations.Poisson(source), x, field=field, stationary=True)
        solved = linear_start([strong, ends], net, last)
        return solved, jax.vmap(lambda p: solved(p) - exact(p[0]))(x)

    solved, error = solve(net)
    assert np.max(np.abs(error)) < 1e-4
    np.testing.assert_array_equal(solved.gaussians.centers, net.gaussians.centers)


@pytest.mark.slow
def test_a_problem_that_is_not_linear_is_refused():
    net = eqx.filter_jit(lambda: MLP(1, "scalar", 4, 1, key=KEY))()
    square = Rows(lambda net, p: net(p) ** 2 - 2, jnp.linspace(-1, 1, 9)[:, None])
    with pytest.raises(Exception, match="not affine"):
        jax.block_until_ready(
            eqx.filter_jit(lambda: linear_start([square], net, lambda n: n.last.weight))().last.weight
        )
