"""Prey and predators: orbits that close around the rest point."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js

EQUATION = js.equations.LotkaVolterra(prey_growth=0.7, predation=0.05, predator_decay=0.9, conversion=0.03)


def test_invariant_is_constant_along_an_orbit_that_closes():
    u0 = js.Point().field(jnp.array([12.0, 6.0]))
    values = js.rollout(EQUATION, u0, dt=0.02, steps=1000, save_every=20).values
    kept = EQUATION.invariant(values)
    assert values.min() > 0 and np.ptp(values[:, 0]) > 10
    np.testing.assert_allclose(kept, kept[0], rtol=1e-7)


def test_invariant_is_least_at_rest_where_nothing_changes():
    rest = EQUATION.rest()
    rate = EQUATION.right_hand_side(0.0, js.Point().field(rest)).values
    np.testing.assert_allclose(rate, 0, atol=1e-14)
    around = rest + 0.1 * jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert np.all(EQUATION.invariant(around) > EQUATION.invariant(rest))


def test_two_species_and_rates_that_are_not_negative_are_demanded():
    with pytest.raises(ValueError, match="prey and predators"):
        js.rollout(EQUATION, js.Point().field(jnp.ones(3)), dt=0.1, steps=1)
    with pytest.raises(ValueError, match="must not be negative"):
        js.equations.LotkaVolterra(0.7, -0.05, 0.9, 0.03)
