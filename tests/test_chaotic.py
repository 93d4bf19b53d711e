"""Exact facts of the chaotic systems: divergence, symmetry, rest points, energy, and the same equation on callables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsim as js
from jaxsim import equations as eq

SYSTEMS = [
    eq.Lorenz63(),
    eq.Lorenz84(),
    eq.Lorenz96(),
    eq.Rossler(),
    eq.HyperchaoticRossler(),
    eq.Chen(),
    eq.Chua(),
    eq.Thomas(),
    eq.Halvorsen(),
    eq.NoseHoover(),
    eq.HenonHeiles(),
    eq.ForcedDuffing(),
]
NAMES = [type(system).__name__ for system in SYSTEMS]
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=NAMES)


def rate(system, state):
    return system.right_hand_side(0.0, js.Point().field(state)).values


def state_of(system, seed=0):
    return jax.random.normal(jax.random.key(seed), system.initial().shape)


@every_system
def test_divergence_is_what_the_exponents_add_up_to(system):
    state = state_of(system)
    x = state[0]
    expected = {
        "Lorenz63": -(10 + 1 + 8 / 3),
        "Lorenz84": 2 * x - 2.25,
        "Lorenz96": -40.0,
        "Rossler": 0.2 + x - 5.7,
        "HyperchaoticRossler": 0.25 + x + 0.05,
        "Chen": 28.0 - 35 - 3,
        "Chua": 9 * ((8 / 7 if abs(x) < 1 else 5 / 7) - 1) - 1,
        "Thomas": -3 * 0.18,
        "Halvorsen": -3 * 1.27,
        "NoseHoover": state[2],
        "HenonHeiles": 0.0,
        "ForcedDuffing": -0.05,
    }[type(system).__name__]
    divergence = jax.jit(lambda state: jnp.trace(jax.jacfwd(lambda u: rate(system, u))(state)))(state)
    np.testing.assert_allclose(divergence, expected, atol=1e-12)


@every_system
def test_the_same_equation_holds_for_a_callable_of_time(system):
    """With u(t) = u0 + t v the residual is v - f(u0 + t v)."""
    start, velocity = state_of(system, 1), state_of(system, 2)

    @jax.jit
    def both(start, velocity):
        left = js.residual(system, js.Function(lambda t: start + t * velocity))(0.3)
        return left, velocity - rate(system, start + 0.3 * velocity)

    np.testing.assert_allclose(*both(start, velocity), atol=1e-12)


@every_system
def test_another_number_of_unknowns_is_refused(system):
    with pytest.raises(ValueError, match="components"):
        js.rollout(system, js.Point().field(jnp.ones((2, 2))), dt=0.1, steps=1)


@pytest.mark.parametrize(
    ("system", "turn"),
    [
        (eq.Lorenz63(), lambda u: u * jnp.array([-1, -1, 1])),
        (eq.Chen(), lambda u: u * jnp.array([-1, -1, 1])),
        (eq.Chua(), lambda u: -u),
        (eq.Thomas(), lambda u: jnp.roll(u, 1)),
        (eq.Thomas(), lambda u: -u),
        (eq.Halvorsen(), lambda u: jnp.roll(u, 1)),
        (eq.Lorenz96(), lambda u: jnp.roll(u, 1)),
    ],
    ids=["Lorenz63", "Chen", "Chua", "Thomas turned", "Thomas reflected", "Halvorsen", "Lorenz96"],
)
def test_symmetries(system, turn):
    state = state_of(system, 3)
    np.testing.assert_allclose(rate(system, turn(state)), turn(rate(system, state)), atol=1e-12)


def test_an_oscillator_in_a_bath_runs_backward_when_its_speeds_are_turned():
    system, reverse = eq.NoseHoover(), jnp.array([1.0, -1.0, -1.0])
    state = state_of(system, 3)
    np.testing.assert_allclose(rate(system, reverse * state), -reverse * rate(system, state), atol=1e-12)


def rest_points():
    root = np.sqrt(8 / 3 * 27)
    yield eq.Lorenz63(), [root, root, 27]
    root = np.sqrt(3 * (2 * 28 - 35))
    yield eq.Chen(), [-root, -root, 2 * 28 - 35]
    high = (5.7 + np.sqrt(5.7**2 - 4 * 0.2 * 0.2)) / (2 * 0.2)
    yield eq.Rossler(), [0.2 * high, -high, high]
    side = (8 / 7 - 5 / 7) / (1 - 5 / 7)
    yield eq.Chua(), [side, 0, -side]
    yield eq.Halvorsen(), [-(1.27 + 2 * 4)] * 3
    yield eq.Thomas(), [0, 0, 0]
    yield eq.HenonHeiles(), [np.sqrt(3) / 2, -0.5, 0, 0]
    yield eq.Lorenz96(), [8.0] * 5
    yield eq.Lorenz84(wave_forcing=0.0), [8.0, 0, 0]


@pytest.mark.parametrize(("system", "point"), list(rest_points()), ids=lambda value: type(value).__name__)
def test_rest_points(system, point):
    np.testing.assert_allclose(rate(system, jnp.asarray(point, float)), 0, atol=1e-12)


def test_the_quadratic_terms_of_lorenz96_conserve_energy():
    state = state_of(eq.Lorenz96(), 4)
    np.testing.assert_allclose(rate(eq.Lorenz96(8.0), state) @ state, jnp.sum(8 * state - state**2), rtol=1e-12)


def test_energy_of_a_star_is_conserved_and_below_the_escape():
    system = eq.HenonHeiles()
    path = js.rollout(system, system.initial(), dt=0.05, steps=2000, save_every=50).values
    energy = system.energy(path)
    assert np.ptp(path[:, 0]) > 0.5 and 0.12 < energy[0] < 1 / 6
    np.testing.assert_allclose(energy, energy[0], rtol=1e-6)


@pytest.mark.slow
@every_system
def test_initial_states_lead_to_bounded_motion(system):
    path = js.rollout(system, system.initial(), dt=0.004, steps=20000, save_every=20).values
    path = path[:, :2] if isinstance(system, eq.ForcedDuffing) else path
    late = path[500:]
    assert np.all(np.std(late, axis=0) > 0.05) and np.max(np.abs(path[:100])) < 3 * np.max(np.abs(late))


def test_lorenz96_needs_neighbors():
    assert eq.Lorenz96().initial(6).shape == (6,)
    with pytest.raises(ValueError, match="at least 4"):
        eq.Lorenz96().initial(3)
