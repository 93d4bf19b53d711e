"""Shapes by their distances: values, slopes and curvatures, also where formulas are 0/0, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import Both, Either, Inside, Joined, OnBoundary, Outside, Plane, Segment, Smooth
from jaxsim.geometry import Ball, Block, Ellipsoid, Union, length, quotient
from jaxsim.taylor import taylor

CORNERS = [(-1.0, -1.0), (1.0, -1.0), (0.0, 2.0)]


def polygon(corners, order=1, unit=1.0):
    points = [(unit * a, unit * b) for a, b in corners]
    return Joined(*(Segment(a, b) for a, b in zip(points, points[1:] + points[:1])), order=order)


def all_shapes(unit=1.0):
    scaled = lambda *numbers: tuple(unit * n for n in numbers)
    ball, ellipse = Ball((0.0, 0.0), unit), Ellipsoid((0.0, 0.0), scaled(1.0, 0.5))
    block, rounded = Block((0.0, 0.0), scaled(2.0, 2.0)), Block((0.0, 0.0), scaled(2.0, 2.0), 0.25 * unit)
    sides = Plane(0, -unit), Plane(0, unit, -1), Plane(1, -unit), Plane(1, unit, -1)
    return {
        "ball": ball,
        "ellipse": ellipse,
        "round ellipse": Ellipsoid((0.0, 0.0), scaled(1.0, 1.0)),
        "block": block,
        "rounded block": rounded,
        "stadium": Block((0.0, 0.0), scaled(4.0, 2.0), unit),
        "union": Union(ball, block, ellipse, Ball(scaled(1.0, 0.0), unit)),
        "twins": Union(ball, ball),
        "inside": Inside(ellipse),
        "outside": Outside(rounded),
        "smooth": Smooth(lambda x, y: (unit - x) * (unit - y)),
        "both": Both(*sides),
        "either": Either(*sides),
        "triangle": polygon(CORNERS, 1, unit),
    }


# Centers, corners, ends, faces, and lines on which several pieces are equally near.
PLACES = np.array([(a, b) for a in (-1.0, -0.5, 0.0, 0.75, 1.0, 2.0) for b in (-1.0, 0.0, 0.5, 1.0, 2.0)])


def values_of(shape, points):
    return shape(*jnp.asarray(points).T)


def everything(unit, dtype, names):
    """Of every shape at every place: the value, the slope and the curvature by differentiation and by series."""

    def of(shape, point):
        f = lambda p: shape(*p)
        forward = jax.jacfwd(f)
        series = taylor(shape, tuple(point), [(2, 0), (1, 1), (0, 2)])
        d = [series.derivative(a) for a in ((1, 0), (0, 1), (2, 0), (1, 1), (1, 1), (0, 2))]
        slopes = jnp.stack([forward(point), jax.grad(f)(point), jnp.stack(d[:2])])
        return f(point), slopes, jnp.stack([jax.jacrev(forward)(point), jnp.stack(d[2:]).reshape(2, 2)])

    points = jnp.asarray(unit * PLACES, dtype)
    shapes = {name: shape for name, shape in all_shapes(unit).items() if name in names}
    found = [jax.jit(jax.vmap(functools.partial(of, shape)))(points) for shape in shapes.values()]
    return {name: [np.asarray(a) for a in parts] for name, parts in zip(shapes, found)}


FEW = ("ellipse", "rounded block", "union", "smooth")


@pytest.mark.parametrize(
    ("unit", "dtype", "names"),
    [(1.0, "float64", FEW), pytest.param(1.0, "float64", tuple(all_shapes()), marks=pytest.mark.slow)]
    + [pytest.param(unit, "float32", tuple(all_shapes()), marks=pytest.mark.slow) for unit in (1.0, 1e-3, 1e3, 1e-15)],
)
def test_distances_and_their_derivatives_are_numbers_everywhere(unit, dtype, names):
    for name, (value, slopes, bends) in everything(unit, dtype, names).items():
        assert value.dtype == slopes.dtype == bends.dtype == dtype, name
        assert all(np.all(np.isfinite(a)) for a in (value, slopes, bends)), name
        rtol = 1e4 * np.finfo(dtype).eps
        for ways, scale in ((slopes, 1), (bends, unit)):
            ways = ways.astype(float) * scale
            first = np.broadcast_to(ways[:, :1], ways[:, 1:].shape)
            np.testing.assert_allclose(ways[:, 1:], first, rtol=rtol, atol=rtol, err_msg=name)
        if unit == 1 or name not in ("smooth", "triangle"):  # formulas of these two add lengths and their powers
            reference = values_of(all_shapes()[name], PLACES)
            np.testing.assert_allclose(value.astype(float) / unit, reference, rtol=1e-5, atol=5e-6, err_msg=name)


def test_distances_are_continuous_where_their_formulas_are_not_defined():
    near = jax.jit(lambda p: [values_of(s, p) for s in all_shapes().values()])
    for name, a, b in zip(all_shapes(), near(PLACES), near(PLACES + 1e-9 * np.array([0.6, 0.8]))):
        center = np.all(PLACES == 0, 1) & (name in ("ellipse", "inside"))  # there is no limit
        np.testing.assert_allclose(a[~center], b[~center], atol=1e-8, err_msg=name)


def test_corners_and_ends_of_boundaries_are_at_distance_zero():
    corners = jnp.array(CORNERS)
    for order in (1, 2, 5):
        distance = polygon(CORNERS, order)
        np.testing.assert_array_equal(jax.vmap(lambda p, d=distance: d(*p))(corners), 0)
        assert distance(0.0, 0.0) > 0.1
    assert Smooth(lambda x, y: x * y)(0.0, 0.0) == 0


def test_fields_on_boundaries_are_numbers_in_corners():
    polygons = Joined(Segment((0.0, 0.0), (1.0, 0.0)), Segment((1.0, 0.0), (0.5, 1.0)))
    last = Segment((0.5, 1.0), (0.0, 0.0))
    field = OnBoundary(lambda t, x, y: x + y, [(polygons, js.Dirichlet(2.0)), (last, js.Dirichlet(4.0))])
    alone = OnBoundary(lambda t, x, y: x + y, [(polygons, js.Dirichlet(2.0))])
    np.testing.assert_allclose([field(0.0, 1.0, 0.0), alone(0.0, 1.0, 0.0)], 2.0, rtol=1e-14)
    np.testing.assert_allclose([field(0.0, 0.0, 0.0), field(0.0, 0.5, 1.0)], 3.0, rtol=1e-14)  # what the two ask for


def test_surfaces_have_slope_one():
    """A face belongs to the inside and to the outside of a block, and either has the same slope there."""
    gradient = lambda shape, *p: np.asarray(jax.grad(lambda p: shape(*p))(jnp.array(p)))
    np.testing.assert_array_equal(gradient(Block((0.0, 0.0), (2.0, 4.0)), 1.0, 0.5), [1, 0])
    np.testing.assert_array_equal(gradient(Block((0.0, 0.0), (2.0, 4.0)), 0.3, -2.0), [0, -1])
    np.testing.assert_allclose(gradient(Block((0.0, 0.0, 0.0), (2.0, 2.0, 2.0), 0.5), 0.2, 0.5, 1.0), [0, 0, 1])
    np.testing.assert_array_equal(gradient(Union(Ball((0.0, 0.0), 1.0), Ball((0.0, 0.0), 1.0)), 0.0, 1.0), [0, 1])


def test_curvature_of_a_cap():
    """At the tip of a stadium the distance is that of a circle, though its formula takes |y| at 0."""
    bend = jax.jit(jax.hessian(lambda p: Block((0.0, 0.0), (4.0, 2.0), 1.0)(*p)))(jnp.array([2.0, 0.0]))
    np.testing.assert_allclose(bend, [[0, 0], [0, 1]], atol=1e-14)


def test_ellipsoids_have_lengths():
    """Along an axis, and near the surface, the value is a length: it grows with the ellipsoid."""
    a = np.array([1.0, 2.0, 0.5])
    value = jax.jit(lambda unit, *x: Ellipsoid(unit * jnp.array([0.1, 0.0, 0.0]), unit * a)(*x))
    for unit in (1.0, 1e-3):
        for axis in range(3):
            along = np.zeros((3, 4))
            along[axis] = [0.3, 0.9, 1.1, 3.0]
            along *= unit * a[axis]
            expected = unit * a[axis] * np.array([-0.7, -0.1, 0.1, 2.0])
            np.testing.assert_allclose(value(unit, along[0] + 0.1 * unit, *along[1:]), expected, rtol=1e-12)
        on = unit * a * np.array([0.48, 0.6, 0.64])
        normal = on / (unit * a) ** 2
        normal /= np.linalg.norm(normal)
        for step in (1e-4 * unit, -1e-4 * unit):
            there = on + step * normal
            np.testing.assert_allclose(value(unit, there[0] + 0.1 * unit, *there[1:]), step, rtol=1e-3)
    np.testing.assert_allclose(Ellipsoid((0.1, 0.2, 0.3), a)(0.1, 0.2, 0.3), -0.5)  # the exact distance
    away = Ellipsoid((0.0, 0.0), (0.7, 0.7))(jnp.array(0.3), jnp.array(0.1))
    np.testing.assert_allclose(away, Ball((0.0, 0.0), 0.7)(0.3, 0.1), rtol=1e-14)
    semi = jax.grad(lambda s: Ellipsoid((0.0, 0.0), s)(0.0, 0.0))(jnp.array([0.8, 0.5]))
    np.testing.assert_array_equal(semi, [0, -1])


def test_whole_numbers_are_coordinates_too():
    assert Ball((0.5, 0.0), 1.0)(0, 0) == -0.5 and Ellipsoid((0.5, 0.0), (1.0, 1.0))(jnp.array(0), 0) == -0.5


def test_lengths_and_quotients():
    np.testing.assert_allclose(length(jnp.float32(3e-30), jnp.float32(4e-30)), 5e-30, rtol=1e-6)
    np.testing.assert_allclose(length(jnp.float32(3e30), jnp.float32(-4e30)), 5e30, rtol=1e-6)
    assert np.isnan(length(jnp.nan, jnp.array(1.0))) and np.isnan(quotient(jnp.array(1.0), jnp.nan))
    assert quotient(jnp.array(6.0), jnp.array(3.0), 9.0) == 2 and quotient(jnp.array(6.0), jnp.array(0.0), 9.0) == 9


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Ball((0.0, 0.0), -1.0), ValueError, "Ball: `radius` must be positive"),
        (lambda: Ball((0.0, 0.0), 0.0), ValueError, "Ball: `radius` must be positive"),
        (lambda: Ball((0.0, np.nan), 1.0), ValueError, "Ball: `center` must be finite"),
        (lambda: Ball((0.0, 0.0), np.inf), ValueError, "Ball: `radius` must be finite"),
        (lambda: Ellipsoid((0.0, 0.0), (1.0, -1.0)), ValueError, "Ellipsoid: `semi_axes` must be positive"),
        (lambda: Ellipsoid((0.0, 0.0), (1.0, 1.0, 1.0)), ValueError, "Ellipsoid: `semi_axes` needs one number per"),
        (lambda: Ellipsoid((0.0, 0.0), 1.0), ValueError, "Ellipsoid: `semi_axes` needs one number per axis"),
        (lambda: Block((0.0, 0.0), (1.0, -1.0)), ValueError, "Block: `size` must be positive"),
        (lambda: Block((0.0, 0.0), (1.0,)), ValueError, "Block: `size` needs one number per axis"),
        (lambda: Block((0.0, 0.0), (1.0, 2.0), -0.1), ValueError, "Block: `rounding` lies between"),
        (lambda: Block((0.0, 0.0), (1.0, 2.0), 0.6), ValueError, "Block: `rounding` lies between"),
        (lambda: Union(), TypeError, "Union: needs shapes"),
        (lambda: Union(Ball((0.0,), 1.0), 3.0), TypeError, "Union: needs shapes"),
        (lambda: Ball((0.0, 0.0), 1.0)(0.0), ValueError, "2 numbers met 1 coordinates"),
    ],
)
def test_shapes_that_are_none_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_numbers_of_shapes_may_be_traced():
    drawn = jax.jit(lambda r: Ball((0.0, 0.0), r)(2.0, 0.0) + Block((0.0, 0.0), jnp.stack([r, r]), 0.1 * r)(2.0, 0.0))
    np.testing.assert_allclose(drawn(1.0), 1.0 + 1.5)
    radii = jax.vmap(lambda r: Ball((0.0, 0.0), r)(2.0, 0.0))(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(radii, [1.5, 1.0])
