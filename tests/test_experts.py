"""Experts on the boxes of a partition of space and time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim.constraints import (
    Chebyshev,
    Experts,
    Interface,
    Marching,
    Partition,
    PerExpert,
    Schwarz,
    TensorProduct,
    satisfy,
)
from jaxsim.constraints.experts._bordered import BorderedQR
from jaxsim.optimize import OnFailure, Picard, Rows, SolveStatus
from jaxsim.optimize.solves.thin_qr import PseudoInverse, ThinQR
from jaxsim.pinn import collocation

POLYNOMIALS = TensorProduct([Chebyshev(4), Chebyshev(5)])
UNIT = jax.random.uniform(jax.random.PRNGKey(3), (40, 2))
LINE = jnp.linspace(0, 1, 9)


class Scaled(eqx.Module):
    """Polynomials with an array in them."""

    scale: jax.Array

    def __call__(self, t, x):
        return POLYNOMIALS(t, x) * self.scale


class Heat(eqx.Module):
    """Rows of the heat equation on (0, 1) with given diffusivity and size of the initial values."""

    power: float = eqx.field(static=True, default=0.0)

    def __call__(self, given, box):
        diffusivity, size = given
        x, t = box.within(1, LINE), box.within(0, LINE)
        wave = lambda x: size * jnp.sin(jnp.pi * x)
        sink = lambda u, s: self.power * u(s[0], s[1]) ** 2
        heat = collocation(js.equations.Diffusion(diffusivity), box.at(UNIT))
        interior = Rows(lambda u, s: heat.function(u, s) + sink(u, s) - self.power * u(s[0], s[1]), heat.samples)
        return {
            "interior": interior if self.power else heat,
            "initial": Rows(lambda u, x: u(jnp.zeros_like(x), x) - wave(x), x, weight=400.0 * box.first[0]),
            "left": Rows(lambda u, t: u(t, jnp.zeros_like(t)), t, weight=400.0 * box.first[1]),
            "right": Rows(lambda u, t: u(t, jnp.ones_like(t)), t, weight=400.0 * box.last[1]),
        }


def in_space(count, overlap=0.0):
    return Partition((0.0, 0.0), (1.0, 1.0), (1, count), overlap)


GIVEN = jnp.array([0.05, 1.0])
EXACT = float(np.exp(-0.05 * np.pi**2 * 0.5) * np.sin(0.3 * np.pi))


@eqx.filter_jit
def solve(experts, functions, given):
    return experts(functions, given)


@eqx.filter_jit
def at_a_point(experts, functions, given):
    """The value with what is known of it, and its gradient in what is given."""

    def value(given):
        solved = experts(functions, given)
        return solved.value(jnp.array(0.5), jnp.array(0.3)), solved

    return jax.value_and_grad(value, has_aux=True)(given)


def check_gradient(experts, atol):
    """The gradient against differences, and the value against the solution; returns what was solved."""
    (value, solved), slope = at_a_point(experts, POLYNOMIALS, GIVEN)
    h = 1e-5
    moved = [[at_a_point(experts, POLYNOMIALS, GIVEN + sign * h * e)[0][0] for sign in (1, -1)] for e in jnp.eye(2)]
    np.testing.assert_allclose(slope, [(a - b) / (2 * h) for a, b in moved], rtol=1e-6)
    np.testing.assert_allclose(value, EXACT, atol=atol)
    return solved


def test_boxes_cover_the_whole_and_know_their_neighbors():
    partition = Partition((0.0, -1.0, 0.0), (1.0, 1.0, 3.0), (1, 2, 3), overlap=(0.0, 0.25, 0.0))
    boxes = partition.regions()
    assert partition.count == 6 and boxes.lower.shape == (6, 3)
    np.testing.assert_allclose(boxes.lower[:, 1], [-1, -1, -1, -0.25, -0.25, -0.25])
    np.testing.assert_allclose(boxes.upper[:, 1], [0.25, 0.25, 0.25, 1, 1, 1])
    np.testing.assert_allclose(boxes.upper[:, 2], [1, 2, 3, 1, 2, 3])
    np.testing.assert_array_equal(boxes.last[:, 2], [False, False, True] * 2)
    across, along = partition.interfaces(2)
    assert (across.axis, along.axis) == (1, 2)
    np.testing.assert_array_equal(along.owner, [0, 1, 3, 4])
    np.testing.assert_array_equal(along.other, [1, 2, 4, 5])
    np.testing.assert_allclose(along.points[1], [[0, -1, 2], [0, 0, 2], [1, -1, 2], [1, 0, 2]])
    np.testing.assert_allclose(partition.faces(1, True, 1).points[:, 0, 1], [0.25] * 3 + [1] * 3)
    where = jnp.array([[0.5, -0.5, 0.5], [0.5, 0.5, 2.5], [9.0, 9.0, -9.0]])
    np.testing.assert_array_equal(jax.vmap(partition.locate)(where), [0, 5, 3])


def test_coupled_experts_meet_an_equation_and_their_gradients_are_right():
    experts = Experts(in_space(2), Heat(), Interface(6))
    solved = check_gradient(experts, 2e-3)
    assert solved.succeeded.shape == solved.steps.shape == solved.residual["interior"].shape == (2,)
    assert jnp.all(solved.succeeded) and jnp.all(solved.residual["interface"] < 0.02)
    field = solved.value
    left, right = (field.expert(k)(jnp.array(0.4), jnp.array(0.5)) for k in (0, 1))
    np.testing.assert_allclose(left, right, atol=1e-3)
    places = experts.partition.interfaces(6)[0].points[0]
    jumps = jax.jit(jax.vmap(lambda place: jnp.subtract(*(
        jnp.stack(jax.value_and_grad(field.expert(k), 1)(*place)) for k in (0, 1)))))(places)  # fmt: skip
    rows = jnp.sqrt(jnp.mean(400 * jumps[:, 0] ** 2 + jumps[:, 1] ** 2))  # of the values and of the normal derivatives
    np.testing.assert_allclose(solved.residual["interface"], rows, rtol=1e-6)
    u = js.Function(field, 1, ())
    np.testing.assert_allclose(js.laplacian(u)(0.5, 0.3), -(np.pi**2) * EXACT, rtol=0.05)
    assert abs(js.residual(js.equations.Diffusion(0.05), u)(0.5, 0.3)) < 0.05
    numbers = jnp.array([0.1, 0.2])
    found = field.each(lambda u, box, t: u(t, box.upper[1]), numbers)
    np.testing.assert_allclose(found[1], 0, atol=1e-3)


def test_windows_of_time_hand_on_their_end_and_gradients_go_through_all():
    partition = Partition((0.0, 0.0), (1.0, 1.0), (3, 1))
    experts = Experts(partition, Heat(), Marching(7), on_failure=OnFailure.KEEP)
    solved = check_gradient(experts, 2e-3)
    assert solved.steps.shape == (3,) and jnp.all(solved.succeeded)
    before, after = (solved.value.expert(k)(jnp.array(1 / 3), jnp.array(0.3)) for k in (0, 1))
    np.testing.assert_allclose(before, after, atol=2e-4)


def broken(given, box):
    """Rows that are not numbers in the second window."""
    blocks = Heat()(given, box)
    nan = Rows(lambda u, x: u(x, x) * jnp.where(box.index == 1, jnp.nan, 0.0), LINE)
    return blocks | {"nothing": nan}


@pytest.mark.slow
def test_windows_after_one_that_failed_have_its_status():
    failed = Experts(Partition((0.0, 0.0), (1.0, 1.0), (3, 1)), broken, Marching(7), on_failure=OnFailure.STOP)
    np.testing.assert_array_equal(solve(failed, POLYNOMIALS, GIVEN).succeeded, [True, False, False])


@pytest.mark.slow
def test_windows_whose_boxes_are_coupled_in_space():
    for overlap, within in [(0.0, Interface(7)), ((0.0, 0.2), Schwarz(7))]:
        partition = Partition((0.0, 0.0), (1.0, 1.0), (2, 2), overlap)
        check_gradient(Experts(partition, Heat(), Marching(7, within=within)), 2e-3)


@pytest.mark.slow
def test_overlapping_boxes_agree_after_sweeps_whose_fixed_point_has_the_gradient():
    experts = Experts(in_space(3, 0.2), Heat(), Schwarz(7))
    solved = check_gradient(experts, 5e-4)
    plain = solve(Experts(in_space(3, 0.2), Heat(), Schwarz(7, method=Picard())), POLYNOMIALS, GIVEN)
    np.testing.assert_allclose(solved.value.weights, plain.value.weights, atol=1e-7)
    few = Experts(in_space(3, 0.2), Heat(), Schwarz(7, method=Picard(steps=2)), on_failure=OnFailure.KEEP)
    assert jnp.all(solve(few, POLYNOMIALS, GIVEN).status == SolveStatus.max_steps)


def test_sweeps_without_overlap_are_refused():
    with pytest.raises(ValueError, match="overlap"):
        Experts(in_space(3), Heat(), Schwarz(7))(POLYNOMIALS, GIVEN)
    with pytest.raises(ValueError, match="do not overlap in time"):
        Experts(Partition((0.0, 0.0), (1.0, 1.0), (2, 1), 0.2), Heat(), Marching())(POLYNOMIALS, GIVEN)


def test_a_periodic_axis_joins_both_ends():
    partition = Partition((0.0, 0.0), (1.0, 2.0), (1, 3), periodic=True)
    assert not jnp.any(partition.regions().last[:, 1])
    (faces,) = partition.interfaces(2)
    np.testing.assert_array_equal(faces.other, [1, 2, 0])
    np.testing.assert_allclose(faces.points[2, 0], [0, 2])
    np.testing.assert_allclose(faces.beyond[2, 0], [0, 0], atol=1e-15)
    low = partition.faces(1, False, 1)
    np.testing.assert_allclose(low.beyond[0, 0], [0.5, 2])


@pytest.mark.slow
def test_rows_that_are_not_linear_in_a_batch():
    experts = Experts(in_space(2), Heat(0.3), Interface(6), on_failure=OnFailure.STOP)
    batch = jnp.stack([GIVEN, GIVEN * 1.5, GIVEN * jnp.nan])
    found = eqx.filter_jit(jax.vmap(lambda g: (lambda s: (s.value.weights, s.succeeded, s.steps))(
        experts(POLYNOMIALS, g))))(batch)  # fmt: skip
    np.testing.assert_array_equal(found[1], [[True, True], [True, True], [False, False]])
    one = solve(experts, POLYNOMIALS, batch[1])
    assert one.steps[0] > 1
    np.testing.assert_allclose(found[0][1], one.value.weights, rtol=1e-8, atol=1e-10)


@pytest.mark.slow
def test_gradients_of_rows_that_are_not_linear():
    check_gradient(Experts(in_space(2), Heat(0.3), Interface(6)), 0.1)


def known(given, box):
    """Rows that are the solution itself."""
    wave = lambda s: given[1] * jnp.exp(-given[0] * jnp.pi**2 * s[0]) * jnp.sin(jnp.pi * s[1])
    return {"values": Rows(lambda u, s: u(s[0], s[1]) + u(s[0], s[1]) ** 3 - wave(s) - wave(s) ** 3, box.at(UNIT))}


@pytest.mark.slow
def test_gradients_of_experts_without_coupling():
    check_gradient(Experts(in_space(2), known), 1e-3)


@pytest.mark.slow
def test_one_expert_is_the_plain_layer():
    partition = in_space(1)
    box = jax.tree.map(lambda leaf: leaf[0], partition.regions())
    plain = eqx.filter_jit(satisfy)(POLYNOMIALS, Heat()(GIVEN, box))
    solved = solve(Experts(partition, Heat(), Interface(6)), POLYNOMIALS, GIVEN)
    np.testing.assert_allclose(solved.value.weights[0], plain.value.weights, rtol=1e-10, atol=1e-11)
    assert jnp.all(solved.status == SolveStatus.converged) and solved.rank[0] == 20
    np.testing.assert_allclose(solved.condition[0], plain.condition, rtol=1e-6)
    np.testing.assert_allclose(solved.residual["initial"][0], plain.residual["initial"], rtol=1e-8)


def whole(given, box):
    """Rows that determine each expert by itself: values everywhere."""
    points = box.at(UNIT)
    return {"values": Rows(lambda u, s: u(s[0], s[1]) - given * jnp.cos(s[0] + 2 * s[1]), points)}


def test_without_coupling_a_failed_expert_leaves_the_others():
    experts = Experts(in_space(3), whole, on_failure=OnFailure.NAN)
    solved = solve(experts, POLYNOMIALS, PerExpert(jnp.array([1.0, jnp.nan, 2.0])))
    np.testing.assert_array_equal(solved.succeeded, [True, False, True])
    value = jax.vmap(lambda x: solved.value(jnp.array(0.2), x))(jnp.array([0.1, 0.5, 0.9]))
    np.testing.assert_allclose(value, np.array([1, np.nan, 2]) * np.cos(0.2 + 2 * np.array([0.1, 0.5, 0.9])), atol=1e-3)
    own = Scaled(1 + jnp.arange(3.0)[:, None] * jnp.ones(20))
    again = solve(experts, PerExpert(own), PerExpert(jnp.array([1.0, 1.0, 2.0])))
    np.testing.assert_allclose(again.value.weights[2] * 3, solved.value.weights[2], rtol=1e-8, atol=1e-12)


def test_bad_partitions_and_arguments_are_refused():
    for arguments, match in [
        (((0.0,), (1.0, 1.0), (1, 2)), "for each axis"),
        (((0.0, 1.0), (1.0, 1.0), (1, 2)), "needs a length"),
        (((0.0, 0.0), (1.0, 1.0), (1, 0)), "1 or more"),
        (((0.0, 0.0), (1.0, 1.0), (1, 2.0)), "integers"),
        (((0.0, 0.0), (1.0, 1.0), (1, 2), 0.6), "overlap"),
    ]:
        with pytest.raises(ValueError, match=match):
            Partition(*arguments)
    with pytest.raises(TypeError, match="Interface"):
        Experts(in_space(2), whole, "interface")
    with pytest.raises(ValueError, match="axis of 2 experts"):
        Experts(in_space(2), whole)(POLYNOMIALS, PerExpert(jnp.ones(3)))
    with pytest.raises(ValueError, match="each of 20 functions"):
        Experts(in_space(2), whole)(POLYNOMIALS, 1.0, guess=jnp.ones(3))
    with pytest.raises(TypeError, match="returns a dict"):
        Experts(in_space(2), lambda given, box: None)(POLYNOMIALS)


def test_factors_of_blocks_and_a_border_are_those_of_the_whole_matrix():
    keys = jax.random.split(jax.random.key(0), 5)
    blocks = [jax.random.normal(key, (7, 3)) for key in keys[:3]]
    blocks[1] = blocks[1].at[:, 2].set(blocks[1][:, 0])  # not determined without the border
    matrix = jnp.concatenate([jax.scipy.linalg.block_diag(*blocks), jax.random.normal(keys[3], (4, 9))])
    p, g = jax.random.normal(keys[4], (25,)), jnp.arange(9.0)

    @jax.jit
    def both(matrix):
        inverses = [PseudoInverse.of(kind) for kind in (BorderedQR.of(matrix, 3, 7), ThinQR.of(matrix))]
        return [(*inverse.solve(p, g), inverse.values, inverse.rank) for inverse in inverses]

    found, expected = both(matrix)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert found[-1] == 9
