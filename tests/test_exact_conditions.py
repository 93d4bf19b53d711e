"""Conditions that hold by construction: each to rounding, at random parameters and points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import (
    Both,
    Bounded,
    Conserved,
    Either,
    Embedded,
    FromInitial,
    Gradient,
    Inside,
    Joined,
    Lift,
    MeanFree,
    OnBoundary,
    OnBox,
    Plane,
    Positive,
    Saturating,
    Segment,
    Smooth,
    Solenoidal,
    VanishingOnBox,
    check_consistent,
    to_boundary,
)
from jaxsim.optimize import Frozen, partition


class Waves(eqx.Module):
    """A few random waves, as a stand-in for a network."""

    waves: jax.Array
    amplitudes: jax.Array
    shape: tuple = eqx.field(static=True)

    def __init__(self, arguments, shape=(), key=0):
        keys = jax.random.split(jax.random.key(key))
        self.waves = jax.random.normal(keys[0], (4, arguments))
        self.amplitudes = jax.random.normal(keys[1], (*shape, 4))
        self.shape = shape

    def __call__(self, *arguments):
        return self.amplitudes @ jnp.sin(self.waves @ jnp.stack(arguments) + jnp.arange(4.0))


def exact(t, x, y):
    """A field whose own boundary values are the data."""
    return jnp.cos(t) * jnp.sin(x + 2 * y) + t * x


def slope(axis, function=exact):
    return lambda *a: jax.grad(function, 1 + axis)(*(jnp.asarray(value, float) for value in a))


LOWER, UPPER = (0.0, -1.0), (2.0, 0.5)
VALUES = js.Dirichlet(exact)
MIXED = {
    "channel": ((VALUES, js.Neumann(slope(0))), (VALUES, VALUES)),
    "fluxes": ((js.Neumann(lambda *a: -slope(0)(*a)), js.Neumann(slope(0))), (None, VALUES)),
    "mixtures": (
        (js.Robin(2.0, 0.5, lambda *a: 2 * exact(*a) - 0.5 * slope(0)(*a)), VALUES),
        (js.Robin(jnp.array(1.0), jnp.array(-2.0), lambda *a: exact(*a) + 2 * slope(1)(*a)), None),
    ),
}


def on_sides(sides):
    """Points of every side with a condition, corners among them, and the condition as `(a, b n)`."""
    for axis, pair in enumerate(sides):
        for end, outward, condition in zip((LOWER, UPPER), (-1.0, 1.0), pair):
            if condition is not None:
                for share in (0.0, 0.3, 1.0):
                    point = [low + share * (high - low) for low, high in zip(LOWER, UPPER)]
                    point[axis] = end[axis]
                    a, b = condition.coefficients()
                    yield np.array(point), np.array([a, *(b * outward * np.eye(2)[axis])])


@pytest.mark.parametrize("name", MIXED)
def test_conditions_on_a_box(name):
    points, conditions = map(np.array, zip(*on_sides(MIXED[name])))
    points = np.concatenate([points, [[0.9, -0.3]]])  # where nothing is held

    @jax.jit
    def check(t):
        held, vanishing = (kind(Waves(3), LOWER, UPPER, MIXED[name]) for kind in (OnBox, VanishingOnBox))
        difference = lambda x: jnp.stack([held(t, *x) - exact(t, *x), vanishing(t, *x)])
        value_and_slopes = lambda x: jnp.concatenate([difference(x)[:, None], jax.jacfwd(difference)(x)], 1)
        return jax.vmap(value_and_slopes)(points)

    found = check(0.7)
    left = np.einsum("pfc,pc->pf", found[:-1], conditions)
    assert np.max(np.abs(left)) < 1e-12 and np.min(np.abs(found[-1, :, 0])) > 1e-3


def test_a_field_that_meets_the_conditions_is_left_as_it_is():
    held = OnBox(exact, LOWER, UPPER, MIXED["mixtures"])
    assert abs(jax.jit(lambda t, x, y: held(t, x, y) - exact(t, x, y))(0.3, 1.1, 0.2)) < 1e-14


def test_interpolation_has_the_least_degree():
    line = OnBox(lambda t, x: 0.0 * x, (1.0,), (3.0,), ((js.Dirichlet(2.0), js.Dirichlet(6.0)),))
    assert abs(line(0.0, 1.5) - 3.0) < 1e-14
    flux = OnBox(lambda t, x: 0.0 * x, (1.0,), (3.0,), ((js.Dirichlet(2.0), js.Neumann(-1.0)),))
    assert abs(flux(0.0, 1.5) - 1.5) < 1e-14
    pair = OnBox(Waves(2, (2,)), 0.0, 1.0, js.Dirichlet(jnp.array([1.0, 2.0])))  # a value for each component
    np.testing.assert_allclose(eqx.filter_jit(pair)(0.3, 1.0), [1.0, 2.0], rtol=0, atol=1e-14)


ROUND = Smooth(lambda x, y: 1 - x**2 - y**2)
BALL = Inside(js.geometry.Ball((0.5, 0.0), 1.5))
ELL = Either(  # two rectangles
    Both(Plane(0, 0.0), Plane(0, 2.0, -1), Plane(1, 0.0), Plane(1, 1.0, -1)),
    Both(Plane(0, 0.0), Plane(0, 1.0, -1), Plane(1, 0.0), Plane(1, 2.0, -1)),
)
NEAR = {  # and points next to the boundaries, away from corners
    "ball": (BALL, [[2.2, 0.3], [-0.5, -0.7]]),
    "ell": (ELL, [[0.02, 1.2], [1.4, 0.97], [1.02, 1.5], [1.5, -0.02], [0.4, 2.01]]),
}


@pytest.mark.parametrize("name", NEAR)
def test_conditions_on_a_curved_boundary(name):
    distance, near = NEAR[name]
    points = to_boundary(distance, jnp.array(near))

    @jax.jit
    def left(points, b):  # slopes and mixtures in one compilation
        mixture = js.Robin(0.7, b, exact)
        field = OnBoundary(Waves(3, key=1), [(distance, mixture)], interior=Waves(3, key=2))
        held = OnBoundary(Waves(3, key=1), [(distance, VALUES)])

        def at(point):
            normal = -jnp.stack(jax.grad(distance, (0, 1))(*point))
            value, across = jax.jvp(lambda p: field(0.4, *p), (point,), (normal,))
            wanted = exact(0.4, *point)
            return jnp.stack([0.7 * value + b * across - wanted, held(0.4, *point) - wanted, normal @ normal - 1])

        return jax.vmap(at)(points)

    for b in (1.0, 2.0):
        assert np.max(np.abs(left(points, b))) < 1e-12
    assert np.max(np.abs(left(0.9 * points, 1.0))) > 1e-2


def test_several_pieces():
    floor, lid = Segment((0.0, 0.0), (1.0, 0.0)), Segment((1.0, 1.0), (0.0, 1.0))
    walls = Joined(Segment((1.0, 0.0), (1.0, 1.0)), Segment((0.0, 1.0), (0.0, 0.0)), order=2)
    pieces = [(floor, js.Neumann(lambda t, x, y: t * x)), (walls, VALUES), (lid, js.Robin(1.0, 0.5, 3.0))]
    fields = [OnBoundary(Waves(3, key=key), pieces) for key in (0, 1)]

    @jax.jit
    def check(points):
        upwards = lambda p: jax.jvp(lambda y: fields[0](0.4, p[0], y), (p[1],), (jnp.ones_like(p[1]),))
        return (*jax.vmap(upwards)(points), jax.vmap(lambda p: exact(0.4, *p))(points), fields[1](0.4, 0.3, 0.6))

    points = jnp.array([[0.2, 0.0], [0.7, 0.0], [0.2, 1.0], [0.7, 1.0], [0.0, 0.2], [1.0, 0.7], [0.3, 0.6]])
    value, slope, wanted, other = check(points)
    np.testing.assert_allclose(-slope[:2], 0.4 * points[:2, 0], atol=1e-12)
    np.testing.assert_allclose(value[2:4] + 0.5 * slope[2:4], 3.0, atol=1e-12)
    np.testing.assert_allclose(value[4:6], wanted[4:6], atol=1e-12)
    assert abs(value[6] - other) > 1e-3


def test_initial_values_and_rates():
    t0, u0, v0 = 0.5, lambda x: jnp.sin(x), lambda x: x**2
    both = FromInitial(Waves(2), u0, t0=t0, rate=v0)
    moving = FromInitial(Waves(2), Lift(lambda t, x: jnp.sin(x + t - t0)), t0=jnp.array(t0), rate=v0)
    leveled = FromInitial(Waves(2), u0, t0=t0, rate=v0, ramp=Saturating(0.3))
    fields = lambda t, x: jnp.stack([both(t, x), moving(t, x), leveled(t, x)])
    at = jax.jit(lambda t, x: jnp.stack(jax.jvp(lambda t: fields(t, x), (t,), (1.0,))))
    np.testing.assert_allclose(at(t0, 0.8), [[np.sin(0.8)] * 3, [0.64] * 3], rtol=0, atol=1e-12)
    assert np.min(np.abs(at(1.0, 0.8)[0] - np.sin(0.8) - 0.32)) > 1e-3
    assert abs(Saturating(0.3)(jnp.array(50.0)) - 0.3) < 1e-15


def test_what_is_not_trained():
    earlier = Frozen(Waves(1))
    field = OnBox(FromInitial(Waves(2), earlier, t0=jnp.array(1.0)), 0.0, 1.0, js.Robin(jnp.array(1.0), 2.0, 3.0))
    assert len(jax.tree.leaves(partition(field)[0])) == 2
    assert len(jax.tree.leaves(partition(OnBoundary(Waves(3), [(BALL, js.Dirichlet(1.0))]))[0])) == 2
    assert len(jax.tree.leaves(partition(Solenoidal(Waves(3), mean=jnp.ones(2)))[0])) == 2
    learned = OnBox(Waves(2), 0.0, 1.0, js.Dirichlet(Waves(2)))  # but a boundary value with parameters is
    assert len(jax.tree.leaves(partition(learned)[0])) == 6
    assert abs(FromInitial(Waves(2), earlier, t0=jnp.array(1.0))(1.0, 0.3) - Waves(1)(jnp.array(0.3))) < 1e-15


def test_initial_values_boundary_and_periods_at_once():
    sides = ((js.Dirichlet(lambda t, x, y: t + 0 * x), js.Neumann(lambda t, x, y: jnp.cos(y))), js.Periodic())
    u0 = lambda x, y: x * jnp.cos(y)
    walls = (0.0, 0.0), (1.0, 2 * np.pi), sides
    box = dict(duration=(0.0, 1.0), lower=walls[0], upper=walls[1], periodic=(False, True))
    network = Embedded(lambda numbers: Waves(4)(*numbers), **box)
    check_consistent(OnBox(network, *walls), u0)
    outer = OnBox(FromInitial(network, u0), *walls)
    cheaper = FromInitial(VanishingOnBox(network, *walls), Lift(OnBox(lambda t, x, y: u0(x, y), *walls)))
    points = np.array([[0.0, 0.3, 0.4], [0.7, 0.0, 0.4], [0.7, 1.0, 0.4], [0.7, 0.3, 0.4], [0.7, 0.3, 0.4 + 2 * np.pi]])
    for field in (outer, cheaper):
        value, slope = jax.jit(jax.vmap(lambda p, f=field: jax.jvp(lambda p: f(*p), (p,), (jnp.eye(3)[1],))))(points)
        assert abs(value[0] - 0.3 * np.cos(0.4)) < 1e-14
        assert abs(value[1] - 0.7) < 1e-14
        assert abs(slope[2] - np.cos(0.4)) < 1e-12
        assert abs(value[3] - value[4]) < 1e-12 and abs(slope[3] - slope[4]) < 1e-12
        assert abs(value[3] - 0.3 * np.cos(0.4)) > 1e-2


def test_initial_values_in_a_disk():
    pieces = [(ROUND, js.Robin(1.0, 2.0, 0.0))]
    u0 = lambda x, y: 5 - x**2 - y**2  # u + 2 u_r = 0 at r = 1
    field = FromInitial(OnBoundary(Waves(3), pieces), u0)
    at = jax.jit(lambda t, p, n: jax.jvp(lambda p: field(t, *p), (p,), (n,)))
    edge, inside = jnp.array([0.6, -0.8]), jnp.array([0.1, 0.2])
    value, slope = at(0.7, edge, edge)
    assert abs(value + 2 * slope) < 1e-12 and abs(value - 4) > 1e-2
    assert abs(at(0.0, inside, inside)[0] - 4.95) < 1e-14


def test_periodic_embedding():
    inner = Embedded(lambda numbers: Waves(5)(*numbers), (0.0, 2.0), (-1.0,), (1.0,), (True,), 2)
    field = FromInitial(inner, lambda x: jnp.sin(jnp.pi * x))
    values = jax.jit(jax.vmap(lambda p: field(*p)))
    x = np.linspace(-1, 1, 5)
    np.testing.assert_allclose(values(np.stack([0 * x, x], 1)), np.sin(np.pi * x), atol=1e-15)
    left, right, here, there, beside = values(np.array([[0.7, -1.0], [0.7, 1.0], [0.7, 0.3], [0.7, 2.3], [0.7, 0.4]]))
    assert abs(left - right) < 1e-12 and abs(here - there) < 1e-12 and abs(here - beside) > 1e-6


def jacobian(field, point):
    point = jnp.asarray(point)
    return jax.jit(jax.jacfwd(lambda p: field(*p)))(point)


@pytest.mark.parametrize("axes, shape", [(2, ()), (3, (3,)), (4, (6,))])
def test_no_divergence(axes, shape):
    slopes = jacobian(Solenoidal(Waves(axes + 1, shape)), 0.3 * jnp.arange(axes + 1))[:, 1:]
    assert abs(jnp.trace(slopes)) < 1e-13 * jnp.sum(jnp.abs(slopes)) and jnp.sum(jnp.abs(slopes)) > 0.1


def test_curl_of_a_known_potential_and_a_mean_flow():
    stream = Solenoidal(lambda t, x, y: x * y**2, mean=lambda t: jnp.stack([t, 2 * t]))
    np.testing.assert_allclose(jax.jit(stream)(3.0, 1.0, 2.0), [4.0 + 3.0, -4.0 + 6.0])
    vector = Solenoidal(lambda t, x, y, z: jnp.stack([y * z, x * x, x * y]), mean=(0.0, 1.0, 0.0))
    np.testing.assert_allclose(jax.jit(vector)(0.0, 1.0, 2.0, 3.0), [1.0, 2.0 - 2.0 + 1.0, 2.0 - 3.0])


@pytest.mark.parametrize("axes, shape", [(1, ()), (2, (3,))])
def test_density_and_flux_conserve(axes, shape):
    field = Conserved(Waves(axes + 1, shape), mean=(5.0,) + (0.0,) * axes)
    slopes = jacobian(field, 0.3 * jnp.arange(1.0, axes + 2))
    assert abs(jnp.trace(slopes)) < 1e-13 * jnp.sum(jnp.abs(slopes)) and jnp.sum(jnp.abs(slopes)) > 0.1
    free = Conserved(Waves(axes + 1, shape))
    point = (jnp.array(0.2),) * (axes + 1)
    np.testing.assert_allclose(jax.jit(lambda: field(*point) - free(*point))(), [5.0] + [0.0] * axes, atol=1e-14)


def test_no_curl_no_mean():
    slopes = jacobian(Gradient(Waves(3)), jnp.array([0.1, 0.2, 0.3]))[:, 1:]
    assert abs(slopes[0, 1] - slopes[1, 0]) < 1e-13
    nodes = 2 * np.pi * np.arange(8) / 8
    flux = lambda t, x, y: jnp.stack([jnp.sin(x + t) + jnp.cos(x - 2 * y), jnp.sin(2 * y + t) ** 2])
    field = jax.vmap(jax.vmap(MeanFree(flux), (None, None, 0)), (None, 0, None))
    values = jax.jit(field)(0.4, nodes, nodes)
    assert abs(values.mean()) < 1e-14 and jnp.abs(values).max() > 1
    assert abs(MeanFree(lambda t, x: x**2)(0.0, 3.0) - 6.0) < 1e-14


def test_ranges():
    large = lambda t, x: 1e3 * x
    assert Positive(large)(0.0, -1.0) == 0 and abs(Positive(large, 2.0)(0.0, 1.0) - 1002.0) < 1e-9
    assert abs(Positive(lambda t, x: x, function=jnp.exp)(0.0, 2.0) - np.exp(2.0)) < 1e-14
    bounded = Bounded(large, jnp.array(-1.0), 3.0)
    assert bounded(0.0, -1.0) == -1 and bounded(0.0, 1.0) == 3 and abs(bounded(0.0, 0.0) - 1.0) < 1e-15
    assert not jax.tree.leaves(partition(bounded)[0])


def test_residuals_see_through_conditions():
    sides = ((js.Dirichlet(0.0), js.Dirichlet(0.0)),)
    field = OnBox(FromInitial(lambda t, x: jnp.sin(jnp.pi * x), lambda x: jnp.sin(jnp.pi * x)), 0.0, 1.0, sides)
    rate = np.sin(0.3 * np.pi) * (1 + 0.2 * np.pi**2 * 1.5)  # u = (1 + t) sin(pi x)
    assert abs(jax.jit(js.residual(js.equations.Diffusion(0.2), js.Function(field)))(0.5, 0.3) - rate) < 1e-12


def test_single_precision_stays():
    field = OnBox(FromInitial(lambda t, x, y: x * y, lambda x, y: y), LOWER, UPPER, js.Robin(1.0, 2.0, 3.0))
    curved = OnBoundary(lambda t, x, y: x * y, [(BALL, js.Robin(1.0, 2.0, 3.0))])
    for f in (field, curved):
        assert jax.eval_shape(f, *jnp.ones(3, jnp.float32)).dtype == jnp.float32


def test_what_cannot_hold_at_once():
    sides = ((js.Dirichlet(0.0), js.Neumann(lambda t, x: 1.0 + t)),)
    box = OnBox(Waves(2), 0.0, 1.0, sides)
    check_consistent(box, lambda x: x, rate=lambda x: 0.5 * x**2)
    with pytest.raises(ValueError, match="initial values do not meet .* lower side of axis 0: at t = 0, x = \\(0\\)"):
        check_consistent(box, lambda x: x + 0.1)
    with pytest.raises(ValueError, match="initial values do not meet .* upper side of axis 0"):
        check_consistent(box, lambda x: x**2)
    with pytest.raises(ValueError, match="initial rates do not meet .* upper side"):
        check_consistent(box, lambda x: x, rate=lambda x: 0.0 * x)
    lid = ((js.Dirichlet(0.0), js.Dirichlet(0.0)), (js.Dirichlet(0.0), js.Dirichlet(lambda t, x, y: t * (1 - x))))
    check_consistent(OnBox(Waves(3), (0.0, 0.0), (1.0, 1.0), lid))
    with pytest.raises(ValueError, match="values on the upper side of axis 1 do not meet .* lower side of axis 0"):
        check_consistent(OnBox(Waves(3), (0.0, 0.0), (1.0, 1.0), lid), times=(0.5,))
    check_consistent(OnBox(Waves(3), LOWER, UPPER, MIXED["mixtures"]), lambda x, y: exact(0.0, x, y), times=(0.3,))


def test_initial_values_are_known_to_the_check():
    lift = Lift(lambda t, x: x + t)
    moving = OnBox(FromInitial(Waves(2), lift, t0=0.5), 0.0, 1.0, ((js.Dirichlet(lambda t, x: t), js.Neumann(1.0)),))
    check_consistent(moving)
    with pytest.raises(ValueError, match="initial values do not meet .* lower side"):
        check_consistent(OnBox(FromInitial(Waves(2), lift, t0=0.5), 0.0, 1.0, ((js.Dirichlet(0.0), None),)))


def test_what_cannot_hold_on_a_curved_boundary():
    points = to_boundary(ROUND, jnp.array([[0.9, 0.1], [-0.4, 0.7]]))
    field = OnBoundary(Waves(3), [(ROUND, js.Robin(1.0, 1.0, lambda t, x, y: 3.0 * x**2 + t))])
    check_consistent(field, lambda x, y: x**2, points=points, rate=lambda x, y: 1.0)
    with pytest.raises(ValueError, match="initial values do not meet the condition on piece 0"):
        check_consistent(field, lambda x, y: x, points=points)
    with pytest.raises(ValueError, match="slopes of 2 to 2 .* Smooth"):
        check_consistent(OnBoundary(Waves(3), [(lambda x, y: 1 - x**2 - y**2, VALUES)]), points=points)
    with pytest.raises(ValueError, match="needs `points`"):
        check_consistent(field)
    with pytest.raises(TypeError, match="an OnBox or OnBoundary"):
        check_consistent(Waves(3))


def test_bad_input():
    with pytest.raises(ValueError, match="one entry per axis \\(2\\)"):
        OnBox(Waves(3), LOWER, UPPER, (VALUES,))
    with pytest.raises(ValueError, match=r"write \(\(lower, upper\),\)"):
        OnBox(Waves(2), 0.0, 1.0, (VALUES, VALUES))
    with pytest.raises(ValueError, match="periodic on both sides"):
        OnBox(Waves(2), 0.0, 1.0, ((VALUES, js.Periodic()),))
    with pytest.raises(ValueError, match="js.Dirichlet"):
        OnBox(Waves(2), 0.0, 1.0, ((0.0, VALUES),))
    with pytest.raises(ValueError, match="the upper one larger"):
        OnBox(Waves(2), 1.0, 0.0, VALUES)
    with pytest.raises(ValueError, match="with 2 coordinates, got 1"):
        OnBox(Waves(3), LOWER, UPPER, VALUES)(0.0, 1.0)
    with pytest.raises(ValueError, match=r"shape \(3,\) at a point"):
        OnBox(Waves(2, (2,)), 0.0, 1.0, js.Dirichlet(jnp.ones(3)))(0.0, 1.0)
    with pytest.raises(ValueError, match="js.Dirichlet"):
        OnBoundary(Waves(3), [(BALL, js.Periodic())])
    with pytest.raises(TypeError, match="pairs of a distance"):
        OnBoundary(Waves(3), [BALL])
    with pytest.raises(ValueError, match="Begin nearer"):
        to_boundary(lambda x, y: 1 + x**2 + y**2, jnp.ones((2, 2)))
    with pytest.raises(TypeError, match="Either"):
        Either()
    with pytest.raises(ValueError, match="two different points"):
        Segment((0.0, 0.0), (0.0, 0.0))
    with pytest.raises(ValueError, match="`inward` is 1 or -1"):
        Plane(0, 1.0, 2)
    with pytest.raises(ValueError, match=r"`initial` gives values of shape \(2,\)"):
        FromInitial(Waves(2), lambda x: jnp.ones(2))(0.0, 1.0)
    with pytest.raises(TypeError, match="`initial` must be callable"):
        FromInitial(Waves(2), 1.0)
    with pytest.raises(ValueError, match="would be added"):
        FromInitial(OnBox(Waves(2), 0.0, 1.0, js.Dirichlet(1.0)), lambda x: x)
    with pytest.raises(ValueError, match="would be added"):
        FromInitial(OnBoundary(Waves(3), [(BALL, VALUES)]), lambda x, y: x)
    with pytest.raises(ValueError, match="would change initial values"):
        OnBoundary(FromInitial(Waves(3), lambda x, y: x), [(BALL, js.Dirichlet(0.0))])
    with pytest.raises(ValueError, match="would change initial values"):
        VanishingOnBox(FromInitial(Waves(2), lambda x: x), 0.0, 1.0, js.Dirichlet(0.0))
    with pytest.raises(ValueError, match="`scale` must be positive"):
        Saturating(0.0)
    with pytest.raises(ValueError, match=r"values of shape \(3,\) for 3 axes"):
        Solenoidal(Waves(4))(0.0, 1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="at least two axes"):
        Solenoidal(Waves(2))(0.0, 1.0)
    with pytest.raises(ValueError, match="needs 2 numbers"):
        Solenoidal(Waves(3), mean=jnp.ones(3))(0.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="must be scalar"):
        Gradient(Waves(2, (2,)))(0.0, 1.0)
    with pytest.raises(ValueError, match=r"`flux` needs values of shape \(2,\)"):
        MeanFree(Waves(3))(0.0, 1.0, 2.0)
    with pytest.raises(ValueError, match="`lower` must be below"):
        Bounded(Waves(2), 1.0, 0.0)
    with pytest.raises(ValueError, match="one entry per axis"):
        Embedded(Waves(3), (0.0, 1.0), (0.0,), (1.0, 2.0), (True,))
    with pytest.raises(ValueError, match="with 1 coordinates"):
        Embedded(Waves(3), (0.0, 1.0), (0.0,), (1.0,), (True,))(0.0, 1.0, 2.0)
