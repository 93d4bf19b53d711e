"""Diffusion and sorption: the conserved amount, rest, an exact front and the order of the grid."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import erfc

import jaxsim as js

EQUATION = js.equations.DiffusionSorption()


def end(equation, nodes, time, start=0.1):
    space = js.FiniteDifference(js.Grid(nodes, 0.0, 1.0), equation.column())
    u0 = space.field(lambda x: jnp.full_like(x, start))
    return js.solve(equation, u0, t1=time, rtol=1e-7, atol=1e-7, solver=dfx.Kvaerno5()).ys[-1]


def test_retardation_is_the_slope_of_the_amount_and_the_residual_its_balance():
    u = jnp.array([-0.3, 1e-3, 0.2, 1.0])
    np.testing.assert_allclose(jax.vmap(jax.grad(EQUATION.amount))(u), EQUATION.retardation(u), rtol=1e-13)
    np.testing.assert_allclose(EQUATION.retardation(jnp.array(1.0)), 3.1569, rtol=1e-4)

    wave = lambda t, x: 0.4 + 0.2 * jnp.sin(3 * x) * jnp.exp(-0.1 * t)
    t, x = 1.3, 0.4
    stored = jax.grad(lambda t: EQUATION.amount(wave(t, x)))(t)
    spread = EQUATION.diffusivity * jax.grad(jax.grad(wave, 1), 1)(t, x)
    left = js.residual(EQUATION, js.Function(wave))(t, x)
    np.testing.assert_allclose(left * EQUATION.retardation(wave(t, x)), stored - spread, rtol=1e-12)


def test_a_straight_line_between_both_ends_is_at_rest():
    space = js.FiniteDifference(js.Grid(16, 0.0, 1.0), EQUATION.column())
    line = space.field(lambda x: 1 - x / (1 + EQUATION.diffusivity))
    rate = EQUATION.right_hand_side(0.0, line).values
    curved = EQUATION.right_hand_side(0.0, space.field(lambda x: 1 - x * x)).values
    assert jnp.abs(rate).max() < 1e-12 * jnp.abs(curved).max()


def front_error(nodes, time=40.0):
    linear = js.equations.DiffusionSorption(exponent=1.0)
    u = end(linear, nodes, time)
    depth = 2 * jnp.sqrt(linear.diffusivity * time / linear.retardation(jnp.array(0.1)))
    x = u.space.coordinates()[0]
    near = x < 0.6  # what comes from the other end has not reached it
    return jnp.abs(jnp.where(near, u.values - 0.1 - 0.9 * erfc(x / depth), 0)).max()


def test_linear_sorption_has_the_front_of_slower_diffusion():
    assert front_error(48) < 2.5e-3


@pytest.mark.slow
def test_the_front_converges_with_second_order():
    assert 3.5 < front_error(24) / front_error(48) < 5


@pytest.mark.slow
def test_solutions_converge_with_second_order():
    coarse, middle, fine = (end(EQUATION, n, 100.0) for n in (32, 64, 128))
    pairs = lambda u: jnp.mean(u.values.reshape(-1, 2), 1)  # means over two cells are values at h² / 8
    order = jnp.log2(jnp.abs(coarse.values - pairs(middle)).max() / jnp.abs(middle.values - pairs(fine)).max())
    assert 1.8 < order < 2.3
    assert coarse.values.min() > 0


def test_parameters_and_components_are_checked():
    with pytest.raises(ValueError, match="porosity"):
        js.equations.DiffusionSorption(porosity=1.5)
    with pytest.raises(ValueError, match="shift"):
        js.equations.DiffusionSorption(shift=0.0)
    space = js.FiniteDifference(js.Grid(8, 0.0, 1.0), EQUATION.column())
    with pytest.raises(ValueError, match="the concentration"):
        js.solve(EQUATION, space.field(jnp.ones((2, 8))), t1=1.0, dt=0.1)
