"""What every space must do. `drawn.py` has the spaces; a new one is one line there."""

import sys
import tempfile
from pathlib import Path

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

import jaxsim as js

sys.path.insert(0, str(Path(__file__).parent))
from drawn import SPACES, values  # noqa: E402


def contract(quick: int, thorough: int = 40):
    """A property of every space: a few fixed examples by default, many among the slow tests."""

    def decorate(check):
        def run(name, examples):
            settings = hypothesis.settings(max_examples=examples, deadline=None, derandomize=True, database=None,
                                           suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip
            settings(hypothesis.given(drawn=SPACES[name], data=st.data())(check))()

        marked = [pytest.param(name, quick, id=name) for name in SPACES]
        marked += [pytest.param(name, thorough, id=f"{name}, thorough", marks=pytest.mark.slow) for name in SPACES]
        return pytest.mark.parametrize(("name", "examples"), marked)(run)

    return decorate


def close(found, wanted, tolerance):
    """Compare arrays relative to the largest value that is wanted."""
    size = float(jnp.max(jnp.abs(wanted)))
    np.testing.assert_allclose(np.asarray(found, complex), np.asarray(wanted, complex), rtol=0, atol=tolerance * size)


@contract(quick=2)
def test_derivatives_are_those_of_waves(drawn, data):
    space, x = drawn.space, drawn.space.coordinates()
    axis = data.draw(st.integers(-space.dimension, space.dimension - 1))
    u = drawn.field()
    for order in (1, 2):
        orders = tuple(order * (a == axis % space.dimension) for a in range(space.dimension))
        close(values(js.partial(u, axis, order)), drawn.wave(1, orders)(*x), drawn.tolerance(order))
    axes = range(space.dimension)
    laplacian = sum(drawn.wave(1, tuple(2 * (a == b) for b in axes))(*x) for a in axes)
    close(values(js.laplacian(u)), laplacian, drawn.tolerance(2))
    assert jnp.finfo(js.laplacian(u).dtype).dtype == drawn.dtype


@contract(quick=1)
def test_operators_are_linear_and_components_are_apart(drawn, data):
    u, v = drawn.field(1), drawn.field(2)
    factor = data.draw(st.sampled_from([-3.0, 0.5, 1e3]))
    for operator in (js.laplacian, lambda w: js.partial(w, 0), lambda w: js.partial(w, -1, 2)):
        tolerance = drawn.tolerance(2) if drawn.order is None else 1e5 * float(jnp.finfo(drawn.dtype).eps)
        close(values(operator(factor * u - v)), factor * values(operator(u)) - values(operator(v)), tolerance)
        both = operator(js.stack(u, v))
        close(values(both[1]), values(operator(v)), tolerance)
    batch = jax.vmap(lambda a: js.laplacian(drawn.space.bind(a)).values)(
        jnp.stack([drawn.space.state(u), drawn.space.state(v)]))  # fmt: skip
    close(batch[0], values(js.laplacian(u)), 1e5 * float(jnp.finfo(drawn.dtype).eps))


@contract(quick=1)
def test_integrals_and_integration_by_parts(drawn, data):
    u, v = drawn.field(1), drawn.field(2)
    volume, size = drawn.space.volume, drawn.size
    eps = 1e4 * float(jnp.finfo(drawn.dtype).eps)
    np.testing.assert_allclose(js.integral(0 * u + 1), volume, rtol=max(eps, 1e-12))
    np.testing.assert_allclose(js.mean(2 * u), 2 * js.mean(u), rtol=1e-3, atol=eps * size)
    np.testing.assert_allclose(js.norm(3e3 * u), 3e3 * js.norm(u), rtol=eps)
    left, right = js.inner(v, js.laplacian(u)), js.inner(u, js.laplacian(v))
    scale = float(js.norm(u) * js.norm(js.laplacian(v)))
    bound = eps if drawn.order is None or drawn.order == 2 and set(drawn.kinds) == {"period"} else drawn.tolerance(2, 2)
    np.testing.assert_allclose(left, right, rtol=0, atol=scale * bound)
    assert js.inner(u, js.laplacian(u)).real < eps * float(js.norm(u) * js.norm(js.laplacian(u)))


@contract(quick=1)
def test_products_are_those_of_values(drawn, data):
    u, v = drawn.field(1), drawn.field(1)
    size, eps = drawn.size, 1e3 * float(jnp.finfo(drawn.dtype).eps)
    square = drawn.wave(1)(*drawn.space.coordinates()) ** 2
    for product in (u * v, u**2, js.pointwise(lambda a: a * a, u)):
        close(values(product), square, eps)
    close(values(u * v.values), square, eps)
    close(values((u + size) / size), values(u) / size + 1, eps)
    close(values(2 - u / size), 2 - values(u) / size, eps)


@contract(quick=1)
def test_evaluation_and_interpolation(drawn, data):
    u, space = drawn.field(), drawn.space
    inside = [low + side * data.draw(st.floats(0.1, 0.9)) for low, side in zip(space.grid.lower, space.grid.lengths)]
    exact = drawn.wave()(*map(jnp.float64, inside))
    np.testing.assert_allclose(u(*inside), exact, rtol=0, atol=drawn.size * drawn.tolerance(0))
    nodes = [x.ravel()[:: max(1, x.size // 3)] for x in space.coordinates()]
    np.testing.assert_allclose(u(*nodes), drawn.wave()(*nodes), rtol=0, atol=drawn.size * (
        1e-4 if drawn.dtype == jnp.float32 else 1e-9))  # fmt: skip
    finer = js.FiniteDifference(space.grid.refine(2), real=space.real)
    if set(drawn.kinds) == {"period"}:
        moved = js.interpolate(u, finer)
        close(values(moved), drawn.wave()(*finer.coordinates()), drawn.tolerance(0))
        close(values(js.interpolate(moved, space)), values(u), drawn.tolerance(0))


@contract(quick=1)
def test_states_files_and_canonical_fields(drawn, data):

    u, space = drawn.field(), drawn.space
    for made in (u, js.laplacian(u), u * u):
        again = space.bind(space.state(made))
        close(values(again), values(made), 1e3 * float(jnp.finfo(drawn.dtype).eps))
        assert jax.tree.structure(js.canonical(made)) == jax.tree.structure(again)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "field.nc"
        js.io.save(path, u)
        loaded = js.io.load(path, space)
        for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(u), strict=True):
            np.testing.assert_array_equal(a, b)


@contract(quick=1)
def test_gradients_agree_with_differences(drawn, data):
    if drawn.dtype == jnp.float32:
        return
    space, state, unit = drawn.space, drawn.space.state(drawn.field()), drawn.space.state(drawn.field(2))
    scale = 1 / float(js.norm(js.laplacian(drawn.field())) ** 2)

    def energy(amplitude):
        u = space.bind(state + amplitude * unit)
        return scale * js.norm(js.laplacian(u) + u * u / drawn.size) ** 2

    slope = jax.jit(jax.grad(energy))(0.1)
    central = (energy(0.1 + 1e-4) - energy(0.1 - 1e-4)) / 2e-4
    np.testing.assert_allclose(slope, central, rtol=1e-5, atol=1e-6)


@contract(quick=1)
def test_strangers_are_refused(drawn, data):
    u, grid = drawn.field(), drawn.space.grid
    other = js.Fourier(js.Grid(grid.shape, grid.lower, [b + 1 for b in grid.upper])).field(jnp.ones(grid.shape))
    for operation in (lambda: u + other, lambda: other * u, lambda: js.stack(u, other), lambda: js.inner(u, other)):
        with pytest.raises(ValueError, match="different"):
            operation()
    with pytest.raises(IndexError, match="components"):
        u[0]
    with pytest.raises(ValueError, match="shape"):
        drawn.space.field(jnp.ones((*drawn.space.coordinates()[0].shape[:-1], 5)))
    with pytest.raises(ValueError, match="axis"):
        js.partial(u, drawn.space.dimension)
    with pytest.raises(TypeError, match="js.pointwise"):
        np.asarray(u)
